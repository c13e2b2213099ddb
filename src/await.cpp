// SPDX-License-Identifier: MIT
//
// Waiting: what the producer does when it has no room and its application would rather sleep than
// spin. It writes down the tail that it awaits; the consumer that moves past it rings on its event
// socket. For descriptors the kernel rings: a socket's send side becomes writable when the
// receiver takes a record. An epoll instance gathers these with the hang-ups and a timer.
//
//   consumer                              producer
//   tail = new                            awaited_tail = wanted
//   awaited_tail reached? ring            tails: room? else the timer: a nap
//
// Neither makes a fence, so that both may miss each other while their stores are on the way: hence
// the nap, as in wake.hpp. After that the timer runs for as long again as the wait has
// lasted, but no longer than 2 ms: a consumer that releases and does not ring makes it twice as
// long at worst, and one that moves its tail to and fro is soon seen at it.
//
// What awaits is the least that was refused, and still is: who tries it again, or more, when the
// descriptor is readable, misses nothing, whatever smaller things went well in between.
// A consumer can make the descriptor readable once for each time that something else is awaited.
#include "producer.hpp"

#include <sys/epoll.h>

namespace zbq::core {

namespace {

constexpr uint32_t timer_tag = UINT32_MAX;
constexpr uint32_t side_tag = uint32_t{1} << 31U; // beside the slot's index: its side socket

void listen_to(const zbq_producer *prod, slot *consumer, bool on) {
    consumer->rang = !on;
    epoll_change(prod->watch.get(), consumer->event.get(), on ? EPOLLIN : 0U, consumer->index);
}

void answer_ring(zbq_producer *prod, slot *consumer) {
    if (event_take(consumer->event.get()) == event_state::closed) {
        evict(prod, consumer, ZBQ_EVICTION_DEAD);
    } else if (!consumer->rang) {
        listen_to(prod, consumer, false);
    }
}

struct told {
    bool rings = false;
    bool collections = false;
};

// The timer is not read: setting it again clears it. Nor is a side socket: it is told of once
// (EPOLLET).
told answer_some_rings(zbq_producer *prod) {
    uint32_t ready[events_at_once] = {};
    const int count = epoll_ready(prod->watch.get(), ready);
    told what;
    for (int i = 0; i < count; ++i) {
        if (ready[i] == timer_tag) {
            continue;
        }
        slot *consumer = &prod->slots[ready[i] & ~side_tag];
        if (!consumer->taken) { // evicted for what was told before
            continue;
        }
        if ((ready[i] & side_tag) == 0) {
            answer_ring(prod, consumer);
            what.rings = true;
        } else if (is_dead(consumer)) { // its hang-up would be told for ever
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        } else {
            what.collections = true;
        }
    }
    return what;
}

// To all, when something else is awaited. Bells that came too late for the last one are taken off,
// as far as an honest consumer can have left any.
void listen_again(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->rang) {
            event_take(consumer->event.get());
            listen_to(prod, consumer, true);
        }
    }
}

bool awaits_anything(const zbq_producer *prod) {
    return prod->awaited_room != 0 || prod->awaits_fds;
}

void begin_wait(zbq_producer *prod) {
    if (!awaits_anything(prod)) {
        prod->awaited_since = monotonic_ns();
    }
}

// When to look again though nobody rings.
void set_timer(zbq_producer *prod, bool naps) {
    const uint64_t now = monotonic_ns();
    const uint64_t waited = now - prod->awaited_since;
    uint64_t time = naps || waited < nap_ns ? nap_ns : waited;
    time = time < longest_look_ns ? time : longest_look_ns;
    const uint64_t look = until_next_look(prod);
    timer_set(prod->timer.get(), now + (look < time ? look : time));
}

// Nothing is awaited any more: what rang for it shall not keep the descriptor readable.
void quieten(zbq_producer *prod) {
    if (!awaits_anything(prod)) {
        timer_set(prod->timer.get(), 0);
        answer_some_rings(prod);
    }
}

uint64_t tail_for(const zbq_producer *prod, uint64_t room) {
    return prod->window.head + room - prod->capacity;
}

// The least of what was refused and is not there yet.
uint64_t least_refused(const zbq_producer *prod, uint64_t bytes) {
    const uint64_t before = prod->awaited_room;
    return before > known_free(prod) && before < bytes ? before : bytes;
}

} // namespace

int watch_consumer(const zbq_producer *prod, const slot *consumer) {
    if (!prod->watch) {
        return 0;
    }
    const int result =
        epoll_add(prod->watch.get(), consumer->event.get(), EPOLLIN, consumer->index);
    return result < 0
               ? result
               : epoll_add(prod->watch.get(), consumer->side.get(), 0, consumer->index | side_tag);
}

void unwatch_consumer(const zbq_producer *prod, const slot *consumer) {
    if (prod->watch) {
        epoll_remove(prod->watch.get(), consumer->event.get());
        epoll_remove(prod->watch.get(), consumer->side.get());
    }
}

