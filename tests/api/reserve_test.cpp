// SPDX-License-Identifier: MIT
#include "support/process.hpp"
#include "support/rig.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <zbq/inline.h>

namespace {

using test::page;

class Reserve : public testing::Test {
protected:
    int reserve(uint64_t bytes) { return zbq_producer_reserve(prod_.get(), bytes, &run_); }

    test::producer_ptr prod_ =
        test::make_producer({.capacity = 2 * page, .clog_threshold = 2, .stall_timeout_ns = 1});
    test::joined joined_ = test::join(prod_.get());
    zbq_contiguous_run run_ = {};
};

TEST_F(Reserve, RefusesBadArguments) {
    EXPECT_EQ(zbq_producer_reserve(nullptr, 16, &run_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_reserve(prod_.get(), 16, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(reserve(0), ZBQ_ERROR_INVALID);
}

TEST_F(Reserve, TellsTooLargeFromClogged) {
    EXPECT_EQ(reserve(2 * page + 1), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(reserve(UINT64_MAX), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(test::stats(prod_.get()).failures, 0U);
    ASSERT_TRUE(test::publish(prod_.get(), std::string(page, 'x')));
    EXPECT_EQ(reserve(page), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(run_.max_bytes, 0U);
    EXPECT_EQ(run_.base, nullptr);
    EXPECT_FALSE(zbq_producer_commit(prod_.get(), 0, ZBQ_COMMIT_NONE));
    EXPECT_EQ(test::stats(prod_.get()).failures, 1U);
}

TEST_F(Reserve, GivesTheWholeRing) {
    EXPECT_EQ(reserve(2 * page), ZBQ_OK);
    EXPECT_EQ(run_.max_bytes, 2 * page);
}

// Every start in the ring: a message that lies across the end reads as one span.
TEST_F(Reserve, StraddlesThePhysicalEnd) {
    std::string written;
    std::string read;
    for (unsigned i = 0; i < 2000; ++i) {
        written.assign(1 + i % 3000, static_cast<char>('a' + i % 26));
        ASSERT_TRUE(test::publish(prod_.get(), written));
        ASSERT_EQ(test::read_one(joined_.consumer.get(), &read), ZBQ_OK);
        ASSERT_EQ(read, written);
    }
}

// Messages one after the other, several times round, each where the call would have it.
TEST_F(Reserve, WithoutACall) {
    zbq_commit_window *window = zbq_producer_window(prod_.get());
    void *place = nullptr;
    EXPECT_EQ(zbq_window_reserve(window, 0, &place), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_window_reserve(window, 2 * page + 16, &place), ZBQ_ERROR_OVERFLOW);
    std::string payload;
    for (std::uint64_t number = 0; number < 1000; ++number) {
        const std::uint64_t size = 16 + number % 7 * 64;
        ASSERT_EQ(zbq_window_reserve(window, size, &place), ZBQ_OK);
        ASSERT_GE(window->limit - window->head, size);
        const std::string text(size - 16, static_cast<char>('a' + number % 26));
        *static_cast<zbq_msg_header *>(place) = {static_cast<std::uint32_t>(size) - 16, 0, 0, 0, 0};
        std::memcpy(static_cast<char *>(place) + 16, text.data(), text.size());
        ASSERT_TRUE(zbq_window_commit(window, size));
        ASSERT_EQ(test::read_one(joined_.consumer.get(), &payload), ZBQ_OK);
        ASSERT_EQ(payload, text);
    }
    ASSERT_EQ(zbq_window_reserve(window, 2 * page, &place), ZBQ_OK);
    ASSERT_TRUE(zbq_window_commit(window, 2 * page)); // as one message, which it is not
    EXPECT_EQ(zbq_window_reserve(window, 16, &place), ZBQ_ERROR_AGAIN);
}

TEST_F(Reserve, SeesRoomThatWasReleasedSince) {
    ASSERT_TRUE(test::publish(prod_.get(), std::string(page, 'x')));
    EXPECT_EQ(reserve(page), ZBQ_ERROR_AGAIN);
    test::skip_all(joined_.consumer.get());
    EXPECT_EQ(reserve(2 * page), ZBQ_OK);
}

TEST_F(Reserve, CountsFailuresTowardsAScanThatEvicts) {
    ASSERT_TRUE(test::publish(prod_.get(), std::string(page, 'x')));
    test::start_watchdog();
    while (reserve(page) != ZBQ_OK) {
    }
    EXPECT_EQ(test::info(prod_.get(), joined_.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
    EXPECT_GE(test::stats(prod_.get()).scans, 2U);
}

} // namespace
