// SPDX-License-Identifier: MIT
//
// The ring in which a process tells of its bridges: bridge.PID, a retained message for each, for
// observers of the same user.
#pragma once

#include "tools/zbq/bridge_status.hpp"

#include <cstdint>
#include <vector>

namespace zbq::bridge {

class status_ring {
public:
    status_ring();

    // Serves who asks, and waits so many nanoseconds at most.
    void go_on(std::uint64_t nanoseconds);
    // What has changed since is told.
    void tell(const std::vector<tool::bridge_status> &all);

private:
    void tell_one(std::uint16_t key, const tool::bridge_status &what);

    producer ring_;
    listener door_;
    std::vector<tool::bridge_status> told_; // by key, from 1 on
};

} // namespace zbq::bridge
