// SPDX-License-Identifier: MIT
#include "help.hpp"

#include <fmt/core.h>

namespace zbq::tool {

const help_text main_help = {
    "NAME is a socket in $XDG_RUNTIME_DIR/zbq (else /run/user/UID/zbq or /tmp/zbq-UID),\n"
    "a path when it has a slash, or an abstract name when it begins with @.\n"
    "'zbq pub --help' and 'zbq sub --help' tell more.",
    {"zbq sub --wait log | grep -i error &", "tail -f /var/log/syslog | zbq pub log"},
    "",
    {}};

const help_text pub_help = {
    "A consumer gets what is published after it has joined: see --wait-for. One that holds\n"
    "the ring back for --stall-timeout is evicted, with a line on standard error.",
    {"zbq pub --wait-for 2 --input /var/log/dpkg.log log",
     "camera | zbq pub --chunks 65536 --capacity 16M frames",
     "seq 1000 | zbq pub --rate 10 ./numbers.sock"},
    "",
    {{"0", "all of the input was published"},
     {"1", "an error: bad input, name in use, ..."},
     {"2", "a mistake on the command line"},
     {"130", "stopped by Ctrl-C (129 by a hang-up, 143 by SIGTERM), the stream ended properly"}}};

const help_text sub_help = {"",
                            {"zbq sub log", "zbq sub --wait --sha256 --count frames",
                             "zbq sub --pull --length-prefixed frames | decode"},
                            "what was read before is written in each case",
                            {{"0", "the stream ended, or nobody reads the output any more"},
                             {"1", "an error: output failed, no room at the publisher, ..."},
                             {"2", "a mistake on the command line"},
                             {"3", "evicted by the publisher; the message says why"},
                             {"4", "the publisher died without ending the stream"},
                             {"5", "nobody publishes that name"},
                             {"130", "stopped by Ctrl-C (129 by a hang-up, 143 by SIGTERM)"}}};

std::string footer(const help_text &help) {
    std::string text = help.remarks.empty() ? "" : fmt::format("\n{}\n", help.remarks);
    text += "\nExamples:\n";
    for (const std::string &example : help.examples) {
        text += fmt::format("  {}\n", example);
    }
    if (!help.statuses.empty()) {
        text += fmt::format("\nExit status{}{}:\n", help.about_statuses.empty() ? "" : "; ",
                            help.about_statuses);
    }
    for (const auto &[status, meaning] : help.statuses) {
        text += fmt::format("  {:<5}{}\n", status, meaning);
    }
    text.pop_back(); // the formatter ends it with one
    return text;
}

} // namespace zbq::tool
