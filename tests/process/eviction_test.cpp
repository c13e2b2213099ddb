// SPDX-License-Identifier: MIT
//
// Eviction seen from the evicted: a reader that checks after reading knows whether what
// it read was whole.
#include "producer.hpp"
#include "support/leaks.hpp"
#include "support/remote.hpp"
#include "support/sanitizer.hpp"

#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

using test::page;

TEST(Eviction, ClosesWhatBelongsToTheSlot) {
    const auto prod = test::make_producer();
    const test::leak_check leaks;
    test::joined joined = test::join(prod.get());
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    joined.consumer.reset();
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
}

TEST(Eviction, DestroyReleasesAllConsumers) {
    const test::leak_check leaks;
    {
        const auto prod = test::make_producer();
        const test::joined push = test::join(prod.get());
        const test::joined pull = test::join(prod.get(), ZBQ_WAKEUP_PULL);
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    }
}

// Every join has a page of its own: an evicted consumer that lives on harms no successor.
TEST(Eviction, AnEvictedConsumersPageIsNeverUsedAgain) {
    const auto prod = test::make_producer({.capacity = page, .max_consumers = 1});
    const test::joined old = test::join(prod.get());
    test::cheat_tail(zbq_consumer_meta(old.consumer.get()), 8);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    const test::joined successor = test::join(prod.get());
    EXPECT_EQ(old.slot, successor.slot);
    std::memset(zbq_consumer_meta(old.consumer.get()), 0xff, 4096);
    ASSERT_TRUE(test::publish(prod.get(), "x"));
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod.get()).consumers, 1U);
    EXPECT_TRUE(zbq_consumer_valid(successor.consumer.get()));
}

// The mark is there before the producer can get room that the consumer may be reading.
TEST(Eviction, IsMarkedBeforeTheRoomIsGiven) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 1});
    const test::joined slow = test::join(prod.get());
    test::fill(prod.get());
    while (zbq_producer_query(prod.get()).max_bytes == 0) {
        ASSERT_TRUE(zbq_consumer_valid(slow.consumer.get()) || prod->counters.evicted[0] != 0);
    }
    EXPECT_FALSE(zbq_consumer_valid(slow.consumer.get()));
}

// A slow reader against a producer that evicts it in the middle of reading: whenever
// the bytes were not those of one message, the check says so.
TEST(Eviction, TornReadsAreAlwaysTold) {
    constexpr int rounds = test::sanitized ? 20 : 200;
    constexpr size_t size = page - 16;
    const auto prod =
        test::make_producer({.capacity = page, .clog_threshold = 0, .stall_timeout_ns = 1000});
    int torn_reads = 0;
    for (int round = 0; round < rounds; ++round) {
        test::step_pipe reading;
        test::remote_consumer victim(prod, ZBQ_WAKEUP_PUSH, [&](zbq_consumer *cons) {
            std::string payload;
            zbq_msg_view view = {};
            while (zbq_consumer_peek(cons, &view) == ZBQ_ERROR_AGAIN) {
            }
            reading.send(1);
            bool torn = false;
            do { // read until it is evicted
                const auto *bytes = static_cast<const volatile char *>(view.payload);
                const char first = bytes[0];
                torn = false;
                for (size_t i = 0; i < size; ++i) {
                    torn |= bytes[i] != first;
                }
                torn |= first != 'a'; // another message's
                CHILD_CHECK(!torn || !zbq_consumer_valid(cons));
            } while (zbq_consumer_valid(cons));
            return torn ? 1 : 0;
        });
        ASSERT_TRUE(test::publish(prod.get(), std::string(size, 'a')));
        reading.receive();
        for (const char letter : {'b', 'c', 'd'}) {
            while (!test::publish(prod.get(), std::string(size, letter))) {
            }
        }
        const int status = victim.process().wait();
        ASSERT_LE(status, 1);
        torn_reads += status;
        ASSERT_EQ(test::stats(prod.get()).consumers, 0U);
    }
    RecordProperty("torn_reads", torn_reads);
}

} // namespace
