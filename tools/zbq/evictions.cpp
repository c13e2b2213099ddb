// SPDX-License-Identifier: MIT
#include "evictions.hpp"

#include "units.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <string>

namespace zbq::tool {

namespace {

// Someone who read to the end and left is no different, for the ring, from a dead one.
std::string verdict(uint32_t reason) {
    const char *text = zbq_strevict(reason);
    return reason == ZBQ_EVICTION_DEAD ? text : fmt::format("evicted: {}", text);
}

} // namespace

eviction_log::eviction_log(zbq_producer *producer, uint32_t max_consumers)
    : producer_(producer), slots_(max_consumers) {}

void eviction_log::joined(uint32_t slot, int32_t pid) {
    slots_[slot].pid = pid;
}

void eviction_log::report(const tally &published, uint64_t elapsed_ns, progress *line) {
    zbq_producer_statistics stats = {};
    // Looking at a slot may evict another one.
    while (zbq_producer_stats(producer_, &stats) == ZBQ_OK && stats.evicted[0] != known_) {
        known_ = stats.evicted[0];
        line->clear();
        for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
            report_slot(slot, published, elapsed_ns);
        }
    }
}

void eviction_log::report_slot(uint32_t slot, const tally &published, uint64_t elapsed_ns) {
    zbq_consumer_info info = {};
    slot_memory &memory = slots_[slot];
    if (zbq_producer_consumer_info(producer_, slot, &info) != ZBQ_ERROR_NOENT ||
        info.join_number == memory.reported) {
        return;
    }
    memory.reported = info.join_number;
    fmt::print(stderr,
               "zbq: consumer {} (pid {}) {}, at {:.3f} s, after message {}, {} bytes behind\n",
               info.join_number, info.pid != 0 ? info.pid : memory.pid, verdict(info.eviction),
               as_seconds(elapsed_ns), published.messages, info.lag);
}

} // namespace zbq::tool
