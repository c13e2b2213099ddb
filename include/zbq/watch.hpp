// SPDX-License-Identifier: MIT
/// @file
/// Descriptors over others: epoll(7) and timerfd_create(2). Not part of the interface.
#pragma once

#include "descriptors.hpp"
#include "time.hpp"

#include <algorithm>
#include <cstdint>
#include <sys/epoll.h>
#include <sys/timerfd.h>

namespace ZBQ_NAMESPACE::detail {

// Adds a descriptor to an epoll, or changes what is waited for.
inline bool watch(const unique_fd &epoll, int fd, std::uint32_t events = EPOLLIN,
                  int operation = EPOLL_CTL_ADD, std::uint64_t number = 0) noexcept {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = number;
    return ::epoll_ctl(epoll.get(), operation, fd, &event) == 0;
}

inline unique_fd make_timer() noexcept {
    return unique_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

// Readable after so many nanoseconds; 0: not.
inline void set_timer(const unique_fd &timer, std::uint64_t nanoseconds) noexcept {
    const auto time = static_cast<long>(nanoseconds);
    const itimerspec when = {{}, {time / 1'000'000'000, time % 1'000'000'000}};
    ::timerfd_settime(timer.get(), 0, &when, nullptr);
}

inline void set_timer(const unique_fd &timer, deadline when) noexcept {
    set_timer(timer, when == never ? 0 : std::max<std::uint64_t>(left_until(when), 1));
}

} // namespace ZBQ_NAMESPACE::detail
