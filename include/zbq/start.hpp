// SPDX-License-Identifier: MIT
/// @file
/// Where a consumer starts to read.
#pragma once

#include "error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace ZBQ_NAMESPACE {

/// Tells a ring from all others, for ever: with a message's offset it names that message.
using ring_id = std::array<std::uint8_t, 16>;

/// In the place of a ring's id: of whichever it is.
inline constexpr ring_id whichever_ring = {};

/// Where a consumer starts to read: with what comes next, or in what is still whole of the ring:
/// see zbq_producer_admit. zbq::connect starts exactly there; a consumer that was admitted in
/// another way with the last start before it that the producer knows.
///
///     zbq::consumer late = zbq::connect("camera", zbq::never, {.from = zbq::start::oldest()});
class start {
public:
    /// With the next message committed.
    constexpr start() noexcept = default;
    /// With the oldest message that is whole.
    static constexpr start oldest() noexcept { return start({ZBQ_START_OLDEST, 0, 0, {}}); }
    /// With so many bytes of history, if there are so many.
    static constexpr start last(std::uint64_t bytes) noexcept {
        return start({ZBQ_START_LAST, 0, bytes, {}});
    }
    /// With so many bytes of history at most: for who admits.
    static constexpr start within(std::uint64_t bytes) noexcept {
        return start({ZBQ_START_WITHIN, 0, bytes, {}});
    }
    /// With the message at an offset of a ring (all zero: of whichever this is), or the oldest
    /// where that is gone or of another ring. consumer::offset and consumer::id tell.
    static constexpr start at(const ring_id &ring, std::uint64_t offset) noexcept {
        zbq_start chosen = {ZBQ_START_OFFSET, 0, offset, {}};
        std::copy(ring.begin(), ring.end(), static_cast<std::uint8_t *>(chosen.ring_id));
        return start(chosen);
    }
    /// From the C interface's.
    explicit constexpr start(const zbq_start &chosen) noexcept : chosen_(chosen) {}
    /// Of which ring the offset is, if it is one; all zero: of whichever.
    [[nodiscard]] constexpr ring_id ring() const noexcept {
        ring_id id = {};
        std::copy_n(static_cast<const std::uint8_t *>(chosen_.ring_id), id.size(), id.begin());
        return id;
    }
    /// As the C interface has it.
    [[nodiscard]] constexpr const zbq_start &get() const noexcept { return chosen_; }

private:
    zbq_start chosen_ = {};
};

namespace detail {

constexpr zbq_wakeup_mode mode_of(wakeup how, flow what) noexcept {
    const int observes = what != flow::lossless ? ZBQ_OBSERVE_PUSH : 0;
    return static_cast<zbq_wakeup_mode>(static_cast<int>(how) | observes);
}

inline ring_id id_of(const zbq_control_region *control) noexcept {
    ring_id id = {};
    if (control != nullptr) {
        std::copy_n(static_cast<const std::uint8_t *>(control->ring_id), id.size(), id.begin());
    }
    return id;
}

} // namespace detail

} // namespace ZBQ_NAMESPACE
