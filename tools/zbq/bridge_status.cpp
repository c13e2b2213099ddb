// SPDX-License-Identifier: MIT
#include "bridge_status.hpp"

#include "units.hpp"
#include "words.hpp"

#include <cstring>
#include <fmt/core.h>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr size_t most_statuses = 1000; // more than a bridge has

} // namespace

bool is_of_bridge(const zbq_ring_stats &ring) {
    return ring.payload_type.hash == bridge_type.hash && ring.payload_type.size == bridge_type.size;
}

connect_options to_read_bridges() {
    return {.mode = wakeup::pull,
            .flow = flow::follow,
            .wait_for_producer = false,
            .producers = {geteuid()}};
}

std::vector<bridge_status> statuses_of(const consumer &reader) {
    std::vector<bridge_status> all;
    for (const message_view &kept : reader.retained()) {
        if (kept.payload().size() != sizeof(bridge_status) || all.size() == most_statuses) {
            continue;
        }
        bridge_status &one = all.emplace_back();
        std::memcpy(&one, kept.payload().data(), sizeof one);
        for (char *last : {std::end(one.direction), std::end(one.ring), std::end(one.stream)}) {
            last[-1] = '\0';
        }
    }
    return all;
}

std::string to_text(const bridge_status &what) {
    const bridge_counts &counts = what.counts;
    std::string text = fmt::format("{} {} {} {}: {} messages, {}; {} behind",
                                   printable(what.direction), printable(what.ring),
                                   what.direction[0] == 'i' ? "from" : "to", printable(what.stream),
                                   counts.messages, format_bytes(static_cast<double>(counts.bytes)),
                                   format_bytes(static_cast<double>(counts.lag_bytes)));
    const auto add = [&text](uint64_t count, const char *words) {
        if (count != 0) {
            text += fmt::format(", {} {}", count, words);
        }
    };
    add(counts.lag_messages, "messages");
    add(counts.lag_frames, "frames");
    text += fmt::format("; {} frames", counts.frames);
    add(counts.acknowledged, "acknowledged");
    add(counts.duplicates, "duplicates");
    if (counts.gaps != 0) {
        text += fmt::format(", {} gaps of {} bytes or more", counts.gaps, counts.missed);
    }
    add(counts.descriptors, "descriptors that did not cross");
    add(counts.reconnects, "reconnections");
    if (counts.silent_since != 0) {
        text += fmt::format("; no answer from the server for {}",
                            duration_text(since(counts.silent_since, wall_clock())));
    }
    return text;
}

} // namespace zbq::tool
