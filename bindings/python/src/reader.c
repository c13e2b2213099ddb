/* SPDX-License-Identifier: MIT */
/* A consumer's handle. It lives as long as its consumer object, and as long as a message of it, or
 * a buffer that looks at one. What is let go is released in the order of the stream. */
#include "extension.h"

#include <stdlib.h>
#include <time.h>

reader *reader_make(zbq_consumer *handle, bool is_push, bool is_newest) {
    reader *made = calloc(1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    made->handle = handle;
    made->window = zbq_consumer_window(handle);
    made->references = 1;
    made->is_push = is_push;
    made->is_newest = is_newest;
    /* Fails where it does not observe, and is nothing to it then. */
    zbq_consumer_set_resume(handle, is_newest ? ZBQ_SEEK_NEWEST : ZBQ_SEEK_OLDEST);
    shelter_init(&made->memory, made->window->ring, 2 * made->window->capacity);
    return made;
}

void reader_keep(reader *of) {
    ++of->references;
}

void reader_let_go(reader *of) {
    if (of != NULL && --of->references == 0) {
        zbq_consumer_destroy(of->handle);
        free(of);
    }
}

int reader_check(const reader *of) {
    return of == NULL || of->is_closed    ? result_closed
           : !shelter_is_own(&of->memory) ? result_forked
           : of->is_busy                  ? result_busy
                                          : ZBQ_OK;
}

/* ---- taking ------------------------------------------------------------- */

static bool knows_more(const reader *of) {
    return of->window->cursor != of->window->head && of->window->unusual == 0;
}

void describe(const zbq_msg_view *view, description *out) {
    const zbq_msg_header header = *view->header; /* once: another process may write there */
    const uint64_t mask = ZBQ_MSG_ALIGN - 1;
    out->payload = view->payload;
    out->size = view->payload_len;
    out->offset = view->logical_offset;
    out->end = (view->logical_offset + view->total_len + mask) & ~mask;
    out->seq_id = header.fd_count != 0 ? header.seq_id : 0;
    out->key = zbq_msg_key(&header);
    out->fd_count = header.fd_count;
    out->flags = header.flags;
    out->is_forgotten = zbq_msg_is_forgotten(&header);
}

static void skip_to_newest(const reader *of) {
    if (of->is_newest) {
        zbq_consumer_seek(of->handle, ZBQ_SEEK_NEWEST); /* the look that follows tells */
    }
}

int reader_take(reader *of, description *out) {
    zbq_msg_view view;
    skip_to_newest(of);
    of->no_record = of->no_record && knows_more(of);
    const int result = zbq_window_next(of->window, &view);
    if (result == ZBQ_OK) {
        describe(&view, out);
    }
    return result;
}

int reader_look(reader *of) {
    of->no_record = of->no_record && knows_more(of);
    return zbq_consumer_look(of->handle);
}

bool reader_peek_size(const reader *of, uint64_t *out) {
    zbq_msg_view view;
    if (!knows_more(of) ||
        !zbq_window_view(of->window, of->window->next, of->window->cursor, &view)) {
        return false;
    }
    *out = view.payload_len;
    return true;
}

bool reader_is_whole(const reader *of, uint64_t offset) {
    return zbq_window_valid_from(of->window, offset);
}

/* ---- letting go --------------------------------------------------------- */

static int collect(reader *of, uint64_t seq_id, descriptor_list *out) {
    out->count = 0;
    const int result = zbq_consumer_recv_fds(of->handle, seq_id, out->numbers, &out->count);
    of->no_record = result == ZBQ_ERROR_AGAIN;
    return result;
}

/* To find none clears the event descriptor, and the library lets it tell of messages that no look
 * has seen but once: so it is not tried again before a look. */
static void discard(reader *of, uint64_t seq_id) {
    descriptor_list list;
    if (of->is_push && !of->no_record && collect(of, seq_id, &list) == ZBQ_OK) {
        close_descriptors(&list);
    }
}

void reader_drop_record(reader *of, uint64_t seq_id, uint64_t offset) {
    if (of->window->observes != 0 && !reader_is_whole(of, offset)) {
        return; /* what its header says may be torn */
    }
    if (offset == of->window->tail) {
        discard(of, seq_id);
    } else if (seq_id > of->put_off) {
        of->put_off = seq_id;
    }
}

void reader_hold(reader *of) {
    ++of->held;
}

static void publish(const reader *of, uint64_t tail) {
    if (tail != of->window->tail) {
        zbq_window_release(of->window, tail);
    }
}

/* The tail passes only what nobody holds any more. What is let go before something older waits for
 * that, as far as it is one piece; the rest for all to be let go. */
void reader_release(reader *of, uint64_t begin, uint64_t end) {
    of->released_to = end > of->released_to ? end : of->released_to;
    if (--of->held == 0) {
        if (of->put_off != 0) {
            const uint64_t record = of->put_off;
            of->put_off = 0;
            discard(of, record);
        }
        publish(of, of->released_to);
    } else if (begin == of->window->tail) {
        publish(of, end == of->waiting_begin ? of->waiting_end : end);
    } else if (begin == of->waiting_end) {
        of->waiting_end = end;
    } else if (of->waiting_begin <= of->window->tail && begin != end) { /* nothing waits */
        of->waiting_begin = begin;
        of->waiting_end = end;
    }
}

/* ---- waiting ------------------------------------------------------------ */

static const uint64_t pull_sleep = 1000000; /* of a consumer that nobody wakes */

static uint64_t least(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* Whether it may go on: signals were handled, which may have done anything. */
static int after_sleep(reader *of) {
    of->is_busy = false;
    hold_settle_postponed(of);
    if (PyErr_CheckSignals() < 0) {
        return result_raised;
    }
    return reader_check(of);
}

static int sleep_for_event(reader *of, uint32_t token, uint64_t time) {
    int result = ZBQ_OK;
    of->is_busy = true;
    Py_BEGIN_ALLOW_THREADS;
    if (of->is_push) {
        result = zbq_consumer_wait(of->handle, token, time);
    } else {
        const struct timespec nap = {0, (long)least(time, pull_sleep)};
        nanosleep(&nap, NULL);
        zbq_consumer_is_producer_alive(of->handle); /* what it finds, the next look tells */
    }
    Py_END_ALLOW_THREADS;
    const int after = after_sleep(of);
    return result == ZBQ_ERROR_IO ? result : after;
}

static int spin_for(reader *of, uint64_t time) {
    int result = ZBQ_ERROR_AGAIN;
    while (result == ZBQ_ERROR_AGAIN && time != 0) {
        const uint64_t slice = least(time, ZBQ_WAIT_SLICE_NS);
        of->is_busy = true;
        Py_BEGIN_ALLOW_THREADS;
        result = zbq_consumer_spin(of->handle, slice);
        Py_END_ALLOW_THREADS;
        const int after = after_sleep(of);
        if (after != ZBQ_OK) {
            return after;
        }
        time = time == never ? never : time - slice;
    }
    return result;
}

static int wait_kept(reader *of, uint64_t deadline, uint64_t spin) {
    int result = reader_look(of);
    if (result == ZBQ_ERROR_AGAIN && spin != 0 && deadline != 0) {
        result = spin_for(of, least(spin, left_until(deadline)));
    }
    while (result == ZBQ_ERROR_AGAIN) {
        const uint32_t token = zbq_consumer_get_futex_token(of->handle);
        result = reader_look(of);
        const uint64_t left = left_until(deadline);
        if (result != ZBQ_ERROR_AGAIN || left == 0) {
            break;
        }
        const int slept = sleep_for_event(of, token, left);
        result = slept == ZBQ_OK ? reader_look(of) : slept;
    }
    return result;
}

int reader_wait(reader *of, uint64_t deadline, uint64_t spin) {
    reader_keep(of); /* a handler of signals may close it */
    const int result = wait_kept(of, deadline, spin);
    const bool is_gone = of->references == 1;
    reader_let_go(of);
    return is_gone ? result_closed : result;
}

static int collect_kept(reader *of, uint64_t seq_id, uint64_t deadline, descriptor_list *out) {
    for (;;) {
        const uint32_t token = zbq_consumer_get_futex_token(of->handle);
        const int result = collect(of, seq_id, out);
        const uint64_t left = left_until(deadline);
        if (result != ZBQ_ERROR_AGAIN || left == 0) {
            return result;
        }
        const int slept = sleep_for_event(of, token, left);
        if (slept != ZBQ_OK && slept != result_closed) { /* a message outlives its consumer */
            return slept;
        }
        if (zbq_consumer_ending(of->handle, NULL) != ZBQ_ENDING_NONE) {
            return collect(of, seq_id, out);
        }
    }
}

int reader_collect(reader *of, const description *what, uint64_t deadline, descriptor_list *out) {
    out->count = 0;
    if (what->seq_id == 0) {
        return ZBQ_OK;
    }
    reader_keep(of);
    const int result = collect_kept(of, what->seq_id, deadline, out);
    reader_let_go(of);
    return result;
}
