// SPDX-License-Identifier: MIT
//
// What a bridge is asked for.
#pragma once

#include "carrier.hpp"
#include "source.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace zbq::bridge {

struct export_options {
    source_options ring = {};
    server_options server = {};
    stream_options stream = {};
    std::size_t frame = std::size_t{128} << 10U; // bytes from which on one is sent
    std::uint64_t linger = 1'000'000;            // nanoseconds that it may wait to become so large
    std::size_t window = std::size_t{8} << 20U;  // bytes without an acknowledgement
    std::uint64_t refresh = 10'000'000'000;      // nanoseconds between tellings of what is retained
    bool adopt = false; // go on with a stream that has another ring's messages
    bool once = false;
    bool quiet = false;
    bool json = false;
};

struct import_options {
    std::string name = {}; // of the ring here
    server_options server = {};
    std::string stream = {};
    std::string position = {};  // a file; empty: none
    std::uint64_t from = 1;     // where there is no position: a number, or 0: what comes next
    std::uint64_t capacity = 0; // 0: as the original's, and 4 MiB at least
    std::uint64_t stall_timeout = 5'000'000'000;
    std::uint32_t max_consumers = 16;
    std::uint32_t wait_for = 0; // readers, before the first message
    std::vector<uid_t> users = {};
    std::vector<gid_t> groups = {};
    std::uint16_t note_key = 32767;
    std::size_t window = std::size_t{4} << 20U; // bytes that are asked for at once
    bool once = false;
    bool quiet = false;
    bool json = false;
};

// These return the exit status. Several may run at once, each in a thread.
int run_export(const export_options &options);
int run_import(const import_options &options);

inline constexpr int exit_replaced = 8; // another exporter has the stream now

} // namespace zbq::bridge
