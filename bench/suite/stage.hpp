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

// A slice of one act, with the distance of the processors around it.
struct slice_result {
    double probe_before = 0; // nanoseconds for a cache line there and back, between actors 0 and 1;
    double probe_after = 0;  // 0 where that is not measured
    std::vector<outcome> actors;
};

struct act_result {
    std::string name;
    std::string failure; // why it could not be played; empty when it was
    std::vector<slice_result> rounds;
};

// In the order of the acts.
std::vector<act_result> play(const std::vector<std::unique_ptr<act>> &acts,
                             const stage_options &options);

// The processors that this process may use.
std::vector<int> processors();

} // namespace bench
