// SPDX-License-Identifier: MIT
//
// The producer's half of waking: who is parked. Commits look at the marks themselves
// (zbq_window_commit) and come here when they find one. Each wake-up is timed and charged
// (account.cpp). One that owes time is told until when it will be left alone, before its mark is
// taken off, and is not looked at until then; it looks by itself (wake.hpp). One whose wake-ups are
// dear again and again is evicted.
#include "probes.hpp"
#include "producer.hpp"

namespace zbq::core {

namespace {

void leave_alone_if_owing(const zbq_producer *prod, slot *consumer, uint64_t now) {
    if (consumer->wakes.credit < 0) {
        const uint64_t owed = time_to_pay(prod, consumer->wakes);
        consumer->wakes.quiet_until = now + (owed < ZBQ_WAIT_SLICE_NS ? owed : ZBQ_WAIT_SLICE_NS);
        quiet_publish(consumer->page(), consumer->wakes.quiet_until);
    }
}

void call(slot *consumer, uint32_t parked) {
    if ((parked & parked_on_futex) != 0) {
        futex_wake_one(&consumer->parking()->parked);
    }
    consumer->bell_failed = (parked & parked_on_event) != 0 && !event_ring(consumer->event.get());
    if (consumer->bell_failed) {
        parked_return(consumer->parking(), parked_on_event); // for want of memory: next time
    }
}

// What a call took. This thread may have been taken off its processor meanwhile, mostly by whom it
// woke: a call that took long is not believed, but the next one is measured by the thread's own
// clock, which takes a system call.
uint64_t timed_call(slot *consumer, uint32_t parked, uint64_t now) {
    wake_account *account = &consumer->wakes;
    if (account->dear == 0) {
        call(consumer, parked);
        const uint64_t took = monotonic_ns() - now;
        account->dear = took > suspicious_wake_ns ? 1 : 0;
        return took < suspicious_wake_ns ? took : suspicious_wake_ns;
    }
    const uint64_t before = thread_time_ns();
    call(consumer, parked);
    const uint64_t took = thread_time_ns() - before;
    account->dear = took > dear_wake_ns ? account->dear + 1 : took > suspicious_wake_ns ? 1 : 0;
    return took;
}

void wake(zbq_producer *prod, slot *consumer) {
    const uint64_t now = monotonic_ns();
    earn(prod, &consumer->wakes, now);
    leave_alone_if_owing(prod, consumer, now);
    const uint32_t parked = parked_take(consumer->parking());
    const uint64_t took = timed_call(consumer, parked, monotonic_ns());
    consumer->wakes.credit -= static_cast<int64_t>(took) + wake_overhead_ns;
    ++prod->counters.wakes;
    ZBQ_PROBE(wake, prod->name, consumer->index, parked, took);
    if (consumer->wakes.dear >= most_dear_wakes) {
        evict(prod, consumer, ZBQ_EVICTION_DEAR);
    }
}

bool may_be_woken(const slot *consumer, uint64_t now) {
    return consumer->is_push() && consumer->wakes.quiet_until <= now;
}

} // namespace

void choose_marks(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    uint32_t pushes = 0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot *consumer = &prod->slots[prod->active[i]];
        pushes += consumer->is_push() ? 1 : 0;
        if (may_be_woken(consumer, now)) {
            prod->parking[chosen++] = consumer->parking();
        }
    }
    prod->marks = chosen;
    prod->leaves_some_alone = chosen != pushes;
    const bool all_at_once = !prod->leaves_some_alone && pushes <= most_marks;
    prod->window.parking_count = pushes <= most_marks ? chosen : 0;
    prod->window.unusual = all_at_once ? prod->window.unusual & ~looks_by_clock
                                       : prod->window.unusual | looks_by_clock;
}

void mind_sleepers(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    prod->marks_seen_at = ticks_now();
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        if (may_be_woken(consumer, now) && parked_seen(consumer->parking()) != 0) {
            wake(prod, consumer);
        }
    }
    choose_marks(prod);
}

// Once for each head, or for a bell that failed. One in the way is woken whatever it owes:
// meanwhile the producer would only wait for it.
void wake_if_behind(zbq_producer *prod, slot *consumer, uint64_t now) {
    const bool behind = consumer->tail_seen != prod->window.head || consumer->holds_record;
    const bool has_news = behind && consumer->nudged_at != prod->window.head;
    const bool may_be = consumer->wakes.quiet_until <= now || consumer->is_in_the_way();
    if (consumer->is_push() && (has_news || consumer->bell_failed) && may_be &&
        parked_seen(consumer->parking()) != 0) {
        consumer->nudged_at = prod->window.head;
        wake(prod, consumer);
    }
}

void wake_for_good(slot *consumer) {
    if (consumer->is_push() && (parked_take(consumer->parking()) & parked_on_futex) != 0) {
        futex_wake_one(&consumer->parking()->parked);
    }
}

namespace {

// Those that a commit has looked at, or all of them where the time for that has come.
bool must_mind_sleepers(zbq_producer *prod) {
    const uint64_t now = ticks_now();
    const bool all = (prod->window.unusual & looks_by_clock) != 0 &&
                     now - prod->marks_seen_at >= prod->look_interval;
    const uint32_t count = all ? prod->marks : prod->window.parking_count;
    for (uint32_t i = 0; i < count; ++i) {
        if (parked_seen(prod->parking[i]) != 0) {
            return true;
        }
    }
    prod->marks_seen_at = all ? now : prod->marks_seen_at;
    return all && prod->leaves_some_alone;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

void zbq_producer_finish_commit(zbq_producer *prod) {
    if (prod == nullptr) {
        return;
    }
    if (must_mind_sleepers(prod)) {
        mind_sleepers(prod);
    }
    if ((prod->window.unusual & (waits_for_room | awaits_room)) != 0) {
        head_has_moved(prod);
    }
}
