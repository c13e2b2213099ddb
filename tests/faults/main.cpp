// SPDX-License-Identifier: MIT
//
// zbq-faults: consumers and producers that die, stop and misbehave, by the thousand.
#include "fates.hpp"
#include "options.hpp"
#include "stream.hpp"

#include <CLI/CLI.hpp>
#include <exception>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

namespace faults {

namespace {
options chosen_options;
}

const options &chosen() {
    return chosen_options;
}

rounds::rounds(std::uint64_t short_form)
    : number_(chosen().from), end_(UINT64_MAX), deadline_(UINT64_MAX) {
    const std::uint64_t count =
        chosen().rounds != 0 || chosen().seconds != 0 ? chosen().rounds : short_form;
    if (count != 0) {
        end_ = number_ + count;
    }
    if (chosen().seconds != 0) {
        deadline_ = now_ns() + chosen().seconds * 1000 * test::ms;
    }
    --number_;
}

bool rounds::next() {
    return ++number_ < end_ && now_ns() < deadline_ && !testing::Test::HasFailure();
}

} // namespace faults

int main(int argc, char **argv) try {
    if (argc > 1 && argv[1] == faults::after_exec_word) {
        return faults::after_exec(argc, argv);
    }
    testing::InitGoogleTest(&argc, argv);
    CLI::App app("Campaigns of dying consumers and producers. Without options, the short form.");
    faults::options *options = &faults::chosen_options;
    options->seed = std::random_device()() % 1'000'000'000;
    app.add_option("--seed", options->seed, "What all decisions are drawn from; else a new one");
    app.add_option("--from", options->from, "The first round: decisions are each round's own");
    app.add_option("--rounds", options->rounds, "Rounds of each campaign");
    app.add_option("--seconds", options->seconds, "How long each campaign goes on");
    CLI11_PARSE(app, argc, argv);
    fmt::print("seed {}\n", options->seed);
    return RUN_ALL_TESTS();
} catch (const std::exception &error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
}
