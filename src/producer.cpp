// SPDX-License-Identifier: MIT
//
// The stream: creation, room, commit, end. The application's thread alone
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
    void *slots = calloc(count, sizeof(slot));
    if (prod->active == nullptr || prod->parking == nullptr || slots == nullptr) {
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
    prod->window.control = prod->control;
    prod->window.next = prod->ring;
    prod->window.parking = prod->parking;
    prod->window.producer = prod;
    prod->look_interval = ticks_in(look_interval_ns);
    prod->created_at = monotonic_ns();
    prod->capacity = params.ring_capacity;
    prod->clog_threshold = prod->first_minded = params.clog_threshold;
    prod->stall_timeout = params.stall_timeout_ns;
    prod->history.set_capacity(params.ring_capacity);
    // Nobody else has the region yet: plain stores.
    prod->control->producer_pid = process_id();
    prod->control->ring_capacity = params.ring_capacity;
    prod->control->clog_threshold = params.clog_threshold;
    prod->control->stall_timeout_ns = params.stall_timeout_ns;
}

int create(zbq_producer *prod, const zbq_producer_params &params) {
    if (!allocate_slots(prod, params.max_consumers)) {
        return -ENOMEM;
    }
    int result = make_memory(prod, params.ring_capacity);
    if (result == 0) {
        result = prod->birth.make();
    }
    if (result == 0) {
        set_up(prod, params);
        result = random_bytes(prod->control->ring_id, sizeof prod->control->ring_id);
    }
    return result;
}

// ---- room ----

// Where the head lies in the ring, which is mapped twice.
uint64_t head_position(zbq_producer *prod) {
    if (prod->window.next >= prod->ring + prod->capacity) {
        prod->window.next -= prod->capacity;
    }
    return static_cast<uint64_t>(prod->window.next - prod->ring);
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

// For one reservation: as much as history may lose at once.
uint64_t room_at_once(const zbq_producer *prod, uint64_t bytes) {
    const uint64_t step = prod->history.step();
    const uint64_t most = bytes > step ? bytes : step;
    return known_free(prod) < most ? known_free(prod) : most;
}

// A query says no size: what the producer waits for is more than it got, unless only the
// physical end stopped it.
void want_more_than(zbq_producer *prod, uint64_t room) {
    if (room == known_free(prod)) {
        prod->wanted = room + ZBQ_MSG_ALIGN;
    }
}

// Room that is known to be free. No observer is told any more that what lies there is whole.
zbq_contiguous_run grant(zbq_producer *prod, uint64_t bytes) {
    prod->window.limit = prod->window.head + bytes;
    if (prod->history.give_up_for(prod->window.head, prod->window.limit)) {
        floor_publish(prod->control, prod->history.floor());
    }
    head_position(prod);
    return {bytes != 0 ? prod->window.next : nullptr, bytes, prod->window.head};
}

uint64_t queried_again(zbq_producer *prod, uint64_t room) {
    prod->window.unusual |= waits_for_room;
    want_more_than(prod, room);
    return count_failure(prod, &prod->failures) ? linear_room(prod) : room;
}

// Where a tail is what limits a run, its user may want more, and wait for it.
uint64_t await_more(zbq_producer *prod, uint64_t room) {
    const bool limited_by_tail = room == known_free(prod) && room != prod->capacity;
    return limited_by_tail && await_room(prod, room + ZBQ_MSG_ALIGN) ? linear_room(prod) : room;
}

// Whether there is room after all, once all was done that a failed attempt does.
bool room_was_found(zbq_producer *prod, uint64_t bytes) {
    prod->window.unusual |= waits_for_room;
    prod->wanted = bytes;
    if (count_failure(prod, &prod->failures) && has_room_for(prod, bytes)) {
        return true;
    }
    return await_room(prod, bytes) && has_room_for(prod, bytes);
}

int find_room(zbq_producer *prod, uint64_t bytes) {
    if (bytes > prod->capacity) {
        return ZBQ_ERROR_OVERFLOW;
    }
    if (!has_room_for(prod, bytes) && !room_was_found(prod, bytes)) {
        return ZBQ_ERROR_AGAIN;
    }
    end_wait_for_room(prod);
    return ZBQ_OK;
}

} // namespace

