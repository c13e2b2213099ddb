// SPDX-License-Identifier: MIT
//
// In the place of top.cpp, where there is no ncurses to build it with.
#include "commands.hpp"
#include "errors.hpp"

namespace zbq::tool {

int watch_rings(const top_options & /*options*/) {
    throw failure("this zbq was built without ncurses, and has no top; there is 'zbq ls'");
}

} // namespace zbq::tool
