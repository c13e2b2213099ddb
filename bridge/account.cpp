// SPDX-License-Identifier: MIT
#include "account.hpp"

#include "runner.hpp"
#include "tools/zbq/json.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <tuple>

namespace zbq::bridge {

namespace {

std::atomic<unsigned> asked = 0;

std::mutex shown_lock;
std::map<std::tuple<std::string, std::string, std::string>, tool::bridge_status> shown;

template <std::size_t Size>
void copy_text(char (&to)[Size], const std::string &from) {
    *std::copy_n(from.begin(), std::min(from.size(), Size - 1), std::begin(to)) = '\0';
}

} // namespace

unsigned times_asked() {
    return asked;
}

void note_asked() {
    ++asked;
}

std::string to_json(const account &what) {
    return tool::to_json(status_of(what))
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string to_text(const account &what) {
    return tool::to_text(status_of(what));
}

tool::bridge_status status_of(const account &what) {
    tool::bridge_status status;
    copy_text(status.direction, what.direction);
    copy_text(status.ring, what.name);
    copy_text(status.stream, what.stream);
    status.counts = what;
    return status;
}

void show(const account &what) {
    const std::lock_guard<std::mutex> held(shown_lock);
    shown[{what.direction, what.name, what.stream}] = status_of(what);
}

std::vector<tool::bridge_status> all_shown() {
    const std::lock_guard<std::mutex> held(shown_lock);
    std::vector<tool::bridge_status> all;
    all.reserve(shown.size());
    for (const auto &[names, status] : shown) {
        all.push_back(status);
    }
    return all;
}

} // namespace zbq::bridge
