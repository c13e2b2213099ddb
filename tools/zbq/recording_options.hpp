// SPDX-License-Identifier: MIT
//
// What record, info and replay are asked for.
#pragma once

#include <zbq.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace zbq::tool {

struct record_options {
    std::vector<std::string> names;
    std::string output;
    bool force = false; // replace a file that is there
    std::string compression;
    std::string encoding = "application/octet-stream";
    std::uint64_t chunk_size = std::uint64_t{1} << 20U;
    std::uint64_t sync = 1'000'000'000; // what a power cut may cost; 0: no care is taken
    std::uint64_t split_size = 0;       // 0: never
    std::uint64_t split_time = 0;
    std::uint32_t keep = 0; // files; 0: all
    std::uint64_t ring_buffer = 0;
    std::uint64_t memory = std::uint64_t{256} << 20U;
    bool lossless = false;
    start from = {};
    std::vector<uid_t> publishers;
    bool wait = false;
    bool again = false;
    bool quiet = false;

    [[nodiscard]] bool is_flight_recorder() const { return ring_buffer != 0; }
    [[nodiscard]] bool has_many_files() const {
        return is_flight_recorder() || split_size != 0 || split_time != 0;
    }
};

struct info_options {
    std::string file;
    bool quick = false; // by the summary alone
    bool json = false;
    std::string recover; // into this file; empty: not
    bool force = false;
};

struct replay_options {
    std::string file;
    double rate = 1; // 0: as fast as it goes
    bool loop = false;
    std::uint64_t from = 0; // nanoseconds after the first message
    std::optional<std::uint64_t> to;
    bool step = false;
    std::vector<std::pair<std::string, std::string>> topics; // and the name of each; empty: all
    std::uint32_t wait_for = 0;
    std::uint64_t capacity = 0; // 0: as it was
    std::uint64_t stall_timeout = 5'000'000'000;
    bool quiet = false;
};

} // namespace zbq::tool
