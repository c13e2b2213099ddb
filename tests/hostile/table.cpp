// SPDX-License-Identifier: MIT
#include "attack.hpp"

#include <linux/futex.h>
#include <random>

namespace hostile {

namespace {

void burns(intruder &in, unsigned /*amount*/) {
    std::minstd_rand random;
    for (;;) {
        random.discard(1'000'000);
        if (random() != 0) { // it never is: the numbers are used
            in.count_step();
        }
    }
}

// What most of the others do beside their attack.
void reads_along(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay();
        for (int again = 0; again < 256; ++again) {
            in.set_tail(in.head());
        }
        in.collect();
        in.count_step();
    }
}

constexpr unsigned on_futex = 1;
constexpr unsigned on_event = 2;
constexpr unsigned on_both = 3;

const attack table[] = {
    // ---- page ----
    {.name = "random-page",
     .does = "random values all over its page",
     .body = writes_random_page,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "forged-marks",
     .does = "random values all over its page, but for the tail",
     .body = forges_marks,
     .reads_along = true},
    {.name = "chosen-tails",
     .does = "tails at every boundary",
     .body = chooses_tails,
     .short_steps = 50,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "tail-flips",
     .does = "its tail flips between two values",
     .body = flips_tail,
     .short_steps = 50,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "holes",
     .does = "takes its page's memory away",
     .body = punches_holes,
     .evicted_for = ZBQ_EVICTION_PROTOCOL},
    {.name = "pins-memory",
     .does = "keeps the page of every join",
     .body = pins_memory,
     .short_steps = 50,
     .evicted_for = ZBQ_EVICTION_DEAD},
    {.name = "asks-for-everything",
     .does = "seals, sizes, holes, leases, locks, owners",
     .body = asks_for_everything,
     .short_steps = 20,
     .reads_along = true},
    // ---- waking ----
    {.name = "parked-futex",
     .does = "always marked as asleep on its word",
     .body = parks,
     .amount = on_futex,
     .reads_along = true},
    {.name = "parked-event",
     .does = "always marked as polling its socket",
     .body = parks,
     .amount = on_event,
     .reads_along = true},
    {.name = "parked-both",
     .does = "both at once",
     .body = parks,
     .amount = on_both,
     .reads_along = true},
    {.name = "parked-toggling", .does = "both, now and then", .body = toggles, .reads_along = true},
    {.name = "woken-futex",
     .does = "has itself woken by each commit",
     .body = is_woken,
     .amount = on_futex,
     .reads_along = true},
    {.name = "woken-event",
     .does = "the same by its socket",
     .body = is_woken,
     .amount = on_event,
     .reads_along = true},
    {.name = "sleepers-64",
     .does = "64 threads asleep on its word",
     .body = sleeps_in_a_crowd,
     .amount = 64,
     .reads_along = true},
    {.name = "sleepers-512",
     .does = "512",
     .body = sleeps_in_a_crowd,
     .amount = 512,
     .reads_along = true},
    {.name = "waits-for-many",
     .does = "8 threads that wait for 128 words each, its own, the bell, others",
     .body = waits_for_many,
     .amount = 8,
     .reads_along = true},
    {.name = "watches-15000",
     .does = "15,000 epoll entries of its event socket",
     .body = watches,
     .amount = 15'000,
     .short_steps = 10,
     .reads_along = true,
     .has_dear_bells = true},
    {.name = "watches-200000",
     .does = "200,000",
     .body = watches,
     .amount = 200'000,
     .short_steps = 10,
     .reads_along = true,
     .has_dear_bells = true},
    {.name = "filters",
     .does = "a filter of 3,000 instructions on its sockets, which the kernel has to refuse",
     .body = filters,
     .amount = 3000,
     .reads_along = true},
    {.name = "never-rings",
     .does = "releases what is awaited and does not tell",
     .body = never_rings,
     .capacity = 1U << 16U,
     .reads_along = true},
    {.name = "rings-always",
     .does = "rings the producer for nothing",
     .body = rings,
     .reads_along = true},
    {.name = "futex-wakes",
     .does = "wakes all that sleep on what it can reach",
     .body = storms_futexes,
     .amount = FUTEX_WAKE,
     .reads_along = true},
    {.name = "futex-requeues",
     .does = "moves them to where nobody wakes them",
     .body = storms_futexes,
     .amount = FUTEX_REQUEUE,
     .reads_along = true},
    {.name = "barriers",
     .does = "membarrier on every processor",
     .body = barriers,
     .reads_along = true},
    // ---- observers ----
    {.name = "observer-stops",
     .does = "an observer that reads nothing and collects nothing",
     .body = stops,
     .observes = true},
    {.name = "observer-random-page",
     .does = "an observer with random values all over its page",
     .body = scribbles,
     .observes = true},
    // ---- slow ----
    {.name = "stalls",
     .does = "stalls until it is evicted, joins again",
     .body = stalls,
     .short_steps = 2,
     .evicted_for = ZBQ_EVICTION_STALLED,
     .excuse = "a reader may hang until the timeout"},
    {.name = "trickles",
     .does = "releases 16 bytes before each timeout",
     .body = trickles,
     .short_steps = 2,
     .excuse = "a reader may be slow"},
    {.name = "reads-slowly",
     .does = "reads a megabyte a second",
     .body = reads_slowly,
     .amount = 1024,
     .excuse = "a reader may be slow"},
    {.name = "collects-slowly",
     .does = "one record of descriptors in 0.8 timeouts",
     .body = collects_slowly,
     .short_steps = 2,
     .excuse = "a reader may be slow"},
    {.name = "hoards-descriptors",
     .does = "collects none until it is evicted, keeps its sockets, joins again",
     .body = hoards_descriptors,
     .short_steps = 2,
     .evicted_for = ZBQ_EVICTION_SIDE_STALLED,
     .excuse = "a reader may hang until the timeout"},
    // ---- sockets ----
    {.name = "floods-side",
     .does = "fills its side socket, shuts it down",
     .body = floods,
     .amount = 3,
     .short_steps = 6},
    {.name = "floods-event",
     .does = "fills its event socket, shuts it down",
     .body = floods,
     .amount = 5,
     .short_steps = 6},
    {.name = "comes-and-goes",
     .does = "joins and leaves",
     .body = comes_and_goes,
     .short_steps = 300,
     .evicted_for = ZBQ_EVICTION_DEAD},
    {.name = "never-takes-its-join",
     .does = "is welcomed, and receives nothing after that",
     .body = never_takes_its_join,
     .excuse = "a reader may hang until the timeout"},
    {.name = "passes-on",
     .does = "hands page and sockets to another process",
     .body = passes_on,
     .short_steps = 20,
     .excuse = "a reader may hang until the timeout"},
    {.name = "mute-connections",
     .does = "connects, says nothing",
     .body = connects,
     .amount = silence},
    {.name = "half-hellos",
     .does = "connects, says half a hello",
     .body = connects,
     .amount = half_a_hello},
    {.name = "strangers",
     .does = "half, false, unanswered and no hellos",
     .body = connects,
     .amount = all_hellos},
};

} // namespace

const attack burner = {
    .name = "burner", .does = "burns its processor", .body = burns, .short_steps = 1};

const attack reader = {.name = "reader",
                       .does = "reads along",
                       .body = reads_along,
                       .excuse = "the ring waits for each reader"};

const std::vector<attack> &attacks() {
    static const std::vector<attack> all(std::begin(table), std::end(table));
    return all;
}

attackers mixed(std::size_t count) {
    attackers kinds;
    for (const attack &one : attacks()) {
        if (one.excuse == nullptr) {
            kinds.push_back(&one);
        }
    }
    attackers chosen;
    for (std::size_t i = 0; i < count; ++i) {
        chosen.push_back(kinds[i * kinds.size() / count]);
    }
    return chosen;
}

} // namespace hostile
