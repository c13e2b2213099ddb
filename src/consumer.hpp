// SPDX-License-Identifier: MIT
//
// The consumer's state: made by join.cpp, used by consumer.cpp. One thread at a time. All
// that is mapped or received here was written by a producer that may be hostile.
#pragma once

#include "region.hpp"
#include "retained.hpp"
#include "ring.hpp"
#include "side.hpp"
#include "wake.hpp"

namespace zbq::core {

// A record received ahead of the one that was asked for.
struct held_record {
    uint64_t seq_id = 0; // 0: none
    fd_list fds;
};

} // namespace zbq::core

struct zbq_consumer {
    // The fast path, and what it knows: never read back from shared memory. Mutable: a look at the
    // head changes nothing that a caller has.
    mutable zbq_read_window window = {};
    zbq::core::parking parking; // in its page
    uint64_t floor = 0;         // an observer's: the last one seen
    zbq_seek_to resume = ZBQ_SEEK_OLDEST;
    zbq_loss lost = {};
    uint64_t passed_from = 0; // the last piece that was copied or skipped, and nobody looks at
    uint64_t passed_to = 0;
    uint64_t baseline = 0;
    uint64_t noted_tail = 0;    // the last one with a time in the page
    uint64_t spun_to = 0;       // the head that the last spin found
    unsigned looks = 0;         // of all spins
    bool producer_gone = false; // its process was found to have ended
    bool abandoned = false;     // the event socket was closed: nothing more will come

    // Descriptors.
    uint64_t newest_record = 0; // records up to this id were seen
    uint64_t record_floor = 0;  // those up to this id are not for us, but for the retained
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
    zbq::core::mapping retained; // none, where nothing was at the join

    [[nodiscard]] const zbq_control_region *control() const { return window.control; }
    [[nodiscard]] zbq_consumer_metadata *page() const { return window.page; }

    // The stream is, for good.
    [[nodiscard]] bool is_malformed() const { return window.unusual != 0; }
    [[nodiscard]] bool observes() const { return window.observes != 0; }
};

namespace zbq::core {

bool has_ended(const zbq_consumer *cons);   // as far as is known
void look_for_producer(zbq_consumer *cons); // a system call
void note_progress(zbq_consumer *cons);     // the time of a release, if there was one
bool is_evicted(const zbq_consumer *cons);

// A word of the read window: the tail or the cursor.
using position = uint64_t zbq_read_window::*;
void move_cursor(zbq_consumer *cons, uint64_t to);

// ---- observe.cpp ----

// Takes over head and floor; goes on elsewhere where it was lapped. ZBQ_OK, ZBQ_ERROR_PROTOCOL, or
// ZBQ_ERROR_AGAIN: no look was quick enough.
int observe(zbq_consumer *cons);
void release_until_cursor(zbq_consumer *cons); // whatever the producer awaits

} // namespace zbq::core
