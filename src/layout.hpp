// SPDX-License-Identifier: MIT
//
// The picture of the shared memory, and the sizes that follow from it. The structs
// and their asserted offsets are in zbq.h; nothing else in the library knows a byte's
// place.
//
//   control region (256 bytes)        data ring (capacity), mapped twice in a row
//   +-------------------------+       +--------------------------+------------------ -
//   | producer_head           | P     | hdr|payload|hdr|payload| | the same again …
//   +-------------------------+       +--------------------------+------------------ -
//   | broadcast_futex         | P       ^ offset % capacity        ^ a message may lie across
//   +-------------------------+
//   | producer_pid            | P     consumer page (4096 bytes, one for each join)
//   +-------------------------+       +--------------------------+
//   | capacity, threshold,    | P     | tail, progress | baseline| C (baseline: P, once)
//   | timeout, closed,        |       +--------------------------+
//   | awaited_tail            |       | eviction, quiet_until    | P
//   +-------------------------+       +--------------------------+
//                                     | parked, at one of 62     | C sets, P and C clear
//   P: written by the producer        +--------------------------+
//   C: by that consumer
//
//   word            the worst that a hostile C can write     what that costs the others
//   tail            a tail that cannot be                     its own slot, at the next look
//                   one that never moves, or trickles         16 stall timeouts and a scan for a
//                                                             whole wait; less with patience
//   progress        anything                                  nothing: for people
//   parked          always set                                wake-ups for 1/(4n) of P's time, n
//                                                             consumers; a commit's look at a clock
//   baseline, eviction, quiet_until   anything                nothing: P never reads them back
//
// A hostile P can write anything into its words and the ring: a C checks heads and lengths, and its
// waits end with their slice. Bytes named reserved or pad are zero and belong to later versions of
// the protocol; docs/protocol.md has the table.
#pragma once

#include "zbq.h"

namespace zbq::core {

inline constexpr uint64_t control_size = sizeof(zbq_control_region);
inline constexpr uint64_t metadata_size = sizeof(zbq_consumer_metadata);

inline zbq_parking *parking_of(zbq_consumer_metadata *page, uint32_t slot_index) {
    return &page->parking[slot_index % ZBQ_PARKING_PLACES];
}

// What each of the two copies of a ring's statistics begins with; its words follow.
struct account_copy {
    uint64_t sequence;
    uint8_t pad_[56]; // zero
};
static_assert(sizeof(account_copy) == 64);

static_assert(sizeof(void *) == 8, "offsets and futex time-outs are those of 64-bit Linux");
static_assert(__atomic_always_lock_free(sizeof(uint64_t), nullptr), "shared words need it");
static_assert(__atomic_always_lock_free(sizeof(uint32_t), nullptr), "shared words need it");

} // namespace zbq::core
