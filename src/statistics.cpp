// SPDX-License-Identifier: MIT
//
// Writing the statistics, and handing them out. Off the fast path: at joins, evictions, scans and
// failed attempts, and only once somebody has asked for the page.
#include "statistics.hpp"

#include "producer.hpp"

#include <cstring>

namespace zbq::core {

namespace {

constexpr uint32_t waits_for_its_room = 1;
constexpr uint32_t waits_for_its_collection = 2;

// From a word on; the next one.
template <typename Line>
uint64_t put(account_copy *to, uint64_t number, const Line &line) {
    uint64_t words[sizeof line / sizeof(uint64_t)];
    static_assert(sizeof words == sizeof line);
    memcpy(words, &line, sizeof line);
    for (const uint64_t word : words) {
        account_word_publish(to, number++, word);
    }
    return number;
}

// Whoever is in the way, and furthest behind.
uint32_t slowest_of(const zbq_producer *prod) {
    uint32_t slowest = ZBQ_NO_SLOT;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot &one = prod->slots[prod->active[i]];
        if (one.is_in_the_way() &&
            (slowest == ZBQ_NO_SLOT || one.tail_seen < prod->slots[slowest].tail_seen)) {
            slowest = one.index;
        }
    }
    return slowest;
}

zbq_ring_stats account_of_ring(const zbq_producer *prod, uint64_t now) {
    zbq_ring_stats line = {};
    memcpy(line.ring_id, prod->control->ring_id, sizeof line.ring_id);
    line.written_at = now;
    line.created_at = prod->created_at;
    line.capacity = prod->capacity;
    line.head = prod->window.head;
    line.slowest_tail = prod->slowest_tail;
    line.stall_timeout_ns = prod->stall_timeout;
    line.full_ns = prod->full_ns;
    line.joined = prod->counters.joined;
    line.failures = prod->counters.failures;
    line.scans = prod->counters.scans;
    line.wakes = prod->counters.wakes;
    memcpy(line.evicted, prod->counters.evicted, sizeof prod->counters.evicted);
    line.payload_type = prod->type;
    line.pid = prod->control->producer_pid;
    line.consumers = prod->active_count;
    line.max_consumers = prod->max_consumers;
    line.slots = prod->statistics.head.slots;
    line.slowest_slot = slowest_of(prod);
    line.closed = prod->has_ended ? 1 : 0;
    memcpy(line.name, prod->name, sizeof line.name);
    return line;
}

zbq_slot_stats account_of_slot(const zbq_producer *prod, slot *of, uint64_t now) {
    zbq_slot_stats line = {};
    if (of->told_tail != of->tail_seen) {
        of->told_tail = of->tail_seen;
        of->moved_at = now;
    }
    if (of->taken) {
        of->lost_bytes = lost_seen(of->page());
    }
    line.join_number = of->join_number;
    line.joined_at = of->joined_at;
    line.evicted_at = of->taken ? 0 : of->evicted_at;
    line.moved_at = of->moved_at;
    line.tail = of->tail_seen;
    line.lag = of->taken ? prod->window.head - of->tail_seen : of->last.lag;
    line.times_slowest = of->times_slowest;
    line.held_ns = of->held_ns;
    line.lost_bytes = of->lost_bytes;
    line.dropped_records = of->dropped;
    line.pid = of->pid;
    line.uid = of->uid;
    line.mode = of->mode;
    line.eviction = of->taken ? uint32_t{ZBQ_EVICTION_NONE} : of->last.eviction;
    line.fds_in_flight = of->in_flight.fds();
    line.in_the_way = of->taken ? (of->holds_room ? waits_for_its_room : 0U) |
                                      (of->holds_record ? waits_for_its_collection : 0U)
                                : 0U;
    return line;
}

} // namespace

void tell(zbq_producer *prod) {
    statistics_page *page = &prod->statistics;
    if (!page->exists() || page->is_held) {
        return;
    }
    const uint64_t now = monotonic_ns();
    const uint64_t number = ++page->accounts;
    account_copy *copy = copy_at(page->memory.memory, page->head, number);
    account_begin(copy, 2 * number - 1);
    uint64_t word = put(copy, 0, account_of_ring(prod, now));
    for (uint32_t i = 0; i < page->used_slots; ++i) {
        word = put(copy, word, account_of_slot(prod, &prod->slots[i], now));
    }
    account_end(copy, 2 * number);
    page->written_at = now;
}

