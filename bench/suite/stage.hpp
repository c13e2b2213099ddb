// SPDX-License-Identifier: MIT
//
// Plays acts: starts a process for each actor, has all acts performed in short slices in turn,
// and collects what the actors say.
#pragma once

#include "act.hpp"

#include <memory>
#include <vector>

namespace bench {

struct stage_options {
    unsigned actors = 2;
    unsigned rounds = 20;
    std::chrono::milliseconds slice{15};
    bool pinned = true; // actor N to the Nth processor that we may use
};

// The distance of the processors that actors 0 and 1 run on: nanoseconds for a cache line there
// and back, before a slice of the floor, between it and the system's, and after that. 0 where
// that is not measured.
struct distances {
    double before = 0;
    double between = 0;
    double after = 0;
};

// A slice of the floor and, next to it, one of the system.
struct slice_result {
    distances probes;
    double floor = 0;
    std::vector<outcome> actors;
};

struct act_result {
    std::string name;
    std::string failure; // why it could not be played; empty when it was
    std::vector<slice_result> rounds;
    std::vector<double> samples;
};

// The floor and each system in turn, again and again. The floor may be null. The results are in
// the order of the systems.
std::vector<act_result> play(act *floor, const std::vector<std::unique_ptr<act>> &systems,
                             const stage_options &options);

// The processors that this process may use.
std::vector<int> processors();

} // namespace bench
