// SPDX-License-Identifier: MIT
//
// Results for people (a table) and for programs (JSON).
#pragma once

#include "calls.hpp"
#include "workloads.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace bench {

void print(const workload_result &result);
void print(const call_costs &costs);

// What machine this is.
nlohmann::json machine();

// How much of the processors others use, measured for a moment: 0 to 1.
double busy_share();
nlohmann::json to_json(const workload_result &result);
nlohmann::json to_json(const call_costs &costs);

} // namespace bench
