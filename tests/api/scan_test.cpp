// SPDX-License-Identifier: MIT
#include "atomics.hpp"
#include "producer.hpp"
#include "support/process.hpp"
#include "support/rig.hpp"

#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace {

using test::ms;
using test::page;

// Nothing but the test's own calls scans.
constexpr test::ring_options scans_by_hand = {
    .capacity = page, .clog_threshold = UINT64_MAX, .stall_timeout_ns = ms};

void scan_for(zbq_producer *prod, uint64_t nanoseconds) {
    const uint64_t start = zbq::core::monotonic_ns();
    while (zbq::core::monotonic_ns() - start < nanoseconds) {
        ASSERT_EQ(zbq_producer_scan(prod), ZBQ_OK);
        usleep(500);
    }
}

TEST(Scan, RefusesNull) {
    EXPECT_EQ(zbq_producer_scan(nullptr), ZBQ_ERROR_INVALID);
}

TEST(Scan, LeavesAConsumerWithNothingToReadAlone) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 1});
    const test::joined idle = test::join(prod.get());
    scan_for(prod.get(), 5 * ms);
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
}

TEST(Scan, LeavesALaggardAloneWhileThereIsRoom) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 1});
    const test::joined slow = test::join(prod.get());
    ASSERT_TRUE(test::publish(prod.get(), std::string(1000, 'x')));
    scan_for(prod.get(), 5 * ms);
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
}

TEST(Scan, EvictsTheOneThatHoldsAFullRing) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 2 * ms});
    const test::joined hung = test::join(prod.get());
    const test::joined quick = test::join(prod.get());
    test::fill(prod.get());
    test::skip_all(quick.consumer.get());
    EXPECT_EQ(test::scan_until_evicted(prod.get(), hung.slot), uint32_t{ZBQ_EVICTION_STALLED});
    EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_STALLED], 1U);
    EXPECT_EQ(test::stats(prod.get()).consumers, 1U);
    EXPECT_TRUE(zbq_consumer_valid(quick.consumer.get()));
    EXPECT_FALSE(zbq_consumer_valid(hung.consumer.get()));
}

// Looks that are further apart than the clock grows by, a quarter of the timeout: four take it to
// its end.
void look(zbq_producer *prod, int times) {
    for (int i = 0; i < times; ++i) {
        usleep(2000);
        EXPECT_EQ(zbq_producer_scan(prod), ZBQ_OK);
    }
}

// The clock starts at the first look, however long the consumer was behind before it. Then only
// time counts in which the producer looked: from one look to the next it may not have run.
TEST(Scan, ALookIsWorthAQuarterOfTheTimeout) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined hung = test::join(prod.get());
    test::fill(prod.get());
    look(prod.get(), 4);
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
    look(prod.get(), 1);
    EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_STALLED], 1U);
}

TEST(Scan, ATailThatMovesRestartsTheClock) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined slow = test::join(prod.get());
    std::string payload;
    for (int i = 0; i < 20; ++i) {
        test::fill(prod.get());
        usleep(3000); // past the time-out every time
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
        ASSERT_EQ(test::stats(prod.get()).evicted[0], 0U);
        ASSERT_EQ(test::read_one(slow.consumer.get(), &payload), ZBQ_OK);
    }
}

TEST(Scan, TheProgressTimeDecidesNothing) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 2 * ms});
    const test::joined liar = test::join(prod.get());
    test::fill(prod.get());
    uint32_t evicted = 0;
    for (uint64_t time = 1; evicted == 0; ++time) {
        zbq::core::progress_publish(zbq_consumer_meta(liar.consumer.get()), time * 1'000'000'000U);
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
        evicted = test::info(prod.get(), liar.slot).eviction;
    }
    EXPECT_EQ(evicted, uint32_t{ZBQ_EVICTION_STALLED});
}

TEST(Scan, TimeoutOfZeroIsNeverForStallingButTheDeadGo) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 0});
    test::joined hung = test::join(prod.get());
    test::fill(prod.get());
    scan_for(prod.get(), 5 * ms);
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
    hung.consumer.reset();
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_DEAD], 1U);
}

