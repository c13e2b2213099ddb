// SPDX-License-Identifier: MIT
/// @file
/// Deadlines.
#pragma once

#include "c.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ZBQ_NAMESPACE {

/// CLOCK_MONOTONIC, as in all of zbq.
using clock = std::chrono::steady_clock;

/// When a call that waits gives up. One that has passed: it looks once and does not wait.
using deadline = clock::time_point;

/// The deadline that never comes.
inline constexpr deadline never = deadline::max();

/// The deadline that has passed: do not wait.
inline constexpr deadline now = deadline::min();

/// So long from now.
///
///     zbq::consumer reader = zbq::connect("camera", zbq::in(std::chrono::milliseconds(100)));
[[nodiscard]] inline deadline in(std::chrono::nanoseconds time) noexcept {
    const deadline start = clock::now();
    return time < never - start ? start + time : never;
}

namespace detail {

// What is left, in nanoseconds; 0 when there is none.
inline std::uint64_t left_until(deadline end) noexcept {
    if (end == never) {
        return UINT64_MAX;
    }
    const deadline start = clock::now();
    return end > start ? static_cast<std::uint64_t>((end - start).count()) : 0;
}

// For poll and the like; rounded up, so that nothing spins through the last millisecond.
inline int poll_timeout(deadline end, std::uint64_t most_ns) noexcept {
    constexpr std::uint64_t millisecond = 1'000'000;
    const std::uint64_t left = std::min(left_until(end), most_ns);
    return static_cast<int>((left + millisecond - 1) / millisecond);
}

} // namespace detail

} // namespace ZBQ_NAMESPACE
