// SPDX-License-Identifier: MIT
//
// The stream: creation, room, commit, descriptors, end. The application's thread alone
// runs this. query, reserve and commit touch no system call but for a parked consumer or
// a scan.
#include "producer.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

namespace zbq::core {

namespace {

// ---- creation ----

void release(zbq_producer *prod) {
    for (uint32_t i = 0; prod->slots != nullptr && i < prod->max_consumers; ++i) {
        prod->slots[i].~slot();
    }
    free(prod->slots);
    free(prod->active);
    free(prod->parking);
    free(prod->parking_slots);
    prod->~zbq_producer();
    free(prod);
}

bool allocate_slots(zbq_producer *prod, uint32_t count) {
    // As for the ring below: the kernel may promise memory that it does not have.
    if (uint64_t{count} * sizeof(slot) > physical_memory()) {
        return false;
    }
    prod->active = static_cast<uint32_t *>(calloc(count, sizeof(uint32_t)));
    prod->parking = static_cast<zbq_parking **>(calloc(count, sizeof(zbq_parking *)));
    prod->parking_slots = static_cast<uint32_t *>(calloc(count, sizeof(uint32_t)));
    void *slots = calloc(count, sizeof(slot));
    if (prod->active == nullptr || prod->parking == nullptr || prod->parking_slots == nullptr ||
        slots == nullptr) {
        free(slots);
        return false;
    }
    prod->slots = static_cast<slot *>(slots);
    prod->max_consumers = count;
    for (uint32_t i = 0; i < count; ++i) {
        new (&prod->slots[i]) slot;
        prod->slots[i].index = i;
        prod->slots[i].last.slot_index = i;
    }
    return true;
}

int make_memory(zbq_producer *prod, uint64_t capacity) {
    // Said here, since the kernel would first hand out all the memory that there is.
    if (capacity > physical_memory()) {
        return -ENOMEM;
    }
    const int result =
        region_create("zbq-ring", capacity, true, sharing::read_only, &prod->ring_region);
    if (result < 0) {
        return result;
    }
    return region_create("zbq-control", control_size, false, sharing::read_only,
                         &prod->control_region);
}

void set_up(zbq_producer *prod, const zbq_producer_params &params) {
    prod->control = static_cast<zbq_control_region *>(prod->control_region.memory.get());
    prod->ring = static_cast<char *>(prod->ring_region.memory.get());
    prod->window.shared_head = &prod->control->producer_head;
    prod->window.parking = prod->parking;
    prod->window.producer = prod;
    prod->window.look_interval = processor_ticks(look_interval_ns);
    prod->capacity = params.ring_capacity;
    prod->clog_threshold = params.clog_threshold;
    prod->stall_timeout = params.stall_timeout_ns;
    prod->owner = process_id();
    // Nobody else has the region yet: plain stores.
    prod->control->producer_pid = prod->owner;
    prod->control->ring_capacity = params.ring_capacity;
    prod->control->clog_threshold = params.clog_threshold;
    prod->control->stall_timeout_ns = params.stall_timeout_ns;
    prod->control->remote_barrier = barrier_exists() ? 1 : 0;
}

int create(zbq_producer *prod, const zbq_producer_params &params) {
    if (!allocate_slots(prod, params.max_consumers)) {
        return ZBQ_ERROR_NOMEM;
    }
    const int made = make_memory(prod, params.ring_capacity);
    if (made < 0) {
        return error_from(made);
    }
    const int self = pidfd_of(process_id());
    if (self < 0) {
        return error_from(self);
    }
    prod->self.reset(self);
    set_up(prod, params);
    return ZBQ_OK;
}

// ---- room ----

uint64_t known_free(const zbq_producer *prod) {
    return free_bytes(prod->window.head, prod->slowest_tail, prod->capacity);
}

// Where the head lies in the ring. Since the last run it has come a turn further at most.
uint64_t head_position(zbq_producer *prod) {
    if (prod->window.head - prod->turn_start >= prod->capacity) {
        prod->turn_start += prod->capacity;
    }
    return prod->window.head - prod->turn_start;
}

// Up to the physical end. Where the cached tail is what limits it, the tails are read.
uint64_t linear_room(zbq_producer *prod) {
    const uint64_t to_end = prod->capacity - head_position(prod);
    if (known_free(prod) < to_end) {
        refresh_tails(prod);
    }
    const uint64_t room = known_free(prod);
    return room < to_end ? room : to_end;
}

bool has_room_for(zbq_producer *prod, uint64_t bytes) {
    if (known_free(prod) >= bytes) {
        return true;
    }
    refresh_tails(prod);
    return known_free(prod) >= bytes;
}

// Whether this failed attempt is the one that ran a scan.
bool count_failure(zbq_producer *prod, uint64_t *failures) {
    ++prod->counters.failures;
    if (++*failures < prod->clog_threshold) {
        return false;
    }
    *failures = 0;
    scan(prod);
    return true;
}

// A query says no size: what the producer waits for is more than it got, unless only the
// physical end stopped it.
void want_more_than(zbq_producer *prod, uint64_t room) {
    if (room == known_free(prod)) {
        prod->wanted = room + ZBQ_MSG_ALIGN;
    }
}

zbq_contiguous_run grant(zbq_producer *prod, uint64_t bytes) {
    prod->window.limit = prod->window.head + bytes;
    void *base = bytes != 0 ? prod->ring + head_position(prod) : nullptr;
    return {base, bytes, prod->window.head};
}

// Nobody holds the producer back.
void end_wait_for_room(zbq_producer *prod) {
    if ((prod->window.unusual & waits_for_room) == 0) {
        return;
    }
    prod->window.unusual &= ~waits_for_room;
    prod->failures = 0;
    prod->wanted = ZBQ_MSG_ALIGN;
    if (prod->awaits_room) {
        end_await_room(prod);
    }
}

uint64_t queried_again(zbq_producer *prod, uint64_t room) {
    prod->window.unusual |= waits_for_room;
    want_more_than(prod, room);
    const bool scanned = count_failure(prod, &prod->failures);
    const bool awaited = await_room(prod);
    return scanned || awaited ? linear_room(prod) : room;
}

// Whether there is room after all, once all was done that a failed attempt does.
bool room_was_found(zbq_producer *prod, uint64_t bytes) {
    prod->window.unusual |= waits_for_room;
    prod->wanted = bytes;
    if (count_failure(prod, &prod->failures) && has_room_for(prod, bytes)) {
        return true;
    }
    return await_room(prod) && has_room_for(prod, bytes);
}

// ---- descriptors ----

bool all_open(const int *fds, uint8_t fd_count) {
    for (unsigned i = 0; i < fd_count; ++i) {
        if (!descriptor_is_open(fds[i])) {
            return false;
        }
    }
    return true;
}

bool misses(const slot *consumer, uint64_t seq_id) {
    return consumer->mode == ZBQ_WAKEUP_PUSH && consumer->newest_record < seq_id;
}

bool anyone_misses(const zbq_producer *prod, uint64_t seq_id) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        if (misses(&prod->slots[prod->active[i]], seq_id)) {
            return true;
        }
    }
    return false;
}