// Time with nothing to read does not count against a consumer, whoever else is waited for.
TEST(Scan, ClockDoesNotRunForOneWithNothingToRead) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined hung = test::join(prod.get());
    const test::joined idle = test::join(prod.get());
    for (std::uint64_t i = 0; i < page / 16; ++i) { // full, without an attempt in vain
        ASSERT_TRUE(test::publish(prod.get(), ""));
    }
    test::skip_all(idle.consumer.get());
    look(prod.get(), 5);
    ASSERT_EQ(test::info(prod.get(), hung.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
    test::fill(prod.get());
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), idle.slot).eviction, uint32_t{ZBQ_EVICTION_NONE});
}

// Nor does time in which it was behind but nobody waited.
TEST(Scan, ClockDoesNotRunWhileThereIsRoom) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined slow = test::join(prod.get());
    ASSERT_TRUE(test::publish(prod.get(), "x"));
    look(prod.get(), 5);
    test::fill(prod.get());
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), slow.slot).eviction, uint32_t{ZBQ_EVICTION_NONE});
}

// Hung consumers at different places are waited for together, not in turn.
TEST(Scan, ClocksOfAllThatAreBehindRunWhileTheProducerWaits) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined first = test::join(prod.get());
    const test::joined second = test::join(prod.get());
    std::string payload;
    test::fill(prod.get());
    ASSERT_EQ(test::read_one(second.consumer.get(), &payload), ZBQ_OK);
    look(prod.get(), 5);
    EXPECT_EQ(test::info(prod.get(), first.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
    EXPECT_EQ(test::info(prod.get(), second.slot).eviction, uint32_t{ZBQ_EVICTION_NONE});
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK); // in the way now; its time is long up
    EXPECT_EQ(test::info(prod.get(), second.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
}

// One that moves has to move far enough: a sixteenth of the ring in each timeout, where more is
// wanted.
TEST(Scan, ATrickleDoesNotLastForEver) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined trickler = test::join(prod.get());
    test::fill(prod.get());
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_ERROR_AGAIN);
    std::string payload;
    int looks = 0;
    while (looks < 100 && zbq_consumer_valid(trickler.consumer.get())) {
        ASSERT_EQ(test::read_one(trickler.consumer.get(), &payload), ZBQ_OK);
        look(prod.get(), 1);
        ++looks;
    }
    EXPECT_LE(looks, 5);
    EXPECT_EQ(test::info(prod.get(), trickler.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
}

// Less is enough where less is wanted, whatever is wanted later.
TEST(Scan, WhoMovesAsFarAsIsWantedStartsAnew) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined hung = test::join(prod.get());
    const test::joined slow = test::join(prod.get());
    std::string payload;
    test::fill(prod.get());
    look(prod.get(), 3);
    ASSERT_EQ(test::read_one(slow.consumer.get(), &payload), ZBQ_OK);
    look(prod.get(), 1);
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_ERROR_AGAIN);
    look(prod.get(), 1);
    EXPECT_EQ(test::info(prod.get(), hung.slot).eviction, uint32_t{ZBQ_EVICTION_STALLED});
    EXPECT_EQ(test::info(prod.get(), slow.slot).eviction, uint32_t{ZBQ_EVICTION_NONE});
}

TEST(Scan, WhoMovesFarEnoughStays) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined slow = test::join(prod.get());
    test::fill(prod.get());
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_ERROR_AGAIN);
    std::string payload;
    for (int sixteenth = 0; sixteenth < 15; ++sixteenth) {
        look(prod.get(), 3);
        for (uint64_t i = 0; i < page / 16 / 16; ++i) {
            ASSERT_EQ(test::read_one(slow.consumer.get(), &payload), ZBQ_OK);
        }
        look(prod.get(), 1);
        ASSERT_TRUE(zbq_consumer_valid(slow.consumer.get())) << sixteenth;
    }
}

// ---- patience ----

