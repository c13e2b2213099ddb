// SPDX-License-Identifier: MIT
//
// Records of descriptors: to whom, in which turn, and how many may be on the way.
//
// The kernel counts the descriptors in flight of a whole user, and refuses more than
// RLIMIT_NOFILE (too_many_unix_fds in net/unix). So a record is begun only when every consumer has
// room for it and all that would be in flight is less than half of that, or this record alone. Then
// it goes to all; where that is too much at once, in turns. Whoever has some to collect
// meanwhile is in the way of the others.
#include "producer.hpp"

#include <cerrno>

namespace zbq::core {

void refresh_flights(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->in_flight.fds() != 0) {
            consumer->in_flight.refresh(consumer->side.get()); // failed: the last number stands
        }
    }
}

namespace {

struct record_to_send {
    uint64_t seq_id;
    const int *fds;
    uint8_t fd_count;
    uint64_t limit; // of descriptors in flight, as the kernel has it
};

bool all_open(const int *fds, uint8_t fd_count) {
    for (unsigned i = 0; i < fd_count; ++i) {
        if (!descriptor_is_open(fds[i])) {
            return false;
        }
    }
    return true;
}

// Whether no record goes out without it.
bool must_have(const slot &consumer) {
    return consumer.is_push() && !consumer.observes();
}

bool misses(const slot &consumer, uint64_t seq_id) {
    return must_have(consumer) && consumer.newest_record < seq_id;
}

uint32_t how_many_miss(const zbq_producer *prod, uint64_t seq_id) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        count += misses(prod->slots[prod->active[i]], seq_id) ? 1 : 0;
    }
    return count;
}

// ---- what is in flight ----

uint64_t in_flight_to(const zbq_producer *prod, bool observers) {
    uint64_t fds = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot &consumer = prod->slots[prod->active[i]];
        fds += consumer.observes() == observers ? consumer.in_flight.fds() : 0;
    }
    return fds;
}

// But for the observers', which hold up nobody.
uint64_t all_in_flight(const zbq_producer *prod) {
    uint64_t fds = in_flight_to(prod, false);
    for (uint32_t i = 0; prod->leftovers != 0 && i < prod->max_consumers; ++i) {
        fds += prod->slots[i].is_leftover() ? prod->slots[i].in_flight.fds() : 0;
    }
    return fds;
}

// Whether there may be so many in flight where so many are now.
bool is_within(uint64_t limit, uint64_t now, uint64_t more) {
    constexpr uint64_t for_joins = uint64_t{most_unanswered} * join_descriptors;
    return now == 0 || now + more + for_joins <= limit;
}

// Whoever has any to collect may be the one that stops this record.
void blame_all_in_flight(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        consumer->side_blocked |= !consumer->observes() && consumer->in_flight.holds_back();
    }
}

// ---- a record that was given up ----

// It went to some: none of them is the worse for it.
void disown_unfinished(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->newest_sent == prod->newest_seq) {
            consumer->in_flight.orphan_last();
        }
    }
    prod->newest_whole = true;
}

// Once nothing lies before them.
void take_back_orphans(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->in_flight.is_all_orphans()) {
            side_take_back(consumer->side_peer.get(), &consumer->in_flight);
        }
    }
}

// ---- beginning ----

bool lacks_room(const slot &consumer, uint8_t fd_count) {
    return must_have(consumer) && !consumer.in_flight.has_room(fd_count);
}

bool has_everyone_room(const zbq_producer *prod, uint8_t fd_count) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        if (lacks_room(prod->slots[prod->active[i]], fd_count)) {
            return false;
        }
    }
    return true;
}

void blame_who_lacks_room(zbq_producer *prod, uint8_t fd_count) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        consumer->side_blocked |= lacks_room(*consumer, fd_count);
    }
}

bool can_begin(zbq_producer *prod, const record_to_send &record) {
    const uint64_t more = uint64_t{how_many_miss(prod, record.seq_id)} * record.fd_count;
    const auto fits = [&] {
        return is_within(record.limit / in_flight_parts, all_in_flight(prod), more);
    };
    if (fits() && has_everyone_room(prod, record.fd_count)) {
        return true;
    }
    refresh_flights(prod);
    take_back_orphans(prod);
    take_back_leftovers(prod);
    if (!fits()) {
        blame_all_in_flight(prod);
        return false;
    }
    blame_who_lacks_room(prod, record.fd_count);
    return has_everyone_room(prod, record.fd_count);
}

bool begin(zbq_producer *prod, const record_to_send &record) {
    if (!prod->newest_whole) {
        disown_unfinished(prod);
    }
    if (!can_begin(prod, record)) {
        return false;
    }
    prod->newest_seq = record.seq_id;
    prod->newest_whole = false;
    return true;
}

// ---- sending ----

enum class sending {
    done,
    later,  // for this one, or for all
    refused // the kernel would not send such descriptors at all
};

