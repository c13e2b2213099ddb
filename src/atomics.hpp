// SPDX-License-Identifier: MIT
//
// The only place with atomics. One accessor for each word that two processes share,
// named by what it does, with its order and the access it pairs with. Loads of words
// that the other side can write give a local copy: check that, never the word again.
//
// Some accesses are in include/zbq/inline.h, because programs inline them: the store of the head
// with the look at `parked` that follows it; the look at the head, the load of a message's length,
// the question whether it was whole, and the store of the tail with the look at `awaited_tail`.
// docs/memory-order.md argues each pair; a model checker takes the place of the atomics of these
// two files, so nothing else touches a shared word.
#pragma once

#include "layout.hpp"
#include "zbq/inline.h"

namespace zbq::core {

// ---- head: the producer's release of message bytes ----

// Its store is in zbq_window_commit (include/zbq/inline.h), which programs inline. Acquire: pairs
// with that; carries the bytes of the messages below the head.
inline uint64_t head_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->producer_head, __ATOMIC_ACQUIRE);
}

// ---- floor: all below it may be overwritten ----

// Release: pairs with floor_acquire, carries the head, which it is never past. Then a release
// fence: pairs with zbq_window_valid_from. Message bytes that are written after this call are seen
// only by observers who then see this floor.
inline void floor_publish(zbq_control_region *control, uint64_t floor) {
    __atomic_store_n(&control->floor, floor, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Acquire: pairs with floor_publish. A head loaded after it is not below; and one loaded after a
// head is at most the capacity below that.
inline uint64_t floor_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->floor, __ATOMIC_ACQUIRE);
}

// Relaxed: a hint. A head loaded after it may be at it, or before.
inline uint64_t newest_seen(const zbq_control_region *control) {
    return __atomic_load_n(&control->newest, __ATOMIC_RELAXED);
}

// ---- tail: a consumer's release of ring space ----

// Its store is in zbq_window_release. Acquire: pairs with that. The value is the consumer's word:
// untrusted.
inline uint64_t tail_acquire(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->tail_offset, __ATOMIC_ACQUIRE);
}

// Relaxed: an observer's, of which the producer makes nothing.
inline void tail_note(zbq_consumer_metadata *page, uint64_t tail) {
    __atomic_store_n(&page->tail_offset, tail, __ATOMIC_RELAXED);
}

// Relaxed: carries nothing, decides nothing.
inline void progress_publish(zbq_consumer_metadata *page, uint64_t nanoseconds) {
    __atomic_store_n(&page->progress_timestamp, nanoseconds, __ATOMIC_RELAXED);
}

// ---- eviction: a sequence lock with a single turn ----

// The store, then a release fence: pairs with eviction_seen and zbq_window_valid_from. Message
// bytes that are written after this call are seen only by readers who then see the mark.
inline void eviction_mark(zbq_consumer_metadata *page, uint32_t reason) {
    __atomic_store_n(&page->eviction, reason, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Relaxed: why, for one who is told.
inline uint32_t eviction_reason(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->eviction, __ATOMIC_RELAXED);
}

// An acquire fence, then the load: pairs with eviction_mark, as zbq_window_valid_from does.
inline bool eviction_seen(const zbq_consumer_metadata *page) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return eviction_reason(page) != ZBQ_EVICTION_NONE;
}

// ---- bell: a count of events. Only the producer writes it ----

// Relaxed, for the single writer to count on from its own value.
inline uint32_t bell_own(const zbq_control_region *control) {
    return __atomic_load_n(&control->broadcast_futex, __ATOMIC_RELAXED);
}

// Release: pairs with bell_acquire. Carries the record, mark or close that it announces.
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

