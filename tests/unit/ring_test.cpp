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

zbq_read_window window_of(const char *ring, uint64_t tail, uint64_t head) {
    zbq_read_window window = {};
    window.tail = window.cursor = tail;
    window.head = head;
    window.ring = window.next = ring;
    window.capacity = 4096;
    return window;
}

bool accepts(uint64_t head, uint64_t last_seen, uint64_t tail) {
    static const char ring[2 * 4096] = {};
    zbq_read_window window = window_of(ring, tail, last_seen);
    const bool accepted = zbq_window_accept(&window, head);
    EXPECT_EQ(window.head, accepted ? head : last_seen);
    return accepted;
}

TEST(Ring, HeadIsCheckedOnEverySide) {
    EXPECT_TRUE(accepts(4096, 0, 0));
    EXPECT_FALSE(accepts(4112, 0, 0)); // beyond the capacity
    EXPECT_FALSE(accepts(64, 80, 0));  // falls
    EXPECT_FALSE(accepts(72, 0, 0));   // off the grid
    EXPECT_FALSE(accepts(32, 32, 64)); // behind the tail
    EXPECT_FALSE(accepts(UINT64_MAX - 15, 0, 0));
    EXPECT_FALSE(accepts(0, UINT64_MAX - 15, UINT64_MAX - 15));
}

// So many bytes up to the head, in which a message of this payload comes first.
bool fits(uint32_t payload_len, uint64_t bytes) {
    const zbq_msg_header header = {payload_len, 0, 0, 0, 0};
    const char *ring = reinterpret_cast<const char *>(&header);
    const zbq_read_window window = window_of(ring, 0, bytes);
    zbq_msg_view view = {};
    const bool found = zbq_window_view(&window, ring, 0, &view);
    EXPECT_EQ(view.header, found ? &header : nullptr);
    return found;
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
