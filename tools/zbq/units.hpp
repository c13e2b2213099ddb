// SPDX-License-Identifier: MIT
//
// Sizes, durations and the clock.
#pragma once

#include "options.hpp"

#include <zbq/start.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace zbq::tool {

constexpr uint64_t microsecond = 1'000;
constexpr uint64_t millisecond = 1'000'000;
constexpr uint64_t second = 1'000'000'000;

// How late what comes without a wake-up may be seen.
constexpr uint64_t look_interval = 100 * millisecond;

// For a publisher to answer, or to take a reader back.
inline constexpr std::chrono::seconds answer_time(10);

// "4096", "64K", "1M", "1G": powers of 1024. Throws a usage error that names the option.
uint64_t parse_size(std::string_view option, std::string_view text);

// "head", "oldest", "-64K" for so many bytes of history, or a logical offset.
start parse_start(std::string_view option, std::string_view text);

// "1=format.txt". A key can be no more than the library takes.
retained_file parse_retained(std::string_view option, std::string_view text);

// "127.0.0.1:9464", "[::1]:9464".
std::pair<std::string, uint16_t> parse_endpoint(std::string_view option, std::string_view text);

// "500ms", "2s", "20us", "0", in nanoseconds.
uint64_t parse_duration(std::string_view option, std::string_view text);

std::string format_bytes(double bytes); // "1.5 MiB"
double as_seconds(uint64_t nanoseconds);

uint64_t now_ns();        // CLOCK_MONOTONIC
uint64_t wall_clock();    // CLOCK_REALTIME, since 1970
uint64_t now_coarse_ns(); // the same to a few milliseconds, cheaper

} // namespace zbq::tool
