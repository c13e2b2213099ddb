// SPDX-License-Identifier: MIT
//
// Sleeping and waking. A consumer sleeps on the bell, the futex word of the control
// region, or on its event socket. The producer rings the bell for every event, which is a
// store, and makes a system call only when a consumer has marked itself parked in its page.
//
// No wake-up is lost:
//
//   consumer                              producer
//   token = of head and bell              event (head; or record, mark, close with the bell)
//   looks: nothing                                                     (1)
//   parked = 1                            fence
//   full fence                            parked?                      (2)
//   token as before? else return            yes: parked = 0            (3)
//   FUTEX_WAIT(bell)                             ring bell             (4)
//                                                FUTEX_WAKE            (5)
//
// Either (2) sees parked, or the consumer sees (1): the two fences. Once parked is seen,
// a consumer whose mark is erased by (3) read the bell before (4), so that the kernel,
// which compares under its lock, either refuses to let it sleep or has it on the list
// at (5). Clearing keeps the commits that follow, before the sleepers run, from waking
// them again.
//
// After a commit the producer's fence is left out: it would wait, each time, for the head's cache
// line to come back from whoever polls it. Then (2) may miss the mark while the head is still
// in the store buffer, and the consumer falls asleep beside a message. So its first sleep is a
// nap, longer than any store stays in a buffer, after which it looks again. (Morrison and
// Afek, "Temporally Bounding TSO for Fence-Free Asymmetric Synchronization", 2015.)
//
// A nap costs a consumer that sleeps again and again more than the fence costs a producer with so
// little to do. So a producer that has found somebody parked makes the fence at the next commits,
// and says so in `fenced`: who sees that, after its own fence, needs no nap. When it has found
// nobody for a while it takes that back: the store, the fence, and a look, so that either it sees a
// consumer that still counted on it, or that one sees the 0. For one that sleeps in a poll of its
// own, and so cannot nap, it makes the fence for good from the first time on that it found its
// mark, which that one never takes off itself.
//
// On the event socket it is the same with a record in the place of (4) and (5):
//
//   takes off a bell                      event, full fence
//   parked = 2                            parked? yes: parked = 0     (3)
//   full fence                                         send a bell     (5)
//   looks: nothing; polls
//
// A mark erased by (3) was made before (5), and so was the taking off that went before it:
// the bell of (5) is still to come, or there. The kernel's lock of the socket's queue orders
// (3) before whoever takes that bell.
#pragma once

#include "atomics.hpp"
#include "event.hpp"

namespace zbq::core {

// A producer with many consumers does not look at each commit who is parked, but at one of those
// that are so long apart. A nap is longer, with what a store may stay in a buffer: after a nap a
// consumer's mark has been seen, or the next commit looks. Who has the fence is looked at always.
inline constexpr uint64_t look_interval_ns = 10'000;

// Wakes all sleepers. An error is not possible for a mapped word, and a sleeper's slice
// ends anyway.
inline void wake_all(zbq_control_region *control) {
    bell_ring(control);
    futex_wake_all(&control->broadcast_futex);
}

// Tells one state of the stream from a later one: it never falls, and rises with every commit and
// every bell.
inline uint32_t token_of(uint64_t head, uint32_t bell) {
    return static_cast<uint32_t>(head / ZBQ_MSG_ALIGN) + bell;
}

inline uint32_t token_now(const zbq_control_region *control) {
    const uint32_t bell = bell_acquire(control);
    return token_of(head_acquire(control), bell);
}

// Longer than a store stays in a processor's buffer, which is a microsecond at worst.
constexpr uint64_t nap_ns = 50'000;

// Sleeps if nothing has happened since the token: 0, or -errno of the wait.
inline int sleep_on_bell(const zbq_control_region *control, uint32_t token, uint64_t timeout_ns) {
    const uint32_t bell = bell_acquire(control);
    if (token_of(head_acquire(control), bell) != token) {
        return -EAGAIN;
    }
    return futex_wait(&control->broadcast_futex, bell, timeout_ns);
}

// Commits with the fence after one that found somebody parked.
inline constexpr uint32_t fences_after_a_wake = 16;

// The consumer's side of its place.
struct parking {
    const zbq_consumer_metadata *page = nullptr;
    zbq_parking *place = nullptr; // in that page
    bool polls = false;           // it sleeps in a poll of its own
};

// One that polls never takes its mark off: that is for the producer, who then rings.
inline void unpark(const parking *own) {
    parked_leave(own->place, own->polls ? parked_on_event : 0);
}

// Sleeps for as long as the head may be in the store buffer of a producer that makes no fence.
inline int nap(const zbq_control_region *control, const parking *own, uint32_t token,
               uint64_t *timeout_ns) {
    if (*timeout_ns <= nap_ns || is_fence_granted(own->page)) {
        return -ETIMEDOUT;
    }
    *timeout_ns -= nap_ns;
    return sleep_on_bell(control, token, nap_ns);
}

// The consumer's half: sleeps until something has happened since the token, or the time is up.
// 0, or -errno of the wait: -EAGAIN (it has), -ETIMEDOUT, -EINTR.
inline int park(const zbq_control_region *control, const parking *own, uint32_t token,
                uint64_t timeout_ns) {
    park_announce(own->place, parked_on_futex | (own->polls ? parked_on_event : 0));
    int result = nap(control, own, token, &timeout_ns);
    if (result == -ETIMEDOUT) {
        result = sleep_on_bell(control, token, timeout_ns);
    }
    unpark(own);
    return result;
}

} // namespace zbq::core
