// SPDX-License-Identifier: MIT
//
// A trial: attackers, as many burners in their place, and nobody, in turns; and the first two once
// more with each of the producer's calls timed.
#pragma once

#include "arena.hpp"

#include <string>

namespace hostile {

struct trial {
    std::string name;
    attackers who;
    bool refuses_evicted = false;
    bool patient = false;
};

struct effort {
    unsigned turns = 3;
    double seconds = 1; // of each run
};

// Medians over the turns, of the longest in each of what is timed.
struct measured {
    double to_burner = 0; // messages in a second, attacked, to those beside the burners
    double to_nobody = 0;
    double rate = 0;
    double wakes = 0; // for a message
    double longest_wait_ms = 0;
    double longest_us[timed_calls] = {}; // of the producer's thread
    double longest_beside_burner_us[timed_calls] = {};
    zbq_producer_statistics counters = {}; // of the last turn
    std::string harm;                      // lines
};

measured measure(const trial &what, const effort &chosen);

} // namespace hostile
