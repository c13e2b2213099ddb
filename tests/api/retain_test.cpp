// SPDX-License-Identifier: MIT
//
// Retained messages: what a newcomer has before its first message.
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/pretender.hpp"
#include "support/process.hpp"

#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <vector>

namespace {

using test::page;

class Retain : public testing::Test {
protected:
    int retain(std::uint16_t key, const std::string &payload,
               const std::vector<std::uint64_t> &numbers = {}) {
        std::vector<test::unique_fd> own;
        own.reserve(numbers.size());
        for (const std::uint64_t number : numbers) {
            own.push_back(test::numbered(number));
        }
        const std::vector<int> fds = test::plain(own);
        zbq_msg_header header = {static_cast<std::uint32_t>(payload.size()),
                                 static_cast<std::uint8_t>(fds.size()), 7, 0, 0};
        if (!fds.empty()) {
            header.seq_id = zbq_producer_next_seq_id(prod_.get());
            EXPECT_EQ(
                zbq_producer_broadcast_fds(prod_.get(), header.seq_id, fds.data(), header.fd_count),
                ZBQ_OK);
        }
        return zbq_producer_retain(prod_.get(), key, &header, payload.data(), fds.data());
    }
    int forget(std::uint16_t key) { return zbq_producer_forget(prod_.get(), key); }

