// SPDX-License-Identifier: MIT
//
// Who is in the producer's way, and for how long: the stall clocks, and patience. Only time counts
// in which the producer waited, ran and looked: after a time in which it was stopped, a consumer
// that was stopped with it is not to blame.
#include "probes.hpp"
#include "producer.hpp"

namespace zbq::core {

namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint32_t not_lost = 0; // no reason for an eviction

// The most that the clocks grow from one look to the next.
uint64_t longest_step(const zbq_producer *prod) {
    const uint64_t timeout = prod->stall_timeout != 0 ? prod->stall_timeout : ZBQ_WAIT_SLICE_NS;
    return (timeout - 1) / stall_looks + 1;
}

bool holds_back(const zbq_producer *prod, uint64_t tail) {
    return free_bytes(prod->window.head, tail, prod->capacity) < prod->wanted;
}

constexpr uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// What is wanted of a consumer in one timeout at least.
uint64_t least_release(const zbq_producer *prod) {
    return least(prod->wanted, prod->capacity / stall_parts);
}

uint64_t least_collection(const zbq_producer *prod) {
    return least(prod->wanted_fds, ZBQ_MAX_FD_IN_FLIGHT / stall_parts);
}

void advance(stall_clock *clock, bool runs, uint64_t position, uint64_t enough, uint64_t step) {
    if (!runs || !clock->running || position - clock->position >= enough) {
        *clock = {runs, 0, position};
    } else {
        clock->elapsed += step;
    }
}

bool has_run_out(const zbq_producer *prod, const stall_clock &clock) {
    return clock.running && prod->stall_timeout != 0 && clock.elapsed >= prod->stall_timeout;
}

// While the producer waits for room, the clocks of all that have something to read run,
// not just the slowest's: else several hung consumers would be waited for in turn. Only
// those that are in the way are evicted.
void look_at_ring(const zbq_producer *prod, slot *consumer, bool waiting, uint64_t step) {
    const bool counts = waiting && !consumer->observes();
    const bool behind = counts && consumer->tail_seen != prod->window.head;
    advance(&consumer->ring_stall, behind, consumer->tail_seen, least_release(prod), step);
    consumer->holds_room = counts && holds_back(prod, consumer->tail_seen);
}

void look_at_side(const zbq_producer *prod, slot *consumer, uint64_t step) {
    if (consumer->side_blocked) {
        consumer->in_flight.refresh(consumer->side.get()); // failed: nothing known to have moved
    }
    consumer->holds_record = consumer->side_blocked && consumer->in_flight.holds_back();
    advance(&consumer->side_stall, consumer->holds_record, consumer->in_flight.collected_fds(),
            least_collection(prod), step);
}

// ---- patience ----

void leak(patience *of, uint64_t now) {
    const uint64_t passed = now - of->at;
    const uint64_t back = passed / second_ns * of->rate.per_second_ns +
                          passed % second_ns * of->rate.per_second_ns / second_ns;
    of->used -= least(back, of->used);
    of->at = now;
}

// For the time since the last look, in which those that were in the way at it stayed so.
void charge(slot *consumer, uint64_t step, uint64_t now) {
    consumer->held_ns += consumer->is_in_the_way() ? step : 0;
    patience *of = &consumer->waited;
    if (of->limited) {
        leak(of, now);
        of->used += consumer->is_in_the_way() ? step : 0;
    }
}

bool is_used_up(const patience &of) {
    return of.used > of.rate.at_once_ns;
}

// Why it is to be given up, if it is.
uint32_t lost_by(const zbq_producer *prod, slot *consumer) {
    if (consumer->is_in_the_way() && is_dead(consumer)) {
        return ZBQ_EVICTION_DEAD;
    }
    if (consumer->holds_room && has_run_out(prod, consumer->ring_stall)) {
        return ZBQ_EVICTION_STALLED;
    }
    if (has_run_out(prod, consumer->side_stall)) {
        return ZBQ_EVICTION_SIDE_STALLED;
    }
    if (is_used_up(consumer->waited)) {
        return ZBQ_EVICTION_SLOW;
    }
    return not_lost;
}

uint64_t step_to(zbq_producer *prod, uint64_t now) {
    const uint64_t passed = prod->looked_at != 0 ? now - prod->looked_at : 0;
    const uint64_t step = least(passed, longest_step(prod));
    prod->looked_at = now;
    prod->full_ns += prod->was_full ? step : 0;
    return step;
}

} // namespace

