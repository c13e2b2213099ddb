// SPDX-License-Identifier: MIT
#include "attacks.hpp"

#include <random>
#include <unistd.h>

namespace hostile {

const std::vector<attack> &attacks() {
    static const std::vector<attack> all = {
        {.name = "random-words",
         .does = "random values all over its page",
         .body = writes_random_words,
         .evicted_for = ZBQ_EVICTION_PROTOCOL,
         .harmless = burns},
        {.name = "chosen-tails",
         .does = "tails at every boundary",
         .body = writes_chosen_tails,
         .short_steps = 50,
         .evicted_for = ZBQ_EVICTION_PROTOCOL,
         .harmless = burns},
        {.name = "forged-marks", .does = "eviction, fenced and parked words", .body = forges_marks},
        {.name = "asks-for-everything",
         .does = "seals, sizes, holes, leases, locks, owners",
         .body = asks_for_everything,
         .short_steps = 20},
        {.name = "punches-holes",
         .does = "takes its page's memory away",
         .body = punches_holes,
         .evicted_for = ZBQ_EVICTION_PROTOCOL,
         .harmless = burns},
        {.name = "pins-memory",
         .does = "keeps the page of every join",
         .body = pins_memory,
         .short_steps = 50,
         .evicted_for = ZBQ_EVICTION_DEAD,
         .harmless = burns},
        {.name = "stalls-again",
         .does = "stalls until evicted, and joins again",
         .body = stalls_again,
         .short_steps = 1,
         .long_steps = 2,
         .evicted_for = ZBQ_EVICTION_STALLED,
         .harmless = idles,
         .stalls = true},
        {.name = "trickles",
         .does = "16 bytes before each stall timeout",
         .body = trickles,
         .short_steps = 2,
         .harmless = idles,
         .stalls = true,
         .holds = true},
        {.name = "never-rings",
         .does = "releases what is awaited and does not tell",
         .body = never_rings},
        {.name = "floods-side",
         .does = "fills its side socket, shuts it down",
         .body = floods_side,
         .short_steps = 6,
         .evicted_for = ZBQ_EVICTION_DEAD,
         .harmless = burns},
        {.name = "floods-event",
         .does = "fills its event socket, shuts it down",
         .body = floods_event,
         .short_steps = 6,
         .harmless = burns},
        {.name = "comes-and-goes",
         .does = "joins and leaves",
         .body = comes_and_goes,
         .short_steps = 300,
         .long_steps = 10'000,
         .evicted_for = ZBQ_EVICTION_DEAD,
         .harmless = burns},
        {.name = "strangers",
         .does = "half, false and silent hellos by hundreds",
         .body = strangers,
         .short_steps = 600,
         .evicted_for = ZBQ_EVICTION_DEAD,
         .harmless = burns},
        {.name = "hoards-descriptors",
         .does = "collects none until evicted",
         .body = hoards_descriptors,
         .short_steps = 1,
         .evicted_for = ZBQ_EVICTION_SIDE_STALLED,
         .harmless = idles,
         .stalls = true},
        {.name = "passes-on",
         .does = "hands page and sockets to another process",
         .body = passes_on,
         .short_steps = 20,
         .harmless = burns},
        {.name = "parks-1", .does = "marked on the bell, never asleep", .body = parks_on_bell},
        {.name = "parks-2",
         .does = "marked on its event socket, never asleep",
         .body = parks_on_event},
        {.name = "parks-3", .does = "both", .body = parks_on_both},
        {.name = "sleeps-on-event",
         .does = "has itself woken by each commit",
         .body = sleeps_on_event,
         .harmless = idles},
        {.name = "wakes-others", .does = "FUTEX_WAKE on the bell", .body = wakes_others},
        {.name = "requeues-others", .does = "FUTEX_REQUEUE off the bell", .body = requeues_others},
        {.name = "barriers", .does = "membarrier on every processor", .body = barriers},
        {.name = "crowds-the-bell",
         .does = "64 threads asleep on the bell",
         .body = crowds_the_bell,
         .short_steps = 200},
    };
    return all;
}

void keeps_up(intruder &in) {
    in.join();
    for (;;) {
        in.keep_up();
        in.count_step();
    }
}

void burns(intruder &in) {
    std::minstd_rand random;
    for (;;) {
        random.discard(1'000'000);
        if (random() != 0) { // it never is: the numbers are used
            in.count_step();
        }
    }
}

void idles(intruder &in) {
    for (;;) {
        in.count_step();
        usleep(100'000);
    }
}

} // namespace hostile
