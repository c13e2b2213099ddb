// SPDX-License-Identifier: MIT
//
// Messages arrive in order, each once and whole, and none is overwritten that a consumer has not
// released. Nobody is evicted, both sides spin, and the payload is plain: a read that the
// producer's next write could meet is a race.
#pragma once

#include "scenario.hpp"

namespace model {

struct stream : scenario {
    stream() : scenario({.joined_before = 2}) {}
    static constexpr std::uint64_t messages = 5;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                publish_spinning(number);
            } else {
                RL_ASSERT(read_spinning(consumers_[thread], number) == ZBQ_OK);
            }
        }
    }
};

// So small that every schedule can be tried: one message, one look.
struct first_message : scenario {
    first_message() : scenario({.per_ring = 1}) {}

    void run(int thread) override {
        if (thread == 0) {
            RL_ASSERT(publish(0));
        } else {
            const int result = read(consumers_[1], 0);
            RL_ASSERT(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
        }
    }
};

// One message that is in the way of the next.
struct second_lap : scenario {
    second_lap() : scenario({.per_ring = 1}) {}

    void before() override {
        scenario::before();
        RL_ASSERT(publish(0));
    }

    void run(int thread) override {
        if (thread == 0) {
            publish(1);
        } else {
            RL_ASSERT(read(consumers_[1], 0) == ZBQ_OK);
        }
    }
};

} // namespace model
