// SPDX-License-Identifier: MIT
/// @file
/// Towards whoever listens at a name, without ever blocking. Not part of the interface.
#pragma once

#include "greeting.hpp"
#include "identity.hpp"
#include "name.hpp"
#include "place.hpp"
#include "process.hpp"
#include "time.hpp"
#include "watch.hpp"

#include <functional>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/inotify.h>
#include <vector>

namespace ZBQ_NAMESPACE::detail {

// What there is to wait for: one descriptor over a socket, a timer and a directory.
class approach_watch {
public:
    approach_watch() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), timer_(make_timer()) {
        if (!epoll_ || !timer_ || !watch(epoll_, timer_.get())) {
            throw_errno("making a descriptor to wait for a name");
        }
    }

    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

    void watch_socket(int socket) {
        if (!watch(epoll_, socket)) {
            throw_errno("watching a socket");
        }
    }
    // Before it is closed: a forked child may have a copy, and the entry would outlive it here.
    void forget(int socket) noexcept { watch(epoll_, socket, 0, EPOLL_CTL_DEL); }

    // Whether it is told when a file comes into the directory. Where that is not there, or there
    // are no means (inotify(7) has limits for each user), only the timer is left.
    bool watch_directory(const std::string &path) noexcept {
        if (!inotify_) {
            inotify_ = unique_fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
            if (!inotify_ || !watch(epoll_, inotify_.get())) {
                inotify_.reset();
                return false;
            }
        }
        constexpr std::uint32_t comes = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
        return ::inotify_add_watch(inotify_.get(), path.c_str(), comes) >= 0;
    }

    void set_timer(std::uint64_t nanoseconds) noexcept { detail::set_timer(timer_, nanoseconds); }

    // What has been told is not told again.
    void clear() noexcept {
        set_timer(0);
        alignas(inotify_event) char events[4096];
        while (inotify_ && ::read(inotify_.get(), events, sizeof events) > 0) {
        }
    }

private:
    unique_fd epoll_;
    unique_fd timer_;
    unique_fd inotify_;
};

// Looks for whoever listens at a name, says hello, and hears the answer, one step after the other.
// In a forked child, and moved from, it leads nowhere.
class approach {
public:
    // Nanoseconds. Where nobody tells of a name's return it is looked for.
    static constexpr std::uint64_t retry = 20'000'000;

    approach(std::string name, std::vector<uid_t> expected, bool anyone = false)
        : name_(std::move(name)), expected_(std::move(expected)), anyone_(anyone),
          where_(place_of(name_, directory_use::look)) {
        watch_.set_timer(1); // there is something to do from the start
    }

    [[nodiscard]] int event_fd() const noexcept { return watch_.fd(); }
    // Somebody is there, who has not answered yet.
    [[nodiscard]] bool has_met() const noexcept { return socket_ || queue_is_full_; }
    [[nodiscard]] const place &where() const noexcept { return where_; }
    // Connected to who has answered.
    [[nodiscard]] int socket() const noexcept { return socket_.get(); }

    // What is answered to the hello, and again until it starts over; nothing yet.
    std::optional<answer> step(const hello &message) {
        if (!birth_.is_here()) {
            return std::nullopt;
        }
        watch_.clear();
        const bool is_answered = (socket_ || open(message)) && (said_ || hear_answer());
        return is_answered ? said_ : std::nullopt;
    }

    // Throws unless it is a welcome.
    void check_welcome(answer said, const char *instead) const {
        if (said == answer::other_side) {
            throw error(status::refused, where_.text + instead);
        }
        if (said != answer::welcome) {
            throw error(said == answer::full ? status::full : status::refused, where_.text);
        }
    }

    // Goes on; what that throws can be tried again.
    template <typename Advance>
    auto attempt(const Advance &advance) {
        try {
            return advance();
        } catch (...) {
            start_over(retry);
            throw;
        }
    }

    void start_over(std::uint64_t later) noexcept {
        watch_.forget(socket_.get());
        socket_.reset();
        said_.reset();
        watch_.set_timer(later);
    }

private:
    static constexpr std::uint64_t retry_watched = 1'000'000'000; // for what inotify cannot tell
    static constexpr std::uint64_t retry_queue = 1'000'000;       // the listener's is full

