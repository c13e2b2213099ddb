// SPDX-License-Identifier: MIT
//
// The consumer's state: made by join.cpp, used by consumer.cpp. One thread at a time. All
// that is mapped or received here was written by a producer that may be hostile.
#pragma once

#include "region.hpp"
#include "ring.hpp"
#include "side.hpp"
#include "wake.hpp"

namespace zbq::core {

// A logical offset and its place in the ring, kept together to save a division.
struct place {
    uint64_t offset = 0;
    uint64_t position = 0; // offset % capacity

    // By a capacity at most.
    [[nodiscard]] place advanced_to(uint64_t new_offset, uint64_t capacity) const {
        const uint64_t further = position + (new_offset - offset);
        return {new_offset, further >= capacity ? further - capacity : further};
    }
};

// A record received ahead of the one that was asked for.
struct held_record {
    uint64_t seq_id = 0; // 0: none
    fd_list fds;
};

} // namespace zbq::core

struct zbq_consumer {
    // The fast path. What these say is this side's own knowledge: never read back from
    // shared memory.
    const zbq_control_region *control = nullptr;
    const char *ring = nullptr;
    zbq_consumer_metadata *page = nullptr;
    zbq::core::parking parking; // in that page
    uint64_t capacity = 0;
    zbq::core::place tail;     // published
    zbq::core::place cursor;   // where zbq_consumer_next reads; never behind the tail
    mutable uint64_t head = 0; // last acquired and found valid
    uint64_t baseline = 0;
    mutable bool malformed = false; // the stream is, for good
    bool producer_gone = false;     // its process was found to have ended
    bool abandoned = false;         // the event socket was closed: nothing more will come

    // Descriptors.
    uint64_t newest_record = 0; // records up to this id were seen, or are not for us
    zbq::core::held_record held;

    // The rest.
    zbq_type type = {};
    bool push = false;
    zbq::core::birthmark birth;
    zbq::core::unique_fd side;
    zbq::core::unique_fd event;
    zbq::core::unique_fd producer; // pidfd
    zbq::core::unique_fd watch;    // epoll of event socket, pidfd and timer, once asked for
    zbq::core::unique_fd timer;    // to look again, though nobody rings
    uint64_t looks_again_at = 0;   // as it is set
    uint64_t nap_end = 0;          // of the mark in the page
    uint64_t told_head = 0;        // of messages that were told of again, with the timer
    uint64_t awaited_record = 0;   // that a look did not find
    zbq::core::mapping control_memory;
    zbq::core::mapping ring_memory;
    zbq::core::mapping page_memory;
};
