// SPDX-License-Identifier: MIT
#include "publisher.hpp"

#include "limits.hpp"

#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

namespace faults {

using test::unique_fd;

namespace {
constexpr std::uint64_t serve_every = 32; // messages
constexpr std::uint64_t longest_batch = 8;
constexpr int poll_ms = 1000; // the library's own timer comes first
} // namespace

publishing_habits draw_publishing(std::uint64_t seed) {
    constexpr std::array<std::uint64_t, 4> pages = {3, 5, 16, 61};
    constexpr std::array<std::uint64_t, 4> thresholds = {0, 1, 16, 64};
    const std::uint64_t drawn = mixed(seed);
    return {pages[drawn % 4] * test::page, thresholds[(drawn >> 8) % 4], seed % 2 == 0};
}

publisher::publisher(int listener, board *shared, const descriptor_pool &pool, std::uint64_t seed,
                     const publishing_habits &habits)
    : listener_(listener), board_(shared), pool_(pool), stream_(seed, habits.capacity),
      polls_(habits.polls), producer_(test::make_producer({habits.capacity, habits.clog_threshold,
                                                           stall_timeout_ns, most_consumers})) {
    if (polls_) {
        event_ = zbq_producer_event_fd(producer_.get());
        CHILD_CHECK(event_ >= 0);
    }
    pending_.reserve(most_consumers);
    members_.reserve(most_consumers);
    descriptors_ = test::open_descriptors();
    mappings_ = test::zbq_mappings();
    memory_ = test::resident_bytes();
}

// ---- consumers ----

void publisher::admit(int connection, const hello &who) {
    note_members(); // the slot may be one of those that are evicted
    CHILD_CHECK(who.account < most_consumers);
    std::uint32_t slot = 0;
    const int result = zbq_producer_handshake(producer_.get(), connection,
                                              static_cast<zbq_wakeup_mode>(who.mode), &slot);
    if (result != ZBQ_OK) { // it has died meanwhile
        CHILD_CHECK(result == ZBQ_ERROR_IO && (errno == EPIPE || errno == ECONNRESET));
        return;
    }
    members_.push_back({slot, test::info(producer_.get(), slot).join_number, who.account});
    board_->accounts[who.account].first = next_;
}

void publisher::serve_pending() {
    std::vector<unique_fd> still;
    for (unique_fd &connection : pending_) {
        hello who = {};
        // Its whole length: what looks at all names of the machine, as zbq ls does, says more.
        const ssize_t received = recv(connection.get(), &who, sizeof who, MSG_DONTWAIT | MSG_TRUNC);
        if (received == sizeof who) {
            admit(connection.get(), who);
        } else if (received < 0 && errno == EAGAIN) {
            still.push_back(std::move(connection));
        }
    }
    pending_ = std::move(still);
}

void publisher::serve() {
    for (int fd = -1; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        pending_.emplace_back(fd);
    }
    if (!pending_.empty()) {
        serve_pending();
    }
}

void publisher::note_members() {
    std::erase_if(members_, [this](const member &who) {
        account &noted = board_->accounts[who.account];
        const std::uint64_t before = now_ns();
        const zbq_consumer_info info = test::info(producer_.get(), who.slot);
        CHILD_CHECK(info.join_number == who.join_number);
        if (info.eviction == ZBQ_EVICTION_NONE) {
            noted.seen_at = before;
            return false;
        }
        noted.eviction = info.eviction;
        return true;
    });
}

// ---- waiting ----

void publisher::wait(bool serves) {
    if (polls_) {
        pollfd watched[] = {{event_, POLLIN, 0}, {serves ? listener_ : -1, POLLIN, 0}};
        poll(watched, 2, poll_ms);
    } else {
        sched_yield();
    }
    if (serves) {
        serve();
    }
    note_members();
}

void publisher::insist(const std::function<bool()> &attempt, bool serves) {
    if (attempt()) {
        return;
    }
    const std::uint64_t since = now_ns();
    do {
        wait(serves);
    } while (!attempt());
    board_->longest_wait = std::max(board_->longest_wait.load(), now_ns() - since);
}

zbq_contiguous_run publisher::room_for(std::uint64_t bytes) {
    zbq_contiguous_run run = {};
    if (next_ % 3 == 0) {
        run = zbq_producer_query(producer_.get());
        if (run.max_bytes >= bytes) {
            return run;
        }
    }
    insist([&] { return zbq_producer_reserve(producer_.get(), bytes, &run) == ZBQ_OK; }, true);
    CHILD_CHECK(run.offset == head_);
    return run;
}

// ---- messages ----

// Nobody joins between a message and its descriptors: they would get one without the other.
void publisher::broadcast(std::uint64_t number, std::uint8_t count) {
    const std::vector<int> fds = pool_.of_record(number, count);
    insist(
        [&] {
            const int result =
                zbq_producer_broadcast_fds(producer_.get(), number, fds.data(), count);
            CHILD_CHECK(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
            return result == ZBQ_OK;
        },
        false);
}

void publisher::commit(std::uint64_t bytes) {
    CHILD_CHECK(zbq_producer_commit(producer_.get(), bytes, ZBQ_COMMIT_NONE));
    head_ += bytes;
    board_->head.store(head_, std::memory_order_relaxed);
}

void publisher::publish_one(std::uint64_t number, bool is_last) {
    const std::uint64_t size = stream_.size_of(number, head_);
    const std::uint8_t fd_count = stream_.fd_count_of(number);
    const zbq_contiguous_run run = room_for(size);
    const bool descriptors_first = stream_.descriptors_go_first(number);
    next_ = number + 1;
    if (fd_count != 0 && descriptors_first) {
        broadcast(number, fd_count);
    }
    stream_.write(number, head_, is_last, run.base);
    commit(size);
    if (fd_count != 0 && !descriptors_first) {
        broadcast(number, fd_count);
    }
}

void publisher::publish_batch(const zbq_contiguous_run &run) {
    std::uint64_t bytes = 0;
    for (std::uint64_t i = 0; i < longest_batch && stream_.fd_count_of(next_) == 0; ++i) {
        const std::uint64_t size = stream_.size_of(next_, head_ + bytes);
        if (bytes + size > run.max_bytes) {
            break;
        }
        stream_.write(next_++, head_ + bytes, false, static_cast<char *>(run.base) + bytes);
        bytes += size;
    }
    commit(bytes);
}

void publisher::publish_some() {
    if (next_ % 5 == 0 && stream_.fd_count_of(next_) == 0) {
        publish_batch(room_for(stream_.size_of(next_, head_)));
    } else {
        publish_one(next_, false);
    }
}

void publisher::tell_board() {
    board_->capacity = stream_.capacity();
    board_->messages = next_ - first_of_round_;
}

void publisher::publish_until_told() {
    first_of_round_ = next_;
    for (std::uint64_t served = 0; !board_->end;) {
        if (next_ >= served + serve_every || served == 0) {
            served = next_;
            serve();
            note_members();
            tell_board();
        }
        publish_some();
    }
}

void publisher::publish_last() {
    publish_one(next_, true);
    tell_board();
}

void publisher::expect_as_at_start() {
    serve(); // those who connected and died
    CHILD_CHECK(pending_.empty());
    // What the evicted did not collect is taken back so much at a time.
    for (unsigned taken = 0; taken <= ZBQ_MAX_FD_IN_FLIGHT; taken += zbq::core::most_taken_back) {
        CHILD_CHECK(zbq_producer_scan(producer_.get()) == ZBQ_OK);
    }
    note_members();
    CHILD_CHECK(members_.empty());
    CHILD_CHECK(test::stats(producer_.get()).consumers == 0);
    CHILD_CHECK(test::open_descriptors() == descriptors_);
    CHILD_CHECK(test::zbq_mappings() == mappings_);
    CHILD_CHECK(test::sanitized || test::resident_bytes() <= memory_ + memory_noise);
}

} // namespace faults
