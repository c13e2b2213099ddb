// SPDX-License-Identifier: MIT
//
// Sleeping and waking. A consumer sleeps on a word of its own page, or on its event socket. It says
// so in that word, `parked`, and the producer makes a system call only for those that it finds
// parked. Nobody else maps the word: no consumer can keep another asleep, or make its waking dear.
//
// No wake-up is lost:
//
//   consumer                              producer
//   token = of head and bell              event (head; or record, mark, close with the bell)
//   looks: nothing                                                     (1)
//   parked |= 1                           parked?                      (2)
//   full fence                              yes: parked = 0            (3)
//   token as before? else return                 FUTEX_WAKE(parked)    (4)
//   FUTEX_WAIT(parked, 1)
//
// If (2) sees the mark, (3) changes the word that the consumer sleeps on: the kernel, which
// compares under its lock, either refuses to let it sleep or has it on the list at (4). A mark
// that is set after (3) stands.
//
// There is no fence between (1) and (2): at a commit it would wait, each time, for the head's cache
// line to come back from whoever polls it. So (2) may miss the mark while (1) is still in the store
// buffer, and the consumer falls asleep beside a message. Therefore its first sleep is a
// nap, longer than any store stays in a buffer, after which it looks again, with its mark set.
// (Morrison and Afek, "Temporally Bounding TSO for Fence-Free Asymmetric Synchronization", 2015.)
// One that polls its event socket has a timer for the nap.
//
// The nap is also what lets the producer leave a consumer alone. What a consumer's wake-ups cost is
// measured, and one that costs more than its share finds in `quiet_until` that it will not be
// woken before then: its nap lasts until then, and the nap after. See wake.cpp.
#pragma once

#include "atomics.hpp"
#include "event.hpp"
#include "limits.hpp"

namespace zbq::core {

// Tells one state of the stream from a later one: it never falls, and rises with every commit and
// every bell.
inline uint32_t token_of(uint64_t head, uint32_t bell) {
    return static_cast<uint32_t>(head / ZBQ_MSG_ALIGN) + bell;
}

inline uint32_t token_now(const zbq_control_region *control) {
    const uint32_t bell = bell_acquire(control);
    return token_of(head_acquire(control), bell);
}

// How long one who has just parked may sleep before it has to look again by itself. After that it
// may sleep for long. No producer that is not hostile says more than a slice.
inline uint64_t nap_length(const zbq_consumer_metadata *page) {
    const uint64_t quiet_until = quiet_after_park(page);
    const uint64_t now = monotonic_ns();
    const uint64_t quiet = quiet_until > now ? quiet_until - now : 0;
    return (quiet < ZBQ_WAIT_SLICE_NS ? quiet : ZBQ_WAIT_SLICE_NS) + nap_ns;
}

// The consumer's side of its place.
struct parking {
    const zbq_consumer_metadata *page = nullptr;
    zbq_parking *place = nullptr; // in that page
};

// Sleeps if nothing has happened since the token: 0, or -errno of the wait.
inline int sleep_parked(const zbq_control_region *control, const parking *own, uint32_t mark,
                        uint32_t token, uint64_t timeout_ns) {
    return token_now(control) != token ? -EAGAIN
                                       : futex_wait(&own->place->parked, mark, timeout_ns);
}

// The consumer's half: sleeps until something has happened since the token, or the time is up.
// 0, or -errno of the wait: -EAGAIN (it has), -ETIMEDOUT, -EINTR.
inline int park(const zbq_control_region *control, const parking *own, uint32_t token,
                uint64_t timeout_ns) {
    const uint32_t mark = park_announce(own->place, parked_on_futex) | parked_on_futex;
    const uint64_t nap = nap_length(own->page);
    int result = sleep_parked(control, own, mark, token, nap < timeout_ns ? nap : timeout_ns);
    if (result == -ETIMEDOUT && nap < timeout_ns) {
        result = sleep_parked(control, own, mark, token, timeout_ns - nap);
    }
    park_leave(own->place, parked_on_futex);
    return result;
}

} // namespace zbq::core