// The kernel counts descriptors in flight for the whole user: whoever has any to collect
// may be the one that stops this record.
void blame_all_in_flight(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        consumer->side_blocked |= consumer->in_flight.fds() != 0;
    }
}

struct record_to_send {
    uint64_t seq_id;
    const int *fds;
    uint8_t fd_count;
};

struct send_tally {
    uint32_t sent = 0;
    bool refused = false; // the kernel would not send such descriptors at all
};

void send_to(zbq_producer *prod, slot *consumer, const record_to_send &record, send_tally *tally) {
    const int result = side_send(consumer->side.get(), &consumer->in_flight, record.seq_id,
                                 record.fds, record.fd_count);
    switch (result) {
    case 0:
        consumer->newest_record = record.seq_id;
        consumer->side_blocked = false;
        ++tally->sent;
        break;
    case -EAGAIN: // full, or at the cap
    case -ENOBUFS:
    case -ENOMEM:
        consumer->side_blocked = true;
        break;
    case -EBADF:  // closed by another thread since it was checked
    case -EINVAL: // of a kind that cannot be passed (io_uring)
        tally->refused = true;
        break;
    case -ETOOMANYREFS:
        blame_all_in_flight(prod);
        break;
    default: // gone (EPIPE, ECONNRESET), or out of reach for good
        evict(prod, consumer, ZBQ_EVICTION_DEAD);
        break;
    }
}

