// SPDX-License-Identifier: MIT
#include "support/rig.hpp"

#include <gtest/gtest.h>

namespace {

using test::page;

class Commit : public testing::Test {
protected:
    bool commit(uint64_t bytes, zbq_commit_flags flags = ZBQ_COMMIT_NONE) {
        return zbq_producer_commit(prod_.get(), bytes, flags);
    }
    [[nodiscard]] uint64_t head() const {
        return zbq_consumer_acquire_head(joined_.consumer.get());
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = page});
    test::joined joined_ = test::join(prod_.get());
};

TEST_F(Commit, RefusesNull) {
    EXPECT_FALSE(zbq_producer_commit(nullptr, 0, ZBQ_COMMIT_NONE));
}

TEST_F(Commit, RefusesWithoutAQuery) {
    EXPECT_FALSE(commit(16));
    EXPECT_FALSE(commit(0));
    EXPECT_EQ(head(), 0U);
}

TEST_F(Commit, RefusesMoreThanTheRunAndKeepsIt) {
    const zbq_contiguous_run run = zbq_producer_query(prod_.get());
    EXPECT_FALSE(commit(run.max_bytes + 16));
    EXPECT_FALSE(commit(UINT64_MAX & ~uint64_t{15}));
    EXPECT_EQ(head(), 0U);
    EXPECT_TRUE(commit(run.max_bytes));
    EXPECT_EQ(head(), run.max_bytes);
}

TEST_F(Commit, RefusesWhatIsOffTheGrid) {
    zbq_producer_query(prod_.get());
    for (const uint64_t bytes : {1U, 8U, 15U, 17U, 31U}) {
        EXPECT_FALSE(commit(bytes));
    }
    EXPECT_EQ(head(), 0U);
    EXPECT_TRUE(commit(16));
}

TEST_F(Commit, EachRunOnce) {
    zbq_producer_query(prod_.get());
    EXPECT_TRUE(commit(16));
    EXPECT_FALSE(commit(16));
    EXPECT_EQ(head(), 16U);
}

TEST_F(Commit, WhatIsLeftOfARunCanBeKept) {
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), page, &run), ZBQ_OK);
    EXPECT_EQ(run.max_bytes, page);
    EXPECT_TRUE(commit(48, ZBQ_COMMIT_KEEP));
    EXPECT_EQ(head(), 48U);
    EXPECT_FALSE(commit(page - 32, ZBQ_COMMIT_KEEP)); // more than is left
    EXPECT_TRUE(commit(0, ZBQ_COMMIT_KEEP));
    EXPECT_TRUE(commit(page - 48, ZBQ_COMMIT_KEEP));
    EXPECT_EQ(head(), page);
    EXPECT_FALSE(commit(0, ZBQ_COMMIT_KEEP)); // all is used up
    zbq_consumer_publish(joined_.consumer.get(), page);
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), 64, &run), ZBQ_OK);
    EXPECT_TRUE(commit(16, ZBQ_COMMIT_KEEP));
    EXPECT_TRUE(commit(16, ZBQ_COMMIT_NONE));
    EXPECT_FALSE(commit(16));
}

TEST_F(Commit, OfNothingIsASuccessThatPublishesNothing) {
    zbq_producer_query(prod_.get());
    const uint32_t token = zbq_consumer_get_futex_token(joined_.consumer.get());
    EXPECT_TRUE(commit(0));
    EXPECT_EQ(head(), 0U);
    EXPECT_EQ(zbq_consumer_get_futex_token(joined_.consumer.get()), token);
    EXPECT_FALSE(commit(16)); // the run is given up
}

TEST_F(Commit, RefusesAnEmptyRun) {
    ASSERT_EQ(zbq_producer_query(prod_.get()).max_bytes, page);
    ASSERT_TRUE(commit(page));
    ASSERT_EQ(zbq_producer_query(prod_.get()).max_bytes, 0U);
    EXPECT_FALSE(commit(0));
    EXPECT_FALSE(commit(16));
}

TEST_F(Commit, RingsTheBellEachTime) {
    for (int i = 0; i < 3; ++i) {
        const uint32_t token = zbq_consumer_get_futex_token(joined_.consumer.get());
        ASSERT_TRUE(test::publish(prod_.get(), "x"));
        EXPECT_NE(zbq_consumer_get_futex_token(joined_.consumer.get()), token);
    }
}

TEST_F(Commit, ForcedScanRunsAfterwards) {
    joined_.consumer.reset();
    zbq_producer_query(prod_.get());
    EXPECT_TRUE(commit(16));
    EXPECT_EQ(test::stats(prod_.get()).consumers, 1U);
    zbq_producer_query(prod_.get());
    EXPECT_TRUE(commit(16, ZBQ_COMMIT_FORCE_SCAN));
    EXPECT_EQ(test::stats(prod_.get()).consumers, 0U);
}

TEST_F(Commit, OfNothingWakesNobody) {
    uint32_t &parked = zbq_consumer_meta(joined_.consumer.get())->parking[joined_.slot].parked;
    parked = 1;
    zbq_producer_query(prod_.get());
    EXPECT_TRUE(commit(0));
    EXPECT_EQ(parked, 1U);
    EXPECT_EQ(test::stats(prod_.get()).wakes, 0U);
}

TEST_F(Commit, OfNothingWithAForcedScanScans) {
    zbq_producer_query(prod_.get());
    EXPECT_TRUE(commit(0, ZBQ_COMMIT_FORCE_SCAN));
    EXPECT_EQ(test::stats(prod_.get()).scans, 1U);
}

TEST(SequenceIds, CountFromOne) {
    const auto prod = test::make_producer();
    EXPECT_EQ(zbq_producer_next_seq_id(nullptr), 0U);
    for (uint64_t expected = 1; expected <= 3; ++expected) {
        EXPECT_EQ(zbq_producer_next_seq_id(prod.get()), expected);
    }
}

} // namespace