// The consumer's: adds a bit, then a full fence, and gives what there was before. Pairs with
// quiet_publish: of "I park" and "you are left alone until then" the consumer misses none that came
// before its mark was taken off last. With the head it pairs by time alone: see wake.hpp.
inline uint32_t park_announce(zbq_parking *place, uint32_t how) {
    const uint32_t before = __atomic_fetch_or(&place->parked, how, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return before;
}

// The consumer's, when it is awake. Acquire: pairs with parked_take; carries the event for which a
// mark was taken off.
inline void park_leave(zbq_parking *place, uint32_t how) {
    __atomic_fetch_and(&place->parked, ~how, __ATOMIC_ACQUIRE);
}

// Relaxed. The value is the consumer's word, and a hint; parked_take decides.
inline uint32_t parked_seen(const zbq_parking *place) {
    return __atomic_load_n(&place->parked, __ATOMIC_RELAXED);
}

// The producer's: takes the mark off, and gives it. In one step, so that no mark of another kind is
// lost between a load and a store. Release: pairs with park_leave, and with the kernel's look at
// the word in FUTEX_WAIT, which comes under the lock that FUTEX_WAKE takes.
inline uint32_t parked_take(zbq_parking *place) {
    return __atomic_exchange_n(&place->parked, 0U, __ATOMIC_RELEASE);
}

// The producer's: puts a mark back whose wake-up failed. Relaxed: its own next look finds it.
inline void parked_return(zbq_parking *place, uint32_t how) {
    __atomic_fetch_or(&place->parked, how, __ATOMIC_RELAXED);
}

// ---- quiet_until: how long the producer leaves a sleeper alone ----

// The store, then a full fence, before parked_take: pairs with quiet_after_park. A consumer whose
// mark comes after that taking sees this time, and does not sleep past it.
inline void quiet_publish(zbq_consumer_metadata *page, uint64_t monotonic_ns) {
    __atomic_store_n(&page->quiet_until, monotonic_ns, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Relaxed: the fence of park_announce comes before it. Pairs with quiet_publish.
inline uint64_t quiet_after_park(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->quiet_until, __ATOMIC_RELAXED);
}

// ---- awaited: the producer sleeps until room is released ----

// Relaxed: it pairs with the load in zbq_window_release by time alone (see await.cpp). Carries
// nothing.
inline void awaited_tail_publish(zbq_control_region *control, uint64_t tail) {
    __atomic_store_n(&control->awaited_tail, tail, __ATOMIC_RELAXED);
}

// ---- the count of retained messages ----

// Relaxed: constant, unless the producer is hostile.
inline uint32_t count_seen(const uint32_t *count) {
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

// ---- lost: an observer's account for people ----

// Relaxed: carries nothing, decides nothing.
inline void lost_publish(zbq_consumer_metadata *page, uint64_t bytes) {
    __atomic_store_n(&page->lost_bytes, bytes, __ATOMIC_RELAXED);
}

// Relaxed. The value is the consumer's word.
inline uint64_t lost_seen(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->lost_bytes, __ATOMIC_RELAXED);
}

// ---- the statistics: two copies of an account, with a sequence lock each ----

// The store of an odd number, then a release fence: pairs with account_stands. Words that are
// written after this call are seen only by readers who then see this number, or a later one.
inline void account_begin(account_copy *copy, uint64_t odd) {
    __atomic_store_n(&copy->sequence, odd, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Release: pairs with account_acquire; carries the words of the account.
inline void account_end(account_copy *copy, uint64_t even) {
    __atomic_store_n(&copy->sequence, even, __ATOMIC_RELEASE);
}

// Acquire: pairs with account_end.
inline uint64_t account_acquire(const account_copy *copy) {
    return __atomic_load_n(&copy->sequence, __ATOMIC_ACQUIRE);
}

// An acquire fence, then the load: pairs with account_begin. Whether what was read since the
// number was acquired is all of that account.
inline bool account_stands(const account_copy *copy, uint64_t acquired) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&copy->sequence, __ATOMIC_RELAXED) == acquired;
}

// Relaxed: ordered by the sequence.
inline void account_word_publish(account_copy *copy, uint64_t number, uint64_t value) {
    __atomic_store_n(reinterpret_cast<uint64_t *>(copy + 1) + number, value, __ATOMIC_RELAXED);
}

inline uint64_t account_word_seen(const account_copy *copy, uint64_t number) {
    return __atomic_load_n(reinterpret_cast<const uint64_t *>(copy + 1) + number, __ATOMIC_RELAXED);
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
