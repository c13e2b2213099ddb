// SPDX-License-Identifier: MIT
//
// The commands and options there are. From these come the help, the manual pages and the
// completions of shells (describe.cpp).
#pragma once

#include "options.hpp"

#include <CLI/CLI.hpp>

namespace zbq::tool {

// Parsing fills in the options.
struct declarations {
    declarations();

    CLI::App app;
    pub_options publish;
    sub_options subscribe;
    collect_options collect;
    CLI::App *pub;
    CLI::App *sub;
    CLI::App *gather;
};

} // namespace zbq::tool
