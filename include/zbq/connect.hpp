// SPDX-License-Identifier: MIT
/// @file
/// Joining a producer by its name.
#pragma once

#include "consumer.hpp"
#include "greeting.hpp"
#include "identity.hpp"
#include "place.hpp"

#include <functional>
#include <poll.h>
#include <string>
#include <vector>

namespace ZBQ_NAMESPACE {

/// How to connect.
struct connect_options {
    /// How to learn of messages.
    wakeup mode = wakeup::push;
    /// Whether to hold the producer back.
    zbq::flow flow = zbq::flow::lossless;
    /// Where to start.
    zbq::start from = {};
    /// Whether to wait for a producer that is not there yet.
    bool wait_for_producer = true;
    /// Users that may be at the other end. Empty: for an abstract name this process's own
    /// (its effective user) and root, for a path whoever could make it. 65534 is nobody's number,
    /// as in listener_options.
    std::vector<uid_t> producers = {};
    /// Asked a few times a second, when set, and after each signal: true gives up.
    std::function<bool()> give_up = {};
};

namespace detail {

// One attempt after another, each in steps that wait in poll for what is left of the time.
class connection {
public:
    connection(const std::string &name, deadline end, const connect_options &options)
        : name_(name), where_(place_of(name, directory_use::look)), end_(end), options_(options) {}

    consumer join() {
        while (!(open() && greet())) {
            if (!options_.wait_for_producer || left_until(end_) == 0) {
                throw error(status::none, "nobody publishes at " + where_.text);
            }
            wait_for(-1, POLLIN);
            where_ = place_of(name_, directory_use::look); // its directory may be there now
        }
        return take_slot();
    }

private:
    static constexpr std::uint64_t step = 50'000'000;

    // Whether it is worth while to try: false when the producer is not there.
    bool open() {
        socket_ = unique_fd(::socket(AF_UNIX, listener_type, 0));
        if (!socket_) {
            throw_errno("making a socket");
        }
        while (::connect(socket_.get(), where_.get(), where_.size) != 0) {
            if (errno != EAGAIN) { // its queue is full
                return may_come_back();
            }
            wait_for_answer(-1);
        }
        check_producer();
        return true;
    }

    // After a failed call: false when there is no producer, throws when it cannot be one.
    bool may_come_back() const {
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
        case ECONNRESET:
        case EPIPE:
            return false;
        case EPROTOTYPE:
            throw error(status::refused, where_.text + " is a socket of another kind");
        default:
            throw_errno(where_.text);
        }
    }

    void check_producer() const {
        if (options_.producers.empty() && !where_.is_abstract()) {
            return;
        }
        const uid_t uid = credentials_of_peer(socket_.get()).uid;
        const bool own = options_.producers.empty() && (is_own_user(uid) || uid == 0);
        if (!own && !lists_user(options_.producers, uid)) {
            throw error(status::refused, where_.text + " belongs to " + user_text(uid));
        }
    }

    // Waits a step at most.
    void wait_for(int fd, short events) const {
        if (options_.give_up && options_.give_up()) {
            throw error(status::again, where_.text + ": given up");
        }
        pollfd polled = {fd, events, 0};
        ::poll(&polled, 1, poll_timeout(end_, step)); // EINTR: the next round asks again
    }

    void wait_for_answer(int fd) const {
        if (left_until(end_) == 0) {
            throw error(status::again, where_.text + ": the producer did not answer");
        }
        wait_for(fd, POLLIN);
    }

    // Whether it was welcomed; false when the producer went away meanwhile.
    bool greet() const {
        const zbq_wakeup_mode mode = mode_of(options_.mode, options_.flow);
        if (!send_hello(socket_.get(), mode, options_.from.get())) {
            return may_come_back();
        }
        greeting message = {};
        ssize_t size = receive_packet(socket_.get(), &message);
        while (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            wait_for_answer(socket_.get());
            size = receive_packet(socket_.get(), &message);
        }
        if (size < 0) {
            return may_come_back();
        }
        return size > 0 && is_welcome(message, size);
    }

    bool is_welcome(const greeting &message, ssize_t size) const {
        if (!is_greeting(message, size)) {
            throw error(status::protocol, where_.text + ": not a zbq producer's answer");
        }
        const answer said = answer_in(message);
        if (said == answer::no_such_start) {
            throw error(status::invalid, where_.text + ": no message starts at offset " +
                                             std::to_string(options_.from.get().offset));
        }
        if (said != answer::welcome) {
            throw error(said == answer::full ? status::full : status::refused, where_.text);
        }
        return true;
    }

    consumer take_slot() const {
        for (;;) {
            try {
                return consumer(socket_.get(), options_.mode, options_.flow);
            } catch (const error &failure) {
                if (failure.code() != status::again) {
                    throw error(static_cast<status>(failure.code().value()),
                                "joining " + where_.text, failure.os_error());
                }
            }
            wait_for_answer(socket_.get());
        }
    }

    std::string name_;
    place where_;
    deadline end_;
    const connect_options &options_;
    unique_fd socket_;
};

} // namespace detail

/// Joins the producer at a name (see listener). Waits until the deadline for it to appear, if
/// asked to, and to answer.
/// @throws error none (nobody publishes there), again (no answer in time, or given up), full,
///               refused (by the producer; or the name is somebody else's), protocol, invalid
///               (no name; or no message starts where to start), too_large (its length), no_memory, io
[[nodiscard]] inline consumer connect(const std::string &name, deadline end,
                                      const connect_options &options = {}) {
    return detail::connection(name, end, options).join();
}

} // namespace ZBQ_NAMESPACE
