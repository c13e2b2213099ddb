// SPDX-License-Identifier: MIT
//
// What slices say together. The processors of a virtual machine are near each other at one time
// and far at another: slices of the two kinds are summed up apart, and those in which the kind
// changed are left out.
#pragma once

#include "stage.hpp"

#include <optional>
#include <vector>

namespace bench {

struct spread {
    double median = 0;
    double low = 0;  // a quarter is below
    double high = 0; // a quarter is above
    [[nodiscard]] bool is_wide() const { return high - low > 0.5 * median; }
};

spread spread_of(std::vector<double> values);
double quantile(std::vector<double> *values, double share); // reorders them

struct spell_summary {
    std::size_t slices = 0;
    spread figure;
    spread ratio;        // to the floor's slice next to each
    spread to_reference; // to what the reference did in the same round
    // Too few slices, or a quarter and three quarters too far apart, to conclude anything.
    [[nodiscard]] bool is_vague() const { return slices < 5 || figure.is_wide(); }
};

struct summary {
    std::string name;
    std::string failure;
    bool is_reference = false; // no system that somebody would use
    spell_summary near;        // all slices, where the distance was not measured
    spell_summary far;
    std::uint64_t messages = 0; // sent
    std::uint64_t errors = 0;
    double sender_cpu_ns = 0;   // for each message delivered to a receiver
    double receiver_cpu_ns = 0; // the same
    std::vector<double> samples;
};

// Above this a cache line's round trip means that the processors are far from each other.
double far_threshold(const std::vector<act_result> &results);

// The reference may be null.
summary summarise(const act_result &result, double threshold, const act_result *reference);

} // namespace bench
