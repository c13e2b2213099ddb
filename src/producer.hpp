// SPDX-License-Identifier: MIT
//
// The producer's state, shared by its parts: producer.cpp (the stream), account.cpp and wake.cpp
// (sleepers), descriptors.cpp (records), join.cpp (new consumers), stall.cpp and evict.cpp (lost
// ones), await.cpp (waiting), statistics.cpp and info.cpp (accounts). One thread at a time.
#pragma once

#include "history.hpp"
#include "region.hpp"
#include "retained.hpp"
#include "ring.hpp"
#include "side.hpp"
#include "statistics.hpp"
#include "wake.hpp"

namespace zbq::core {

// How long a consumer has been in the way of something, by looks at which the producer ran.
struct stall_clock {
    bool running = false;
    uint64_t elapsed = 0;  // since it last moved as far as it has to,
    uint64_t position = 0; // which was here
};

// What a producer will wait for one consumer: a bucket that leaks.
struct patience {
    bool limited = false;
    zbq_patience rate = {};
    uint64_t used = 0; // of it,
    uint64_t at = 0;   // by then
};

// What waking a consumer has cost, against its share.
struct wake_account {
    int64_t credit = 0; // nanoseconds of the producer's thread; below 0: owed
    uint64_t at = 0;    // when that was
    uint64_t quiet_until = 0;
    uint32_t dear = 0; // wake-ups in a row that cost too much
};

// A consumer, as the producer knows it.
struct slot {
    bool taken = false;
    bool side_blocked = false; // its descriptors could not be sent,
    bool side_watched = false; // and the producer is told when it collects some
    bool announced = false;    // its announcement was read, whatever it said
    bool rang = false;         // its bells are not listened to until the next wait
    bool holds_room = false;   // that the producer waited for, at the last look
    bool holds_record = false; // the same
    bool bell_failed = false;  // and is owed
    uint32_t index = 0;
    uint32_t mode = 0;
    pid_t pid = 0;
    uid_t uid = 0; // of who connected
    uint64_t join_number = 0;
    uint64_t nudged_at = UINT64_MAX; // the head at which it was last woken for being behind
    uint64_t joined_at = 0;
    uint64_t tail_seen = 0;     // the last valid tail
    uint64_t newest_record = 0; // newest descriptor record that it has, or is not to get
    uint64_t newest_sent = 0;   // newest that it has, but for those of retained messages
    uint64_t dropped = 0;       // an observer's records that it had no room for
    uint64_t times_slowest = 0; // looks of a producer that waited for room, with nobody behind it
    uint64_t held_ns = 0;       // that the producer waited with it in the way
    uint64_t lost_bytes = 0;    // an observer's word
    uint64_t told_tail = 0;     // in its last account,
    uint64_t moved_at = 0;      // and the time of the first with that one
    uint64_t evicted_at = 0;
    stall_clock ring_stall;
    stall_clock side_stall;
    patience waited;
    wake_account wakes;
    unique_fd side;
    unique_fd side_peer; // a copy of the consumer's end, to take back what it does not collect
    unique_fd event;
    unique_fd process; // pidfd, where the kernel gave one
    mapping page_memory;
    flight in_flight;
    zbq_consumer_info last = {}; // of the consumer last evicted from here

    [[nodiscard]] zbq_consumer_metadata *page() const {
        return static_cast<zbq_consumer_metadata *>(page_memory.get());
    }
    [[nodiscard]] zbq_parking *parking() const { return parking_of(page(), index); }
    [[nodiscard]] bool is_push() const { return !pulls(mode); }
    [[nodiscard]] bool observes() const { return zbq::core::observes(mode); }
    // Evicted, and what it has not collected is not all taken back.
    [[nodiscard]] bool is_leftover() const { return !taken && side_peer; }
    [[nodiscard]] bool is_in_the_way() const { return holds_room || holds_record; }
};

// A join whose consumer was evicted before it answered: its descriptors are in flight until whoever
// was sent it takes them, or goes.
struct unanswered_join {
    unique_fd side;
    uid_t uid = 0; // who connected, as the kernel says
};

} // namespace zbq::core

