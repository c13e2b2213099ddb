// SPDX-License-Identifier: MIT
/// @file
/// Reading a stream through all that happens to it.
#pragma once

#include "joining.hpp"

#include <optional>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <utility>

namespace ZBQ_NAMESPACE {

/// Why a subscription has missed something.
enum class gap_cause : int {
    lapped,    ///< it observes, and was slower than the producer
    evicted,   ///< it was not fast enough for a producer that waits
    restarted, ///< another producer has the name now, whose ring starts at its own beginning
    history,   ///< where it was to start was gone already
};

/// What a subscription has missed, between the message before and the one after.
struct gap {
    gap_cause cause = gap_cause::lapped; ///< why
    std::uint64_t bytes = 0;             ///< of the ring, headers included
    /// Whether there can be more: what a producer has published that was gone before it could be
    /// read, nobody knows.
    bool at_least = false;
};

/// The words for a gap's cause, in English, in static memory.
[[nodiscard]] inline const char *to_string(gap_cause cause) noexcept {
    return cause == gap_cause::lapped      ? "lapped"
           : cause == gap_cause::evicted   ? "evicted"
           : cause == gap_cause::restarted ? "producer restarted"
                                           : "history gone";
}

/// A stream by its name, whoever publishes it: joins, reads, and joins again when it was evicted or
/// the producer was replaced, where it left off. What it has missed is told as a gap, before the
/// message after it: it is either given a message, or told of its bytes.
///
///     zbq::subscription camera("camera", {.flow = zbq::flow::follow});
///     while (camera.wait(zbq::never) == zbq::status::ok) {
///         if (const std::optional<zbq::gap> missed = camera.take_gap()) {
///             use(missed->bytes, to_string(missed->cause));
///         } else if (const zbq::message next = camera.try_next()) {
///             use(next.payload(), next.intact());
///         }
///     }
///
/// One thread at a time. In a forked child it gives nothing.
class subscription {
public:
    /// Joins when it is first waited for or read.
    /// @throws error as joining
    explicit subscription(const std::string &name, connect_options options = {})
        : name_(name), options_(std::move(options)), watch_(::epoll_create1(EPOLL_CLOEXEC)),
          joining_(std::in_place, name_, options_) {
        if (!watch_) {
            detail::throw_errno("making a descriptor to wait for a stream");
        }
        watch(joining_->event_fd());
    }

    /// The next message; empty when there is none now, or a gap is to be taken first. Never waits.
    /// @throws error as joining::step: full, refused, protocol, invalid, no_memory, io. It can be
    /// tried again
    message try_next() {
        if (!advance()) {
            return message(birth_.is_here() ? status::again : status::invalid);
        }
        if (held_) {
            return std::exchange(held_, message());
        }
        message next = reader_->try_next();
        if (next) {
            return keep(std::move(next));
        }
        look_after(next.why());
        return next;
    }

    /// What was missed since the last message, if anything was. Never waits.
    std::optional<gap> take_gap() {
        if (!birth_.is_here()) {
            return std::nullopt;
        }
        advance();
        return std::exchange(gap_, std::nullopt);
    }

    /// Waits until there is a message or a gap to take, or the deadline. Sleeps in poll.
    /// @return ok, again (not before the deadline), io, invalid (moved from, or in a forked child)
    /// @throws error as try_next
    status wait(deadline end) {
        if (!birth_.is_here()) {
            return status::invalid;
        }
        while (!has_something()) {
            pollfd ready = {watch_.get(), POLLIN, 0};
            const int got = ::poll(&ready, 1, detail::poll_timeout(end, longest_sleep()));
            if (got < 0 && errno != EINTR) {
                return status::io;
            }
            if (got <= 0 && detail::left_until(end) == 0) {
                return status::again;
            }
        }
        return status::ok;
    }

    /// A descriptor that becomes readable when there is something to take, or to be done by
    /// trying. It stays this object's. In pull mode nothing rings: look by a timer as well.
    [[nodiscard]] int event_fd() const noexcept { return watch_.get(); }

    /// The consumer that reads now: for its capacity, type, retained messages. nullptr while there
    /// is none. Take no messages from it.
    [[nodiscard]] const consumer *reader() const noexcept { return reader_ ? &*reader_ : nullptr; }
    /// How often it has joined.
    [[nodiscard]] std::uint64_t joins() const noexcept { return joins_; }

private:
    // Whether there may be a message now. What is to be told goes before what comes after it.
    bool advance() {
        if (!birth_.is_here()) {
            return false;
        }
        if (joining_ && !gap_) {
            join();
        }
        return reader_ && !gap_;
    }

