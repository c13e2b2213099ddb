/* SPDX-License-Identifier: MIT */
/*
 * The floor: an observer, for whom nobody waits, knows what was whole; where in the past a consumer
 * may start.
 *
 * Stands for: grant and zbq_producer_commit (src/producer.cpp), give_up_for, first_from and
 * last_until (src/history.hpp), find_start and zbq_producer_admit (src/join.cpp),
 * zbq_window_commit, zbq_window_view and zbq_window_valid_from (include/zbq/inline.h),
 * view_observed and observe_at (src/consumer.cpp), take_over, last_from, find_newest, observe and
 * zbq_consumer_seek (src/observe.cpp).
 *
 * The producer gets room of any size and writes all over it. It commits one message or several,
 * keeps what is left or asks anew, and then what was not committed is lost. Once, at any time
 * between, a consumer joins, at any start that there is; it observes, or holds back what it has not
 * read. An observer is nothing to anybody else, so that one stands for many. It reads on before it
 * has checked the length or after, seeks the newest message when it likes, and chooses where to go
 * on each time that it was lapped. Bytes that are no header are any length. Which starts of
 * messages the producer notes is up to it: the library's rule, one in each part of the ring, is a
 * case of that.
 *
 * Progress: an observer gets a message once the producer stands still, wherever that may be.
 *
 * Leaves out: orders (those of the floor are under Relacy), but that the newest may be loaded late;
 * how much is kept; more tails than one (ring.pml), producers that cheat, the end of the stream,
 * evictions.
 *
 * Bounds: CELLS cells, messages of one and of LONGEST, a stream of END cells.
 */
#ifndef CELLS
#define CELLS 3
#endif
#ifndef LONGEST
#define LONGEST 2
#endif
#ifndef END
#define END 7
#endif

#define place(offset) ((offset) % CELLS)

/* What a cell holds: the turn in which it was written, and the length of the message that starts
 * there. */
#define torn 255
#define rest 0 /* of a message: none starts there */
#define content(offset, part) ((offset) / CELLS * (LONGEST + 1) + part)
#define part_of(value) (value % (LONGEST + 1))
#define is_first(value) (value != torn && part_of(value) != rest)
#define starts_at(offset, value) (is_first(value) && value == content(offset, part_of(value)))

/* ---- the memory that the processes share ---- */

byte head, floor, newest;
byte cell[CELLS] = torn;
byte tail; /* of who holds back */

/* ---- what the join message says ---- */

mtype = { nobody, observer, lossless };
mtype reader = nobody;
byte start;

/* ---- for the properties alone ---- */

bool well_formed = true;
bool whole_is_whole = true;
bool in_window = true;
bool each_is_told = true;
bool newest_is_last = true;
bool unread_stay = true;

inline must(property, condition) {
    property = (condition);
    assert(property)
}

/* ---- an observer: each step is one access to the memory ---- */

inline read(offset) {
    must(in_window, safe <= offset && offset < known);
    value = cell[place(offset)]
}

inline read_length(offset) {
    read(offset);
    whole = starts_at(offset, value);
    length = 1;
    if
    :: is_first(value) -> length = part_of(value)
    :: else ->
        do
        :: length <= CELLS -> length++
        :: break
        od
    fi;
    value = 0
}

#define is_lapped(offset) (floor > offset)
#define fits(offset) (offset + length <= known)

inline forget() { /* fewer states differ */
    before = 0;
    seen = 0;
    from = 0;
    found = 0;
    at = 0;
    length = 0;
    whole = false
}

mtype = { oldest, last_one, the_head };

