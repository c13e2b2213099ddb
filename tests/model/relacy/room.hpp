// SPDX-License-Identifier: MIT
//
// A producer that sleeps until there is room, in the ring or for descriptors, is rung for it. It
// naps once; a ring that is lost then is a deadlock.
#pragma once

#include "scenario.hpp"

namespace model {

struct waiting_producer : scenario {
    using scenario::scenario;

    virtual int attempt(std::uint64_t number) = 0; // the producer's
    virtual void take(std::uint64_t number) = 0;   // the consumer's
    static constexpr std::uint64_t turns = 4;

    void run(int thread) override {
        const int watch = thread == 0 ? zbq_producer_event_fd(producer_) : 0;
        for (std::uint64_t number = 0; number < turns; ++number) {
            if (thread == 1) {
                take(number);
                continue;
            }
            while (attempt(number) == ZBQ_ERROR_AGAIN) {
                kernel_.poll(watch, zbq::core::nap_ns);
            }
        }
    }
};

struct room : waiting_producer {
    room() : waiting_producer({.per_ring = 1, .mode = ZBQ_WAKEUP_PUSH}) {}

    int attempt(std::uint64_t number) override {
        return publish(number) ? ZBQ_OK : ZBQ_ERROR_AGAIN;
    }
    void take(std::uint64_t number) override {
        RL_ASSERT(read_waiting(consumers_[1], number) == ZBQ_OK);
    }
};

struct room_for_records : waiting_producer {
    room_for_records() : waiting_producer({.mode = ZBQ_WAKEUP_PUSH, .records_in_flight = 1}) {}

    int attempt(std::uint64_t number) override {
        const int result = broadcast(number + 1);
        RL_ASSERT(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
        return result;
    }
    void take(std::uint64_t number) override {
        RL_ASSERT(receive_waiting(consumers_[1], number + 1) == ZBQ_OK);
    }
};

} // namespace model
