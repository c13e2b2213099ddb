// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include "io.hpp"
#include "units.hpp"

#include <fmt/core.h>

#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace zbq::tool {

namespace {

// So much of it as the terminal shows without going on in the next line, from which nothing
// would bring it back.
std::string_view cut_to_width(std::string_view line) {
    winsize size = {};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
    return line.substr(0, (known ? size.ws_col : 80) - 1U);
}

} // namespace

progress::progress(bool wanted)
    : enabled_(wanted && isatty(STDERR_FILENO) == 1), last_time_(now_ns()) {}

bool progress::due(uint64_t now) const {
    return enabled_ && now >= last_time_ + 250 * millisecond;
}

void progress::update(uint64_t now, const tally &so_far, const std::string &more) {
    const double rate =
        static_cast<double>(so_far.bytes - last_bytes_) / as_seconds(now - last_time_);
    const std::string line =
        fmt::format("{} messages, {}, {}/s, {}", so_far.messages,
                    format_bytes(static_cast<double>(so_far.bytes)), format_bytes(rate), more);
    show(fmt::format("\r{}\033[K", cut_to_width(line)));
    last_time_ = now;
    last_bytes_ = so_far.bytes;
    shown_ = true;
}

void progress::clear() {
    if (shown_) {
        show("\r\033[K");
        shown_ = false;
    }
}

} // namespace zbq::tool
