// SPDX-License-Identifier: MIT
//
// What zbq-bridge is asked for.
#pragma once

#include "options.hpp"

#include <string>
#include <variant>
#include <vector>

namespace zbq::bridge {

struct origin_options {
    std::string name = {};
    std::uint16_t note_key = 32767;
};

struct help_request {
    std::string text = {};
};

using job = std::variant<export_options, import_options>;
using request = std::variant<std::vector<job>, origin_options, help_request>;

// @throws tool::failure
request parse_command_line(int argc, char **argv);

// Prints what is known of the original: the exit status.
int tell_origin(const origin_options &options);

} // namespace zbq::bridge
