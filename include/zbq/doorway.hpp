// SPDX-License-Identifier: MIT
/// @file
/// Strangers at a named socket, and how little they may cost. Not part of the interface.
#pragma once

#include "name.hpp"
#include "watch.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

namespace ZBQ_NAMESPACE::detail {

// How much strangers may cost.
struct stranger_limits {
    std::size_t most = 16; // waiting: the oldest makes way for a newer one
    std::chrono::nanoseconds patience{};
};

// Accepts who connects, and hears each until it is settled. Nothing that a stranger does blocks it:
// all sockets are non-blocking, and each call of serve does a bounded amount, after which strangers
// are left alone for four times as long as it took, but 100 ms at most.
//
// Affair: what is known so far of one who is not settled.
template <typename Affair>
class doorway {
public:
    struct stranger {
        unique_fd socket;
        deadline until;
        Affair affair = {};
    };

    doorway(named_socket &&named, stranger_limits limits)
        : limits_(limits), watch_(::epoll_create1(EPOLL_CLOEXEC)),
          door_(::epoll_create1(EPOLL_CLOEXEC)), timer_(make_timer()),
          listening_(std::move(named.socket)), file_(std::move(named.file)) {
        const bool is_watched = watch_ && door_ && timer_ && watch(door_, listening_.get()) &&
                                watch(watch_, door_.get()) && watch(watch_, timer_.get());
        if (!is_watched) {
            throw_errno("watching a socket");
        }
        read_overflow_ids();
    }

    // Readable when serve has something to do; -1 when moved from.
    [[nodiscard]] int event_fd() const noexcept { return watch_.get(); }

    // Hear says of a stranger whether there is nothing more to expect of it. Nothing in a forked
    // child, from inside of itself, and while strangers are left alone.
    template <typename Hear>
    void serve(const Hear &hear) {
        if (!birth_.is_here() || is_serving_ || left_until(resting_until_) != 0) {
            return;
        }
        const serving within(&is_serving_);
        rest(now);
        const deadline start = clock::now();
        const bool settled = hear_strangers(hear);
        const bool accepted = accept_some(hear);
        if (settled || accepted) {
            rest_from(clock::now() - start);
        }
        set_timer();
    }

private:
    using strangers = std::deque<stranger>; // the oldest first
    static constexpr std::chrono::milliseconds longest_rest{100};

    // Ends with the call, however that ends.
    class serving {
    public:
        explicit serving(bool *flag) noexcept : flag_(flag) { *flag = true; }
        serving(const serving &) = delete;
        serving &operator=(const serving &) = delete;
        serving(serving &&) = delete;
        serving &operator=(serving &&) = delete;
        ~serving() { *flag_ = false; }

    private:
        bool *flag_;
    };

    // The timer serves strangers who are late, and the end of a rest.
    void set_timer() {
        deadline next = never;
        if (resting_until_ > now) {
            next = resting_until_;
        } else if (!strangers_.empty()) {
            next = strangers_.front().until;
        }
        detail::set_timer(timer_, next);
    }

    // Nothing of what strangers do makes the descriptor readable until then.
    void rest(deadline until) {
        const bool resting = until > now;
        if (resting != (resting_until_ > now)) {
            // Were it to fail: a wait that ends too early.
            watch(watch_, door_.get(), resting ? 0U : std::uint32_t{EPOLLIN}, EPOLL_CTL_MOD);
        }
        resting_until_ = until;
    }

    // Whoever comes, the program has four fifths of its time to itself.
    void rest_from(std::chrono::nanoseconds work) {
        rest(std::max(resting_until_,
                      in(std::min<std::chrono::nanoseconds>(4 * work, longest_rest))));
    }

    // Out of descriptors or memory: the queue would keep the descriptor readable all the while.
    void give_up() {
        rest(in(longest_rest));
        while (!strangers_.empty()) {
            drop(strangers_.begin());
        }
    }

    // While it is watched: a forked child may have a copy, and the entry would outlive it here.
    typename strangers::iterator drop(const typename strangers::iterator &who) {
        watch(door_, who->socket.get(), 0, EPOLL_CTL_DEL);
        return strangers_.erase(who);
    }

    void keep(stranger who) {
        if (!strangers_.empty() && strangers_.size() >= limits_.most) {
            drop(strangers_.begin());
        }
        if (watch(door_, who.socket.get())) { // else it is dropped
            strangers_.push_back(std::move(who));
        }
    }

    // Whether any of them has been settled.
    template <typename Hear>
    bool hear_strangers(const Hear &hear) {
        const std::size_t before = strangers_.size();
        for (auto who = strangers_.begin(); who != strangers_.end();) {
            who = hear(*who) ? drop(who) : who + 1;
        }
        const bool settled = strangers_.size() != before;
        while (!strangers_.empty() && left_until(strangers_.front().until) == 0) {
            drop(strangers_.begin());
        }
        return settled;
    }

    // Whether there was anybody.
    template <typename Hear>
    bool accept_some(const Hear &hear) {
        const std::size_t most = std::max<std::size_t>(limits_.most, 1);
        for (std::size_t i = 0; i < most; ++i) {
            stranger who = {unique_fd(::accept4(listening_.get(), nullptr, nullptr,
                                                SOCK_NONBLOCK | SOCK_CLOEXEC)),
                            in(limits_.patience)};
            if (!who.socket) {
                if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                    give_up();
                }
                return i != 0;
            }
            if (!hear(who)) {
                keep(std::move(who));
            }
        }
        return true;
    }

    stranger_limits limits_;
    unique_fd watch_; // epoll of the next two
    unique_fd door_;  // epoll of the socket and the strangers
    unique_fd timer_; // the next stranger's end, or the end of a rest
    unique_fd listening_;
    strangers strangers_;
    deadline resting_until_ = now;
    bool is_serving_ = false;
    birthmark birth_;
    std::optional<socket_file> file_;
};

} // namespace ZBQ_NAMESPACE::detail