sending send_to(zbq_producer *prod, slot *consumer, const record_to_send &record) {
    const int result = side_send(consumer->side.get(), &consumer->in_flight, record.seq_id,
                                 record.fds, record.fd_count);
    switch (result) {
    case 0:
        consumer->newest_record = record.seq_id;
        consumer->newest_sent = record.seq_id;
        consumer->side_blocked = false;
        return sending::done;
    case -EAGAIN: // full
    case -ENOBUFS:
    case -ENOMEM:
        consumer->side_blocked = true;
        return sending::later;
    case -EBADF:  // closed by another thread since it was checked
    case -EINVAL: // of a kind that cannot be passed (io_uring)
        return sending::refused;
    case -ETOOMANYREFS:
        blame_all_in_flight(prod);
        return sending::later;
    default: // gone (EPIPE, ECONNRESET), or out of reach for good
        evict(prod, consumer, ZBQ_EVICTION_DEAD);
        return sending::done;
    }
}

// Whether this turn is over: those who have some are to collect them first.
bool is_turn_over(zbq_producer *prod, const record_to_send &record, uint64_t *in_flight) {
    if (!is_within(record.limit, *in_flight, record.fd_count)) {
        refresh_flights(prod);
        *in_flight = all_in_flight(prod);
        if (!is_within(record.limit, *in_flight, record.fd_count)) {
            blame_all_in_flight(prod);
            return true;
        }
    }
    *in_flight += record.fd_count;
    return false;
}

// To those that miss it. *any: whether it went to some.
sending send_to_all(zbq_producer *prod, const record_to_send &record, bool *any) {
    uint64_t in_flight = all_in_flight(prod);
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (!misses(*consumer, record.seq_id)) {
            continue;
        }
        if (is_turn_over(prod, record, &in_flight)) {
            return sending::later;
        }
        const sending sent = send_to(prod, consumer, record);
        if (sent != sending::done) {
            return sent;
        }
        *any = true;
    }
    return sending::done;
}

// ---- observers ----

// What they do not collect is dropped. They have a share of their own of what may be in flight, so
// that it is not the others' that they use up.
void offer_to(zbq_producer *prod, slot *observer, const record_to_send &record) {
    observer->in_flight.refresh(observer->side.get()); // failed: the last number stands
    const uint64_t after = in_flight_to(prod, true) + record.fd_count;
    const bool fits = after <= record.limit / observer_parts &&
                      all_in_flight(prod) + after <= record.limit &&
                      observer->in_flight.has_room(record.fd_count);
    observer->newest_record = record.seq_id;
    const int sent = fits ? side_send(observer->side.get(), &observer->in_flight, record.seq_id,
                                      record.fds, record.fd_count)
                          : -EAGAIN;
    observer->dropped += sent < 0 ? 1 : 0; // one that is gone is found by a scan
}

// Once for each record, which has gone to all that must have it.
bool offer_to_observers(zbq_producer *prod, const record_to_send &record) {
    bool any = false;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *observer = &prod->slots[prod->active[i]];
        if (observer->is_push() && observer->observes() &&
            observer->newest_record < record.seq_id) {
            offer_to(prod, observer, record);
            any = true;
        }
    }
    return any;
}

int broadcast_once(zbq_producer *prod, const record_to_send &record) {
    const uint64_t newest_before = prod->newest_seq;
    if (record.seq_id != prod->newest_seq && !begin(prod, record)) {
        return ZBQ_ERROR_AGAIN;
    }
    bool any = false;
    const sending sent = send_to_all(prod, record, &any);
    if (sent == sending::done) {
        any |= offer_to_observers(prod, record);
    }
    if (any) {
        bell_ring(prod->control); // consumers may sleep for a record as for a message
        mind_sleepers(prod);
    }
    prod->newest_whole = sent == sending::done;
    if (sent == sending::refused) {
        if (!any && record.seq_id != newest_before) { // it never was
            prod->newest_seq = newest_before;
            prod->newest_whole = true;
        }
        return ZBQ_ERROR_INVALID;
    }
    return sent == sending::done ? ZBQ_OK : ZBQ_ERROR_AGAIN;
}

int broadcast(zbq_producer *prod, const record_to_send &record) {
    int result = broadcast_once(prod, record);
    if (result == ZBQ_ERROR_AGAIN) {
        prod->wanted_fds = record.fd_count;
        const bool scanned = count_failure(prod, &prod->side_failures);
        if (await_collection(prod) || scanned) {
            result = broadcast_once(prod, record);
        }
    }
    if (result != ZBQ_ERROR_AGAIN) {
        end_wait_for_collection(prod);
        end_await_collection(prod);
    }
    return result;
}

} // namespace

bool may_be_in_flight(zbq_producer *prod, uint64_t more) {
    if (more == 0) {
        return true;
    }
    refresh_flights(prod);
    return is_within(descriptor_limit() / in_flight_parts,
                     all_in_flight(prod) + in_flight_to(prod, true), more);
}

} // namespace zbq::core

using namespace zbq::core;

uint64_t zbq_producer_next_seq_id(zbq_producer *prod) {
    return prod == nullptr ? 0 : ++prod->next_seq;
}

int zbq_producer_broadcast_fds(zbq_producer *prod, uint64_t seq_id, const int *fds,
                               uint8_t fd_count) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    if (fd_count == 0) {
        return ZBQ_OK;
    }
    if (fds == nullptr || fd_count > ZBQ_MAX_FD_PER_MSG || seq_id == 0 ||
        seq_id < prod->newest_seq || !all_open(fds, fd_count)) {
        return ZBQ_ERROR_INVALID;
    }
    return broadcast(prod, {seq_id, fds, fd_count, descriptor_limit()});
}
