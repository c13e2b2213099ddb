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
    ls_options list;
    stat_options show;
    top_options watch;
    export_options scrape;
    record_options record;
    info_options info;
    replay_options replay;
    CLI::App *pub;
    CLI::App *sub;
    CLI::App *gather;
    CLI::App *ls;
    CLI::App *stat;
    CLI::App *top;
    CLI::App *metrics;
    CLI::App *recorder = nullptr; // these three where there is a library for MCAP
    CLI::App *teller = nullptr;
    CLI::App *player = nullptr;
};

// Of recording_options.cpp, in builds that have these.
void add_recording(CLI::App *app, declarations *declared);
void check_record(const record_options &options);
void check_replay(const replay_options &options);

} // namespace zbq::tool
