// SPDX-License-Identifier: MIT
//
// The floor of throughput: the least that a ring between two processes can be. One receiver,
// which trusts all it reads, spins, and cannot die.
#pragma once

#include "../link.hpp"
#include "../shared.hpp"

#include <atomic>
#include <bit>

namespace bench {

class bare_ring {
public:
    static constexpr const char *name = "bare ring";

    explicit bare_ring(const link_options &options)
        : options_(options), slot_(round_up(header + options.size)), capacity_(capacity_for(slot_)),
          data_(capacity_), ends_(1) {}

    void become_sender() {}
    void become_receiver(unsigned /*index*/) {}

    void send(std::size_t size, std::uint64_t number) {
        std::uint64_t at = head_ & (capacity_ - 1);
        // What is left up to the end stays empty.
        const std::uint64_t skipped = at + slot_ > capacity_ ? capacity_ - at : 0;
        while (head_ + skipped + slot_ - tail_ > capacity_) {
            publish_head();
            pause_processor();
            tail_ = ends_->tail.load(std::memory_order_acquire);
        }
        head_ += skipped;
        at = skipped != 0 ? 0 : at;
        std::memcpy(data_.get() + at, &size, sizeof size);
        fill(data_.get() + at + header, size, number);
        head_ += slot_;
        if (++unpublished_ >= options_.batch) {
            publish_head();
        }
    }
    void flush() { publish_head(); }

    template <typename Visit>
    void receive(const Visit &visit) {
        const std::uint64_t head = ends_->head.load(std::memory_order_acquire);
        if (head == tail_) {
            // The next message's line then travels together with the head's, not after it.
            __builtin_prefetch(data_.get() + (tail_ & (capacity_ - 1)));
            pause_processor();
        }
        while (tail_ != head) {
            std::uint64_t at = tail_ & (capacity_ - 1);
            if (at + slot_ > capacity_) {
                tail_ += capacity_ - at;
                at = 0;
            }
            std::size_t size = 0;
            std::memcpy(&size, data_.get() + at, sizeof size);
            visit(std::span<const std::byte>(data_.get() + at + header, size));
            tail_ += slot_;
            if (tail_ - published_tail_ >= capacity_ / 16) {
                publish_tail();
            }
        }
    }

private:
    static constexpr std::size_t header = 16;
    static constexpr std::size_t round_up(std::size_t bytes) { return (bytes + 15) & ~15UL; }
    static constexpr std::size_t capacity_for(std::size_t slot) {
        return std::bit_ceil(std::max<std::size_t>(1U << 20U, 8 * slot));
    }
    struct ends {
        alignas(64) std::atomic<std::uint64_t> head{0};
        alignas(64) std::atomic<std::uint64_t> tail{0};
    };

    void publish_head() {
        unpublished_ = 0;
        ends_->head.store(head_, std::memory_order_release);
    }
    void publish_tail() {
        published_tail_ = tail_;
        ends_->tail.store(tail_, std::memory_order_release);
    }

    link_options options_;
    std::size_t slot_;
    std::size_t capacity_;
    shared<std::byte> data_;
    shared<ends> ends_;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0; // as far as this process knows
    std::uint64_t published_tail_ = 0;
    unsigned unpublished_ = 0;
};

} // namespace bench
