// SPDX-License-Identifier: MIT
//
// Statistics in the text format of Prometheus.
#pragma once

#include "survey.hpp"

#include <string>
#include <vector>

namespace zbq::tool {

// Of all names that were asked. Base units, _total behind what only rises; a ring has the label
// `ring`, its name, and a reader `reader` as well, the number of its join.
std::string exposition(const std::vector<finding> &found);

} // namespace zbq::tool
