// SPDX-License-Identifier: MIT
#pragma once

#include "options.hpp"

namespace zbq::tool {

// The subcommands: each returns the exit status.
int publish(const pub_options &options);
int subscribe(const sub_options &options);
int collect(const collect_options &options);
int record(const record_options &options);
int info(const info_options &options);
int replay(const replay_options &options);

} // namespace zbq::tool
