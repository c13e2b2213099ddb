// SPDX-License-Identifier: MIT
//
// The short form: each attack until it has come some way. No test judges the speed.
#include "arena.hpp"

#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

namespace {

using hostile::attack;

void expect_no_harm(const hostile::attackers &who, const hostile::arena_options &options) {
    const hostile::outcome outcome = hostile::run(who, options);
    EXPECT_STREQ(outcome.harm, "");
    EXPECT_GE(outcome.steps, options.steps);
    const zbq_eviction reason = who.front()->evicted_for;
    EXPECT_TRUE(who.size() > 1 || reason == ZBQ_EVICTION_NONE ||
                outcome.counters.evicted[reason] != 0)
        << "not evicted as " << zbq_strevict(static_cast<std::uint32_t>(reason));
}

class HostileConsumer : public testing::TestWithParam<attack> {
protected:
    void SetUp() override { test::start_watchdog(); }
};

TEST_P(HostileConsumer, HarmsNobody) {
    const bool waits = GetParam().excuse != nullptr; // for the timeout
    hostile::arena_options options;
    options.messages = waits || test::sanitized ? 3'000 : 20'000;
    options.steps = GetParam().short_steps;
    options.capacity = GetParam().capacity;
    options.stall_timeout_ns = (waits ? 2'000 : 30'000) * test::ms;
    expect_no_harm({&GetParam()}, options);
}

std::string name_of(const testing::TestParamInfo<attack> &info) {
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

TEST(HostileCrowd, HarmsNobodyAndTheStreamEndsBesideIt) {
    test::start_watchdog();
    hostile::arena_options options;
    options.messages = 3'000;
    options.steps = 1;
    options.stall_timeout_ns = 10'000 * test::ms;
    options.ends_attacked = true;
    expect_no_harm(hostile::mixed(20), options);
}

} // namespace
