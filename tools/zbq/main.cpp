// SPDX-License-Identifier: MIT
//
// zbq: the command-line tool. Each subcommand is a file: pub.cpp, sub.cpp, collect.cpp, ls.cpp,
// stat.cpp, top.cpp, export.cpp, record.cpp, info.cpp, replay.cpp.
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "options.hpp"
#include "signals.hpp"

#include <zbq.hpp>

#include <climits>
#include <cstring>
#include <unistd.h>

namespace {

using namespace zbq::tool;

int run(const command_line &line) {
    if (const auto *options = std::get_if<pub_options>(&line)) {
        return publish(*options);
    }
    if (const auto *options = std::get_if<sub_options>(&line)) {
        return subscribe(*options);
    }
    if (const auto *options = std::get_if<collect_options>(&line)) {
        return collect(*options);
    }
    if (const auto *options = std::get_if<ls_options>(&line)) {
        return list_rings(*options);
    }
    if (const auto *options = std::get_if<stat_options>(&line)) {
        return show_ring(*options);
    }
    if (const auto *options = std::get_if<top_options>(&line)) {
        return watch_rings(*options);
    }
    if (const auto *options = std::get_if<export_options>(&line)) {
        return export_statistics(*options);
    }
#ifdef ZBQ_WITH_MCAP
    if (const auto *options = std::get_if<record_options>(&line)) {
        return record(*options);
    }
    if (const auto *options = std::get_if<info_options>(&line)) {
        return info(*options);
    }
    if (const auto *options = std::get_if<replay_options>(&line)) {
        return replay(*options);
    }
#endif
    return status_after(write_output(std::get<help_request>(line).text));
}

// Who was asked to stop does not also complain of what that interrupted.
int complain(const std::string &text, int status) {
    if (stop_signal() != 0) {
        return status_when_stopped();
    }
    say_at_last(text);
    return status;
}

// The bridge is a program of its own, with libraries of its own: the one beside this, or in the
// path.
int run_bridge(char **argv) {
    std::string path(PATH_MAX, '\0');
    const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
    path.resize(size > 0 ? static_cast<size_t>(size) : 0);
    path = path.substr(0, path.rfind('/') + 1) + "zbq-bridge";
    execv(path.c_str(), argv);
    execvp("zbq-bridge", argv);
    say_at_last("zbq-bridge: not installed here");
    return exit_failure;
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1 && std::strcmp(argv[1], "bridge") == 0) {
        return run_bridge(argv + 1);
    }
    try {
        install_signal_handlers();
        guard_standard_streams();
        return run(parse_command_line(argc, argv));
    } catch (const failure &error) {
        return complain(error.what(), error.status());
    } catch (const zbq::error &error) {
        return complain(error.what() + limit_text(error.os_error()),
                        error.code() == zbq::status::invalid ? exit_usage : exit_failure);
    } catch (const std::exception &error) {
        return complain(error.what(), exit_failure);
    }
}
