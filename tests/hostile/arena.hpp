// SPDX-License-Identifier: MIT
//
// A stream to two honest consumers, one asleep on the bell and one on its event descriptor, while
// somebody attacks. Each is a process of its own; the producer is the caller's.
#pragma once

#include "attacks.hpp"

namespace hostile {

struct arena_options {
    std::uint64_t messages = 0;                       // publish so many at least,
    std::uint64_t steps = 0;                          // until the attacker has made so many,
    std::uint64_t nanoseconds = 0;                    // and for so long
    std::uint64_t stall_timeout_ns = 1000 * test::ms; // well above a consumer's slice of sleep
};

struct outcome {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    double seconds = 0;
    std::uint64_t steps = 0;
    std::uint64_t longest_wait_ns = 0; // for room, or for descriptors to be collected
    zbq_producer_statistics counters = {};
    std::vector<std::string> harm; // what happened that must not
};

outcome run(const attack &what, const arena_options &options);

} // namespace hostile
