/* SPDX-License-Identifier: MIT */
/*
 * Sleep: no consumer sleeps for ever beside a message or an eviction.
 *
 * Stands for: park, nap, sleep_on_bell, token_now and unpark (src/wake.hpp), wait and the looks before
 * it, rearm and look_and_rearm (src/consumer.cpp), zbq_window_commit (include/zbq/inline.h),
 * mind_sleepers, wake_or_tell and revoke_fences (src/producer.cpp), evict (src/evict.cpp), FUTEX_WAIT,
 * FUTEX_WAKE and the two event sockets' bells.
 *
 * Stores wait in a buffer for each processor, first in, first out, as on x86-64, and come out at any
 * time. A full fence waits until the own buffer is empty. The exchange in parked_take does not, so it
 * is weaker than there. A nap ends when all stores that the producer had in its buffer when the nap
 * began are out, not sooner. The kernel compares and sleeps in one step. The long sleep has no end of
 * its own: the library's 100 ms would hide what is looked for.
 *
 * A consumer reads all that a look shows it. It may die before it is parked and after. The producer
 * makes up to COMMITS commits and EVICTIONS evictions and stops where it likes: a sleeper must then
 * have nothing left to read, or Spin reports an invalid end state.
 *
 * Leaves out: records and the end of the stream (the same ring of the bell as an eviction), the
 * looks that a producer with more than 8 consumers omits for 10 us, spurious wake-ups.
 */
#ifndef COMMITS
#define COMMITS 4
#endif
#ifndef FENCES
#define FENCES 1 /* commits with the fence after one that found somebody: 16 in the library */
#endif
#ifndef POLLS
#define POLLS 0 /* the last consumer has asked for its event descriptor */
#endif
#ifndef EVICTIONS
#define EVICTIONS 1
#endif
#ifndef SLEEPERS
#define SLEEPERS 2
#endif
#define CONSUMERS 2 /* places; consumer 1 is there if there are two */

#define on_futex 1
#define on_event 2

/* ---- the memory that the processes share ---- */

byte head;
byte bell;
bool mark[CONSUMERS];
byte parked[CONSUMERS];
bool fenced[CONSUMERS];

/* ---- stores on their way: each processor has a buffer, first in, first out ---- */

mtype = { to_head, to_bell, to_mark, to_grant, to_revoke };
chan producers = [COMMITS + 2] of { mtype, byte }; /* where, and what or whose */
chan consumers[CONSUMERS] = [2] of { byte };       /* its parked */

/* ---- the kernel ---- */

bool asleep[CONSUMERS]; /* on the bell */
bool rung[CONSUMERS];   /* a bell is in the event socket: the first is there before the join */
byte older[CONSUMERS];  /* stores of the producer that a nap outlasts and that are still to come out */

/* ---- for the property ---- */

bool over; /* the producer does nothing any more */
byte cursor[CONSUMERS];
bool served[CONSUMERS] = true; /* has a slot */

#define may_sleep_for_ever (over && empty(producers) && served[_pid] && cursor[_pid] == head)

/* ---- consumers ---- */

#define polls (POLLS && _pid == SLEEPERS - 1)

inline announce(how) {
    consumers[_pid] ! how;
    empty(consumers[_pid]) /* full fence */
}

inline look() {
    if
    :: d_step { mark[_pid] -> token = 0 }; goto left
    :: d_step { !mark[_pid] && cursor[_pid] != head -> cursor[_pid] = head; token = 0 }; goto again
    :: !mark[_pid] && cursor[_pid] == head
    fi
}