int reserve_quietly(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out) {
    const int result = find_room(prod, bytes);
    *out = grant(prod, result == ZBQ_OK ? bytes : 0);
    return result;
}

namespace {

// Out of the way of those that are only counted.
[[gnu::noinline]] bool mind_failure(zbq_producer *prod, uint64_t *failures) {
    if (*failures < prod->clog_threshold) {
        tell_of_failure(prod);
        return false;
    }
    *failures = 0;
    scan(prod);
    return true;
}

} // namespace

bool count_failure(zbq_producer *prod, uint64_t *failures) {
    ++prod->counters.failures;
    return ++*failures >= prod->first_minded && mind_failure(prod, failures);
}

namespace {

// ---- the end ----

// One that sleeps is woken, one that polls sees the hang-up.
void say_goodbye(zbq_producer *prod) {
    closed_publish(prod->control);
    bell_ring(prod->control);
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        wake_for_good(consumer);
        int fds[] = {consumer->event.release(), consumer->side.release()};
        close_elsewhere(fds, sizeof fds / sizeof fds[0]);
    }
    prod->has_ended = true;
    tell(prod);
}

// In a forked child the addresses may be something else's by now.
void forget_mappings(zbq_producer *prod) {
    prod->control_region.memory.forget();
    prod->ring_region.memory.forget();
    prod->retained.memory.memory.forget();
    prod->statistics.memory.memory.forget();
    for (uint32_t i = 0; i < prod->max_consumers; ++i) {
        prod->slots[i].page_memory.forget();
    }
}

} // namespace

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
    if (result < 0) {
        release(prod);
        return error_from(result);
    }
    *out = prod;
    return ZBQ_OK;
}

void zbq_producer_destroy(zbq_producer *prod) {
    if (prod == nullptr) {
        return;
    }
    if (is_owner(prod)) {
        say_goodbye(prod);
    } else {
        forget_mappings(prod);
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
        room_was_got(prod, room);
    }
    room = await_more(prod, room);
    prod->queried_head = prod->window.head;
    prod->queried_room = room;
    return grant(prod, room);
}

int zbq_producer_reserve(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out) {
    if (prod == nullptr || out == nullptr || bytes == 0) {
        return ZBQ_ERROR_INVALID;
    }
    const int result = find_room(prod, bytes);
    if (result != ZBQ_OK) {
        *out = grant(prod, 0);
        return result;
    }
    const uint64_t granted = room_at_once(prod, bytes);
    room_was_got(prod, granted);
    *out = grant(prod, granted);
    return ZBQ_OK;
}

int zbq_producer_released(zbq_producer *prod, uint64_t offset) {
    if (prod == nullptr || offset > prod->window.head || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    // As much room as there is once the slowest tail is there.
    const uint64_t behind = prod->window.head - offset;
    if (behind >= prod->capacity) {
        return ZBQ_OK;
    }
    const uint64_t bytes = prod->capacity - behind;
    if (!has_room_for(prod, bytes) && !room_was_found(prod, bytes)) {
        return ZBQ_ERROR_AGAIN;
    }
    end_wait_for_room(prod);
    room_was_got(prod, bytes);
    return ZBQ_OK;
}

const zbq_control_region *zbq_producer_ctrl(const zbq_producer *prod) {
    return prod == nullptr ? nullptr : prod->control;
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

int zbq_producer_set_type(zbq_producer *prod, const zbq_type *type) {
    if (prod == nullptr || type == nullptr || prod->counters.joined != 0) {
        return ZBQ_ERROR_INVALID;
    }
    prod->type = *type;
    return ZBQ_OK;
}
