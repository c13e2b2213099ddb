/* SPDX-License-Identifier: MIT */
/*
 * Sleep: no consumer sleeps for ever beside a message or an eviction.
 *
 * Stands for: park, sleep_parked, nap_length and token_now (src/wake.hpp), wait and the looks before
 * it, rearm, park_on_event and look_and_rearm (src/consumer.cpp), zbq_window_commit
 * (include/zbq/inline.h), wake, leave_alone_if_owing, may_be_woken, mind_sleepers and wake_for_good
 * (src/wake.cpp), evict (src/evict.cpp), FUTEX_WAIT and FUTEX_WAKE of a consumer's own word, the event
 * socket's bells and its hang-up, and the timer of one that polls.
 *
 * The producer's stores wait in a buffer, first in, first out, as on x86-64, and come out at any
 * time. A full fence waits until it is empty. The exchange in parked_take does not, so it
 * is weaker than there. A nap ends when all stores that the producer had in its buffer when the nap
 * began are out, not sooner; one that is to outlast a time in which the consumer is left alone, when
 * that time is over and what was in the buffer then is out. The kernel compares and sleeps in one step.
 * The long sleep has no end of its own: the library's 100 ms would hide what is looked for.
 *
 * A consumer reads all that a look shows it. It may die before it is parked and after. The producer
 * makes up to COMMITS commits and EVICTIONS evictions, leaves somebody alone QUIETS times, for any time,
 * and stops where it likes: a sleeper must then have nothing left to read, or Spin reports an
 * invalid end state.
 *
 * Leaves out: records and the end of the stream (the same as an eviction, to a sleeper), the
 * looks that a producer with more than 8 consumers omits for 10 us, spurious wake-ups.
 */
#ifndef COMMITS
#define COMMITS 4
#endif
#ifndef QUIETS
#define QUIETS 1
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
byte quiet[CONSUMERS]; /* quiet_until: the how manieth time in which it is left alone */

/* ---- stores on their way: first in, first out ---- */

mtype = { to_head, to_bell, to_mark, to_quiet };
chan producers = [COMMITS + 3] of { mtype, byte }; /* where, and what or whose */

/* ---- time ---- */

byte quiets[CONSUMERS]; /* times in which it is left alone, so far */
bool alone[CONSUMERS];  /* the last of them is not over */

/* Sleeps that end by themselves: of consumer i in the kernel, and of its timer. */
#define SLEEPS 4
#define in_futex(i) (i)
#define in_poll(i) (CONSUMERS + (i))
mtype = { none, nap, longer };
mtype sleep[SLEEPS] = none;
byte older[SLEEPS]; /* stores of the producer that a nap outlasts and that are still to come out */

/* ---- the kernel ---- */

bool asleep[CONSUMERS]; /* on its word */
bool rung[CONSUMERS];   /* a bell is in the event socket, or it has hung up */

/* ---- for the property ---- */

bool over; /* the producer does nothing any more */
byte cursor[CONSUMERS];
bool served[CONSUMERS] = true; /* has a slot */

#define may_sleep_for_ever (over && empty(producers) && served[_pid] && cursor[_pid] == head)

/* ---- consumers ---- */

#define polls (POLLS && _pid == SLEEPERS - 1)

/* Whether the page says that it is left alone: a time that is over says nothing. */
#define is_told (alone[_pid] && quiet[_pid] == quiets[_pid])

inline begin_nap(which) {
    d_step {
        sleep[which] = (is_told -> longer : nap);
        older[which] = (is_told -> 0 : len(producers))
    }
}

inline look() {
    if
    :: d_step { mark[_pid] -> token = 0 }; goto left
    :: d_step { !mark[_pid] && cursor[_pid] != head -> cursor[_pid] = head; token = 0 }; goto again
    :: !mark[_pid] && cursor[_pid] == head
    fi
}

