// SPDX-License-Identifier: MIT
//
// Statistics for programs.
#pragma once

#include "bridge_status.hpp"

#include <zbq.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace zbq::tool {

// Of a ring, without its slots.
nlohmann::ordered_json to_json(const zbq_ring_stats &ring);

// With those slots that anybody ever had.
nlohmann::ordered_json to_json(const statistics &of);

nlohmann::ordered_json to_json(const bridge_status &of);

// In one line of printable ASCII. What is no UTF-8 is replaced.
std::string json_line(const nlohmann::ordered_json &what);

} // namespace zbq::tool