active [CONSUMERS] proctype consumer() {
    byte token, was;
    bool naps;

    if
    :: _pid >= SLEEPERS -> goto left
    :: polls -> /* make_watch */
        announce(on_event);
        older[_pid] = len(producers);
        older[_pid] == 0
    :: else
    fi;
again:
    was = bell;
    d_step { token = was + head; was = 0 }
    look();
    if
    :: polls ->
        rung[_pid] = false;
        announce(on_event);
        look();
        if
        :: skip
        :: token = 0;
            if
            :: rung[_pid] -> goto again
            :: may_sleep_for_ever -> goto left
            fi
        fi
    :: else
    fi;
    /* park */
    if
    :: goto left /* it dies */
    :: announce(on_futex | (polls -> on_event : 0))
    fi;
    if
    :: goto left /* it dies, and its mark stays; asleep or not makes no difference */
    :: naps = !fenced[_pid]
    fi;
sleep:
    was = bell;
    if
    :: d_step { was + head != token -> was = 0 }; goto awake
    :: else
    fi;
    if
    :: d_step { bell == was -> /* the kernel's comparison, under its lock */
            asleep[_pid] = true;
            was = 0;
            older[_pid] = (naps -> len(producers) : 0) }
    :: d_step { bell != was -> was = 0 }; goto awake
    fi;
    if
    :: !asleep[_pid]
    :: d_step { asleep[_pid] && naps && older[_pid] == 0 -> asleep[_pid] = false; naps = false }
        goto sleep
    :: asleep[_pid] && !naps && may_sleep_for_ever -> goto left
    fi;
awake:
    atomic { token = 0; naps = false }
    consumers[_pid] ! (polls -> on_event : 0);
    goto again;
left:
    atomic { token = 0; naps = false }
}

/* ---- the producer ---- */

inline revoke(i) {
    if
    :: grants[i] && !is_polling[i] -> producers ! to_revoke, i; grants[i] = false
    :: else
    fi
}

inline wake_or_tell(i) {
    if
    :: d_step { served[i] && parked[i] != 0 ->
            took = parked[i];
            parked[i] = 0;
            fences_left = FENCES }
        if
        :: (took & on_event) != 0 ->
            is_polling[i] = true;
            d_step { empty(producers) -> rung[i] = true } /* the kernel's lock of the queue */
        :: else
        fi;
        atomic {
            if
            :: !grants[i] -> producers ! to_grant, i; grants[i] = true
            :: else
            fi;
            rings = rings || took != on_event;
            took = 0;
            owes = owes || grants[i]
        }
    :: d_step { !served[i] || parked[i] == 0 -> owes = owes || grants[i] }
    fi
}

inline wake_all() {
    atomic { bell_own++; rings = false; producers ! to_bell, bell_own }
    d_step { empty(producers) -> /* futex_wake: a full barrier, then the lock */
        asleep[0] = false;
        asleep[1] = false }
}

inline mind_sleepers() {
    atomic {
        if
        :: fences_left > 0 ->
            fences_left--;
            if
            :: fences_left == 0 -> revoke(0); revoke(1)
            :: else
            fi
        :: else
        fi
    }
    d_step { empty(producers) -> owes = false } /* park_fence */
    wake_or_tell(0);
    wake_or_tell(1);
    if
    :: rings -> wake_all()
    :: else
    fi
}

inline commit() {
    atomic { head_own++; producers ! to_head, head_own }
    unusual = owes || (served[0] && parked[0] != 0);
    if
    :: d_step { unusual || (served[1] && parked[1] != 0) -> unusual = false }
        mind_sleepers()
    :: !unusual && (!served[1] || parked[1] == 0)
    fi
}

inline evict(i) {
    atomic {
        evictions++;
        producers ! to_mark, i;
        served[i] = false;
        grants[i] = false;
        is_polling[i] = false
    }
    wake_all();
    rung[i] = true
}

active proctype producer() {
    byte head_own, bell_own, fences_left, took, evictions;
    bool owes, unusual, rings;
    bool grants[CONSUMERS];
    bool is_polling[CONSUMERS];

    do
    :: head_own < COMMITS -> commit()
    :: evictions < EVICTIONS -> evict(SLEEPERS - 1)
    :: over = true; break
    od
}

/* ---- the memory: stores come out ---- */

#define sooner(i) (older[i] > 0 -> older[i] - 1 : 0)

active proctype memory() {
    byte what;
end:
    do
    :: atomic {
        if
        :: producers ? to_head, head
        :: producers ? to_bell, bell
        :: producers ? to_mark, what -> mark[what] = true
        :: producers ? to_grant, what -> fenced[what] = true
        :: producers ? to_revoke, what -> fenced[what] = false
        fi;
        what = 0;
        older[0] = sooner(0);
        older[1] = sooner(1) }
    :: consumers[0] ? parked[0]
    :: consumers[1] ? parked[1]
    od
}
