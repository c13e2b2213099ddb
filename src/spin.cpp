// SPDX-License-Identifier: MIT
//
// Waiting without sleep: for a reader that has a processor to itself.
#include "consumer.hpp"

namespace zbq::core {

namespace {

constexpr unsigned looks_between_clocks = 16;
constexpr unsigned looks_between_deaths = 4096; // a system call, each 0.1 ms or so

void pause_processor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Now and then somebody else may have this processor, who may be the one that is to bring the next
// message. Seldom, where spinning is all that is wanted: what comes during a yield waits for half a
// microsecond.
void pause_or_yield(unsigned looks, bool for_good) {
    const unsigned looks_between_yields = for_good ? 1024 : 32;
    if (looks % looks_between_yields != looks_between_yields - 1) {
        pause_processor();
    } else {
        yield_processor();
    }
}

// In a dense stream each look takes the head's cache line from the producer, who then waits for it
// to come back: fewer looks, that find more, let both go faster. It is dense where more was read
// since the last spin than that one had found.
void gather(const zbq_consumer *cons, uint64_t end) {
    if (cons->window.cursor <= cons->spun_to) {
        return;
    }
    const uint64_t gathered = monotonic_ns() + gather_ns;
    const uint64_t until = gathered < end ? gathered : end;
    while (monotonic_ns() < until) {
        pause_processor();
    }
}

bool is_over(uint64_t end) {
    return end != UINT64_MAX && monotonic_ns() >= end;
}

// Until there seems to be something to tell, or the time is up. Short spins are one long one as to
// how often the producer is looked for.
void look_until(zbq_consumer *cons, uint64_t end) {
    for (unsigned looks = 0; !zbq_window_seems_ready(&cons->window) && !has_ended(cons); ++looks) {
        if (++cons->looks % looks_between_deaths == 0) {
            look_for_producer(cons);
        }
        if (looks % looks_between_clocks == 0 && is_over(end)) {
            return;
        }
        pause_or_yield(looks, end == UINT64_MAX);
    }
}

// What seems to be there may be gone: a hostile producer's head, or mark of the end.
int spin(zbq_consumer *cons, uint64_t end) {
    int result = ZBQ_ERROR_AGAIN;
    do {
        look_until(cons, end);
        result = zbq_consumer_look(cons);
    } while (result == ZBQ_ERROR_AGAIN && !is_over(end));
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_consumer_spin(zbq_consumer *cons, uint64_t timeout_ns) {
    if (cons == nullptr || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    if (cons->is_malformed() || cons->window.cursor != cons->window.head) {
        return zbq_consumer_look(cons);
    }
    const uint64_t now = timeout_ns != UINT64_MAX ? monotonic_ns() : 0;
    const uint64_t end = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    note_progress(cons);
    gather(cons, end);
    const int result = spin(cons, end);
    cons->spun_to = cons->window.head;
    return result;
}