struct zbq_producer {
    // The fast path.
    zbq_commit_window window = {};
    zbq_control_region *control = nullptr;
    char *ring = nullptr;
    uint64_t capacity = 0;
    uint64_t slowest_tail = 0; // a lower bound of all tails, refreshed when it limits
    zbq::core::history history;

    // Room.
    uint64_t wanted = ZBQ_MSG_ALIGN;    // bytes that the producer waits for,
    uint64_t wanted_fds = 0;            // and of a record that it could not send
    uint64_t queried_head = UINT64_MAX; // where it last queried,
    uint64_t queried_room = 0;          // and what it got
    uint64_t failures = 0;              // failed attempts at room in a row
    uint64_t side_failures = 0;         // and at sending descriptors
    uint64_t looked_at = 0;             // for the stalled, last,
    uint64_t full_ns = 0;               // and for how long there was no room then

    // Waiting, once the application has asked for a descriptor to wait for.
    uint64_t awaited_room = 0;  // bytes: the least that was refused and is not there yet; 0: none
    uint64_t refused_room = 0;  // and the most that was
    uint64_t listened_tail = 0; // consumers may ring once for this one
    uint64_t awaited_since = 0; // by CLOCK_MONOTONIC
    bool awaits_fds = false;
    bool was_full = false; // at the last look
    bool has_ended = false;
    zbq::core::unique_fd watch; // epoll of event sockets, side sockets and timer
    zbq::core::unique_fd timer;

    // Descriptors.
    uint64_t next_seq = 0;
    uint64_t newest_seq = 0;  // newest id begun
    bool newest_whole = true; // it has gone to all
    uint32_t leftovers = 0;   // slots that are

    zbq::core::retained_set retained;

    // Consumers.
    zbq::core::slot *slots = nullptr;
    uint32_t max_consumers = 0;
    uint32_t *active = nullptr; // indices of the slots taken, dense
    uint32_t active_count = 0;
    zbq_parking **parking = nullptr; // of the push-mode ones, dense, but for those left alone
    uint32_t marks = 0;              // how many of them
    bool leaves_some_alone = false;
    uint64_t marks_seen_at = 0;   // all of them, in ticks
    uint64_t look_interval = 0;   // from one such look to the next; 0: each commit looks
    zbq::core::patience patience; // for those that join
    zbq::core::unanswered_join unanswered[zbq::core::most_unanswered];

    // The rest.
    uint64_t clog_threshold = 0;
    uint64_t first_minded = 0; // of failed attempts: the others are only counted
    uint64_t stall_timeout = 0;
    zbq_type type = {};
    char name[ZBQ_NAME_SIZE] = {};
    uint64_t created_at = 0;
    zbq::core::statistics_page statistics;
    zbq::core::birthmark birth;
    zbq::core::region control_region;
    zbq::core::region ring_region;
    zbq_producer_statistics counters = {};
};

