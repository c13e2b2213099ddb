// SPDX-License-Identifier: MIT
//
// No wake-up is lost. Nothing but a wake-up, or a nap, ends a sleep here: one that is lost is a
// deadlock.
#pragma once

#include "scenario.hpp"

namespace model {

// On the futex, with the producer's fence coming and going.
struct parking : scenario {
    explicit parking(int consumers)
        : scenario({.joined_before = consumers, .per_ring = 4, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t messages = 3;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                RL_ASSERT(publish(number));
                shorten_fences(rl::rand(3));
            } else {
                RL_ASSERT(sleep_and_read(consumers_[thread], number) == ZBQ_OK);
            }
        }
    }

    virtual int sleep_and_read(zbq_consumer *cons, std::uint64_t number) {
        return read_waiting(cons, number);
    }
};
struct parking_one : parking {
    parking_one() : parking(1) {}
};
struct parking_two : parking {
    parking_two() : parking(2) {}
};

// As the last, and the ring is full in between: both sides come to wait.
struct parking_in_a_full_ring : scenario {
    parking_in_a_full_ring() : scenario({.joined_before = 2, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t messages = 4;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                publish_spinning(number);
                shorten_fences(rl::rand(3));
            } else {
                RL_ASSERT(read_waiting(consumers_[thread], number) == ZBQ_OK);
            }
        }
    }
};

// For records of descriptors.
struct parking_for_records : scenario {
    parking_for_records() : scenario({.mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t records = 2;

    void run(int thread) override {
        for (std::uint64_t id = 1; id <= records; ++id) {
            if (thread == 0) {
                const int fd = producer_->self.get();
                RL_ASSERT(zbq_producer_broadcast_fds(producer_, id, &fd, 1) == ZBQ_OK);
            } else {
                receive_waiting(id);
            }
        }
    }

    void receive_waiting(std::uint64_t id) {
        for (;;) {
            const std::uint32_t token = zbq_consumer_get_futex_token(consumers_[1]);
            int fds[ZBQ_MAX_FD_PER_MSG] = {};
            std::uint8_t count = 0;
            const int result = zbq_consumer_recv_fds(consumers_[1], id, fds, &count);
            if (result != ZBQ_ERROR_AGAIN) {
                RL_ASSERT(result == ZBQ_OK && count == 1);
                return;
            }
            zbq_consumer_wait(consumers_[1], token, ZBQ_WAIT_SLICE_NS);
        }
    }
};

// In a poll of the application.
struct polling : parking {
    polling() : parking(2) {}
    int sleep_and_read(zbq_consumer *cons, std::uint64_t number) override {
        return read_polling(cons, number);
    }
};

// One that polls may wait on the futex as well.
struct polling_and_parking : scenario {
    polling_and_parking() : scenario({.per_ring = 4, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t messages = 2;

    void run(int thread) override {
        if (thread == 1) {
            zbq_consumer_event_fd(consumers_[1]);
        }
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                RL_ASSERT(publish(number));
                shorten_fences(rl::rand(3));
            } else {
                const bool polls = rl::rand(2) == 0;
                const int result = polls ? read_polling(consumers_[1], number)
                                         : read_waiting(consumers_[1], number);
                RL_ASSERT(result == ZBQ_OK);
            }
        }
    }
};

} // namespace model
