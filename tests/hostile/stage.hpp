// SPDX-License-Identifier: MIT
//
// The producer's process in the arena.
#pragma once

#include "arena.hpp"
#include "support/process.hpp"

#include <unistd.h>

namespace hostile {

inline constexpr std::size_t most_attackers = 30;

enum phase : std::uint32_t {
    preparing,
    attacked, // said by the producer, as the next
    over,     // they can be killed
    gone      // they are: said by the caller's process
};

// What the processes share.
struct board {
    std::atomic<std::uint32_t> now = preparing;
    std::atomic<std::uint64_t> steps[most_attackers] = {};
    outcome result;
};

struct play {
    const attackers &who;
    const arena_options &options;
    std::string name;   // of the listener
    uid_t attacker = 0; // their user
    board *shared = nullptr;
};

// Ends by itself: who is waited for has a watchdog, and so has this one.
inline void wait_for(const board *shared, phase what) {
    while (shared->now.load() < what) {
        usleep(500);
    }
}

int produce(const play &what);

} // namespace hostile
