/* SPDX-License-Identifier: MIT */
/*
 * The bytes: what a reader sees where stores become visible late and out of order.
 *
 * Stands for: zbq_window_commit, zbq_window_view, zbq_window_valid and zbq_window_release
 * (include/zbq/inline.h), eviction_mark and head_acquire (src/atomics.hpp), view_at and
 * look_past_known_head (src/consumer.cpp), evict (src/evict.cpp), the handshake and its new page
 * (src/join.cpp).
 *
 * The producer's stores wait in a buffer and come out in any order. A release, be it a store or a
 * fence, waits until all before it are out: for others that is the same as a producer that is slower.
 * The join message goes through a socket, which does as much. A consumer's loads are made in the
 * program's order (what acquire gives), and its store of the tail after its loads (what release
 * gives); mutants change that order.
 *
 * Leaves out: all that ring.pml has; one consumer has a slot at a time, and may lose it at any
 * moment, for whatever reason, while it goes on reading. One commit for each message.
 *
 * Bounds: JOINS consumers one after the other, CELLS cells, messages of one to LONGEST cells; the
 * stream has no end. A reader that a whole number of double turns has passed by would not be told
 * from one that is right; it was told apart at the first turn.
 */
#ifndef JOINS
#define JOINS 2 /* one after the other in the same slot */
#endif
#ifndef LONGEST
#define LONGEST 2 /* cells of a message */
#endif
#ifndef CELLS
#define CELLS 3
#endif
#define TURN (2 * CELLS) /* offsets are kept modulo two rings */

#define after(offset, cells) ((offset + cells) % TURN)
#define from(start, end) ((end + TURN - start) % TURN)
#define place(offset) (offset % CELLS)

/* What a cell holds: the turn in which it was written, and what part of a message. */
#define whole 0
#define first 1
#define second 2
#define nothing 6
#define content(offset, part) (offset / CELLS * 3 + part)
#define turn_of(value) (value / 3)
#define part_of(value) (value % 3)

/* ---- the memory that the processes share ---- */

byte head;
byte cell[CELLS] = nothing;
byte tail[JOINS];
bool mark[JOINS];

/* What the producer has stored and others cannot see yet. It comes out in any order. */
#define none 7
byte out_head = none;
byte out_cell[CELLS] = none;
bool out_mark[JOINS];
#define all_out (out_head == none && out_cell[0] == none && out_cell[1] == none && \
                 out_cell[CELLS - 1] == none && !out_mark[0] && !out_mark[JOINS - 1])

/* ---- what the join message says ---- */

byte joined; /* pages handed out */
byte start[JOINS];

/* ---- for the properties alone ---- */

bool left[JOINS]; /* it reads no more */
bool unread_stay = true;
bool torn_is_told = true;
bool in_order = true;
bool well_formed = true;

inline must(property, condition) {
    property = (condition);
    assert(property)
}

/* ---- a consumer ---- */

active [JOINS] proctype consumer() {
    byte cursor, known, value;
    byte due; /* for a property: where the next message starts, as the producer wrote them */

    d_step {
        joined > _pid;
        cursor = start[_pid];
        start[_pid] = 0;
        known = cursor;
        due = cursor
    }
    do
    :: atomic { cursor == known && (head != cursor || mark[_pid]) ->
            known = head;
            if
            :: mark[_pid] -> break
            :: else -> must(well_formed, from(tail[_pid], known) <= CELLS)
            fi }
    :: d_step { cursor != known ->
            value = cell[place(cursor)] }
        atomic {
            if
            :: mark[_pid] -> break
            :: else
            fi;
            must(in_order, cursor == due);
            must(torn_is_told, part_of(value) != second && turn_of(value) == cursor / CELLS);
            due = after(cursor, 1 + part_of(value));
            if
            :: part_of(value) == whole -> goto was_read
            :: else
            fi;
            must(well_formed, from(cursor, known) >= 2);
            cursor = after(cursor, 1)
        }
        value = cell[place(cursor)];
        atomic {
            if
            :: mark[_pid] -> break
            :: else
            fi;
            must(torn_is_told, value == content(cursor, second))
        }
was_read:
        atomic {
            cursor = after(cursor, 1);
            value = 0;
            tail[_pid] = cursor
        }
    od;
    atomic {
        tail[_pid] = 0;
        left[_pid] = true;
        cursor = 0; known = 0; value = 0; due = 0 /* fewer states differ */
    }
}

/* ---- the producer ---- */

inline fence() { all_out }

inline evict() {
    out_mark[page] = true;
    fence();
    d_step { taken = false; page = 0 }
}

inline handshake() {
    page = joined;
    tail[joined] = committed;
    start[joined] = committed;
    joined++;
    taken = true
}

#define stays(p, offset) (p >= joined || left[p] || mark[p] || out_mark[p] || \
                          from(tail[p], offset) < CELLS)

inline write_cell(part) {
    must(unread_stay, stays(0, written) && stays(JOINS - 1, written));
    out_cell[place(written)] = content(written, part);
    written = after(written, 1)
}

#define room(the_tail) (CELLS - from(the_tail, committed))

active proctype producer() {
    byte page;
    bool taken;
    byte written;   /* up to where messages are written */
    byte committed; /* the head, in the producer's own copy */
    byte slowest;   /* a lower bound of all tails */

    do
    :: d_step { joined < JOINS && !taken && all_out -> handshake() }
    :: taken -> evict()
    :: d_step { slowest = (taken -> tail[page] : committed) }
        if
        :: d_step { room(slowest) >= 1 -> slowest = 0; write_cell(whole) }
        :: d_step { LONGEST == 2 && room(slowest) >= 2 -> slowest = 0; write_cell(first) }
            d_step { write_cell(second) }
        :: d_step { room(slowest) == 0 -> slowest = 0 }
        fi;
        if
        :: written != committed ->
            fence();
            d_step { out_head = written; committed = written }
        :: else
        fi
    od
}

/* ---- the memory: what was stored becomes visible ---- */

#define head_comes_out d_step { out_head != none -> head = out_head; out_head = none }
#define cell_comes_out(i) d_step { out_cell[i] != none -> \
        cell[i] = out_cell[i]; out_cell[i] = none }
#define mark_comes_out(i) d_step { out_mark[i] -> mark[i] = true; out_mark[i] = false }

active proctype memory() {
    do
    :: head_comes_out
    :: cell_comes_out(0)
    :: cell_comes_out(1)
    :: cell_comes_out(CELLS - 1)
    :: mark_comes_out(0)
    :: mark_comes_out(JOINS - 1)
    od
}
