// SPDX-License-Identifier: MIT
#pragma once

#include "options.hpp"

namespace zbq::tool {

// The subcommands: each returns the exit status.
int publish(const pub_options &options);
int subscribe(const sub_options &options);
int collect(const collect_options &options);

} // namespace zbq::tool
