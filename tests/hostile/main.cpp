// SPDX-License-Identifier: MIT
//
// The long form: what each attack costs the others, against the same stream with a harmless
// process in the attacker's place.
#include "arena.hpp"
#include "pinned.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <regex>

namespace {

using hostile::attack;
using hostile::outcome;

struct options {
    std::string only = ".";
    unsigned runs = 5;
    double seconds = 1;
};

double rate_of(const outcome &result) {
    return static_cast<double>(result.messages) / result.seconds;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

outcome measure(const attack &what, const options &chosen) {
    hostile::arena_options arena;
    arena.nanoseconds = static_cast<std::uint64_t>(chosen.seconds * 1e9);
    arena.steps = what.long_steps;
    return hostile::run(what, arena);
}

// Whether nobody was harmed.
bool report_harm(const attack &what, const outcome &result) {
    for (const std::string &harm : result.harm) {
        fmt::print("{}: {}\n", what.name, harm);
    }
    return result.harm.empty();
}

struct summary {
    std::vector<double> ratios, alone, attacked, wakes, waits, steps;
    zbq_producer_statistics counters = {}; // of the last run
};

void print_summary(const attack &what, const summary &sum, bool good) {
    const auto &evicted = sum.counters.evicted;
    fmt::print("{:<20}{:>7.3f}{:>11.0f}{:>11.0f}{:>9.3f}{:>10.1f}{:>11.0f}   {}/{}/{}/{}{}\n",
               what.name, median(sum.ratios), median(sum.alone), median(sum.attacked),
               median(sum.wakes), median(sum.waits), median(sum.steps), evicted[ZBQ_EVICTION_DEAD],
               evicted[ZBQ_EVICTION_STALLED], evicted[ZBQ_EVICTION_SIDE_STALLED],
               evicted[ZBQ_EVICTION_PROTOCOL], good ? "" : "   FAILED");
    std::fflush(stdout);
}

bool try_attack(const attack &what, const options &chosen) {
    const attack harmless = {.name = "harmless", .does = "", .body = what.harmless};
    summary sum;
    bool good = true;
    for (unsigned i = 0; i < chosen.runs; ++i) {
        const outcome alone = measure(harmless, chosen);
        const outcome result = measure(what, chosen);
        good = report_harm(harmless, alone) && report_harm(what, result) && good;
        sum.alone.push_back(rate_of(alone));
        sum.attacked.push_back(rate_of(result));
        sum.ratios.push_back(rate_of(result) / rate_of(alone));
        sum.wakes.push_back(static_cast<double>(result.counters.wakes) /
                            static_cast<double>(result.messages));
        sum.waits.push_back(static_cast<double>(result.longest_wait_ns) / 1e6);
        sum.steps.push_back(static_cast<double>(result.steps) / result.seconds);
        sum.counters = result.counters;
    }
    good = good && median(sum.ratios) >= what.least_ratio;
    print_summary(what, sum, good);
    return good;
}

void print_pinned() {
    constexpr std::uint64_t joins = 2000;
    const hostile::pinned kept = hostile::measure_pinned(joins);
    fmt::print("kept after its eviction, for each of {} joins: {:.0f} bytes of shared memory (its "
               "page), {:.0f} bytes of the kernel's\n",
               joins, kept.shared_bytes, kept.kernel_bytes);
}

bool try_all(const options &chosen) {
    fmt::print("{:<20}{:>7}{:>11}{:>11}{:>9}{:>10}{:>11}   {}\n", "attack", "ratio", "harmless/s",
               "attacked/s", "wakes/msg", "wait ms", "steps/s", "evicted dead/stall/side/protocol");
    const std::regex only(chosen.only);
    bool good = true;
    for (const attack &what : hostile::attacks()) {
        if (std::regex_search(what.name, only)) {
            good = try_attack(what, chosen) && good;
        }
    }
    return good;
}

} // namespace

int main(int argc, char **argv) try {
    CLI::App app("Hostile consumers, and what each costs the others: messages in a second with the "
                 "attacker, and with a harmless process in its place.");
    options chosen;
    app.add_option("--only", chosen.only, "Attacks whose name matches this regular expression");
    app.add_option("--runs", chosen.runs, "Pairs of runs; the medians are shown")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--seconds", chosen.seconds, "Of each run")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    const bool good = try_all(chosen);
    print_pinned();
    return good ? 0 : 1;
} catch (const std::exception &failure) {
    fmt::print(stderr, "zbq-hostile: {}\n", failure.what());
    return 1;
}