send_tally send_to_all(zbq_producer *prod, const record_to_send &record) {
    send_tally tally;
    for (uint32_t i = prod->active_count; i-- > 0 && !tally.refused;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (misses(consumer, record.seq_id)) {
            send_to(prod, consumer, record, &tally);
        }
    }
    return tally;
}

int broadcast_once(zbq_producer *prod, const record_to_send &record) {
    const uint64_t newest_before = prod->newest_seq;
    prod->newest_seq = record.seq_id;
    const send_tally tally = send_to_all(prod, record);
    if (tally.sent != 0) {
        bell_ring(prod->control); // consumers may sleep for a record as for a message
        mind_sleepers(prod);
    }
    if (tally.refused) {
        prod->newest_seq = tally.sent != 0 ? record.seq_id : newest_before;
        return ZBQ_ERROR_INVALID;
    }
    return anyone_misses(prod, record.seq_id) ? ZBQ_ERROR_AGAIN : ZBQ_OK;
}

int broadcast(zbq_producer *prod, const record_to_send &record) {
    int result = broadcast_once(prod, record);
    if (result == ZBQ_ERROR_AGAIN) {
        const bool scanned = count_failure(prod, &prod->side_failures);
        if (await_collection(prod)) {
            result = broadcast_once(prod, record);
        } else if (scanned && !anyone_misses(prod, record.seq_id)) {
            result = ZBQ_OK;
        }
    }
    if (result != ZBQ_ERROR_AGAIN) {
        prod->side_failures = 0;
        if (prod->awaits_fds) {
            end_await_collection(prod);
        }
    }
    return result;
}

} // namespace

namespace {

void revoke_fences(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->window.parking_count; ++i) {
        slot *consumer = &prod->slots[prod->parking_slots[i]];
        if (consumer->fenced && !consumer->polls) {
            consumer->fenced = false;
            fence_revoke(consumer->page());
        }
    }
}

// Wakes it where it waits for its event socket, and tells whether it waits for the bell.
bool wake_or_tell(zbq_producer *prod, slot *consumer) {
    const uint32_t parked = parked_take(consumer->parking()) | consumer->untold;
    if (parked == 0) { // it woke by itself meanwhile
        return false;
    }
    prod->fences_left = fences_after_a_wake;
    if ((parked & parked_on_event) != 0) {
        consumer->polls = true;
        const int rung = event_ring(consumer->event.get());
        // It took off its mark: nobody but us remembers that it waits.
        consumer->untold = rung == -ENOBUFS || rung == -ENOMEM ? parked_on_event : 0;
        ++prod->counters.wakes;
    }
    if (!consumer->fenced) {
        consumer->fenced = true;
        fence_grant(consumer->page());
    }
    return parked != parked_on_event;
}

} // namespace

void mind_sleepers(zbq_producer *prod) {
    if (prod->fences_left != 0 && --prod->fences_left == 0) {
        revoke_fences(prod);
    }
    park_fence();
    prod->window.unusual &= ~owes_fence;
    bool bell = false;
    for (uint32_t i = 0; i < prod->window.parking_count; ++i) {
        slot *consumer = &prod->slots[prod->parking_slots[i]];
        const uint32_t waits = parked_seen(consumer->parking()) | consumer->untold;
        bell |= waits != 0 && wake_or_tell(prod, consumer);
        prod->window.unusual |= consumer->fenced ? owes_fence : 0;
    }
    if (bell) {
        wake_all(prod->control);
        ++prod->counters.wakes;
    }
}

