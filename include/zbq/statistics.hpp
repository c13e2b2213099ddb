// SPDX-License-Identifier: MIT
/// @file
/// How a ring and its consumers stand, for who does not read it: people and tools.
#pragma once

#include "approach.hpp"
#include "error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ZBQ_NAMESPACE {

/// The statistics page of a ring: read-only memory in which its producer keeps an account of the
/// ring and of each slot. It can be read while the producer is busy, stopped or gone; the producer
/// does nothing for it. What is in it is the producer's word: a hostile one can say anything, and
/// do nothing to who reads.
///
///     zbq::statistics camera = zbq::inspect("camera", zbq::in(std::chrono::seconds(1)));
///     const zbq_ring_stats &ring = camera.ring();
///     for (std::uint32_t i = 0; i < ring.slots; ++i) {
///         if (const std::optional<zbq_slot_stats> reader = camera.slot(i)) {
///             std::cout << reader->pid << ": " << reader->lag << " bytes behind\n";
///         }
///     }
///
/// The account is that of the last update: an account is written at joins, evictions, scans and
/// failed attempts, and for each inspect. In a forked child, and moved from, updates are refused.
class statistics {
public:
    /// Maps a page by its descriptor (producer::statistics_fd), which stays the caller's, and takes
    /// its account.
    /// @throws error protocol (it is no such page), again (no account is whole), no_memory, io
    explicit statistics(int fd) {
        zbq_stats *opened = nullptr;
        detail::require(zbq_stats_open(fd, &opened), "opening statistics");
        take(opened);
    }
    /// Receives what producer::send_statistics sent, as zbq_stats_receive: blocks as the socket
    /// does, which stays the caller's.
    /// @throws error again (not there yet), and as above
    static statistics receive(int socket) {
        zbq_stats *received = nullptr;
        detail::require(zbq_stats_receive(socket, &received), "receiving statistics");
        return statistics(received);
    }
    /// Takes over; the other one is empty then.
    statistics(statistics &&other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), ring_(other.ring_) {}
    /// Lets go of its own and takes over; the other one is empty then.
    statistics &operator=(statistics &&other) noexcept {
        std::swap(handle_, other.handle_);
        ring_ = other.ring_;
        return *this;
    }
    statistics(const statistics &) = delete;
    statistics &operator=(const statistics &) = delete;
    ~statistics() { zbq_stats_close(handle_); }

    /// Takes the newest account.
    /// @return ok; again (none was whole: the last one stands); invalid (moved from, or a child)
    status update() noexcept {
        zbq_ring_stats newest = {};
        const auto result = static_cast<status>(zbq_stats_read(handle_, &newest, sizeof newest));
        if (result == status::ok) {
            ring_ = newest;
        }
        return result;
    }

    /// The account of the ring. Its slots are numbered from 0 to less than `slots`.
    [[nodiscard]] const zbq_ring_stats &ring() const noexcept { return ring_; }
    /// What the producer calls the ring. Any bytes: not to be printed unseen.
    [[nodiscard]] std::string_view name() const noexcept { return ring_.name; }
    /// The account of the consumer in a slot, or of the one that was last there; nothing where
    /// nobody ever was.
    [[nodiscard]] std::optional<zbq_slot_stats> slot(std::uint32_t number) const noexcept {
        zbq_slot_stats got = {};
        const bool is_one = zbq_stats_slot(handle_, number, &got, sizeof got) == ZBQ_OK;
        return is_one ? std::optional(got) : std::nullopt;
    }
    /// The C handle; nullptr when moved from.
    [[nodiscard]] zbq_stats *get() const noexcept { return handle_; }

private:
    friend class inspecting;
    explicit statistics(zbq_stats *opened) { take(opened); }

    // With the first account.
    void take(zbq_stats *opened) {
        handle_ = opened;
        const status first = update();
        if (first != status::ok) {
            zbq_stats_close(std::exchange(handle_, nullptr));
            throw error(first, "reading statistics");
        }
    }

    zbq_stats *handle_ = nullptr;
    zbq_ring_stats ring_ = {};
};

/// How to ask for statistics.
struct inspect_options {
    /// Whether to wait for a producer that is not there yet.
    bool wait_for_producer = true;
    /// Users that may be at the other end: as connect_options::producers.
    std::vector<uid_t> producers = {};
    /// Whoever is at the other end, also of an abstract name: a hostile one can say anything, and
    /// do nothing.
    bool anyone = false;
    /// Asked a few times a second by inspect, when set, and after each signal: true gives up.
    std::function<bool()> give_up = {};
};

/// Asking the producer at a name (see listener) for its statistics, one step after the other. No
/// step blocks.
///
///     zbq::inspecting way("camera");
///     // in the event loop, when way.event_fd() is readable:
///     if (std::optional<zbq::statistics> camera = way.step()) {
///         use(camera->ring());
///     }
///
/// In a forked child, and moved from, it leads nowhere.
class inspecting {
public:
    /// @throws error invalid (no name), too_large (its length), refused (the directory is not
    ///               private), io
    explicit inspecting(std::string name, inspect_options options = {})
        : approach_(std::move(name), std::move(options.producers), options.anyone) {}

    /// A descriptor that becomes readable when a step may lead further. It stays this object's.
    [[nodiscard]] int event_fd() const noexcept { return approach_.event_fd(); }

    /// Goes on as far as it can.
    /// @return the statistics with an account of now, after which this starts again; or nothing yet
    /// @throws error refused (by the producer, or one that has no statistics; or the name is
    ///               somebody else's), protocol, no_memory, io. It can be tried again after each
    std::optional<statistics> step() {
        return approach_.attempt([this] { return advance(); });
    }

    /// Whether a producer is there, who has not answered yet.
    [[nodiscard]] bool has_met() const noexcept { return approach_.has_met(); }
    /// Where it looks, in words.
    [[nodiscard]] const std::string &place() const noexcept { return approach_.where().text; }

private:
    std::optional<statistics> advance() {
        const std::optional<detail::answer> said = approach_.step(detail::make_inquiry());
        if (!said) {
            return std::nullopt;
        }
        approach_.check_welcome(*said, " collects: nobody publishes there");
        zbq_stats *got = nullptr;
        const int result = zbq_stats_receive(approach_.socket(), &got);
        if (result == ZBQ_ERROR_AGAIN) {
            return std::nullopt;
        }
        detail::require(result, "inspecting " + place());
        approach_.start_over(0);
        return statistics(got);
    }

    detail::approach approach_;
};

/// Asks the producer at a name (see listener) for its statistics. Waits until the deadline for it
/// to appear, if asked to, and to answer: one that is stopped does not.
///
/// @throws error none (nobody publishes there), again (no answer in time, or given up), refused,
///               protocol, invalid (no name), too_large (its length), no_memory, io
[[nodiscard]] inline statistics inspect(const std::string &name, deadline end,
                                        const inspect_options &options = {}) {
    inspecting way(name, options);
    return detail::walk(&way, [&way] { return way.step(); },
                        {end, options.wait_for_producer, &options.give_up, "publishes"});
}

} // namespace ZBQ_NAMESPACE
