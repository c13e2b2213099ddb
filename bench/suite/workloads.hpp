// SPDX-License-Identifier: MIT
//
// The pieces of work that systems are compared by.
#pragma once

#include "stage.hpp"
#include "summary.hpp"
#include "systems.hpp"

namespace bench {

struct workload {
    std::string key;   // for people and scripts: "ping-pong/48"
    std::string title; // a sentence
    std::string unit;
    bool less_is_better = false;
    system_under_test::maker system_under_test::*work = nullptr;
    link_options link;
    stage_options stage;
    std::string floor_name; // empty: none
    std::function<std::unique_ptr<act>()> floor;
    std::function<std::unique_ptr<act>()> own;  // instead of `work`: for zbq, and no other
    std::function<std::unique_ptr<act>()> also; // the reference: played too, to compare by
    std::vector<system_under_test> ways;        // of zbq: the same
    bool alone = false;                         // zbq only
};

struct workload_result {
    const workload *work = nullptr;
    double threshold = 0;
    std::vector<summary> systems; // zbq's comes first
};

// `effort` is 1 for the full suite, less for a quick look.
std::vector<workload> all_workloads(double effort);

workload_result run(const workload &work);

} // namespace bench