class Patience : public testing::Test {
protected:
    static constexpr zbq_patience little = {.at_once_ns = 3 * ms, .per_second_ns = 0};

    // As often as the producer waits: the consumer moves well within the stall timeout.
    int wait_for_it(int times) {
        std::string payload;
        for (int i = 0; i < times; ++i) {
            test::fill(prod_.get()); // which waits
            usleep(2000);
            if (test::read_one(slow_.consumer.get(), &payload) != ZBQ_OK) {
                return i;
            }
        }
        return times;
    }
    uint32_t eviction() { return test::info(prod_.get(), slow_.slot).eviction; }

    test::producer_ptr prod_ =
        test::make_producer({.capacity = page, .clog_threshold = 1'000'000, .stall_timeout_ns = 0});
    test::joined slow_ = test::join(prod_.get());
};

TEST_F(Patience, RefusesBadArguments) {
    EXPECT_EQ(zbq_producer_set_patience(nullptr, 0, &little), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_set_patience(prod_.get(), 8, &little), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_set_patience(prod_.get(), 7, &little), ZBQ_ERROR_NOENT);
}

TEST_F(Patience, IsWithoutEndAtFirst) {
    EXPECT_EQ(wait_for_it(20), 20);
}

TEST_F(Patience, EndsForOneThatMovesAndIsSlow) {
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0); // looks at each failed attempt
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &little), ZBQ_OK);
    EXPECT_LT(wait_for_it(20), 20);
    EXPECT_EQ(eviction(), uint32_t{ZBQ_EVICTION_SLOW});
}

TEST_F(Patience, EndsWithinAWait) {
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &little), ZBQ_OK);
    test::fill(prod_.get());
    EXPECT_EQ(test::scan_until_evicted(prod_.get(), slow_.slot), uint32_t{ZBQ_EVICTION_SLOW});
}

TEST_F(Patience, IsForNobodyElse) {
    const test::joined other = test::join(prod_.get());
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &little), ZBQ_OK);
    test::fill(prod_.get());
    EXPECT_EQ(test::scan_until_evicted(prod_.get(), slow_.slot), uint32_t{ZBQ_EVICTION_SLOW});
    EXPECT_EQ(test::info(prod_.get(), other.slot).eviction, uint32_t{ZBQ_EVICTION_NONE});
}

TEST_F(Patience, IsForThoseThatComeLaterToo) {
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0);
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), ZBQ_ALL_CONSUMERS, &little), ZBQ_OK);
    EXPECT_LT(wait_for_it(20), 20);
    slow_ = test::join(prod_.get());
    EXPECT_LT(wait_for_it(20), 20);
    EXPECT_EQ(test::stats(prod_.get()).evicted[ZBQ_EVICTION_SLOW], 2U);
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), ZBQ_ALL_CONSUMERS, nullptr), ZBQ_OK);
    slow_ = test::join(prod_.get());
    EXPECT_EQ(wait_for_it(20), 20);
}

TEST_F(Patience, ComesBack) {
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0);
    const zbq_patience all_of_it = {.at_once_ns = UINT64_MAX, .per_second_ns = UINT64_MAX};
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &all_of_it), ZBQ_OK);
    EXPECT_EQ(wait_for_it(20), 20);
}

// The next look at it is no sooner for that.
TEST_F(Patience, MayBeAllThereIs) {
    const zbq_patience all_of_it = {.at_once_ns = UINT64_MAX, .per_second_ns = 0};
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &all_of_it), ZBQ_OK);
    test::fill(prod_.get());
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    const zbq::core::slot &slot = prod_->slots[slow_.slot];
    ASSERT_TRUE(slot.is_in_the_way());
    ASSERT_EQ(slot.waited.used, 0U);
    EXPECT_GT(zbq::core::until_next_look(prod_.get()), 0U);
}

