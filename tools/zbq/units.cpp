// SPDX-License-Identifier: MIT
#include "units.hpp"

#include "errors.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

namespace zbq::tool {

namespace {

struct unit {
    std::string_view name;
    uint64_t factor;
};

constexpr std::array size_units = {unit{"", 1}, unit{"K", 1ULL << 10U}, unit{"M", 1ULL << 20U},
                                   unit{"G", 1ULL << 30U}};
constexpr std::array duration_units = {unit{"us", microsecond}, unit{"ms", millisecond},
                                       unit{"s", second}};

template <typename Units>
std::optional<uint64_t> parse(std::string_view text, const Units &units) {
    uint64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) {
        return std::nullopt;
    }
    const std::string_view name = text.substr(static_cast<size_t>(rest - text.data()));
    for (const unit &each : units) {
        uint64_t product = 0;
        if (each.name == name && !__builtin_mul_overflow(number, each.factor, &product)) {
            return product;
        }
    }
    return std::nullopt;
}

uint64_t read_clock(clockid_t clock) {
    timespec now = {};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * second + static_cast<uint64_t>(now.tv_nsec);
}

} // namespace

uint64_t parse_size(std::string_view option, std::string_view text) {
    const std::optional<uint64_t> size = parse(text, size_units);
    if (!size) {
        throw usage_error(fmt::format(
            "{}: '{}' is not a size; give bytes, or a number with K, M or G", option, text));
    }
    return *size;
}

start parse_start(std::string_view option, std::string_view text) {
    if (text == "head") {
        return {};
    }
    if (text == "oldest") {
        return start::oldest();
    }
    const bool back = text.starts_with('-');
    const std::optional<uint64_t> number = parse(back ? text.substr(1) : text, size_units);
    if (!number) {
        throw usage_error(fmt::format("{}: '{}' is no place to start; give head, oldest, a size "
                                      "after a minus, or an offset",
                                      option, text));
    }
    return back ? start::last(*number) : start::at({}, *number);
}

retained_file parse_retained(std::string_view option, std::string_view text) {
    constexpr uint16_t highest_key = 32767;
    uint16_t key = 0;
    const char *const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, key);
    if (error != std::errc() || key == 0 || key > highest_key || rest == end || *rest != '=') {
        throw usage_error(fmt::format("{}: '{}' is not a key from 1 to {}, = and a file", option,
                                      text, highest_key));
    }
    return {key, std::string(rest + 1, end)};
}

std::pair<std::string, uint16_t> parse_endpoint(std::string_view option, std::string_view text) {
    const size_t colon = text.rfind(':');
    std::string_view host = text.substr(0, colon);
    const std::string_view number = colon < text.size() ? text.substr(colon + 1) : "";
    uint16_t port = 0;
    const char *const end = number.data() + number.size();
    const auto [rest, error] = std::from_chars(number.data(), end, port);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    if (error != std::errc() || rest != end || host.empty()) {
        throw usage_error(fmt::format(
            "{}: '{}' is not an address and a port, such as 127.0.0.1:9464", option, text));
    }
    return {std::string(host), port};
}

uint64_t parse_duration(std::string_view option, std::string_view text) {
    const std::optional<uint64_t> duration = parse(text, duration_units);
    if (text != "0" && !duration) {
        throw usage_error(fmt::format(
            "{}: '{}' is not a duration; give a number with us, ms or s, or 0", option, text));
    }
    return duration.value_or(0);
}

std::string format_bytes(double bytes) {
    constexpr std::array names = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t step = 0;
    while (bytes >= 1024 && step + 1 < names.size()) {
        bytes /= 1024;
        ++step;
    }
    return step == 0 ? fmt::format("{:.0f} B", bytes)
                     : fmt::format("{:.1f} {}", bytes, names[step]);
}

double as_seconds(uint64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / static_cast<double>(second);
}

uint64_t now_ns() {
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t wall_clock() {
    return read_clock(CLOCK_REALTIME);
}

uint64_t now_coarse_ns() {
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

} // namespace zbq::tool
