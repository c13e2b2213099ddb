// SPDX-License-Identifier: MIT
//
// The producer's event descriptor: readable when it is worth while to try again.
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/remote.hpp"
#include "support/sanitizer.hpp"
#include "support/syscalls.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace {

// Longer than any test: then a descriptor becomes readable by a ring or not at all.
constexpr uint64_t an_hour = 3'600'000 * test::ms;

class Room : public testing::Test {
protected:
    void SetUp() override {
        fd_ = zbq_producer_event_fd(prod_.get());
        ASSERT_GE(fd_, 0);
    }
    int reserve(uint64_t bytes) {
        zbq_contiguous_run run = {};
        const int result = zbq_producer_reserve(prod_.get(), bytes, &run);
        silence_timer();
        return result;
    }
    // The safety net would make every one of these tests pass.
    void silence_timer() {
        zbq::core::timer_set(prod_->timer.get(), zbq::core::monotonic_ns() + an_hour);
    }
    static void release(zbq_consumer *cons, uint64_t messages) {
        zbq_consumer_acquire_head(cons);
        zbq_consumer_publish(cons, zbq_consumer_tail(cons) + messages * 16);
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = test::page});
    test::joined first_ = test::join(prod_.get());
    test::joined second_ = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    int fd_ = -1;
};

TEST_F(Room, OneDescriptor) {
    EXPECT_EQ(zbq_producer_event_fd(prod_.get()), fd_);
    EXPECT_NE(fcntl(fd_, F_GETFD) & FD_CLOEXEC, 0);
}

// What was refused before the descriptor was asked for, asked nobody to ring.
TEST_F(Room, ReadableFromTheStart) {
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
}

TEST_F(Room, ReadableOnceTheSlowestHasReleasedWhatWasAsked) {
    for (std::uint64_t i = 0; i < test::page / 16; ++i) {
        ASSERT_TRUE(test::publish(prod_.get(), ""));
    }
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(test::readable(fd_));
    release(first_.consumer.get(), 3); // 48 of 64 bytes
    EXPECT_FALSE(test::readable(fd_));
    release(first_.consumer.get(), 1);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN); // there is the other one
    EXPECT_FALSE(test::readable(fd_));
    release(second_.consumer.get(), 100);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(64), ZBQ_OK);
}

TEST_F(Room, NobodyRingsWhenNothingIsAwaited) {
    test::fill(prod_.get()); // to the first attempt in vain
    release(first_.consumer.get(), 10);
    release(second_.consumer.get(), 10);
    EXPECT_TRUE(test::readable(fd_));
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_FALSE(test::readable(fd_));
    release(first_.consumer.get(), 10);
    release(second_.consumer.get(), 10);
    EXPECT_FALSE(test::readable(fd_));
}

TEST_F(Room, AScanClearsWhatNobodyAwaits) {
    zbq::core::event_ring(first_.consumer->event.get());
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
    second_.consumer.reset();
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
}

TEST_F(Room, NobodyRingsAnyMoreOnceThereIsRoom) {
    test::fill(prod_.get());
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    EXPECT_NE(prod_->control->awaited_tail, 0U);
    release(first_.consumer.get(), 4);
    release(second_.consumer.get(), 4);
    zbq_contiguous_run run = {};
    EXPECT_EQ(zbq_producer_reserve(prod_.get(), 64, &run), ZBQ_OK);
    EXPECT_EQ(prod_->control->awaited_tail, 0U);
    itimerspec timer = {};
    ASSERT_EQ(timerfd_gettime(prod_->timer.get(), &timer), 0);
    EXPECT_EQ(timer.it_value.tv_sec, 0);
    EXPECT_EQ(timer.it_value.tv_nsec, 0);
}

TEST_F(Room, ForQueryToo) {
    ASSERT_EQ(reserve(test::page), ZBQ_OK);
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), test::page, ZBQ_COMMIT_NONE));
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 0U);
    silence_timer();
    EXPECT_FALSE(test::readable(fd_));
    release(first_.consumer.get(), 1);
    release(second_.consumer.get(), 1);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(zbq_producer_query(prod_.get()).max_bytes, 16U);
}

