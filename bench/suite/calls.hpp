// SPDX-License-Identifier: MIT
//
// What each call costs, on one thread and without anybody at the other side at that moment, and
// what a consumer takes of memory.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct call_cost {
    std::string call;
    double nanoseconds = 0; // median
    unsigned consumers = 1;
};

struct call_costs {
    std::vector<call_cost> fast; // for each message of 48 bytes
    std::vector<call_cost> slow; // joins and ends
    double consumer_bytes = 0;   // of memory, both ends together
    double consumer_descriptors = 0;
};

// `effort` as for workloads.
call_costs measure_calls(double effort);

} // namespace bench
