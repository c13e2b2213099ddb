// SPDX-License-Identifier: MIT
//
// zbq: the command-line tool. Each subcommand is a file: pub.cpp, sub.cpp.
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "options.hpp"
#include "signals.hpp"

#include <zbq.hpp>

namespace {

using namespace zbq::tool;

int run(const command_line &line) {
    if (line.status) {
        return *line.status;
    }
    install_signal_handlers();
    if (const auto *options = std::get_if<pub_options>(&line.command)) {
        return publish(*options);
    }
    return subscribe(std::get<sub_options>(line.command));
}

} // namespace

int main(int argc, char **argv) {
    try {
        guard_standard_streams();
        return run(parse_command_line(argc, argv));
    } catch (const failure &error) {
        fmt::print(stderr, "zbq: {}\n", error.what());
        return error.status();
    } catch (const zbq::error &error) {
        fmt::print(stderr, "zbq: {}\n", error.what());
        return error.code() == zbq::status::invalid ? exit_usage : exit_failure;
    } catch (const std::exception &error) {
        fmt::print(stderr, "zbq: {}\n", error.what());
        return exit_failure;
    }
}
