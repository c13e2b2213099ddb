// SPDX-License-Identifier: MIT
//
// The longest of some kinds of the producer's calls, by the processor time of its thread, in which
// a preemption does not count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace hostile {

enum timed_call : unsigned { a_commit, a_record, an_eviction, the_end, timed_calls };

inline std::uint64_t thread_ns() {
    timespec now = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

struct stopwatch {
    bool on = false; // two system calls for each call that is timed
    std::uint64_t longest_ns[timed_calls] = {};

    template <typename Call>
    auto time(timed_call kind, const Call &call) {
        return time_part(
            kind, [] { return 1U; }, call);
    }

    // A call that gave up so many consumers, as count() tells before and after it; each is timed
    // as a part of it.
    template <typename Count, typename Call>
    auto time_evictions(const Count &count, const Call &call) {
        const std::uint64_t before = on ? count() : 0;
        return time_part(
            an_eviction, [&] { return count() - before; }, call);
    }

    // One that may give up some beside what it does.
    template <typename Count, typename Call>
    auto time_beside_evictions(timed_call kind, const Count &count, const Call &call) {
        const std::uint64_t before = on ? count() : 0;
        return time_part(
            kind, [&] { return 1 + count() - before; }, call);
    }

private:
    // parts() says of how many such calls it was made: 0 if it was none.
    template <typename Parts, typename Call>
    auto time_part(timed_call kind, const Parts &parts, const Call &call) {
        if (!on) {
            return call();
        }
        const std::uint64_t since = thread_ns();
        const auto result = call();
        const std::uint64_t took = thread_ns() - since;
        const std::uint64_t among = parts();
        if (among != 0) {
            longest_ns[kind] = std::max(longest_ns[kind], took / among);
        }
        return result;
    }
};

} // namespace hostile
