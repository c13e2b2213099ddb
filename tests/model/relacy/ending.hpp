// SPDX-License-Identifier: MIT
//
// The end of the stream, by the producer's word or by its death: who reads on until there is
// nothing has read all that was committed, and is told which end it was.
#pragma once

#include "scenario.hpp"

namespace model {

struct ending_stream : scenario {
    ending_stream(zbq_ending ending, bool slices_end)
        : scenario({.joined_before = 2,
                    .per_ring = 4,
                    .mode = ZBQ_WAKEUP_PUSH,
                    .slices_end = slices_end}),
          ending_(ending) {}
    static constexpr unsigned most_messages = 3;

    virtual void end() = 0;

    void run(int thread) override {
        if (thread == 0) {
            committed_ = rl::rand(most_messages + 1);
            for (std::uint64_t number = 0; number < committed_; ++number) {
                RL_ASSERT(publish(number));
            }
            end();
            return;
        }
        std::uint64_t number = 0;
        while (read_one(thread, number) == ZBQ_OK) {
            ++number;
        }
        RL_ASSERT(number == committed_);
        RL_ASSERT(zbq_consumer_ending(consumers_[thread], nullptr) == ending_);
    }

    // One sleeps, one spins.
    int read_one(int thread, std::uint64_t number) {
        if (thread == 1) {
            return read_waiting(consumers_[1], number);
        }
        int result = read(consumers_[2], number);
        while (result == ZBQ_ERROR_AGAIN) {
            rl::yield(1, RL_INFO);
            zbq_consumer_is_producer_alive(consumers_[2]);
            result = read(consumers_[2], number);
        }
        return result;
    }

private:
    zbq_ending ending_;
    std::uint64_t committed_ = 0;
};

struct closing : ending_stream {
    closing() : ending_stream(ZBQ_ENDING_CLOSED, false) {}
    void end() override { zbq_producer_destroy(std::exchange(producer_, nullptr)); }
};

// The sleeper finds it out by itself, a slice after the last message.
struct dying : ending_stream {
    dying() : ending_stream(ZBQ_ENDING_PRODUCER_DIED, true) {}
    void end() override { kernel_.kill_producer(); }
};

// Its process runs on, without the sockets: it has executed another program.
struct executing : ending_stream {
    executing() : ending_stream(ZBQ_ENDING_PRODUCER_DIED, true) {}
    void end() override {
        for (unsigned slot = 0; slot < 2; ++slot) {
            producer_->slots[slot].event.reset();
        }
    }
};

} // namespace model
