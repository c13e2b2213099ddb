// SPDX-License-Identifier: MIT
#include "atomics.hpp"
#include "support/rig.hpp"

#include <gtest/gtest.h>

namespace {

class Publish : public testing::Test {
protected:
    uint64_t published() { return zbq::core::tail_acquire(zbq_consumer_meta(cons_)); }

    test::producer_ptr prod_ = test::make_producer({.capacity = test::page});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
};

TEST_F(Publish, OfNullIsIgnored) {
    zbq_consumer_publish(nullptr, 16);
}

TEST_F(Publish, RoundsUpToTheGrid) {
    ASSERT_TRUE(test::publish(prod_.get(), "hello"));
    zbq_consumer_acquire_head(cons_);
    zbq_consumer_publish(cons_, 16 + 5);
    EXPECT_EQ(published(), 32U);
    EXPECT_EQ(zbq_consumer_tail(cons_), 32U);
}

TEST_F(Publish, BehindTheTailIsIgnored) {
    ASSERT_TRUE(test::publish(prod_.get(), "hello"));
    zbq_consumer_acquire_head(cons_);
    zbq_consumer_publish(cons_, 32);
    zbq_consumer_publish(cons_, 16);
    zbq_consumer_publish(cons_, 0);
    EXPECT_EQ(published(), 32U);
    EXPECT_EQ(zbq_consumer_tail(cons_), 32U);
}

TEST_F(Publish, PastTheAcquiredHeadIsIgnored) {
    ASSERT_TRUE(test::publish(prod_.get(), "hello"));
    zbq_consumer_publish(cons_, 32); // not acquired yet
    EXPECT_EQ(published(), 0U);
    zbq_consumer_acquire_head(cons_);
    for (const uint64_t beyond : {uint64_t{33}, uint64_t{48}, UINT64_MAX, UINT64_MAX - 15}) {
        zbq_consumer_publish(cons_, beyond);
        EXPECT_EQ(published(), 0U);
    }
    zbq_consumer_publish(cons_, 32);
    EXPECT_EQ(published(), 32U);
}

// Where rounding up wraps to 0, which is a tail that could be.
TEST_F(Publish, TheVeryTopIsIgnoredAtTheStartToo) {
    auto *page = zbq_consumer_meta(cons_);
    page->progress_timestamp = UINT64_MAX;
    zbq_consumer_publish(cons_, UINT64_MAX);
    EXPECT_EQ(page->progress_timestamp, UINT64_MAX);
}

TEST_F(Publish, StoresTheProgressTime) {
    auto *page = zbq_consumer_meta(cons_);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    zbq_consumer_acquire_head(cons_);
    page->progress_timestamp = UINT64_MAX;
    const uint64_t before = zbq::core::monotonic_coarse_ns() - page->join_baseline;
    zbq_consumer_publish(cons_, 32);
    const uint64_t after = zbq::core::monotonic_coarse_ns() - page->join_baseline;
    EXPECT_GE(page->progress_timestamp, before);
    EXPECT_LE(page->progress_timestamp, after);
}

TEST_F(Publish, GivesTheRoomBack) {
    ASSERT_GT(test::fill(prod_.get()), 0U);
    EXPECT_FALSE(test::publish(prod_.get(), ""));
    std::string payload;
    ASSERT_EQ(test::read_one(cons_, &payload), ZBQ_OK);
    EXPECT_TRUE(test::publish(prod_.get(), ""));
    EXPECT_FALSE(test::publish(prod_.get(), ""));
}

} // namespace
