// SPDX-License-Identifier: MIT
//
// What a bridge has done, for people and for programs.
#pragma once

#include "tools/zbq/bridge_status.hpp"

#include <string>
#include <vector>

namespace zbq::bridge {

struct account : tool::bridge_counts {
    std::string direction; // export or import
    std::string name;      // of the ring
    std::string stream;
};

[[nodiscard]] std::string to_json(const account &what);
[[nodiscard]] std::string to_text(const account &what);
[[nodiscard]] tool::bridge_status status_of(const account &what);

// From the threads of bridges to that which tells of them. Each is one of its ring and stream.
void show(const account &what);
[[nodiscard]] std::vector<tool::bridge_status> all_shown();

} // namespace zbq::bridge
