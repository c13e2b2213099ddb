// SPDX-License-Identifier: MIT
//
// What the help and the manual page of a command tell beside its options.
#pragma once

#include <string>
#include <vector>

namespace zbq::tool {

struct status_meaning {
    std::string status;
    std::string meaning;
};

struct help_text {
    std::string remarks;
    std::vector<std::string> examples;
    std::string about_statuses; // true of each of them; empty: nothing is
    std::vector<status_meaning> statuses;
};

extern const help_text main_help;
extern const help_text pub_help;
extern const help_text sub_help;

// As it stands below the options.
std::string footer(const help_text &help);

} // namespace zbq::tool
