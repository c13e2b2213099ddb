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
        : whose_(settings.get()), settings_(settings), ring_(settings->ring),
          way_(settings->collector, settings->dial) {
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
        return whose_ == settings && birth_.is_here();
    }
    // Its object is gone, or it is another process's.
    [[nodiscard]] bool is_over() const noexcept { return settings_.expired() || !birth_.is_here(); }
    producer &ring() noexcept { return ring_; }

private:
    birthmark birth_;
    const line_settings *whose_;
    std::weak_ptr<const line_settings> settings_; // no other has their place meanwhile
    producer ring_;
    dialing way_;
};

// They go with the thread, the main one's before objects that are static.
class thread_lines {
public:
    thread_lines() = default;
    thread_lines(const thread_lines &) = delete;
    thread_lines &operator=(const thread_lines &) = delete;
    thread_lines(thread_lines &&) = delete;
    thread_lines &operator=(thread_lines &&) = delete;
    ~thread_lines() { have_gone() = true; }

    // nullptr: they have gone.
    static std::vector<std::unique_ptr<line>> *of_this_thread() {
        thread_local thread_lines lines;
        return have_gone() ? nullptr : &lines.all_;
    }

private:
    static bool &have_gone() noexcept {
        thread_local bool gone = false; // is there to the very end
        return gone;
    }

    std::vector<std::unique_ptr<line>> all_;
};

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
    /// @throws error as producer and dialing::step, by the thread's first call; invalid: the thread
    ///               is at its end, and its own has gone
    producer &mine() {
        lines *const own = detail::thread_lines::of_this_thread();
        if (own == nullptr) {
            throw error(status::invalid, "a thread at its end has no producer any more");
        }
        for (const std::unique_ptr<detail::line> &one : *own) {
            if (one->belongs_to(settings_.get())) [[likely]] {
                return one->ring();
            }
        }
        return add(own);
    }

private:
    using lines = std::vector<std::unique_ptr<detail::line>>;

    [[gnu::noinline]] producer &add(lines *own) {
        drop(nullptr);
        return own->emplace_back(std::make_unique<detail::line>(settings_))->ring();
    }

    // This one's, and those whose object is gone.
    static void drop(const detail::line_settings *settings) noexcept {
        if (lines *const own = detail::thread_lines::of_this_thread()) {
            std::erase_if(
                *own, [=](const auto &one) { return one->is_over() || one->belongs_to(settings); });
        }
    }

    std::shared_ptr<const detail::line_settings> settings_;
};

} // namespace ZBQ_NAMESPACE
