// SPDX-License-Identifier: MIT
/// @file
/// Dialing in to a collector: for programs that publish to one who gathers from many.
#pragma once

#include "approach.hpp"
#include "producer.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ZBQ_NAMESPACE {

/// How to dial in.
struct dial_options {
    /// How the collector is to call this source: the first 24 bytes count. Empty: the program's
    /// name.
    std::string name = {};
    /// Whether the collector holds the producer back: lossless, or follow.
    zbq::flow flow = zbq::flow::lossless;
    /// Where the collector starts: with all that the ring still has, so that what was published
    /// before it came is not lost.
    start from = start::oldest();
    /// Whether to wait for a collector that is not there yet.
    bool wait_for_collector = true;
    /// Users that may be at the other end: see connect_options::producers.
    std::vector<uid_t> collectors = {};
    /// Asked a few times a second by dial, when set, and after each signal: true gives up.
    std::function<bool()> give_up = {};
};

/// A producer's line to the collector at a name: looks for it, says hello, and gives it a slot, one
/// step after the other; and again when that is gone. No step blocks. Attached to the producer
/// (producer::attach) it does so by itself.
///
///     zbq::dialing line("@trace");
///     zbq::producer ring;
///     ring.attach(line);
///
/// In a forked child, and moved from, it leads nowhere.
class dialing {
public:
    /// @throws error invalid (no name), too_large (its length), refused (the directory is not
    ///               private), io
    explicit dialing(std::string name, dial_options options = {})
        : options_(std::move(options)), approach_(std::move(name), options_.collectors) {}

    /// A descriptor that becomes readable when a step may lead further. It stays this object's.
    [[nodiscard]] int event_fd() const noexcept { return approach_.event_fd(); }

    /// Goes on as far as it can. Where the collector has its slot this looks whether it still
    /// lives, for which the descriptor becomes readable some ten times a second.
    /// @param ring who publishes, always the same one
    /// @return the collector's slot; or nothing yet
    /// @throws error full, refused (by the collector; or the name is somebody else's; or a producer
    ///               listens there), protocol, invalid (no message starts where to start), none
    ///               (the ring has no free slot), no_memory, io. It can be tried again after each
    std::optional<std::uint32_t> step(producer &ring) {
        if (slot_) {
            zbq_producer_scan(ring.get());
        }
        if (is_dialed_in(ring)) {
            approach_.start_over(ZBQ_WAIT_SLICE_NS);
            return slot_;
        }
        return approach_.attempt([&] { return advance(ring); });
    }

    /// The same, for producer::attach: what it throws is kept by the producer.
    void serve(producer &ring) { step(ring); }

    /// Whether the collector has its slot.
    [[nodiscard]] bool is_dialed_in(const producer &ring) const noexcept {
        zbq_consumer_info info = {};
        return slot_ && ring.consumer_info(*slot_, info) == status::ok &&
               info.join_number == join_number_;
    }

    /// Whether a collector is there, who has not answered yet.
    [[nodiscard]] bool has_met() const noexcept { return approach_.has_met(); }
    /// Where it looks, in words.
    [[nodiscard]] const std::string &place() const noexcept { return approach_.where().text; }

private:
    std::optional<std::uint32_t> advance(producer &ring) {
        const std::string &name = options_.name;
        const std::optional<detail::answer> said =
            approach_.step(detail::make_call(detail::mode_of(wakeup::push, options_.flow),
                                             name.empty() ? program_invocation_short_name : name));
        slot_.reset();
        if (said) {
            approach_.check_welcome(*said, " publishes: nobody collects there");
            admit(ring);
        }
        return slot_;
    }

    void admit(producer &ring) {
        std::uint32_t slot = 0;
        const auto result = static_cast<status>(zbq_producer_admit(
            ring.get(), approach_.socket(), detail::mode_of(wakeup::push, options_.flow),
            &options_.from.get(), &slot));
        if (result == status::io) { // it went away meanwhile
            approach_.start_over(detail::approach::retry);
            return;
        }
        detail::require(static_cast<int>(result), "dialing in at " + place());
        zbq_consumer_info info = {};
        static_cast<void>(ring.consumer_info(slot, info));
        join_number_ = info.join_number;
        slot_ = slot;
        approach_.start_over(ZBQ_WAIT_SLICE_NS);
    }

    dial_options options_;
    detail::approach approach_;
    std::optional<std::uint32_t> slot_;
    std::uint64_t join_number_ = 0;
};

/// Gives the collector at a name (see collector) a slot of a producer's ring, once: from then on it
/// reads all that is published, also when this process is killed. Waits until the deadline for it
/// to appear, if asked to, and to answer.
///
///     zbq::producer ring;
///     zbq::dial(ring, "@trace");
///     std::ignore = ring.publish(zbq::bytes_of("hello"), zbq::never);
///
/// @return its slot
/// @throws error none (nobody collects there; or the ring has no free slot), again (no answer in
///               time, or given up), and as dialing::step
inline std::uint32_t dial(producer &ring, const std::string &name, deadline end = never,
                          const dial_options &options = {}) {
    dialing way(name, options);
    return detail::walk(&way, [&] { return way.step(ring); },
                        {end, options.wait_for_collector, &options.give_up, "collects"});
}

} // namespace ZBQ_NAMESPACE