    // Before the look: what comes after it is told.
    std::uint64_t watch_name() {
        where_ = place_of(name_, directory_use::look); // it may be there now
        if (where_.is_abstract()) {
            return retry;
        }
        const std::string directory = directory_of(where_.text);
        return watch_.watch_directory(directory.empty() ? "." : directory) ? retry_watched : retry;
    }

    // Whether somebody is there, and hello was said.
    bool open(const hello &message) {
        const std::uint64_t later = watch_name();
        unique_fd socket(::socket(AF_UNIX, listener_type, 0));
        if (!socket) {
            throw_errno("making a socket");
        }
        if (::connect(socket.get(), where_.get(), where_.size) != 0) {
            queue_is_full_ = errno == EAGAIN; // somebody is there
            if (!queue_is_full_) {
                check_absence();
            }
            start_over(queue_is_full_ ? retry_queue : later);
            return false;
        }
        queue_is_full_ = false;
        check_listener(socket.get());
        if (!send_packet(socket.get(), message)) {
            check_absence();
            start_over(later);
            return false;
        }
        watch_.watch_socket(socket.get());
        socket_ = std::move(socket);
        return true;
    }

    // After a failed call: returns when nobody is there, throws when it cannot be.
    void check_absence() const {
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
        case ECONNRESET:
        case EPIPE:
            return;
        case EPROTOTYPE:
            throw error(status::refused, where_.text + " is a socket of another kind");
        default:
            throw_errno(where_.text);
        }
    }

    void check_listener(int socket) const {
        if (anyone_ || (expected_.empty() && !where_.is_abstract())) {
            return;
        }
        const uid_t uid = credentials_of_peer(socket).uid;
        const bool own = expected_.empty() && (is_own_user(uid) || uid == 0);
        if (!own && !lists_user(expected_, uid)) {
            throw error(status::refused, where_.text + " belongs to " + user_text(uid));
        }
    }

    // Whether there is one.
    bool hear_answer() {
        greeting message = {};
        const ssize_t size = receive_packet(socket_.get(), &message);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return false;
        }
        if (size < 0) {
            check_absence();
        }
        if (size <= 0) { // it went away meanwhile
            start_over(retry);
            return false;
        }
        if (!is_greeting(message, size)) {
            throw error(status::protocol, where_.text + ": not a zbq program's answer");
        }
        said_ = answer_in(message);
        return true;
    }

    birthmark birth_;
    std::string name_;
    std::vector<uid_t> expected_; // users; empty: own and root, for an abstract name
    bool anyone_;                 // may be there
    place where_;
    approach_watch watch_;
    unique_fd socket_;
    std::optional<answer> said_;
    bool queue_is_full_ = false;
};

// How often give_up is asked.
inline constexpr std::uint64_t give_up_interval = 50'000'000;

// What a walk depends on.
struct walk_terms {
    deadline end = never;
    bool waits = true;                    // for somebody to appear
    const std::function<bool()> *give_up; // may be empty
    const char *missing;                  // what nobody does there
};

inline void check_patience(bool has_met, const std::string &where, const walk_terms &terms) {
    if (*terms.give_up && (*terms.give_up)()) {
        throw error(status::again, where + ": given up");
    }
    const bool is_over = left_until(terms.end) == 0;
    if (is_over && has_met) {
        throw error(status::again, where + ": it did not answer");
    }
    if (!has_met && (is_over || !terms.waits)) {
        throw error(status::none, std::string("nobody ") + terms.missing + " at " + where);
    }
}

// One step of a way after the other, until it has led somewhere.
template <typename Way, typename Step>
auto walk(Way *way, const Step &step, const walk_terms &terms) {
    for (;;) {
        if (auto reached = step()) {
            return std::move(*reached);
        }
        check_patience(way->has_met(), way->place(), terms);
        pollfd ready = {way->event_fd(), POLLIN, 0};
        ::poll(&ready, 1, poll_timeout(terms.end, give_up_interval)); // EINTR: again
    }
}

} // namespace ZBQ_NAMESPACE::detail
