// SPDX-License-Identifier: MIT
//
// Options that are an amount.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace zbq::tool {

CLI::Option *add_size(CLI::App *to, const std::string &option, uint64_t *value,
                      const std::string &description);
CLI::Option *add_time(CLI::App *to, const std::string &option, uint64_t *value,
                      const std::string &description); // in nanoseconds

} // namespace zbq::tool
