// SPDX-License-Identifier: MIT
//
// A join by name, from connecting to the first message, both sides in one process. The ring has
// been round once; what is not timed is the end of the consumer before.
#pragma once

#include "act.hpp"
#include "payload.hpp"

#include <fmt/format.h>
#include <optional>
#include <unistd.h>
#include <zbq.hpp>

namespace bench {

inline constexpr std::size_t history_payload = 64;

// A place to start at, and how far behind the head its first message may begin.
struct start_of {
    const char *text;
    zbq::start (*of)(std::uint64_t head, std::uint64_t capacity);
    std::uint64_t (*most)(std::uint64_t capacity);
};

inline constexpr start_of at_head = {"at the head",
                                     [](std::uint64_t, std::uint64_t) { return zbq::start(); },
                                     [](std::uint64_t) { return std::uint64_t{0}; }};

inline constexpr start_of at_oldest = {
    "from the oldest", [](std::uint64_t, std::uint64_t) { return zbq::start::oldest(); },
    [](std::uint64_t capacity) { return capacity; }};

// Half a ring back and up to an eighth more, another way with each join: from what the producer
// knows of starts it is now near, now far.
inline std::uint64_t far_back(std::uint64_t head, std::uint64_t capacity) {
    const std::uint64_t drawn = head * 0x9e3779b97f4a7c15U >> 54U; // of 1024
    return capacity / 2 + drawn * (capacity / 8192);
}

inline constexpr start_of at_last = {"with half a ring of history",
                                     [](std::uint64_t head, std::uint64_t capacity) {
                                         return zbq::start::last(far_back(head, capacity));
                                     },
                                     [](std::uint64_t capacity) { return capacity / 8 * 5; }};

inline constexpr start_of at_offset = {
    "at an offset, half a ring back",
    [](std::uint64_t head, std::uint64_t capacity) {
        constexpr std::uint64_t message = zbq::producer::size_of(history_payload);
        return zbq::start::at({}, (head - far_back(head, capacity)) / message * message);
    },
    [](std::uint64_t capacity) { return capacity / 8 * 5 + history_payload; }};

class first_message final : public act {
public:
    first_message(std::size_t ring_bytes, const start_of &from)
        : act("zbq"), ring_bytes_(ring_bytes), from_(from) {}

    void prepare(unsigned actor) override {
        if (actor != 0) {
            return;
        }
        ring_.emplace(zbq::producer_options{.capacity = ring_bytes_, .stall_timeout = {}});
        name_ = fmt::format("@zbq-bench-{}-{}", getpid(), static_cast<void *>(this));
        door_.emplace(name_);
        while (ring_->head() < ring_bytes_) {
            publish();
        }
    }

    outcome perform(unsigned actor, clock::duration slice) override {
        outcome result;
        std::vector<double> times;
        const clock::time_point start = clock::now();
        while (actor == 0 && clock::now() - start < slice) {
            times.push_back(join(&result.errors));
            std::ignore = ring_->scan(); // who left gives its slot back
        }
        result.messages = times.size();
        result.figure = quantile(&times, 0.5);
        return result;
    }

private:
    double join(std::uint64_t *errors) {
        const std::uint64_t head = ring_->head();
        const clock::time_point start = clock::now();
        zbq::joining joining(name_, {.from = from_.of(head, ring_bytes_)});
        std::optional<zbq::consumer> reader;
        while (!(reader = joining.step())) {
            door_->serve(*ring_);
        }
        publish(); // what there is at the head
        const zbq::message first = reader->try_next();
        const double took = nanoseconds(clock::now() - start).count();
        const std::uint64_t behind = head - first.offset();
        const std::uint64_t most = from_.most(ring_bytes_);
        const bool right =
            first && behind <= most && behind >= most / 2 && holds(first.payload(), first.offset());
        *errors += right ? 0 : 1;
        return took;
    }

    // Each message holds where it starts.
    void publish() {
        const std::uint64_t offset = ring_->head();
        std::ignore = ring_->try_fill(history_payload, [offset](std::span<std::byte> to) noexcept {
            fill(to.data(), to.size(), offset);
        });
    }

    std::size_t ring_bytes_;
    start_of from_;
    std::string name_;
    std::optional<zbq::producer> ring_;
    std::optional<zbq::listener> door_;
};

} // namespace bench
