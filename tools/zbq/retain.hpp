// SPDX-License-Identifier: MIT
#pragma once

#include "options.hpp"

namespace zbq::tool {

// Files to retained messages, before anybody can join: whoever comes has all of them.
void retain_files(const pub_options &options, producer *ring);

} // namespace zbq::tool
