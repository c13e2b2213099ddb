// SPDX-License-Identifier: MIT
#include "evictions.hpp"

#include "io.hpp"
#include "units.hpp"

#include <fmt/core.h>

#include <string>

namespace zbq::tool {

namespace {

// Someone who read to the end and left is no different, for the ring, from a dead one.
std::string verdict(uint32_t reason) {
    const auto why = static_cast<eviction>(reason);
    return why == eviction::dead ? to_string(why) : fmt::format("evicted: {}", to_string(why));
}

} // namespace

void eviction_log::joined(uint32_t slot, int32_t pid) {
    slots_[slot].pid = pid;
}

void eviction_log::report(const producer &ring, const tally &published, uint64_t elapsed_ns,
                          progress *line) {
    // Looking at a slot may evict another one.
    for (uint64_t now = ring.statistics().evicted[0]; now != known_;
         now = ring.statistics().evicted[0]) {
        known_ = now;
        line->clear();
        for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
            report_slot(ring, slot, published, elapsed_ns);
        }
    }
}

void eviction_log::report_slot(const producer &ring, uint32_t slot, const tally &published,
                               uint64_t elapsed_ns) {
    zbq_consumer_info info = {};
    slot_memory &memory = slots_[slot];
    if (ring.consumer_info(slot, info) != status::none || info.join_number == memory.reported) {
        return;
    }
    memory.reported = info.join_number;
    say(fmt::format("consumer {} (pid {}) {}, at {:.3f} s, after message {}, {} bytes behind",
                    info.join_number, info.pid != 0 ? info.pid : memory.pid, verdict(info.eviction),
                    as_seconds(elapsed_ns), published.messages, info.lag));
}

} // namespace zbq::tool
