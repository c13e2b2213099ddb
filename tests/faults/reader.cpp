// SPDX-License-Identifier: MIT
#include "reader.hpp"

#include "support/process.hpp"

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "zbq/inline.h"

namespace faults {

namespace {

constexpr int poll_ms = 1000;
constexpr unsigned looks_per_life_sign = 64;                  // of one who never sleeps
constexpr std::uint64_t most_patience_ns = 20'000 * test::ms; // only a hang takes this long
constexpr int descriptor_limit = 1024;

// Without a descriptor for it, where there may be none left.
int count_descriptors() {
    int count = 0;
    for (int fd = 0; fd < descriptor_limit; ++fd) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

} // namespace

reader::reader(zbq_consumer *cons, std::uint64_t seed, const reading_habits &habits, account *own)
    : cons_(cons), stream_(seed, zbq_consumer_ctrl(cons)->ring_capacity), habits_(habits),
      own_(own), releasing_(zbq_consumer_ctrl(cons)->ring_capacity / 16, zbq_consumer_tail(cons),
                            zbq_consumer_meta(cons)->join_baseline),
      collecting_(ZBQ_MAX_FD_IN_FLIGHT / 16, 0, zbq_consumer_meta(cons)->join_baseline) {
    if (habits.waits == waiting::polls) {
        event_ = zbq_consumer_event_fd(cons);
        CHILD_CHECK(event_ >= 0);
    }
}

bool reader::read(std::uint64_t count) {
    while (count != 0 && !ended_) {
        const std::uint32_t token = zbq_consumer_get_futex_token(cons_);
        const std::uint64_t before = own_->messages;
        const std::uint64_t since = now_ns();
        const int result = step(std::min(count, habits_.batch));
        count -= own_->messages - before;
        if (ended_) {
            break;
        }
        if (result == ZBQ_ERROR_AGAIN) {
            if (zbq_consumer_valid(cons_)) {
                releasing_.hold_nothing(zbq_consumer_tail(cons_), since);
            }
            wait(token);
        } else if (result != ZBQ_OK) {
            CHILD_CHECK(result == ZBQ_ERROR_NOENT);
            finish();
        }
    }
    return !ended_;
}

void reader::read_to_end() {
    while (read(UINT64_MAX)) {
    }
}

// ---- messages ----

int reader::look(zbq_msg_view *out) {
    switch (habits_.walks) {
    case walking::peek:
        return zbq_consumer_peek(cons_, out);
    case walking::next:
        return zbq_consumer_next(cons_, out);
    case walking::run:
        break;
    }
    return zbq_window_next(zbq_consumer_window(cons_), out);
}

// Reads a batch and releases it.
int reader::step(std::uint64_t limit) {
    std::uint64_t end = zbq_consumer_tail(cons_);
    int result = ZBQ_OK;
    for (std::uint64_t i = 0; i < limit && !ended_; ++i) {
        zbq_msg_view view = {};
        result = look(&view);
        if (result != ZBQ_OK) {
            break;
        }
        if (!take(view)) {
            result = ZBQ_ERROR_NOENT;
            break;
        }
        end = view.logical_offset + view.total_len;
        if (habits_.walks == walking::peek) {
            release(end);
        }
    }
    release(end);
    if (ended_) {
        own_->end = ending::at_mark;
        own_->tail = zbq_consumer_tail(cons_);
    }
    return result;
}

void reader::release(std::uint64_t end) {
    if (end != zbq_consumer_tail(cons_)) {
        const std::uint64_t since = now_ns();
        zbq_consumer_publish(cons_, end);
        // What was done after an eviction counts for nothing: one who was stopped has yet to learn
        // of it.
        if (zbq_consumer_valid(cons_)) {
            releasing_.move_to(end, since);
        }
    }
}

bool reader::is_whole(const zbq_msg_view &view) const {
    const std::uint64_t since = now_ns();
    bool whole = true;
    do {
        whole = whole && stream_.is_message(next_, view);
    } while (habits_.lingers_ns != 0 && now_ns() - since < habits_.lingers_ns);
    return whole;
}

// false: it was evicted, and what it read may be anything.
bool reader::take(const zbq_msg_view &view) {
    if (next_ == 0) {
        next_ = own_->first;
    }
    const std::uint8_t fd_count = view.header->fd_count;
    const bool is_last = (view.header->flags & last_of_round) != 0;
    const bool whole = is_whole(view);
    if (!zbq_consumer_valid(cons_)) {
        own_->torn += whole ? 0 : 1;
        return false;
    }
    CHILD_CHECK(whole);
    ++next_;
    own_->messages += 1;
    own_->bytes += view.total_len;
    if (fd_count != 0 && collects && habits_.waits != waiting::spins && !collect(view, fd_count)) {
        return false;
    }
    ended_ = is_last;
    return true;
}

// ---- descriptors ----

void reader::accept_record(std::uint64_t number, std::uint8_t count, const int *fds,
                           std::uint8_t received) {
    CHILD_CHECK(received == count);
    for (unsigned i = 0; i < received; ++i) {
        CHILD_CHECK((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        CHILD_CHECK(descriptor_pool::is_descriptor(number, i, fds[i]));
        close(fds[i]);
    }
    own_->records += 1;
}

// The producer may have died between a message and its record; else no record is missing.
bool reader::may_miss_record(const zbq_msg_view &view) {
    const std::uint64_t since = now_ns();
    while (zbq_consumer_is_producer_alive(cons_) && now_ns() - since < most_patience_ns) {
        sched_yield(); // its sockets are closed a little before it counts as ended
    }
    const std::uint64_t end = view.logical_offset + (view.total_len + 15) / 16 * 16;
    return zbq_consumer_ending(cons_, nullptr) == ZBQ_ENDING_PRODUCER_DIED &&
           zbq_consumer_acquire_head(cons_) == end;
}

// false: it was evicted.
bool reader::collect(const zbq_msg_view &view, std::uint8_t count) {
    const std::uint64_t number = next_ - 1;
    const int before = lacks_room ? count_descriptors() : 0;
    while (true) {
        const std::uint32_t token = zbq_consumer_get_futex_token(cons_);
        const std::uint64_t since = now_ns();
        int fds[ZBQ_MAX_FD_PER_MSG];
        std::uint8_t received = 0;
        const int result = zbq_consumer_recv_fds(cons_, number, fds, &received);
        if (result == ZBQ_OK) {
            collected_fds_ += count;
            if (zbq_consumer_valid(cons_)) {
                collecting_.move_to(collected_fds_, since);
            }
            accept_record(number, count, fds, received);
            CHILD_CHECK(!lacks_room || count_descriptors() == before);
            return true;
        }
        CHILD_CHECK(received == 0);
        if (is_broken) {
            return true;
        }
        if (result == ZBQ_ERROR_PROTOCOL && lacks_room) {
            CHILD_CHECK(count_descriptors() == before);
            own_->refused_records += 1;
            return true;
        }
        if (!zbq_consumer_valid(cons_)) {
            return false;
        }
        if (result != ZBQ_ERROR_AGAIN) {
            CHILD_CHECK(result == ZBQ_ERROR_NOENT);
            CHILD_CHECK(may_miss_record(view));
            return true;
        }
        collecting_.hold_nothing(collected_fds_, since);
        wait(token);
    }
}

// ---- waiting and the end ----

void reader::wait(std::uint32_t token) {
    if (++looks_ % looks_per_life_sign == 0 && habits_.waits == waiting::spins) {
        zbq_consumer_is_producer_alive(cons_);
    }
    if (habits_.waits == waiting::sleeps) {
        const int result = zbq_consumer_wait_broadcast(cons_, token);
        CHILD_CHECK(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN || result == ZBQ_ERROR_NOENT ||
                    is_broken);
    } else if (habits_.waits == waiting::polls) {
        pollfd watched = {event_, POLLIN, 0};
        CHILD_CHECK(poll(&watched, 1, poll_ms) >= 0);
    } else {
        sched_yield();
    }
}

// A right eviction for stalling is one of a consumer that did not move enough for the timeout, by
// whatever clock: so a machine under load fails no test, and a hasty producer does.
void reader::check_eviction(std::uint32_t reason) {
    const std::uint64_t timeout = zbq_consumer_ctrl(cons_)->stall_timeout_ns;
    const std::uint64_t now = now_ns();
    if (reason == ZBQ_EVICTION_STALLED) {
        CHILD_CHECK(now - releasing_.since() >= timeout);
    } else if (reason == ZBQ_EVICTION_SIDE_STALLED) {
        CHILD_CHECK(now - collecting_.since() >= timeout);
    } else {
        CHILD_CHECK(reason == ZBQ_EVICTION_DEAD && is_broken);
    }
}

void reader::finish() {
    ended_ = true;
    own_->tail = zbq_consumer_tail(cons_);
    std::uint32_t reason = 0;
    switch (zbq_consumer_ending(cons_, &reason)) {
    case ZBQ_ENDING_EVICTED:
        check_eviction(reason);
        own_->told_eviction = reason;
        own_->end = ending::evicted;
        break;
    case ZBQ_ENDING_CLOSED:
        own_->end = ending::closed;
        break;
    case ZBQ_ENDING_PRODUCER_DIED:
        own_->end = ending::producer_died;
        break;
    default:
        CHILD_CHECK(false); // an end for no reason
    }
}

} // namespace faults
