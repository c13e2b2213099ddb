// SPDX-License-Identifier: MIT
/// @file
/// Joining a producer by its name, without ever blocking: for programs with an event loop.
#pragma once

#include "consumer.hpp"
#include "greeting.hpp"
#include "identity.hpp"
#include "name.hpp"
#include "place.hpp"
#include "process.hpp"

#include <functional>
#include <optional>
#include <string>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <vector>

namespace ZBQ_NAMESPACE {

/// How to connect.
struct connect_options {
    /// How to learn of messages.
    wakeup mode = wakeup::push;
    /// Whether to hold the producer back.
    zbq::flow flow = zbq::flow::lossless;
    /// Where to start.
    start from = {};
    /// Whether to wait for a producer that is not there yet.
    bool wait_for_producer = true;
    /// Users that may be at the other end. Empty: for an abstract name this process's own
    /// (its effective user) and root, for a path whoever could make it. 65534 is nobody's number,
    /// as in listener_options.
    std::vector<uid_t> producers = {};
    /// Asked a few times a second by connect, when set, and after each signal: true gives up.
    std::function<bool()> give_up = {};
};

namespace detail {

// What there is to wait for: one descriptor over a socket, a timer and a directory.
class join_watch {
public:
    join_watch()
        : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
          timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
        if (!epoll_ || !timer_ || !add(timer_.get(), EPOLLIN)) {
            throw_errno("making a descriptor to wait for a producer");
        }
    }

    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

    // For a socket that is closed later, and leaves the watch by that.
    void watch_socket(int socket) {
        if (!add(socket, EPOLLIN)) {
            throw_errno("watching a socket");
        }
    }

    // Whether it is told when a file comes into the directory. Where that is not there, or there
    // are no means (inotify(7) has limits for each user), only the timer is left.
    bool watch_directory(const std::string &path) noexcept {
        if (!inotify_) {
            inotify_ = unique_fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
            if (!inotify_ || !add(inotify_.get(), EPOLLIN)) {
                inotify_.reset();
                return false;
            }
        }
        constexpr std::uint32_t comes = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
        return ::inotify_add_watch(inotify_.get(), path.c_str(), comes) >= 0;
    }

    void set_timer(std::uint64_t nanoseconds) noexcept {
        const auto time = static_cast<long>(nanoseconds);
        const itimerspec when = {{}, {time / 1'000'000'000, time % 1'000'000'000}};
        ::timerfd_settime(timer_.get(), 0, &when, nullptr);
    }

    // What has been told is not told again.
    void clear() noexcept {
        set_timer(0);
        alignas(inotify_event) char events[4096];
        while (inotify_ && ::read(inotify_.get(), events, sizeof events) > 0) {
        }
    }

private:
    bool add(int fd, std::uint32_t events) noexcept {
        epoll_event event = {};
        event.events = events;
        return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
    }

    unique_fd epoll_;
    unique_fd timer_;
    unique_fd inotify_;
};

} // namespace detail

/// A join under way: looks for the producer at a name (see listener), says hello, and takes a
/// slot, one step after the other. No step blocks.
///
///     zbq::joining join("camera");
///     // in the event loop, when join.event_fd() is readable:
///     if (std::optional<zbq::consumer> reader = join.step()) { ... }
///
/// In a forked child, and moved from, it leads nowhere.
class joining {
public:
    /// @throws error invalid (no name), too_large (its length), refused (the directory is not
    ///               private), io
    explicit joining(std::string name, connect_options options = {})
        : name_(std::move(name)), options_(std::move(options)),
          where_(detail::place_of(name_, detail::directory_use::look)) {
        watch_.set_timer(1); // there is something to do from the start
    }

    /// A descriptor that becomes readable when a step may lead further. It stays this object's.
    [[nodiscard]] int event_fd() const noexcept { return watch_.fd(); }

    /// Goes on as far as it can.
    /// @return the consumer, after which this starts again; or nothing yet
    /// @throws error full, refused (by the producer; or the name is somebody else's), protocol,
    ///               invalid (no message starts where to start), no_memory, io. It can be tried
    ///               again after each
    std::optional<consumer> step() {
        if (!birth_.is_here()) {
            return std::nullopt;
        }
        watch_.clear();
        try {
            return advance();
        } catch (...) {
            start_over(retry);
            throw;
        }
    }

    /// Whether a producer is there, who has not answered yet.
    [[nodiscard]] bool has_met_producer() const noexcept { return socket_ || queue_is_full_; }
    /// Where it looks, in words.
    [[nodiscard]] const std::string &place() const noexcept { return where_.text; }

private:
    // Nanoseconds. Where nobody tells of a name's return it is looked for; else that is for what
    // inotify cannot tell.
    static constexpr std::uint64_t retry = 20'000'000;
    static constexpr std::uint64_t retry_watched = 1'000'000'000;
    static constexpr std::uint64_t retry_queue = 1'000'000; // the listener's is full

