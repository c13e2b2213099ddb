// SPDX-License-Identifier: MIT
//
// The arithmetic of the ring: pure functions of offsets, with no memory and no system
// behind them. Both sides call it; the tests and fuzzers call it too.
//
// Offsets are logical and grow for ever (2^64 bytes are centuries at any memory's speed),
// so differences never wrap.
#pragma once

#include "limits.hpp"

namespace zbq::core {

constexpr uint64_t round_up(uint64_t bytes) {
    return (bytes + (ZBQ_MSG_ALIGN - 1)) & ~uint64_t{ZBQ_MSG_ALIGN - 1};
}

constexpr bool is_aligned(uint64_t offset) {
    return offset % ZBQ_MSG_ALIGN == 0;
}

constexpr bool capacity_is_valid(uint64_t capacity, uint64_t page_size) {
    return capacity != 0 && capacity <= capacity_limit && capacity % capacity_unit == 0 &&
           capacity % page_size == 0;
}

// Bytes that the producer may write before it would reach what the slowest consumer still
// reads.
constexpr uint64_t free_bytes(uint64_t head, uint64_t slowest_tail, uint64_t capacity) {
    return capacity - (head - slowest_tail);
}

// The two bits of a mode.
constexpr bool pulls(uint32_t mode) {
    return (mode & ZBQ_WAKEUP_PULL) != 0;
}

constexpr bool observes(uint32_t mode) {
    return (mode & ZBQ_OBSERVE_PUSH) != 0;
}

// Whether a tail that a consumer published can be: it never falls below the last one seen,
// never passes the head, and stays on the grid of messages.
constexpr bool tail_is_valid(uint64_t tail, uint64_t last_seen, uint64_t head) {
    return is_aligned(tail) && tail >= last_seen && tail <= head;
}

} // namespace zbq::core
