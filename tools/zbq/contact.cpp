// SPDX-License-Identifier: MIT
#include "contact.hpp"

#include "errors.hpp"
#include "rendezvous.hpp"
#include "signals.hpp"
#include "units.hpp"

#include <sys/socket.h>
#include <sys/time.h>

namespace zbq::tool {

namespace {

constexpr uint64_t patience = 10 * second;

failure no_answer(const std::string &path) {
    return failure(
        fmt::format("{}: the publisher did not answer in {:.0f} s", path, as_seconds(patience)));
}

// Every step has what is left of the whole time.
class attempt {
public:
    attempt(const std::string &path, zbq_wakeup_mode mode)
        : path_(path), mode_(mode), deadline_(now_ns() + patience) {}

    consumer_handle run() { return open() && say_hello() && is_welcome() ? join() : nullptr; }

private:
    void limit_time() {
        const uint64_t now = now_ns();
        if (now + millisecond >= deadline_) {
            throw no_answer(path_);
        }
        const uint64_t left = deadline_ - now;
        const timeval time = {static_cast<time_t>(left / second),
                              static_cast<suseconds_t>(left % second / microsecond)};
        if (setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0 ||
            setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) != 0) {
            throw system_failure("socket time-out");
        }
    }

    // A call failed: whether to give up without a word, for the publisher is not there.
    [[nodiscard]] bool publisher_absent() const {
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
        case ECONNRESET:
        case EPIPE:
            return true;
        case EAGAIN:
            throw no_answer(path_);
        case EINTR:
            return stop_signal() != 0;
        case EPROTOTYPE:
            throw failure(fmt::format("{} is a socket of another kind", path_));
        default:
            throw system_failure(path_);
        }
    }

    bool open() {
        socket_ = unique_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        if (!socket_) {
            throw system_failure("socket");
        }
        const socket_address address = address_of(path_);
        return complete([&] { return connect(socket_.get(), address.get(), address.size) == 0; });
    }

    bool say_hello() {
        const greeting hello = make_greeting(static_cast<unsigned char>(mode_));
        return complete([&] {
            return send(socket_.get(), hello.data(), hello.size(), MSG_NOSIGNAL) ==
                   static_cast<ssize_t>(hello.size());
        });
    }

    // Repeats an interrupted call. False: the publisher is not there, or a stop signal came.
    template <typename Call>
    bool complete(const Call &call) {
        limit_time();
        while (!call()) {
            if (publisher_absent()) {
                return false;
            }
            limit_time();
        }
        return true;
    }

    bool is_welcome() {
        greeting message = {};
        ssize_t size = 0;
        const bool received = complete([&] {
            size = recv(socket_.get(), message.data(), message.size(), MSG_TRUNC);
            return size >= 0;
        });
        if (!received || size == 0) { // it ended while we were waiting in its queue
            return false;
        }
        if (!is_greeting(message, size)) {
            throw failure(fmt::format("{}: not a zbq publisher's answer", path_));
        }
        return judge(static_cast<answer>(greeting_code(message)));
    }

    [[nodiscard]] bool judge(answer code) const {
        switch (code) {
        case answer::welcome:
            return true;
        case answer::full:
            throw failure(fmt::format(
                "{}: the publisher has no room for another consumer (its --max-consumers)", path_));
        default:
            throw failure(fmt::format("{}: the publisher refused this version of zbq", path_));
        }
    }

    consumer_handle join() {
        zbq_consumer *consumer = nullptr;
        int result = ZBQ_ERROR_AGAIN;
        while (result == ZBQ_ERROR_AGAIN && stop_signal() == 0) {
            limit_time();
            result = zbq_consumer_join(socket_.get(), mode_, &consumer);
        }
        if (result == ZBQ_ERROR_AGAIN) {
            return nullptr; // stopped
        }
        if (result == ZBQ_ERROR_IO) {
            throw system_failure(fmt::format("{}: could not join", path_));
        }
        if (result != ZBQ_OK) {
            throw failure(fmt::format("{}: could not join: {}", path_, zbq_strerror(result)));
        }
        return consumer_handle(consumer);
    }

    const std::string &path_;
    zbq_wakeup_mode mode_;
    uint64_t deadline_;
    unique_fd socket_;
};

} // namespace

consumer_handle join_stream(const std::string &path, zbq_wakeup_mode mode) {
    return attempt(path, mode).run();
}

} // namespace zbq::tool