active [CONSUMERS] proctype consumer() {
    byte token, was, expected;

    if
    :: _pid >= SLEEPERS -> goto left
    :: else
    fi;
again:
    was = bell;
    d_step { token = was + head; was = 0 }
    look();
    if
    :: polls ->
        rung[_pid] = false;
        d_step { was = parked[_pid] & on_event; parked[_pid] = parked[_pid] | on_event }
        if
        :: was == 0 || is_told -> begin_nap(in_poll(_pid))
        :: else
        fi;
        was = 0;
        look();
        if
        :: skip
        :: token = 0;
            if
            :: rung[_pid] -> goto again
            :: d_step { sleep[in_poll(_pid)] == nap && older[in_poll(_pid)] == 0 ->
                    sleep[in_poll(_pid)] = none }
                goto again
            :: sleep[in_poll(_pid)] == none && may_sleep_for_ever -> goto left
            fi
        fi
    :: else
    fi;
    /* park */
    if
    :: goto left /* it dies */
    :: d_step { parked[_pid] = parked[_pid] | on_futex; expected = parked[_pid] }
    fi;
    if
    :: goto left /* it dies, and its mark stays; asleep or not makes no difference */
    :: begin_nap(in_futex(_pid))
    fi;
to_sleep:
    was = bell;
    if
    :: d_step { was + head != token -> was = 0 }; goto awake
    :: else
    fi;
    was = 0;
    if
    :: d_step { parked[_pid] == expected -> asleep[_pid] = true } /* under the kernel's lock */
    :: parked[_pid] != expected -> goto awake
    fi;
    if
    :: !asleep[_pid]
    :: d_step { asleep[_pid] && sleep[in_futex(_pid)] == nap && older[in_futex(_pid)] == 0 ->
            asleep[_pid] = false;
            sleep[in_futex(_pid)] = none }
        goto to_sleep
    :: asleep[_pid] && sleep[in_futex(_pid)] == none && may_sleep_for_ever -> goto left
    fi;
awake:
    atomic {
        parked[_pid] = parked[_pid] & on_event;
        sleep[in_futex(_pid)] = none;
        older[in_futex(_pid)] = 0;
        token = 0;
        expected = 0
    }
    goto again;
left:
    atomic { token = 0; was = 0; expected = 0 }
}

/* ---- the producer ---- */

inline leave_alone(i) {
    atomic { left_alone++; quiets[i]++; alone[i] = true; producers ! to_quiet, i }
    empty(producers) /* full fence */
}

inline call(i) {
    if
    :: (took & on_futex) != 0 ->
        d_step { empty(producers) -> asleep[i] = false } /* a full barrier, then the lock */
    :: else
    fi;
    if
    :: (took & on_event) != 0 ->
        d_step { empty(producers) -> rung[i] = true } /* the lock of the queue */
    :: else
    fi
}

inline wake(i) {
    if
    :: left_alone < QUIETS -> leave_alone(i)
    :: skip
    fi;
    d_step { took = parked[i]; parked[i] = 0 }
    call(i);
    took = 0
}

inline mind(i) {
    if
    :: served[i] && !alone[i] && parked[i] != 0 -> wake(i)
    :: !served[i] || alone[i] || parked[i] == 0
    fi
}

inline commit() {
    atomic { head_own++; producers ! to_head, head_own }
    mind(0);
    mind(1)
}

inline evict(i) {
    atomic { evictions++; served[i] = false; producers ! to_mark, i }
    atomic { bell_own++; producers ! to_bell, bell_own }
    d_step { took = parked[i] & on_futex; parked[i] = 0 }
    call(i);
    took = 0;
    d_step { empty(producers) -> rung[i] = true } /* it hangs up */
}

active proctype producer() {
    byte head_own, bell_own, took, evictions, left_alone;

    do
    :: head_own < COMMITS -> commit()
    :: evictions < EVICTIONS -> evict(SLEEPERS - 1)
    :: over = true; break
    od
}

/* ---- time passes, and stores come out ---- */

inline end_of(which) {
    if
    :: sleep[which] == longer -> sleep[which] = nap; older[which] = len(producers)
    :: else
    fi
}

active proctype clock() {
end:
    do
    :: d_step { alone[0] -> alone[0] = false; end_of(in_futex(0)); end_of(in_poll(0)) }
    :: d_step { alone[1] -> alone[1] = false; end_of(in_futex(1)); end_of(in_poll(1)) }
    od
}

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
        :: producers ? to_quiet, what -> quiet[what] = quiets[what]
        fi;
        what = 0;
        older[0] = sooner(0);
        older[1] = sooner(1);
        older[2] = sooner(2);
        older[3] = sooner(3) }
    od
}
