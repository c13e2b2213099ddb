// SPDX-License-Identifier: MIT
//
// What a hostile consumer can do with what it was given.
#pragma once

#include "intruder.hpp"

#include <vector>

namespace hostile {

// ---- what stands in an attacker's place ----
void keeps_up(intruder &in); // a busy consumer that is never behind
void burns(intruder &in);    // no consumer, and busy
void idles(intruder &in);    // neither

struct attack {
    const char *name;
    const char *does;
    // Goes on until its process is killed.
    void (*body)(intruder &);
    std::uint64_t short_steps = 1000; // that the short form waits for
    std::uint64_t long_steps = 0;     // and the long one, if its time is over before
    // What stands in its place when the others' speed is compared.
    void (*harmless)(intruder &) = keeps_up;
    // The long form fails where the others get less than this part of their speed.
    double least_ratio = 0;
    // What it must have been evicted for meanwhile.
    zbq_eviction evicted_for = ZBQ_EVICTION_NONE;
    // It waits for the stall timeout. The others' runs have a longer one: where a machine is so
    // loaded that nobody runs for that long, the honest would be evicted.
    bool stalls = false;
    // It holds the ring: the stream does not go on while it goes on.
    bool holds = false;
};

const std::vector<attack> &attacks();

// ---- its own page and the shared objects ----
void writes_random_words(intruder &in);
void writes_chosen_tails(intruder &in);
void forges_marks(intruder &in);
void asks_for_everything(intruder &in);
void punches_holes(intruder &in);
void pins_memory(intruder &in);
void stalls_again(intruder &in);
void trickles(intruder &in);
void never_rings(intruder &in);

// ---- sockets ----
void floods_side(intruder &in);
void floods_event(intruder &in);
void comes_and_goes(intruder &in);
void strangers(intruder &in);
void hoards_descriptors(intruder &in);
void passes_on(intruder &in);

// ---- wake-ups ----
void parks_on_bell(intruder &in);
void parks_on_event(intruder &in);
void parks_on_both(intruder &in);
void sleeps_on_event(intruder &in);
void wakes_others(intruder &in);
void requeues_others(intruder &in);
void barriers(intruder &in);
void crowds_the_bell(intruder &in);

} // namespace hostile
