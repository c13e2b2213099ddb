// SPDX-License-Identifier: MIT
//
// Shared memory objects: made, reserved, sealed and mapped by the producer; checked and
// mapped by the consumer.
#pragma once

#include "os.hpp"

namespace zbq::core {

enum class sharing {
    read_only, // consumers can only ever read: control region and ring
    writable   // a consumer's own page
};

// A mapping's one owner. Children of fork() do not have it.
class mapping {
public:
    mapping() = default;
    mapping(void *base, uint64_t size) : base_(base), size_(size) {}
    mapping(const mapping &) = delete;
    mapping &operator=(const mapping &) = delete;
    mapping(mapping &&other) noexcept { swap(other); }
    mapping &operator=(mapping &&other) noexcept {
        swap(other);
        return *this;
    }
    ~mapping() { reset(); }

    [[nodiscard]] void *get() const { return base_; }
    [[nodiscard]] uint64_t size() const { return size_; }
    void reset();
    void forget() { base_ = nullptr; } // in a forked child: nothing is mapped there

private:
    void swap(mapping &other);

    void *base_ = nullptr;
    uint64_t size_ = 0;
};

// Tells the process that made it from its children by fork, whatever namespaces they are in and
// whatever their process number: their copy of the page reads as zero (MADV_WIPEONFORK, Linux
// 4.14).
class birthmark {
public:
    int make(); // 0 or -errno
    [[nodiscard]] bool is_own() const;

private:
    mapping page_;
};

struct region {
    unique_fd fd;
    mapping memory; // twice the size where mirrored
};

// All give 0 or -errno.
int region_create(const char *name, uint64_t size, bool mirrored, sharing how, region *out);

// The size of an object that somebody else has made, where it is sealed memory; else -EPROTO. A
// file of another kind may take long to tell its size.
int region_size(int fd, sharing how, uint64_t *size);

// The consumer's half: -EPROTO where the object is not what the protocol says, and only there.
// Keeps the mapping alone.
int region_open(int fd, uint64_t size, bool mirrored, sharing how, mapping *out);

} // namespace zbq::core
