// SPDX-License-Identifier: MIT
//
// An observer beside a producer that laps it: whatever it is told was whole was whole, and the
// stream is never malformed to it.
#pragma once

#include "scenario.hpp"

namespace model {

struct observing : scenario {
    explicit observing(std::uint64_t per_ring)
        : scenario({.per_ring = per_ring, .mode = ZBQ_OBSERVE_PULL, .plain_payload = false}) {}

    // Any message: which one it is, its offset tells.
    int look_at_any(zbq_consumer *cons) {
        zbq_read_window *window = zbq_consumer_window(cons);
        zbq_msg_view view = {};
        const int result =
            with_.without_calls ? zbq_window_next(window, &view) : zbq_consumer_peek(cons, &view);
        RL_ASSERT(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
        if (result == ZBQ_OK) {
            const std::uint64_t number = view.logical_offset / numbered(0).total();
            const bool whole = payloads_.is_whole(view, numbered(number), false);
            RL_ASSERT(whole || !zbq_window_valid_from(window, view.logical_offset));
            zbq_consumer_publish(cons, view.logical_offset + view.total_len);
        }
        return result;
    }
};

// The floor, the bytes written below it and one look: every schedule of them.
struct lapped_look : observing {
    lapped_look() : observing(1) {}

    void before() override {
        scenario::before();
        RL_ASSERT(publish(0));
        RL_ASSERT(zbq_consumer_look(consumers_[1]) == ZBQ_OK);
    }

    void run(int thread) override {
        if (thread == 0) {
            zbq::core::floor_publish(producer_->control, capacity);
            payloads_.write(producer_->ring, numbered(1), false);
        } else {
            look_at_the_first();
        }
    }

    void look_at_the_first() {
        zbq_read_window *window = zbq_consumer_window(consumers_[1]);
        zbq_msg_view view = {};
        const bool whole = zbq_window_view(window, window->next, window->cursor, &view) &&
                           payloads_.is_whole(view, numbered(0), false);
        RL_ASSERT(whole || !zbq_window_valid_from(window, 0));
    }
};

struct lapped_again_and_again : observing {
    lapped_again_and_again() : observing(2) {}

    void run(int thread) override {
        for (std::uint64_t number = 0; number < 5; ++number) {
            if (thread == 0) {
                RL_ASSERT(publish(number));
            } else {
                look_at_any(consumers_[1]);
            }
        }
    }
};

struct newest_only : observing {
    newest_only() : observing(2) {}

    void run(int thread) override {
        for (std::uint64_t number = 0; number < 4; ++number) {
            if (thread == 0) {
                RL_ASSERT(publish(number));
            } else {
                const int result = zbq_consumer_seek(consumers_[1], ZBQ_SEEK_NEWEST);
                RL_ASSERT(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
                look_at_any(consumers_[1]);
            }
        }
    }
};

} // namespace model
