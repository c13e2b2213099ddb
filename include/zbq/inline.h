/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The fast path without a call: what a message costs is a few instructions in the caller's own
 * loop. For C and C++; zbq.hpp uses it. The calls in zbq.h do the same, and check more.
 *
 * Everything here works on memory that the library has handed out. Orders and their partners
 * are those of src/atomics.hpp in the source tree, and docs/memory-order.md argues them.
 */
#ifndef ZBQ_INLINE_H
#define ZBQ_INLINE_H

#include "../zbq.h"

/** For what is a few instructions where it is used, and many where it is called. */
#define ZBQ_INLINE static inline __attribute__((always_inline))

#if defined(__cplusplus)
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast" /* C has no other */
#endif

/** zbq_window_commit, of bytes that are known to be there and a multiple of ZBQ_MSG_ALIGN. */
ZBQ_INLINE void zbq_window_publish(zbq_commit_window *window, uint64_t bytes) {
    const uint64_t start = window->head;
    window->head = start + bytes;
    window->next += bytes;
    /* Release: pairs with the consumer's head_acquire; carries the bytes below the head. */
    __atomic_store_n(&window->control->producer_head, start + bytes, __ATOMIC_RELEASE);
    /* Relaxed: a hint. An observer that sees it before the head starts at the head it sees. */
    __atomic_store_n(&window->control->newest, start, __ATOMIC_RELAXED);
    /* Instead of a full fence, for consumers that nap: the processor's own store buffer is all
     * that may delay the head, and the nap outlasts that. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint32_t unusual = window->unusual;
    for (uint32_t i = 0; i < window->parking_count; ++i) {
        /* Relaxed: a hint. Whoever finds it set takes it off, in one step. */
        unusual |= __atomic_load_n(&window->parking[i]->parked, __ATOMIC_RELAXED);
    }
    if (unusual != 0) {
        zbq_producer_finish_commit(window->producer);
    }
}

/** Publishes the first `bytes` of what the window's run has left: as zbq_producer_commit with
 * ZBQ_COMMIT_KEEP, without the call where nothing unusual is to be done. 0 bytes are not for it.
 *
 * The window is of zbq_producer_window, not NULL.
 *
 * @return true; or false, with nothing changed, when `bytes` is more than the run has or not a
 *     multiple of ZBQ_MSG_ALIGN */
ZBQ_INLINE bool zbq_window_commit(zbq_commit_window *window, uint64_t bytes) {
    if (bytes > window->limit - window->head || bytes % ZBQ_MSG_ALIGN != 0) {
        return false;
    }
    zbq_window_publish(window, bytes);
    return true;
}

/** Room for `bytes` at the window's head, where the next zbq_window_commit publishes from: as
 * zbq_producer_reserve, without the call where the last run has as much left.
 *
 * @retval ZBQ_OK *place is where it begins, aligned to ZBQ_MSG_ALIGN, until the next commit, query
 * or reserve
 * @retval ZBQ_ERROR_INVALID bytes is 0
 * @retval ZBQ_ERROR_OVERFLOW as for zbq_producer_reserve
 * @retval ZBQ_ERROR_AGAIN as for zbq_producer_reserve */
ZBQ_INLINE int zbq_window_reserve(zbq_commit_window *window, uint64_t bytes, void **place) {
    int result = ZBQ_OK;
    if (bytes > window->limit - window->head || bytes == 0) {
        zbq_contiguous_run run;
        result = zbq_producer_reserve(window->producer, bytes, &run);
    }
    *place = window->next;
    return result;
}

/** Asks for the cache lines of `bytes` from `place` on, to write to: a message that is written
 * there later does not wait for them. Changes nothing; `place` may be any address. For the room a
 * little ahead of the message being written, so long as it is known to be free: it takes the lines
 * from readers. */
