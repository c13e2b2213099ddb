// SPDX-License-Identifier: MIT
//
// What a hostile consumer can do with what it was given. A body goes on until its process is
// killed; it counts a step when it is in position, and with each turn after that.
#pragma once

#include "intruder.hpp"

#include <vector>

namespace hostile {

struct attack {
    const char *name;
    const char *does;
    void (*body)(intruder &, unsigned amount);
    unsigned amount = 0;             // how much of it, or which kind
    std::uint64_t short_steps = 100; // that the short form waits for
    std::uint64_t capacity = 1U << 20U;
    // What it was evicted for once it has made these steps.
    zbq_eviction evicted_for = ZBQ_EVICTION_NONE;
    // Set: an honest slow reader may do the same, so that only its time is bounded; why.
    const char *excuse = nullptr;
    bool reads_along = false; // as fast as an honest reader, whatever else it does
    bool observes = false;    // it joins as an observer
    // Its bells take as long as the kernel lets them: it is their number that is bounded.
    bool has_dear_bells = false;
};

const std::vector<attack> &attacks();

// One process for each attacker.
using attackers = std::vector<const attack *>;

// So many of all kinds, but for those that have an excuse.
attackers mixed(std::size_t count);

// In an attacker's place: no consumer, and busy; or an honest one that spins, in the place of one
// of many that read along, for the ring waits for each.
extern const attack burner;
extern const attack reader;

// ---- page_attacks.cpp: its own page, and the shared memory ----
void writes_random_page(intruder &in, unsigned amount);
void scribbles(intruder &in, unsigned amount);
void forges_marks(intruder &in, unsigned amount);
void chooses_tails(intruder &in, unsigned amount);
void flips_tail(intruder &in, unsigned amount);
void punches_holes(intruder &in, unsigned amount);
void pins_memory(intruder &in, unsigned amount);
void asks_for_everything(intruder &in, unsigned amount);

// ---- waking_attacks.cpp ----
void parks(intruder &in, unsigned how);
void toggles(intruder &in, unsigned amount);
void is_woken(intruder &in, unsigned how);
void sleeps_in_a_crowd(intruder &in, unsigned threads);
void waits_for_many(intruder &in, unsigned threads);
void watches(intruder &in, unsigned entries);
void filters(intruder &in, unsigned instructions);
void never_rings(intruder &in, unsigned amount);
void rings(intruder &in, unsigned amount);
void storms_futexes(intruder &in, unsigned operation);
void barriers(intruder &in, unsigned amount);

// ---- slow_attacks.cpp: what a slow reader may do too ----
void stops(intruder &in, unsigned amount);
void stalls(intruder &in, unsigned amount);
void trickles(intruder &in, unsigned amount);
void reads_slowly(intruder &in, unsigned bytes_each_ms);
void collects_slowly(intruder &in, unsigned amount);
void hoards_descriptors(intruder &in, unsigned amount);

// ---- socket_attacks.cpp ----
void floods(intruder &in, unsigned which);
void comes_and_goes(intruder &in, unsigned amount);
void never_takes_its_join(intruder &in, unsigned amount);
void passes_on(intruder &in, unsigned amount);

enum hello : unsigned {
    silence,
    half_a_hello,
    hello_with_descriptors,
    hello_alone, // what follows is not received
    another_protocol,
    hang_up,
    all_hellos // each in turn
};
void connects(intruder &in, unsigned which);

} // namespace hostile
