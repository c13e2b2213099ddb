// SPDX-License-Identifier: MIT
//
// A reader of the statistics beside a producer that writes two accounts: what it is given is all of
// one of them.
#pragma once

#include "scenario.hpp"

namespace model {

struct torn_account : scenario {
    torn_account() : scenario({.joined_before = 0}) {}

    void before() override {
        scenario::before();
        for (zbq::core::account_copy *&copy : copies_) {
            copy = static_cast<zbq::core::account_copy *>(kernel_.memory().allocate(128));
            kernel_.memory().declare(&copy->sequence, sizeof copy->sequence);
            const auto *word = reinterpret_cast<const std::uint64_t *>(copy + 1);
            for (std::uint64_t i = 0; i < words; ++i) {
                kernel_.memory().declare(word + i, sizeof *word);
            }
        }
        write(1);
    }

    void run(int thread) override {
        if (thread == 0) {
            write(2);
            write(3); // over the first
        } else {
            read();
        }
    }

    void write(std::uint64_t number) {
        zbq::core::account_copy *copy = copies_[number % 2];
        zbq::core::account_begin(copy, 2 * number - 1);
        for (std::uint64_t i = 0; i < words; ++i) {
            zbq::core::account_word_publish(copy, i, number);
        }
        zbq::core::account_end(copy, 2 * number);
    }

    void read() {
        std::uint64_t seen[words] = {};
        const zbq::core::account_copy *const copies[] = {copies_[0], copies_[1]};
        if (zbq::core::copy_newest(copies, words, seen)) {
            RL_ASSERT(seen[0] == seen[1] && seen[0] != 0);
        }
    }

    static constexpr std::uint64_t words = 2;
    zbq::core::account_copy *copies_[2] = {};
};

} // namespace model