ZBQ_INLINE void zbq_prefetch_for_writing(const void *place, uint64_t bytes) {
    const uint64_t longest = 512; /* of those that do not fill the queue of misses by themselves */
    const uint64_t line = 64;
    const char *at =
        (const char *)place; /* the next one asks for its end, where that is a line's */
    const char *end = at + (bytes <= longest ? bytes : 0);
    for (; at < end; at += line) {
#if defined(__x86_64__)
        /* What __builtin_prefetch gives with -mprfchw only. Every x86-64 processor takes it, if
         * only to do nothing. */
        __asm__ volatile("prefetchw %0" : : "m"(*at));
#else
        __builtin_prefetch(at, 1);
#endif
    }
}

/** The key of a message that is, or was, retained (zbq_producer_retain).
 *
 * @return 0 for all others */
ZBQ_INLINE uint16_t zbq_msg_key(const zbq_msg_header *header) {
    return (uint16_t)(header->reserved & 0x7fffU);
}

/** What zbq_producer_forget publishes.
 *
 * @return whether it says that its key is retained no more */
ZBQ_INLINE bool zbq_msg_is_forgotten(const zbq_msg_header *header) {
    return (header->reserved & 0x8000U) != 0;
}

/** The hash of a type's name ("quote/1"), for zbq_type: what C++ and Rust put there for a channel
 * of that name. FNV-1a of 64 bits, up to the name's end. */
ZBQ_INLINE uint64_t zbq_type_hash(const char *name) {
    uint64_t value = 0xcbf29ce484222325U;
    for (; *name != '\0'; ++name) {
        value = (value ^ (uint8_t)*name) * 0x100000001b3U;
    }
    return value;
}

/** Takes over a head that can be: for the library and zbq_window_look.
 *
 * @return false, with nothing changed: none that is not hostile publishes such a one */
ZBQ_INLINE bool zbq_window_accept(zbq_read_window *window, uint64_t head) {
    if (head < window->head || head - window->tail > window->capacity ||
        head % ZBQ_MSG_ALIGN != 0) {
        return false;
    }
    window->head = head;
    if (window->next >= window->ring + window->capacity) {
        window->next -= window->capacity; /* the same bytes: the ring is mapped twice */
    }
    return true;
}

/** Looks for messages past those that are known, without a call.
 *
 * @return whether there are some. false tells nothing more: zbq_consumer_look does */
ZBQ_INLINE bool zbq_window_look(zbq_read_window *window) {
    /* Acquire: pairs with zbq_window_commit's store; carries the messages below the head. */
    const uint64_t head = __atomic_load_n(&window->control->producer_head, __ATOMIC_ACQUIRE);
    return head != window->head && (window->unusual | window->observes) == 0 &&
           zbq_window_accept(window, head);
}

/** For one who looks again and again: whether a call would tell anything but "nothing yet": of a
 * message, the end, an eviction. Asks for the next message's first lines, so that they travel
 * together with the head's, not after it.
 *
 * @return true: look again, with zbq_window_next or a call */
ZBQ_INLINE bool zbq_window_seems_ready(const zbq_read_window *window) {
    __builtin_prefetch(window->next);
    /* Which may lie behind the end of all that is mapped. */
    const uintptr_t second = (uintptr_t)window->next + 64;
    __builtin_prefetch((const void *)second); /* NOLINT(performance-no-int-to-ptr) */
    /* Relaxed: whoever finds something looks, with an acquire. */
    return __atomic_load_n(&window->control->producer_head, __ATOMIC_RELAXED) != window->cursor ||
           __atomic_load_n(&window->control->closed, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&window->page->eviction, __ATOMIC_RELAXED) != 0;
}

/** Asked after reading: of a consumer, whether it still has its slot; of an observer, whether the
 * floor is not above.
 *
 * @return whether all that was read of what lies at a logical offset or past it was whole */
