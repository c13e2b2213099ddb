// SPDX-License-Identifier: MIT
#include "judge.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace hostile {

namespace {

constexpr double least_beside_one = 0.5;
constexpr double least_beside_many = 0.2;
constexpr double longest_call_us = 1000;

constexpr const char *calls[timed_calls] = {"commit", "record", "eviction", "end"};
constexpr const char *reasons[] = {"all", "dead", "stalled", "records", "breach", "slow", "dear"};

std::string evictions(const zbq_producer_statistics &counters) {
    std::string text;
    for (std::size_t i = 1; i < std::size(counters.evicted); ++i) {
        if (counters.evicted[i] != 0) {
            text += fmt::format(" {} {}", counters.evicted[i], reasons[i]);
        }
    }
    return text;
}

bool report(const trial &what, bool kept, const std::string &broken) {
    if (!kept) {
        fmt::print("  FAILED: {}: {}\n", what.name, broken);
    }
    return kept;
}

bool keeps_rate(const trial &what, const measured &found) {
    const double least = what.who.size() == 1 ? least_beside_one : least_beside_many;
    return report(what, found.to_burner >= least,
                  fmt::format("{:.3f} of the throughput beside a burner, {} at least",
                              found.to_burner, least));
}

bool has_dear_bells(const trial &what) {
    return std::any_of(what.who.begin(), what.who.end(),
                       [](const attack *one) { return one->has_dear_bells; });
}

// A virtual machine takes its time for the one or the other call, whoever is there.
bool keeps_times(const trial &what, const measured &found) {
    bool kept = true;
    for (unsigned i = 0; i < timed_calls; ++i) {
        const bool excused = (i == a_commit || i == a_record) && has_dear_bells(what);
        const double most = std::max(longest_call_us, found.longest_beside_burner_us[i]);
        kept = report(what, excused || found.longest_us[i] <= most,
                      fmt::format("the longest {} took {:.0f} us, beside a burner {:.0f}", calls[i],
                                  found.longest_us[i], found.longest_beside_burner_us[i])) &&
               kept;
    }
    return kept;
}

bool is_excused(const trial &what) {
    return !what.refuses_evicted && what.who.front()->excuse != nullptr;
}

bool is_ended(const zbq_producer_statistics &counters) {
    return counters.evicted[ZBQ_EVICTION_SLOW] + counters.evicted[ZBQ_EVICTION_PROTOCOL] != 0;
}

} // namespace

void print_legend() {
    fmt::print("The stream's throughput, to that beside as many processes that only burn their "
               "processor, and to that beside nobody;\nthe producer's longest wait; its longest "
               "calls, in microseconds of its thread's processor time/the same beside burners; "
               "medians of the turns.\n\n"
               "{:<29}{:>7}{:>8}{:>11}{:>9}{:>11}{:>11}{:>11}{:>11}{:>10}  evicted\n",
               "attack", "burner", "nobody", "messages/s", "wait ms", "commit", "record",
               "eviction", "end", "wakes/msg");
}

void print_row(const trial &what, const measured &found) {
    fmt::print("{:<29}{:>7.3f}{:>8.3f}{:>11.0f}{:>9.1f}", what.name, found.to_burner,
               found.to_nobody, found.rate, found.longest_wait_ms);
    for (unsigned i = 0; i < timed_calls; ++i) {
        fmt::print("{:>11}", fmt::format("{:.0f}/{:.0f}", found.longest_us[i],
                                         found.longest_beside_burner_us[i]));
    }
    fmt::print("{:>10.3f} {}{}\n", found.wakes, evictions(found.counters),
               is_excused(what) ? fmt::format("  ({})", what.who.front()->excuse) : "");
    std::fflush(stdout);
}

bool is_kept(const trial &what, const measured &found, bool judges_times) {
    bool kept = report(what, found.harm.empty(), found.harm);
    kept = (is_excused(what) || keeps_rate(what, found)) && kept;
    kept = report(what, !what.patient || is_ended(found.counters),
                  "nobody was evicted as slow, or for a breach") &&
           kept;
    return (!judges_times || keeps_times(what, found)) && kept;
}

} // namespace hostile
