// SPDX-License-Identifier: MIT
//
// What exporter and importer share: they connect, go on, and when that fails do so again, after a
// pause that grows.
#pragma once

#include "account.hpp"
#include "carrier.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <poll.h>
#include <string>

#include "tools/zbq/io.hpp"
#include "tools/zbq/signals.hpp"
#include "tools/zbq/units.hpp"

namespace zbq::bridge {

// How often SIGUSR1 came, for all bridges of this process.
[[nodiscard]] unsigned times_asked();
void note_asked(); // by the main thread

class runner {
public:
    runner(account *what, bool json) : account_(what), json_(json) {}

    // Calls session(), which connects and goes on until it throws, or gives true: it is done.
    template <typename Session>
    void run(const Session &session) {
        while (tool::stop_signal() == 0) {
            try {
                if (session()) {
                    return;
                }
            } catch (const trouble &failed) {
                if (failed.is_final()) {
                    throw;
                }
                note_trouble(failed.what());
            }
            pause();
        }
    }

    // The server has answered what matters: what comes next is another trouble.
    void note_answer() {
        account_->silent_since = 0;
        pause_ = shortest_pause;
        if (!told_.empty()) {
            told_.clear();
            account_->reconnects += has_answered_ ? 1 : 0;
            say("goes on");
        }
        has_answered_ = true;
    }
    void say(const std::string &text) const {
        tool::say(fmt::format("bridge {} {}: {}", account_->direction, account_->name, text));
    }
    // At SIGUSR1 an account; some times a second for who looks at the ring that tells of it.
    void look_around() {
        const std::uint64_t now = tool::now_coarse_ns();
        if (now >= shown_at_ + show_interval) {
            shown_at_ = now;
            show(*account_);
        }
        if (asked_ != times_asked()) {
            asked_ = times_asked();
            tell();
        }
    }
    void tell() const { tool::say_at_last(json_ ? to_json(*account_) : to_text(*account_)); }

private:
    static constexpr std::uint64_t show_interval = 200 * tool::millisecond;
    static constexpr std::uint64_t shortest_pause = 50 * tool::millisecond;
    static constexpr std::uint64_t longest_pause = 2 * tool::second;

    void note_trouble(const std::string &text) {
        if (account_->silent_since == 0) {
            account_->silent_since = tool::wall_clock();
            show(*account_);
        }
        if (told_ != text) {
            told_ = text;
            say(text + "; trying again");
        }
    }
    void pause() {
        const std::uint64_t end = tool::now_ns() + pause_;
        for (std::uint64_t now = 0; tool::stop_signal() == 0 && now < end; now = tool::now_ns()) {
            poll(nullptr, 0, 20);
            look_around();
        }
        pause_ = std::min(2 * pause_, longest_pause);
    }

    account *account_;
    bool json_;
    unsigned asked_ = times_asked();
    std::uint64_t shown_at_ = 0;
    std::uint64_t pause_ = shortest_pause;
    std::string told_;
    bool has_answered_ = false;
};

// Sleeps until one of these descriptors (-1: none) is readable, or so long.
inline void wait_for(std::initializer_list<int> fds, std::uint64_t nanoseconds) {
    std::array<pollfd, 4> polled = {};
    nfds_t count = 0;
    for (const int fd : fds) {
        polled[count++] = {fd, POLLIN, 0};
    }
    const timespec time = {static_cast<time_t>(nanoseconds / tool::second),
                           static_cast<long>(nanoseconds % tool::second)};
    ppoll(polled.data(), count, &time, nullptr);
}

} // namespace zbq::bridge