    std::optional<consumer> advance() {
        if (!socket_ && !open()) {
            return std::nullopt;
        }
        if (!welcomed_ && !hear_answer()) {
            return std::nullopt;
        }
        std::optional<consumer> joined = take_slot();
        if (joined && !go_to_start(&*joined)) { // it went away meanwhile, or was evicted
            start_over(retry);
            return std::nullopt;
        }
        return joined;
    }

    void start_over(std::uint64_t later) noexcept {
        socket_.reset();
        welcomed_ = false;
        watch_.set_timer(later);
    }

    // Before the look: what comes after it is told.
    std::uint64_t watch_name() {
        where_ = detail::place_of(name_, detail::directory_use::look); // it may be there now
        if (where_.is_abstract()) {
            return retry;
        }
        const std::string directory = detail::directory_of(where_.text);
        return watch_.watch_directory(directory.empty() ? "." : directory) ? retry_watched : retry;
    }

    // Whether the producer is there, and hello was said.
    bool open() {
        const std::uint64_t later = watch_name();
        unique_fd socket(::socket(AF_UNIX, detail::listener_type, 0));
        if (!socket) {
            detail::throw_errno("making a socket");
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
        check_producer(socket.get());
        const zbq_wakeup_mode mode = detail::mode_of(options_.mode, options_.flow);
        if (!detail::send_hello(socket.get(), mode, options_.from.get())) {
            check_absence();
            start_over(later);
            return false;
        }
        watch_.watch_socket(socket.get());
        socket_ = std::move(socket);
        return true;
    }

    // After a failed call: returns when there is no producer, throws when it cannot be one.
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
            detail::throw_errno(where_.text);
        }
    }

    void check_producer(int socket) const {
        if (options_.producers.empty() && !where_.is_abstract()) {
            return;
        }
        const uid_t uid = detail::credentials_of_peer(socket).uid;
        const bool own = options_.producers.empty() && (detail::is_own_user(uid) || uid == 0);
        if (!own && !detail::lists_user(options_.producers, uid)) {
            throw error(status::refused, where_.text + " belongs to " + detail::user_text(uid));
        }
    }

    // Whether it was welcomed.
    bool hear_answer() {
        detail::greeting message = {};
        const ssize_t size = detail::receive_packet(socket_.get(), &message);
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
        check_answer(message, size);
        welcomed_ = true;
        return true;
    }

    void check_answer(const detail::greeting &message, ssize_t size) const {
        if (!detail::is_greeting(message, size)) {
            throw error(status::protocol, where_.text + ": not a zbq producer's answer");
        }
        const detail::answer said = detail::answer_in(message);
        if (said == detail::answer::no_such_start) {
            throw no_such_start();
        }
        if (said != detail::answer::welcome) {
            throw error(said == detail::answer::full ? status::full : status::refused, where_.text);
        }
    }

    std::optional<consumer> take_slot() {
        try {
            std::optional<consumer> joined(std::in_place, socket_.get(), options_.mode,
                                           options_.flow);
            start_over(0);
            return joined;
        } catch (const error &failure) {
            if (failure.code() == status::again) {
                return std::nullopt;
            }
            throw error(static_cast<status>(failure.code().value()), "joining " + where_.text,
                        failure.os_error());
        }
    }

    // From the last start before it that the producer knows. Whether it came there.
    bool go_to_start(consumer *joined) const {
        const zbq_start &wanted = options_.from.get();
        const std::uint64_t head = zbq_consumer_acquire_head(joined->get());
        const bool last = wanted.at == ZBQ_START_LAST && wanted.offset < head;
        if (last ||
            (wanted.at == ZBQ_START_OFFSET && joined->offset() < wanted.offset &&
             (options_.from.ring() == joined->id() || options_.from.ring() == whichever_ring))) {
            const std::uint64_t target = last ? head - wanted.offset : wanted.offset;
            const int found = zbq_consumer_skip(joined->get(), target);
            if (found == ZBQ_ERROR_INVALID && !last) {
                throw no_such_start();
            }
            if (found == ZBQ_ERROR_AGAIN || found == ZBQ_ERROR_PROTOCOL) { // it was to be there
                throw error(status::protocol, "joining " + where_.text);
            }
            return found != ZBQ_ERROR_NOENT;
        }
        return true;
    }

    error no_such_start() const {
        return {status::invalid, where_.text + ": no message starts at offset " +
                                     std::to_string(options_.from.get().offset)};
    }

    detail::birthmark birth_;
    std::string name_;
    connect_options options_;
    detail::place where_;
    detail::join_watch watch_;
    unique_fd socket_;
    bool queue_is_full_ = false;
    bool welcomed_ = false;
};

} // namespace ZBQ_NAMESPACE
