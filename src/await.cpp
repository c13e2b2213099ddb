// SPDX-License-Identifier: MIT
//
// Waiting for room: what the producer does when it has none and its application would rather
// sleep than spin. It writes down the tail that it awaits; the consumer that moves past it
// rings on its event socket, and an epoll instance gathers these with the hang-ups and a timer.
//
// No ring is lost, by a store and a load on each side as in wake.hpp:
//
//   consumer                              producer
//   tail = new                            awaited_tail = wanted
//   full fence, see remote_barrier        barrier
//   awaited_tail reached? ring            tails: room?
//
// A consumer rings at most once for each awaited tail (its own tail crosses a value only once)
// and once for each record that it collects. One that rings more is flooding, and evicted.
#include "producer.hpp"

namespace zbq::core {

namespace {

bool rang_unasked(const zbq_producer *prod, slot *consumer) {
    consumer->in_flight.refresh(consumer->side.get()); // failed: the last known number stands
    const uint64_t asked = prod->waits - consumer->waits_before + consumer->in_flight.collected();
    return ++consumer->rings > asked;
}

void answer_ring(zbq_producer *prod, slot *consumer) {
    switch (event_take(consumer->event.get())) {
    case event_state::quiet:
        break;
    case event_state::rung:
        if (rang_unasked(prod, consumer)) {
            evict(prod, consumer, ZBQ_EVICTION_PROTOCOL);
        }
        break;
    case event_state::closed:
        evict(prod, consumer, ZBQ_EVICTION_DEAD);
        break;
    }
}

// Whether there were any. The timer is not read: setting it again clears it.
bool answer_some_rings(zbq_producer *prod) {
    uint32_t ready[events_at_once];
    const int count = epoll_ready(prod->watch.get(), ready);
    bool any = false;
    for (int i = 0; i < count; ++i) {
        if (ready[i] < prod->max_consumers && prod->slots[ready[i]].taken) {
            answer_ring(prod, &prod->slots[ready[i]]);
            any = true;
        }
    }
    return any;
}

// When to look again though nobody rings: at the next consumer's eviction, and within a slice,
// for consumers may be hostile and the kernel's limits are not only ours.
void set_timer(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    uint64_t due = now + ZBQ_WAIT_SLICE_NS;
    for (uint32_t i = 0; prod->stall_timeout != 0 && i < prod->active_count; ++i) {
        const slot &consumer = prod->slots[prod->active[i]];
        const stall_clock clocks[] = {consumer.ring_stall, consumer.side_stall};
        for (const stall_clock &clock : clocks) {
            const uint64_t end = clock.since + prod->stall_timeout;
            due = clock.since != 0 && end < due && end >= clock.since ? end : due;
        }
    }
    timer_set(prod->timer.get(), due > now ? due : now + 1);
}

void barrier(const zbq_producer *prod) {
    if (prod->control->remote_barrier != 0) {
        barrier_everywhere();
    }
    await_fence();
}

} // namespace

int watch_consumer(const zbq_producer *prod, const slot *consumer) {
    return prod->watch ? epoll_add(prod->watch.get(), consumer->event.get(), consumer->index) : 0;
}

void unwatch_consumer(const zbq_producer *prod, const slot *consumer) {
    if (prod->watch) {
        epoll_remove(prod->watch.get(), consumer->event.get());
    }
}

bool await_room(zbq_producer *prod) {
    if (!prod->watch) {
        return false;
    }
    answer_some_rings(prod);
    ++prod->waits;
    prod->awaits_room = true;
    awaited_tail_publish(prod->control, prod->window.head + prod->wanted - prod->capacity);
    barrier(prod);
    refresh_tails(prod);
    evict_stalled(prod);
    refresh_tails(prod);
    set_timer(prod);
    return true;
}

bool await_collection(zbq_producer *prod) {
    if (!prod->watch) {
        return false;
    }
    answer_some_rings(prod);
    prod->awaits_fds = true;
    awaited_fds_publish(prod->control, 1);
    barrier(prod);
    evict_stalled(prod);
    set_timer(prod);
    return true;
}

void answer_rings(zbq_producer *prod) {
    if (!prod->watch) {
        return;
    }
    if (!prod->awaits_room && !prod->awaits_fds) {
        timer_set(prod->timer.get(), 0);
    }
    // A consumer is evicted before it has rung so often, but for those with many waits behind
    // them: a bound all the same.
    for (uint32_t i = 0; i < prod->max_consumers + events_at_once && answer_some_rings(prod); ++i) {
    }
}

namespace {

// Nothing is awaited any more: what rang for it shall not keep the descriptor readable.
void quieten(zbq_producer *prod) {
    if (!prod->awaits_room && !prod->awaits_fds) {
        timer_set(prod->timer.get(), 0);
        answer_some_rings(prod);
    }
}

} // namespace

void end_await_room(zbq_producer *prod) {
    prod->awaits_room = false;
    awaited_tail_publish(prod->control, 0);
    quieten(prod);
}

void end_await_collection(zbq_producer *prod) {
    prod->awaits_fds = false;
    awaited_fds_publish(prod->control, 0);
    quieten(prod);
}

void remind_of_wait(zbq_producer *prod) {
    if (prod->awaits_room || prod->awaits_fds) {
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
        result = epoll_add(watch.get(), timer.get(), UINT32_MAX);
    }
    for (uint32_t i = 0; result == 0 && i < prod->active_count; ++i) {
        const slot &consumer = prod->slots[prod->active[i]];
        result = epoll_add(watch.get(), consumer.event.get(), consumer.index);
    }
    if (result == 0) {
        timer_set(timer.get(), monotonic_ns()); // what was refused before asked nobody
        prod->watch = static_cast<unique_fd &&>(watch);
        prod->timer = static_cast<unique_fd &&>(timer);
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