TEST(RoomLeft, WhoHangsUpHasLeft) {
    const auto prod = test::make_producer({.capacity = test::page, .clog_threshold = UINT64_MAX});
    test::joined only = test::join(prod.get());
    ASSERT_GE(zbq_producer_event_fd(prod.get()), 0);
    test::fill(prod.get());
    only.consumer.reset();
    zbq_contiguous_run run = {};
    EXPECT_EQ(zbq_producer_reserve(prod.get(), test::page, &run), ZBQ_OK);
    EXPECT_EQ(test::stats(prod.get()).scans, 0U);
}

TEST_F(Room, ReadableWhenAConsumerLeaves) {
    test::fill(prod_.get());
    release(second_.consumer.get(), 10);
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(test::readable(fd_));
    first_.consumer.reset();
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(64), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).evicted[ZBQ_EVICTION_DEAD], 1U);
}

// Its hang-up would be told of again and again.
TEST_F(Room, WhoShutsItsSideSocketDownHasLeft) {
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    ASSERT_EQ(shutdown(first_.consumer->side.get(), SHUT_RDWR), 0);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod_.get(), first_.slot).eviction, uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_FALSE(test::readable(fd_));
}

// Each of its sockets tells, both at once.
TEST_F(Room, WhoLeavesByBothIsEvictedOnce) {
    ASSERT_EQ(shutdown(first_.consumer->side.get(), SHUT_RDWR), 0);
    first_.consumer.reset();
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).evicted[0], 1U);
    EXPECT_EQ(test::info(prod_.get(), first_.slot).eviction, uint32_t{ZBQ_EVICTION_DEAD});
}

// Also where it is in nobody's way, and nobody scans.
TEST(RoomLeft, WhoShutsASocketDownIsFoundByAnAttempt) {
    for (zbq::core::unique_fd zbq_consumer::*socket : {&zbq_consumer::side, &zbq_consumer::event}) {
        const auto prod =
            test::make_producer({.capacity = test::page, .clog_threshold = UINT64_MAX});
        const test::joined in_the_way = test::join(prod.get());
        const test::joined leaves = test::join(prod.get());
        ASSERT_GE(zbq_producer_event_fd(prod.get()), 0);
        test::fill(prod.get());
        test::skip_all(leaves.consumer.get());
        ASSERT_EQ(shutdown((leaves.consumer.get()->*socket).get(), SHUT_RDWR), 0);
        for (int i = 0; i < 2; ++i) { // the first finds that it has rung before
            zbq_contiguous_run run = {};
            EXPECT_EQ(zbq_producer_reserve(prod.get(), 16, &run), ZBQ_ERROR_AGAIN);
        }
        EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_DEAD], 1U);
        EXPECT_EQ(test::stats(prod.get()).scans, 0U);
    }
}

TEST_F(Room, OnlyAWaitWatchesANewcomer) {
    const test::joined third = test::join(prod_.get());
    test::fill(prod_.get());
    release(first_.consumer.get(), 10);
    release(second_.consumer.get(), 10);
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    release(third.consumer.get(), 10);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(64), ZBQ_OK);
}

TEST_F(Room, ReadableWhenDescriptorsAreCollected) {
    const test::unique_fd fd = test::numbered(0);
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, fd.get());
    const auto send = [&](uint64_t seq_id) {
        return zbq_producer_broadcast_fds(prod_.get(), seq_id, fds.data(), ZBQ_MAX_FD_PER_MSG);
    };
    ASSERT_EQ(send(1), ZBQ_OK);
    ASSERT_EQ(send(2), ZBQ_OK);
    ASSERT_EQ(send(3), ZBQ_ERROR_AGAIN);
    silence_timer();
    EXPECT_FALSE(test::readable(fd_));
    EXPECT_EQ(test::collect(first_.consumer.get(), 1).result, ZBQ_OK); // rings without its doing
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(send(3), ZBQ_OK);
    EXPECT_FALSE(prod_->awaits_fds);
    EXPECT_EQ(test::collect(first_.consumer.get(), 2).result, ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_)); // nobody waits for it
}