active proctype observing() {
    byte cursor;
    byte known, safe; /* the head and the floor that were accepted */
    mtype to;         /* where it wants to go on */
    byte before, seen;
    byte from, found, at;
    byte length, value;
    bool whole; /* for a property, as is due: all below was given, told as lost, or not wanted */
    byte due;

end_not_joined:
    d_step {
        reader == observer;
        cursor = start;
        known = start;
        due = start;
        start = 0
    }
again:
    atomic { forget(); to = oldest }
end_up_to_date:
    atomic {
        head != cursor;
        if
        :: cursor != known -> goto view
        :: cursor == known
        :: to = last_one
        fi
    }
look:
    atomic {
        if
        :: to == last_one -> from = newest
        :: else
        fi
    }
    before = floor;
    seen = head;
    atomic {
        must(well_formed, before >= safe && floor >= before && seen >= known && before <= seen &&
             (floor > seen || seen - floor <= CELLS));
        if
        :: floor > seen -> forget(); goto look
        :: floor > seen -> goto again /* too often */
        :: else
        fi;
        known = seen;
        safe = floor;
        if
        :: cursor < safe ->
            due = due + safe - cursor;
            cursor = safe;
            if
            :: true
            :: to == oldest -> forget(); to = last_one; goto look
            :: to == oldest -> forget(); to = the_head; goto look
            fi
        :: else
        fi;
        if
        :: to == oldest -> goto again
        :: to == the_head -> due = known; cursor = known; goto again
        :: else
        fi;
        before = 0;
        seen = 0;
        if
        :: from = newest /* nothing orders its load */
        :: true
        fi;
        from = (from < safe -> safe : from);
        found = known;
        at = known;
        if
        :: from < known -> at = from
        :: else
        fi
    }
    do
    :: atomic { at != known -> read_length(at) }
        atomic {
            if
            :: is_lapped(from) -> forget(); goto look
            :: is_lapped(from) -> goto again /* too often */
            :: else
            fi;
            must(well_formed, fits(at));
            must(whole_is_whole, whole);
            found = at;
            at = at + length;
            length = 0;
            whole = false
        }
    :: atomic { at == known -> break }
    od;
    atomic {
        must(newest_is_last, at == known);
        due = (due < found -> found : due);
        cursor = (cursor < found -> found : cursor); /* or it was read */
        forget();
        to = oldest;
        if
        :: cursor == known -> goto again
        :: else
        fi
    }
view:
    atomic { read_length(cursor) }
    if
    :: atomic {
            if
            :: is_lapped(cursor) -> forget(); goto look
            :: else
            fi;
            must(well_formed, fits(cursor));
            must(whole_is_whole, whole)
        }
    :: fits(cursor)
    fi;
    at = 1;
    do
    :: atomic { at < length ->
            read(cursor + at);
            whole = whole && value == content(cursor + at, rest);
            value = 0;
            at++ }
    :: atomic { at == length -> break }
    od;
    atomic {
        if
        :: is_lapped(cursor) -> forget(); goto look
        :: else
        fi;
        must(whole_is_whole, whole);
        must(each_is_told, due == cursor);
        cursor = cursor + length;
        due = cursor
    }
progress:
    atomic {
        forget();
        if
        :: goto again
        :: to = last_one; goto look
        fi
    }
}

/* ---- a consumer that holds back what it has not read ---- */

active proctype reading() {
    byte value;

end_not_joined:
    reader == lossless;
end_up_to_date:
    do
    :: d_step { head != tail ->
            value = cell[place(tail)];
            must(whole_is_whole, starts_at(tail, value));
            tail = tail + part_of(value);
            value = 0 }
    od
}

/* ---- the producer ---- */

/* The first start that is known, at or past an offset. */
inline first_from(offset) {
    i = offset;
    do
    :: i < head && !noted[i] -> i++
    :: else -> break
    od
}

/* The last one before an offset; the floor, where that is not below. */
inline last_before(offset) {
    i = offset;
    do
    :: i > floor + 1 && !noted[i - 1] -> i--
    :: else -> break
    od;
    i = (i > floor + 1 -> i - 1 : floor)
}

inline any_until(offset) {
    i = 0;
    do
    :: i < offset -> i++
    :: break
    od
}

inline handshake() {
    reader == nobody;
    if
    :: i = head
    :: any_until(head); last_before(i)
    fi;
    if
    :: reader = observer; start = i
    :: reader = lossless;
        tail = i;
        slowest = (i < slowest -> i : slowest)
    fi;
    i = 0
}

#define room(the_tail) (CELLS - (head - the_tail))
#define tails (reader == lossless -> tail : head)

inline reserve() {
    if
    :: head < END && reader == lossless && room(slowest) > 0
    :: head < END && room(tails) > 0 -> slowest = tails
    fi;
    limit = head + 1;
    do
    :: limit < END && limit < slowest + CELLS -> limit++
    :: break
    od;
    written = head
}

inline give_up_for() {
    if
    :: noted[head] = true
    :: true
    fi;
    kept = floor;
    if
    :: limit > CELLS + floor ->
        first_from(limit - CELLS);
        kept = i;
        do
        :: i > 0 -> i--; noted[i] = false
        :: else -> break
        od
    :: else
    fi
}

inline write(offset, value) {
    must(unread_stay, reader != lossless || offset < CELLS + tail);
    cell[place(offset)] = value
}

active proctype producer() {
    bool noted[END]; /* where messages start */
    byte slowest;    /* a lower bound of all tails */
    byte limit;      /* of the room that it has got */
    byte written;    /* up to where there are messages */
    byte kept, begun, i;

end:
progress:
    do
    :: atomic { handshake() }
    :: atomic { reserve(); give_up_for() }
        d_step { floor = kept; kept = 0 }
    :: atomic { written < limit ->
            any_until(limit - 1 - written);
            write(written + i, torn);
            i = 0 }
    :: d_step { written < limit -> write(written, content(written, 1)); written++ }
    :: d_step { written + LONGEST <= limit ->
            write(written, content(written, LONGEST));
            written++;
            i = 1 }
        do
        :: d_step { i < LONGEST -> write(written, content(written, rest)); written++; i++ }
        :: atomic { i == LONGEST -> i = 0; break }
        od
    :: d_step { written > head -> begun = head; head = written }
        d_step { newest = begun; begun = 0 }
    od
}
