// SPDX-License-Identifier: MIT
//
// What a bridge has done, for people and for programs.
#pragma once

#include <cstdint>
#include <string>

namespace zbq::bridge {

struct account {
    std::string direction = {}; // export or import
    std::string name = {};      // of the ring
    std::string stream = {};
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0; // of payload
    std::uint64_t frames = 0;
    std::uint64_t acknowledged = 0; // frames
    std::uint64_t duplicates = 0;   // frames that were there already; messages, in an importer
    std::uint64_t gaps = 0;
    std::uint64_t missed = 0;      // bytes of the ring, at least
    std::uint64_t descriptors = 0; // that did not cross
    std::uint64_t reconnects = 0;
    std::uint64_t lag_bytes = 0;    // of the ring, or held here
    std::uint64_t lag_frames = 0;   // without an acknowledgement; in the stream, not yet read
    std::uint64_t silent_since = 0; // the server, nanoseconds since 1970; 0: it answers
};

[[nodiscard]] std::string to_json(const account &what);
[[nodiscard]] std::string to_text(const account &what);

[[nodiscard]] std::uint64_t wall_clock(); // nanoseconds since 1970

} // namespace zbq::bridge