void tell_untold(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->window.parking_count; ++i) {
        slot *consumer = &prod->slots[prod->parking_slots[i]];
        if (consumer->untold != 0) {
            mind_sleepers(prod);
            return;
        }
    }
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_create(zbq_producer **out, const zbq_producer_params *params) {
    if (out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = nullptr;
    if (params == nullptr || params->max_consumers == 0 ||
        !capacity_is_valid(params->ring_capacity, page_size())) {
        return ZBQ_ERROR_INVALID;
    }
    void *memory = calloc(1, sizeof(zbq_producer));
    if (memory == nullptr) {
        return ZBQ_ERROR_NOMEM;
    }
    auto *prod = new (memory) zbq_producer;
    const int result = create(prod, *params);
    if (result != ZBQ_OK) {
        release(prod);
        return result;
    }
    *out = prod;
    return ZBQ_OK;
}

void zbq_producer_destroy(zbq_producer *prod) {
    if (prod == nullptr) {
        return;
    }
    if (is_owner(prod)) {
        closed_publish(prod->control);
        wake_all(prod->control);
        for (uint32_t i = 0; i < prod->active_count; ++i) {
            event_ring(prod->slots[prod->active[i]].event.get()); // as at an eviction
        }
    } else { // a forked child: the addresses may be something else's by now
        prod->control_region.memory.forget();
        prod->ring_region.memory.forget();
        for (uint32_t i = 0; i < prod->max_consumers; ++i) {
            prod->slots[i].page_memory.forget();
        }
    }
    release(prod);
}

zbq_contiguous_run zbq_producer_query(zbq_producer *prod) {
    if (prod == nullptr) {
        return {nullptr, 0, 0};
    }
    uint64_t room = linear_room(prod);
    const bool again = prod->queried_head == prod->window.head; // nothing was committed since
    if (room == 0 || (again && room <= prod->queried_room)) {
        room = queried_again(prod, room);
    } else {
        end_wait_for_room(prod);
    }
    prod->queried_head = prod->window.head;
    prod->queried_room = room;
    return grant(prod, room);
}

int zbq_producer_reserve(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out) {
    if (prod == nullptr || out == nullptr || bytes == 0) {
        return ZBQ_ERROR_INVALID;
    }
    if (bytes > prod->capacity) {
        *out = grant(prod, 0);
        return ZBQ_ERROR_OVERFLOW;
    }
    if (!has_room_for(prod, bytes) && !room_was_found(prod, bytes)) {
        *out = grant(prod, 0);
        return ZBQ_ERROR_AGAIN;
    }
    end_wait_for_room(prod);
    *out = grant(prod, known_free(prod));
    return ZBQ_OK;
}

bool zbq_producer_commit(zbq_producer *prod, uint64_t written_bytes, zbq_commit_flags flags) {
    if (prod == nullptr || prod->window.limit == prod->window.head) {
        return false;
    }
    if (written_bytes == 0) {
        end_wait_for_room(prod);
    } else if (!zbq_window_commit(&prod->window, written_bytes)) {
        return false;
    }
    if ((flags & ZBQ_COMMIT_KEEP) == 0) {
        prod->window.limit = prod->window.head;
    }
    if ((flags & ZBQ_COMMIT_FORCE_SCAN) != 0 && is_owner(prod)) {
        scan(prod);
    }
    return true;
}

zbq_commit_window *zbq_producer_window(zbq_producer *prod) {
    return prod == nullptr ? nullptr : &prod->window;
}

void zbq_producer_finish_commit(zbq_producer *prod) {
    if (prod != nullptr) {
        mind_sleepers(prod);
        end_wait_for_room(prod);
    }
}

int zbq_producer_set_type(zbq_producer *prod, const zbq_type *type) {
    if (prod == nullptr || type == nullptr || prod->counters.joined != 0) {
        return ZBQ_ERROR_INVALID;
    }
    prod->type = *type;
    return ZBQ_OK;
}

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
    return broadcast(prod, {seq_id, fds, fd_count});
}
