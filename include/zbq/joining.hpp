// SPDX-License-Identifier: MIT
/// @file
/// Joining a producer by its name, without ever blocking: for programs with an event loop.
#pragma once

#include "approach.hpp"
#include "consumer.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ZBQ_NAMESPACE {

/// How to connect.
struct connect_options {
    /// How to learn of messages.
    wakeup mode = wakeup::push;
    /// Whether to hold the producer back.
    zbq::flow flow = zbq::flow::lossless;
    /// Where to start.
    start from = {};
    /// Whether to wait for a producer that is not there yet.
    bool wait_for_producer = true;
    /// Users that may be at the other end. Empty: for an abstract name this process's own
    /// (its effective user) and root, for a path whoever could make it. 65534 is nobody's number,
    /// as in listener_options.
    std::vector<uid_t> producers = {};
    /// Asked a few times a second by connect, when set, and after each signal: true gives up.
    std::function<bool()> give_up = {};
};

/// A join under way: looks for the producer at a name (see listener), says hello, and takes a
/// slot, one step after the other. No step blocks.
///
///     zbq::joining join("camera");
///     // in the event loop, when join.event_fd() is readable:
///     if (std::optional<zbq::consumer> reader = join.step()) {
///         use(*reader);
///     }
///
/// In a forked child, and moved from, it leads nowhere.
class joining {
public:
    /// @throws error invalid (no name), too_large (its length), refused (the directory is not
    ///               private), io
    explicit joining(std::string name, connect_options options = {})
        : options_(std::move(options)), approach_(std::move(name), options_.producers) {}

    /// A descriptor that becomes readable when a step may lead further. It stays this object's.
    [[nodiscard]] int event_fd() const noexcept { return approach_.event_fd(); }

    /// Goes on as far as it can.
    /// @return the consumer, after which this starts again; or nothing yet
    /// @throws error full, refused (by the producer; or the name is somebody else's), protocol,
    ///               invalid (no message starts where to start), no_memory, io. It can be tried
    ///               again after each
    std::optional<consumer> step() {
        return approach_.attempt([this] { return advance(); });
    }

    /// Whether a producer is there, who has not answered yet.
    [[nodiscard]] bool has_met() const noexcept { return approach_.has_met(); }
    /// Where it looks, in words.
    [[nodiscard]] const std::string &place() const noexcept { return approach_.where().text; }

private:
    std::optional<consumer> advance() {
        const zbq_wakeup_mode mode = detail::mode_of(options_.mode, options_.flow);
        const std::optional<detail::answer> said =
            approach_.step(detail::make_hello(mode, options_.from.get()));
        if (!said) {
            return std::nullopt;
        }
        if (*said == detail::answer::no_such_start) {
            throw no_such_start();
        }
        approach_.check_welcome(*said, " collects: nobody publishes there");
        std::optional<consumer> joined = take_slot();
        if (joined && !go_to_start(&*joined)) { // it went away meanwhile, or was evicted
            approach_.start_over(detail::approach::retry);
            return std::nullopt;
        }
        return joined;
    }

    std::optional<consumer> take_slot() {
        try {
            std::optional<consumer> joined(std::in_place, approach_.socket(), options_.mode,
                                           options_.flow);
            approach_.start_over(0);
            return joined;
        } catch (const error &failure) {
            if (failure.code() == status::again) {
                return std::nullopt;
            }
            throw error(static_cast<status>(failure.code().value()), "joining " + place(),
                        failure.os_error());
        }
    }

    // From the last start before it that the producer knows. Whether it came there.
    bool go_to_start(consumer *joined) const {
        const zbq_start &wanted = options_.from.get();
        const std::uint64_t head = zbq_consumer_acquire_head(joined->get());
        const bool last = wanted.at == ZBQ_START_LAST && wanted.offset < head;
        if (last ||
            (wanted.at == ZBQ_START_OFFSET && joined->offset() < wanted.offset &&
             (options_.from.ring() == joined->id() || options_.from.ring() == whichever_ring))) {
            const std::uint64_t target = last ? head - wanted.offset : wanted.offset;
            const int found = zbq_consumer_skip(joined->get(), target);
            if (found == ZBQ_ERROR_INVALID && !last) {
                throw no_such_start();
            }
            if (found == ZBQ_ERROR_AGAIN || found == ZBQ_ERROR_PROTOCOL) { // it was to be there
                throw error(status::protocol, "joining " + place());
            }
            return found != ZBQ_ERROR_NOENT;
        }
        return true;
    }

    error no_such_start() const {
        return {status::invalid, place() + ": no message starts at offset " +
                                     std::to_string(options_.from.get().offset)};
    }

    connect_options options_;
    detail::approach approach_;
};

} // namespace ZBQ_NAMESPACE
