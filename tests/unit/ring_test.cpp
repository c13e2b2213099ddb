// SPDX-License-Identifier: MIT
#include "ring.hpp"

#include <gtest/gtest.h>
#include <zbq/inline.h>

namespace {

using namespace zbq::core;

TEST(Ring, RoundsUpToTheGrid) {
    EXPECT_EQ(round_up(0), 0U);
    EXPECT_EQ(round_up(1), 16U);
    EXPECT_EQ(round_up(16), 16U);
    EXPECT_EQ(round_up(17), 32U);
    EXPECT_EQ(round_up(UINT64_MAX), 0U); // wraps: publish relies on it
}

TEST(Ring, CapacityIsAMultipleOfThePage) {
    EXPECT_TRUE(capacity_is_valid(4096, 4096));
    EXPECT_TRUE(capacity_is_valid(12288, 4096)); // no power of two needed
    EXPECT_FALSE(capacity_is_valid(0, 4096));
    EXPECT_FALSE(capacity_is_valid(4095, 4096));
    EXPECT_FALSE(capacity_is_valid(4096, 16384)); // larger pages
    EXPECT_TRUE(capacity_is_valid(65536, 16384));
    EXPECT_FALSE(capacity_is_valid(UINT64_MAX - 4095, 4096));
    EXPECT_TRUE(capacity_is_valid(capacity_limit, 4096));
    EXPECT_FALSE(capacity_is_valid(capacity_limit + 4096, 4096));
}

TEST(Ring, FreeBytes) {
    EXPECT_EQ(free_bytes(0, 0, 4096), 4096U);
    EXPECT_EQ(free_bytes(4096, 0, 4096), 0U);
    EXPECT_EQ(free_bytes(5000, 4904, 4096), 4000U);
}

TEST(Ring, TailIsCheckedOnEverySide) {
    EXPECT_TRUE(tail_is_valid(64, 64, 128));
    EXPECT_TRUE(tail_is_valid(128, 64, 128));
    EXPECT_FALSE(tail_is_valid(48, 64, 128));  // falls
    EXPECT_FALSE(tail_is_valid(144, 64, 128)); // passes the head
    EXPECT_FALSE(tail_is_valid(72, 64, 128));  // off the grid
    EXPECT_FALSE(tail_is_valid(UINT64_MAX, 64, 128));
}

TEST(Ring, HeadIsCheckedOnEverySide) {
    EXPECT_TRUE(head_is_valid(4096, 0, 0, 4096));
    EXPECT_FALSE(head_is_valid(4112, 0, 0, 4096)); // beyond the capacity
    EXPECT_FALSE(head_is_valid(64, 80, 0, 4096));  // falls
    EXPECT_FALSE(head_is_valid(72, 0, 0, 4096));   // off the grid
    EXPECT_FALSE(head_is_valid(32, 32, 64, 4096)); // behind the tail
    EXPECT_FALSE(head_is_valid(UINT64_MAX - 15, 0, 0, 4096));
}

// A run of so many bytes, in which a message of this payload comes first.
bool fits(uint32_t payload_len, uint64_t bytes) {
    const zbq_msg_header header = {payload_len, 0, 0, 0, 0};
    zbq_readable_run run = {&header, bytes, 0};
    zbq_msg_view view = {};
    return zbq_readable_next(&run, &view);
}

TEST(Ring, MessageFitsUpToTheHead) {
    EXPECT_TRUE(fits(0, 16));
    EXPECT_FALSE(fits(1, 16));
    EXPECT_TRUE(fits(16, 32));
    EXPECT_FALSE(fits(17, 32));
    EXPECT_FALSE(fits(UINT32_MAX, 4096));
    EXPECT_FALSE(fits(0, 0));
}

} // namespace
