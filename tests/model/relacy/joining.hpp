// SPDX-License-Identifier: MIT
//
// A join in the middle of the traffic, into a slot that nobody had or that somebody lost: the
// newcomer reads everything from its start on, the others notice nothing.
#pragma once

#include "scenario.hpp"

namespace model {

struct newcomer : scenario {
    using scenario::scenario;
    static constexpr unsigned messages = 4;

    void produce(std::uint64_t join_after) {
        for (std::uint64_t number = 0; number < messages; ++number) {
            publish_spinning(number);
            if (number == join_after) {
                let_in();
            }
        }
    }

    // Where no slot is free, one will be: whoever has it hangs.
    void let_in() {
        int result = handshake(2);
        while (result == ZBQ_ERROR_NOENT) {
            rl::yield(1, RL_INFO);
            result = handshake(2);
        }
        RL_ASSERT(result == ZBQ_OK);
    }

    void join_and_read() {
        while (join(2) == ZBQ_ERROR_AGAIN) {
            rl::yield(1, RL_INFO);
        }
        zbq_consumer *cons = consumers_[2];
        std::uint64_t number = zbq_consumer_tail(cons) / numbered(0).total();
        for (; number < messages; ++number) {
            const int result = read_spinning(cons, number);
            RL_ASSERT(result == ZBQ_OK || with_.stall_timeout != 0);
            if (result != ZBQ_OK) {
                RL_ASSERT(zbq_consumer_ending(cons, nullptr) == ZBQ_ENDING_EVICTED);
                return;
            }
        }
    }
};

struct joining : newcomer {
    joining() : newcomer(options{}) {}

    void run(int thread) override {
        if (thread == 0) {
            produce(rl::rand(messages));
        } else if (thread == 2) {
            join_and_read();
        } else {
            for (std::uint64_t number = 0; number < messages; ++number) {
                RL_ASSERT(read_spinning(consumers_[1], number) == ZBQ_OK);
            }
        }
    }
};

// There is one slot, and who has it hangs: it gets a page of its own back as it was left.
struct slot_reuse : newcomer {
    slot_reuse() : newcomer({.stall_timeout = 1, .max_consumers = 1, .plain_payload = false}) {}

    void run(int thread) override {
        if (thread == 0) {
            produce(2); // two fill the ring: the third evicts
        } else if (thread == 2) {
            join_and_read();
        } else {
            while (look(consumers_[1], 0) != ZBQ_ERROR_NOENT) {
                rl::yield(1, RL_INFO);
            }
            RL_ASSERT(zbq_consumer_ending(consumers_[1], nullptr) == ZBQ_ENDING_EVICTED);
        }
    }
};

} // namespace model
