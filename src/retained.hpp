// SPDX-License-Identifier: MIT
//
// Retained messages: a few, by key, that each newcomer gets before its first message. The producer
// keeps them as it hands them out: in a memory object, sealed, a new one for each change. Whoever
// is there already learns of a change by a message in the ring, whose header has the key.
#pragma once

#include "region.hpp"
#include "ring.hpp"
#include "side.hpp"

namespace zbq::core {

// What the object is: this, then the entries, each of which starts on the grid.
struct retained_head {
    uint32_t count;
    uint32_t reserved[3]; // zero
};
static_assert(sizeof(retained_head) == ZBQ_MSG_ALIGN);

struct retained_entry {
    uint64_t offset;       // of the message in the stream
    uint64_t reserved;     // zero
    zbq_msg_header header; // with the key; the payload follows
};
static_assert(sizeof(retained_entry) == 32);

// In a header's `reserved`: a key, and whether it is retained no more.
inline constexpr uint16_t forgotten = 0x8000;

// The producer's.
struct retained_set {
    region memory; // none, where nothing is retained
    uint32_t count = 0;
    fd_list fds; // of all entries, in their order
};

// A message to be retained, in place of one with the same key; or with no payload to be forgotten.
struct retained_change {
    zbq_msg_header header;
    const void *payload; // nullptr: forget the key
    const int *fds;
    uint64_t offset;
};

bool retains(const retained_set &set, uint16_t key);
uint64_t newest_record_of(const retained_set &set); // its id; 0: there is none

// 0; -E2BIG beyond the limits; or -errno. The set is as it was then.
int change_retained(retained_set *set, const retained_change &change);

// Sends the descriptors, as the first records in a newcomer's side socket: 0, or -errno.
int send_retained(const retained_set &set, int producer_end, flight *in_flight);

// The consumer's: the entry with an index. ZBQ_OK, ZBQ_ERROR_NOENT: none, or ZBQ_ERROR_PROTOCOL.
int view_retained(const mapping &memory, uint32_t index, zbq_msg_view *out);

// Whether one of them has the record with that id.
bool has_retained_record(const mapping &memory, uint64_t seq_id);

} // namespace zbq::core
