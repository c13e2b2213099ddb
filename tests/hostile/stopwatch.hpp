// SPDX-License-Identifier: MIT
//
// The longest of some kinds of the producer's calls, by the clock and by the processor time of its
// thread, in which a preemption does not count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace hostile {

enum timed_call : unsigned { a_commit, a_record, an_eviction, the_end, timed_calls };

struct duration {
    std::uint64_t cpu_ns = 0;
    std::uint64_t wall_ns = 0;
};

inline std::uint64_t read_clock(clockid_t which) {
    timespec now = {};
    clock_gettime(which, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

struct stopwatch {
    bool on = false; // two system calls for each call that is timed
    duration longest[timed_calls];

    template <typename Call>
    auto time(timed_call kind, const Call &call) {
        return time_some([kind] { return divided{kind, 1}; }, call);
    }

    // A call that gave up so many consumers, as count() tells before and after it; each is timed
    // as a part of it.
    template <typename Count, typename Call>
    auto time_evictions(const Count &count, const Call &call) {
        const std::uint64_t before = on ? count() : 0;
        return time_some([&] { return divided{an_eviction, count() - before}; }, call);
    }

    // One that may give up some beside what it does.
    template <typename Count, typename Call>
    auto time_beside_evictions(timed_call kind, const Count &count, const Call &call) {
        const std::uint64_t before = on ? count() : 0;
        return time_some([&] { return divided{kind, 1 + count() - before}; }, call);
    }

private:
    struct divided {
        timed_call kind;
        std::uint64_t parts; // 0: it was none of these
    };

    template <typename What, typename Call>
    auto time_some(const What &what, const Call &call) {
        if (!on) {
            return call();
        }
        const std::uint64_t wall = read_clock(CLOCK_MONOTONIC);
        const std::uint64_t cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
        const auto result = call();
        const std::uint64_t cpu_ns = read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
        const std::uint64_t wall_ns = read_clock(CLOCK_MONOTONIC) - wall;
        const divided made = what();
        if (made.parts != 0) {
            duration *most = &longest[made.kind];
            most->cpu_ns = std::max(most->cpu_ns, cpu_ns / made.parts);
            most->wall_ns = std::max(most->wall_ns, wall_ns / made.parts);
        }
        return result;
    }
};

} // namespace hostile
