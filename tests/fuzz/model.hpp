// SPDX-License-Identifier: MIT
//
// What a ring must do, told without memory shared, atomics or system calls: the bytes committed are
// a string, a consumer is a few numbers. By include/zbq.h and docs/design.md, for one thread and
// with hardly any time: nobody ever stalls.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "zbq.h"

namespace fuzz {

struct model_record {
    std::uint64_t seq_id = 0; // 0: none
    std::vector<int> fds;
};

struct model_kept {
    std::uint64_t offset;
    zbq_msg_header header; // with the key
    std::vector<std::uint8_t> payload;
    std::vector<int> fds;
};

struct model_view {
    std::uint64_t offset;
    std::uint64_t payload_len;
};

class model_producer;

class model_consumer {
public:
    model_consumer(const model_producer &ring, zbq_wakeup_mode chosen, std::uint64_t start);

    // Each as the call of zbq.h that has its name.
    std::uint64_t acquire_head();
    int peek(model_view *out);
    int next(model_view *out);
    int look();
    void publish(std::uint64_t new_tail);
    bool window_release(std::uint64_t new_tail);
    int copy(std::uint64_t size, model_view *out);
    int skip(std::uint64_t offset);
    int seek(zbq_seek_to to);
    int set_resume(zbq_seek_to to);
    [[nodiscard]] bool valid() const;
    int recv_fds(std::uint64_t wanted, std::vector<int> *fds);
    int wait(std::uint32_t token) const;
    [[nodiscard]] zbq_ending ending() const;

    [[nodiscard]] bool is_evicted() const { return eviction != ZBQ_EVICTION_NONE; }
    [[nodiscard]] bool observes() const { return mode >= ZBQ_OBSERVE_PUSH; }
    [[nodiscard]] bool is_push() const { return mode % 2 == ZBQ_WAKEUP_PUSH; }
    // Without it no record is begun.
    [[nodiscard]] bool must_have_records() const { return is_push() && !observes(); }

    zbq_wakeup_mode mode;
    std::uint64_t tail;
    std::uint64_t cursor;
    std::uint64_t passed_from = 0; // the last piece that was copied or skipped
    std::uint64_t passed_to = 0;
    std::uint64_t known_head;
    bool malformed = false;
    zbq_loss lost = {};
    std::vector<model_kept> retained; // when it joined

    // Its page, as the producer finds it.
    std::uint64_t page_tail;
    bool cheats = false; // writes its page past the library
    bool left = false;   // nobody holds its sockets any more

    // The producer's part.
    std::uint32_t slot = 0;
    std::uint32_t eviction = ZBQ_EVICTION_NONE;
    std::uint64_t tail_seen;
    std::uint64_t join_number = 0;
    std::uint64_t newest_sent;      // newest record that it has, or is not to get
    std::deque<model_record> queue; // not received yet
    struct sent_record {
        std::size_t fd_count;
        bool is_orphan; // of no message: it was given up when others had not got it
    };
    std::deque<sent_record> in_flight; // as the producer knows: it may have received some
    bool is_blocked = false;           // in the way of a record
    std::uint64_t dropped = 0;         // an observer's records

    // The producer counts again what was received.
    void recount() { in_flight.erase(in_flight.begin(), in_flight.end() - counted()); }
    [[nodiscard]] std::size_t fds_in_flight() const;
    [[nodiscard]] std::size_t orphans_in_flight() const;

private:
    [[nodiscard]] std::ptrdiff_t counted() const {
        return static_cast<std::ptrdiff_t>(queue.size());
    }
    using position = std::uint64_t model_consumer::*; // tail or cursor
    // The next message of what a walk has left; none where it does not fit.
    [[nodiscard]] std::optional<model_view> parse(std::uint64_t offset) const;
    int view_at(position at, model_view *out);
    int look_past(position at);
    void go_on_at(std::uint64_t offset);
    void release_all() { tail = page_tail = cursor; }
    void pass_by(model_view *out);
    void release_passed();
    bool catch_up();
    int observe();
    int find(zbq_seek_to to, std::uint64_t *offset);

    const model_producer &ring_;
    zbq_seek_to resume_ = ZBQ_SEEK_OLDEST;
    [[nodiscard]] bool may_come(std::uint64_t wanted) const;

    std::uint64_t record_floor_; // what was sent before the join
    std::uint64_t newest_record_;
    model_record held_;
};

class model_producer {
public:
    model_producer(const zbq_producer_params &chosen, std::uint64_t limit_of_descriptors)
        : params(chosen), descriptor_limit(limit_of_descriptors), slots(chosen.max_consumers),
          last(chosen.max_consumers) {}

