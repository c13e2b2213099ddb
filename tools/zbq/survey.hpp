// SPDX-License-Identifier: MIT
//
// Asking many names for their statistics at once. Whoever hangs, or sends nonsense, is given up
// after a time, and holds up nobody else.
#pragma once

#include "bridge_status.hpp"

#include <zbq.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace zbq::tool {

enum class standing {
    answers,
    silent,  // it has not answered in time
    refuses, // whoever it is
    nobody,  // or one that has no rings
};

struct finding {
    std::string name;
    standing how = standing::nobody;
    std::string why = {};                    // where it refuses
    std::optional<statistics> account = {};  // where it answers
    std::vector<bridge_status> bridges = {}; // where the ring tells of such
};

class survey {
public:
    // Told of each name, once. Each is given so many nanoseconds, and all ten times as many: who
    // listens at thousands of names and never answers does not make this endless.
    survey(std::vector<std::string> names, uint64_t patience, std::function<void(finding &&)> tell);

    [[nodiscard]] bool is_over() const { return waiting_.empty() && asked_.empty(); }

    // Goes on for so many nanoseconds at most, and no longer than until the other descriptor (-1:
    // there is none) is readable, a signal comes, or all have been told of.
    void go_on(uint64_t nanoseconds, int beside = -1);

private:
    struct inquiry {
        std::string name;
        std::variant<inspecting, joining> way; // the second: to read what a bridge tells
        uint64_t until;
        std::optional<statistics> account = {}; // which is known by then
    };

    void ask_more();
    void ask(std::string name);
    bool is_settled(inquiry *one, bool has_news, uint64_t now);
    bool has_answered(inquiry *one);
    bool has_joined(inquiry *one);
    void tell_account(inquiry *one, std::vector<bridge_status> bridges = {});
    bool give_up(inquiry *one, const error &failed);
    void settle_some(const std::vector<bool> &have_news);
    void tell_nothing(std::string name, standing how, std::string why = "");

    uint64_t patience_;
    uint64_t end_; // who was not asked by then is silent
    std::function<void(finding &&)> tell_;
    size_t most_; // at once
    std::deque<std::string> waiting_;
    std::deque<inquiry> asked_; // the oldest first
};

// All of them; ends early after a signal to stop.
void survey_all(std::vector<std::string> names, uint64_t patience,
                const std::function<void(finding &&)> &tell);

} // namespace zbq::tool
