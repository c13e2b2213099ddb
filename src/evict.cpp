// SPDX-License-Identifier: MIT
//
// Losing consumers: who is dead, stalled or cheating, and the order in which a slot is
// given up. A consumer's page and socket are its own to write: all that is read here is
// checked.
#include "producer.hpp"

#include <sys/socket.h>

namespace zbq::core {

namespace {

void remove_from_list(zbq_producer *prod, uint32_t slot_index) {
    uint32_t i = 0;
    while (prod->active[i] != slot_index) {
        ++i;
    }
    prod->active[i] = prod->active[--prod->active_count];
}

void remove_parking(zbq_producer *prod, uint32_t slot_index) {
    uint32_t i = 0;
    while (prod->parking_slots[i] != slot_index) {
        ++i;
    }
    const uint32_t last = --prod->window.parking_count;
    prod->parking[i] = prod->parking[last];
    prod->parking_slots[i] = prod->parking_slots[last];
}

} // namespace

void activate(zbq_producer *prod, slot *joined) {
    joined->taken = true;
    joined->join_number = ++prod->counters.joined;
    prod->active[prod->active_count++] = joined->index;
    if (joined->mode == ZBQ_WAKEUP_PUSH) {
        const uint32_t last = prod->window.parking_count++;
        prod->parking[last] = joined->parking();
        prod->parking_slots[last] = joined->index;
    }
}

void evict(zbq_producer *prod, slot *gone, uint32_t reason) {
    // First of all the mark: only after it may anything that this consumer reads be overwritten.
    eviction_mark(gone->page(), reason);
    remove_from_list(prod, gone->index);
    if (gone->mode == ZBQ_WAKEUP_PUSH) {
        remove_parking(prod, gone->index);
    }
    gone->last = describe(prod, gone, reason);
    // It may be parked. Unconditionally: its parked word is nothing to rely on.
    wake_all(prod->control);
    ++prod->counters.wakes;
    ++prod->counters.evicted[0];
    ++prod->counters.evicted[reason];
    unwatch_consumer(prod, gone);
    event_ring(gone->event.get()); // a forked child may keep the socket from hanging up
    gone->side.reset();
    gone->event.reset();
    gone->process.reset();
    gone->page_memory.reset();
    gone->taken = false;
    remind_of_wait(prod);
}

void refresh_tails(zbq_producer *prod) {
    uint64_t slowest = prod->window.head;
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        const uint64_t tail = tail_acquire(consumer->page());
        if (!tail_is_valid(tail, consumer->tail_seen, prod->window.head)) {
            evict(prod, consumer, ZBQ_EVICTION_PROTOCOL);
            continue;
        }
        consumer->tail_seen = tail;
        slowest = tail < slowest ? tail : slowest;
    }
    prod->slowest_tail = slowest;
}

namespace {

// Who the kernel says that it is. One record is read in a consumer's life, so that a flood
// costs nothing; descriptors that come with it are closed.
void read_announcement(slot *consumer) {
    announcement record = {};
    ancillary with;
    if (receive_record(consumer->side.get(), &record, sizeof record, MSG_DONTWAIT, &with) < 0) {
        return;
    }
    consumer->announced = true; // also by an empty one, or an end: neither is looked at again
    if (record.magic != announcement_magic) {
        return;
    }
    consumer->pid = with.sender_pid;
    consumer->process = static_cast<unique_fd &&>(with.sender_pidfd);
    if (!consumer->process && with.sender_pid > 0) {
        // Before Linux 6.5. The process may have ended and its number be in use again: then
        // this witness watches a stranger and says "alive" too long; the socket and the
        // stall clock remain.
        const int fd = pidfd_of(with.sender_pid);
        consumer->process.reset(fd < 0 ? -1 : fd);
    }
}

bool has_exited(const slot *consumer) {
    pollfd witness = {consumer->process.get(), POLLIN, 0}; // poll ignores -1
    return poll_now(&witness, 1) > 0 && witness.revents != 0;
}

bool is_dead(slot *consumer) {
    pollfd side = {consumer->side.get(), static_cast<short>(consumer->announced ? 0 : POLLIN), 0};
    if (poll_now(&side, 1) > 0) {
        if ((side.revents & POLLIN) != 0) {
            read_announcement(consumer);
        }
        if ((side.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            return true;
        }
    }
    return consumer->process && has_exited(consumer);
}

void evict_dead(zbq_producer *prod) {
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (is_dead(consumer)) {
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        }
    }
}

bool has_stalled(stall_clock *clock, bool behind, uint64_t position, uint64_t now,
                 uint64_t timeout) {
    if (!behind) {
        clock->since = 0;
        return false;
    }
    if (clock->since == 0 || clock->position != position) {
        *clock = {now, position};
    }
    return timeout != 0 && now - clock->since >= timeout;
}

bool holds_back(const zbq_producer *prod, uint64_t tail) {
    return free_bytes(prod->window.head, tail, prod->capacity) < prod->wanted;
}

// While the producer waits for room, the clocks of all that have something to read run,
// not just the slowest's: else several hung consumers would be waited for in turn. Only
// those that are in the way are evicted.
bool ring_stalled(const zbq_producer *prod, slot *consumer, bool waiting, uint64_t now) {
    const bool behind = waiting && consumer->tail_seen != prod->window.head;
    return has_stalled(&consumer->ring_stall, behind, consumer->tail_seen, now,
                       prod->stall_timeout) &&
           holds_back(prod, consumer->tail_seen);
}

bool side_stalled(const zbq_producer *prod, slot *consumer, uint64_t now) {
    if (consumer->side_blocked) {
        consumer->in_flight.refresh(consumer->side.get()); // failed: nothing known to have moved
    }
    const bool behind = consumer->side_blocked && consumer->in_flight.fds() != 0;
    return has_stalled(&consumer->side_stall, behind, consumer->in_flight.collected(), now,
                       prod->stall_timeout);
}

} // namespace

void evict_stalled(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    const bool waiting = holds_back(prod, prod->slowest_tail);
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (ring_stalled(prod, consumer, waiting, now)) {
            evict(prod, consumer, ZBQ_EVICTION_STALLED);
        } else if (side_stalled(prod, consumer, now)) {
            evict(prod, consumer, ZBQ_EVICTION_SIDE_STALLED);
        }
    }
}

void scan(zbq_producer *prod) {
    ++prod->counters.scans;
    evict_dead(prod);
    refresh_tails(prod);
    evict_stalled(prod);
    refresh_tails(prod);
    tell_untold(prod);
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_scan(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    answer_rings(prod);
    scan(prod);
    remind_of_wait(prod);
    return ZBQ_OK;
}
