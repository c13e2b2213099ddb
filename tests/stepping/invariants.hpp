// SPDX-License-Identifier: MIT
//
// What holds at every instant, by docs/protocol.md: checked from outside, between two
// instructions of a process that stands still.
#pragma once

#include "zbq.h"

#include <cstdint>
#include <string>
#include <vector>

namespace test {

class invariants {
public:
    invariants(const zbq_control_region *control, const char *ring);

    // A consumer's page. By its tail one that cheats says nothing, nor does an observer.
    void add(const zbq_consumer_metadata *shared, std::uint32_t slot, bool counts = true);

    // What is broken now, or has changed since the last call as it must not; empty: nothing.
    std::string broken();

private:
    struct watched {
        const zbq_consumer_metadata *page;
        std::uint32_t place; // of its mark among those in the page
        bool counts;         // its tail
        zbq_consumer_metadata before;
    };

    std::string broken_control();
    [[nodiscard]] std::string broken_page(const watched &one) const;
    [[nodiscard]] std::string broken_tail(const watched &one) const;

    zbq_control_region before_;
    const zbq_control_region *control_;
    const char *ring_;
    std::vector<watched> pages_;
};

} // namespace test
