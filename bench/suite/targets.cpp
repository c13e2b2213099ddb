// SPDX-License-Identifier: MIT
#include "targets.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <functional>
#include <nlohmann/json.hpp>

namespace bench {

namespace {

using spell_figures = spell_summary summary::*;
constexpr spell_figures spells[] = {&summary::near, &summary::far};

// Of one spell of one workload.
using measure = std::function<std::optional<double>(const workload_result &, spell_figures)>;

std::optional<double> figure(const summary &system, spell_figures spell) {
    const spell_summary &found = system.*spell;
    const bool clear = found.slices != 0 && !found.is_vague();
    return clear ? std::optional(found.figure.median) : std::nullopt;
}

const summary *find(const workload_result &result, const std::string &name) {
    const auto found = std::find_if(result.systems.begin(), result.systems.end(),
                                    [&](const summary &system) { return system.name == name; });
    return found != result.systems.end() ? &*found : nullptr;
}

// What zbq is compared with: what somebody would use instead.
bool is_peer(const workload_result &result, const summary &system) {
    return &system != &result.systems.front() && !system.is_reference;
}

// How many times the best peer zbq is; above 1 it is ahead.
std::optional<double> lead(const workload_result &result, spell_figures spell) {
    const bool less = result.work->less_is_better;
    const std::optional<double> own = figure(result.systems.front(), spell);
    std::optional<double> best;
    for (const summary &peer : result.systems) {
        const std::optional<double> its =
            is_peer(result, peer) ? figure(peer, spell) : std::nullopt;
        if (its && (!best || (less ? *its < *best : *its > *best))) {
            best = its;
        }
    }
    if (!own || !best) {
        return std::nullopt;
    }
    return less ? *best / *own : *own / *best;
}

// Processor time of a delivered message, both sides, against the best peer's.
std::optional<double> cpu_lead(const workload_result &result, spell_figures spell) {
    if (spell != spells[0]) { // over all slices
        return std::nullopt;
    }
    const auto cost = [](const summary &system) {
        return system.sender_cpu_ns + system.receiver_cpu_ns;
    };
    double best = 0;
    for (const summary &peer : result.systems) {
        if (is_peer(result, peer) && cost(peer) > 0 && (best == 0 || cost(peer) < best)) {
            best = cost(peer);
        }
    }
    const double own = cost(result.systems.front());
    return own > 0 && best > 0 ? std::optional(best / own) : std::nullopt;
}

std::optional<double> in_one_round(const spread &ratio, std::size_t slices) {
    return slices >= 5 && ratio.median > 0 && !ratio.is_wide() ? std::optional(ratio.median)
                                                               : std::nullopt;
}

// By one of zbq's ways: times what the reference did in the same round.
measure to_reference(const std::string &way) {
    return [way](const workload_result &result, spell_figures spell) -> std::optional<double> {
        const summary *own = find(result, way);
        return own != nullptr ? in_one_round((own->*spell).to_reference, (own->*spell).slices)
                              : std::nullopt;
    };
}

// The same, to the floor next to it.
measure to_floor(const std::string &way) {
    return [way](const workload_result &result, spell_figures spell) -> std::optional<double> {
        const summary *own = find(result, way);
        return own != nullptr ? in_one_round((own->*spell).ratio, (own->*spell).slices)
                              : std::nullopt;
    };
}

measure delivered_to(unsigned receivers) {
    return
        [receivers](const workload_result &result, spell_figures spell) -> std::optional<double> {
            const std::optional<double> sent = figure(result.systems.front(), spell);
            return sent ? std::optional(*sent * receivers / 1e6) : std::nullopt;
        };
}

class judgement {
public:
    explicit judgement(const std::vector<workload_result> &results) : results_(results) {}

    void at_most(const std::string &key, const std::string &what, double wanted,
                 const measure &of) {
        add(key, what, true, wanted, of);
    }
    void at_least(const std::string &key, const std::string &what, double wanted,
                  const measure &of) {
        add(key, what, false, wanted, of);
    }
    void at_most(const std::string &what, double wanted, double measured) {
        verdicts_.push_back({what, true, wanted, measured, std::nullopt});
    }
    void all_ahead() {
        for (const workload_result &result : results_) {
            if (result.systems.size() > 1) {
                add(result.work->key, "times the best peer", false, 1, lead);
            }
        }
    }
    std::vector<verdict> take() { return std::move(verdicts_); }

private:
    void add(const std::string &key, const std::string &what, bool less, double wanted,
             const measure &of) {
        for (const workload_result &result : results_) {
            if (result.work->key == key) {
                verdicts_.push_back({fmt::format("{}: {}", key, what), less, wanted,
                                     of(result, spells[0]), of(result, spells[1])});
            }
        }
    }

