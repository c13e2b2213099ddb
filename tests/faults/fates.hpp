// SPDX-License-Identifier: MIT
//
// What becomes of the consumers of a round: drawn from the seed, and lived in a process of
// its own each.
#pragma once

#include "board.hpp"
#include "reader.hpp"
#include "rendezvous.hpp"

#include <random>
#include <string_view>
#include <vector>

namespace faults {

enum class fate : std::uint8_t {
    survivor,    // reads all
    killed,      // at any instant
    stopped,     // until it is evicted and its memory is used again; then goes on
    executes,    // another program, while joined
    starved,     // of descriptors, for a while
    hoarder,     // never collects descriptors
    closer,      // closes descriptors under the library
    leaver,      // at once
    half_joined, // dies before it reads the join message
};
inline constexpr std::size_t fates = 9;
std::string_view name_of(fate what);

enum class victim : std::uint8_t { side, event, process, watch, rendezvous };
inline constexpr std::uint64_t victims = 5;

struct plan {
    fate what = fate::survivor;
    reading_habits habits;
    std::uint64_t starts_after_ns = 0;
    bool acts_once_joined = true; // its act comes so long after its join, or its start
    std::uint64_t acts_after_ns = 0;
    std::uint64_t acts_after_messages = 0;
    unsigned spare_descriptors = 0;
    victim closes = victim::side;
};

using dice = std::mt19937_64;
std::uint64_t below(dice *from, std::uint64_t bound);
dice dice_of(std::uint64_t seed, std::uint64_t round);
plan draw_survivor(dice *from);
std::vector<plan> draw_churn(dice *from); // one survivor at least

// The body of its process.
struct life {
    plan what;
    std::uint32_t account = 0;
    std::uint64_t seed = 0; // of the stream
    address where;
    const shared_board *board = nullptr;
    bool producer_may_die = false;
};
int live(const life &mine);

// The program that one of them executes: main's arguments from the second on.
inline constexpr std::string_view after_exec_word = "--after-exec";
int after_exec(int argc, char **argv);

} // namespace faults