    test::producer_ptr prod_ = test::make_producer({.capacity = 16 * page});
};

struct kept {
    std::uint16_t key;
    std::string payload;
    bool operator==(const kept &) const = default;
};

std::ostream &operator<<(std::ostream &out, const kept &what) {
    return out << what.key << ':' << what.payload;
}

std::string payload_of(const zbq_msg_view &view) {
    return {static_cast<const char *>(view.payload), view.payload_len};
}

std::vector<kept> kept_for(const test::joined &who) {
    std::vector<kept> all;
    zbq_msg_view view = {};
    while (zbq_consumer_retained(who.consumer.get(), static_cast<std::uint32_t>(all.size()),
                                 &view) == ZBQ_OK) {
        EXPECT_EQ(view.header->flags, 7);
        all.push_back({zbq_msg_key(view.header), payload_of(view)});
    }
    return all;
}

TEST_F(Retain, RefusesWhatCannotBe) {
    const zbq_msg_header header = {3, 0, 0, 0, 0};
    const zbq_msg_header with_fds = {3, 1, 0, 0, 1};
    const int fd = 0;
    zbq_msg_view view = {};
    EXPECT_EQ(zbq_producer_retain(nullptr, 1, &header, "one", nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, nullptr, "one", nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &header, nullptr, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 0, &header, "one", nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 0x8000, &header, "one", nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &with_fds, "one", nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &with_fds, "one", &fd), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_forget(nullptr, 1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(forget(0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(forget(1), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_consumer_retained(nullptr, 0, &view), ZBQ_ERROR_INVALID);
    const test::joined who = test::join(prod_.get());
    EXPECT_EQ(zbq_consumer_retained(who.consumer.get(), 0, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_retained(who.consumer.get(), 0, &view), ZBQ_ERROR_NOENT);
    EXPECT_EQ(test::stats(prod_.get()).head, 0U);
}

TEST_F(Retain, NewcomersHaveAllThatIsRetainedAndOthersAreTold) {
    const test::joined before = test::join(prod_.get());
    ASSERT_EQ(retain(1, "one"), ZBQ_OK);
    ASSERT_EQ(retain(2, ""), ZBQ_OK);
    ASSERT_EQ(retain(3, std::string(5000, 'x')), ZBQ_OK);
    EXPECT_EQ(kept_for(before), std::vector<kept>{});
    for (const zbq_wakeup_mode mode :
         {ZBQ_WAKEUP_PUSH, ZBQ_WAKEUP_PULL, ZBQ_OBSERVE_PUSH, ZBQ_OBSERVE_PULL}) {
        EXPECT_EQ(kept_for(test::join(prod_.get(), mode)),
                  (std::vector<kept>{{1, "one"}, {2, ""}, {3, std::string(5000, 'x')}}));
    }
    ASSERT_EQ(retain(1, "another"), ZBQ_OK);
    ASSERT_EQ(forget(2), ZBQ_OK);
    const test::joined later = test::join(prod_.get());
    EXPECT_EQ(kept_for(later), (std::vector<kept>{{3, std::string(5000, 'x')}, {1, "another"}}));
    ASSERT_EQ(forget(3), ZBQ_OK);
    ASSERT_EQ(forget(1), ZBQ_OK);
    EXPECT_EQ(kept_for(test::join(prod_.get())), std::vector<kept>{});
    EXPECT_EQ(kept_for(later).size(), 2U); // as it joined
    // In their order with the stream.
    std::vector<kept> told;
    std::vector<std::uint16_t> gone;
    zbq_msg_view view = {};
    while (zbq_consumer_next(before.consumer.get(), &view) == ZBQ_OK) {
        if (zbq_msg_is_forgotten(view.header)) {
            gone.push_back(zbq_msg_key(view.header));
        } else {
            told.push_back({zbq_msg_key(view.header), payload_of(view)});
        }
    }
    EXPECT_EQ(told, (std::vector<kept>{
                        {1, "one"}, {2, ""}, {3, std::string(5000, 'x')}, {1, "another"}}));
    EXPECT_EQ(gone, (std::vector<std::uint16_t>{2, 3, 1}));
}

TEST_F(Retain, TellsWhereInTheStreamItWas) {
    ASSERT_TRUE(test::publish(prod_.get(), "first"));
    ASSERT_EQ(retain(5, "five"), ZBQ_OK);
    zbq_msg_view view = {};
    const test::joined who = test::join(prod_.get());
    ASSERT_EQ(zbq_consumer_retained(who.consumer.get(), 0, &view), ZBQ_OK);
    EXPECT_EQ(view.logical_offset, 32U);
    EXPECT_EQ(view.total_len, 20U);
    EXPECT_EQ(zbq_consumer_tail(who.consumer.get()), 64U);
}

TEST_F(Retain, NothingChangesWhereThereIsNoRoom) {
    ASSERT_EQ(retain(1, "one"), ZBQ_OK);
    const test::joined slow = test::join(prod_.get());
    test::fill(prod_.get());
    EXPECT_EQ(retain(1, "another"), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(forget(1), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(retain(2, std::string(16 * page, 'x')), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(kept_for(test::join(prod_.get())), (std::vector<kept>{{1, "one"}}));
}

// Of the room that it found, but did not take, the application is not told.
TEST_F(Retain, WhoWaitsForRoomIsToldOfIt) {
    const int event = zbq_producer_event_fd(prod_.get());
    const test::joined slow = test::join(prod_.get());
    const auto refuse_then_release = [&](std::uint64_t size) {
        test::fill(prod_.get());
        zbq_contiguous_run run = {};
        EXPECT_EQ(zbq_producer_reserve(prod_.get(), size, &run), ZBQ_ERROR_AGAIN);
        test::skip_all(slow.consumer.get());
    };
    ASSERT_EQ(retain(1, "", std::vector<std::uint64_t>(ZBQ_MAX_FD_PER_MSG)), ZBQ_OK);
    refuse_then_release(16);
    ASSERT_EQ(retain(2, "", {1}), ZBQ_ERROR_OVERFLOW);
    EXPECT_TRUE(test::readable(event));
    refuse_then_release(1024);
    ASSERT_EQ(retain(2, ""), ZBQ_OK);
    EXPECT_TRUE(test::readable(event));
}

TEST_F(Retain, WhatIsRetainedAfterAllIsWaitedForNoMore) {
    const int event = zbq_producer_event_fd(prod_.get());
    const test::joined slow = test::join(prod_.get());
    test::fill(prod_.get());
    ASSERT_EQ(retain(1, ""), ZBQ_ERROR_AGAIN);
    test::skip_all(slow.consumer.get());
    ASSERT_EQ(retain(1, ""), ZBQ_OK);
    EXPECT_FALSE(test::readable(event));
}

TEST_F(Retain, IsLimited) {
    prod_ = test::make_producer({.capacity = 1024 * page});
    for (std::uint16_t key = 1; key <= 64; ++key) {
        ASSERT_EQ(retain(key, "x"), ZBQ_OK);
    }
    EXPECT_EQ(retain(65, "x"), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(retain(64, "y"), ZBQ_OK); // one for another
    EXPECT_EQ(retain(63, std::string(1U << 20U, 'x')), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(retain(63, std::string((1U << 20U) - 8192, 'x')), ZBQ_OK);
    EXPECT_EQ(kept_for(test::join(prod_.get())).size(), 64U);
}

TEST_F(Retain, DescriptorsAreLimited) {
    ASSERT_EQ(retain(1, "one", std::vector<std::uint64_t>(ZBQ_MAX_FD_PER_MSG - 1)), ZBQ_OK);
    ASSERT_EQ(retain(2, "two", {2}), ZBQ_OK);
    EXPECT_EQ(retain(3, "three", {3}), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(retain(2, "another", {4}), ZBQ_OK);
    EXPECT_EQ(kept_for(test::join(prod_.get())).size(), 2U);
}

TEST_F(Retain, NotInAForkedChild) {
    ASSERT_EQ(retain(1, "one"), ZBQ_OK);
    test::child forked([&] {
        CHILD_CHECK(retain(2, "two") == ZBQ_ERROR_INVALID);
        CHILD_CHECK(forget(1) == ZBQ_ERROR_INVALID);
        return 0;
    });
    EXPECT_EQ(forked.wait(), 0);
    EXPECT_EQ(kept_for(test::join(prod_.get())), (std::vector<kept>{{1, "one"}}));
}

TEST_F(Retain, WithoutDescriptorsThereIsNoRecord) {
    ASSERT_EQ(test::broadcast(prod_.get(), zbq_producer_next_seq_id(prod_.get())), ZBQ_OK);
    const zbq_msg_header with_one = {3, 1, 7, 0, 1};
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &with_one, "one", nullptr), ZBQ_ERROR_INVALID);
    const zbq_msg_header header = {3, 0, 7, 0, 1};
    ASSERT_EQ(zbq_producer_retain(prod_.get(), 1, &header, "one", nullptr), ZBQ_OK);
    const test::joined who = test::join(prod_.get());
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_retained(who.consumer.get(), 0, &view), ZBQ_OK);
    EXPECT_EQ(view.header->seq_id, 0U);
    EXPECT_EQ(test::collect(who.consumer.get(), 1).result, ZBQ_ERROR_NOENT); // it never comes
}

TEST_F(Retain, NoRecordHasSoManyDescriptors) {
    const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG + 1, STDIN_FILENO);
    const std::uint64_t id = zbq_producer_next_seq_id(prod_.get());
    ASSERT_EQ(zbq_producer_broadcast_fds(prod_.get(), id, fds.data(), ZBQ_MAX_FD_PER_MSG), ZBQ_OK);
    zbq_msg_header header = {3, ZBQ_MAX_FD_PER_MSG + 1, 7, 0, id};
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &header, "one", fds.data()), ZBQ_ERROR_INVALID);
    header.fd_count = ZBQ_MAX_FD_PER_MSG;
    EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &header, "one", fds.data()), ZBQ_OK);
}

TEST_F(Retain, OtherRecordsFromBeforeTheJoinNeverCome) {
    ASSERT_EQ(retain(1, "one", {10}), ZBQ_OK);
    const std::uint64_t gone = zbq_producer_next_seq_id(prod_.get());
    ASSERT_EQ(test::broadcast(prod_.get(), gone), ZBQ_OK);
    const test::joined who = test::join(prod_.get());
    EXPECT_EQ(test::collect(who.consumer.get(), 1).result, ZBQ_OK);
    EXPECT_EQ(test::collect(who.consumer.get(), gone).result, ZBQ_ERROR_NOENT);
}

// Where so many are in flight already that what is retained would be too much.
TEST_F(Retain, WhoIsSentDescriptorsHasToWait) {
    rlimit limit = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 1024;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (const zbq_wakeup_mode mode : {ZBQ_WAKEUP_PUSH, ZBQ_OBSERVE_PUSH}) {
        prod_ = test::make_producer();
        ASSERT_EQ(retain(1, "one", std::vector<std::uint64_t>(150)), ZBQ_OK);
        const test::joined first = test::join(prod_.get(), mode);
        const test::joined second = test::join(prod_.get(), mode);
        const test::socket_pair sockets = test::make_sockets();
        std::uint32_t slot = 0;
        EXPECT_EQ(zbq_producer_handshake(prod_.get(), sockets.producer_end.get(), mode, &slot),
                  ZBQ_ERROR_NOENT);
        EXPECT_EQ(kept_for(test::join(prod_.get(), ZBQ_WAKEUP_PULL)).size(), 1U);
        ASSERT_EQ(test::collect(first.consumer.get(), 1).numbers.size(), 150U);
        EXPECT_EQ(kept_for(test::join(prod_.get(), mode)).size(), 1U);
    }
}

// Newcomers get records by their ids, which rise.
TEST_F(Retain, AnOlderRecordIsRefused) {
    ASSERT_EQ(retain(1, "one", {10}), ZBQ_OK); // record 1
    ASSERT_EQ(retain(2, "two", {20}), ZBQ_OK); // record 2
    const test::unique_fd own = test::numbered(10);
    const int fd = own.get();
    for (const std::uint64_t id : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}}) {
        const zbq_msg_header header = {3, 1, 7, 0, id};
        EXPECT_EQ(zbq_producer_retain(prod_.get(), 1, &header, "new", &fd), ZBQ_ERROR_INVALID);
    }
    EXPECT_EQ(kept_for(test::join(prod_.get())), (std::vector<kept>{{1, "one"}, {2, "two"}}));
}

TEST_F(Retain, DescriptorsComeBeforeAllOthers) {
    const test::leak_check leaks;
    ASSERT_EQ(retain(1, "one", {10, 11}), ZBQ_OK);
    ASSERT_EQ(test::broadcast(prod_.get(), zbq_producer_next_seq_id(prod_.get())), ZBQ_OK);
    ASSERT_EQ(retain(2, "two", {20}), ZBQ_OK);
    ASSERT_EQ(retain(3, "three", {30}), ZBQ_OK);
    ASSERT_EQ(forget(2), ZBQ_OK);
    for (const zbq_wakeup_mode mode : {ZBQ_WAKEUP_PUSH, ZBQ_OBSERVE_PUSH}) {
        const test::joined who = test::join(prod_.get(), mode);
        zbq_consumer *cons = who.consumer.get();
        EXPECT_EQ(test::info(prod_.get(), who.slot).fds_in_flight, 3U);
        zbq_msg_view view = {};
        ASSERT_EQ(zbq_consumer_retained(cons, 0, &view), ZBQ_OK);
        EXPECT_EQ(test::collect(cons, view.header->seq_id).numbers,
                  (std::vector<std::uint64_t>{10, 11}));
        EXPECT_EQ(test::collect(cons, 2).result, ZBQ_ERROR_NOENT); // not retained
        ASSERT_EQ(zbq_consumer_retained(cons, 1, &view), ZBQ_OK);
        EXPECT_EQ(test::collect(cons, view.header->seq_id).numbers,
                  (std::vector<std::uint64_t>{30}));
        EXPECT_EQ(test::collect(cons, view.header->seq_id).result, ZBQ_ERROR_NOENT);
        const std::uint64_t live = zbq_producer_next_seq_id(prod_.get());
        EXPECT_EQ(test::collect(cons, live).result, ZBQ_ERROR_AGAIN);
        ASSERT_EQ(test::broadcast(prod_.get(), live), ZBQ_OK);
        EXPECT_EQ(test::collect(cons, live).result, ZBQ_OK);
    }
    // Who does not collect them loses them to what it collects.
    const test::joined careless = test::join(prod_.get());
    const std::uint64_t live = zbq_producer_next_seq_id(prod_.get());
    ASSERT_EQ(test::broadcast(prod_.get(), live), ZBQ_OK);
    EXPECT_EQ(test::collect(careless.consumer.get(), live).result, ZBQ_OK);
    EXPECT_EQ(test::collect(test::join(prod_.get(), ZBQ_WAKEUP_PULL).consumer.get(), 1).result,
              ZBQ_ERROR_NOENT);
    prod_.reset();
    prod_ = test::make_producer();
}

// ---- a hostile producer ----

using zbq::core::region;
using zbq::core::retained_entry;
using zbq::core::retained_head;
using zbq::core::sharing;

class HostileSnapshot : public testing::Test {
protected:
    HostileSnapshot() {
        EXPECT_EQ(region_create("zbq-retained", page, false, sharing::read_only, &snapshot_), 0);
        pretender_.fds.push_back(snapshot_.fd.get());
    }
    void set_count(std::uint32_t count) const {
        const retained_head head = {count, {}};
        std::memcpy(snapshot_.memory.get(), &head, sizeof head);
    }
    void put(std::uint64_t at, std::uint32_t payload_len) const {
        const retained_entry entry = {0, 0, {payload_len, 0, 0, 1, 0}};
        std::memcpy(static_cast<char *>(snapshot_.memory.get()) + at, &entry, sizeof entry);
    }
    static int view(const test::consumer_ptr &who, std::uint32_t index) {
        zbq_msg_view view = {};
        return zbq_consumer_retained(who.get(), index, &view);
    }

    test::pretender pretender_;
    region snapshot_;
};

constexpr std::uint32_t largest = page - sizeof(retained_head) - sizeof(retained_entry);

TEST_F(HostileSnapshot, WhatCanBeIsBelieved) {
    set_count(1);
    put(sizeof(retained_head), largest);
    const test::consumer_ptr who = pretender_.join();
    ASSERT_NE(who, nullptr);
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_retained(who.get(), 0, &view), ZBQ_OK);
    EXPECT_EQ(view.payload_len, largest);
    EXPECT_EQ(view.total_len, largest + 16);
    EXPECT_EQ(zbq_msg_key(view.header), 1);
    EXPECT_EQ(zbq_consumer_retained(who.get(), 1, &view), ZBQ_ERROR_NOENT);
}

TEST_F(HostileSnapshot, WhatLeadsPastItsEnd) {
    const test::consumer_ptr who = pretender_.join();
    ASSERT_NE(who, nullptr);
    for (const std::uint32_t payload_len : {largest + 1, std::uint32_t{page}, UINT32_MAX}) {
        set_count(1);
        put(sizeof(retained_head), payload_len);
        EXPECT_EQ(view(who, 0), ZBQ_ERROR_PROTOCOL);
        EXPECT_EQ(view(who, 1), ZBQ_ERROR_PROTOCOL);
    }
    // The second one.
    set_count(2);
    put(sizeof(retained_head), 0);
    put(sizeof(retained_head) + sizeof(retained_entry), largest - 31);
    EXPECT_EQ(view(who, 0), ZBQ_OK);
    EXPECT_EQ(view(who, 1), ZBQ_ERROR_PROTOCOL);
    // It would start at the end.
    put(sizeof(retained_head), largest);
    EXPECT_EQ(view(who, 0), ZBQ_OK);
    EXPECT_EQ(view(who, 1), ZBQ_ERROR_PROTOCOL);
}

TEST_F(HostileSnapshot, NoMoreThanThereCanBe) {
    set_count(UINT32_MAX);
    const test::consumer_ptr who = pretender_.join();
    ASSERT_NE(who, nullptr);
    EXPECT_EQ(view(who, 63), ZBQ_OK);
    EXPECT_EQ(view(who, 64), ZBQ_ERROR_NOENT);
    EXPECT_EQ(view(who, UINT32_MAX), ZBQ_ERROR_NOENT);
}

TEST_F(HostileSnapshot, AnObjectThatIsNone) {
    region large;
    ASSERT_EQ(region_create("zbq-retained", (1U << 20U) + page, false, sharing::read_only, &large),
              0);
    region writable;
    ASSERT_EQ(region_create("zbq-retained", page, false, sharing::writable, &writable), 0);
    const test::unique_fd empty(memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(fcntl(empty.get(), F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE),
              0);
    const int control = pretender_.fds[0]; // of another size
    for (const int fd : {large.fd.get(), writable.fd.get(), empty.get(), control}) {
        pretender_.fds[6] = fd;
        const test::leak_check leaks;
        EXPECT_EQ(pretender_.join(), nullptr);
        EXPECT_EQ(pretender_.result, ZBQ_ERROR_PROTOCOL);
    }
}

} // namespace
