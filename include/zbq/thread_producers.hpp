// SPDX-License-Identifier: MIT
/// @file
/// For programs whose threads all publish.
#pragma once

#include "dialing.hpp"
#include "process.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ZBQ_NAMESPACE {

namespace detail {

// What all threads' lines of one object have in common.
struct line_settings {
    std::string collector;
    producer_options ring;
    dial_options dial;
    std::chrono::nanoseconds patience;
};

// Of one thread: its ring, which stays dialed in while its thread publishes.
class line {
public:
    explicit line(const std::shared_ptr<const line_settings> &settings)
        : settings_(settings), ring_(settings->ring), way_(settings->collector, settings->dial) {
        ring_.attach(way_);
        static_cast<void>(
            ring_.serve_until(in(settings->patience), [this] { return way_.is_dialed_in(ring_); }));
    }
    line(const line &) = delete;
    line &operator=(const line &) = delete;
    line(line &&) = delete;
    line &operator=(line &&) = delete;
    ~line() = default;

    [[nodiscard]] bool belongs_to(const line_settings *settings) const noexcept {
        return settings_.get() == settings && birth_.is_here();
    }
    // Its object is gone, or it is another process's.
    [[nodiscard]] bool is_over() const noexcept {
        return settings_.use_count() == 1 || !birth_.is_here();
    }
    producer &ring() noexcept { return ring_; }

private:
    birthmark birth_;
    std::shared_ptr<const line_settings> settings_;
    producer ring_;
    dialing way_;
};

inline std::vector<std::unique_ptr<line>> &lines_of_this_thread() {
    thread_local std::vector<std::unique_ptr<line>> lines; // they go with the thread
    return lines;
}

} // namespace detail

/// A producer for each thread that publishes, which dials in to a collector: threads share nothing,
/// and wait for nobody. The collector has a source for each of them, and can put their messages in
/// order.
///
///     zbq::thread_producers trace("@trace");
///     std::ignore = trace.mine().publish(zbq::bytes_of("hello"), zbq::never); // in any thread
///
/// Any thread may call it at any time while it lives.
class thread_producers {
public:
    /// @param collector the collector's name
    /// @param ring what each thread's ring is like
    /// @param dial how each dials in
    /// @param patience how long a thread's first call waits for the collector; a thread whose
    ///                 collector comes later dials in while it publishes
    explicit thread_producers(std::string collector, const producer_options &ring = {},
                              dial_options dial = {},
                              std::chrono::nanoseconds patience = std::chrono::seconds(1))
        : settings_(std::make_shared<const detail::line_settings>(
              detail::line_settings{std::move(collector), ring, std::move(dial), patience})) {}
    thread_producers(const thread_producers &) = delete;
    thread_producers &operator=(const thread_producers &) = delete;
    thread_producers(thread_producers &&) = delete;
    thread_producers &operator=(thread_producers &&) = delete;
    /// Ends the stream of this thread. Those of others end with their threads.
    ~thread_producers() { drop(settings_.get()); }

    /// The calling thread's own, which is made by its first call and ends with the thread. In a
    /// forked child the thread has none yet. What the collector has not read by then it still
    /// reads, if it had come.
    /// @throws error as producer and dialing::step, by the thread's first call
    producer &mine() {
        for (const std::unique_ptr<detail::line> &one : detail::lines_of_this_thread()) {
            if (one->belongs_to(settings_.get())) [[likely]] {
                return one->ring();
            }
        }
        return add();
    }

private:
    [[gnu::noinline]] producer &add() {
        drop(nullptr);
        return detail::lines_of_this_thread()
            .emplace_back(std::make_unique<detail::line>(settings_))
            ->ring();
    }

    // This one's, and those whose object is gone.
    static void drop(const detail::line_settings *settings) noexcept {
        std::erase_if(detail::lines_of_this_thread(),
                      [=](const auto &one) { return one->is_over() || one->belongs_to(settings); });
    }

    std::shared_ptr<const detail::line_settings> settings_;
};

} // namespace ZBQ_NAMESPACE