    // Each as the call of zbq.h that has its name.
    std::uint64_t query();
    int reserve(std::uint64_t wanted);
    bool commit(const std::uint8_t *from, std::uint64_t size, int flags);
    bool window_commit(const std::uint8_t *from, std::uint64_t size);
    int broadcast(std::uint64_t seq_id, const std::vector<int> &fds);
    void scan();
    // Which free slot is the library's choice: that one.
    int admit(std::unique_ptr<model_consumer> *fresh, zbq_wakeup_mode mode, std::uint64_t start,
              bool peer_gone, std::uint32_t chosen);
    int released(std::uint64_t offset);
    int retain(std::uint16_t key, zbq_msg_header header, const std::vector<std::uint8_t> &payload,
               const std::vector<int> &fds);
    int forget(std::uint16_t key);
    void end();

    // Where history begins, and who starts where, is the library's choice, within what is promised.
    [[nodiscard]] bool may_rise_to(std::uint64_t chosen) const;
    [[nodiscard]] bool is_start(const zbq_start &wanted, bool of_this_ring) const;
    [[nodiscard]] bool may_start_at(const zbq_start &wanted, bool of_this_ring,
                                    std::uint64_t chosen) const;

    void read_tails();
    [[nodiscard]] std::uint64_t free_bytes() const {
        return params.ring_capacity - (head - slowest_tail);
    }
    [[nodiscard]] std::uint64_t true_free() const; // by the tails as they are now
    // Whether a record could begin, by what is really in flight.
    [[nodiscard]] bool has_true_room_for(std::size_t fd_count) const;
    [[nodiscard]] std::uint32_t token() const {
        return static_cast<std::uint32_t>(head / ZBQ_MSG_ALIGN) + bell;
    }

    zbq_producer_params params;
    std::uint64_t descriptor_limit;
    std::vector<std::uint8_t> bytes;       // all that was ever committed
    std::set<std::uint64_t> commits = {0}; // where they start; and the head
    std::uint64_t head = 0;
    std::uint64_t floor = 0;         // what is below may be overwritten
    std::uint64_t newest = 0;        // the newest commit
    std::uint64_t highest_limit = 0; // up to where anything may ever have been written
    std::uint64_t largest_run = 0;
    std::uint64_t limit = 0;        // of the run that may be committed
    std::uint64_t slowest_tail = 0; // as last read
    std::uint32_t bell = 0;
    bool closed = false;
    bool watches = false; // an event descriptor was asked for
    std::uint64_t newest_seq = 0;
    bool newest_whole = true; // it has gone to all
    std::vector<model_kept> retained;

    // Of zbq_producer_statistics.
    std::uint64_t joined = 0;
    std::uint64_t failures = 0;
    std::uint64_t scans = 0;
    std::array<std::uint64_t, 7> evicted = {};

    std::vector<model_consumer *> slots; // nullptr: free

    // Of the one last evicted from a slot.
    struct gone {
        std::uint64_t join_number = 0;
        std::uint32_t eviction = 0;
    };
    std::vector<gone> last;

private:
    template <typename Action>
    void for_each_consumer(const Action &action);
    bool count_failure(std::uint64_t *in_a_row);
    void evict(model_consumer *whom, std::uint32_t reason);
    void evict_the_dead();
    void look_at_the_blocked();
    [[nodiscard]] std::uint64_t linear_room();
    void await_room(std::uint64_t wanted);
    void room_was_got(std::uint64_t told);

    struct pending {
        std::uint64_t seq_id;
        const std::vector<int> &fds;
    };
    [[nodiscard]] std::size_t all_in_flight(bool to_observers = false) const;
    [[nodiscard]] bool fits(std::size_t in_flight, std::size_t fd_count, std::uint64_t id) const;
    void give_up_newest();
    void take_back_orphans();
    void blame_all_in_flight();
    bool can_begin(const pending &record);
    bool is_turn_over(std::size_t *in_flight, std::size_t fd_count);
    bool send_to_all(const pending &record, bool *any);
    bool offer_to_observers(const pending &record);
    bool may_be_in_flight(std::size_t more);
    [[nodiscard]] std::vector<model_kept> retained_but(std::uint16_t key) const;
    int tell_of_change(const zbq_msg_header &header, const std::vector<std::uint8_t> &payload,
                       std::vector<model_kept> after);
    void grant(std::uint64_t room);
    bool has_found_room(std::uint64_t wanted);
    int reserve_quietly(std::uint64_t wanted);
    int broadcast_once(const pending &record);
    void publish(const std::uint8_t *from, std::uint64_t size);

    std::vector<std::uint32_t> active_; // slots, in the order that the producer goes through them
    std::uint64_t awaited_ = 0; // bytes: the least that was refused and is not there; 0: none
    std::uint64_t refused_ = 0; // and the most
    std::uint64_t failures_in_a_row_ = 0;
    std::uint64_t side_failures_in_a_row_ = 0;
    std::optional<std::uint64_t> queried_head_;
    std::uint64_t queried_room_ = 0;
};

} // namespace fuzz
