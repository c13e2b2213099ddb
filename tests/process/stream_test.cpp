// SPDX-License-Identifier: MIT
//
// Whole streams between processes: every message, in order, to everyone.
#include "support/leaks.hpp"
#include "support/remote.hpp"
#include "support/sanitizer.hpp"

#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <sched.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using test::page;

constexpr uint64_t messages = test::sanitized ? 20'000 : 100'000;
constexpr uint64_t capacity = 3 * page; // no power of two

uint32_t length_of(uint64_t number) {
    return static_cast<uint32_t>(8 + number * 2654435761U % 1500);
}

char byte_of(uint64_t number, uint32_t place) {
    return static_cast<char>(number * 31 + place);
}

bool is_message(uint64_t number, const zbq_msg_view &view) {
    if (view.payload_len != length_of(number) || view.header->seq_id != number) {
        return false;
    }
    const char *bytes = static_cast<const char *>(view.payload);
    for (uint32_t i = 0; i < view.payload_len; ++i) {
        if (bytes[i] != byte_of(number, i)) {
            return false;
        }
    }
    return true;
}

void fill_message(uint64_t number, void *at) {
    auto *header = static_cast<zbq_msg_header *>(at);
    *header = {length_of(number), 0, 0, 0, number};
    char *bytes = reinterpret_cast<char *>(header + 1);
    for (uint32_t i = 0; i < header->payload_len; ++i) {
        bytes[i] = byte_of(number, i);
    }
}

uint64_t size_of(uint64_t number) {
    return (sizeof(zbq_msg_header) + length_of(number) + 15) / 16 * 16;
}

// 0 when all came; releases a batch at a time.
int read_stream(zbq_consumer *cons, bool push) {
    uint64_t expected = 0;
    while (true) {
        const uint32_t token = zbq_consumer_get_futex_token(cons);
        zbq_msg_view view = {};
        int result = ZBQ_OK;
        uint64_t end = zbq_consumer_tail(cons);
        while ((result = zbq_consumer_next(cons, &view)) == ZBQ_OK) {
            CHILD_CHECK(is_message(expected++, view));
            end = view.logical_offset + view.total_len;
        }
        zbq_consumer_publish(cons, end);
        if (result == ZBQ_ERROR_NOENT) {
            CHILD_CHECK(zbq_consumer_valid(cons));
            return expected == messages ? 0 : 1;
        }
        CHILD_CHECK(result == ZBQ_ERROR_AGAIN);
        if (push) {
            zbq_consumer_wait_broadcast(cons, token);
        } else {
            sched_yield();
        }
    }
}

void write_stream(zbq_producer *prod) {
    for (uint64_t number = 0; number < messages;) {
        zbq_contiguous_run run = {};
        if (zbq_producer_reserve(prod, size_of(number), &run) != ZBQ_OK) {
            sched_yield();
            continue;
        }
        uint64_t bytes = 0; // several messages in one commit, while they fit
        while (number < messages && bytes + size_of(number) <= run.max_bytes) {
            fill_message(number, static_cast<char *>(run.base) + bytes);
            bytes += size_of(number++);
        }
        ASSERT_TRUE(zbq_producer_commit(prod, bytes, ZBQ_COMMIT_NONE));
    }
}

TEST(Stream, EveryMessageInOrderToEveryone) {
    test::start_watchdog();
    const test::leak_check leaks;
    auto prod = test::make_producer({.capacity = capacity});
    std::vector<std::unique_ptr<test::remote_consumer>> consumers;
    for (int i = 0; i < 3; ++i) {
        const bool push = i != 1;
        consumers.push_back(std::make_unique<test::remote_consumer>(
            prod, push ? ZBQ_WAKEUP_PUSH : ZBQ_WAKEUP_PULL,
            [push](zbq_consumer *cons) { return read_stream(cons, push); }));
    }
    write_stream(prod.get());
    prod.reset();
    for (const auto &consumer : consumers) {
        EXPECT_EQ(consumer->process().wait(), 0);
    }
}

TEST(Stream, GoesOnWhileConsumersAreKilledAndStopped) {
    test::start_watchdog();
    auto prod = test::make_producer(
        {.capacity = capacity, .clog_threshold = 16, .stall_timeout_ns = 3000 * test::ms});
    test::remote_consumer survivor(prod, ZBQ_WAKEUP_PUSH,
                                   [](zbq_consumer *cons) { return read_stream(cons, true); });
    test::remote_consumer killed(prod, ZBQ_WAKEUP_PUSH,
                                 [](zbq_consumer *cons) { return read_stream(cons, true); });
    test::remote_consumer stopped(prod, ZBQ_WAKEUP_PULL,
                                  [](zbq_consumer *cons) { return read_stream(cons, false); });
    killed.process().kill();
    stopped.process().stop();
    write_stream(prod.get());
    EXPECT_EQ(test::info(prod.get(), killed.slot()).eviction, uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_EQ(test::info(prod.get(), stopped.slot()).eviction, uint32_t{ZBQ_EVICTION_STALLED});
    EXPECT_EQ(test::stats(prod.get()).consumers, 1U);
    prod.reset();
    EXPECT_EQ(survivor.process().wait(), 0);
}

TEST(Stream, CapacityNeedNotBeAPowerOfTwoForQueries) {
    const auto prod = test::make_producer({.capacity = capacity});
    const test::joined joined = test::join(prod.get());
    for (uint64_t number = 0; number < 10'000; ++number) {
        zbq_contiguous_run run = zbq_producer_query(prod.get());
        if (run.max_bytes < 48) { // the end of the ring: an empty message pads
            *static_cast<zbq_msg_header *>(run.base) = {static_cast<uint32_t>(run.max_bytes - 16),
                                                        0, 1, 0, 0};
            ASSERT_TRUE(zbq_producer_commit(prod.get(), run.max_bytes, ZBQ_COMMIT_NONE));
            run = zbq_producer_query(prod.get());
        }
        *static_cast<zbq_msg_header *>(run.base) = {20, 0, 0, 0, number};
        ASSERT_TRUE(zbq_producer_commit(prod.get(), 48, ZBQ_COMMIT_NONE));
        zbq_msg_view view = {};
        do {
            ASSERT_EQ(zbq_consumer_peek(joined.consumer.get(), &view), ZBQ_OK);
            zbq_consumer_publish(joined.consumer.get(), view.logical_offset + view.total_len);
        } while (view.header->flags == 1);
        ASSERT_EQ(view.header->seq_id, number);
    }
}

} // namespace
