// SPDX-License-Identifier: MIT
//
// System calls of the fast path, counted by the kernel's tracer.
#include "support/remote.hpp"
#include "support/sanitizer.hpp"
#include "support/syscalls.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <vector>

namespace {

class WakeCount : public testing::Test {
protected:
    void SetUp() override {
        if (test::sanitized) {
            GTEST_SKIP() << "the sanitizers' runtimes make system calls of their own";
        }
    }
};

TEST_F(WakeCount, FastPathMakesNoSystemCall) {
    const test::syscall_counts counts = test::count_syscalls([] {
        const auto prod = test::make_producer({.capacity = test::page});
        const test::joined push = test::join(prod.get());
        const test::joined pull = test::join(prod.get(), ZBQ_WAKEUP_PULL);
        zbq_consumer_publish(push.consumer.get(), 0); // the clock's first call may look around
        test::begin_counting();
        for (int i = 0; i < 1000; ++i) { // many times round the ring
            const zbq_contiguous_run run = zbq_producer_query(prod.get());
            CHILD_CHECK(run.max_bytes >= 64);
            *static_cast<zbq_msg_header *>(run.base) = {48, 0, 0, 0, 0};
            CHILD_CHECK(zbq_producer_commit(prod.get(), 64, ZBQ_COMMIT_NONE));
            for (zbq_consumer *cons : {push.consumer.get(), pull.consumer.get()}) {
                zbq_msg_view view = {};
                CHILD_CHECK(zbq_consumer_peek(cons, &view) == ZBQ_OK);
                CHILD_CHECK(zbq_consumer_valid(cons));
                zbq_consumer_publish(cons, view.logical_offset + view.total_len);
                CHILD_CHECK(zbq_consumer_next(cons, &view) == ZBQ_ERROR_AGAIN);
            }
        }
        test::end_counting();
        return 0;
    });
    EXPECT_EQ(counts.exit_status, 0);
    EXPECT_EQ(counts.total(), 0);
}

// A wake-up that seems to have taken long makes the next one be measured, by two calls at a clock.
int but_for_the_clock(const test::syscall_counts &counts) {
    const auto clock = counts.by_number.find(SYS_clock_gettime);
    return counts.total() - (clock == counts.by_number.end() ? 0 : clock->second);
}

// The traced process is the producer; the sleepers are its children, and not traced.
int commits_with_sleepers(int sleepers, int commits) {
    const auto prod = test::make_producer({.capacity = test::page});
    std::vector<std::unique_ptr<test::remote_consumer>> consumers;
    consumers.reserve(static_cast<std::size_t>(sleepers));
    for (int i = 0; i < sleepers; ++i) {
        consumers.push_back(std::make_unique<test::remote_consumer>(
            prod, ZBQ_WAKEUP_PUSH, [commits](zbq_consumer *cons) {
                std::string payload;
                for (int read = 0; read < commits; ++read) {
                    CHILD_CHECK(test::wait_and_read(cons, &payload) == ZBQ_OK);
                }
                return 0;
            }));
    }
    for (int i = 0; i < commits; ++i) {
        for (const auto &consumer : consumers) {
            test::wait_until_parked(prod.get(), consumer->slot());
        }
        test::begin_counting();
        CHILD_CHECK(test::publish(prod.get(), "x"));
        test::end_counting();
    }
    int status = 0;
    for (const auto &consumer : consumers) {
        status |= consumer->process().wait();
    }
    return status;
}

// Less where one was just between two slices of its sleep.
TEST_F(WakeCount, OneWakeAtMostForEachSleeperAndCommit) {
    constexpr int commits = 5;
    for (const int sleepers : {1, 2, 7}) {
        const auto counts =
            test::count_syscalls([=] { return commits_with_sleepers(sleepers, commits); });
        EXPECT_EQ(counts.exit_status, 0);
        EXPECT_LE(counts.futex_wakes, commits * sleepers) << sleepers << " sleepers";
        EXPECT_GT(counts.futex_wakes, 0) << sleepers << " sleepers";
        EXPECT_EQ(but_for_the_clock(counts), counts.futex_wakes) << sleepers << " sleepers";
    }
}

// A consumer that polls costs one system call for each time that it has to be woken, and none
// while it is awake.
TEST_F(WakeCount, OneRecordForAConsumerThatPolls) {
    constexpr int rounds = 5;
    const auto counts = test::count_syscalls([] {
        const auto prod = test::make_producer({.capacity = test::page});
        test::remote_consumer poller(prod, ZBQ_WAKEUP_PUSH, [](zbq_consumer *cons) {
            const int fd = zbq_consumer_event_fd(cons);
            int result = ZBQ_OK;
            for (int read = 0; read < 3 * rounds;) {
                std::string payload;
                result = test::read_one(cons, &payload);
                read += result == ZBQ_OK ? 1 : 0;
                pollfd polled = {fd, POLLIN, 0};
                CHILD_CHECK(result == ZBQ_OK || poll(&polled, 1, -1) == 1);
            }
            return 0;
        });
        for (int i = 0; i < rounds; ++i) {
            test::stop_parked(prod.get(), &poller);
            test::begin_counting();
            for (int commit = 0; commit < 3; ++commit) {
                CHILD_CHECK(test::publish(prod.get(), "x"));
            }
            test::end_counting();
            poller.process().signal(SIGCONT);
        }
        return poller.process().wait();
    });
    EXPECT_EQ(counts.exit_status, 0);
    EXPECT_EQ(counts.by_number.at(SYS_sendmsg), rounds);
    EXPECT_EQ(but_for_the_clock(counts), rounds);
}

TEST_F(WakeCount, ASleepBeginsWithANap) {
    const auto counts = test::count_syscalls([] {
        const auto prod = test::make_producer({.capacity = test::page});
        const test::joined joined = test::join(prod.get());
        zbq_consumer *cons = joined.consumer.get();
        constexpr std::uint64_t millisecond = 1'000'000;
        test::begin_counting();
        for (int i = 0; i < 10; ++i) {
            const std::uint32_t token = zbq_consumer_get_futex_token(cons);
            CHILD_CHECK(zbq_consumer_wait(cons, token, millisecond) == ZBQ_ERROR_AGAIN);
        }
        test::end_counting();
        return 0;
    });
    EXPECT_EQ(counts.exit_status, 0);
    EXPECT_EQ(counts.by_number.at(SYS_futex), 20);
}

// The mark is cleared by the wake: what follows before the sleepers run wakes nobody again.
TEST_F(WakeCount, CommitsThatFollowAWakeMakeNone) {
    const auto counts = test::count_syscalls([] {
        const auto prod = test::make_producer({.capacity = test::page});
        test::remote_consumer sleeper(prod, ZBQ_WAKEUP_PUSH, [](zbq_consumer *cons) {
            std::string payload;
            return test::wait_and_read(cons, &payload);
        });
        test::stop_parked(prod.get(), &sleeper);
        test::begin_counting();
        for (int i = 0; i < 10; ++i) {
            CHILD_CHECK(test::publish(prod.get(), "x"));
        }
        test::end_counting();
        sleeper.process().signal(SIGCONT);
        return sleeper.process().wait();
    });
    EXPECT_EQ(counts.exit_status, 0);
    EXPECT_EQ(counts.futex_wakes, 1);
    EXPECT_EQ(counts.total(), 1);
}

} // namespace
