// SPDX-License-Identifier: MIT
//
// Losing consumers: who is dead or cheating, and the order in which a slot is given up. A
// consumer's page and sockets are its own to write: all that is read here is checked.
#include "probes.hpp"
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

} // namespace

void activate(zbq_producer *prod, slot *joined) {
    joined->taken = true;
    joined->join_number = ++prod->counters.joined;
    prod->active[prod->active_count++] = joined->index;
    joined->told_tail = joined->tail_seen;
    joined->moved_at = joined->joined_at;
    choose_marks(prod);
    note_use_of_slot(prod, joined->index);
}

namespace {

// Our ends have waiters that are the consumer's own doing: none of its cost is ours.
void close_channels(slot *gone) {
    int fds[] = {gone->side.release(), gone->event.release()};
    close_elsewhere(fds, sizeof fds / sizeof fds[0]);
}

} // namespace

void keep_unanswered(zbq_producer *prod, unique_fd *ours, uid_t uid) {
    for (unanswered_join &kept : prod->unanswered) {
        if (!kept.side) {
            kept.side = static_cast<unique_fd &&>(*ours);
            kept.uid = uid;
            return;
        }
    }
}

bool take_back_some(slot *gone) {
    const bool all = side_take_back(gone->side_peer.get(), &gone->in_flight);
    if (all) {
        gone->side_peer.reset();
    }
    return all;
}

void take_back_leftovers(zbq_producer *prod) {
    for (uint32_t i = 0; prod->leftovers != 0 && i < prod->max_consumers; ++i) {
        if (prod->slots[i].is_leftover() && take_back_some(&prod->slots[i])) {
            --prod->leftovers;
        }
    }
}

void evict(zbq_producer *prod, slot *gone, uint32_t reason) {
    // First of all the mark: only after it may anything that this consumer reads be overwritten.
    eviction_mark(gone->page(), reason);
    close_account(prod, gone);
    remove_from_list(prod, gone->index);
    choose_marks(prod);
    gone->last = describe(prod, gone, reason);
    gone->evicted_at = monotonic_ns();
    gone->lost_bytes = lost_seen(gone->page());
    ZBQ_PROBE(evict, prod->name, gone->index, gone->pid, reason, gone->last.tail, gone->last.lag);
    ++prod->counters.evicted[0];
    ++prod->counters.evicted[reason];
    bell_ring(prod->control);
    wake_for_good(gone); // on its event socket it is told by the hang-up
    unwatch_consumer(prod, gone);
    prod->leftovers += take_back_some(gone) ? 0 : 1;
    if (!gone->announced) { // its join lies where only the one who connected can take it from
        keep_unanswered(prod, &gone->side, gone->uid);
    }
    close_channels(gone);
    gone->process.reset();
    gone->page_memory.reset();
    gone->taken = false;
    remind_of_wait(prod);
    tell(prod);
}

void refresh_tails(zbq_producer *prod) {
    uint64_t slowest = prod->window.head;
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        const uint64_t tail = tail_acquire(consumer->page());
        if (consumer->observes()) { // counts for nothing
            consumer->tail_seen = tail <= prod->window.head ? tail : consumer->tail_seen;
            continue;
        }
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
    consumer->announced = true; // also by an empty one: it is not looked at again
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

constexpr short hung_up = POLLHUP | POLLERR | POLLNVAL;

// Reads the announcement where it is there. Whether the consumer has left: it has closed its event
// socket, or shut down the side socket, of whose far end there is a copy here.
bool has_hung_up(slot *consumer) {
    const short awaited = consumer->announced ? 0 : POLLIN;
    pollfd ends[] = {{consumer->event.get(), 0, 0}, {consumer->side.get(), awaited, 0}};
    if (poll_now(ends, 2) > 0 && (ends[1].revents & awaited) != 0) {
        read_announcement(consumer);
    }
    return ((ends[0].revents | ends[1].revents) & hung_up) != 0;
}

// Whether the one who was sent the join has taken it, or is gone.
bool is_settled(const unanswered_join &kept) {
    pollfd side = {kept.side.get(), POLLIN, 0};
    return poll_now(&side, 1) > 0;
}

void forget_settled_joins(zbq_producer *prod) {
    for (unanswered_join &kept : prod->unanswered) {
        if (kept.side && is_settled(kept)) {
            kept.side.reset();
        }
    }
}

} // namespace

bool is_dead(slot *consumer) {
    return has_hung_up(consumer) || (consumer->process && has_exited(consumer));
}

uint32_t unanswered_joins(zbq_producer *prod, uid_t uid) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        const bool counts = !consumer->announced && (uid == no_user || uid == consumer->uid);
        count += counts && !has_hung_up(consumer) && !consumer->announced ? 1 : 0;
    }
    forget_settled_joins(prod);
    for (const unanswered_join &kept : prod->unanswered) {
        count += kept.side && (uid == no_user || uid == kept.uid) ? 1 : 0;
    }
    return count;
}

bool may_leave_unanswered(zbq_producer *prod, uid_t uid) {
    return unanswered_joins(prod, no_user) < most_unanswered &&
           unanswered_joins(prod, uid) < most_unanswered_of_one;
}

void evict_unanswered(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (!consumer->announced && now - consumer->joined_at > time_to_answer_ns) {
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        }
    }
}

namespace {

void evict_dead(zbq_producer *prod) {
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (is_dead(consumer)) {
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        }
    }
    forget_settled_joins(prod);
}

} // namespace

void scan(zbq_producer *prod) {
    ++prod->counters.scans;
    ZBQ_PROBE(scan, prod->name, prod->active_count, prod->window.head, prod->slowest_tail);
    prod->statistics.is_held = true;
    evict_dead(prod);
    mind_obstacles(prod);
    prod->statistics.is_held = false;
    tell(prod);
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
