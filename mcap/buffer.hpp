// SPDX-License-Identifier: MIT
//
// Bytes that grow at their end, and are not set before they are written.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace zbq::mcap {

using bytes = std::span<const std::byte>;

class buffer {
public:
    buffer() = default;
    buffer(const buffer &) = delete;
    buffer &operator=(const buffer &) = delete;
    buffer(buffer &&other) noexcept { *this = std::move(other); }
    buffer &operator=(buffer &&other) noexcept {
        memory_ = std::move(other.memory_);
        size_ = std::exchange(other.size_, 0);
        capacity_ = std::exchange(other.capacity_, 0);
        return *this;
    }
    ~buffer() = default;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::byte *data() { return memory_.get(); }
    [[nodiscard]] bytes view() const { return {memory_.get(), size_}; }

    // Room at the end; what is behind it stays where it is until the next call.
    std::byte *room(std::size_t size) {
        if (capacity_ - size_ < size) {
            reserve(std::max(size_ + size, capacity_ * 2));
        }
        return memory_.get() + size_;
    }
    [[nodiscard]] std::size_t left() const { return capacity_ - size_; } // without growing
    // So much of that room is in use now.
    void use(std::size_t size) { size_ += size; }

    void append(bytes more) {
        if (!more.empty()) {
            std::memcpy(room(more.size()), more.data(), more.size());
            use(more.size());
        }
    }
    void shrink(std::size_t size) { size_ = size; }
    void reserve(std::size_t capacity) {
        if (capacity <= capacity_) {
            return;
        }
        auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
        std::copy_n(memory_.get(), size_, larger.get());
        memory_ = std::move(larger);
        capacity_ = capacity;
    }

private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

} // namespace zbq::mcap
