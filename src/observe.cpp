// SPDX-License-Identifier: MIT
//
// Observing: reading without ever holding the producer back. It overwrites what it likes, but only
// below the floor: an observer reads, then asks whether the floor is still below what it has read.
// A length may be torn until then, so none is used that leads past the head.
//
//   producer                              observer
//   floor = above what is overwritten     floor, head, floor                   (1)
//   release fence                         reads
//   writes                                acquire fence
//   head                                  floor: still at or below? whole
//
// Of (1) the first is at most the head, the second at least the head less the capacity: another
// pair is of a producer that breaks the protocol. Both hold though they are loaded one after the
// other, since the head is released after the floor that its bytes needed, and the floor after the
// head, which it never passes.
#include "consumer.hpp"
#include "probes.hpp"

#include <cstring>

namespace zbq::core {

namespace {

bool can_be(const zbq_consumer *cons, uint64_t before, uint64_t head, uint64_t floor) {
    const bool rises = before >= cons->floor && floor >= before && head >= cons->window.head;
    const bool fits = before <= head && (floor > head || head - floor <= cons->window.capacity);
    return rises && fits && is_aligned(before | head | floor);
}

int malformed(zbq_consumer *cons) {
    cons->window.unusual = 1; // for good
    return ZBQ_ERROR_PROTOCOL;
}

void lose(zbq_consumer *cons, uint64_t bytes) {
    cons->lost.bytes += bytes;
    lost_publish(cons->page(), cons->lost.bytes);
}

const char *place_in_ring(const zbq_consumer *cons, uint64_t offset) {
    return cons->window.ring + offset % cons->window.capacity;
}

// What was read and not released is void: it stays so until it is released.
void go_on_at(zbq_consumer *cons, uint64_t offset) {
    const bool all_released = cons->window.tail == cons->window.cursor;
    cons->window.cursor = offset;
    cons->window.next = place_in_ring(cons, offset);
    if (all_released) {
        release_until_cursor(cons);
    }
}

// Takes over head and floor, the latter at most at the former, and never leaves the cursor below:
// what lies from it to the head is in the ring, whatever the producer says later.
int take_over(zbq_consumer *cons) {
    for (uint32_t i = 0; i < most_laps; ++i) {
        const uint64_t before = floor_acquire(cons->control());
        const uint64_t head = head_acquire(cons->control());
        const uint64_t floor = floor_acquire(cons->control());
        if (cons->is_malformed() || !can_be(cons, before, head, floor)) {
            return malformed(cons);
        }
        if (floor <= head) {
            cons->window.head = head;
            cons->floor = floor;
            if (cons->window.cursor < floor) { // lapped
                ZBQ_PROBE(lapped, floor - cons->window.cursor, floor);
                lose(cons, floor - cons->window.cursor);
                ++cons->lost.times;
                go_on_at(cons, floor);
            } else {
                cons->window.next = place_in_ring(cons, cons->window.cursor);
            }
            return ZBQ_OK;
        }
    }
    return ZBQ_ERROR_AGAIN;
}

// Where the last of the messages starts that begin at this offset and end at the head; or one of
// them, where there are very many.
int last_from(zbq_consumer *cons, uint64_t offset, uint64_t *last) {
    zbq_msg_view view = {};
    uint64_t at = offset;
    for (uint32_t i = 0; at != cons->window.head && i < most_walked; ++i) {
        const bool fits = zbq_window_view(&cons->window, place_in_ring(cons, at), at, &view);
        if (!zbq_window_valid_from(&cons->window, offset)) { // then the length may not be one
            return ZBQ_ERROR_AGAIN;
        }
        if (!fits) {
            return malformed(cons);
        }
        *last = at;
        at += round_up(view.total_len);
    }
    return ZBQ_OK;
}

// The newest message: the newest commit starts where the producer says. The head, where nothing was
// committed since.
int find_newest(zbq_consumer *cons, uint64_t *newest) {
    for (uint32_t i = 0; i < most_laps; ++i) {
        const uint64_t start = newest_seen(cons->control());
        const int result = take_over(cons);
        if (result != ZBQ_OK) {
            return result;
        }
        *newest = cons->window.head;
        if (!is_aligned(start)) {
            return malformed(cons);
        }
        const uint64_t from = start < cons->floor ? cons->floor : start; // or what is left of it
        const int found = from < *newest ? last_from(cons, from, newest) : ZBQ_OK;
        if (found != ZBQ_ERROR_AGAIN) {
            return found;
        }
    }
    return ZBQ_ERROR_AGAIN;
}

int find(zbq_consumer *cons, zbq_seek_to to, uint64_t *offset) {
    if (to == ZBQ_SEEK_NEWEST) {
        return find_newest(cons, offset);
    }
    const int result = take_over(cons);
    *offset = to == ZBQ_SEEK_HEAD ? cons->window.head : cons->floor;
    return result;
}

bool seek_is_valid(zbq_seek_to to) {
    return to >= ZBQ_SEEK_OLDEST && to <= ZBQ_SEEK_HEAD;
}

} // namespace

void release_until_cursor(zbq_consumer *cons) {
    cons->window.tail = cons->window.cursor;
    tail_note(cons->page(), cons->window.cursor);
}

int observe(zbq_consumer *cons) {
    const uint64_t laps = cons->lost.times;
    int result = take_over(cons);
    if (result == ZBQ_OK && laps != cons->lost.times && cons->resume != ZBQ_SEEK_OLDEST) {
        uint64_t offset = 0;
        result = find(cons, cons->resume, &offset);
        if (result == ZBQ_OK) {
            lose(cons, offset - cons->window.cursor); // skipped as well
            go_on_at(cons, offset);
        }
    }
    return result;
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_consumer_seek(zbq_consumer *cons, zbq_seek_to to) {
    if (cons == nullptr || !cons->observes() || !seek_is_valid(to)) {
        return ZBQ_ERROR_INVALID;
    }
    if (is_evicted(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    uint64_t offset = 0;
    const int result = find(cons, to, &offset);
    if (result != ZBQ_OK) {
        return result;
    }
    const bool was_read = to == ZBQ_SEEK_NEWEST && offset < cons->window.cursor;
    go_on_at(cons, was_read ? cons->window.cursor : offset);
    release_until_cursor(cons);
    return ZBQ_OK;
}

int zbq_consumer_set_resume(zbq_consumer *cons, zbq_seek_to to) {
    if (cons == nullptr || !cons->observes() || !seek_is_valid(to)) {
        return ZBQ_ERROR_INVALID;
    }
    cons->resume = to;
    return ZBQ_OK;
}

int zbq_consumer_lost(const zbq_consumer *cons, zbq_loss *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = cons->lost;
    return ZBQ_OK;
}
