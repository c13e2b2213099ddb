/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of the ring: room, tails, evictions, joins, and that the producer goes on.
 *
 * Stands for: reserve and the scan (has_room_for and room_was_found in src/producer.cpp;
 * refresh_tails, evict, scan in src/evict.cpp; mind_obstacles in src/stall.cpp), free_bytes and
 * tail_is_valid (src/ring.hpp), zbq_producer_handshake (src/join.cpp), zbq_consumer_publish
 * (src/consumer.cpp).
 *
 * Leaves out: what the bytes are and when stores become visible (order.pml), sleep (wake.pml), the
 * side socket, query. All tails are loaded in one step: a load that is older is a consumer that is
 * slower. A message is a cell, and a commit publishes one. A consumer's step is the release of one
 * cell or of all, so what it reads in between is held all the time. Time: whoever a second scan finds
 * where the first one found it has timed out. The threshold is 1: each failure scans. What is left of
 * a run grows with the tails, as if reserved anew.
 *
 * Fate: a consumer dies, hangs, or (the second) stores a tail that cannot be, at any moment.
 *
 * Bounds: 2 slots, JOINS consumers in all, CELLS cells; the stream has no end.
 */
#ifndef JOINS
#define JOINS 3 /* consumers in all; two have a slot at a time */
#endif
#ifndef STALL_TIMEOUT
#define STALL_TIMEOUT 1 /* 0: the dead alone are evicted, and nobody hangs */
#endif
#define SLOTS 2
#ifndef CELLS
#define CELLS 3
#endif
#define CLOG_THRESHOLD 2
#define TURN (CELLS + 2) /* offsets are kept modulo this: one more than a tail can be behind */

#define after(offset, cells) ((offset + cells) % TURN)
#define from(start, end) ((end + TURN - start) % TURN)

/* ---- the memory that the processes share ---- */

byte head;
byte tail[JOINS];
bool mark[JOINS];

byte joined; /* pages handed out */

/* ---- fate ---- */

bool alive[JOINS] = true;
bool dead[JOINS]; /* and the kernel says so: who only hangs is neither */

/* ---- for the properties alone ---- */

bool honest[JOINS] = true;
bool unread_stay = true;

inline must(property, condition) {
    property = (condition);
    assert(property)
}

/* ---- consumers ---- */

#define reads (_pid < joined && alive[_pid] && !mark[_pid])

active [JOINS] proctype consumer() {
    do
    :: d_step { reads && tail[_pid] != head -> tail[_pid] = after(tail[_pid], 1) }
    :: d_step { reads && from(tail[_pid], head) > 1 -> tail[_pid] = head }
    od
}

#define dies(p) d_step { joined > p && alive[p] -> alive[p] = false; dead[p] = true }
#define hangs(p) d_step { STALL_TIMEOUT && joined > p && alive[p] -> alive[p] = false }
#define cheats(p, a_tail) d_step { STALL_TIMEOUT && joined > p && alive[p] -> \
        alive[p] = false; honest[p] = false; tail[p] = a_tail }

active proctype fate() {
    do
    :: dies(0)
    :: dies(1)
    :: dies(JOINS - 1)
    :: hangs(0)
    :: hangs(1)
    :: hangs(JOINS - 1)
    :: cheats(1, after(head, 1))
    :: cheats(1, after(tail[1], TURN - 1))
    :: break
    od
}

/* ---- the producer ---- */

#define room(slowest_tail) ((CELLS - from(slowest_tail, head)) & 255) /* unsigned */

/* What nobody looks at once the mark is set; fewer states differ. */
inline forget(p) {
    tail[p] = 0;
    alive[p] = false;
    dead[p] = false;
    honest[p] = true
}

inline evict(s) {
    mark[page[s]] = true;
    taken[s] = false;
    forget(page[s]);
    tail_seen[s] = 0;
    stalled[s] = false;
    page[s] = 0
}

inline refresh_tail(s) {
    if
    :: taken[s] && from(tail_seen[s], tail[page[s]]) > from(tail_seen[s], head) -> evict(s)
    :: taken[s] && from(tail_seen[s], tail[page[s]]) <= from(tail_seen[s], head) ->
        stalled[s] = stalled[s] && tail_seen[s] == tail[page[s]];
        tail_seen[s] = tail[page[s]];
        lowest = (from(tail_seen[s], head) > from(lowest, head) -> tail_seen[s] : lowest)
    :: !taken[s]
    fi
}

inline refresh_tails() {
    d_step {
        lowest = head;
        refresh_tail(1);
        refresh_tail(0);
        slowest = lowest;
        lowest = 0
    }
}

#define waiting (room(slowest) < wanted)
#define behind(s) (waiting && tail_seen[s] != head)
#define holds_back(s) (room(tail_seen[s]) < wanted)

/* Between two looks that find the same tail the timeout has passed. */
inline evict_stalled(s) {
    if
    :: taken[s] && behind(s) && !stalled[s] -> stalled[s] = true
    :: taken[s] && behind(s) && stalled[s] && holds_back(s) && STALL_TIMEOUT -> evict(s)
    :: else -> stalled[s] = stalled[s] && behind(s)
    fi
}

inline evict_dead(s) {
    if
    :: taken[s] && dead[page[s]] -> evict(s)
    :: else
    fi
}

inline scan() {
    d_step { evict_dead(1); evict_dead(0) }
    refresh_tails(); /* mind_obstacles from here on */
    d_step { evict_stalled(1); evict_stalled(0) }
    refresh_tails()
}

inline handshake(s) {
    page[s] = joined;
    tail_seen[s] = head;
    tail[joined] = head;
    joined++;
    taken[s] = true
}

#define stays(p) (p >= joined || mark[p] || !honest[p] || from(tail[p], head) < CELLS)

active proctype producer() {
    byte page[SLOTS];
    bool taken[SLOTS];
    byte tail_seen[SLOTS];
    bool stalled[SLOTS]; /* the clock runs, since tail_seen is what it is */

    byte slowest;    /* a lower bound of all tails */
    byte wanted = 1;
    byte lowest;

again:
    if
    :: d_step { joined < JOINS && !taken[0] -> handshake(0) }; goto again
    :: d_step { joined < JOINS && taken[0] && !taken[1] -> handshake(1) }; goto again
    :: room(slowest) > 0 /* left of the run */
    :: room(slowest) < CELLS ->
        /* reserve: has_room_for, then room_was_found */
        if
        :: wanted = 1
        :: wanted = 2
        :: wanted = CELLS
        fi;
        if
        :: waiting -> refresh_tails()
        :: else
        fi;
        if
        :: waiting -> scan()
        :: else
        fi;
        if
        :: waiting -> wanted = 1; goto again
        :: else
        fi
    fi;
progress:
    atomic {
        must(unread_stay, stays(0) && stays(1) && stays(JOINS - 1));
        head = after(head, 1);
        wanted = 1;
        goto again
    }
}