    bool has_something() {
        if (!advance() || held_) {
            return gap_ || held_;
        }
        const status seen = reader_->wait(now);
        note_lap();
        look_after(seen);
        return seen == status::ok || gap_;
    }

    // In pull mode nothing rings.
    [[nodiscard]] std::uint64_t longest_sleep() const noexcept {
        return options_.mode == wakeup::push ? ZBQ_WAIT_SLICE_NS : detail::pull_sleep;
    }

    void watch(int fd) {
        if (!detail::watch(watch_, fd)) {
            detail::throw_errno("watching a stream");
        }
    }

    // ---- joining ----

    void join() {
        std::optional<consumer> joined = joining_->step();
        if (!joined) {
            return;
        }
        if (options_.mode == wakeup::push) { // where this fails, the next step joins again
            watch(joined->event_fd());
        }
        ::epoll_ctl(watch_.get(), EPOLL_CTL_DEL, joining_->event_fd(), nullptr);
        joining_.reset();
        reader_ = std::move(joined);
        note_join();
        ++joins_;
        ring_ = reader_->id();
        next_ = reader_->offset();
        lost_ = reader_->lost(); // on the way, which the offsets have told
    }

    // What lies between where it left off and where it goes on.
    void note_join() {
        const zbq_start &wanted = options_.from.get();
        if (joins_ == 0) {
            if (wanted.at == ZBQ_START_OFFSET) {
                const ring_id ring = options_.from.ring();
                const bool same = ring == whichever_ring || ring == reader_->id();
                note(gap_cause::history, bytes_from(same ? wanted.offset : 0), !same);
            }
        } else if (reader_->id() == ring_) {
            note(gap_cause::evicted, bytes_from(next_), false);
        } else { // the old ring was read to its end, unless it was lost before
            gap_ = gap{gap_cause::restarted, reader_->offset(), was_evicted_};
        }
    }

    // None where a hostile producer starts earlier than it was asked to.
    std::uint64_t bytes_from(std::uint64_t offset) const noexcept {
        return reader_->offset() > offset ? reader_->offset() - offset : 0;
    }

    void note(gap_cause cause, std::uint64_t bytes, bool at_least) {
        if (bytes != 0 || at_least) {
            gap_ = gap{cause, bytes, at_least};
        }
    }

    // ---- reading ----

    // Where messages are skipped on purpose there is none.
    void note_lap() {
        const loss until_now = reader_->lost();
        if (until_now.times != lost_.times && options_.flow != flow::newest) {
            note(gap_cause::lapped, until_now.bytes - lost_.bytes, false);
            lost_ = until_now;
            next_ = reader_->offset();
        }
    }

    message keep(message next) {
        next_ = reader_->offset();
        note_lap();
        if (gap_) { // told before the message after it
            held_ = std::move(next);
            return message(status::again);
        }
        return next;
    }

    // In pull mode nothing tells of a producer that was killed, but a system call now and then.
    void look_for_producer() {
        if (options_.mode == wakeup::pull && detail::left_until(next_check_) == 0) {
            static_cast<void>(reader_->producer_is_alive()); // the next look tells
            next_check_ = in(std::chrono::nanoseconds(detail::pull_sleep));
        }
    }

    // Of a look that gave none: where this reader gives no more, another one is to.
    void look_after(status why) {
        if (why == status::again) {
            look_for_producer();
        }
        if (why != status::none && why != status::protocol) {
            return;
        }
        note_lap();
        connect_options again = options_;
        again.wait_for_producer = true;
        again.from = start::at(ring_, next_);
        std::optional<joining> next(std::in_place, name_, again); // before the old one goes
        watch(next->event_fd());
        was_evicted_ =
            reader_->ending() != ending::closed && reader_->ending() != ending::producer_died;
        if (options_.mode == wakeup::push) { // a message that is held may keep it open
            ::epoll_ctl(watch_.get(), EPOLL_CTL_DEL, reader_->event_fd(), nullptr);
        }
        reader_.reset();
        joining_ = std::move(next);
    }

    detail::birthmark birth_;
    std::string name_;
    connect_options options_;
    unique_fd watch_;
    std::optional<joining> joining_;
    std::optional<consumer> reader_;
    std::optional<gap> gap_;
    message held_; // the one after the gap
    ring_id ring_ = {};
    std::uint64_t next_ = 0; // where it goes on
    loss lost_ = {};
    bool was_evicted_ = false;
    deadline next_check_ = now;
    std::uint64_t joins_ = 0;
};

} // namespace ZBQ_NAMESPACE
