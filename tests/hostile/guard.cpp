// SPDX-License-Identifier: MIT
#include "guard.hpp"

#include <map>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr std::size_t fence = 4096;

std::map<void *, std::size_t> &fenced() {
    static std::map<void *, std::size_t> ranges;
    return ranges;
}

void *map(void *at, std::size_t size, int protection, int flags, int fd, off_t offset) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): that is what the call gives
    return reinterpret_cast<void *>(syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

void *reserve(std::size_t size, int flags) {
    void *base = map(nullptr, size + 2 * fence, PROT_NONE, flags, -1, 0);
    if (base == MAP_FAILED) {
        return base;
    }
    void *inner = static_cast<char *>(base) + fence;
    fenced()[inner] = size;
    return inner;
}

} // namespace

std::size_t hostile::fenced_ranges() {
    return fenced().size();
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's are reserved names
extern "C" void *mmap(void *at, size_t size, int protection, int flags, int fd,
                      off_t offset) noexcept {
    const bool reserves = at == nullptr && protection == PROT_NONE && fd == -1;
    return reserves ? reserve(size, flags) : map(at, size, protection, flags, fd, offset);
}

extern "C" int munmap(void *base, size_t size) noexcept {
    const auto found = fenced().find(base);
    if (found == fenced().end() || found->second != size) {
        return static_cast<int>(syscall(SYS_munmap, base, size));
    }
    fenced().erase(found);
    return static_cast<int>(
        syscall(SYS_munmap, static_cast<char *>(base) - fence, size + 2 * fence));
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
