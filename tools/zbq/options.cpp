// SPDX-License-Identifier: MIT
#include "options.hpp"

#include "errors.hpp"
#include "units.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr const char *main_help = R"(
Examples:
  zbq sub --wait log | grep -i error &
  tail -f /var/log/syslog | zbq pub log

NAME is a socket in $XDG_RUNTIME_DIR/zbq (else /run/user/UID/zbq or /tmp/zbq-UID),
or a path when it has a slash. 'zbq pub --help' and 'zbq sub --help' tell more.)";

constexpr const char *pub_help = R"(
A consumer gets what is published after it has joined: see --wait-for. One that holds
the ring back for --stall-timeout is evicted, with a line on standard error.

Examples:
  zbq pub --wait-for 2 --input /var/log/dpkg.log log
  camera | zbq pub --chunks 65536 --capacity 16M frames
  seq 1000 | zbq pub --rate 10 ./numbers.sock

Exit status:
  0    all of the input was published
  1    an error: bad input, name in use, ...
  2    a mistake on the command line
  130  stopped by Ctrl-C (129 by a hang-up, 143 by SIGTERM), the stream ended properly)";

constexpr const char *sub_help = R"(
Examples:
  zbq sub log
  zbq sub --wait --sha256 --count frames
  zbq sub --pull --length-prefixed frames | decode

Exit status; what was read before is written in each case:
  0    the stream ended, or nobody reads the output any more
  1    an error: output failed, no room at the publisher, ...
  2    a mistake on the command line
  3    evicted by the publisher; the message says why
  4    the publisher died without ending the stream
  5    nobody publishes that name
  130  stopped by Ctrl-C (129 by a hang-up, 143 by SIGTERM))";

void add_pub_framing(CLI::App *pub, pub_options *options) {
    CLI::Option *lines = pub->add_flag_callback(
        "--lines", [options] { options->framing = input_framing::lines; },
        "a message is a line, with its newline (default)");
    CLI::Option *chunks = pub->add_option_function<std::string>(
        "--chunks",
        [options](const std::string &text) {
            options->framing = input_framing::chunks;
            options->chunk_size = parse_size("--chunks", text);
        },
        "a message is this many bytes, the last one fewer");
    CLI::Option *prefixed = pub->add_flag_callback(
        "--length-prefixed", [options] { options->framing = input_framing::length_prefixed; },
        "a message is its length, as 32 bits little-endian, and so many bytes");
    chunks->type_name("SIZE")->excludes(lines);
    prefixed->excludes(lines)->excludes(chunks);
}

void add_pub_ring(CLI::App *pub, pub_options *options) {
    pub->add_option_function<std::string>(
           "--capacity",
           [options](const std::string &text) {
               options->capacity = parse_size("--capacity", text);
           },
           "bytes in the ring, such as 64K, 1M or 1G (default 4M)")
        ->type_name("SIZE");
    pub->add_option_function<std::string>(
           "--stall-timeout",
           [options](const std::string &text) {
               options->stall_timeout = parse_duration("--stall-timeout", text);
           },
           "how long a consumer may hold the ring back, such as 500ms or 2s; 0: for ever "
           "(default 5s)")
        ->type_name("TIME");
    pub->add_option("--max-consumers", options->max_consumers, "at one time (default 64)")
        ->type_name("N")
        ->check(CLI::Range(1U, 65536U));
}

CLI::App *add_pub(CLI::App *app, pub_options *options) {
    CLI::App *pub = app->add_subcommand("pub", "publish standard input, or a file");
    pub->add_option("NAME", options->name, "what subscribers ask for")->required();
    pub->add_option("--input", options->input, "read this instead of standard input")
        ->type_name("FILE");
    add_pub_framing(pub, options);
    add_pub_ring(pub, options);
    pub->add_option("--wait-for", options->wait_for, "start when there are so many consumers")
        ->type_name("N");
    pub->add_option("--fd", options->files,
                    "send an open descriptor of this file, for reading, with the first message; "
                    "repeatable")
        ->type_name("FILE")
        ->expected(1)
        ->take_all();
    pub->add_option("--rate", options->rate, "messages per second")->type_name("R");
    pub->add_flag("--quiet", options->quiet, "no summary at the end, no progress");
    pub->footer(pub_help);
    return pub;
}

