// SPDX-License-Identifier: MIT
//
// The command line.
#pragma once

#include "recording_options.hpp"

#include <zbq.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <utility>
#include <variant>
#include <vector>

namespace zbq::tool {

enum class input_framing { lines, chunks, length_prefixed };
enum class output_framing { raw, lines, length_prefixed };

// A file whose bytes are retained, for each newcomer.
struct retained_file {
    uint16_t key = 0;
    std::string path;
};

struct pub_options {
    std::string name;
    std::string input; // empty: standard input
    input_framing framing = input_framing::lines;
    uint64_t chunk_size = 0;
    uint64_t capacity = std::max<uint64_t>(4U << 20U, producer_options().capacity);
    uint64_t stall_timeout = 5'000'000'000;
    uint32_t max_consumers = 64;
    uint32_t wait_for = 0;
    double rate = 0; // messages per second; 0: as fast as it goes
    std::vector<std::string> files;
    std::vector<retained_file> retained;
    std::vector<std::pair<uint16_t, std::vector<std::byte>>> kept; // retained as well
    std::vector<uid_t> users; // that may join, beside the own one
    std::vector<gid_t> groups;
    std::vector<uid_t> observers; // users that may observe, and no more
    std::vector<gid_t> observer_groups;
    bool dial = false;  // the name is a collector's
    std::string source; // what that calls this
    bool quiet = false;

    // The largest payload that a message can have.
    [[nodiscard]] uint64_t payload_limit() const;
};

struct sub_options {
    std::string name;
    wakeup mode = wakeup::push;
    zbq::flow flow = zbq::flow::lossless;
    start from = {};
    std::vector<uid_t> publishers; // users whose publisher is accepted; empty: as connect says
    output_framing framing = output_framing::raw;
    bool retained = false; // read, too, before the stream
    bool keys = false;     // are written
    bool wait = false;
    bool count = false;
    bool quiet = false;
    bool sha256 = false;

    [[nodiscard]] bool writes_messages() const { return !count && !quiet && !sha256; }
    [[nodiscard]] bool writes() const { return writes_messages() || count || sha256; }
};

struct collect_options {
    std::string name;
    std::vector<uid_t> users; // that may dial in, beside the own one
    std::vector<gid_t> groups;
    uint32_t max_sources = 200;
    bool until_last = false;
};

struct ls_options {
    uint64_t timeout = 500'000'000;  // that one may take to answer
    uint64_t interval = 250'000'000; // over which rates are measured; 0: they are not
    bool json = false;
};

struct stat_options {
    std::string name;
    uint64_t timeout = 2'000'000'000;
    uint64_t interval = 1'000'000'000; // from one account to the next
    bool watch = false;
    bool json = false;
};

struct top_options {
    uint64_t timeout = 500'000'000;
    uint64_t interval = 1'000'000'000;
};

struct export_options {
    std::string host; // to listen at, and its port
    uint16_t port = 0;
    std::string textfile;
    uint64_t timeout = 500'000'000;
    uint64_t interval = 0; // from one file to the next; 0: there is no next
};

// There is nothing to run.
struct help_request {
    std::string text;
};

using command_line =
    std::variant<pub_options, sub_options, collect_options, ls_options, stat_options, top_options,
                 export_options, record_options, info_options, replay_options, help_request>;

// Throws a usage error for what makes no sense.
command_line parse_command_line(int argc, char **argv);

} // namespace zbq::tool
