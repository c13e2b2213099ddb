// SPDX-License-Identifier: MIT
//
// Accounts and words, for people and tools. Off the fast path.
#include "producer.hpp"

namespace zbq::core {

zbq_consumer_info describe(const zbq_producer *prod, const slot *consumer, uint32_t eviction) {
    zbq_consumer_info info = {};
    info.lag = prod->window.head - consumer->tail_seen;
    info.join_number = consumer->join_number;
    info.pid = consumer->pid;
    info.slot_index = consumer->index;
    info.mode = consumer->mode;
    info.eviction = eviction;
    info.fds_in_flight = consumer->in_flight.fds();
    info.tail = consumer->tail_seen;
    info.dropped_records = consumer->dropped;
    return info;
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_stats(zbq_producer *prod, zbq_producer_statistics *out) {
    if (prod == nullptr || out == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    refresh_tails(prod);
    *out = prod->counters;
    out->head = prod->window.head;
    out->slowest_tail = prod->slowest_tail;
    out->consumers = prod->active_count;
    out->max_consumers = prod->max_consumers;
    return ZBQ_OK;
}

int zbq_producer_consumer_info(zbq_producer *prod, uint32_t slot, zbq_consumer_info *out) {
    if (prod == nullptr || out == nullptr || slot >= prod->max_consumers || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    refresh_tails(prod);
    zbq::core::slot *consumer = &prod->slots[slot];
    if (!consumer->taken) {
        *out = consumer->last;
        return ZBQ_ERROR_NOENT;
    }
    consumer->in_flight.refresh(consumer->side.get()); // failed: the last known number stands
    *out = describe(prod, consumer, ZBQ_EVICTION_NONE);
    return ZBQ_OK;
}

const char *zbq_strerror(int error) {
    switch (error) {
    case ZBQ_OK:
        return "success";
    case ZBQ_ERROR_INVALID:
        return "invalid argument";
    case ZBQ_ERROR_NOMEM:
        return "out of memory";
    case ZBQ_ERROR_AGAIN:
        return "not yet";
    case ZBQ_ERROR_IO:
        return "system call failed";
    case ZBQ_ERROR_PROTOCOL:
        return "protocol violated by the peer";
    case ZBQ_ERROR_OVERFLOW:
        return "larger than the ring";
    case ZBQ_ERROR_NOENT:
        return "nothing there";
    default:
        return "unknown error";
    }
}

const char *zbq_strevict(uint32_t eviction) {
    switch (eviction) {
    case ZBQ_EVICTION_NONE:
        return "not evicted";
    case ZBQ_EVICTION_DEAD:
        return "gone (left or died)";
    case ZBQ_EVICTION_STALLED:
        return "stalled";
    case ZBQ_EVICTION_SIDE_STALLED:
        return "did not collect its descriptors";
    case ZBQ_EVICTION_PROTOCOL:
        return "broke the protocol";
    case ZBQ_EVICTION_SLOW:
        return "slow beyond the producer's patience";
    case ZBQ_EVICTION_DEAR:
        return "too dear to wake";
    default:
        return "unknown reason";
    }
}

uint32_t zbq_version() {
    return (uint32_t{ZBQ_VERSION_MAJOR} << 16U) | (uint32_t{ZBQ_VERSION_MINOR} << 8U) |
           uint32_t{ZBQ_VERSION_PATCH};
}
