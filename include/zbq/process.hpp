// SPDX-License-Identifier: MIT
/// @file
/// What belongs to one process. Not part of the interface.
#pragma once

#include "error.hpp"

#include <cstddef>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace ZBQ_NAMESPACE::detail {

// Tells the process that made it from a forked child, which has copies of all that its parent has,
// and must leave alone what lies outside of both: names, and what open files share. A number
// proves nothing, since a child in a pid namespace of its own can have its parent's; so this is a
// page that the kernel gives to children as zeros (MADV_WIPEONFORK, Linux 4.14).
class birthmark {
public:
    birthmark() : page_(make()) { *page_ = 1; }
    explicit birthmark(std::nullptr_t /*nobody*/) noexcept : page_(nullptr) {}
    birthmark(birthmark &&other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
    birthmark &operator=(birthmark &&other) noexcept {
        std::swap(page_, other.page_);
        return *this;
    }
    birthmark(const birthmark &) = delete;
    birthmark &operator=(const birthmark &) = delete;
    ~birthmark() {
        if (page_ != nullptr) {
            ::munmap(page_, size());
        }
    }

    // Whether this process made it. It is nobody's when moved from.
    [[nodiscard]] bool is_here() const noexcept { return page_ != nullptr && *page_ != 0; }

private:
    static std::size_t size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

    static int *make() {
        void *page =
            ::mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) { // NOLINT(*-int-to-ptr): the system's own
            throw_errno("mapping a page");
        }
        if (::madvise(page, size(), MADV_WIPEONFORK) != 0) {
            const int os_error = errno;
            ::munmap(page, size());
            throw error(status::io, "having a page wiped in children", os_error);
        }
        return static_cast<int *>(page);
    }

    int *page_;
};

} // namespace ZBQ_NAMESPACE::detail
