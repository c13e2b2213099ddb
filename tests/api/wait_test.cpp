// SPDX-License-Identifier: MIT
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/process.hpp"
#include "support/rig.hpp"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

namespace {

class Wait : public testing::Test {
protected:
    int wait(uint32_t token) { return zbq_consumer_wait_broadcast(cons_, token); }
    uint32_t token() { return zbq_consumer_get_futex_token(cons_); }

    test::producer_ptr prod_ = test::make_producer({.capacity = test::page});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
};

TEST_F(Wait, RefusesNullAndPullMode) {
    EXPECT_EQ(zbq_consumer_wait_broadcast(nullptr, 0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_get_futex_token(nullptr), 0U);
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    EXPECT_EQ(zbq_consumer_wait_broadcast(pull.consumer.get(), 0), ZBQ_ERROR_INVALID);
}

TEST_F(Wait, ReturnsAtOnceWhenTheWordDiffers) {
    const uint32_t before = token();
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(wait(before), ZBQ_OK);
    EXPECT_EQ(wait(before), ZBQ_OK); // and again
}

TEST_F(Wait, EndsWithTheTimeOut) {
    EXPECT_EQ(zbq_consumer_wait(cons_, token(), 0), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_wait(cons_, token(), 1), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_wait(cons_, token(), UINT64_MAX), ZBQ_ERROR_AGAIN); // the slice
}

TEST_F(Wait, EndsWithTheSliceWhenNothingHappens) {
    EXPECT_EQ(wait(token()), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
}

// ---- without sleep ----

TEST_F(Wait, SpinsForSoLong) {
    EXPECT_EQ(zbq_consumer_spin(nullptr, 0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_spin(cons_, 0), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_spin(cons_, test::ms), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    EXPECT_EQ(zbq_consumer_spin(pull.consumer.get(), test::ms), ZBQ_ERROR_AGAIN);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(zbq_consumer_spin(pull.consumer.get(), 0), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_spin(cons_, UINT64_MAX), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_spin(cons_, UINT64_MAX), ZBQ_OK); // it takes nothing
}

TEST_F(Wait, SpinsUntilAMessageComes) {
    std::thread later([this] { test::publish(prod_.get(), "x"); });
    EXPECT_EQ(zbq_consumer_spin(cons_, UINT64_MAX), ZBQ_OK);
    later.join();
}

TEST_F(Wait, SpinsUntilTheEnd) {
    prod_.reset();
    EXPECT_EQ(zbq_consumer_spin(cons_, UINT64_MAX), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, SpinsUntilItsEviction) {
    test::cheat_tail(zbq_consumer_meta(cons_), 8);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_spin(cons_, UINT64_MAX), ZBQ_ERROR_NOENT);
}

// In a dense stream: what was read since is more than the last spin had found.
TEST_F(Wait, SpinsInADenseStreamToo) {
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(test::publish(prod_.get(), "x"));
        EXPECT_EQ(zbq_consumer_spin(cons_, UINT64_MAX), ZBQ_OK);
        ASSERT_TRUE(test::publish(prod_.get(), "x"));
        EXPECT_EQ(test::skip_all(cons_), 2);
        EXPECT_EQ(zbq_consumer_spin(cons_, 1), ZBQ_ERROR_AGAIN);
    }
}

// What a consumer's wake-ups cost is limited: one that asks for them again and again is left alone
// for a while, is told so, and has the wake-up that comes after that.
class Quiet : public Wait {
protected:
    uint32_t mark() const { return zbq_consumer_meta(cons_)->parking[0].parked; }
    uint64_t quiet_until() const { return zbq_consumer_meta(cons_)->quiet_until; }
    bool publish_to_a_sleeper() {
        zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
        return test::publish(prod_.get(), "x");
    }
    // It owes time: what its wake-ups have cost, which depends on the machine, is said here.
    bool use_up() {
        constexpr int64_t more_than_comes_back_soon = 1'000'000'000'000;
        prod_->slots[0].wakes.credit = -more_than_comes_back_soon;
        const bool published = publish_to_a_sleeper();
        test::skip_all(cons_);
        return published && quiet_until() != 0;
    }
};

TEST_F(Quiet, NobodyWhoSleepsNowAndThen) {
    ASSERT_TRUE(publish_to_a_sleeper());
    EXPECT_EQ(mark(), 0U);
    EXPECT_EQ(quiet_until(), 0U);
    EXPECT_EQ(prod_->window.unusual, 0U);
}

// For the next wake-ups there is credit, less what this one has cost.
TEST_F(Quiet, NobodyWhoHasCredit) {
    test::forget_wakes(prod_.get(), joined_.slot); // long ago
    ASSERT_TRUE(publish_to_a_sleeper());
    const int64_t credit = prod_->slots[0].wakes.credit;
    constexpr int64_t most = zbq::core::most_wake_credit_ns - zbq::core::wake_overhead_ns;
    EXPECT_LE(credit, most);
    EXPECT_GE(credit, most - static_cast<int64_t>(zbq::core::suspicious_wake_ns));
}

TEST_F(Quiet, WhoIsWokenAgainAndAgain) {
    ASSERT_TRUE(use_up());
    prod_->slots[0].wakes.quiet_until = UINT64_MAX; // however long this takes
    zbq::core::choose_marks(prod_.get());
    const uint64_t wakes = test::stats(prod_.get()).wakes;
    ASSERT_TRUE(publish_to_a_sleeper());
    EXPECT_NE(mark(), 0U);
    EXPECT_EQ(test::stats(prod_.get()).wakes, wakes);

    prod_->slots[0].wakes.quiet_until = 1;
    prod_->look_interval = 0;
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(mark(), 0U);
    EXPECT_EQ(test::stats(prod_.get()).wakes, wakes + 1);
}

// Others are woken as before.
TEST_F(Quiet, NobodyElse) {
    const test::joined other = test::join(prod_.get());
    prod_->slots[0].wakes.quiet_until = UINT64_MAX;
    zbq::core::choose_marks(prod_.get());
    zbq_parking *place = other.consumer->parking.place;
    for (int i = 0; i < 3; ++i) {
        test::forget_wakes(prod_.get(), other.slot);
        zbq::core::park_announce(place, zbq::core::parked_on_futex);
        ASSERT_TRUE(publish_to_a_sleeper());
        EXPECT_EQ(place->parked, 0U);
        EXPECT_NE(mark(), 0U);
    }
}

// All together have a quarter of the producer's time.
TEST_F(Quiet, UntilItsShareHasPaidWhatItOwes) {
    const test::joined other = test::join(prod_.get());
    constexpr uint64_t owed = 10 * test::ms;
    constexpr uint64_t shares = 8; // a quarter, for one of two
    zbq::core::wake_account *account = &prod_->slots[0].wakes;
    uint64_t since = 0;
    // A machine that keeps this from running for so long has let it pay: then once more.
    for (int tries = 0; tries < 100 && account->quiet_until == 0; ++tries) {
        since = zbq::core::monotonic_ns();
        *account = {-static_cast<int64_t>(owed), since, 0, 0};
        ASSERT_TRUE(publish_to_a_sleeper());
        test::skip_all(cons_);
        test::skip_all(other.consumer.get());
    }
    EXPECT_NEAR(static_cast<double>(account->quiet_until - since),
                static_cast<double>(owed * shares), static_cast<double>(shares));
}

// The producer would only wait for it.
TEST_F(Quiet, NotWhoIsInTheWay) {
    test::fill(prod_.get());
    prod_->slots[0].wakes.quiet_until = UINT64_MAX;
    zbq::core::choose_marks(prod_.get());
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    zbq_contiguous_run run = {};
    EXPECT_EQ(zbq_producer_reserve(prod_.get(), 16, &run), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(mark(), 0U);
}

// What was owed at the end is owed by the next of the same user, and by nobody else.
class Debt : public Quiet {
protected:
    static constexpr uid_t stranger = 64'999;
    static constexpr uint64_t an_hour = 3'600'000 * test::ms;

    void SetUp() override {
        const uint64_t now = zbq::core::monotonic_ns();
        const auto owed =
            static_cast<int64_t>(an_hour / 4); // the one consumer's share is a quarter
        prod_->slots[0].wakes = {-owed, now, 0, 0};
        joined_ = {};
        ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
        ASSERT_GE(prod_->slots[0].wakes.quiet_until, now + an_hour);
        prod_->slots[0].uid = stranger;
        ASSERT_EQ(zbq::core::region_create("fresh", zbq::core::metadata_size, false,
                                           zbq::core::sharing::writable, &page_),
                  0);
        fresh_.page_memory = std::move(page_.memory);
    }
    uint64_t told() { return fresh_.page()->quiet_until; }

    zbq::core::region page_;
    zbq::core::slot fresh_;
};

TEST_F(Debt, IsTakenOverByTheSameUser) {
    fresh_.uid = stranger;
    zbq::core::take_over_debt(prod_.get(), &fresh_);
    EXPECT_EQ(fresh_.wakes.credit, prod_->slots[0].wakes.credit);
    EXPECT_EQ(fresh_.wakes.quiet_until, told());
    EXPECT_NE(told(), 0U);
    EXPECT_LE(told(), zbq::core::monotonic_ns() + ZBQ_WAIT_SLICE_NS);
}

TEST_F(Debt, IsTheLargest) {
    prod_->slots[1].uid = fresh_.uid = stranger;
    prod_->slots[1].wakes = {-1, 1, 2, 0};
    prod_->slots[2].uid = stranger;
    prod_->slots[2].wakes = {-2, 1, UINT64_MAX, 0};
    zbq::core::take_over_debt(prod_.get(), &fresh_);
    EXPECT_EQ(fresh_.wakes.credit, -2);
}

TEST_F(Debt, LeavesItsHeirAloneNoLongerThanItLasts) {
    fresh_.uid = stranger;
    prod_->slots[0].wakes.quiet_until = 5;
    zbq::core::take_over_debt(prod_.get(), &fresh_);
    EXPECT_EQ(told(), 5U);
}

TEST_F(Debt, IsNotTakenOverByAnother) {
    fresh_.uid = stranger + 1;
    zbq::core::take_over_debt(prod_.get(), &fresh_);
    EXPECT_EQ(told(), 0U);
}

TEST_F(Debt, IsNotTakenOverFromWhoIsThere) {
    const test::joined other = test::join(prod_.get());
    prod_->slots[other.slot].uid = fresh_.uid = stranger + 1;
    prod_->slots[other.slot].wakes = {-1, 1, UINT64_MAX, 0};
    zbq::core::take_over_debt(prod_.get(), &fresh_);
    EXPECT_EQ(told(), 0U);
    EXPECT_FALSE(zbq::core::owes_much(prod_.get(), stranger + 1));
}

// Whose processes can do worse.
TEST_F(Debt, IsNotTakenOverByTheOwnUser) {
    prod_->slots[0].uid = fresh_.uid = geteuid();
    zbq::core::take_over_debt(prod_.get(), &fresh_);
    EXPECT_EQ(told(), 0U);
}

TEST_F(Debt, KeepsItsUserOutWhileItIsLarge) {
    EXPECT_TRUE(zbq::core::owes_much(prod_.get(), stranger));
    EXPECT_FALSE(zbq::core::owes_much(prod_.get(), stranger + 1));
    prod_->slots[0].wakes.quiet_until = zbq::core::monotonic_ns() + 50 * test::ms;
    EXPECT_FALSE(zbq::core::owes_much(prod_.get(), stranger));
}

TEST_F(Debt, IsNotForgottenForANewcomer) {
    EXPECT_NE(test::join(prod_.get()).slot, 0U);
    EXPECT_TRUE(zbq::core::owes_much(prod_.get(), stranger));
}

// Once for what there is to read.
TEST_F(Quiet, WhoHoldsItsTailAndSleepsIsWokenOnce) {
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    for (int i = 0; i < 3; ++i) {
        zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
        ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
        EXPECT_EQ(test::stats(prod_.get()).wakes, 1U);
    }
    EXPECT_NE(mark(), 0U);
}

TEST_F(Quiet, NotWhoHoldsARecordBack) {
    zbq::core::slot *consumer = &prod_->slots[0];
    consumer->holds_record = true;
    consumer->wakes.quiet_until = UINT64_MAX;
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    zbq::core::wake_if_behind(prod_.get(), consumer, 1);
    EXPECT_EQ(mark(), 0U);
}

TEST_F(Quiet, NotWhoseBellFailed) {
    prod_->slots[0].bell_failed = true;
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_event);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(mark(), 0U);
    EXPECT_FALSE(prod_->slots[0].bell_failed);
}

// Within the wake-up, in the producer's own thread, for longer than any may take.
void spend_thread_time(int /*signal*/) {
    const uint64_t start = zbq::core::thread_time_ns();
    while (zbq::core::thread_time_ns() - start <= zbq::core::dear_wake_ns) {
    }
}

// One that has the kernel signal the producer for each bell.
class Dear : public Quiet {
protected:
    void SetUp() override {
        struct sigaction action = {};
        action.sa_handler = spend_thread_time;
        action.sa_flags = SA_RESTART;
        ASSERT_EQ(sigaction(SIGIO, &action, nullptr), 0);
        const int bells = cons_->event.get();
        const f_owner_ex producer = {F_OWNER_TID, gettid()};
        ASSERT_EQ(fcntl(bells, F_SETOWN_EX, &producer), 0);
        ASSERT_EQ(fcntl(bells, F_SETFL, fcntl(bells, F_GETFL) | O_ASYNC), 0);
    }
    void ring() {
        zbq::core::wake_account *account = &prod_->slots[0].wakes;
        *account = {0, 0, 0, account->dear}; // nothing is owed
        zbq::core::choose_marks(prod_.get());
        zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_event);
        ASSERT_TRUE(test::publish(prod_.get(), "x"));
    }
    uint32_t eviction() { return test::info(prod_.get(), joined_.slot).eviction; }
};

TEST_F(Dear, WhoIsSoAgainAndAgainIsEvicted) {
    for (uint32_t i = 0; i < zbq::core::most_dear_wakes; ++i) {
        ASSERT_EQ(eviction(), uint32_t{ZBQ_EVICTION_NONE});
        ring();
    }
    EXPECT_EQ(eviction(), uint32_t{ZBQ_EVICTION_DEAR});
}

TEST_F(Wait, TheEndTakesTheMarkOff) {
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    prod_.reset();
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
}

TEST_F(Wait, AnEvictionTakesTheMarkOff) {
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    zbq::core::evict(prod_.get(), &prod_->slots[joined_.slot], ZBQ_EVICTION_SLOW);
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
}

TEST_F(Wait, AScanWakesNobodyWhoHasReadAll) {
    zbq::core::park_announce(cons_->parking.place, zbq::core::parked_on_futex);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_NE(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
    EXPECT_EQ(test::stats(prod_.get()).wakes, 0U);
}

// It sleeps no longer than it is left alone, and a nap, however long it wants to.
TEST_F(Quiet, LooksByItself) {
    zbq::core::quiet_publish(prod_->slots[0].page(), UINT64_MAX);
    EXPECT_EQ(zbq::core::nap_length(zbq_consumer_meta(cons_)),
              ZBQ_WAIT_SLICE_NS + zbq::core::nap_ns);
    zbq::core::quiet_publish(prod_->slots[0].page(), zbq::core::monotonic_ns() + 1'000'000'000'000);
    EXPECT_EQ(wait(token()), ZBQ_ERROR_AGAIN);
    zbq::core::quiet_publish(prod_->slots[0].page(), 1);
    EXPECT_EQ(zbq::core::nap_length(zbq_consumer_meta(cons_)), zbq::core::nap_ns);
}

void ignore(int /*signal*/) {}

TEST_F(Wait, ASignalIsAgain) {
    struct sigaction action = {};
    action.sa_handler = ignore;
    ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
    const itimerval every_millisecond = {{0, 1000}, {0, 1000}};
    const itimerval never = {};
    const uint32_t before = token();
    ASSERT_EQ(setitimer(ITIMER_REAL, &every_millisecond, nullptr), 0);
    EXPECT_EQ(wait(before), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
}

TEST_F(Wait, EndOfTheStream) {
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    const uint32_t before = token();
    prod_.reset();
    EXPECT_EQ(wait(before), ZBQ_OK); // there is something to read
    EXPECT_EQ(test::skip_all(cons_), 1);
    EXPECT_EQ(wait(before), ZBQ_ERROR_NOENT);
    EXPECT_EQ(wait(token()), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, EvictedIsToldBeforeAnythingElse) {
    ASSERT_TRUE(test::publish(prod_.get(), "unread"));
    test::cheat_tail(zbq_consumer_meta(cons_), 8);
    const uint32_t before = token();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(wait(before), ZBQ_ERROR_NOENT);
    EXPECT_EQ(wait(token()), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, ProducerInThisProcessIsAlive) {
    EXPECT_TRUE(zbq_consumer_is_producer_alive(cons_));
    prod_.reset();
    EXPECT_TRUE(zbq_consumer_is_producer_alive(cons_)); // the process runs on
}

// Sleeps, as the page tells, until something happens in this thread; without the time limit
// of zbq_consumer_wait_broadcast, so that a wake-up that does not come is a hang.
class Sleeper {
public:
    explicit Sleeper(zbq_consumer *cons)
        : cons_(cons), token_(zbq_consumer_get_futex_token(cons)), thread_([this] { run(); }) {
        while (zbq::core::parked_seen(zbq_consumer_meta(cons_)->parking) == 0) {
            std::this_thread::yield();
        }
    }
    int result() {
        thread_.join();
        return result_;
    }

private:
    void run() {
        constexpr uint64_t an_hour = 3'600'000 * test::ms;
        zbq::core::park(cons_->control(), &cons_->parking, token_, an_hour);
        result_ = zbq_consumer_wait_broadcast(cons_, token_);
    }

    zbq_consumer *cons_;
    uint32_t token_;
    int result_ = 0;
    std::thread thread_;
};

TEST_F(Wait, SleeperIsWokenByACommit) {
    Sleeper sleeper(cons_);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(sleeper.result(), ZBQ_OK);
}

TEST_F(Wait, SleeperIsWokenByDescriptors) {
    Sleeper sleeper(cons_);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_EQ(sleeper.result(), ZBQ_OK);
}

TEST_F(Wait, SleeperIsWokenByTheEnd) {
    Sleeper sleeper(cons_);
    prod_.reset();
    EXPECT_EQ(sleeper.result(), ZBQ_ERROR_NOENT);
}

TEST_F(Wait, SleeperIsWokenByItsEviction) {
    Sleeper sleeper(cons_);
    test::cheat_tail(zbq_consumer_meta(cons_), 8);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(sleeper.result(), ZBQ_ERROR_NOENT);
}

} // namespace
