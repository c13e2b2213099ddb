// SPDX-License-Identifier: MIT
//
// Tells, on standard error, of each consumer that lost its slot.
#pragma once

#include "progress.hpp"

#include <zbq.hpp>

#include <cstdint>
#include <vector>

namespace zbq::tool {

class eviction_log {
public:
    explicit eviction_log(uint32_t max_consumers) : slots_(max_consumers) {}

    // The pid of whoever connected, in case the kernel never tells the library.
    void joined(uint32_t slot, int32_t pid);

    // Says what is new. A slot must not be given away between an eviction and this.
    void report(const producer &ring, const tally &published, uint64_t elapsed_ns, progress *line);

    [[nodiscard]] uint64_t evicted() const { return known_; }

private:
    void report_slot(const producer &ring, uint32_t slot, const tally &published,
                     uint64_t elapsed_ns);

    struct slot_memory {
        uint64_t reported = 0; // join number
        int32_t pid = 0;
    };

    std::vector<slot_memory> slots_;
    uint64_t known_ = 0; // evictions reported
};

} // namespace zbq::tool