// The state table of docs/design.md: whatever went well in between, the descriptor becomes readable
// when what was refused would succeed, and no sooner than something that was refused would.
class Refused : public Room {
protected:
    // A ring with nothing in it but a message of so many bytes, which nobody has released.
    void leave_room(std::uint64_t bytes) {
        ASSERT_EQ(reserve(test::page), ZBQ_OK);
        ASSERT_TRUE(zbq_producer_commit(prod_.get(), test::page, ZBQ_COMMIT_NONE));
        release_bytes(bytes);
        ASSERT_EQ(reserve(bytes), ZBQ_OK); // ends what was awaited so far
        ASSERT_TRUE(zbq_producer_commit(prod_.get(), 0, ZBQ_COMMIT_NONE));
        ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
        silence_timer();
        ASSERT_FALSE(test::readable(fd_));
    }
    void release_bytes(std::uint64_t bytes) {
        for (const test::joined *one : {&first_, &second_}) {
            release(one->consumer.get(), bytes / 16);
        }
    }
    std::uint64_t query() {
        const std::uint64_t room = zbq_producer_query(prod_.get()).max_bytes;
        silence_timer();
        return room;
    }
    void expect_told_at(std::uint64_t bytes) {
        release_bytes(bytes - 16);
        EXPECT_FALSE(test::readable(fd_)) << bytes;
        release_bytes(16);
        EXPECT_TRUE(test::readable(fd_)) << bytes;
    }
};

TEST_F(Refused, ByReserve) {
    leave_room(256);
    EXPECT_EQ(reserve(512), ZBQ_ERROR_AGAIN);
    expect_told_at(256);
    EXPECT_EQ(reserve(512), ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
}

TEST_F(Refused, ByAQueryThatGaveTooLittle) {
    leave_room(256);
    EXPECT_EQ(query(), 256U);
    expect_told_at(16);
    EXPECT_EQ(query(), 272U);
    expect_told_at(16);
    release_bytes(2000);
    EXPECT_EQ(query(), 2288U);
}

TEST_F(Refused, ThenSomethingSmallerWentWell) {
    leave_room(256);
    EXPECT_EQ(reserve(512), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(reserve(128), ZBQ_OK);
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 128, ZBQ_COMMIT_NONE));
    expect_told_at(512 - 128);
    EXPECT_EQ(reserve(512), ZBQ_OK);
}

TEST_F(Refused, ThenSomethingSmallerWasRefused) {
    leave_room(256);
    EXPECT_EQ(reserve(1024), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(reserve(512), ZBQ_ERROR_AGAIN);
    expect_told_at(256);
    EXPECT_EQ(reserve(1024), ZBQ_ERROR_AGAIN); // the smaller one was told of
    expect_told_at(512);
    EXPECT_EQ(reserve(1024), ZBQ_OK);
}

TEST_F(Refused, ThenSomethingLargerWasRefused) {
    leave_room(256);
    EXPECT_EQ(reserve(512), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(reserve(1024), ZBQ_ERROR_AGAIN);
    expect_told_at(256);
    EXPECT_EQ(reserve(512), ZBQ_OK);
}

// Both were refused, and the smaller one is there now: the larger one is still awaited.
TEST_F(Refused, ThenTheSmallerOfTwoWentWell) {
    leave_room(256);
    EXPECT_EQ(reserve(2000), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(reserve(1008), ZBQ_ERROR_AGAIN);
    expect_told_at(1008 - 256);
    EXPECT_EQ(reserve(1008), ZBQ_OK);
    release_bytes(2000 - 1008);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(2000), ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
}

// Who has rung rings again when commits have moved the tail that is awaited.
TEST_F(Refused, ThenCommitsMovedIt) {
    leave_room(256);
    EXPECT_EQ(reserve(512), ZBQ_ERROR_AGAIN);
    expect_told_at(256);
    ASSERT_EQ(reserve(128), ZBQ_OK);
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 128, ZBQ_COMMIT_NONE));
    EXPECT_EQ(reserve(512), ZBQ_ERROR_AGAIN);
    expect_told_at(128);
    EXPECT_EQ(reserve(512), ZBQ_OK);
}

// By the application between a failed attempt and its poll; a listener scans too.
TEST_F(Room, AScanDoesNotSwallowTheRing) {
    test::fill(prod_.get());
    ASSERT_EQ(reserve(16), ZBQ_ERROR_AGAIN);
    release(first_.consumer.get(), 1);
    release(second_.consumer.get(), 1);
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(16), ZBQ_OK);
}

