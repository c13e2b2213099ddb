// SPDX-License-Identifier: MIT
//
// What zbq is to reach, and whether it did in this run.
#pragma once

#include "calls.hpp"
#include "workloads.hpp"

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace bench {

struct verdict {
    std::string what;
    bool at_most = false;
    double wanted = 0;
    // In near and far spells; none where it was not measured, or the spread is too wide.
    std::optional<double> near;
    std::optional<double> far;

    // Whether it was reached wherever it was measured.
    [[nodiscard]] bool is_met() const;
    [[nodiscard]] bool is_known() const { return near || far; }
};

// Of what was measured; costs without calls: those were not.
std::vector<verdict> judge(const std::vector<workload_result> &results, const call_costs &costs);

void print(const std::vector<verdict> &verdicts);
nlohmann::json to_json(const std::vector<verdict> &verdicts);

} // namespace bench
