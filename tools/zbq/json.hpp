// SPDX-License-Identifier: MIT
//
// Statistics for programs.
#pragma once

#include <zbq.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace zbq::tool {

// Of a ring, without its slots.
nlohmann::ordered_json to_json(const zbq_ring_stats &ring);

// With those slots that anybody ever had.
nlohmann::ordered_json to_json(const statistics &of);

// In one line of printable ASCII. What is no UTF-8 is replaced.
std::string line_of(const nlohmann::ordered_json &what);

} // namespace zbq::tool