TEST_F(Room, AScanDoesNotSwallowTheHangUp) {
    test::fill(prod_.get());
    ASSERT_EQ(reserve(16), ZBQ_ERROR_AGAIN);
    first_.consumer.reset();
    second_.consumer.reset();
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(16), ZBQ_OK);
}

TEST_F(Room, AnAccountThatEvictsTells) {
    test::fill(prod_.get());
    ASSERT_EQ(reserve(16), ZBQ_ERROR_AGAIN);
    for (const test::joined *one : {&first_, &second_}) {
        test::cheat_tail(zbq_consumer_meta(one->consumer.get()), 8);
    }
    EXPECT_EQ(test::stats(prod_.get()).evicted[ZBQ_EVICTION_PROTOCOL], 2U);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(16), ZBQ_OK);
}

// A run is of a thirty-second of the ring: it does not tell of all that is there.
TEST_F(Room, WhatWasRefusedAndIsThereKeepsItReadable) {
    test::fill(prod_.get());
    ASSERT_EQ(reserve(1024), ZBQ_ERROR_AGAIN);
    release(first_.consumer.get(), 256);
    release(second_.consumer.get(), 256);
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), 16, &run), ZBQ_OK); // somebody else
    EXPECT_LT(run.max_bytes, 1024U);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(zbq_consumer_ctrl(first_.consumer.get())->awaited_tail, 0U); // nobody is to ring
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 16, ZBQ_COMMIT_NONE));
    EXPECT_TRUE(test::readable(fd_));
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), 1024, &run), ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
}

// Room in the ring and room for descriptors are awaited apart.
TEST_F(Room, TwoWaitsEndOneByOne) {
    const test::unique_fd fd = test::numbered(0);
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, fd.get());
    const auto send = [&](uint64_t seq_id) {
        return zbq_producer_broadcast_fds(prod_.get(), seq_id, fds.data(), ZBQ_MAX_FD_PER_MSG);
    };
    const auto end_wait_for_room = [&] {
        release(first_.consumer.get(), 256);
        release(second_.consumer.get(), 256);
        EXPECT_EQ(reserve(16), ZBQ_OK);
    };
    const auto end_wait_for_collection = [&](uint64_t collected, uint64_t sent) {
        EXPECT_EQ(test::collect(first_.consumer.get(), collected).result, ZBQ_OK);
        EXPECT_EQ(send(sent), ZBQ_OK);
    };
    const zbq_control_region *control = zbq_consumer_ctrl(first_.consumer.get());
    ASSERT_EQ(send(1), ZBQ_OK);
    ASSERT_EQ(send(2), ZBQ_OK);

    ASSERT_EQ(send(3), ZBQ_ERROR_AGAIN);
    test::fill(prod_.get());
    ASSERT_EQ(reserve(16), ZBQ_ERROR_AGAIN);
    end_wait_for_room();
    EXPECT_EQ(control->awaited_tail, 0U);
    EXPECT_TRUE(prod_->awaits_fds);
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    end_wait_for_collection(1, 3);
    EXPECT_FALSE(prod_->awaits_fds);

    ASSERT_EQ(send(4), ZBQ_ERROR_AGAIN);
    test::fill(prod_.get());
    ASSERT_EQ(reserve(16), ZBQ_ERROR_AGAIN);
    end_wait_for_collection(2, 4);
    EXPECT_FALSE(prod_->awaits_fds);
    EXPECT_NE(control->awaited_tail, 0U);
    end_wait_for_room();
    EXPECT_EQ(control->awaited_tail, 0U);
}

// What was told for the one and came upon by an attempt at the other is told again.
class TwoWaits : public Room {
protected:
    void SetUp() override {
        Room::SetUp();
        for (uint64_t seq_id = 1; seq_id <= 2; ++seq_id) {
            ASSERT_EQ(send(seq_id), ZBQ_OK);
        }
        test::fill(prod_.get());
        ASSERT_EQ(send(3), ZBQ_ERROR_AGAIN);
        ASSERT_EQ(reserve(16), ZBQ_ERROR_AGAIN);
        ASSERT_FALSE(test::readable(fd_));
    }
    int send(uint64_t seq_id) {
        return zbq_producer_broadcast_fds(prod_.get(), seq_id, fds_.data(), ZBQ_MAX_FD_PER_MSG);
    }

