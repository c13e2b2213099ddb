// SPDX-License-Identifier: MIT
/// @file
/// Joining a producer by its name.
#pragma once

#include "joining.hpp"

#include <poll.h>
#include <string>

namespace ZBQ_NAMESPACE {

namespace detail {

// How often give_up is asked.
inline constexpr std::uint64_t give_up_interval = 50'000'000;

inline void check_patience(const joining &join, deadline end, const connect_options &options) {
    if (options.give_up && options.give_up()) {
        throw error(status::again, join.place() + ": given up");
    }
    const bool is_over = left_until(end) == 0;
    if (is_over && join.has_met_producer()) {
        throw error(status::again, join.place() + ": the producer did not answer");
    }
    if (!join.has_met_producer() && (is_over || !options.wait_for_producer)) {
        throw error(status::none, "nobody publishes at " + join.place());
    }
}

} // namespace detail

/// Joins the producer at a name (see listener). Waits until the deadline for it to appear, if
/// asked to, and to answer.
/// @throws error none (nobody publishes there), again (no answer in time, or given up), full,
///               refused (by the producer; or the name is somebody else's), protocol, invalid
///               (no name; or no message starts where to start), too_large (its length),
///               no_memory, io
[[nodiscard]] inline consumer connect(const std::string &name, deadline end,
                                      const connect_options &options = {}) {
    joining join(name, options);
    for (;;) {
        if (std::optional<consumer> joined = join.step()) {
            return std::move(*joined);
        }
        detail::check_patience(join, end, options);
        pollfd ready = {join.event_fd(), POLLIN, 0};
        ::poll(&ready, 1, detail::poll_timeout(end, detail::give_up_interval)); // EINTR: again
    }
}

} // namespace ZBQ_NAMESPACE
