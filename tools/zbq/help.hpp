// SPDX-License-Identifier: MIT
//
// What the help and the manual page of a command tell beside its options.
#pragma once

#include <string>
#include <vector>

namespace zbq::tool {

struct help_text {
    std::string remarks;
    std::vector<std::string> examples;
};

struct status_meaning {
    std::string status;
    std::string meaning;
};

extern const help_text main_help;
extern const help_text pub_help;
extern const help_text sub_help;
extern const help_text collect_help;
extern const help_text ls_help;
extern const help_text stat_help;
extern const help_text top_help;
extern const help_text export_help;
extern const help_text record_help;
extern const help_text info_help;
extern const help_text replay_help;

// One table for all commands.
extern const std::string about_statuses;
extern const std::vector<status_meaning> exit_statuses;

// As it stands below the options.
std::string footer(const help_text &help);

} // namespace zbq::tool