    const test::unique_fd sent_ = test::numbered(0);
    const std::vector<int> fds_ = std::vector<int>(ZBQ_MAX_FD_PER_MSG, sent_.get());
};

TEST_F(TwoWaits, ARecordDoesNotSwallowTheRing) {
    for (const test::joined *one : {&first_, &second_}) {
        release(one->consumer.get(), 1);
    }
    EXPECT_EQ(send(3), ZBQ_ERROR_AGAIN);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(16), ZBQ_OK);
}

TEST_F(TwoWaits, RoomDoesNotSwallowTheCollection) {
    ASSERT_EQ(test::collect(first_.consumer.get(), 1).result, ZBQ_OK);
    ASSERT_EQ(test::collect(first_.consumer.get(), 2).result, ZBQ_OK);
    zbq_contiguous_run run = {};
    EXPECT_EQ(zbq_producer_reserve(prod_.get(), 16, &run), ZBQ_ERROR_AGAIN);
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(send(3), ZBQ_OK);
}

TEST_F(Room, AScanLeavesTheTimerOfAWait) {
    test::start_watchdog();
    test::fill(prod_.get());
    pollfd polled = {fd_, POLLIN, 0};
    ASSERT_EQ(poll(&polled, 1, -1), 1); // within a slice
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_TRUE(test::readable(fd_));
}

TEST_F(Room, NobodyRingsForDescriptorsThatNobodyAwaits) {
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_EQ(test::collect(first_.consumer.get(), 1).result, ZBQ_OK);
    EXPECT_FALSE(test::readable(fd_));
}

// A consumer's bells are listened to once in each wait, and not at all while nothing is awaited.
TEST_F(Room, AFloodIsHeardOnce) {
    const auto flood = [this] {
        for (int i = 0; i < 8; ++i) {
            zbq::core::event_ring(first_.consumer->event.get());
        }
    };
    flood();
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    flood();
    EXPECT_FALSE(test::readable(fd_));
    test::fill(prod_.get());
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN); // what was left of the flood
    silence_timer();
    flood();
    EXPECT_FALSE(test::readable(fd_));
    release(second_.consumer.get(), 100);
    EXPECT_TRUE(test::readable(fd_)); // another one's is
    EXPECT_EQ(zbq_consumer_ending(first_.consumer.get(), nullptr), ZBQ_ENDING_NONE);
}

// Not the flood's end: that is told of all the same.
TEST_F(Room, AFlooderThatLeavesIsNoticed) {
    test::fill(prod_.get());
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    zbq::core::event_ring(first_.consumer->event.get());
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    silence_timer();
    first_.consumer.reset();
    EXPECT_TRUE(test::readable(fd_));
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN); // of the other one
    EXPECT_EQ(test::info(prod_.get(), first_.slot).eviction, uint32_t{ZBQ_EVICTION_DEAD});
}

TEST_F(Room, AFloodOfOneCannotStopAnother) {
    test::fill(prod_.get());
    EXPECT_EQ(reserve(64), ZBQ_ERROR_AGAIN);
    for (int i = 0; i < 100'000; ++i) { // until its socket is full, and more
        zbq::core::event_ring(first_.consumer->event.get());
    }
    release(second_.consumer.get(), 10);
    first_.consumer.reset();
    for (int i = 0; i < 10'000 && reserve(64) != ZBQ_OK; ++i) {
    }
    EXPECT_EQ(reserve(64), ZBQ_OK);
}

TEST_F(Room, NothingLeaks) {
    const test::leak_check leaks;
    const auto prod = test::make_producer();
    const test::joined joined = test::join(prod.get());
    EXPECT_GE(zbq_producer_event_fd(prod.get()), 0);
    const test::joined newcomer = test::join(prod.get());
}