void tell_of_failure(zbq_producer *prod) {
    if (monotonic_coarse_ns() >= prod->statistics.written_at + failure_interval_ns) {
        tell(prod);
    }
}

void note_use_of_slot(zbq_producer *prod, uint32_t index) {
    statistics_page *page = &prod->statistics;
    const uint32_t least = index < most_slots_told ? index + 1 : most_slots_told;
    page->used_slots = page->used_slots > least ? page->used_slots : least;
}

namespace {

int make_page(zbq_producer *prod) {
    const uint32_t slots =
        prod->max_consumers < most_slots_told ? prod->max_consumers : most_slots_told;
    statistics_page *page = &prod->statistics;
    page->head = {statistics_magic,
                  statistics_version,
                  sizeof(statistics_head),
                  sizeof(zbq_ring_stats),
                  sizeof(zbq_slot_stats),
                  slots,
                  {}};
    const uint64_t unit = page_size();
    const uint64_t size = (statistics_size(page->head) + unit - 1) / unit * unit;
    const int result =
        region_create("zbq-statistics", size, false, sharing::read_only, &page->memory);
    if (result == 0) {
        memcpy(page->memory.memory.get(), &page->head, sizeof page->head); // nobody else has it yet
        prod->first_minded = 1;
        tell(prod);
    }
    return result;
}

// Its descriptor, or -errno.
int page_of(zbq_producer *prod) {
    const int result = prod->statistics.exists() ? 0 : make_page(prod);
    return result < 0 ? result : prod->statistics.memory.fd.get();
}

void refresh(zbq_producer *prod) {
    if (!prod->statistics.exists()) {
        return;
    }
    prod->statistics.is_held = true;
    unanswered_joins(prod, no_user); // reads who has announced itself
    refresh_tails(prod);
    refresh_flights(prod);
    prod->statistics.is_held = false;
    tell(prod);
}

int send_page(const zbq_producer *prod, int socket) {
    const statistics_message message = {statistics_magic, statistics_version, 0};
    const int fd = prod->statistics.memory.fd.get();
    const ssize_t sent = send_record(socket, &message, sizeof message, &fd, 1);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    return sent == sizeof message ? 0 : -EMSGSIZE;
}

// To another user: its descriptor is in flight until that has taken it, as a join's are.
int send_page_to_stranger(zbq_producer *prod, int socket, uid_t uid) {
    const int copy = duplicate(socket);
    if (copy < 0) {
        return copy;
    }
    unique_fd kept(copy);
    const int result = send_page(prod, socket);
    if (result == 0) {
        keep_unanswered(prod, &kept, uid);
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_set_name(zbq_producer *prod, const char *name) {
    if (prod == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    const size_t length = name != nullptr ? strnlen(name, ZBQ_NAME_SIZE) : 0;
    if (length == ZBQ_NAME_SIZE) {
        return ZBQ_ERROR_OVERFLOW;
    }
    memset(prod->name, 0, sizeof prod->name);
    if (length != 0) {
        memcpy(prod->name, name, length);
    }
    return ZBQ_OK;
}

int zbq_producer_stats_fd(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    const int fd = page_of(prod);
    return fd < 0 ? error_from(fd) : fd;
}

int zbq_producer_refresh_stats(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    refresh(prod);
    return ZBQ_OK;
}

int zbq_producer_send_stats(zbq_producer *prod, int socket) {
    int type = 0;
    if (prod == nullptr || !is_unix_socket(socket, &type) || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    const uid_t uid = peer_user(socket);
    const bool is_own = uid == own_user();
    if (!is_own && !may_leave_unanswered(prod, uid)) {
        return ZBQ_ERROR_NOENT;
    }
    const int fd = page_of(prod);
    if (fd < 0) {
        return error_from(fd);
    }
    refresh(prod);
    const int result = is_own ? send_page(prod, socket) : send_page_to_stranger(prod, socket, uid);
    return result < 0 ? error_from(result) : ZBQ_OK;
}
