// SPDX-License-Identifier: MIT
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <cerrno>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using numbers = std::vector<uint64_t>;

class Broadcast : public testing::Test {
protected:
    int send(uint64_t seq_id, const std::vector<int> &fds, uint8_t count) {
        return zbq_producer_broadcast_fds(prod_.get(), seq_id, fds.data(), count);
    }
    int send_one(uint64_t seq_id) { return test::broadcast(prod_.get(), seq_id); }

    test::producer_ptr prod_ = test::make_producer({.clog_threshold = 1'000'000});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
    test::unique_fd fd_ = test::numbered(5);
};

TEST_F(Broadcast, OfNothingIsOk) {
    EXPECT_EQ(zbq_producer_broadcast_fds(prod_.get(), 1, nullptr, 0), ZBQ_OK);
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN);
}

TEST_F(Broadcast, RefusesBadArgumentsAndSendsNothing) {
    const std::vector<int> fds(255, fd_.get());
    EXPECT_EQ(zbq_producer_broadcast_fds(nullptr, 1, fds.data(), 1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_broadcast_fds(prod_.get(), 1, nullptr, 1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(send(1, fds, 254), ZBQ_ERROR_INVALID);
    EXPECT_EQ(send(1, fds, 255), ZBQ_ERROR_INVALID);
    EXPECT_EQ(send(0, fds, 1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(send(1, {fd_.get(), -1}, 2), ZBQ_ERROR_INVALID);
    EXPECT_EQ(send(1, {fd_.get(), 987}, 2), ZBQ_ERROR_INVALID);
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN);
    EXPECT_EQ(send(1, fds, 1), ZBQ_OK); // the id was not used up
}

TEST_F(Broadcast, BadArgumentsAreToldEvenWithNobodyThere) {
    const auto lonely = test::make_producer();
    const int bad = -1;
    const std::vector<int> many(254, fd_.get());
    EXPECT_EQ(zbq_producer_broadcast_fds(lonely.get(), 1, &bad, 1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_broadcast_fds(lonely.get(), 1, many.data(), 254), ZBQ_ERROR_INVALID);
}

TEST_F(Broadcast, TwoHundredAndFiftyThreeArriveInOrder) {
    const auto fds = test::numbered_list(ZBQ_MAX_FD_PER_MSG);
    const test::leak_check leaks;
    ASSERT_EQ(send(1, test::plain(fds), ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    const test::collected got = test::collect(cons_, 1);
    ASSERT_EQ(got.result, ZBQ_OK);
    ASSERT_EQ(got.numbers.size(), size_t{ZBQ_MAX_FD_PER_MSG});
    for (size_t i = 0; i < got.numbers.size(); ++i) {
        EXPECT_EQ(got.numbers[i], i);
    }
}

TEST_F(Broadcast, EveryPushConsumerGetsItAndNoPullConsumer) {
    const test::joined second = test::join(prod_.get());
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    ASSERT_EQ(send_one(1), ZBQ_OK);
    EXPECT_EQ(test::collect(cons_, 1).numbers, numbers{1});
    EXPECT_EQ(test::collect(second.consumer.get(), 1).numbers, numbers{1});
    EXPECT_EQ(test::collect(pull.consumer.get(), 1).result, ZBQ_ERROR_NOENT);
    EXPECT_EQ(test::info(prod_.get(), pull.slot).fds_in_flight, 0U);
    EXPECT_TRUE(zbq_consumer_valid(pull.consumer.get())); // which refuses them
}

TEST_F(Broadcast, PullConsumerIsToldThatThereWereDescriptors) {
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    ASSERT_TRUE(test::publish(prod_.get(), "m", 3, 1));
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_peek(pull.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.header->fd_count, 3);
}

TEST_F(Broadcast, CallerKeepsTheDescriptors) {
    ASSERT_EQ(send(1, {fd_.get()}, 1), ZBQ_OK);
    EXPECT_EQ(test::number_of(fd_.get()), 5U);
}

TEST_F(Broadcast, WakesASleeperAsACommitDoes) {
    const uint32_t token = zbq_consumer_get_futex_token(cons_);
    ASSERT_EQ(send_one(1), ZBQ_OK);
    EXPECT_NE(zbq_consumer_get_futex_token(cons_), token);
}

TEST_F(Broadcast, IdsMustNotFall) {
    ASSERT_EQ(send_one(5), ZBQ_OK);
    EXPECT_EQ(send_one(4), ZBQ_ERROR_INVALID);
    EXPECT_EQ(send_one(6), ZBQ_OK);
}

TEST_F(Broadcast, CallingAgainSendsNothingTwice) {
    ASSERT_EQ(send_one(1), ZBQ_OK);
    ASSERT_EQ(send_one(1), ZBQ_OK);
    EXPECT_EQ(test::info(prod_.get(), joined_.slot).fds_in_flight, 1U);
}

// Default socket buffers hold some 277 records of one descriptor; the cap lets 512 through.
TEST_F(Broadcast, FullSideSocketIsAgainAndNobodyGetsItBefore) {
    const test::joined collector = test::join(prod_.get());
    uint64_t seq_id = 1;
    while (send_one(seq_id) == ZBQ_OK) {
        ASSERT_EQ(test::collect(collector.consumer.get(), seq_id).numbers, numbers{seq_id});
        ++seq_id;
        ASSERT_LE(seq_id, uint64_t{ZBQ_MAX_FD_IN_FLIGHT} + 1);
    }
    ASSERT_GT(seq_id, 100U);
    EXPECT_EQ(send_one(seq_id), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(test::collect(collector.consumer.get(), seq_id).result, ZBQ_ERROR_AGAIN); // not begun
    EXPECT_EQ(test::collect(cons_, seq_id - 1).numbers, numbers{seq_id - 1}); // makes room
    EXPECT_EQ(send_one(seq_id), ZBQ_OK);
    EXPECT_EQ(test::collect(cons_, seq_id).numbers, numbers{seq_id});
    EXPECT_EQ(test::collect(collector.consumer.get(), seq_id).numbers, numbers{seq_id});
}

// A record that stops half way, for what the kernel gives then.
class GivenUp : public Broadcast {
protected:
    // One that the newest consumer has, and the oldest has not.
    void leave_unfinished(uint64_t seq_id) {
        ASSERT_EQ(send_one(seq_id), ZBQ_OK);
        prod_->newest_whole = false; // as where the second send was refused
    }
    uint32_t in_flight() { return test::info(prod_.get(), joined_.slot).fds_in_flight; }
};

TEST_F(GivenUp, IsTakenBackFromWhoHasIt) {
    leave_unfinished(1);
    const auto fds = test::numbered_list(200);
    ASSERT_EQ(send(2, test::plain(fds), 200), ZBQ_OK);
    ASSERT_EQ(send(3, test::plain(fds), 200), ZBQ_OK);
    EXPECT_EQ(in_flight(), 401U);
    ASSERT_EQ(test::collect(cons_, 2).numbers.size(), 200U); // drops the first on the way
    ASSERT_EQ(test::collect(cons_, 3).numbers.size(), 200U);

    leave_unfinished(4);
    EXPECT_EQ(in_flight(), 1U);
    const auto many = test::numbered_list(ZBQ_MAX_FD_PER_MSG);
    ASSERT_EQ(send(5, test::plain(many), ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    ASSERT_EQ(send(6, test::plain(many), ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    EXPECT_EQ(send(7, test::plain(many), ZBQ_MAX_FD_PER_MSG), ZBQ_ERROR_AGAIN);
}

// Nor is anything taken back from who has none of it.
TEST_F(GivenUp, IsNothingToTheOthers) {
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    leave_unfinished(1);
    const test::joined newcomer = test::join(prod_.get());
    const test::joined without = test::join(prod_.get());
    prod_->slots[without.slot].newest_record = 0; // its turn had not come
    ASSERT_EQ(send_one(2), ZBQ_OK);
    for (const test::joined *one : {&newcomer, &without}) {
        EXPECT_EQ(test::info(prod_.get(), one->slot).fds_in_flight, 1U);
        EXPECT_EQ(test::collect(one->consumer.get(), 2).numbers.size(), 1U);
    }
}

// Nor from who joined meanwhile what it was sent for that.
TEST_F(GivenUp, IsNothingToWhoJoinedMeanwhile) {
    const zbq_msg_header header = {1, 1, 0, 0, 1};
    const int fd = fd_.get();
    ASSERT_EQ(send_one(1), ZBQ_OK);
    ASSERT_EQ(zbq_producer_retain(prod_.get(), 1, &header, "x", &fd), ZBQ_OK);
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, fd);
    ASSERT_EQ(send(2, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    ASSERT_EQ(send(3, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    prod_->newest_whole = false;
    const test::joined newcomer = test::join(prod_.get());
    ASSERT_EQ(send(4, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(test::collect(newcomer.consumer.get(), 1).result, ZBQ_OK);
}

TEST_F(GivenUp, CountsAgainstNobody) {
    leave_unfinished(1);
    const auto many = test::numbered_list(ZBQ_MAX_FD_PER_MSG);
    const auto large = [&](uint64_t id) { return send(id, test::plain(many), ZBQ_MAX_FD_PER_MSG); };
    ASSERT_EQ(large(2), ZBQ_OK);
    ASSERT_EQ(large(3), ZBQ_OK);
    ASSERT_EQ(large(4), ZBQ_ERROR_AGAIN); // by two records and an orphan
    EXPECT_EQ(test::collect(cons_, 3).result, ZBQ_OK);
    ASSERT_EQ(large(4), ZBQ_OK);

    prod_->newest_whole = false; // given up as well: nothing but orphans
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(large(5 + static_cast<uint64_t>(i)), ZBQ_OK);
        prod_->newest_whole = false;
    }
    EXPECT_TRUE(zbq_consumer_valid(cons_));
}

// Nor where so many are left that they are not taken back at once.
TEST_F(GivenUp, HoldsNobodyBack) {
    prod_ = test::make_producer({.clog_threshold = 1'000'000, .stall_timeout_ns = 1});
    joined_ = test::join(prod_.get());
    constexpr uint64_t records = 160;
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, fd_.get());
    for (uint64_t seq_id = 1; seq_id <= records; ++seq_id) {
        ASSERT_EQ(send(seq_id, fds, 3), ZBQ_OK);
        prod_->newest_whole = false;
    }
    ASSERT_EQ(send(records + 1, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_ERROR_AGAIN);
    for (int scans = 0; scans < 3; ++scans) {
        ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    }
    EXPECT_EQ(test::stats(prod_.get()).evicted[0], 0U);
    EXPECT_EQ(send(records + 1, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
}

// Who had collected it keeps what came after it, though another has no room.
TEST_F(GivenUp, TakesNothingElseFromWhoHadCollectedIt) {
    const test::joined collector = test::join(prod_.get());
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, fd_.get());
    ASSERT_EQ(send(1, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    ASSERT_EQ(test::collect(collector.consumer.get(), 1).result, ZBQ_OK);
    ASSERT_EQ(test::info(prod_.get(), collector.slot).fds_in_flight, 0U);
    prod_->newest_whole = false;
    ASSERT_EQ(send(2, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    ASSERT_EQ(send(3, fds, ZBQ_MAX_FD_PER_MSG), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(test::collect(collector.consumer.get(), 2).result, ZBQ_OK);
}

TEST_F(Broadcast, CapsWhatOneConsumerHasInFlight) {
    const auto fds = test::numbered_list(200);
    const auto plain = test::plain(fds);
    ASSERT_EQ(send(1, plain, 200), ZBQ_OK);
    ASSERT_EQ(send(2, plain, 200), ZBQ_OK);
    EXPECT_EQ(send(3, plain, 200), ZBQ_ERROR_AGAIN); // 600
    EXPECT_EQ(test::info(prod_.get(), joined_.slot).fds_in_flight, 400U);
    ASSERT_EQ(test::collect(cons_, 1).numbers.size(), 200U);
    EXPECT_EQ(send(3, plain, 200), ZBQ_OK);
    EXPECT_EQ(test::info(prod_.get(), joined_.slot).fds_in_flight, 400U);
    ASSERT_EQ(test::collect(cons_, 3).numbers.size(), 200U);
    EXPECT_EQ(test::info(prod_.get(), joined_.slot).fds_in_flight, 0U);
}

TEST_F(Broadcast, NewcomersMissRecordsFromBefore) {
    ASSERT_EQ(send_one(1), ZBQ_OK);
    const test::joined late = test::join(prod_.get());
    ASSERT_EQ(send_one(1), ZBQ_OK); // nobody misses it
    ASSERT_TRUE(test::publish(prod_.get(), "m", 1, 1));
    EXPECT_EQ(test::collect(late.consumer.get(), 1).result, ZBQ_ERROR_NOENT);
    ASSERT_EQ(send_one(2), ZBQ_OK);
    EXPECT_EQ(test::collect(late.consumer.get(), 2).numbers, numbers{2});
}

TEST_F(Broadcast, AConsumerThatLeftIsEvictedAndTheOthersGetIt) {
    test::joined second = test::join(prod_.get());
    second.consumer.reset();
    EXPECT_EQ(send_one(1), ZBQ_OK);
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod_.get(), second.slot).eviction, uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_EQ(test::collect(cons_, 1).numbers, numbers{1});
}

TEST_F(Broadcast, AConsumerThatNeverCollectsIsEvictedInTheEnd) {
    const auto prod = test::make_producer({.clog_threshold = 4, .stall_timeout_ns = 5 * test::ms});
    const test::joined lazy = test::join(prod.get());
    const std::size_t before = test::open_descriptors();
    uint64_t seq_id = 1;
    test::start_watchdog();
    // No scan is called: failed attempts alone must run them.
    while (test::stats(prod.get()).evicted[ZBQ_EVICTION_SIDE_STALLED] == 0) {
        if (test::broadcast(prod.get(), seq_id) == ZBQ_OK) {
            ++seq_id;
        }
    }
    EXPECT_EQ(test::info(prod.get(), lazy.slot).eviction, uint32_t{ZBQ_EVICTION_SIDE_STALLED});
    EXPECT_EQ(zbq_consumer_meta(lazy.consumer.get())->eviction,
              uint32_t{ZBQ_EVICTION_SIDE_STALLED});
    EXPECT_EQ(test::broadcast(prod.get(), seq_id), ZBQ_OK);
    // The side socket, and the pidfd where the kernel gives one, are closed.
    EXPECT_LT(test::open_descriptors(), before);
}

TEST_F(Broadcast, OneThatCollectsSlowlyIsNotEvicted) {
    const auto prod = test::make_producer({.clog_threshold = 0, .stall_timeout_ns = test::ms});
    const test::joined slow = test::join(prod.get());
    uint64_t seq_id = 1;
    for (uint64_t blocked = 1; blocked <= 10;) {
        if (test::broadcast(prod.get(), seq_id) == ZBQ_OK) {
            ++seq_id;
            continue;
        }
        usleep(3000); // past the time-out, but each block finds one record more collected
        ASSERT_EQ(test::collect(slow.consumer.get(), blocked++).result, ZBQ_OK);
    }
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
}

TEST_F(Broadcast, OneThatWasBlockedAndHasCollectedAllIsNotStalled) {
    const auto prod = test::make_producer({.clog_threshold = 1000, .stall_timeout_ns = 1});
    const test::joined slow = test::join(prod.get());
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, fd_.get());
    for (const uint64_t seq_id : {1U, 2U, 3U}) {
        EXPECT_EQ(zbq_producer_broadcast_fds(prod.get(), seq_id, fds.data(), ZBQ_MAX_FD_PER_MSG),
                  seq_id < 3 ? ZBQ_OK : ZBQ_ERROR_AGAIN);
    }
    ASSERT_EQ(test::collect(slow.consumer.get(), 1).result, ZBQ_OK);
    ASSERT_EQ(test::collect(slow.consumer.get(), 2).result, ZBQ_OK);
    for (int scans = 0; scans < 3; ++scans) {
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
        usleep(1000);
    }
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
}

// From 6.7 the kernel passes no io_uring.
TEST_F(Broadcast, WhatTheKernelDoesNotPassIsABadDescriptor) {
    char params[120] = {}; // struct io_uring_params
    const test::unique_fd uring(static_cast<int>(syscall(SYS_io_uring_setup, 1, params)));
    if (!uring) {
        GTEST_SKIP() << "no io_uring here: errno " << errno;
    }
    const test::joined second = test::join(prod_.get());
    const int result = send(1, {uring.get()}, 1);
    if (result == ZBQ_OK) {
        GTEST_SKIP() << "this kernel passes it";
    }
    EXPECT_EQ(result, ZBQ_ERROR_INVALID);
    EXPECT_EQ(test::info(prod_.get(), joined_.slot).fds_in_flight, 0U);
    EXPECT_EQ(send_one(1), ZBQ_OK); // the id is not used up
}

// The kernel's limit of descriptors in flight holds for users without privileges.
TEST_F(Broadcast, KernelLimitIsAgainAndTheHoarderPays) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "needs root, to become a user that nobody else is";
    }
    test::child child([] {
        const auto prod =
            test::make_producer({.clog_threshold = 0, .stall_timeout_ns = 5 * test::ms});
        const test::joined hoarder = test::join(prod.get());
        const test::unique_fd fd = test::numbered(1);
        const std::vector<int> fds(100, fd.get());
        CHILD_CHECK(setresuid(64999, 64999, 64999) == 0);
        const rlimit limit = {150, 150};
        CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        uint64_t seq_id = 1;
        int again = 0;
        while (test::stats(prod.get()).evicted[0] == 0) {
            const int result = zbq_producer_broadcast_fds(prod.get(), seq_id, fds.data(), 100);
            CHILD_CHECK(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
            seq_id += result == ZBQ_OK ? 1 : 0;
            again += result == ZBQ_ERROR_AGAIN ? 1 : 0;
        }
        CHILD_CHECK(again > 0 && seq_id <= 5);
        CHILD_CHECK(test::info(prod.get(), hoarder.slot).eviction == ZBQ_EVICTION_SIDE_STALLED);
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
}

// ---- what the evicted did not collect ----

// Each of one descriptor.
class TakenBack : public Broadcast {
protected:
    static constexpr uint64_t records = 3 * zbq::core::most_taken_back + 1;

    // The records go to all; then the consumer that has collected none of them is given up.
    void evict_one_with(uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            ASSERT_EQ(send_one(zbq_producer_next_seq_id(prod_.get())), ZBQ_OK);
        }
        zbq::core::evict(prod_.get(), evicted(), ZBQ_EVICTION_SLOW);
    }
    zbq::core::slot *evicted() { return &prod_->slots[joined_.slot]; }
    uint32_t left() { return evicted()->is_leftover() ? evicted()->in_flight.fds() : 0; }
};

TEST_F(TakenBack, SomeAtATime) {
    evict_one_with(records);
    EXPECT_EQ(left(), records - zbq::core::most_taken_back);
    const test::joined next = test::join(prod_.get()); // takes some back, too
    EXPECT_NE(next.slot, joined_.slot);                // while there is another one
    EXPECT_EQ(left(), 1 + zbq::core::most_taken_back);
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(left(), 1U);
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(left(), 0U);
    EXPECT_EQ(prod_->leftovers, 0U);
    EXPECT_EQ(test::join(prod_.get()).slot, joined_.slot);
}

TEST_F(TakenBack, BeforeTheSlotIsUsedAgain) {
    prod_ = test::make_producer({.max_consumers = 1});
    joined_ = test::join(prod_.get());
    evict_one_with(records);
    const test::joined next = test::join(prod_.get());
    EXPECT_EQ(next.slot, joined_.slot);
    EXPECT_EQ(prod_->leftovers, 0U);
    EXPECT_EQ(send_one(records + 1), ZBQ_OK);
    EXPECT_EQ(test::collect(next.consumer.get(), records + 1).result, ZBQ_OK);
}

// What is left is in flight until then: a record for which there is no room takes it back first.
TEST_F(TakenBack, WhereARecordNeedsTheRoom) {
    rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    constexpr rlim_t for_joins = rlim_t{zbq::core::most_unanswered} * zbq::core::join_descriptors;
    const rlimit tight = {2 * (for_joins + 200), before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
    const test::joined other = test::join(prod_.get()); // a later join would take it back
    evict_one_with(95);
    ASSERT_EQ(left(), 95 - zbq::core::most_taken_back);
    ASSERT_EQ(test::collect(other.consumer.get(), 95).result, ZBQ_OK);
    ASSERT_EQ(test::info(prod_.get(), other.slot).fds_in_flight, 0U);
    const std::vector<int> fds(180, fd_.get());
    EXPECT_EQ(send(zbq_producer_next_seq_id(prod_.get()), fds, 180), ZBQ_OK);
    EXPECT_EQ(left(), 0U);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

} // namespace
