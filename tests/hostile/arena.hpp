// SPDX-License-Identifier: MIT
//
// A stream to two honest consumers, one asleep on its futex word and one on its event descriptor,
// while others attack. Each is a process of its own; started as root, the producer and the honest
// are one user and the attackers another, none of them root.
#pragma once

#include "attack.hpp"
#include "stopwatch.hpp"

namespace hostile {

struct arena_options {
    std::uint64_t messages = 0;    // publish so many at least,
    std::uint64_t steps = 0;       // until each attacker has made so many,
    std::uint64_t nanoseconds = 0; // and for so long, after each has made one
    std::uint64_t capacity = std::uint64_t{1} << 20U;
    std::uint64_t stall_timeout_ns = 1000 * test::ms;
    bool timed = false;           // each call; the throughput is the less for it
    bool ends_attacked = false;   // the attackers live on when the stream ends
    bool refuses_evicted = false; // the listener: users of whom one was evicted, but for its death
    bool patient = false;         // with the attackers, for so long
};

// In memory that the processes share: without a pointer.
struct outcome {
    std::uint64_t messages = 0;
    double seconds = 0;
    std::uint64_t steps = 0;
    std::uint64_t longest_wait_ns = 0; // for room, or for descriptors to be collected
    zbq_producer_statistics counters = {};
    std::uint64_t longest_ns[timed_calls] = {};
    char harm[512] = {}; // what happened that must not, in lines

    void check(bool condition, const char *otherwise);
};

outcome run(const attackers &who, const arena_options &options);

} // namespace hostile
