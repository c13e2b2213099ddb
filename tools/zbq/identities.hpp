// SPDX-License-Identifier: MIT
//
// Users and groups, by name or number.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

namespace zbq::tool {

// Throw a usage error that names the option.
uid_t parse_user(std::string_view option, const std::string &text);
gid_t parse_group(std::string_view option, const std::string &text);

} // namespace zbq::tool
