// SPDX-License-Identifier: MIT
//
// The only place with atomics. One accessor for each word that two processes share,
// named by what it does, with its order and the access it pairs with. Loads of words
// that the other side can write give a local copy: check that, never the word again.
//
// Some accesses are in include/zbq/inline.h, because programs inline them: the store of the head
// with the look at `parked` that follows it, the load of a message's length, and the looks of one
// who spins. docs/memory-order.md argues each pair; a model checker takes the place of these
// two files, so nothing else touches a shared word.
#pragma once

#include "zbq/inline.h"

namespace zbq::core {

// ---- head: the producer's release of message bytes ----

// Its store is in zbq_window_commit (include/zbq/inline.h), which programs inline. Acquire: pairs
// with that; carries the bytes of the messages below the head.
inline uint64_t head_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->producer_head, __ATOMIC_ACQUIRE);
}

// ---- tail: a consumer's release of ring space ----

// Release: pairs with tail_acquire. Carries "my reads below it are done", so that the
// producer's later writes there cannot be seen by them.
inline void tail_publish(zbq_consumer_metadata *page, uint64_t tail) {
    __atomic_store_n(&page->tail_offset, tail, __ATOMIC_RELEASE);
}

// Acquire: pairs with tail_publish. The value is the consumer's word: untrusted.
inline uint64_t tail_acquire(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->tail_offset, __ATOMIC_ACQUIRE);
}

// Relaxed: carries nothing, decides nothing.
inline void progress_publish(zbq_consumer_metadata *page, uint64_t nanoseconds) {
    __atomic_store_n(&page->progress_timestamp, nanoseconds, __ATOMIC_RELAXED);
}

// ---- eviction: a sequence lock with a single turn ----

// The store, then a release fence: pairs with eviction_check_after_reading. Message bytes
// that are written after this call are seen only by readers who then see the mark.
inline void eviction_mark(zbq_consumer_metadata *page, uint32_t reason) {
    __atomic_store_n(&page->eviction, reason, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// An acquire fence, then the load: pairs with eviction_mark. If a read before this call
// saw a byte written after the mark, the mark is seen.
inline uint32_t eviction_check_after_reading(const zbq_consumer_metadata *page) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&page->eviction, __ATOMIC_RELAXED);
}

// ---- bell: the futex word. Only the producer writes it ----

// Relaxed, for the single writer to count on from its own value.
inline uint32_t bell_own(const zbq_control_region *control) {
    return __atomic_load_n(&control->broadcast_futex, __ATOMIC_RELAXED);
}

// Release: pairs with bell_acquire. Carries the head, mark or close that it announces.
inline void bell_ring(zbq_control_region *control) {
    __atomic_store_n(&control->broadcast_futex, bell_own(control) + 1, __ATOMIC_RELEASE);
}

// Acquire: pairs with bell_ring.
inline uint32_t bell_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->broadcast_futex, __ATOMIC_ACQUIRE);
}

// ---- parked: a consumer is asleep, or about to be ----

// Bits of it.
inline constexpr uint32_t parked_on_futex = 1;
inline constexpr uint32_t parked_on_event = 2;

// Store, then a full fence: pairs with park_fence. Of the consumer's "I park" and the
// producer's "I rang" at least one sees the other (store-load, on both sides).
inline void park_announce(zbq_parking *place, uint32_t how) {
    __atomic_store_n(&place->parked, how, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// The producer's half of that fence: after the head's store or bell_ring, before parked_seen.
inline void park_fence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Relaxed: park_fence orders it. The value is the consumer's word; at worst it costs a wake-up
// call.
inline uint32_t parked_seen(const zbq_parking *place) {
    return __atomic_load_n(&place->parked, __ATOMIC_RELAXED);
}

// ---- fenced: the producer makes a full fence between a commit and its look ----

// Release: pairs with is_fence_granted. Carries the heads of all commits made without the fence.
inline void fence_grant(zbq_consumer_metadata *page) {
    __atomic_store_n(&page->fenced, 1U, __ATOMIC_RELEASE);
}

// Relaxed: park_fence comes after it, and a look. Pairs with is_fence_granted, after park_announce:
// of "no more fences" and "I park" at least one side sees the other's.
inline void fence_revoke(zbq_consumer_metadata *page) {
    __atomic_store_n(&page->fenced, 0U, __ATOMIC_RELAXED);
}

// Acquire: pairs with fence_grant, and fence_revoke.
inline bool is_fence_granted(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->fenced, __ATOMIC_ACQUIRE) != 0;
}

// ---- parked, taken off ----

// Relaxed: the release of the bell_ring that follows, or the kernel's lock of the event socket,
// orders it before the wake-up (see wake.hpp). In one step, so that no mark of another kind is lost
// between a load and a store.
inline uint32_t parked_take(zbq_parking *place) {
    return __atomic_exchange_n(&place->parked, 0U, __ATOMIC_RELAXED);
}

// The consumer's, when it is awake. Relaxed: it only saves a wake-up.
inline void parked_leave(zbq_parking *place, uint32_t how) {
    __atomic_store_n(&place->parked, how, __ATOMIC_RELAXED);
}

// ---- awaited: the producer sleeps until room is released ----

// Relaxed: await_fence, or a barrier on every processor, comes after it. Carries nothing.
inline void awaited_tail_publish(zbq_control_region *control, uint64_t tail) {
    __atomic_store_n(&control->awaited_tail, tail, __ATOMIC_RELAXED);
}

inline void awaited_fds_publish(zbq_control_region *control, uint32_t awaited) {
    __atomic_store_n(&control->awaited_fds, awaited, __ATOMIC_RELAXED);
}

// The producer's: between "I await" and its look at the tails. Pairs with the fence in
// awaited_tail_after_publish: of "I await" and "I released" at least one sees the other.
inline void await_fence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// The consumer's: after tail_publish. Where the producer makes a barrier on this processor
// (membarrier(2)), the compiler's order is enough here.
inline uint64_t awaited_tail_after_publish(const zbq_control_region *control, bool fenced) {
    if (fenced) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
    return __atomic_load_n(&control->awaited_tail, __ATOMIC_RELAXED);
}

// The consumer's: after it has received a record. Pairs with await_fence; the kernel's lock of
// the socket's queue stands for the store.
inline bool awaited_fds_after_receive(const zbq_control_region *control) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&control->awaited_fds, __ATOMIC_RELAXED) != 0;
}

// ---- closed: the head is final ----

// Release: pairs with closed_acquire. Carries the last head.
inline void closed_publish(zbq_control_region *control) {
    __atomic_store_n(&control->closed, 1U, __ATOMIC_RELEASE);
}

// Acquire: pairs with closed_publish. A head loaded after it is the last one.
inline bool closed_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->closed, __ATOMIC_ACQUIRE) != 0;
}

} // namespace zbq::core
