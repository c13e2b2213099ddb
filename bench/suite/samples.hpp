// SPDX-License-Identifier: MIT
//
// What the processes of an act record over all slices.
#pragma once

#include "shared.hpp"
#include "summary.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

namespace bench {

class shared_samples {
public:
    void add(const std::vector<double> &some) {
        for (const double one : some) {
            const std::size_t at = recorded_->fetch_add(1);
            if (at < most) {
                samples_[at] = one;
            }
        }
    }
    [[nodiscard]] std::size_t count() const { return std::min(recorded_->load(), most); }
    [[nodiscard]] std::vector<double> all() const { return since(0); }
    [[nodiscard]] double median_since(std::size_t first) const {
        std::vector<double> some = since(first);
        return quantile(&some, 0.5);
    }

private:
    static constexpr std::size_t most = 1U << 20U;

    [[nodiscard]] std::vector<double> since(std::size_t first) const {
        return {samples_.get() + std::min(first, count()), samples_.get() + count()};
    }

    shared<std::atomic<std::size_t>> recorded_;
    shared<double> samples_{most};
};

} // namespace bench
