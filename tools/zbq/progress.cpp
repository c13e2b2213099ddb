// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include "units.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <unistd.h>

namespace zbq::tool {

progress::progress(bool wanted)
    : enabled_(wanted && isatty(STDERR_FILENO) == 1), last_time_(now_ns()) {}

bool progress::due(uint64_t now) const {
    return enabled_ && now >= last_time_ + 250 * millisecond;
}

void progress::show(uint64_t now, const tally &so_far, const std::string &more) {
    const double rate =
        static_cast<double>(so_far.bytes - last_bytes_) / as_seconds(now - last_time_);
    fmt::print(stderr, "\r{} messages, {}, {}/s, {}\033[K", so_far.messages,
               format_bytes(static_cast<double>(so_far.bytes)), format_bytes(rate), more);
    std::fflush(stderr);
    last_time_ = now;
    last_bytes_ = so_far.bytes;
    shown_ = true;
}

void progress::clear() {
    if (shown_) {
        fmt::print(stderr, "\r\033[K");
        std::fflush(stderr);
        shown_ = false;
    }
}

} // namespace zbq::tool
