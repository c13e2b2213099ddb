// SPDX-License-Identifier: MIT
#include "words.hpp"

#include "units.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <pwd.h>
#include <vector>

namespace zbq::tool {

std::string printable(std::string_view text) {
    std::string shown(text);
    std::ranges::replace_if(
        shown, [](char c) { return std::isprint(static_cast<unsigned char>(c)) == 0; }, '?');
    return shown;
}

std::string type_text(const zbq_type &type) {
    if (type.hash == 0 && type.size == 0) {
        return "-";
    }
    return type.size == 0 ? fmt::format("{:016x}", type.hash)
                          : fmt::format("{:016x}/{}", type.hash, type.size);
}

std::string mode_text(uint32_t mode) {
    constexpr std::array names = {"push", "pull", "push, observes", "pull, observes"};
    return mode < names.size() ? names[mode] : "?";
}

std::string duration_text(uint64_t nanoseconds) {
    constexpr uint64_t minute = 60 * second;
    constexpr uint64_t hour = 60 * minute;
    constexpr uint64_t day = 24 * hour;
    if (nanoseconds < second) {
        return fmt::format("{} ms", nanoseconds / millisecond);
    }
    if (nanoseconds < minute) {
        return fmt::format("{:.1f} s", as_seconds(nanoseconds - nanoseconds % (second / 10)));
    }
    if (nanoseconds < hour) {
        return fmt::format("{} min {} s", nanoseconds / minute, nanoseconds % minute / second);
    }
    return nanoseconds < day
               ? fmt::format("{} h {} min", nanoseconds / hour, nanoseconds % hour / minute)
               : fmt::format("{} d {} h", nanoseconds / day, nanoseconds % day / hour);
}

std::string rate_text(const std::optional<double> &bytes) {
    return bytes ? format_bytes(*bytes) + "/s" : "-";
}

std::string id_text(const uint8_t (&id)[16]) {
    std::string text;
    for (const uint8_t byte : id) {
        text += fmt::format("{:02x}", byte);
    }
    return text;
}

namespace {

constexpr size_t most_users = 1000; // a hostile publisher can name all there could be

std::string look_up_user(uint32_t uid) {
    std::array<char, 4096> room = {};
    passwd entry = {};
    passwd *found = nullptr;
    const bool is_known = getpwuid_r(uid, &entry, room.data(), room.size(), &found) == 0 &&
                          found != nullptr && found->pw_name != nullptr;
    return is_known ? printable(found->pw_name) : std::to_string(uid);
}

} // namespace

std::string user_text(uint32_t uid) {
    static std::map<uint32_t, std::string> known; // who asks may ask another machine
    const auto found = known.find(uid);
    if (found != known.end()) {
        return found->second;
    }
    return known.size() < most_users ? known.emplace(uid, look_up_user(uid)).first->second
                                     : std::to_string(uid);
}

uint64_t since(uint64_t then, uint64_t now) {
    return now > then ? now - then : 0;
}

namespace {

std::string what_it_holds(const zbq_slot_stats &slot, uint64_t now) {
    const std::string moved =
        fmt::format("has not moved for {}", duration_text(since(slot.moved_at, now)));
    if ((slot.in_the_way & 1U) != 0) {
        return fmt::format("{} behind, {}", format_bytes(static_cast<double>(slot.lag)), moved);
    }
    return fmt::format("{} descriptors not collected, {}", slot.fds_in_flight, moved);
}

} // namespace

std::string blame(const statistics &of) {
    const zbq_ring_stats &ring = of.ring();
    const std::optional<zbq_slot_stats> slowest = of.slot(ring.slowest_slot);
    if (!slowest) {
        return "nobody holds the stream back";
    }
    return fmt::format("process {} of {} holds the stream back: slot {}, {}", slowest->pid,
                       user_text(slowest->uid), ring.slowest_slot,
                       what_it_holds(*slowest, ring.written_at));
}

table::table(std::vector<column> columns) : columns_(std::move(columns)) {
    std::vector<std::string> titles;
    for (const column &one : columns_) {
        titles.push_back(one.title);
    }
    add(std::move(titles));
}

void table::add(std::vector<std::string> row) {
    rows_.push_back(std::move(row));
}

std::string table::text() const {
    std::vector<size_t> widths(columns_.size());
    for (const std::vector<std::string> &row : rows_) {
        for (size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    std::string text;
    for (const std::vector<std::string> &row : rows_) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            line += columns_[i].to_the_right ? fmt::format("{:>{}}  ", row[i], widths[i])
                                             : fmt::format("{:<{}}  ", row[i], widths[i]);
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
    return text;
}

} // namespace zbq::tool
