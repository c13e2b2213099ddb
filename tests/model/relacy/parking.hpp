// SPDX-License-Identifier: MIT
//
// No wake-up is lost. Nothing but a wake-up, or a nap, ends a sleep here: one that is lost is a
// deadlock.
#pragma once

#include "scenario.hpp"

namespace model {

// On the futex.
struct parking : scenario {
    explicit parking(int consumers)
        : scenario({.joined_before = consumers, .per_ring = 4, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t messages = 3;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                before_publishing();
                RL_ASSERT(publish(number));
            } else {
                RL_ASSERT(sleep_and_read(consumers_[thread], number) == ZBQ_OK);
            }
        }
    }

    // It commits for one who sleeps, or is about to; or at any time.
    virtual void before_publishing() {
        if (rl::rand(2) == 0) {
            await_mark(0);
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

// Whoever is woken finds what it was woken for: it need not sleep again.
struct woken_for_one : scenario {
    woken_for_one() : scenario({.per_ring = 4, .mode = ZBQ_WAKEUP_PUSH}) {}

    void run(int thread) override {
        if (thread == 0) {
            RL_ASSERT(publish(0));
            return;
        }
        const std::uint32_t token = zbq_consumer_get_futex_token(consumers_[1]);
        if (read(consumers_[1], 0) == ZBQ_ERROR_AGAIN) {
            RL_ASSERT(zbq_consumer_wait(consumers_[1], token, ZBQ_WAIT_SLICE_NS) == ZBQ_OK);
            RL_ASSERT(read(consumers_[1], 0) == ZBQ_OK);
        }
    }
};

// Its wake-ups have cost more than its share: from the first of them on it is left alone, for
// longer than a nap, and told so.
struct left_alone : parking {
    left_alone() : parking(1) {}

    void before() override {
        parking::before();
        producer_->slots[0].wakes.credit = -static_cast<std::int64_t>(zbq::core::nap_ns);
    }
};
// The taking of a mark and the setting of one, every schedule of them: a mark that is not taken was
// set by one who knows until when it is left alone.
struct taken_or_told : scenario {
    taken_or_told() : scenario({.mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t quiet = ZBQ_WAIT_SLICE_NS;

    void run(int thread) override {
        zbq_consumer_metadata *page = producer_->slots[0].page();
        zbq_parking *place = producer_->slots[0].parking();
        if (thread == 0) {
            zbq::core::quiet_publish(page, kernel_.now() + quiet);
            taken_ = zbq::core::parked_take(place) != 0;
        } else {
            zbq::core::park_announce(place, zbq::core::parked_on_futex);
            nap_ = zbq::core::nap_length(page);
        }
    }
    void finish() override { RL_ASSERT(taken_ || nap_ > quiet / 2); }

private:
    bool taken_ = false;
    std::uint64_t nap_ = 0;
};
struct polling_left_alone : left_alone {
    int sleep_and_read(zbq_consumer *cons, std::uint64_t number) override {
        return read_polling(cons, number);
    }
};

// As with many consumers: no commit looks at the marks themselves, and few look at the clock long
// after the last look.
struct seldom_looked_at : parking {
    seldom_looked_at() : parking(2) {}

    void before_publishing() override {
        parking::before_publishing();
        producer_->window.parking_count = 0;
        producer_->window.unusual |= zbq::core::looks_by_clock;
    }
};

// As parking_two, and the ring is full in between: both sides come to wait.
struct parking_in_a_full_ring : scenario {
    parking_in_a_full_ring() : scenario({.joined_before = 2, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t messages = 4;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < messages; ++number) {
            if (thread == 0) {
                publish_spinning(number);
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
                RL_ASSERT(broadcast(id) == ZBQ_OK);
            } else {
                RL_ASSERT(receive_waiting(consumers_[1], id) == ZBQ_OK);
            }
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

// For messages and records in turns, where a look for the one takes off the bell of the other.
struct polling_for_both : scenario {
    polling_for_both() : scenario({.per_ring = 4, .mode = ZBQ_WAKEUP_PUSH}) {}
    static constexpr std::uint64_t both = 2;

    void run(int thread) override {
        for (std::uint64_t number = 0; number < both; ++number) {
            if (thread == 0) {
                RL_ASSERT(publish(number));
                RL_ASSERT(broadcast(number + 1) == ZBQ_OK);
            } else {
                read_both(number);
            }
        }
    }

    // As an event loop: both are looked for, then it polls.
    void read_both(std::uint64_t number) {
        const int watch = zbq_consumer_event_fd(consumers_[1]);
        bool has_message = false;
        bool has_record = false;
        for (;;) {
            has_message = has_message || read(consumers_[1], number) == ZBQ_OK;
            has_record = has_record || receive(consumers_[1], number + 1) == ZBQ_OK;
            if (has_message && has_record) {
                return;
            }
            kernel_.poll(watch, machine::longest_nap);
        }
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
