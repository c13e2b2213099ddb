// SPDX-License-Identifier: MIT
//
// Memory that all processes of a run share, made before they are.
#pragma once

#include <cerrno>
#include <cstddef>
#include <new>
#include <sys/mman.h>
#include <system_error>
#include <type_traits>
#include <utility>

namespace bench {

template <typename T>
class shared {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    explicit shared(std::size_t count = 1) : size_(count * sizeof(T)) {
        memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory_ == MAP_FAILED) {
            throw std::system_error(errno, std::generic_category(), "shared memory");
        }
        for (std::size_t i = 0; i < count; ++i) {
            new (static_cast<T *>(memory_) + i) T;
        }
    }
    shared(shared &&other) noexcept
        : memory_(std::exchange(other.memory_, MAP_FAILED)), size_(other.size_) {}
    shared &operator=(shared &&) = delete;
    shared(const shared &) = delete;
    shared &operator=(const shared &) = delete;
    ~shared() {
        if (memory_ != MAP_FAILED) {
            munmap(memory_, size_);
        }
    }

    T &operator*() const { return *get(); }
    T *operator->() const { return get(); }
    T &operator[](std::size_t index) const { return get()[index]; }
    T *get() const { return static_cast<T *>(memory_); }

private:
    void *memory_;
    std::size_t size_;
};

} // namespace bench
