// SPDX-License-Identifier: MIT
//
// The producer goes on past consumers that hang or die, and one that is evicted while it reads
// learns that what it read is torn: in every look, whole or told.
#pragma once

#include "scenario.hpp"

namespace model {

// It holds the first message and reads it again and again.
struct hung_reader : scenario {
    hung_reader() : scenario({.stall_timeout = 1, .plain_payload = false}) {}

    void run(int thread) override {
        if (thread == 0) {
            for (std::uint64_t number = 0; number < 4; ++number) {
                publish_spinning(number);
            }
            return;
        }
        int result = look(consumers_[1], 0);
        while (result == ZBQ_OK || result == ZBQ_ERROR_AGAIN) {
            rl::yield(1, RL_INFO);
            result = look(consumers_[1], 0);
        }
        RL_ASSERT(zbq_consumer_ending(consumers_[1], nullptr) == ZBQ_ENDING_EVICTED);
    }
};

// The mark, the bytes written after it and one look: every schedule of them.
struct torn_look : scenario {
    torn_look() : scenario({.per_ring = 1, .plain_payload = false}) {}

    void before() override {
        scenario::before();
        RL_ASSERT(publish(0));
        RL_ASSERT(zbq_consumer_acquire_head(consumers_[1]) == capacity);
    }

    void run(int thread) override {
        if (thread == 0) {
            zbq::core::eviction_mark(producer_->slots[0].page(), ZBQ_EVICTION_STALLED);
            payloads_.write(producer_->ring, numbered(1), false);
            overwrite_length();
        } else {
            const int result = look(consumers_[1], 0);
            RL_ASSERT(result == ZBQ_OK || result == ZBQ_ERROR_NOENT);
        }
    }

    // Later messages lie otherwise: where the length was is payload now.
    void overwrite_length() {
        auto *header = reinterpret_cast<zbq_msg_header *>(producer_->ring);
        __atomic_store_n(&header->payload_len, UINT32_MAX, __ATOMIC_RELAXED);
    }
};

// One hangs for ever, one reads: it loses nothing, unless it is taken for hung as well.
struct hung_beside_live : scenario {
    hung_beside_live()
        : scenario({.joined_before = 2, .stall_timeout = 1, .plain_payload = false}) {}
    static constexpr std::uint64_t messages = 4;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < messages && thread != 2; ++number) {
            if (thread == 0) {
                publish_spinning(number);
            } else if (read_spinning(consumers_[1], number) != ZBQ_OK) {
                RL_ASSERT(zbq_consumer_ending(consumers_[1], nullptr) == ZBQ_ENDING_EVICTED);
                return;
            }
        }
    }
};

// Evicted while they sleep, on the futex and in a poll: they wake, and are told.
struct evicted_sleepers : scenario {
    evicted_sleepers() : scenario({.joined_before = 2, .mode = ZBQ_WAKEUP_PUSH}) {}

    void run(int thread) override {
        if (thread == 0) {
            if (rl::rand(2) == 0) {
                await_mark(0);
            }
            evict(0);
            evict(1);
            return;
        }
        const int result =
            thread == 1 ? read_waiting(consumers_[1], 0) : read_polling(consumers_[2], 0);
        RL_ASSERT(result == ZBQ_ERROR_NOENT);
        RL_ASSERT(zbq_consumer_ending(consumers_[thread], nullptr) == ZBQ_ENDING_EVICTED);
    }

    void evict(unsigned slot) {
        zbq::core::evict(producer_, &producer_->slots[slot], ZBQ_EVICTION_PROTOCOL);
    }
};

// One dies after as many messages as it likes, asleep or awake; the other reads all.
struct dead_beside_live : scenario {
    dead_beside_live() : scenario({.joined_before = 2, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr unsigned messages = 5;

    void run(int thread) override {
        const std::uint64_t until = thread == 2 ? rl::rand(messages) : messages;
        for (std::uint64_t number = 0; number < until; ++number) {
            if (thread == 0) {
                publish_spinning(number);
            } else {
                RL_ASSERT(read_waiting(consumers_[thread], number) == ZBQ_OK);
            }
        }
        if (thread == 2) {
            zbq_consumer_destroy(std::exchange(consumers_[2], nullptr));
        }
    }
};

} // namespace model
