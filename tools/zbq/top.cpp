// SPDX-License-Identifier: MIT
//
// zbq top: the rings that this user can reach, on a screen.
#include "board.hpp"
#include "commands.hpp"
#include "errors.hpp"
#include "places.hpp"
#include "signals.hpp"
#include "survey.hpp"
#include "terminal.hpp"
#include "units.hpp"

#include <algorithm>
#include <optional>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr uint64_t longest_wait = 250 * millisecond; // for flags, and what is read again

class watcher {
public:
    explicit watcher(const top_options &options) : options_(options) {}

    int run() {
        while (stop_signal() == 0 && take_keys()) {
            go_on();
            board_.read_again(now_ns());
            draw();
        }
        return stop_signal() != 0 ? status_when_stopped() : exit_ok;
    }

private:
    // False: to quit.
    bool take_keys() {
        while (const std::optional<pressed> what = terminal_.next_key()) {
            if (!board_.press(*what, terminal_.rows() / 2)) {
                return false;
            }
        }
        return true;
    }

    // One round of asking all after the other. Keys are waited for meanwhile.
    void go_on() {
        const uint64_t now = now_ns();
        if (!round_ && now >= next_round_) {
            board_.begin_round(now);
            round_.emplace(listening_names(), options_.timeout,
                           [this](finding &&found) { board_.take(std::move(found), now_ns()); });
            next_round_ = now + options_.interval;
        }
        if (!round_) {
            round_none_.go_on(std::min(longest_wait, next_round_ - std::min(now, next_round_)),
                              STDIN_FILENO);
            return;
        }
        round_->go_on(round_->is_over() ? 0 : longest_wait, STDIN_FILENO);
        if (round_->is_over()) {
            round_.reset();
            board_.end_round(now_ns());
        }
    }

    void draw() {
        const std::vector<line> lines = board_.lines(terminal_.rows(), terminal_.columns());
        int row = 0;
        for (const line &each : lines) {
            terminal_.write(row++, each.text, each.how);
        }
        terminal_.clear_from(row);
        terminal_.show();
    }

    const top_options &options_;
    terminal terminal_;
    board board_;
    survey round_none_{{}, 0, {}}; // waits for keys alone
    std::optional<survey> round_;
    uint64_t next_round_ = 0;
};

} // namespace

int watch_rings(const top_options &options) {
    return watcher(options).run();
}

} // namespace zbq::tool