    const std::vector<workload_result> &results_;
    std::vector<verdict> verdicts_;
};

double cost_of(const call_costs &costs, const std::string &call, unsigned consumers) {
    for (const std::vector<call_cost> *list : {&costs.fast, &costs.slow}) {
        for (const call_cost &cost : *list) {
            if (cost.call == call && cost.consumers == consumers) {
                return cost.nanoseconds;
            }
        }
    }
    return 0;
}

void judge_calls(judgement *all, const call_costs &costs) {
    const double reserve = cost_of(costs, "reserve", 1);
    const double commit = cost_of(costs, "commit", 1);
    all->at_most("commit, nobody parked: ns", 10, commit);
    all->at_most("publish: ns", 15, cost_of(costs, "publish", 1));
    all->at_most("reserve and commit for 64 consumers: times that for one", 1.3,
                 (reserve + cost_of(costs, "commit", 64)) / (reserve + commit));
    all->at_most("a consumer: bytes", 8192, costs.consumer_bytes);
    for (const auto &[call, most] :
         {std::pair("join, 64 MiB", 5), std::pair("join, 1024 MiB", 100)}) {
        const double took = cost_of(costs, call, 1) / 1e6;
        if (took > 0) { // it was measured
            all->at_most(fmt::format("{}: ms", call), most, took);
        }
    }
}

void judge_latency(judgement *all) {
    for (const int size : {16, 48, 64, 256, 1024}) {
        const std::string key = fmt::format("ping-pong/{}", size);
        for (const char *way : {"zbq", "zbq, try_next", "zbq, answered first"}) {
            all->at_most(key, fmt::format("{}, times the bare ring", way), 1.1, to_reference(way));
        }
        all->at_most(key, "zbq, C, times the bare ring", 1.2, to_reference("zbq, C"));
    }
    all->at_most("ping-pong-sleeping/64", "times the futex floor", 1.05, to_floor("zbq"));
}

void judge_streams(judgement *all) {
    for (const char *key : {"throughput/16/1", "throughput/64/1", "throughput/64/8",
                            "throughput/64/64", "throughput/256/1", "throughput/1024/1",
                            "throughput/4096/1", "throughput/65536/1", "throughput/1048576/1"}) {
        all->at_least(key, "zbq, of the bare ring", 0.95, to_floor("zbq"));
    }
    for (const int size : {16, 64, 256, 1024, 4096, 65536, 1048576}) {
        all->at_least(fmt::format("throughput/{}/1", size), "zbq, C, of the bare ring", 0.95,
                      to_floor("zbq, C"));
    }
    for (const int batch : {1, 8, 64}) {
        all->at_least(fmt::format("throughput/64/{}", batch), "zbq, typed, of the bare ring", 0.9,
                      to_floor("zbq, typed"));
    }
    for (const unsigned kib : {256U, 1024U, 4096U, 16384U, 65536U, 131072U}) {
        for (const int size : {64, 1024}) {
            all->at_least(fmt::format("ring-size/{}/{}", size, kib), "of the bare ring", 0.95,
                          to_floor("zbq"));
        }
    }
    all->at_least("throughput/64/1", "times the best peer", 3, lead);
}

void judge_frames(judgement *all) {
    for (const int size : {160 * 120 * 4, 1920 * 1080 * 4}) {
        all->at_least(fmt::format("frames/{}", size), "times a descriptor for each", 2,
                      to_floor("zbq, frame_pool"));
    }
}

void judge_threads(judgement *all) {
    all->at_least("threads/64", "times a mutex", 1, to_floor("zbq, thread_producers"));
    all->at_least("threads/64", "times a queue", 1, to_reference("zbq, thread_producers"));
}

std::string text_of(const std::optional<double> &value) {
    return value ? fmt::format("{:.2f}", *value) : "-";
}

const char *word_of(const verdict &about) {
    if (!about.is_known()) {
        return "not known";
    }
    return about.is_met() ? "met" : "MISSED";
}

} // namespace

bool verdict::is_met() const {
    for (const std::optional<double> &value : {near, far}) {
        if (value && (at_most ? *value > wanted : *value < wanted)) {
            return false;
        }
    }
    return is_known();
}

std::vector<verdict> judge(const std::vector<workload_result> &results, const call_costs &costs) {
    judgement all(results);
    judge_latency(&all);
    judge_streams(&all);
    judge_frames(&all);
    judge_threads(&all);
    all.at_least("fan-out/4", "million messages a second, delivered", 10, delivered_to(4));
    all.at_least("fan-out/4", "processor time of the best peer, times its own", 1, cpu_lead);
    if (!costs.fast.empty()) {
        judge_calls(&all, costs);
    }
    all.all_ahead();
    return all.take();
}

void print(const std::vector<verdict> &verdicts) {
    fmt::print("\nTargets  (in near and far spells)\n");
    for (const verdict &about : verdicts) {
        fmt::print("  {:62} {} {:<6g} {:>8} {:>8}  {}\n", about.what,
                   about.at_most ? "<=" : ">=", about.wanted, text_of(about.near),
                   text_of(about.far), word_of(about));
    }
}

nlohmann::json to_json(const std::vector<verdict> &verdicts) {
    nlohmann::json all = nlohmann::json::array();
    for (const verdict &about : verdicts) {
        nlohmann::json one = {{"what", about.what},
                              {"at_most", about.at_most},
                              {"wanted", about.wanted},
                              {"verdict", word_of(about)}};
        if (about.near) {
            one["near"] = *about.near;
        }
        if (about.far) {
            one["far"] = *about.far;
        }
        all.push_back(one);
    }
    return all;
}

} // namespace bench
