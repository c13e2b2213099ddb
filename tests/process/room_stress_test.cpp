// SPDX-License-Identifier: MIT
//
// Nothing is lost: a producer that sleeps until its descriptor is readable, and consumers that
// sleep until theirs is. What this cannot show: that it was a ring which woke either, and not the
// timer that ends a nap; orders of memory that this machine's processor does not use. The model
// does.
#include "producer.hpp"
#include "support/remote.hpp"
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <poll.h>
#include <random>
#include <vector>

namespace {

constexpr uint64_t messages = test::sanitized ? 20'000 : 300'000;

void wait_for(int fd) {
    pollfd polled = {fd, POLLIN, 0};
    while (poll(&polled, 1, -1) != 1) {
    }
}

void pause_for(std::minstd_rand *random) {
    const uint64_t until = zbq::core::monotonic_ns() + (*random)() % 4096;
    while (zbq::core::monotonic_ns() < until) {
    }
}

// 0 when every message came, in order. Releases one, or some, at a time.
int read_by_events(zbq_consumer *cons, unsigned seed) {
    std::minstd_rand random(seed);
    const int fd = zbq_consumer_event_fd(cons);
    uint64_t expected = 0;
    uint64_t end = 0;
    while (true) {
        zbq_msg_view view = {};
        const int result = zbq_consumer_next(cons, &view);
        if (result == ZBQ_OK) {
            if (*static_cast<const uint64_t *>(view.payload) != expected++) {
                return 1;
            }
            end = view.logical_offset + view.total_len;
            if (random() % 4 == 0) {
                zbq_consumer_publish(cons, end);
            }
            continue;
        }
        if (result != ZBQ_ERROR_AGAIN) {
            return result == ZBQ_ERROR_NOENT && expected == messages ? 0 : 2;
        }
        zbq_consumer_publish(cons, end);
        if (random() % 4 == 0) {
            pause_for(&random);
        }
        wait_for(fd);
    }
}

uint64_t publish_by_events(zbq_producer *prod) {
    const int fd = zbq_producer_event_fd(prod);
    std::minstd_rand random(1);
    uint64_t sleeps = 0;
    for (uint64_t number = 0; number < messages;) {
        const uint64_t size = 32 + random() % 64 * 16;
        zbq_contiguous_run run = {};
        if (zbq_producer_reserve(prod, size, &run) != ZBQ_OK) {
            wait_for(fd);
            ++sleeps;
            continue;
        }
        auto *header = static_cast<zbq_msg_header *>(run.base);
        *header = {static_cast<uint32_t>(size - sizeof *header), 0, 0, 0, 0};
        *reinterpret_cast<uint64_t *>(header + 1) = number++;
        zbq_producer_commit(prod, size, ZBQ_COMMIT_NONE);
        if (random() % 64 == 0) {
            pause_for(&random);
        }
    }
    return sleeps;
}

TEST(RoomStress, Processes) {
    test::start_watchdog();
    auto prod = test::make_producer({.capacity = test::page, .clog_threshold = UINT64_MAX});
    std::vector<std::unique_ptr<test::remote_consumer>> consumers;
    for (unsigned seed = 2; seed < 4; ++seed) {
        consumers.push_back(std::make_unique<test::remote_consumer>(
            prod, ZBQ_WAKEUP_PUSH,
            [seed](zbq_consumer *cons) { return read_by_events(cons, seed); }));
    }
    EXPECT_GT(publish_by_events(prod.get()), 0U);
    prod.reset();
    for (const auto &consumer : consumers) {
        EXPECT_EQ(consumer->process().wait(), 0);
    }
}

} // namespace
