// SPDX-License-Identifier: MIT
#include "support/descriptors.hpp"
#include "support/rig.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <unistd.h>

namespace {

TEST(Stats, RefuseNull) {
    const auto prod = test::make_producer({.max_consumers = 2});
    zbq_producer_statistics statistics = {};
    zbq_consumer_info info = {};
    EXPECT_EQ(zbq_producer_stats(nullptr, &statistics), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_stats(prod.get(), nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_consumer_info(nullptr, 0, &info), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_consumer_info(prod.get(), 0, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_consumer_info(prod.get(), 2, &info), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_consumer_info(prod.get(), UINT32_MAX, &info), ZBQ_ERROR_INVALID);
}

TEST(Stats, CountWhatHappens) {
    const auto prod = test::make_producer({.capacity = test::page, .max_consumers = 3});
    const test::joined first = test::join(prod.get());
    const test::joined second = test::join(prod.get());
    ASSERT_TRUE(test::publish(prod.get(), "x"));
    test::skip_all(second.consumer.get());
    const zbq_producer_statistics now = test::stats(prod.get());
    EXPECT_EQ(now.head, 32U);
    EXPECT_EQ(now.slowest_tail, 0U);
    EXPECT_EQ(now.joined, 2U);
    EXPECT_EQ(now.consumers, 2U);
    EXPECT_EQ(now.max_consumers, 3U);
}

TEST(ConsumerInfo, TellsOfTheOneInTheSlot) {
    const auto prod = test::make_producer({.capacity = test::page});
    test::joined joined = test::join(prod.get(), ZBQ_WAKEUP_PULL);
    ASSERT_TRUE(test::publish(prod.get(), "x"));
    zbq_consumer_info info = {};
    ASSERT_EQ(zbq_producer_consumer_info(prod.get(), joined.slot, &info), ZBQ_OK);
    EXPECT_EQ(info.lag, 32U);
    EXPECT_EQ(info.join_number, 1U);
    EXPECT_EQ(info.pid, 0); // until a scan
    EXPECT_EQ(info.mode, uint32_t{ZBQ_WAKEUP_PULL});
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), joined.slot).pid, getpid());
    joined.consumer.reset();
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(zbq_producer_consumer_info(prod.get(), joined.slot, &info), ZBQ_ERROR_NOENT);
    EXPECT_EQ(info.pid, getpid());
    EXPECT_EQ(info.lag, 32U);
    EXPECT_EQ(info.eviction, uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_EQ(info.slot_index, joined.slot);
}

TEST(ConsumerInfo, OfASlotNeverUsed) {
    const auto prod = test::make_producer({.max_consumers = 2});
    zbq_consumer_info info = {};
    EXPECT_EQ(zbq_producer_consumer_info(prod.get(), 1, &info), ZBQ_ERROR_NOENT);
    EXPECT_EQ(info.join_number, 0U);
    EXPECT_EQ(info.slot_index, 1U);
}

TEST(ConsumerInfo, CountsDescriptorsInFlight) {
    const auto prod = test::make_producer();
    const test::joined joined = test::join(prod.get());
    ASSERT_EQ(test::broadcast(prod.get(), 1), ZBQ_OK);
    ASSERT_EQ(test::broadcast(prod.get(), 2), ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), joined.slot).fds_in_flight, 2U);
    ASSERT_EQ(test::collect(joined.consumer.get(), 1).result, ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), joined.slot).fds_in_flight, 1U);
}

TEST(Words, EveryCodeHasItsOwn) {
    std::set<std::string> errors;
    for (int code = 0; code >= -8; --code) {
        errors.insert(zbq_strerror(code));
    }
    EXPECT_EQ(errors.size(), 9U);
    EXPECT_STREQ(zbq_strerror(1), zbq_strerror(-1000));
    std::set<std::string> reasons;
    for (uint32_t reason = 0; reason <= 6; ++reason) {
        reasons.insert(zbq_strevict(reason));
    }
    EXPECT_EQ(reasons.size(), 7U);
    EXPECT_STREQ(zbq_strevict(7), zbq_strevict(UINT32_MAX));
}

TEST(Words, VersionIsTheHeaders) {
    EXPECT_EQ(zbq_version(),
              (ZBQ_VERSION_MAJOR << 16 | ZBQ_VERSION_MINOR << 8 | ZBQ_VERSION_PATCH));
}

} // namespace
