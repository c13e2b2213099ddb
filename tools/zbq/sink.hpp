// SPDX-License-Identifier: MIT
//
// What a subscriber does with messages. A batch is taken in while it lies in the ring, where
// an evicted reader's bytes may change; it counts once it is known to have been whole.
#pragma once

#include "digest.hpp"
#include "io.hpp"
#include "options.hpp"
#include "progress.hpp"

#include <zbq.hpp>

#include <span>
#include <string>

namespace zbq::tool {

class sink {
public:
    explicit sink(const sub_options &options) : options_(options) {}

    void add(std::span<const std::byte> payload, uint16_t key);
    [[nodiscard]] bool empty() const { return batch_.messages == 0; }
    [[nodiscard]] bool full(uint64_t capacity) const;

    // The batch was whole: counts it. Its bytes may leave the ring now.
    void confirm();
    // Evicted: it may not have been whole, and the digest is of no use.
    void discard();

    write_result write(); // what was confirmed
    void count_descriptors(uint64_t number) { batch_.descriptors += number; }

    [[nodiscard]] const tally &total() const { return total_; }
    write_result write_accounts();

private:
    void copy(std::span<const std::byte> payload, uint16_t key);
    void append_key(uint16_t key);

    const sub_options &options_;
    tally batch_;
    tally total_;
    std::string output_;
    digest hash_;
    bool hash_intact_ = true;
};

} // namespace zbq::tool
