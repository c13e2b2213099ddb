// SPDX-License-Identifier: MIT
//
// How a stream lies in a file: docs/record.md. Three channels for each ring: its messages, what
// else there is to know of them, and what is missing.
#pragma once

#include "mcap/records.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zbq::tool {

inline constexpr std::string_view about_suffix = "/zbq";
inline constexpr std::string_view gaps_suffix = "/gaps";
inline constexpr std::string_view retained_infix = "/retained/"; // TOPIC/retained/KEY: attachments

enum class event_kind {
    at,      // the next message of the ring starts at this offset
    message, // the next one has flags, a key or descriptors
    gap,     // before the next one something is missing
    end,     // there is no more of the ring
};

// Each is a message in JSON, with the number of the message that follows as its own.
struct event {
    event_kind kind = event_kind::at;
    std::uint64_t offset = 0; // in the ring, of the message that follows
    std::uint32_t flags = 0;
    std::uint32_t key = 0;
    bool forgotten = false;
    std::uint32_t descriptors = 0;
    std::string cause = {};  // of a gap or an end
    std::uint64_t bytes = 0; // that are missing
    bool at_least = false;   // there may be more
};

std::string to_json(const event &what);
// Nothing where it is none of these.
std::optional<event> to_event(mcap::bytes text);

std::string to_hex(const std::uint8_t *bytes, std::size_t size);

} // namespace zbq::tool
