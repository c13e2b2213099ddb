// SPDX-License-Identifier: MIT
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/process.hpp"
#include "support/rig.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

namespace {

class Wait : public testing::Test {
protected:
    int wait(uint32_t token) { return zbq_consumer_wait_broadcast(cons_, token); }
    uint32_t token() { return zbq_consumer_get_futex_token(cons_); }

    test::producer_ptr prod_ = test::make_producer({.capacity = test::page});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
};

TEST_F(Wait, RefusesNullAndPullMode) {
    EXPECT_EQ(zbq_consumer_wait_broadcast(nullptr, 0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_get_futex_token(nullptr), 0U);
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    EXPECT_EQ(zbq_consumer_wait_broadcast(pull.consumer.get(), 0), ZBQ_ERROR_INVALID);
}

TEST_F(Wait, ReturnsAtOnceWhenTheWordDiffers) {
    const uint32_t before = token();
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(wait(before), ZBQ_OK);
    EXPECT_EQ(wait(before), ZBQ_OK); // and again
}

TEST_F(Wait, EndsWithTheTimeOut) {
    EXPECT_EQ(zbq_consumer_wait(cons_, token(), 0), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_wait(cons_, token(), 1), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_wait(cons_, token(), UINT64_MAX), ZBQ_ERROR_AGAIN); // the slice
}

TEST_F(Wait, EndsWithTheSliceWhenNothingHappens) {
    EXPECT_EQ(wait(token()), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
}

// The producer fences for who sleeps, and stops when it has found nobody asleep for a while.
TEST_F(Wait, FencesFollowAWake) {
    const zbq_consumer_metadata *page = zbq_consumer_meta(cons_);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(page->fenced, 0U);
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    for (unsigned i = 0; i < zbq::core::fences_after_a_wake; ++i) {
        ASSERT_TRUE(test::publish(prod_.get(), "x"));
        EXPECT_EQ(page->fenced, 1U);
    }
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(page->fenced, 0U);
    EXPECT_EQ(prod_->window.unusual, 0U);
}

// It looks once more after it has taken that back: a consumer may have counted on it.
TEST_F(Wait, WhoParksAtTheLastFenceIsWoken) {
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    for (unsigned i = 0; i < zbq::core::fences_after_a_wake; ++i) {
        ASSERT_TRUE(test::publish(prod_.get(), "x"));
    }
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
    EXPECT_EQ(zbq_consumer_meta(cons_)->fenced, 1U);
}

void ignore(int /*signal*/) {}

TEST_F(Wait, ASignalIsAgain) {
    struct sigaction action = {};
    action.sa_handler = ignore;
    ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
    const itimerval every_millisecond = {{0, 1000}, {0, 1000}};
    const itimerval never = {};
    const uint32_t before = token();
    ASSERT_EQ(setitimer(ITIMER_REAL, &every_millisecond, nullptr), 0);
    EXPECT_EQ(wait(before), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
}

TEST_F(Wait, EndOfTheStream) {
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    const uint32_t before = token();
    prod_.reset();
    EXPECT_EQ(wait(before), ZBQ_OK); // there is something to read
    EXPECT_EQ(test::skip_all(cons_), 1);
    EXPECT_EQ(wait(before), ZBQ_ERROR_NOENT);
    EXPECT_EQ(wait(token()), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, EvictedIsToldBeforeAnythingElse) {
    ASSERT_TRUE(test::publish(prod_.get(), "unread"));
    zbq::core::tail_publish(zbq_consumer_meta(cons_), 8);
    const uint32_t before = token();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(wait(before), ZBQ_ERROR_NOENT);
    EXPECT_EQ(wait(token()), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, ProducerInThisProcessIsAlive) {
    EXPECT_TRUE(zbq_consumer_is_producer_alive(cons_));
    prod_.reset();
    EXPECT_TRUE(zbq_consumer_is_producer_alive(cons_)); // the process runs on
}

// Sleeps, as the page tells, until something happens in this thread; without the time limit
// of zbq_consumer_wait_broadcast, so that a wake-up that does not come is a hang.
class Sleeper {
public:
    explicit Sleeper(zbq_consumer *cons)
        : cons_(cons), token_(zbq_consumer_get_futex_token(cons)), thread_([this] { run(); }) {
        while (zbq::core::parked_seen(zbq_consumer_meta(cons_)->parking) == 0) {
            std::this_thread::yield();
        }
    }
    int result() {
        thread_.join();
        return result_;
    }

private:
    void run() {
        constexpr uint64_t an_hour = 3'600'000 * test::ms;
        zbq::core::park(cons_->control, &cons_->parking, token_, an_hour);
        result_ = zbq_consumer_wait_broadcast(cons_, token_);
    }

    zbq_consumer *cons_;
    uint32_t token_;
    int result_ = 0;
    std::thread thread_;
};

TEST_F(Wait, SleeperIsWokenByACommit) {
    Sleeper sleeper(cons_);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(sleeper.result(), ZBQ_OK);
}

TEST_F(Wait, SleeperIsWokenByDescriptors) {
    Sleeper sleeper(cons_);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_EQ(sleeper.result(), ZBQ_OK);
}

TEST_F(Wait, SleeperIsWokenByTheEnd) {
    Sleeper sleeper(cons_);
    prod_.reset();
    EXPECT_EQ(sleeper.result(), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, SleeperIsWokenByItsEviction) {
    Sleeper sleeper(cons_);
    zbq::core::tail_publish(zbq_consumer_meta(cons_), 8);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(sleeper.result(), ZBQ_ERROR_NOENT);
}

} // namespace
