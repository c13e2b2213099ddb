// SPDX-License-Identifier: MIT
//
// Short words for what most tests do with a ring.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "os.hpp"
#include "zbq.h"

namespace test {

using zbq::core::unique_fd;

inline constexpr std::uint64_t page = 4096;
inline constexpr std::uint64_t ms = 1'000'000;

struct producer_deleter {
    void operator()(zbq_producer *prod) const { zbq_producer_destroy(prod); }
};
struct consumer_deleter {
    void operator()(zbq_consumer *cons) const { zbq_consumer_destroy(cons); }
};
using producer_ptr = std::unique_ptr<zbq_producer, producer_deleter>;
using consumer_ptr = std::unique_ptr<zbq_consumer, consumer_deleter>;

struct ring_options {
    std::uint64_t capacity = 16 * page;
    std::uint64_t clog_threshold = 1;
    std::uint64_t stall_timeout_ns = 0;
    std::uint32_t max_consumers = 8;
};

// Throws when it cannot be made: nothing can be tested then.
producer_ptr make_producer(const ring_options &options = {});

struct socket_pair {
    unique_fd producer_end;
    unique_fd consumer_end;
};
socket_pair make_sockets(int type);
socket_pair make_sockets();

// A consumer in this process. Throws when the join fails.
struct joined {
    consumer_ptr consumer;
    std::uint32_t slot = 0;
};
joined join(zbq_producer *prod, zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH,
            const zbq_start *start = nullptr);

// Writes one message and commits it. false: no room.
bool publish(zbq_producer *prod, std::string_view payload, std::uint8_t fd_count = 0,
             std::uint64_t seq_id = 0);

// Fills the ring with messages of 16 bytes (headers alone) until there is no room, or with nobody
// in the way once round; how many. The attempt that fails waits for room.
std::uint64_t fill(zbq_producer *prod);

// Reads one message and releases it. The result of peek.
int read_one(zbq_consumer *cons, std::string *payload);
int skip_all(zbq_consumer *cons); // how many

// Writes any tail into its page, past the library.
inline void cheat_tail(zbq_consumer_metadata *own, std::uint64_t tail) {
    __atomic_store_n(&own->tail_offset, tail, __ATOMIC_RELEASE);
}

// As if its wake-ups had cost nothing yet: on a slow machine some few can make it owe time.
void forget_wakes(zbq_producer *prod, std::uint32_t slot);

zbq_producer_statistics stats(zbq_producer *prod);
zbq_consumer_info info(zbq_producer *prod, std::uint32_t slot);

// Scans until the consumer in the slot is gone; fails the test if it never is. Its reason.
std::uint32_t scan_until_evicted(zbq_producer *prod, std::uint32_t slot);

} // namespace test
