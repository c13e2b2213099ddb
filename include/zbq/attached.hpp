// SPDX-License-Identifier: MIT
/// @file
/// What a producer serves while it waits. Not part of the interface.
#pragma once

#include "error.hpp"
#include "time.hpp"

#include <concepts>
#include <cstddef>
#include <ctime>
#include <exception>
#include <poll.h>
#include <utility>
#include <vector>

namespace ZBQ_NAMESPACE {

class producer;

/// What can be attached to a producer: it has a descriptor that becomes readable when serve has
/// something to do, which never blocks. A listener, a dialing, or an application's own. Whatever it
/// calls, nothing is served meanwhile. It may publish messages, but for such with descriptors.
template <typename T>
concept service = requires(T &attached, producer &ring) {
    { attached.event_fd() }
    noexcept->std::same_as<int>;
    attached.serve(ring);
};

namespace detail {

// Services, and the descriptors to wait for; in front of them there is room for one more.
class attachments {
public:
    template <service Service>
    void add(Service *attached) {
        const pollfd own = {attached->event_fd(), POLLIN, 0};
        polled_.resize(services_.size() + 1); // first: it is as long where the next one fails
        services_.push_back({attached, [](void *object, producer &ring) {
                                 static_cast<Service *>(object)->serve(ring);
                             }});
        polled_.push_back(own);
    }

    void remove(const void *attached) noexcept {
        for (std::size_t i = services_.size(); i-- != 0;) {
            if (services_[i].object == attached) {
                const auto place = static_cast<std::ptrdiff_t>(i);
                services_.erase(services_.begin() + place);
                polled_.erase(polled_.begin() + place + 1);
            }
        }
    }

    [[nodiscard]] bool empty() const noexcept { return services_.empty(); }

    // Waits for the services and this descriptor (-1: for them alone), and serves.
    // Whether this one is readable, or poll's error as errno. From inside of a service for it
    // alone.
    int wait(producer &ring, int fd, int timeout) noexcept {
        if (services_.empty() || is_serving_) {
            pollfd alone = {fd, POLLIN, 0};
            return ::poll(&alone, 1, timeout);
        }
        polled_.front() = {fd, POLLIN, 0};
        const int ready = ::poll(polled_.data(), polled_.size(), timeout);
        const bool is_own = polled_.front().revents != 0;
        if (ready > 0) {
            serve_ready(ring);
        }
        return ready > 0 ? static_cast<int>(is_own) : ready;
    }

    // For who is busy: at most once in a tick of the kernel's clock (1 to 10 ms), for the look at
    // that is cheap.
    void look(producer &ring) noexcept {
        if (!empty()) {
            timespec time = {};
            ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
            if (time.tv_nsec != looked_at_.tv_nsec || time.tv_sec != looked_at_.tv_sec) {
                looked_at_ = time;
                wait(ring, -1, 0);
            }
        }
    }

    void rethrow() {
        if (failure_) {
            std::rethrow_exception(std::exchange(failure_, nullptr));
        }
    }

private:
    struct attachment {
        void *object;
        void (*serve)(void *, producer &);
    };

    void serve_ready(producer &ring) noexcept {
        is_serving_ = true;
        for (std::size_t i = 0; i < services_.size(); ++i) {
            if (polled_[i + 1].revents != 0) {
                serve(ring, services_[i]);
            }
        }
        is_serving_ = false;
    }

    // Whoever waits for room is told of that alone.
    void serve(producer &ring, const attachment &one) noexcept {
        try {
            one.serve(one.object, ring);
        } catch (...) {
            failure_ = std::current_exception();
        }
    }

    std::vector<attachment> services_;
    std::vector<pollfd> polled_;
    std::exception_ptr failure_; // the last one
    timespec looked_at_ = {};
    bool is_serving_ = false;
};

} // namespace detail

} // namespace ZBQ_NAMESPACE
