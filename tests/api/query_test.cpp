// SPDX-License-Identifier: MIT
#include "support/process.hpp"
#include "support/rig.hpp"

#include <gtest/gtest.h>

namespace {

using test::page;

bool commit(zbq_producer *prod, uint64_t bytes) {
    const zbq_contiguous_run run = zbq_producer_query(prod);
    if (run.max_bytes < bytes) {
        return false;
    }
    // One message that covers it.
    *static_cast<zbq_msg_header *>(run.base) = {static_cast<uint32_t>(bytes - 16), 0, 0, 0, 0};
    return zbq_producer_commit(prod, bytes, ZBQ_COMMIT_NONE);
}

TEST(Query, OfNullIsEmpty) {
    const zbq_contiguous_run run = zbq_producer_query(nullptr);
    EXPECT_EQ(run.base, nullptr);
    EXPECT_EQ(run.max_bytes, 0U);
    EXPECT_EQ(run.offset, 0U);
}

TEST(Query, GivesTheWholeOfAnEmptyRing) {
    const auto prod = test::make_producer({.capacity = 3 * page});
    const zbq_contiguous_run run = zbq_producer_query(prod.get());
    EXPECT_NE(run.base, nullptr);
    EXPECT_EQ(run.max_bytes, 3 * page);
    EXPECT_EQ(run.offset, 0U);
}

TEST(Query, EndsAtThePhysicalEnd) {
    const auto prod = test::make_producer({.capacity = 3 * page});
    ASSERT_TRUE(commit(prod.get(), page));
    const zbq_contiguous_run run = zbq_producer_query(prod.get());
    EXPECT_EQ(run.max_bytes, 2 * page);
    EXPECT_EQ(run.offset, page);
    ASSERT_TRUE(commit(prod.get(), 2 * page));
    EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, 3 * page);
    EXPECT_EQ(zbq_producer_query(prod.get()).offset, 3 * page);
}

TEST(Query, WithoutConsumersNothingClogs) {
    const auto prod = test::make_producer({.capacity = page});
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(commit(prod.get(), page));
    }
    EXPECT_EQ(zbq_producer_query(prod.get()).offset, 100 * page);
}

TEST(Query, StopsAtTheSlowestTail) {
    const auto prod = test::make_producer({.capacity = 4 * page});
    const test::joined slow = test::join(prod.get());
    const test::joined fast = test::join(prod.get());
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(commit(prod.get(), page));
    }
    std::string payload;
    EXPECT_EQ(test::skip_all(fast.consumer.get()), 4);
    EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, 0U);
    EXPECT_EQ(zbq_producer_query(prod.get()).base, nullptr);
    ASSERT_EQ(test::read_one(slow.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, page);
}

// The answer is the largest there is, not the largest that was known before.
TEST(Query, LooksAtTheTailsWhenTheCachedOneLimits) {
    const auto prod = test::make_producer({.capacity = 4 * page});
    const test::joined joined = test::join(prod.get());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(commit(prod.get(), page));
    }
    EXPECT_EQ(test::skip_all(joined.consumer.get()), 3);
    ASSERT_TRUE(commit(prod.get(), page));
    ASSERT_TRUE(commit(prod.get(), page));
    EXPECT_EQ(test::skip_all(joined.consumer.get()), 2);
    EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, 3 * page);
}

class Attempts : public testing::Test {
protected:
    uint64_t scans() { return test::stats(prod_.get()).scans; }

    static constexpr uint64_t threshold = 3;
    test::producer_ptr prod_ = test::make_producer({.capacity = page, .clog_threshold = threshold});
    test::joined joined_ = test::join(prod_.get());
};

TEST_F(Attempts, EveryThresholdOfCloggedQueriesScans) {
    ASSERT_TRUE(commit(prod_.get(), page));
    for (int i = 1; i <= 9; ++i) {
        EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 0U);
        EXPECT_EQ(scans(), static_cast<uint64_t>(i) / threshold);
    }
}

TEST_F(Attempts, AskingAgainForNoMoreCountsAndStillGrants) {
    ASSERT_TRUE(commit(prod_.get(), page - 64));
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 64U); // the first is no failure
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 64U);
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 64U);
    EXPECT_EQ(scans(), 0U);
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 64U);
    EXPECT_EQ(scans(), 1U);
    EXPECT_TRUE(zbq_producer_commit(prod_.get(), 64, ZBQ_COMMIT_NONE));
}

TEST_F(Attempts, MoreRoomOrACommitEndsTheRow) {
    ASSERT_TRUE(commit(prod_.get(), 2048));
    ASSERT_TRUE(commit(prod_.get(), 2048));
    zbq_producer_query(prod_.get());
    zbq_producer_query(prod_.get());
    std::string payload;
    ASSERT_EQ(test::read_one(joined_.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 2048U); // more than before
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 0, ZBQ_COMMIT_NONE));
    zbq_producer_query(prod_.get());
    zbq_producer_query(prod_.get());
    EXPECT_EQ(scans(), 0U);
    zbq_producer_query(prod_.get());
    EXPECT_EQ(scans(), 1U);
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 1024, ZBQ_COMMIT_NONE));
    zbq_producer_query(prod_.get());
    EXPECT_EQ(test::stats(prod_.get()).failures, 2 + 3U); // not this one
}

TEST(Query, ThresholdOfZeroScansAtEachFailure) {
    const auto prod = test::make_producer({.capacity = page, .clog_threshold = 0});
    const test::joined joined = test::join(prod.get());
    ASSERT_TRUE(commit(prod.get(), page));
    for (uint64_t i = 1; i <= 3; ++i) {
        EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, 0U);
        EXPECT_EQ(test::stats(prod.get()).scans, i);
    }
}

TEST(Query, ComputesTheRunAgainAfterTheScan) {
    const auto prod = test::make_producer({.capacity = page, .clog_threshold = 1});
    test::joined joined = test::join(prod.get());
    ASSERT_TRUE(commit(prod.get(), page));
    joined.consumer.reset(); // dead at the scan
    const zbq_contiguous_run run = zbq_producer_query(prod.get());
    EXPECT_EQ(run.max_bytes, page);
    EXPECT_NE(run.base, nullptr);
}

// A hung consumer that leaves a small gap must not hold the producer for ever.
TEST(Query, AConsumerThatLeavesASmallGapIsEvicted) {
    const auto prod =
        test::make_producer({.capacity = page, .clog_threshold = 1, .stall_timeout_ns = test::ms});
    const test::joined joined = test::join(prod.get());
    ASSERT_TRUE(commit(prod.get(), page - 32));
    test::start_watchdog();
    while (test::info(prod.get(), joined.slot).eviction == ZBQ_EVICTION_NONE) {
        EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, 32U); // and the physical end
    }
    EXPECT_EQ(test::info(prod.get(), joined.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
}

} // namespace