ZBQ_INLINE bool zbq_window_valid_from(const zbq_read_window *window, uint64_t offset) {
    /* An acquire fence, then the load: pairs with eviction_mark, and with floor_publish. If a read
     * before this call saw a byte written after the mark or the floor, that is seen. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (window->observes != 0) {
        return __atomic_load_n(&window->control->floor, __ATOMIC_RELAXED) <= offset;
    }
    return __atomic_load_n(&window->page->eviction, __ATOMIC_RELAXED) == ZBQ_EVICTION_NONE;
}

/** As zbq_consumer_valid.
 *
 * @return whether all from the tail on that was read was whole */
ZBQ_INLINE bool zbq_window_valid(const zbq_read_window *window) {
    return zbq_window_valid_from(window, window->tail);
}

/** Describes the message at `place`, whose logical offset is `offset`: for the library and
 * zbq_window_next.
 *
 * @return false, with *out as it was: no message ends at or before the head */
ZBQ_INLINE bool zbq_window_view(const zbq_read_window *window, const char *place, uint64_t offset,
                                zbq_msg_view *out) {
    /* Where the next message starts is only known once this one's length has come: so that many
     * small ones do not wait for one line after the other, those further on are asked for, as far
     * as they are committed. */
    const uint64_t ahead = 1024;
    if (window->head - offset > ahead) {
        const uintptr_t later = (uintptr_t)place + ahead;
        __builtin_prefetch((const void *)later); /* NOLINT(performance-no-int-to-ptr) */
    }
    const zbq_msg_header *header = (const zbq_msg_header *)place;
    /* Relaxed: one load, whose copy is checked and used, for the producer may be hostile; the
     * load of the head has ordered it. */
    const uint64_t payload_len = __atomic_load_n(&header->payload_len, __ATOMIC_RELAXED);
    const uint64_t total_len = sizeof(zbq_msg_header) + payload_len;
    if (total_len > window->head - offset) { /* both are on the grid of messages */
        return false;
    }
    out->header = header;
    out->payload = header + 1;
    out->payload_len = payload_len;
    out->logical_offset = offset;
    out->total_len = total_len;
    return true;
}

/** As zbq_consumer_next, without the call where there is a message.
 *
 * @retval ZBQ_OK *out is the message
 * @retval ZBQ_ERROR_INVALID out is NULL, which is noticed where there is no message
 * @retval ZBQ_ERROR_AGAIN nothing new
 * @retval ZBQ_ERROR_NOENT evicted, or the end, as for zbq_consumer_peek
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_INLINE int zbq_window_next(zbq_read_window *window, zbq_msg_view *out) {
    if (window->unusual == 0 && (window->cursor != window->head || zbq_window_look(window)) &&
        zbq_window_view(window, window->next, window->cursor, out) &&
        zbq_window_valid_from(window, window->cursor)) {
        const uint64_t step = (out->total_len + ZBQ_MSG_ALIGN - 1) & ~(uint64_t)(ZBQ_MSG_ALIGN - 1);
        window->next += step;
        window->cursor += step;
        return ZBQ_OK;
    }
    return zbq_consumer_next(window->consumer, out);
}

/** As zbq_consumer_publish, for what was read: without the call, unless the producer sleeps until
 * this room is released. Leaves the time in the page as it is.
 *
 * @return true; or false, with nothing changed, when new_tail, rounded up to ZBQ_MSG_ALIGN, is
 *     behind the tail or past the cursor */
ZBQ_INLINE bool zbq_window_release(zbq_read_window *window, uint64_t new_tail) {
    const uint64_t before = window->tail;
    const uint64_t tail = (new_tail + ZBQ_MSG_ALIGN - 1) & ~(uint64_t)(ZBQ_MSG_ALIGN - 1);
    if (tail - before > window->cursor - before) { /* unsigned: one behind is far ahead */
        return false;
    }
    window->tail = tail;
    /* Release: pairs with tail_acquire. Carries "my reads below it are done", so that the
     * producer's later writes there cannot be seen by them. */
    __atomic_store_n(&window->page->tail_offset, tail, __ATOMIC_RELEASE);
    /* Instead of a full fence, for a producer that naps: see await.cpp. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    /* Relaxed: it pairs by time alone. */
    const uint64_t awaited = __atomic_load_n(&window->control->awaited_tail, __ATOMIC_RELAXED);
    if (awaited > before && awaited <= tail) {
        zbq_consumer_ring(window->consumer);
    }
    return true;
}

#if defined(__cplusplus)
#pragma GCC diagnostic pop
}
#endif

#endif /* ZBQ_INLINE_H */
