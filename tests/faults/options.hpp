// SPDX-License-Identifier: MIT
//
// How long a campaign goes on, and what its decisions are drawn from.
#pragma once

#include <cstdint>

namespace faults {

struct options {
    std::uint64_t seed = 0;
    std::uint64_t from = 0;    // the first round
    std::uint64_t rounds = 0;  // 0: each campaign's own short form
    std::uint64_t seconds = 0; // 0: no limit
};
const options &chosen();

// Counts rounds, until one fails.
class rounds {
public:
    explicit rounds(std::uint64_t short_form);
    bool next(); // whether there is one more
    [[nodiscard]] std::uint64_t number() const { return number_; }

private:
    std::uint64_t number_;
    std::uint64_t end_;
    std::uint64_t deadline_;
};

} // namespace faults