bool await_room(zbq_producer *prod, uint64_t bytes) {
    if (!prod->watch) {
        return false;
    }
    const uint64_t evicted = prod->counters.evicted[0];
    const told what = answer_some_rings(prod);
    begin_wait(prod);
    prod->awaited_room = least_refused(prod, bytes);
    prod->refused_room = bytes > prod->refused_room ? bytes : prod->refused_room;
    prod->window.unusual |= awaits_room;
    const uint64_t awaited_tail = tail_for(prod, prod->awaited_room);
    const bool naps = awaited_tail != prod->listened_tail;
    if (naps) {
        listen_again(prod);
        prod->listened_tail = awaited_tail;
    }
    awaited_tail_publish(prod->control, awaited_tail);
    mind_obstacles(prod);
    set_timer(prod, naps);
    if (evicted != prod->counters.evicted[0] || what.collections) {
        remind_of_wait(prod); // what else is awaited may be there
    }
    return true;
}

void head_has_moved(zbq_producer *prod) {
    end_wait_for_room(prod);
    if (prod->awaited_room != 0) {
        awaited_tail_publish(prod->control, tail_for(prod, prod->awaited_room));
    }
}

namespace {

void ask_no_more(zbq_producer *prod) {
    prod->listened_tail = 0;
    prod->window.unusual &= ~awaits_room;
    awaited_tail_publish(prod->control, 0);
}

// More was refused than a run has told of, and is there by now: the descriptor is readable until
// that is taken.
void tell_of_refused(zbq_producer *prod) {
    prod->awaited_room = prod->refused_room;
    ask_no_more(prod);
    remind_of_wait(prod);
}

} // namespace

void room_was_got(zbq_producer *prod, uint64_t told) {
    if (prod->awaited_room == 0 || told < prod->awaited_room) {
        return;
    }
    if (prod->refused_room > told && prod->refused_room <= known_free(prod)) {
        tell_of_refused(prod);
        return;
    }
    if (prod->refused_room > told) {
        // More was refused as well: the next that is not there.
        await_room(prod, known_free(prod) + ZBQ_MSG_ALIGN);
        if (known_free(prod) >= prod->awaited_room) {
            remind_of_wait(prod);
        }
        return;
    }
    prod->awaited_room = 0;
    prod->refused_room = 0;
    ask_no_more(prod);
    quieten(prod);
}

namespace {

// The kernel tells when a consumer takes a record (sock_wfree, unix_write_space), if less than a
// quarter of the socket's buffer is full then; else the timer does.
void watch_collection(zbq_producer *prod, slot *consumer, bool on) {
    consumer->side_watched = on;
    epoll_change(prod->watch.get(), consumer->side.get(), on ? EPOLLOUT | EPOLLET : 0U,
                 consumer->index | side_tag);
}

} // namespace

bool await_collection(zbq_producer *prod) {
    if (!prod->watch) {
        return false;
    }
    const uint64_t evicted = prod->counters.evicted[0];
    begin_wait(prod);
    const bool naps = !prod->awaits_fds;
    prod->awaits_fds = true;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->side_blocked && !consumer->side_watched) {
            watch_collection(prod, consumer, true);
        }
    }
    const told what = answer_some_rings(prod); // and what is writable now, which tells nothing
    mind_obstacles(prod);
    set_timer(prod, naps);
    if (evicted != prod->counters.evicted[0] || (what.rings && prod->awaited_room != 0)) {
        remind_of_wait(prod); // what else is awaited may be there
    }
    return true;
}

void end_await_collection(zbq_producer *prod) {
    if (!prod->awaits_fds) {
        return;
    }
    prod->awaits_fds = false;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->side_watched) {
            watch_collection(prod, consumer, false);
        }
    }
    quieten(prod);
}

void answer_rings(zbq_producer *prod) {
    if (!prod->watch) {
        return;
    }
    if (!awaits_anything(prod)) {
        timer_set(prod->timer.get(), 0);
    }
    // Each rings once; as many at a time as epoll_ready gives.
    for (uint32_t i = 0; i <= prod->max_consumers / events_at_once && answer_some_rings(prod).rings;
         ++i) {
    }
}

void remind_of_wait(zbq_producer *prod) {
    if (awaits_anything(prod)) {
        timer_set(prod->timer.get(), monotonic_ns());
    }
}

namespace {

int make_watch(zbq_producer *prod) {
    unique_fd watch;
    unique_fd timer;
    int result = epoll_make(&watch);
    if (result == 0) {
        result = timer_make(&timer);
    }
    if (result == 0) {
        result = epoll_add(watch.get(), timer.get(), EPOLLIN, timer_tag);
    }
    if (result < 0) {
        return result;
    }
    prod->watch = static_cast<unique_fd &&>(watch);
    prod->timer = static_cast<unique_fd &&>(timer);
    for (uint32_t i = 0; result == 0 && i < prod->active_count; ++i) {
        result = watch_consumer(prod, &prod->slots[prod->active[i]]);
    }
    if (result == 0) {
        timer_set(prod->timer.get(), monotonic_ns()); // what was refused before asked nobody
    } else {
        prod->watch.reset();
        prod->timer.reset();
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_event_fd(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    if (!prod->watch) {
        const int result = make_watch(prod);
        if (result < 0) {
            return error_from(result);
        }
    }
    return prod->watch.get();
}
