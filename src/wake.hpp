// SPDX-License-Identifier: MIT
//
// Sleeping and waking. A consumer sleeps on the bell, the futex word of the control
// region, or on its event socket. The producer rings the bell for every event, which is a
// store, and makes a system call only when a consumer has marked itself parked in its page.
//
// No wake-up is lost:
//
//   consumer                              producer
//   token = bell                          event (head, mark, close)
//   looks: nothing                        ring bell                    (1)
//   parked = 1                            full fence
//   full fence                            parked?                      (2)
//   bell == token? else return              yes: parked = 0            (3)
//   FUTEX_WAIT(bell, token)                      ring bell             (4)
//                                                FUTEX_WAKE            (5)
//
// Either (2) sees parked, or the consumer sees (1): the two fences. Once parked is seen,
// a consumer whose mark is erased by (3) took its token before (4), so that the kernel,
// which compares under its lock, either refuses to let it sleep or has it on the list
// at (5). Clearing keeps the commits that follow, before the sleepers run, from waking
// them again.
//
// On the event socket it is the same with a record in the place of (4) and (5):
//
//   takes off a bell                      event, ring bell, full fence
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

// A push-mode consumer, as the fast path sees it.
struct sleeper {
    zbq_consumer_metadata *page;
    int event; // the producer's end of its event socket
};

// Wakes those that wait for their event socket, and tells whether any waits for the bell;
// clears their marks. After bell_ring and park_fence.
inline bool collect_parked(const sleeper *sleepers, uint32_t count, uint64_t *events_rung) {
    bool any = false;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t parked = parked_seen(sleepers[i].page);
        if (parked == 0) {
            continue;
        }
        parked_clear(sleepers[i].page);
        if (parked == parked_on_event) {
            event_ring(sleepers[i].event);
            ++*events_rung;
        } else {
            any = true;
        }
    }
    return any;
}

// Wakes all sleepers. An error is not possible for a mapped word, and a sleeper's slice
// ends anyway.
inline void wake_all(zbq_control_region *control) {
    bell_ring(control);
    futex_wake_all(&control->broadcast_futex);
}

// The consumer's half: sleeps until the bell differs from the token, or the time is up.
// 0, or -errno of the wait: -EAGAIN (it differs), -ETIMEDOUT, -EINTR.
inline int park(const zbq_control_region *control, zbq_consumer_metadata *page, uint32_t token,
                uint64_t timeout_ns) {
    park_announce(page, parked_on_futex);
    int result = -EAGAIN;
    if (bell_acquire(control) == token) {
        result = futex_wait(&control->broadcast_futex, token, timeout_ns);
    }
    parked_clear(page);
    return result;
}

} // namespace zbq::core
