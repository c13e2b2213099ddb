// SPDX-License-Identifier: MIT
//
// No wake-up is ever lost: a million messages, pauses at random on both sides. The
// sleepers here sleep without the time limit that zbq_consumer_wait_broadcast has, and the
// producer often waits until all is read, so that a lost wake-up is a hang.
// What this cannot show: orders of memory that this machine's processor does not use.
#include "consumer.hpp"
#include "support/remote.hpp"
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <sched.h>
#include <thread>
#include <vector>

namespace {

constexpr uint64_t messages = test::sanitized ? 50'000 : 500'000;
constexpr uint64_t an_hour = 3'600'000'000'000;

using random_source = std::minstd_rand;

// Up to a few microseconds, about as long as it takes to park, so that commit and park meet
// at every distance.
void pause_for(random_source *random) {
    const uint64_t until = zbq::core::monotonic_ns() + (*random)() % 4096;
    while (zbq::core::monotonic_ns() < until) {
    }
}

// 0 when every message came, in order.
int read_to_the_end(zbq_consumer *cons, unsigned seed, uint64_t total) {
    random_source random(seed);
    uint64_t expected = 0;
    while (true) {
        const uint32_t token = zbq_consumer_get_futex_token(cons);
        zbq_msg_view view = {};
        const int result = zbq_consumer_peek(cons, &view);
        if (result == ZBQ_OK) {
            if (*static_cast<const uint64_t *>(view.payload) != expected++) {
                return 1;
            }
            zbq_consumer_publish(cons, view.logical_offset + view.total_len);
            continue;
        }
        if (result != ZBQ_ERROR_AGAIN) {
            return result == ZBQ_ERROR_NOENT && expected == total ? 0 : 2;
        }
        if (random() % 4 == 0) {
            pause_for(&random);
        }
        zbq::core::park(cons->control(), &cons->parking, token, an_hour);
    }
}

void wait_until_all_is_read(zbq_producer *prod) {
    zbq_producer_statistics now = {};
    do {
        sched_yield();
        zbq_producer_stats(prod, &now);
    } while (now.slowest_tail != now.head);
}

void publish_all(zbq_producer *prod, uint64_t total) {
    random_source random(1);
    for (uint64_t number = 0; number < total;) {
        zbq_contiguous_run run = {};
        if (zbq_producer_reserve(prod, 32, &run) != ZBQ_OK) {
            sched_yield();
            continue;
        }
        auto *header = static_cast<zbq_msg_header *>(run.base);
        *header = {sizeof number, 0, 0, 0, 0};
        *reinterpret_cast<uint64_t *>(header + 1) = number++;
        zbq_producer_commit(prod, 32, ZBQ_COMMIT_NONE);
        if (random() % 64 == 0) {
            wait_until_all_is_read(prod);
            pause_for(&random);
        }
    }
}

TEST(WakeStress, Threads) {
    test::start_watchdog();
    auto prod = test::make_producer({.capacity = 4 * test::page});
    std::vector<test::joined> consumers;
    consumers.push_back(test::join(prod.get()));
    consumers.push_back(test::join(prod.get()));
    std::vector<int> results(consumers.size(), -1);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < consumers.size(); ++i) {
        threads.emplace_back([&, i] {
            results[i] = read_to_the_end(consumers[i].consumer.get(), static_cast<unsigned>(i) + 2,
                                         messages);
        });
    }
    publish_all(prod.get(), messages);
    prod.reset();
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(results, std::vector<int>(consumers.size(), 0));
}

void stress_processes(unsigned count, uint64_t total) {
    test::start_watchdog();
    auto prod = test::make_producer({.capacity = 4 * test::page, .max_consumers = count});
    std::vector<std::unique_ptr<test::remote_consumer>> consumers;
    for (unsigned seed = 2; seed < 2 + count; ++seed) {
        consumers.push_back(std::make_unique<test::remote_consumer>(
            prod, ZBQ_WAKEUP_PUSH,
            [seed, total](zbq_consumer *cons) { return read_to_the_end(cons, seed, total); }));
    }
    publish_all(prod.get(), total);
    EXPECT_GT(test::stats(prod.get()).wakes, 0U);
    prod.reset();
    for (const auto &consumer : consumers) {
        EXPECT_EQ(consumer->process().wait(), 0);
    }
}

TEST(WakeStress, Processes) {
    stress_processes(2, messages);
}

// So many that not every commit looks who is parked.
TEST(WakeStress, ManyProcesses) {
    stress_processes(12, messages / 5);
}

} // namespace
