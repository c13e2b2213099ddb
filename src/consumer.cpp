// SPDX-License-Identifier: MIT
//
// Reading: messages, release, descriptors, sleep. The application's thread alone runs
// this. peek, next, valid and publish make no system call.
#include "consumer.hpp"

#include <cstdlib>
#include <cstring>
#include <sys/epoll.h>

namespace zbq::core {

// Before the head is loaded: a head loaded after the mark is the last one.
bool has_ended(const zbq_consumer *cons) {
    return closed_acquire(cons->control()) || cons->producer_gone || cons->abandoned;
}

// The producer's process has ended when its pidfd says so; one that has executed another program
// has closed its end of the event socket.
void look_for_producer(zbq_consumer *cons) {
    pollfd ends[] = {{cons->producer.get(), POLLIN, 0}, {cons->event.get(), 0, 0}};
    if (poll_now(ends, 2) > 0) {
        cons->producer_gone |= ends[0].revents != 0;
        cons->abandoned |= ends[1].revents != 0;
    }
}

// For people and tools, and not for each message: it decides nothing.
void note_progress(zbq_consumer *cons) {
    if (cons->noted_tail != cons->window.tail) {
        cons->noted_tail = cons->window.tail;
        const uint64_t now = monotonic_coarse_ns();
        progress_publish(cons->page(), now > cons->baseline ? now - cons->baseline : 0);
    }
}

bool is_evicted(const zbq_consumer *cons) {
    return eviction_seen(cons->page());
}

namespace {

// ---- head ----

// Loads the head; keeps it if it can be. A head that cannot be makes the stream malformed.
void refresh_head(const zbq_consumer *cons) {
    if (!zbq_window_accept(&cons->window, head_acquire(cons->control()))) {
        cons->window.unusual = 1; // for good
    }
}

// What there is at a place where the head last acquired shows no message: ZBQ_OK where
// the head has moved on since.
int look_past_known_head(zbq_consumer *cons, position at) {
    const bool ended = has_ended(cons);
    if (!cons->observes()) {
        refresh_head(cons);
    } else if (observe(cons) == ZBQ_ERROR_AGAIN) {
        return ZBQ_OK; // there is too much
    }
    if (is_evicted(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    if (cons->is_malformed()) {
        return ZBQ_ERROR_PROTOCOL;
    }
    if (cons->window.head != cons->window.*at) {
        return ZBQ_OK;
    }
    note_progress(cons);
    return ended ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
}

// ---- the event descriptor ----

// Readable from then on, by CLOCK_MONOTONIC; 0: not. 1 is long past.
void look_again_at(zbq_consumer *cons, uint64_t time) {
    if (cons->looks_again_at != time) {
        cons->looks_again_at = time;
        timer_set(cons->timer.get(), time);
    }
}

// Asks to be rung, and has the timer end the nap that goes with it. Once the mark has stood
// for a nap, there is nothing more to fear.
void park_on_event(zbq_consumer *cons) {
    const uint32_t before = park_announce(cons->parking.place, parked_on_event);
    const uint64_t now = monotonic_ns();
    if ((before & parked_on_event) == 0 || quiet_after_park(cons->page()) > now) {
        cons->nap_end = now + nap_length(cons->page());
    }
    look_again_at(cons, now < cons->nap_end ? cons->nap_end : 0);
}

// Clears it and asks to be rung: whoever finds nothing has to look again after this.
void rearm(zbq_consumer *cons) {
    pollfd watched[] = {{cons->event.get(), POLLIN, 0}, {cons->producer.get(), POLLIN, 0}};
    if (poll_now(watched, 2) > 0) {
        cons->producer_gone |= watched[1].revents != 0;
        cons->abandoned |=
            watched[0].revents != 0 && event_take(cons->event.get()) == event_state::closed;
    }
    park_on_event(cons);
}

// The bell that a look for messages took off may have been that of a record which is awaited.
void tell_of_record(zbq_consumer *cons) {
    pollfd side = {cons->side.get(), POLLIN, 0};
    // Where the poll failed: one look too many.
    if (cons->awaited_record != 0 && poll_now(&side, 1) != 0) {
        cons->awaited_record = 0; // it is told of once
        look_again_at(cons, 1);
    }
}

// And the other way round: that of messages which no look has seen.
void tell_of_messages(zbq_consumer *cons) {
    const uint64_t head = head_acquire(cons->control());
    if (head != cons->window.head && head != cons->told_head) {
        cons->told_head = head;
        look_again_at(cons, 1);
    }
}

// No look of an observer was quick enough: there is something all the same. Set again, the timer
// tells those too who are told but once of each change (EPOLLET).
int tell_to_look_again(zbq_consumer *cons) {
    if (cons->watch) {
        cons->looks_again_at = 0;
        look_again_at(cons, 1);
    }
    return ZBQ_ERROR_AGAIN;
}

int look_and_rearm(zbq_consumer *cons, position at) {
    int result = look_past_known_head(cons, at);
    if (result == ZBQ_ERROR_AGAIN && cons->watch) {
        rearm(cons);
        result = look_past_known_head(cons, at);
        tell_of_record(cons);
    }
    return result;
}

// ---- messages ----

// Where an offset between tail and head lies. The ring is mapped twice: the cursor may be in
// either.
const char *place_of(const zbq_consumer *cons, uint64_t offset) {
    const zbq_read_window &window = cons->window;
    const uint64_t behind = window.cursor - offset;
    const auto position = static_cast<uint64_t>(window.next - window.ring);
    return behind <= position ? window.next - behind : window.next + (window.capacity - behind);
}

// What of the ring is known to be committed.
int view_known(zbq_consumer *cons, uint64_t offset, zbq_msg_view *out) {
    const bool fits = zbq_window_view(&cons->window, place_of(cons, offset), offset, out);
    if (is_evicted(cons)) { // then the length read may not be one
        return ZBQ_ERROR_NOENT;
    }
    if (!fits) {
        cons->window.unusual = 1; // for good
        return ZBQ_ERROR_PROTOCOL;
    }
    return ZBQ_OK;
}

// Whether what lies there may be overwritten.
bool is_lapped(const zbq_consumer *cons, uint64_t offset) {
    return !zbq_window_valid_from(&cons->window, offset) || offset < cons->floor;
}

// ZBQ_ERROR_AGAIN: it was lapped, before or meanwhile. Before, its place may be none.
int view_observed(zbq_consumer *cons, uint64_t offset, zbq_msg_view *out) {
    const bool fits = !is_lapped(cons, offset) &&
                      zbq_window_view(&cons->window, place_of(cons, offset), offset, out);
    if (is_evicted(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    if (is_lapped(cons, offset)) {
        return ZBQ_ERROR_AGAIN;
    }
    if (!fits) {
        cons->window.unusual = 1; // for good
        return ZBQ_ERROR_PROTOCOL;
    }
    return ZBQ_OK;
}

// An observer that was lapped goes on elsewhere. Where that was between tail and cursor, all that
// is not released is void.
int catch_up(zbq_consumer *cons, position at) {
    const int result = observe(cons);
    if (result == ZBQ_OK && is_lapped(cons, cons->window.*at)) {
        release_until_cursor(cons);
    }
    return result;
}

// Whether there may be a message. ZBQ_OK, or why not.
int look_at(zbq_consumer *cons, position at) {
    const bool is_known = cons->window.*at != cons->window.head && !cons->is_malformed();
    return is_known ? ZBQ_OK : look_and_rearm(cons, at);
}

int observe_at(zbq_consumer *cons, position at, zbq_msg_view *out) {
    for (uint32_t i = 0; i < most_laps; ++i) {
        int result = look_at(cons, at);
        if (result != ZBQ_OK) {
            return result;
        }
        result = view_observed(cons, cons->window.*at, out);
        if (result != ZBQ_ERROR_AGAIN) {
            return result;
        }
        if (catch_up(cons, at) == ZBQ_ERROR_PROTOCOL) {
            return ZBQ_ERROR_PROTOCOL;
        }
    }
    return tell_to_look_again(cons);
}

int view_at(zbq_consumer *cons, position at, zbq_msg_view *out) {
    if (cons->observes()) {
        return observe_at(cons, at, out);
    }
    const int result = look_at(cons, at);
    return result == ZBQ_OK ? view_known(cons, cons->window.*at, out) : result;
}

} // namespace

void move_cursor(zbq_consumer *cons, uint64_t to) {
    cons->window.next += to - cons->window.cursor;
    cons->window.cursor = to;
}

namespace {

// ---- copies ----

// What nobody looks at: it is released with what comes before it.
void pass_by(zbq_consumer *cons, uint64_t to) {
    if (cons->window.cursor != cons->passed_to) {
        cons->passed_from = cons->window.cursor;
    }
    move_cursor(cons, to);
    cons->passed_to = to;
}

void release_passed(zbq_consumer *cons) {
    const uint64_t tail = cons->window.tail;
    if (tail >= cons->passed_from && tail < cons->passed_to) { // else somebody looks before it
        zbq_window_release(&cons->window, cons->passed_to);
    }
}

void copy_to(void *buffer, uint64_t size, const zbq_msg_view &view, zbq_msg_copy *out) {
    out->header = *view.header;
    out->header.payload_len = static_cast<uint32_t>(view.payload_len); // as it was checked
    out->logical_offset = view.logical_offset;
    if (view.payload_len <= size && view.payload_len != 0) {
        memcpy(buffer, view.payload, view.payload_len);
    }
}

int take_copied(zbq_consumer *cons, const zbq_msg_view &view, uint64_t size) {
    if (view.payload_len > size) {
        return ZBQ_ERROR_OVERFLOW;
    }
    pass_by(cons, round_up(view.logical_offset + view.total_len));
    release_passed(cons);
    return ZBQ_OK;
}

// ---- descriptors ----

// The next record, into the held one.
int receive_next(zbq_consumer *cons) {
    uint64_t seq_id = 0;
    const int result = side_receive(cons->side.get(), &seq_id, &cons->held.fds);
    if (result < 0) {
        return result;
    }
    if (seq_id <= cons->newest_record) { // ids rise
        cons->held.fds.close_all();
        return -EPROTO;
    }
    cons->newest_record = seq_id;
    cons->held.seq_id = seq_id;
    return 0;
}

int record_error(int negative_errno) {
    switch (negative_errno) {
    case -EAGAIN:
        return ZBQ_ERROR_AGAIN;
    case -EPIPE:
        return ZBQ_ERROR_NOENT;
    case -EPROTO:
        return ZBQ_ERROR_PROTOCOL;
    default:
        return error_from(negative_errno);
    }
}

// A record that is not gone by, nor from before the join.
bool may_come(const zbq_consumer *cons, uint64_t seq_id) {
    return seq_id > cons->newest_record &&
           (seq_id > cons->record_floor || has_retained_record(cons->retained, seq_id));
}

// Drops held and waiting records until one is not older than the expected.
int advance_to_record(zbq_consumer *cons, uint64_t expected_seq_id) {
    for (uint32_t i = 0; i < most_records_dropped; ++i) {
        if (cons->held.seq_id >= expected_seq_id && cons->held.seq_id != 0) {
            return cons->held.seq_id == expected_seq_id ? ZBQ_OK : ZBQ_ERROR_NOENT;
        }
        cons->held.fds.close_all();
        cons->held.seq_id = 0;
        if (!may_come(cons, expected_seq_id)) {
            return ZBQ_ERROR_NOENT;
        }
        const bool ended = has_ended(cons) || is_evicted(cons); // before the look
        const int result = receive_next(cons);
        if (result < 0) {
            return result == -EAGAIN && ended ? ZBQ_ERROR_NOENT : record_error(result);
        }
    }
    return ZBQ_ERROR_AGAIN;
}

// ---- sleep ----

bool is_at_end(const zbq_consumer *cons) {
    return has_ended(cons) && head_acquire(cons->control()) == cons->window.cursor;
}

// What a waiter has to know, without sleeping. ZBQ_ERROR_AGAIN: nothing has happened.
int event_since(const zbq_consumer *cons, uint32_t token) {
    const bool changed = token_now(cons->control()) != token;
    if (is_evicted(cons) || is_at_end(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    return changed || has_ended(cons) ? ZBQ_OK : ZBQ_ERROR_AGAIN;
}

int sleep_for_event(zbq_consumer *cons, uint32_t token, uint64_t timeout_ns) {
    const uint64_t slice = timeout_ns < ZBQ_WAIT_SLICE_NS ? timeout_ns : ZBQ_WAIT_SLICE_NS;
    const int result = park(cons->control(), &cons->parking, token, slice);
    if (result == -ETIMEDOUT) {
        look_for_producer(cons);
    } else if (result < 0 && result != -EAGAIN && result != -EINTR) {
        return error_from(result);
    }
    return event_since(cons, token);
}

int make_watch(zbq_consumer *cons) {
    unique_fd watch;
    unique_fd timer;
    int result = timer_make(&timer);
    const int fds[] = {cons->event.get(), cons->producer.get(), timer.get()};
    if (result == 0) {
        result = epoll_make(&watch);
    }
    for (const int fd : fds) {
        if (result == 0) {
            result = epoll_add(watch.get(), fd, EPOLLIN, 0);
        }
    }
    if (result == 0) {
        cons->watch = static_cast<unique_fd &&>(watch);
        cons->timer = static_cast<unique_fd &&>(timer);
        look_again_at(cons, 1); // nobody has been asked to ring yet
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

void zbq_consumer_destroy(zbq_consumer *cons) {
    if (cons == nullptr) {
        return;
    }
    if (!cons->birth.is_own()) { // a forked child: the addresses may be something else's
        cons->control_memory.forget();
        cons->ring_memory.forget();
        cons->page_memory.forget();
        cons->retained.forget();
    }
    cons->~zbq_consumer();
    free(cons);
}

bool zbq_consumer_is_producer_alive(zbq_consumer *cons) {
    if (cons == nullptr) {
        return false;
    }
    look_for_producer(cons);
    return !cons->producer_gone;
}

uint64_t zbq_consumer_acquire_head(const zbq_consumer *cons) {
    if (cons == nullptr) {
        return 0;
    }
    if (cons->observes()) { // of which nothing else is known before it looks
        return head_acquire(cons->control());
    }
    refresh_head(cons);
    return cons->window.head;
}

int zbq_consumer_peek(zbq_consumer *cons, zbq_msg_view *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    return view_at(cons, &zbq_read_window::tail, out);
}

int zbq_consumer_next(zbq_consumer *cons, zbq_msg_view *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    const int result = view_at(cons, &zbq_read_window::cursor, out);
    if (result == ZBQ_OK) {
        move_cursor(cons, round_up(out->logical_offset + out->total_len));
    }
    return result;
}

int zbq_consumer_look(zbq_consumer *cons) {
    if (cons == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    zbq_msg_view first = {};
    return view_at(cons, &zbq_read_window::cursor, &first);
}

int zbq_consumer_skip(zbq_consumer *cons, uint64_t offset) {
    if (cons == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    int result = ZBQ_OK;
    const uint64_t laps = cons->lost.times;
    uint64_t passed = 0; // a hostile producer could go on for ever
    while (result == ZBQ_OK && cons->window.cursor < offset) {
        zbq_msg_view view = {};
        result = passed < cons->window.capacity ? view_at(cons, &zbq_read_window::cursor, &view)
                                                : ZBQ_ERROR_AGAIN;
        if (result == ZBQ_OK && cons->window.cursor < offset) { // a lap may lead past it
            const uint64_t end = round_up(view.logical_offset + view.total_len);
            passed += end - view.logical_offset;
            pass_by(cons, end);
        }
    }
    release_passed(cons);
    const bool is_there = cons->window.cursor == offset || cons->lost.times != laps;
    return result == ZBQ_OK && !is_there ? ZBQ_ERROR_INVALID : result;
}

int zbq_consumer_copy(zbq_consumer *cons, void *buffer, uint64_t size, zbq_msg_copy *out) {
    if (cons == nullptr || out == nullptr || (buffer == nullptr && size != 0)) {
        return ZBQ_ERROR_INVALID;
    }
    for (uint32_t i = 0; i < most_laps; ++i) {
        zbq_msg_view view = {};
        const int result = view_at(cons, &zbq_read_window::cursor, &view);
        if (result != ZBQ_OK) {
            return result;
        }
        copy_to(buffer, size, view, out);
        if (zbq_window_valid_from(&cons->window, view.logical_offset)) {
            return take_copied(cons, view, size);
        }
        if (!cons->observes()) {
            return ZBQ_ERROR_NOENT;
        }
    }
    return tell_to_look_again(cons);
}

zbq_read_window *zbq_consumer_window(zbq_consumer *cons) {
    return cons == nullptr ? nullptr : &cons->window;
}

bool zbq_consumer_valid(const zbq_consumer *cons) {
    return cons != nullptr && zbq_window_valid(&cons->window);
}

void zbq_consumer_publish(zbq_consumer *cons, uint64_t new_tail) {
    if (cons == nullptr) {
        return;
    }
    const uint64_t tail = round_up(new_tail);
    if (new_tail > cons->window.head) { // which is on the grid; so that the tail has not wrapped
        return;
    }
    if (tail > cons->window.cursor) {
        move_cursor(cons, tail);
    }
    zbq_window_release(&cons->window, tail);
    release_passed(cons);
    note_progress(cons);
}

void zbq_consumer_ring(zbq_consumer *cons) {
    const bool may_be_awaited = cons != nullptr && !cons->observes();
    if (may_be_awaited && cons->birth.is_own()) {
        event_ring(cons->event.get());
    }
}

int zbq_consumer_recv_fds(zbq_consumer *cons, uint64_t expected_seq_id, int *out_fds,
                          uint8_t *out_fd_count) {
    if (out_fd_count != nullptr) {
        *out_fd_count = 0;
    }
    if (cons == nullptr || out_fds == nullptr || out_fd_count == nullptr || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    if (!cons->push) {
        return ZBQ_ERROR_NOENT;
    }
    int result = advance_to_record(cons, expected_seq_id);
    if (result == ZBQ_ERROR_AGAIN && cons->watch) {
        rearm(cons);
        result = advance_to_record(cons, expected_seq_id);
        cons->awaited_record = result == ZBQ_ERROR_AGAIN ? expected_seq_id : 0;
        tell_of_messages(cons);
    }
    if (result == ZBQ_OK) {
        *out_fd_count = static_cast<uint8_t>(cons->held.fds.size());
        cons->held.fds.move_to(out_fds);
        cons->held.seq_id = 0;
    }
    return result;
}

int zbq_consumer_retained(const zbq_consumer *cons, uint32_t index, zbq_msg_view *out) {
    return cons == nullptr || out == nullptr ? ZBQ_ERROR_INVALID
                                             : view_retained(cons->retained, index, out);
}

uint32_t zbq_consumer_get_futex_token(const zbq_consumer *cons) {
    return cons == nullptr ? 0 : token_now(cons->control());
}

int zbq_consumer_wait_broadcast(zbq_consumer *cons, uint32_t token) {
    return zbq_consumer_wait(cons, token, ZBQ_WAIT_SLICE_NS);
}

int zbq_consumer_wait(zbq_consumer *cons, uint32_t token, uint64_t timeout_ns) {
    if (cons == nullptr || !cons->push || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    const int now = event_since(cons, token);
    return now != ZBQ_ERROR_AGAIN || timeout_ns == 0 ? now
                                                     : sleep_for_event(cons, token, timeout_ns);
}

int zbq_consumer_event_fd(zbq_consumer *cons) {
    if (cons == nullptr || !cons->push || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    if (!cons->watch) {
        const int result = make_watch(cons);
        if (result < 0) {
            return error_from(result);
        }
    }
    return cons->watch.get();
}

zbq_ending zbq_consumer_ending(const zbq_consumer *cons, uint32_t *out_eviction) {
    if (out_eviction != nullptr) {
        *out_eviction = ZBQ_EVICTION_NONE;
    }
    if (cons == nullptr) {
        return ZBQ_ENDING_NONE;
    }
    const uint32_t eviction = eviction_reason(cons->page());
    if (eviction != ZBQ_EVICTION_NONE) {
        if (out_eviction != nullptr) {
            *out_eviction = eviction;
        }
        return ZBQ_ENDING_EVICTED;
    }
    if (cons->is_malformed()) {
        return ZBQ_ENDING_MALFORMED;
    }
    if (closed_acquire(cons->control())) {
        return ZBQ_ENDING_CLOSED;
    }
    return has_ended(cons) ? ZBQ_ENDING_PRODUCER_DIED : ZBQ_ENDING_NONE;
}

int zbq_consumer_type(const zbq_consumer *cons, zbq_type *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = cons->type;
    return ZBQ_OK;
}

uint64_t zbq_consumer_tail(const zbq_consumer *cons) {
    return cons == nullptr ? 0 : cons->window.tail;
}

const zbq_control_region *zbq_consumer_ctrl(const zbq_consumer *cons) {
    return cons == nullptr ? nullptr : cons->control();
}

zbq_consumer_metadata *zbq_consumer_meta(zbq_consumer *cons) {
    return cons == nullptr ? nullptr : cons->page();
}
