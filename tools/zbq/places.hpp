// SPDX-License-Identifier: MIT
//
// Where rings may be: names that somebody listens at.
#pragma once

#include <string>
#include <vector>

namespace zbq::tool {

// As the tool takes them, each once: sockets in the user's directories, those in other places whose
// path /proc tells, and last abstract ones, of which anybody may have any number. Who listens there
// need not have a ring.
std::vector<std::string> listening_names();

} // namespace zbq::tool
