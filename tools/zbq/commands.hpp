// SPDX-License-Identifier: MIT
#pragma once

#include "options.hpp"

namespace zbq::tool {

// The subcommands: each returns the exit status.
int publish(const pub_options &options);
int subscribe(const sub_options &options);
int collect(const collect_options &options);
int list_rings(const ls_options &options);
int show_ring(const stat_options &options);
int watch_rings(const top_options &options);
int export_statistics(const export_options &options);
int record(const record_options &options);
int info(const info_options &options);
int replay(const replay_options &options);

} // namespace zbq::tool
