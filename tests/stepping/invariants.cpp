// SPDX-License-Identifier: MIT
#include "invariants.hpp"

#include "stream.hpp"

#include <cstring>

namespace test {

namespace {

// What is never written is zero: with it, and with all that may be written as it is now, the
// object is as it has to be.
zbq_control_region with_zero_pads(const zbq_control_region &now) {
    zbq_control_region whole = {};
    whole.producer_head = now.producer_head;
    whole.floor = now.floor;
    whole.newest = now.newest;
    whole.broadcast_futex = now.broadcast_futex;
    whole.producer_pid = now.producer_pid;
    whole.ring_capacity = now.ring_capacity;
    whole.clog_threshold = now.clog_threshold;
    whole.stall_timeout_ns = now.stall_timeout_ns;
    whole.closed = now.closed;
    whole.awaited_tail = now.awaited_tail;
    std::memcpy(whole.ring_id, now.ring_id, sizeof whole.ring_id);
    return whole;
}

zbq_consumer_metadata with_zero_pads(const zbq_consumer_metadata &now, std::uint32_t place) {
    zbq_consumer_metadata whole = {};
    whole.tail_offset = now.tail_offset;
    whole.progress_timestamp = now.progress_timestamp;
    whole.join_baseline = now.join_baseline;
    whole.lost_bytes = now.lost_bytes;
    whole.eviction = now.eviction;
    whole.quiet_until = now.quiet_until;
    whole.parking[place].parked = now.parking[place].parked;
    return whole;
}

bool constants_differ(const zbq_control_region &one, const zbq_control_region &other) {
    return one.producer_pid != other.producer_pid || one.ring_capacity != other.ring_capacity ||
           one.clog_threshold != other.clog_threshold ||
           one.stall_timeout_ns != other.stall_timeout_ns ||
           std::memcmp(one.ring_id, other.ring_id, sizeof one.ring_id) != 0;
}

} // namespace

invariants::invariants(const zbq_control_region *control, const char *ring)
    : before_(*control), control_(control), ring_(ring) {}

void invariants::add(const zbq_consumer_metadata *shared, std::uint32_t slot, bool counts) {
    pages_.push_back({shared, slot % ZBQ_PARKING_PLACES, counts, *shared});
}

std::string invariants::broken() {
    std::string flaw = broken_control();
    for (watched &one : pages_) {
        if (flaw.empty()) {
            flaw = broken_page(one);
        }
        one.before = *one.page;
    }
    before_ = *control_;
    return flaw;
}

std::string invariants::broken_control() {
    const zbq_control_region now = *control_;
    const zbq_control_region whole = with_zero_pads(now);
    if (std::memcmp(&now, &whole, sizeof now) != 0) {
        return "a reserved byte of the control region is not zero";
    }
    if (constants_differ(now, before_)) {
        return "a constant has changed";
    }
    if (now.producer_head < before_.producer_head) {
        return "the head has moved back";
    }
    if (now.producer_head % ZBQ_MSG_ALIGN != 0) {
        return "the head is off the grid";
    }
    if (now.floor < before_.floor || now.floor > now.producer_head ||
        now.producer_head - now.floor > now.ring_capacity) {
        return "the floor has moved back, past the head, or too far from it";
    }
    if (now.broadcast_futex != before_.broadcast_futex &&
        now.broadcast_futex != before_.broadcast_futex + 1) {
        return "the bell has not moved by one";
    }
    if (now.closed > 1 || now.closed < before_.closed) {
        return "the end has been taken back";
    }
    if (before_.closed != 0 && now.producer_head != before_.producer_head) {
        return "the head has moved after the end";
    }
    return flaw_between(ring_, now.ring_capacity, now.floor, now.producer_head);
}

std::string invariants::broken_page(const watched &one) const {
    const zbq_consumer_metadata now = *one.page;
    const zbq_consumer_metadata whole = with_zero_pads(now, one.place);
    if (std::memcmp(&now, &whole, sizeof now) != 0) {
        return "a reserved byte of a page is not zero";
    }
    if (now.join_baseline != one.before.join_baseline) {
        return "the baseline has changed";
    }
    if (now.parking[one.place].parked > 3) {
        return "an unknown mark";
    }
    if (now.quiet_until < one.before.quiet_until) {
        return "who is to be left alone is so for a shorter time";
    }
    if (now.eviction > ZBQ_EVICTION_DEAR ||
        (one.before.eviction != 0 && now.eviction != one.before.eviction)) {
        return "an eviction has been taken back";
    }
    return one.counts && now.eviction == 0 ? broken_tail(one) : "";
}

// Of a consumer that has its slot: all that it has not released is there.
std::string invariants::broken_tail(const watched &one) const {
    const std::uint64_t tail = one.page->tail_offset;
    const std::uint64_t head = control_->producer_head;
    if (tail < one.before.tail_offset || tail > head) {
        return "the tail has moved back, or past the head";
    }
    if (head - tail > control_->ring_capacity) {
        return "more is committed than the ring holds";
    }
    return flaw_between(ring_, control_->ring_capacity, tail, head);
}

} // namespace test
