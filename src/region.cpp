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

int birthmark::make() {
    void *base = nullptr;
    int result = map_page(&base);
    if (result < 0 || base == nullptr) { // never without the other
        return result;
    }
    page_ = mapping(base, page_size());
    result = wipe_in_children(base, page_size());
    if (result == 0) {
        *static_cast<bool *>(base) = true;
    }
    return result;
}

bool birthmark::is_own() const {
    return page_.get() != nullptr && *static_cast<const bool *>(page_.get());
}

namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// F_SEAL_FUTURE_WRITE (Linux 5.1) refuses writes and new writable mappings, through any
// descriptor of the file however it is opened, and leaves existing mappings alone.
int seals_for(sharing how) {
    return how == sharing::read_only ? size_seals | F_SEAL_FUTURE_WRITE : size_seals;
}

// Address space for the file, twice where it is mirrored, so that a span across its end is linear.
// It is taken first: nothing else can come to lie in between.
int reserve(uint64_t size, bool mirrored, mapping *out) {
    const uint64_t length = mirrored ? 2 * size : size;
    void *base = nullptr;
    const int result = map_reserve(length, &base);
    if (result == 0) {
        *out = mapping(base, length);
    }
    return result;
}

// The file, as often as it fits.
int map_into(const mapping &space, int fd, uint64_t size, int protection) {
    for (uint64_t at = 0; at < space.size(); at += size) {
        void *mapped = nullptr;
        const int result =
            map_shared(fd, size, protection, static_cast<char *>(space.get()) + at, &mapped);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int map(int fd, uint64_t size, bool mirrored, mapping *out) {
    int result = reserve(size, mirrored, out);
    if (result == 0) {
        result = map_into(*out, fd, size, PROT_READ | PROT_WRITE);
    }
    return result == 0 ? hide_from_children(out->get(), out->size()) : result;
}

// The mapping has populated it, unless a signal has ended that, or an emulator never began: what
// was not written to yet is a hole to those who open it.
int write_to_all(int fd, const mapping &memory, uint64_t size) {
    uint64_t hole = 0;
    const int result = first_hole(fd, &hole);
    for (uint64_t at = hole; result == 0 && at < size; at += page_size()) {
        static_cast<char *>(memory.get())[at] = 0;
    }
    return result;
}

// Some kernels accept the seal for files whose mappings they do not check (hugetlb before
// 5.13): only a mapping that is refused for it proves it.
int prove_read_only(int fd, uint64_t size) {
    void *base = nullptr;
    const int result = map_shared(fd, size, PROT_READ | PROT_WRITE, nullptr, &base);
    if (result < 0) {
        return result == -EPERM ? 0 : result;
    }
    unmap(base, size);
    return -ENOTSUP;
}

// The checks of an object: -EPROTO where it is not what it should be; another error tells nothing
// of it.

int check_seals(int fd, sharing how) {
    const int seals = get_seals(fd);
    if (seals == -EINVAL || seals == -EBADF) { // no memfd, or opened as a path
        return -EPROTO;
    }
    const int wanted = seals_for(how);
    return seals < 0 || (seals & wanted) == wanted ? seals : -EPROTO;
}

// Of the size wanted, all of it there: an access to a hole would have to find memory, and he who
// makes it would pay. The blocks do not tell, since they may lie behind the end. After
// F_SEAL_FUTURE_WRITE no hole can be punched.
int check_reserved(int fd, uint64_t size) {
    uint64_t actual = 0;
    int result = file_size(fd, &actual);
    if (result < 0 || actual != size) {
        return result < 0 ? result : -EPROTO;
    }
    uint64_t hole = 0;
    result = first_hole(fd, &hole);
    return result < 0 || hole >= size ? result : -EPROTO;
}

int check_memory(int fd) {
    const int result = is_memory_file(fd);
    return result == 0 ? -EPROTO : result;
}

int check_kind(int fd, sharing how) {
    const int result = check_seals(fd, how);
    return result < 0 ? result : check_memory(fd);
}

int check_object(int fd, uint64_t size, sharing how) {
    const int result = check_kind(fd, how);
    return result < 0 ? result : check_reserved(fd, size);
}

// Not sealed yet, and mapped nowhere.
int create_memory(const char *name, uint64_t size, unique_fd *out) {
    const int fd = memfd_sealable(name);
    if (fd < 0) {
        return fd;
    }
    out->reset(fd);
    return reserve_memory(fd, size);
}

} // namespace

int region_create(const char *name, uint64_t size, bool mirrored, sharing how, region *out) {
    region made;
    int result = create_memory(name, size, &made.fd);
    if (result < 0) {
        return result;
    }
    const int fd = made.fd.get();
    result = map(fd, size, mirrored, &made.memory);
    if (result == 0) {
        result = write_to_all(fd, made.memory, size);
    }
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

int region_size(int fd, sharing how, uint64_t *size) {
    const int result = check_kind(fd, how);
    return result < 0 ? result : file_size(fd, size);
}

int region_open(int fd, uint64_t size, bool mirrored, sharing how, mapping *out) {
    int result = check_object(fd, size, how);
    if (result < 0) {
        return result;
    }
    mapping opened;
    result = reserve(size, mirrored, &opened);
    if (result < 0) {
        return result;
    }
    const int protection = how == sharing::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    result = map_into(opened, fd, size, protection);
    if (result == -EACCES || result == -EPERM) { // opened, or sealed, against this mapping
        return -EPROTO;
    }
    if (result == 0) {
        result = hide_from_children(opened.get(), opened.size());
    }
    if (result == 0) {
        *out = static_cast<mapping &&>(opened);
    }
    return result;
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_memory_create(uint64_t size) {
    if (size == 0) {
        return ZBQ_ERROR_INVALID;
    }
    unique_fd made;
    const int result = create_memory("zbq-memory", size, &made);
    return result < 0 ? error_from(result) : made.release();
}
