// SPDX-License-Identifier: MIT
//
// A hostile producer: makes the shared objects of a join itself, wrong where a test wants
// it, and writes what it likes.
#pragma once

#include "event.hpp"
#include "region.hpp"
#include "side.hpp"
#include "support/rig.hpp"

#include <vector>

namespace test {

class pretender {
public:
    explicit pretender(std::uint64_t capacity = page);

    // Sends the join message as it stands in `payload` and `fds`, and joins. The result of
    // the last join is in `result`.
    consumer_ptr join(zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH);

    [[nodiscard]] zbq_control_region *control() const;
    [[nodiscard]] char *ring() const;
    [[nodiscard]] zbq_consumer_metadata *metadata() const;
    [[nodiscard]] int side() const { return side_.get(); }
    unique_fd take_side();
    [[nodiscard]] unique_fd &event() { return event_; }

    // What the join sends. fds: control, ring, metadata, side, pidfd, event.
    zbq_join_payload payload = {};
    std::size_t payload_size = sizeof payload;
    std::vector<int> fds;
    int result = 0;

    void put_message(std::uint64_t offset, std::uint32_t payload_len) const;
    void set_head(std::uint64_t head) const;

private:
    zbq::core::region control_;
    zbq::core::region ring_;
    zbq::core::region metadata_;
    unique_fd side_;
    unique_fd consumer_side_;
    unique_fd event_;
    unique_fd consumer_event_;
    unique_fd process_;
};

} // namespace test
