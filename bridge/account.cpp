// SPDX-License-Identifier: MIT
#include "account.hpp"

#include "runner.hpp"

#include <atomic>
#include <ctime>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace zbq::bridge {

namespace {

std::atomic<unsigned> asked = 0;

} // namespace

unsigned times_asked() {
    return asked;
}

void note_asked() {
    ++asked;
}

std::string to_json(const account &what) {
    return nlohmann::json({{"bridge", what.direction},
                           {"ring", what.name},
                           {"stream", what.stream},
                           {"messages", what.messages},
                           {"bytes", what.bytes},
                           {"frames", what.frames},
                           {"acknowledged", what.acknowledged},
                           {"duplicates", what.duplicates},
                           {"gaps", what.gaps},
                           {"missed", what.missed},
                           {"descriptors", what.descriptors},
                           {"reconnects", what.reconnects},
                           {"lag_bytes", what.lag_bytes},
                           {"lag_frames", what.lag_frames},
                           {"silent_since", what.silent_since}})
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string to_text(const account &what) {
    std::string text = fmt::format("{} {}: {} messages, {} bytes, {} frames", what.direction,
                                   what.name, what.messages, what.bytes, what.frames);
    const auto add = [&text](std::uint64_t count, const char *words) {
        if (count != 0) {
            text += fmt::format(", {} {}", count, words);
        }
    };
    add(what.acknowledged, "acknowledged");
    add(what.duplicates, "duplicates");
    if (what.gaps != 0) {
        text += fmt::format(", {} gaps of {} bytes or more", what.gaps, what.missed);
    }
    add(what.descriptors, "descriptors that did not cross");
    add(what.reconnects, "reconnections");
    if (what.silent_since != 0) {
        text += fmt::format(", no answer from the server for {} s",
                            (wall_clock() - what.silent_since) / 1'000'000'000);
    }
    return text;
}

std::uint64_t wall_clock() {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace zbq::bridge
