// SPDX-License-Identifier: MIT
//
// A producer that sleeps until there is room, in the ring or for descriptors, is rung for it. A
// ring that is lost is a deadlock.
#pragma once

#include "scenario.hpp"

namespace model {

struct waiting_for_room : scenario {
    explicit waiting_for_room(bool has_barrier)
        : scenario({.per_ring = 1, .has_barrier = has_barrier}) {}
    static constexpr std::uint64_t messages = 4;

    void run(int thread) override {
        const int watch = thread == 0 ? zbq_producer_event_fd(producer_) : 0;
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                while (!publish(number)) {
                    kernel_.poll(watch);
                }
            } else {
                RL_ASSERT(read_spinning(consumers_[1], number) == ZBQ_OK);
            }
        }
    }
};
struct room_by_barrier : waiting_for_room {
    room_by_barrier() : waiting_for_room(true) {}
};
struct room_by_fence : waiting_for_room {
    room_by_fence() : waiting_for_room(false) {}
};

struct room_for_records : scenario {
    room_for_records()
        : scenario({.mode = ZBQ_WAKEUP_PUSH, .has_barrier = false, .records_in_flight = 1}) {}
    static constexpr std::uint64_t records = 3;

    void run(int thread) override {
        const int watch = thread == 0 ? zbq_producer_event_fd(producer_) : 0;
        for (std::uint64_t id = 1; id <= records; ++id) {
            if (thread == 0) {
                send_polling(watch, id);
            } else {
                receive_spinning(id);
            }
        }
    }

    void send_polling(int watch, std::uint64_t id) {
        const int fd = producer_->self.get();
        int result = zbq_producer_broadcast_fds(producer_, id, &fd, 1);
        while (result == ZBQ_ERROR_AGAIN) {
            kernel_.poll(watch);
            result = zbq_producer_broadcast_fds(producer_, id, &fd, 1);
        }
        RL_ASSERT(result == ZBQ_OK);
    }

    void receive_spinning(std::uint64_t id) {
        int fds[ZBQ_MAX_FD_PER_MSG] = {};
        std::uint8_t count = 0;
        int result = zbq_consumer_recv_fds(consumers_[1], id, fds, &count);
        while (result == ZBQ_ERROR_AGAIN) {
            rl::yield(1, RL_INFO);
            result = zbq_consumer_recv_fds(consumers_[1], id, fds, &count);
        }
        RL_ASSERT(result == ZBQ_OK);
    }
};

} // namespace model
