// SPDX-License-Identifier: MIT
//
// Where rings may be: names that somebody listens at.
#pragma once

#include <string>
#include <vector>

namespace zbq::tool {

// As the tool takes them, each once and in order: sockets in the user's directories, those in other
// places whose path /proc tells, and abstract ones. Who listens there need not have a ring.
std::vector<std::string> listening_names();

} // namespace zbq::tool
