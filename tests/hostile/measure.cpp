// SPDX-License-Identifier: MIT
#include "measure.hpp"

#include <algorithm>

namespace hostile {

namespace {

double rate_of(const outcome &result) {
    return static_cast<double>(result.messages) / result.seconds;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct series {
    std::vector<double> to_burner, to_nobody, rate, wakes, waits;
    std::vector<double> longest[timed_calls], longest_beside_burner[timed_calls];
};

// Instead of the attackers, as many: burners, but for those of many that read along.
attackers in_place_of(const attackers &who) {
    attackers instead;
    for (const attack *one : who) {
        instead.push_back(who.size() > 1 && one->reads_along ? &reader : &burner);
    }
    return instead;
}

class measurement {
public:
    measurement(const trial &what, const effort &chosen) : trial_(what) {
        options_.nanoseconds = static_cast<std::uint64_t>(chosen.seconds * 1e9);
        options_.capacity = what.who.front()->capacity;
        options_.refuses_evicted = what.refuses_evicted;
        options_.patient = what.patient;
        options_.ends_attacked = true;
    }

    void turn() {
        const attackers instead = in_place_of(trial_.who);
        const double beside_burners = rate_of(run_once(instead, false));
        const double beside_nobody = rate_of(run_once({}, false));
        const outcome attacked = run_once(trial_.who, false);
        add(attacked, beside_burners, beside_nobody);
        add_times(series_.longest, run_once(trial_.who, true));
        add_times(series_.longest_beside_burner, run_once(instead, true));
    }

    measured summary() {
        sum_.to_burner = median(series_.to_burner);
        sum_.to_nobody = median(series_.to_nobody);
        sum_.rate = median(series_.rate);
        sum_.wakes = median(series_.wakes);
        sum_.longest_wait_ms = median(series_.waits);
        for (unsigned i = 0; i < timed_calls; ++i) {
            sum_.longest_us[i] = median(series_.longest[i]);
            sum_.longest_beside_burner_us[i] = median(series_.longest_beside_burner[i]);
        }
        return sum_;
    }

private:
    outcome run_once(const attackers &who, bool timed) {
        options_.timed = timed;
        const outcome result = run(who, options_);
        sum_.harm += result.harm;
        return result;
    }

    void add(const outcome &attacked, double beside_burners, double beside_nobody) {
        series_.to_burner.push_back(rate_of(attacked) / beside_burners);
        series_.to_nobody.push_back(rate_of(attacked) / beside_nobody);
        series_.rate.push_back(rate_of(attacked));
        series_.wakes.push_back(static_cast<double>(attacked.counters.wakes) /
                                static_cast<double>(std::max<std::uint64_t>(attacked.messages, 1)));
        series_.waits.push_back(static_cast<double>(attacked.longest_wait_ns) / 1e6);
        sum_.counters = attacked.counters;
    }

    static void add_times(std::vector<double> *to, const outcome &timed) {
        for (unsigned i = 0; i < timed_calls; ++i) {
            to[i].push_back(static_cast<double>(timed.longest_ns[i]) / 1e3);
        }
    }

    const trial &trial_;
    arena_options options_;
    series series_;
    measured sum_;
};

} // namespace

measured measure(const trial &what, const effort &chosen) {
    measurement measuring(what, chosen);
    for (unsigned i = 0; i < chosen.turns; ++i) {
        measuring.turn();
    }
    return measuring.summary();
}

} // namespace hostile