TEST_F(Patience, ComesBackByItsRate) {
    constexpr uint64_t second = 1000 * ms;
    const zbq_patience rate = {.at_once_ns = 3600 * second, .per_second_ns = second / 2};
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &rate), ZBQ_OK);
    zbq::core::patience *of = &prod_->slots[slow_.slot].waited;
    of->used = 1000 * second;
    of->at -= 100 * second;
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_LE(of->used, 950 * second);
}

// Nor is time charged in which nobody waited.
TEST_F(Patience, IsNotUsedUpByWhoIsInNobodysWay) {
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0);
    ASSERT_EQ(zbq_producer_set_patience(prod_.get(), slow_.slot, &little), ZBQ_OK);
    for (int i = 0; i < 20; ++i) {
        usleep(2000);
        ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    }
    EXPECT_EQ(eviction(), uint32_t{ZBQ_EVICTION_NONE});
}

TEST(Scan, EvictsWhoHoldsBackWhatTheProducerAskedFor) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined hung = test::join(prod.get());
    ASSERT_TRUE(test::publish(prod.get(), std::string(1000, 'x')));
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(test::scan_until_evicted(prod.get(), hung.slot), uint32_t{ZBQ_EVICTION_STALLED});
    EXPECT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_OK);
}

// A producer that gave the large message up and goes on with small ones waits for nobody.
TEST(Scan, AnAttemptGivenUpHoldsNothingAgainstAnyone) {
    const auto prod = test::make_producer(scans_by_hand);
    const test::joined slow = test::join(prod.get());
    ASSERT_TRUE(test::publish(prod.get(), std::string(1000, 'x')));
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), page, &run), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(zbq_producer_reserve(prod.get(), 16, &run), ZBQ_OK);
    scan_for(prod.get(), 5 * ms);
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
}

class BadTail : public testing::TestWithParam<uint64_t> {};

TEST_P(BadTail, IsEvictedAtOnce) {
    const auto prod = test::make_producer({.capacity = page});
    const test::joined other = test::join(prod.get());
    const test::joined liar = test::join(prod.get());
    std::string payload;
    ASSERT_TRUE(test::publish(prod.get(), "one"));
    ASSERT_TRUE(test::publish(prod.get(), "two"));
    ASSERT_EQ(test::read_one(liar.consumer.get(), &payload), ZBQ_OK);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    test::cheat_tail(zbq_consumer_meta(liar.consumer.get()), GetParam());
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), liar.slot).eviction, uint32_t{ZBQ_EVICTION_PROTOCOL});
    EXPECT_EQ(zbq_consumer_meta(liar.consumer.get())->eviction, uint32_t{ZBQ_EVICTION_PROTOCOL});
    EXPECT_TRUE(zbq_consumer_valid(other.consumer.get()));
    EXPECT_EQ(test::stats(prod.get()).slowest_tail, 0U);
}

// The head is at 64 and the last tail seen was 32.
INSTANTIATE_TEST_SUITE_P(Values, BadTail,
                         testing::Values(16U, 0U, 40U, 80U, UINT64_MAX, UINT64_MAX - 15));

// Not only a scan looks: so does the first query that reads the tails.
TEST(Scan, BadTailIsFoundByAQuery) {
    const auto prod = test::make_producer({.capacity = page, .clog_threshold = UINT64_MAX});
    const test::joined liar = test::join(prod.get());
    test::fill(prod.get());
    test::cheat_tail(zbq_consumer_meta(liar.consumer.get()), 8);
    EXPECT_EQ(zbq_producer_query(prod.get()).max_bytes, page);
    EXPECT_EQ(test::stats(prod.get()).scans, 0U);
}

TEST(Scan, SlotIsUsedAgainAfterAnEviction) {
    const auto prod = test::make_producer({.max_consumers = 1});
    for (int i = 0; i < 5; ++i) {
        test::joined joined = test::join(prod.get());
        ASSERT_TRUE(test::publish(prod.get(), "m"));
        EXPECT_EQ(test::skip_all(joined.consumer.get()), 1);
        joined.consumer.reset();
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    }
    EXPECT_EQ(test::stats(prod.get()).joined, 5U);
    EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_DEAD], 5U);
}

} // namespace
