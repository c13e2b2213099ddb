// SPDX-License-Identifier: MIT
#include "json.hpp"

#include "words.hpp"

namespace zbq::tool {

using nlohmann::ordered_json;

namespace {

ordered_json evictions_of(const zbq_ring_stats &ring) {
    return {{"all", ring.evicted[ZBQ_EVICTION_NONE]},
            {"gone", ring.evicted[ZBQ_EVICTION_DEAD]},
            {"stalled", ring.evicted[ZBQ_EVICTION_STALLED]},
            {"side_stalled", ring.evicted[ZBQ_EVICTION_SIDE_STALLED]},
            {"protocol", ring.evicted[ZBQ_EVICTION_PROTOCOL]},
            {"slow", ring.evicted[ZBQ_EVICTION_SLOW]},
            {"dear", ring.evicted[ZBQ_EVICTION_DEAR]}};
}

ordered_json of_slot(uint32_t number, const zbq_slot_stats &slot, uint64_t now) {
    ordered_json one = {{"slot", number},
                        {"join_number", slot.join_number},
                        {"pid", slot.pid},
                        {"uid", slot.uid},
                        {"mode", mode_text(slot.mode)},
                        {"age_ns", since(slot.joined_at, now)},
                        {"tail", slot.tail},
                        {"lag_bytes", slot.lag},
                        {"unmoved_ns", since(slot.moved_at, now)},
                        {"holds_room", (slot.in_the_way & 1U) != 0},
                        {"holds_descriptors", (slot.in_the_way & 2U) != 0},
                        {"times_slowest", slot.times_slowest},
                        {"held_ns", slot.held_ns},
                        {"lost_bytes", slot.lost_bytes},
                        {"dropped_records", slot.dropped_records},
                        {"descriptors_in_flight", slot.fds_in_flight}};
    if (slot.eviction != 0) {
        one["evicted"] = zbq_strevict(slot.eviction);
        one["evicted_ns_ago"] = since(slot.evicted_at, now);
    }
    return one;
}

} // namespace

ordered_json to_json(const zbq_ring_stats &ring) {
    ordered_json all = {{"ring_name", std::string(ring.name)},
                        {"ring_id", id_text(ring.ring_id)},
                        {"pid", ring.pid},
                        {"type_hash", ring.payload_type.hash},
                        {"type_size", ring.payload_type.size},
                        {"type_align", ring.payload_type.align},
                        {"age_ns", since(ring.created_at, ring.written_at)},
                        {"written_at_ns", ring.written_at},
                        {"closed", ring.closed != 0},
                        {"capacity_bytes", ring.capacity},
                        {"head", ring.head},
                        {"slowest_tail", ring.slowest_tail},
                        {"stall_timeout_ns", ring.stall_timeout_ns},
                        {"full_ns", ring.full_ns},
                        {"consumers", ring.consumers},
                        {"max_consumers", ring.max_consumers},
                        {"joined", ring.joined},
                        {"evicted", evictions_of(ring)},
                        {"failures", ring.failures},
                        {"scans", ring.scans},
                        {"wakes", ring.wakes}};
    all["slowest_slot"] =
        ring.slowest_slot == ZBQ_NO_SLOT ? ordered_json() : ordered_json(ring.slowest_slot);
    return all;
}

ordered_json to_json(const statistics &of) {
    ordered_json all = to_json(of.ring());
    all["held_back"] = blame(of);
    ordered_json slots = ordered_json::array();
    for (uint32_t i = 0; i < of.ring().slots; ++i) {
        if (const std::optional<zbq_slot_stats> slot = of.slot(i)) {
            slots.push_back(of_slot(i, *slot, of.ring().written_at));
        }
    }
    all["slots"] = std::move(slots);
    return all;
}

ordered_json to_json(const bridge_status &of) {
    const bridge_counts &counts = of.counts;
    return {{"bridge", std::string(of.direction)},
            {"ring", std::string(of.ring)},
            {"stream", std::string(of.stream)},
            {"messages", counts.messages},
            {"bytes", counts.bytes},
            {"frames", counts.frames},
            {"acknowledged", counts.acknowledged},
            {"duplicates", counts.duplicates},
            {"gaps", counts.gaps},
            {"missed", counts.missed},
            {"descriptors", counts.descriptors},
            {"reconnects", counts.reconnects},
            {"lag_bytes", counts.lag_bytes},
            {"lag_messages", counts.lag_messages},
            {"lag_frames", counts.lag_frames},
            {"silent_since", counts.silent_since}};
}

std::string json_line(const ordered_json &what) {
    return what.dump(-1, ' ', true, ordered_json::error_handler_t::replace) + '\n';
}

} // namespace zbq::tool