namespace zbq::core {

// Bits of the window's `unusual`.
inline constexpr uint32_t waits_for_room = 1; // attempts have failed since the last success
inline constexpr uint32_t awaits_room = 2;    // the consumers were asked to ring for it
inline constexpr uint32_t looks_by_clock = 4; // not all that may be parked are looked at directly

inline bool is_owner(const zbq_producer *prod) {
    return prod->birth.is_own();
}

inline uint64_t known_free(const zbq_producer *prod) {
    return free_bytes(prod->window.head, prod->slowest_tail, prod->capacity);
}

// As zbq_producer_reserve, but exactly so much, and a wait for room goes on: room_was_got is the
// caller's to call, once it is used.
int reserve_quietly(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out);

// Counts a failed attempt; every so often one runs a scan. Whether this one did.
bool count_failure(zbq_producer *prod, uint64_t *failures);

// ---- account.cpp ----

void earn(const zbq_producer *prod, wake_account *account, uint64_t now);
uint64_t time_to_pay(const zbq_producer *prod, const wake_account &account); // of one that owes
void close_account(const zbq_producer *prod, slot *gone);
bool owes_much(const zbq_producer *prod, uid_t uid); // more than can be told of
void take_over_debt(const zbq_producer *prod, slot *fresh);

// ---- wake.cpp ----

// Wakes who is parked: a system call only for them, and never dear ones again and again.
void mind_sleepers(zbq_producer *prod);
void wake_if_behind(zbq_producer *prod, slot *consumer, uint64_t now); // by its tail seen last
void choose_marks(zbq_producer *prod); // those that commits look at, after a change
void wake_for_good(slot *consumer);    // nothing comes after this event

// ---- stall.cpp ----

// Reads the tails; charges who is in the way for the time, wakes who sleeps beside something to
// read, and evicts who is in the way and dead, or has used up its time.
void mind_obstacles(zbq_producer *prod);
void end_wait_for_room(zbq_producer *prod); // nobody holds the producer back
void end_wait_for_collection(zbq_producer *prod);
// The longest that the clocks leave until the next look.
uint64_t until_next_look(const zbq_producer *prod);

// ---- evict.cpp ----

// Reads every tail; evicts those that published one that cannot be.
void refresh_tails(zbq_producer *prod);

// Puts a prepared slot into service, or takes one out of it.
void activate(zbq_producer *prod, slot *joined);
void evict(zbq_producer *prod, slot *gone, uint32_t reason);

bool is_dead(slot *consumer);
void scan(zbq_producer *prod);

// What the evicted have not collected, some of each.
void take_back_leftovers(zbq_producer *prod);
bool take_back_some(slot *gone); // true: that was all

// Joins of a user, or with no_user of all, that are not answered; reads the answers.
inline constexpr uid_t no_user = UINT32_MAX;
uint32_t unanswered_joins(zbq_producer *prod, uid_t uid);
bool may_leave_unanswered(zbq_producer *prod, uid_t uid); // another one, of a user not our own
// What was sent is counted as such until the other end takes it, or goes.
void keep_unanswered(zbq_producer *prod, unique_fd *ours, uid_t uid);
void evict_unanswered(zbq_producer *prod); // those that had time enough

// ---- descriptors.cpp ----

// Whether there may be so many more in flight.
bool may_be_in_flight(zbq_producer *prod, uint64_t more);
void refresh_flights(zbq_producer *prod); // what all consumers have to collect

// ---- await.cpp ----

// Ask the consumers to ring, where the application has asked for a descriptor to wait for.
// true: look again, something may have changed. After a failed attempt.
bool await_room(zbq_producer *prod, uint64_t bytes);
bool await_collection(zbq_producer *prod);
void answer_rings(zbq_producer *prod);                // all that have rung up to now
void room_was_got(zbq_producer *prod, uint64_t told); // by the run that was granted
void head_has_moved(zbq_producer *prod);              // while room is awaited
void end_await_collection(zbq_producer *prod);

// Makes the descriptor readable if something is awaited: what should have made it so is gone,
// taken off by a scan or closed by an eviction.
void remind_of_wait(zbq_producer *prod);

int watch_consumer(const zbq_producer *prod, const slot *consumer);
void unwatch_consumer(const zbq_producer *prod, const slot *consumer);

// ---- statistics.cpp ----

// Each writes an account, where the page was asked for.
void tell(zbq_producer *prod);
void tell_of_failure(zbq_producer *prod); // unless one was written a moment ago
void note_use_of_slot(zbq_producer *prod, uint32_t index);

// ---- info.cpp ----

// What is known of a consumer, with the reason of its eviction if it has one.
zbq_consumer_info describe(const zbq_producer *prod, const slot *consumer, uint32_t eviction);

} // namespace zbq::core
