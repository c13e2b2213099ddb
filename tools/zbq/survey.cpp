// SPDX-License-Identifier: MIT
#include "survey.hpp"

#include "signals.hpp"
#include "units.hpp"

#include <algorithm>
#include <poll.h>
#include <sys/resource.h>
#include <utility>

namespace zbq::tool {

namespace {

constexpr size_t descriptors_each = 4; // epoll, timer, inotify, socket
constexpr size_t most_at_once = 200;
constexpr uint64_t times_patience = 10;

size_t so_many_at_once() {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    return std::clamp<size_t>(limit.rlim_cur / (2 * descriptors_each), 1, most_at_once);
}

} // namespace

survey::survey(std::vector<std::string> names, uint64_t patience,
               std::function<void(finding &&)> tell)
    : patience_(patience), end_(now_ns() + times_patience * patience), tell_(std::move(tell)),
      most_(so_many_at_once()),
      waiting_(std::make_move_iterator(names.begin()), std::make_move_iterator(names.end())) {}

void survey::tell_nothing(std::string name, standing how, std::string why) {
    finding found;
    found.name = std::move(name);
    found.how = how;
    found.why = std::move(why);
    tell_(std::move(found));
}

// What is no name for a stream, or is not there, is nobody's.
void survey::ask(std::string name) {
    try {
        inquiry one = {name, inspecting(name, {.anyone = true}), now_ns() + patience_};
        asked_.push_back(std::move(one));
    } catch (const error &failed) {
        tell_nothing(std::move(name), standing::refuses, failed.what());
    }
}

void survey::ask_more() {
    while (!waiting_.empty() && asked_.size() < most_) {
        std::string name = std::move(waiting_.front());
        waiting_.pop_front();
        if (now_ns() < end_) {
            ask(std::move(name));
        } else {
            tell_nothing(std::move(name), standing::silent);
        }
    }
}

void survey::tell_account(inquiry *one, std::vector<bridge_status> bridges) {
    tell_({one->name, standing::answers, "", std::move(one->account), std::move(bridges)});
}

bool survey::has_answered(inquiry *one) {
    auto &way = std::get<inspecting>(one->way);
    one->account = way.step();
    if (one->account && is_of_bridge(one->account->ring())) {
        one->way.emplace<joining>(one->name, to_read_bridges());
        return false;
    }
    if (one->account) {
        tell_account(one);
    } else if (!way.has_met()) {
        tell_nothing(one->name, standing::nobody);
    } else {
        return false;
    }
    return true;
}

bool survey::has_joined(inquiry *one) {
    const std::optional<consumer> reader = std::get<joining>(one->way).step();
    if (!reader) {
        return false;
    }
    tell_account(one, statuses_of(*reader));
    return true;
}

// What is known is told.
bool survey::give_up(inquiry *one, const error &failed) {
    const standing how = failed.code() == status::protocol ? standing::nobody
                         : failed.code() == status::again  ? standing::silent // nothing whole
                                                           : standing::refuses;
    if (one->account) {
        tell_account(one);
    } else {
        tell_nothing(one->name, how, failed.what());
    }
    return true;
}

// Whether there is nothing more to expect of it.
bool survey::is_settled(inquiry *one, bool has_news, uint64_t now) {
    const bool is_late = now >= one->until;
    try {
        const bool joins = std::holds_alternative<joining>(one->way);
        if (has_news && (joins ? has_joined(one) : has_answered(one))) {
            return true;
        }
    } catch (const error &failed) {
        return give_up(one, failed);
    }
    return is_late && give_up(one, error(status::again, one->name));
}

void survey::settle_some(const std::vector<bool> &have_news) {
    const uint64_t now = now_ns();
    std::deque<inquiry> left;
    for (size_t i = 0; i < asked_.size(); ++i) {
        if (!is_settled(&asked_[i], have_news[i], now)) {
            left.push_back(std::move(asked_[i]));
        }
    }
    asked_ = std::move(left);
}

void survey::go_on(uint64_t nanoseconds, int beside) {
    const uint64_t end = now_ns() + nanoseconds;
    const bool asks = !is_over();
    for (uint64_t now = now_ns();; now = now_ns()) {
        ask_more();
        uint64_t until = end;
        std::vector<pollfd> polled;
        polled.reserve(asked_.size() + 1);
        for (const inquiry &one : asked_) {
            const int fd = std::visit([](const auto &way) { return way.event_fd(); }, one.way);
            polled.push_back({fd, POLLIN, 0});
            until = std::min(until, one.until);
        }
        polled.push_back({beside, POLLIN, 0}); // poll ignores -1
        const uint64_t left = until > now ? until - now : 0;
        const timespec time = {static_cast<time_t>(left / second),
                               static_cast<long>(left % second)};
        const int ready = ppoll(polled.data(), polled.size(), &time, nullptr);
        std::vector<bool> have_news(asked_.size());
        for (size_t i = 0; i < asked_.size(); ++i) {
            have_news[i] = ready > 0 && polled[i].revents != 0;
        }
        settle_some(have_news);
        if (ready < 0 || polled.back().revents != 0 || now_ns() >= end || (asks && is_over())) {
            return;
        }
    }
}

void survey_all(std::vector<std::string> names, uint64_t patience,
                const std::function<void(finding &&)> &tell) {
    survey all(std::move(names), patience, tell);
    while (!all.is_over() && stop_signal() == 0) {
        all.go_on(second);
    }
}

} // namespace zbq::tool
