// SPDX-License-Identifier: MIT
#include "status_ring.hpp"

#include <chrono>
#include <cstring>
#include <span>
#include <unistd.h>

namespace zbq::bridge {

namespace {

// With a slot for each tool that looks at it, whatever else they look at.
constexpr std::uint64_t capacity = 256U << 10U;
constexpr std::uint32_t most_readers = 64;

listener_options observers_alone() {
    listener_options options;
    options.accept = [](const peer &who, terms &) { return who.observes; };
    return options;
}

} // namespace

status_ring::status_ring()
    : ring_({.capacity = capacity, .max_consumers = most_readers}),
      door_("bridge." + std::to_string(::getpid()), observers_alone()) {
    if (zbq_producer_set_type(ring_.get(), &tool::bridge_type) != ZBQ_OK) {
        throw error(status::invalid, "naming the payloads of a bridge's ring");
    }
    ring_.attach(door_);
}

void status_ring::go_on(std::uint64_t nanoseconds) {
    std::ignore =
        ring_.serve_until(in(std::chrono::nanoseconds(nanoseconds)), [] { return false; });
}

void status_ring::tell(const std::vector<tool::bridge_status> &all) {
    told_.resize(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (std::memcmp(&told_[i], &all[i], sizeof all[i]) != 0) {
            told_[i] = all[i];
            tell_one(static_cast<std::uint16_t>(i + 1), told_[i]);
        }
    }
}

// Observers hold nobody back: it is told at once, unless there is no memory.
void status_ring::tell_one(std::uint16_t key, const tool::bridge_status &what) {
    std::ignore = ring_.retain(key, std::as_bytes(std::span(&what, 1)), now);
}

} // namespace zbq::bridge
