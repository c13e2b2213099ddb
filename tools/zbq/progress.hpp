// SPDX-License-Identifier: MIT
//
// One line about how it goes, on standard error when that is a terminal.
#pragma once

#include <cstdint>
#include <string>

namespace zbq::tool {

struct tally {
    uint64_t messages = 0;
    uint64_t bytes = 0; // of payload
    uint64_t descriptors = 0;
};

class progress {
public:
    explicit progress(bool wanted);
    ~progress() { clear(); }
    progress(const progress &) = delete;
    progress &operator=(const progress &) = delete;
    progress(progress &&) = delete;
    progress &operator=(progress &&) = delete;

    // Whether it is time for a new line.
    [[nodiscard]] bool due(uint64_t now) const;
    void update(uint64_t now, const tally &so_far, const std::string &more);
    void clear(); // before anything else is printed

private:
    bool enabled_;
    bool shown_ = false;
    uint64_t last_time_;
    uint64_t last_bytes_ = 0;
};

} // namespace zbq::tool
