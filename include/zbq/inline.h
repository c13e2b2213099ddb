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

#if defined(__cplusplus)
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast" /* C has no other */
#endif

/** Publishes the first `bytes` of what the window's run has left: as zbq_producer_commit with
 * ZBQ_COMMIT_KEEP, without the call where nothing unusual is to be done. 0 bytes are not for it.
 *
 * The window is of zbq_producer_window, not NULL.
 *
 * @return true; or false, with nothing changed, when `bytes` is more than the run has or not a
 *     multiple of ZBQ_MSG_ALIGN */
static inline bool zbq_window_commit(zbq_commit_window *window, uint64_t bytes) {
    if (bytes > window->limit - window->head || bytes % ZBQ_MSG_ALIGN != 0) {
        return false;
    }
    window->head += bytes;
    /* Release: pairs with the consumer's head_acquire; carries the bytes below the head. */
    __atomic_store_n(window->shared_head, window->head, __ATOMIC_RELEASE);
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
    return true;
}

/** Asks for the cache lines of `bytes` from `place` on, to write to: a message that is written
 * there later does not wait for them. Changes nothing; `place` may be any address. For the room a
 * little ahead of the message being written, so long as it is known to be free: it takes the lines
 * from readers. */
static inline void zbq_prefetch_for_writing(const void *place, uint64_t bytes) {
    const uint64_t longest = 512; /* of those that do not fill the queue of misses by themselves */
    const uint64_t line = 64;
    const char *at = (const char *)place + (line - (uintptr_t)place % line) % line;
    const char *end = (const char *)place + (bytes <= longest ? bytes : 0);
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

/** Whether a look would find something: messages past `offset`, the end of the stream, an eviction.
 * For one who looks again and again, with what zbq_consumer_ctrl and zbq_consumer_meta gave. */
static inline bool zbq_seems_ready(const zbq_control_region *control,
                                   const zbq_consumer_metadata *page, uint64_t offset) {
    /* Relaxed: whoever finds something asks the library, which loads it again. */
    return __atomic_load_n(&control->producer_head, __ATOMIC_RELAXED) != offset ||
           __atomic_load_n(&control->closed, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&page->eviction, __ATOMIC_RELAXED) != 0;
}

/** The next message of a run, and takes it off. An evicted reader may also be given nonsense,
 * inside the ring: see zbq_consumer_valid.
 *
 * @return whether there was one. false with bytes left: there is no message, since the
 *     consumer was evicted meanwhile or the stream is malformed; zbq_consumer_readable at
 *     run->offset tells which */
static inline bool zbq_readable_next(zbq_readable_run *run, zbq_msg_view *out) {
    const zbq_msg_header *header = (const zbq_msg_header *)run->base;
    if (run->bytes == 0) {
        return false;
    }
    /* Relaxed: one load, whose copy is checked and used, for the producer may be hostile; the
     * load of the head that gave the run has ordered it. */
    const uint64_t payload_len = __atomic_load_n(&header->payload_len, __ATOMIC_RELAXED);
    const uint64_t total_len = sizeof(zbq_msg_header) + payload_len;
    const uint64_t step = (total_len + ZBQ_MSG_ALIGN - 1) & ~(uint64_t)(ZBQ_MSG_ALIGN - 1);
    if (step > run->bytes) {
        return false;
    }
    out->header = header;
    out->payload = header + 1;
    out->payload_len = payload_len;
    out->logical_offset = run->offset;
    out->total_len = total_len;
    run->base = (const char *)run->base + step;
    run->bytes -= step;
    run->offset += step;
    return true;
}

#if defined(__cplusplus)
#pragma GCC diagnostic pop
}
#endif

#endif /* ZBQ_INLINE_H */
