// SPDX-License-Identifier: MIT
//
// The short form: each attack until it has come some way. No test judges the speed.
#include "arena.hpp"

#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

namespace {

class HostileConsumer : public testing::TestWithParam<hostile::attack> {};

TEST_P(HostileConsumer, HarmsNobody) {
    hostile::arena_options options;
    options.messages = GetParam().stalls || test::sanitized ? 3'000 : 20'000;
    options.steps = GetParam().short_steps;
    options.stall_timeout_ns = (GetParam().stalls ? 2'000 : 30'000) * test::ms;
    const hostile::outcome outcome = hostile::run(GetParam(), options);
    for (const std::string &harm : outcome.harm) {
        ADD_FAILURE() << harm;
    }
    EXPECT_GE(outcome.steps, options.steps);
}

std::string name_of(const testing::TestParamInfo<hostile::attack> &info) {
    std::string name;
    bool upper = true; // gtest allows letters and digits alone
    for (const char letter : std::string(info.param.name)) {
        if (letter != '-') {
            name += upper ? static_cast<char>(std::toupper(letter)) : letter;
        }
        upper = letter == '-';
    }
    return name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, HostileConsumer, testing::ValuesIn(hostile::attacks()), name_of);

} // namespace