TEST_F(Room, OutOfDescriptorsLeavesNothingBehind) {
    const auto prod = test::make_producer();
    const test::leak_check leaks;
    for (unsigned spare = 0; spare < 2; ++spare) {
        const test::descriptor_shortage shortage(spare);
        EXPECT_EQ(zbq_producer_event_fd(prod.get()), ZBQ_ERROR_IO);
    }
}

TEST(RoomStall, ReadableWhenAnEvictionIsDue) {
    test::start_watchdog();
    const auto prod = test::make_producer(
        {.capacity = test::page, .clog_threshold = UINT64_MAX, .stall_timeout_ns = 20 * test::ms});
    const test::joined hung = test::join(prod.get());
    const int fd = zbq_producer_event_fd(prod.get());
    test::fill(prod.get());
    zbq_contiguous_run run = {};
    while (zbq_producer_reserve(prod.get(), 64, &run) == ZBQ_ERROR_AGAIN) {
        pollfd polled = {fd, POLLIN, 0};
        ASSERT_EQ(poll(&polled, 1, -1), 1);
    }
    EXPECT_EQ(test::stats(prod.get()).scans, 0U);
    EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_STALLED], 1U);
}

// For the timer alone: the consumer does not ring.
// One that is behind for longer than the time-out and in nobody's way has an end in the past.
TEST(RoomStall, ReadableThoughAnEndHasPassed) {
    test::start_watchdog();
    const auto prod = test::make_producer({.capacity = test::page, .stall_timeout_ns = test::ms});
    const test::joined in_the_way = test::join(prod.get());
    const test::joined behind = test::join(prod.get());
    const int fd = zbq_producer_event_fd(prod.get());
    test::fill(prod.get()); // its last attempt starts the clocks
    for (const test::joined *one : {&in_the_way, &behind}) {
        zbq_consumer_acquire_head(one->consumer.get());
    }
    zbq_consumer_publish(behind.consumer.get(), test::page / 2);
    zbq_contiguous_run run = {};
    for (uint64_t tail = 16; tail <= 128; tail += 16) {
        usleep(2000);
        zbq_consumer_publish(in_the_way.consumer.get(), tail);
        if (zbq_producer_reserve(prod.get(), tail + 16, &run) != ZBQ_ERROR_AGAIN) {
            return; // on a slow machine it stalls
        }
        pollfd polled = {fd, POLLIN, 0};
        ASSERT_EQ(poll(&polled, 1, -1), 1);
    }
}

TEST(RoomStall, ReadableWithinASliceAnyway) {
    test::start_watchdog();
    const auto prod = test::make_producer({.capacity = test::page});
    const test::joined silent = test::join(prod.get());
    const int fd = zbq_producer_event_fd(prod.get());
    test::fill(prod.get());
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod.get(), 64, &run), ZBQ_ERROR_AGAIN);
    test::cheat_tail(zbq_consumer_meta(silent.consumer.get()), 64);
    pollfd polled = {fd, POLLIN, 0};
    ASSERT_EQ(poll(&polled, 1, -1), 1);
    EXPECT_EQ(zbq_producer_reserve(prod.get(), 64, &run), ZBQ_OK);
    EXPECT_EQ(zbq_producer_commit(prod.get(), 0, ZBQ_COMMIT_NONE), true);
}

TEST(Type, IsToldToThoseWhoJoinLater) {
    const auto prod = test::make_producer();
    const zbq_type type = {0x1234567890abcdef, 24, 8};
    EXPECT_EQ(zbq_producer_set_type(prod.get(), nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_set_type(prod.get(), &type), ZBQ_OK);
    const test::joined joined = test::join(prod.get());
    zbq_type told = {};
    EXPECT_EQ(zbq_consumer_type(joined.consumer.get(), &told), ZBQ_OK);
    EXPECT_EQ(told.hash, type.hash);
    EXPECT_EQ(told.size, type.size);
    EXPECT_EQ(told.align, type.align);
    EXPECT_EQ(zbq_producer_set_type(prod.get(), &type), ZBQ_ERROR_INVALID); // too late
    EXPECT_EQ(zbq_consumer_type(joined.consumer.get(), nullptr), ZBQ_ERROR_INVALID);
}

} // namespace
