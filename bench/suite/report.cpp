// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <fmt/core.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>
#include <thread>

namespace bench {

namespace {

constexpr double percentiles[] = {0.5, 0.9, 0.99, 0.999, 0.9999};

std::string short_number(double value) {
    if (value >= 1e6) {
        return fmt::format("{:.2f} M", value / 1e6);
    }
    return value >= 1e4 ? fmt::format("{:.1f} k", value / 1e3) : fmt::format("{:.0f}", value);
}

std::string figure_text(const spell_summary &spell) {
    if (spell.slices == 0) {
        return "-";
    }
    return short_number(spell.figure.median) + (spell.is_vague() ? " ?" : "");
}

std::string ratio_text(const spell_summary &spell) {
    const bool none = spell.slices == 0 || spell.ratio.median == 0 || spell.is_vague();
    return none ? "-" : fmt::format("{:.2f}", spell.ratio.median);
}

nlohmann::json to_json(const spread &of) {
    return {{"median", of.median}, {"low", of.low}, {"high", of.high}};
}

nlohmann::json to_json(const spell_summary &spell) {
    return {{"slices", spell.slices},
            {"figure", to_json(spell.figure)},
            {"ratio", to_json(spell.ratio)},
            {"vague", spell.is_vague()}};
}

nlohmann::json to_json(const summary &of) {
    nlohmann::json out = {{"name", of.name},
                          {"failure", of.failure},
                          {"near", to_json(of.near)},
                          {"far", to_json(of.far)},
                          {"messages", of.messages},
                          {"errors", of.errors},
                          {"sender_cpu_ns", of.sender_cpu_ns},
                          {"receiver_cpu_ns", of.receiver_cpu_ns}};
    std::vector<double> samples = of.samples;
    for (const double share : percentiles) {
        if (!samples.empty()) {
            out["percentiles"][fmt::format("{}", share * 100)] = quantile(&samples, share);
        }
    }
    return out;
}

std::string processor_name() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.rfind("model name", 0) == 0) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown";
}

void print_percentiles(const workload_result &result) {
    for (const summary &system : result.systems) {
        std::vector<double> samples = system.samples;
        if (samples.empty()) {
            continue;
        }
        fmt::print("  {:20}", system.name);
        for (const double share : percentiles) {
            fmt::print("  p{:g} {}", share * 100, short_number(quantile(&samples, share)));
        }
        fmt::print("\n");
    }
}

} // namespace

void print(const workload_result &result) {
    const workload &work = *result.work;
    fmt::print("\n{}  ({}{})\n", work.title, work.unit,
               work.floor_name.empty() ? "" : "; ratios to the floor: " + work.floor_name);
    fmt::print("  {:20} {:>10} {:>6} {:>10} {:>6} {:>9} {:>9}\n", "", "near", "ratio", "far",
               "ratio", "cpu send", "cpu recv");
    for (const summary &system : result.systems) {
        if (!system.failure.empty()) {
            fmt::print("  {:20} {}\n", system.name, system.failure);
            continue;
        }
        fmt::print("  {:20} {:>10} {:>6} {:>10} {:>6} {:>9} {:>9}{}\n", system.name,
                   figure_text(system.near), ratio_text(system.near), figure_text(system.far),
                   ratio_text(system.far), short_number(system.sender_cpu_ns),
                   short_number(system.receiver_cpu_ns),
                   system.errors != 0 ? fmt::format("  {} ERRORS", system.errors) : "");
    }
    print_percentiles(result);
    std::fflush(stdout);
}

void print(const call_costs &costs) {
    fmt::print("\nOne call, nobody else at work  (ns; messages of 48 B)\n");
    for (const call_cost &cost : costs.fast) {
        fmt::print("  {:20} {:>4} {:9} {:>8.1f}\n", cost.call, cost.consumers,
                   cost.consumers == 1 ? "consumer" : "consumers", cost.nanoseconds);
    }
    for (const call_cost &cost : costs.slow) {
        fmt::print("  {:34} {:>10.0f}\n", cost.call, cost.nanoseconds);
    }
    fmt::print("A consumer takes {:.0f} bytes and {:.0f} descriptors, both ends together.\n",
               costs.consumer_bytes, costs.consumer_descriptors);
    std::fflush(stdout);
}

nlohmann::json machine() {
    utsname kernel = {};
    uname(&kernel);
    return {{"processor", processor_name()},
            {"processors", processors().size()},
            {"kernel", std::string(kernel.sysname) + " " + kernel.release},
            {"compiler", __VERSION__}};
}

namespace {

// Of all processors together, in ticks since the start: all, and those in which nothing ran.
std::pair<double, double> ticks() {
    std::ifstream stat("/proc/stat");
    std::string cpu;
    double all = 0;
    double idle = 0;
    stat >> cpu;
    for (int column = 0; column < 8; ++column) {
        double value = 0;
        stat >> value;
        all += value;
        idle += column == 3 || column == 4 ? value : 0; // idle and iowait
    }
    return {all, idle};
}

} // namespace

double busy_share() {
    const auto before = ticks();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto after = ticks();
    const double all = after.first - before.first;
    return all > 0 ? 1 - (after.second - before.second) / all : 0;
}

nlohmann::json to_json(const workload_result &result) {
    const workload &work = *result.work;
    nlohmann::json out = {{"key", work.key},
                          {"title", work.title},
                          {"unit", work.unit},
                          {"less_is_better", work.less_is_better},
                          {"floor", work.floor_name},
                          {"size", work.link.size},
                          {"batch", work.link.batch},
                          {"receivers", work.link.receivers},
                          {"far_threshold_ns", result.threshold}};
    for (const summary &system : result.systems) {
        out["systems"].push_back(to_json(system));
    }
    return out;
}

nlohmann::json to_json(const call_costs &costs) {
    nlohmann::json out = {{"consumer_bytes", costs.consumer_bytes},
                          {"consumer_descriptors", costs.consumer_descriptors}};
    for (const std::vector<call_cost> *list : {&costs.fast, &costs.slow}) {
        for (const call_cost &cost : *list) {
            out["calls"].push_back(
                {{"call", cost.call}, {"consumers", cost.consumers}, {"ns", cost.nanoseconds}});
        }
    }
    return out;
}

} // namespace bench
