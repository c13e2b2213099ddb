// SPDX-License-Identifier: MIT
//
// The floor of throughput: the least that a ring between two processes can be. One receiver,
// which trusts all it reads, spins, and cannot die.
#pragma once

#include "../link.hpp"
#include "../shared.hpp"

#include <algorithm>
#include <atomic>

namespace bench {

class bare_ring {
public:
    static constexpr const char *name = "bare ring";

    explicit bare_ring(const link_options &options)
        : options_(options), slot_(round_up(sizeof(header) + options.size)),
          capacity_(slot_ * std::max(options.ring_bytes / slot_, fewest)), data_(capacity_),
          ends_(1) {}

    void become_sender() {}
    void become_receiver(unsigned /*index*/) {}

    void send(std::size_t size, std::uint64_t number) {
        while (head_ + slot_ - tail_ > capacity_) {
            publish_head();
            pause_processor();
            tail_ = ends_->tail.load(std::memory_order_acquire);
        }
        const header head = {size, 0};
        std::memcpy(place(), &head, sizeof head);
        fill(place() + sizeof head, size, number);
        head_ += slot_;
        advance();
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
            __builtin_prefetch(place());
            pause_processor();
        }
        while (tail_ != head) {
            header about = {};
            std::memcpy(&about, place(), sizeof about);
            visit(std::span<const std::byte>(place() + sizeof about, about.size));
            tail_ += slot_;
            advance();
            if (tail_ - published_tail_ >= capacity_ / 16) {
                publish_tail();
            }
        }
    }

private:
    struct header {
        std::uint64_t size;
        std::uint64_t unused;
    };
    static constexpr std::size_t fewest = 8; // messages in the ring
    static constexpr std::size_t round_up(std::size_t bytes) { return (bytes + 15) & ~15UL; }
    struct ends {
        alignas(64) std::atomic<std::uint64_t> head{0};
        alignas(64) std::atomic<std::uint64_t> tail{0};
    };

    [[nodiscard]] std::byte *place() const { return data_.get() + at_; }
    void advance() {
        at_ += slot_;
        at_ = at_ == capacity_ ? 0 : at_;
    }
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
    std::size_t at_ = 0; // of this end's next message
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0; // as far as this process knows
    std::uint64_t published_tail_ = 0;
    unsigned unpublished_ = 0;
};

} // namespace bench
