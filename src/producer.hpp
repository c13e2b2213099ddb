// SPDX-License-Identifier: MIT
//
// The producer's state, shared by its parts: producer.cpp (the stream), join.cpp (new
// consumers), evict.cpp (lost ones), info.cpp (accounts). One thread at a time.
#pragma once

#include "region.hpp"
#include "ring.hpp"
#include "side.hpp"
#include "wake.hpp"

namespace zbq::core {

// How long a consumer has held something back without moving. It starts at the first look
// that finds it so, and again whenever the position has changed.
struct stall_clock {
    uint64_t since = 0; // 0: not running
    uint64_t position = 0;
};

// A consumer, as the producer knows it.
struct slot {
    bool taken = false;
    bool side_blocked = false; // its descriptors could not be sent
    bool announced = false;    // its announcement was read, whatever it said
    uint32_t index = 0;
    uint32_t mode = 0;
    pid_t pid = 0;
    uint64_t join_number = 0;
    uint64_t tail_seen = 0;     // the last valid tail
    uint64_t newest_record = 0; // newest descriptor record that it has, or is not to get
    stall_clock ring_stall;
    stall_clock side_stall;
    bool polls = false;        // it was found parked in a poll
    bool fenced = false;       // as its page says
    uint32_t untold = 0;       // of `parked`: a bell for which there was no memory
    uint64_t rings = 0;        // bells that it rang,
    uint64_t waits_before = 0; // and the producer's waits before it joined
    unique_fd side;
    unique_fd event;
    unique_fd process; // pidfd, where the kernel gave one
    mapping page_memory;
    flight in_flight;
    zbq_consumer_info last = {}; // of the consumer last evicted from here

    [[nodiscard]] zbq_consumer_metadata *page() const {
        return static_cast<zbq_consumer_metadata *>(page_memory.get());
    }
    [[nodiscard]] zbq_parking *parking() const { return parking_of(page(), index); }
};

} // namespace zbq::core

struct zbq_producer {
    // The fast path.
    zbq_commit_window window = {};
    zbq_control_region *control = nullptr;
    char *ring = nullptr;
    uint64_t capacity = 0;
    uint64_t turn_start = 0;   // where the ring's physical start lies, as of the last run
    uint64_t slowest_tail = 0; // a lower bound of all tails, refreshed when it limits

    // Room.
    uint64_t wanted = ZBQ_MSG_ALIGN;    // bytes that the producer waits for
    uint64_t queried_head = UINT64_MAX; // where it last queried,
    uint64_t queried_room = 0;          // and what it got
    uint64_t failures = 0;              // failed attempts at room in a row
    uint64_t side_failures = 0;         // and at sending descriptors
    bool awaits_room = false;           // the consumers were asked to ring
    bool awaits_fds = false;
    uint64_t waits = 0;         // how often they were asked
    zbq::core::unique_fd watch; // epoll of event sockets and timer, once asked for
    zbq::core::unique_fd timer;

    // Descriptors.
    uint64_t next_seq = 0;
    uint64_t newest_seq = 0; // newest id broadcast

    // Consumers.
    zbq::core::slot *slots = nullptr;
    uint32_t max_consumers = 0;
    uint32_t *active = nullptr; // indices of the slots taken, dense
    uint32_t active_count = 0;
    zbq_parking **parking = nullptr;   // of the push-mode ones, dense,
    uint32_t *parking_slots = nullptr; // and whose they are
    uint32_t fences_left = 0;          // to make, unless somebody is found parked

    // The rest.
    uint64_t clog_threshold = 0;
    uint64_t stall_timeout = 0;
    zbq_type type = {};
    pid_t owner = 0;
    zbq::core::unique_fd self; // pidfd for the consumers
    zbq::core::region control_region;
    zbq::core::region ring_region;
    zbq_producer_statistics counters = {};
};

namespace zbq::core {

// Bits of the window's `unusual`.
inline constexpr uint32_t waits_for_room = 1; // attempts have failed since the last success
inline constexpr uint32_t owes_fence = 2;     // a consumer relies on it

// Wakes who is parked: a system call only for them.
void mind_sleepers(zbq_producer *prod);
void tell_untold(zbq_producer *prod); // those whose bell could not be sent

// Reads every tail; evicts those that published one that cannot be.
void refresh_tails(zbq_producer *prod);

// Puts a prepared slot into service, or takes one out of it.
void activate(zbq_producer *prod, slot *joined);
void evict(zbq_producer *prod, slot *gone, uint32_t reason);

void scan(zbq_producer *prod);
void evict_stalled(zbq_producer *prod);

// Ask the consumers to ring, where the application has asked for a descriptor to wait for.
// true: look again, something may have changed. After a failed attempt.
bool await_room(zbq_producer *prod);
bool await_collection(zbq_producer *prod);
void answer_rings(zbq_producer *prod); // all that have rung up to now
void end_await_room(zbq_producer *prod);
void end_await_collection(zbq_producer *prod);

// Makes the descriptor readable if something is awaited: what should have made it so is gone,
// taken off by a scan or closed by an eviction.
void remind_of_wait(zbq_producer *prod);

int watch_consumer(const zbq_producer *prod, const slot *consumer);
void unwatch_consumer(const zbq_producer *prod, const slot *consumer);

// What is known of a consumer, with the reason of its eviction if it has one.
zbq_consumer_info describe(const zbq_producer *prod, const slot *consumer, uint32_t eviction);

inline bool is_owner(const zbq_producer *prod) {
    return prod->owner == process_id();
}

} // namespace zbq::core
