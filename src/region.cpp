// SPDX-License-Identifier: MIT
#include "region.hpp"

#include <fcntl.h>
#include <sys/mman.h>

namespace zbq::core {

void mapping::reset() {
    if (base_ != nullptr) {
        unmap(base_, size_);
    }
    base_ = nullptr;
}

void mapping::swap(mapping &other) {
    void *base = base_;
    const uint64_t size = size_;
    base_ = other.base_;
    size_ = other.size_;
    other.base_ = base;
    other.size_ = size;
}

namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// F_SEAL_FUTURE_WRITE (Linux 5.1) refuses writes and new writable mappings, through any
// descriptor of the file however it is opened, and leaves existing mappings alone.
int seals_for(sharing how) {
    return how == sharing::read_only ? size_seals | F_SEAL_FUTURE_WRITE : size_seals;
}

int map_once(int fd, uint64_t size, int protection, mapping *out) {
    void *base = nullptr;
    const int result = map_shared(fd, size, protection, nullptr, &base);
    if (result < 0) {
        return result;
    }
    *out = mapping(base, size);
    return hide_from_children(base, size);
}

// The file twice in a row, so that a span across its end is linear. The address range is
// reserved first: nothing else can come to lie in between.
int map_mirrored(int fd, uint64_t size, int protection, mapping *out) {
    void *base = nullptr;
    int result = map_reserve(2 * size, &base);
    if (result < 0) {
        return result;
    }
    *out = mapping(base, 2 * size);
    char *halves[] = {static_cast<char *>(base), static_cast<char *>(base) + size};
    for (char *half : halves) {
        void *mapped = nullptr;
        result = map_shared(fd, size, protection, half, &mapped);
        if (result < 0) {
            return result;
        }
    }
    return hide_from_children(base, 2 * size);
}

int map(int fd, uint64_t size, bool mirrored, int protection, mapping *out) {
    return mirrored ? map_mirrored(fd, size, protection, out) : map_once(fd, size, protection, out);
}

// Some kernels accept the seal for files whose mappings they do not check (hugetlb before
// 5.13): only a refused mapping proves it.
int prove_read_only(int fd, uint64_t size) {
    void *base = nullptr;
    if (map_shared(fd, size, PROT_READ | PROT_WRITE, nullptr, &base) < 0) {
        return 0;
    }
    unmap(base, size);
    return -ENOTSUP;
}

bool has_seals(int fd, sharing how) {
    const int seals = get_seals(fd); // -EINVAL for anything that is no memfd
    const int wanted = seals_for(how);
    return seals >= 0 && (seals & wanted) == wanted;
}

// Of the size wanted, all of it allocated: an access to a hole would have to find memory.
// After F_SEAL_FUTURE_WRITE no hole can be punched.
bool is_reserved(int fd, uint64_t size) {
    uint64_t actual = 0;
    uint64_t allocated = 0;
    return file_size(fd, &actual, &allocated) == 0 && actual == size && allocated >= size;
}

int check_object(int fd, uint64_t size, sharing how) {
    return has_seals(fd, how) && is_memory_file(fd) && is_reserved(fd, size) ? 0 : -EPROTO;
}

} // namespace

int region_create(const char *name, uint64_t size, bool mirrored, sharing how, region *out) {
    const int fd = memfd_sealable(name);
    if (fd < 0) {
        return fd;
    }
    region made;
    made.fd.reset(fd);
    int result = reserve_memory(fd, size);
    if (result < 0) {
        return result;
    }
    result = map(fd, size, mirrored, PROT_READ | PROT_WRITE, &made.memory);
    if (result < 0) {
        return result;
    }
    result = add_seals(fd, seals_for(how));
    if (result < 0) {
        return result;
    }
    if (how == sharing::read_only) {
        result = prove_read_only(fd, size);
        if (result < 0) {
            return result;
        }
    }
    out->fd = static_cast<unique_fd &&>(made.fd);
    out->memory = static_cast<mapping &&>(made.memory);
    return 0;
}

int region_open(int fd, uint64_t size, bool mirrored, sharing how, mapping *out) {
    const int result = check_object(fd, size, how);
    if (result < 0) {
        return result;
    }
    const int protection = how == sharing::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    mapping opened;
    const int mapped = map(fd, size, mirrored, protection, &opened);
    if (mapped < 0) {
        // Not a shortage: the descriptor was opened, or sealed, against this mapping.
        return mapped == -EACCES || mapped == -EPERM ? -EPROTO : mapped;
    }
    *out = static_cast<mapping &&>(opened);
    return 0;
}

} // namespace zbq::core
