// SPDX-License-Identifier: MIT
#include "attacks.hpp"

#include <random>
#include <unistd.h>

namespace hostile {

namespace {

// The bounds are a tenth of the least median of two campaigns on a machine of two processors that
// had ten to twenty other busy processes: a machine differs, and so does a day, by less than that,
// and what goes wrong in the code costs more. Those that stall have none: they cost what
// stall_timeout_ns says (docs/design.md).
const attack table[] = {
    {.name = "random-words",
     .does = "random values all over its page",
     .body = writes_random_words,
     .harmless = burns,
     .least_ratio = 0.03,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "chosen-tails",
     .does = "tails at every boundary",
     .body = writes_chosen_tails,
     .short_steps = 50,
     .harmless = burns,
     .least_ratio = 0.01,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "forged-marks",
     .does = "eviction, fenced and parked words",
     .body = forges_marks,
     .least_ratio = 0.05},
    {.name = "asks-for-everything",
     .does = "seals, sizes, holes, leases, locks, owners",
     .body = asks_for_everything,
     .short_steps = 20,
     .least_ratio = 0.09},
    {.name = "punches-holes",
     .does = "takes its page's memory away",
     .body = punches_holes,
     .harmless = burns,
     .least_ratio = 0.04,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "pins-memory",
     .does = "keeps the page of every join",
     .body = pins_memory,
     .short_steps = 50,
     .harmless = burns,
     .least_ratio = 0.02,
     .evicted_for = ZBQ_EVICTION_DEAD},
    {.name = "stalls-again",
     .does = "stalls until evicted, and joins again",
     .body = stalls_again,
     .short_steps = 1,
     .long_steps = 2,
     .harmless = idles,
     .evicted_for = ZBQ_EVICTION_STALLED,
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
     .body = never_rings,
     .least_ratio = 0.005},
    {.name = "floods-side",
     .does = "fills its side socket, shuts it down",
     .body = floods_side,
     .short_steps = 6,
     .harmless = burns,
     .least_ratio = 0.03,
     .evicted_for = ZBQ_EVICTION_DEAD},
    {.name = "floods-event",
     .does = "fills its event socket, shuts it down",
     .body = floods_event,
     .short_steps = 6,
     .harmless = burns,
     .least_ratio = 0.1},
    {.name = "comes-and-goes",
     .does = "joins and leaves",
     .body = comes_and_goes,
     .short_steps = 300,
     .long_steps = 10'000,
     .harmless = burns,
     .least_ratio = 0.02,
     .evicted_for = ZBQ_EVICTION_DEAD},
    {.name = "strangers",
     .does = "half, false and silent hellos by hundreds",
     .body = strangers,
     .short_steps = 600,
     .harmless = burns,
     .least_ratio = 0.002,
     .evicted_for = ZBQ_EVICTION_DEAD},
    {.name = "hoards-descriptors",
     .does = "collects none until evicted",
     .body = hoards_descriptors,
     .short_steps = 1,
     .long_steps = 1,
     .harmless = idles,
     .evicted_for = ZBQ_EVICTION_SIDE_STALLED,
     .stalls = true},
    {.name = "passes-on",
     .does = "hands page and sockets to another process",
     .body = passes_on,
     .short_steps = 20,
     .harmless = burns,
     .least_ratio = 0.01},
    {.name = "parks-1",
     .does = "marked on the bell, never asleep",
     .body = parks_on_bell,
     .least_ratio = 0.08},
    {.name = "parks-2",
     .does = "marked on its event socket, never asleep",
     .body = parks_on_event,
     .least_ratio = 0.07},
    {.name = "parks-3", .does = "both", .body = parks_on_both, .least_ratio = 0.09},
    {.name = "sleeps-on-event",
     .does = "has itself woken by each commit",
     .body = sleeps_on_event,
     .harmless = idles,
     .least_ratio = 0.03},
    {.name = "wakes-others",
     .does = "FUTEX_WAKE on the bell",
     .body = wakes_others,
     .least_ratio = 0.07},
    {.name = "requeues-others",
     .does = "FUTEX_REQUEUE off the bell",
     .body = requeues_others,
     .least_ratio = 0.02},
    {.name = "barriers",
     .does = "membarrier on every processor",
     .body = barriers,
     .least_ratio = 0.08},
    {.name = "crowds-the-bell",
     .does = "64 threads asleep on the bell",
     .body = crowds_the_bell,
     .short_steps = 200,
     .least_ratio = 0.002},
};

} // namespace

const std::vector<attack> &attacks() {
    static const std::vector<attack> all(std::begin(table), std::end(table));
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