void mind_obstacles(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    const uint64_t step = step_to(prod, now);
    take_back_leftovers(prod);
    refresh_tails(prod);
    const bool waiting = holds_back(prod, prod->slowest_tail);
    const uint64_t slowest_tail = prod->slowest_tail;
    prod->was_full = waiting;
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        charge(consumer, step, now);
        look_at_ring(prod, consumer, waiting, step);
        look_at_side(prod, consumer, step);
        consumer->times_slowest += consumer->holds_room && consumer->tail_seen == slowest_tail;
        const uint32_t reason = lost_by(prod, consumer);
        if (reason != not_lost) {
            evict(prod, consumer, reason);
        } else {
            wake_if_behind(prod, consumer, now);
        }
    }
    refresh_tails(prod);
}

namespace {

// The wait is over: what it took since the last look is charged, and the clocks stop.
void end_wait(zbq_producer *prod, bool slot::*held, stall_clock slot::*clock) {
    const uint64_t now = monotonic_ns();
    const uint64_t step = step_to(prod, now);
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        charge(consumer, step, now);
        consumer->*held = false;
        consumer->*clock = {};
        if (is_used_up(consumer->waited)) {
            evict(prod, consumer, ZBQ_EVICTION_SLOW);
        }
    }
}

} // namespace

void end_wait_for_room(zbq_producer *prod) {
    if ((prod->window.unusual & waits_for_room) != 0) {
        ZBQ_PROBE(clogged, prod->name, prod->window.head, prod->slowest_tail, prod->wanted);
        prod->window.unusual &= ~waits_for_room;
        prod->failures = 0;
        prod->wanted = ZBQ_MSG_ALIGN;
        end_wait(prod, &slot::holds_room, &slot::ring_stall);
        prod->was_full = false;
    }
}

void end_wait_for_collection(zbq_producer *prod) {
    if (prod->wanted_fds != 0) {
        prod->wanted_fds = 0;
        prod->side_failures = 0;
        for (uint32_t i = 0; i < prod->active_count; ++i) {
            prod->slots[prod->active[i]].side_blocked = false;
        }
        end_wait(prod, &slot::holds_record, &slot::side_stall);
    }
}

uint64_t until_next_look(const zbq_producer *prod) {
    uint64_t next = longest_step(prod);
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot &consumer = prod->slots[prod->active[i]];
        const stall_clock *clocks[] = {&consumer.ring_stall, &consumer.side_stall};
        for (const stall_clock *clock : clocks) {
            if (clock->running && prod->stall_timeout > clock->elapsed) {
                next = least(next, prod->stall_timeout - clock->elapsed);
            }
        }
        const patience &of = consumer.waited;
        if (consumer.is_in_the_way() && of.rate.at_once_ns > of.used) {
            next = least(next - 1, of.rate.at_once_ns - of.used) + 1; // just over it
        }
    }
    return next;
}

namespace {

void limit(patience *of, const zbq_patience *rate) {
    *of = {};
    if (rate != nullptr) {
        of->limited = true;
        of->rate = {rate->at_once_ns, least(rate->per_second_ns, second_ns)};
        of->at = monotonic_ns();
    }
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_set_patience(zbq_producer *prod, uint32_t slot, const zbq_patience *patience) {
    if (prod == nullptr || (slot >= prod->max_consumers && slot != ZBQ_ALL_CONSUMERS)) {
        return ZBQ_ERROR_INVALID;
    }
    if (slot != ZBQ_ALL_CONSUMERS && !prod->slots[slot].taken) {
        return ZBQ_ERROR_NOENT;
    }
    if (slot != ZBQ_ALL_CONSUMERS) {
        limit(&prod->slots[slot].waited, patience);
        return ZBQ_OK;
    }
    limit(&prod->patience, patience);
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        limit(&prod->slots[prod->active[i]].waited, patience);
    }
    return ZBQ_OK;
}
