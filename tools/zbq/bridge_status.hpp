// SPDX-License-Identifier: MIT
//
// What a process of zbq-bridge tells of itself, in a ring of its own: a retained message for each
// ring that it carries.
#pragma once

#include <zbq.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace zbq::tool {

struct bridge_counts {
    uint64_t messages = 0;
    uint64_t bytes = 0; // of payload
    uint64_t frames = 0;
    uint64_t acknowledged = 0; // frames
    uint64_t duplicates = 0;   // frames that were there already; messages, in an importer
    uint64_t gaps = 0;
    uint64_t missed = 0;      // bytes of the ring, at least
    uint64_t descriptors = 0; // that did not cross
    uint64_t reconnects = 0;
    uint64_t lag_bytes = 0;    // of the ring, or held here
    uint64_t lag_messages = 0; // read, and not in the stream for certain; of the stream not known
    uint64_t lag_frames = 0;   // without an acknowledgement; in the stream, not yet read
    uint64_t silent_since = 0; // the server, nanoseconds since 1970; 0: it answers
};

// Texts end with a zero. Of another process: any bytes.
struct bridge_status {
    char direction[8] = {}; // export or import
    char ring[112] = {};
    char stream[112] = {};
    bridge_counts counts = {};
};

inline constexpr zbq_type bridge_type = channel<bridge_status, "zbq.bridge">::type;

bool is_of_bridge(const zbq_ring_stats &ring);

// How to join such a ring: of this user alone, as a bridge lets nobody else in. Others may say of
// theirs what they like, and a join takes the longer the larger the ring is.
connect_options to_read_bridges();

// What was told when this consumer joined.
std::vector<bridge_status> statuses_of(const consumer &reader);

// In one line of printable ASCII: "import camera from CAMERA: 12 messages, ...".
std::string to_text(const bridge_status &what);

} // namespace zbq::tool