void add_sub_output(CLI::App *sub, sub_options *options) {
    CLI::Option *raw = sub->add_flag_callback(
        "--raw", [options] { options->framing = output_framing::raw; },
        "write payloads as they are (default)");
    CLI::Option *lines = sub->add_flag_callback(
        "--lines", [options] { options->framing = output_framing::lines; },
        "add a newline to a payload that does not end in one");
    CLI::Option *prefixed = sub->add_flag_callback(
        "--length-prefixed", [options] { options->framing = output_framing::length_prefixed; },
        "write the length, as 32 bits little-endian, before each payload");
    CLI::Option *count = sub->add_flag("--count", options->count,
                                       "write no messages, but how many there were at the end");
    CLI::Option *sha256 = sub->add_flag("--sha256", options->sha256,
                                        "write no messages, but the SHA-256 of all payloads");
    CLI::Option *quiet = sub->add_flag("--quiet", options->quiet, "write no messages");
    lines->excludes(raw);
    prefixed->excludes(raw)->excludes(lines);
    for (CLI::Option *framing : {raw, lines, prefixed}) {
        framing->excludes(count)->excludes(sha256)->excludes(quiet);
    }
}

CLI::App *add_sub(CLI::App *app, sub_options *options) {
    CLI::App *sub = app->add_subcommand("sub", "write what is published to standard output");
    sub->add_option("NAME", options->name, "what is published")->required();
    add_sub_output(sub, options);
    CLI::Option *push = sub->add_flag_callback(
        "--push", [options] { options->mode = wakeup::push; },
        "sleep until the publisher wakes this process (default)");
    sub->add_flag_callback(
           "--pull", [options] { options->mode = wakeup::pull; },
           "look again every millisecond or less; gets no descriptors")
        ->excludes(push);
    sub->add_flag("--wait", options->wait, "wait for a publisher that is not there yet");
    sub->footer(sub_help);
    return sub;
}

void check_pub(const pub_options &options) {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (options.capacity == 0 || options.capacity % page != 0) {
        throw usage_error(fmt::format("--capacity: {} is not a multiple of the page size, {} bytes",
                                      options.capacity, page));
    }
    if (options.framing == input_framing::chunks &&
        (options.chunk_size == 0 || options.chunk_size > options.payload_limit())) {
        throw usage_error(fmt::format("--chunks: {} is not from 1 to {}, the most that a ring of "
                                      "{} bytes takes (see --capacity)",
                                      options.chunk_size, options.payload_limit(),
                                      options.capacity));
    }
    if (options.wait_for > options.max_consumers) {
        throw usage_error("--wait-for is more than --max-consumers");
    }
    if (options.files.size() > ZBQ_MAX_FD_PER_MSG) {
        throw usage_error(
            fmt::format("--fd: {} files, {} at most", options.files.size(), ZBQ_MAX_FD_PER_MSG));
    }
    if (!std::isfinite(options.rate) || options.rate < 0 || options.rate > 1e9) {
        throw usage_error("--rate: not a number of messages per second");
    }
}

} // namespace

uint64_t pub_options::payload_limit() const {
    return std::min<uint64_t>(capacity - sizeof(zbq_msg_header),
                              std::numeric_limits<uint32_t>::max());
}

command_line parse_command_line(int argc, char **argv) {
    CLI::App app("Broadcasts a stream from one process to many through shared memory.", "zbq");
    app.set_version_flag("--version", fmt::format("zbq {}.{}.{}", ZBQ_VERSION_MAJOR,
                                                  ZBQ_VERSION_MINOR, ZBQ_VERSION_PATCH));
    app.require_subcommand(1);
    app.footer(main_help);
    pub_options publish;
    sub_options subscribe;
    const CLI::App *pub = add_pub(&app, &publish);
    add_sub(&app, &subscribe);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success &help) {
        return {{}, app.exit(help)};
    } catch (const CLI::ParseError &error) {
        throw usage_error(fmt::format("{}\nTry 'zbq --help'.", error.what()));
    }
    if (!pub->parsed()) {
        return {subscribe, std::nullopt};
    }
    check_pub(publish);
    return {publish, std::nullopt};
}

} // namespace zbq::tool
