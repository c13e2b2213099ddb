// SPDX-License-Identifier: MIT
//
// Results for people (a table) and for programs (JSON).
#pragma once

#include "workloads.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace bench {

void print(const workload_result &result);

// What machine this is.
nlohmann::json machine();
nlohmann::json to_json(const workload_result &result);

} // namespace bench
