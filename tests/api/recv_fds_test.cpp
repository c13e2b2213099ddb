// SPDX-License-Identifier: MIT
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/pretender.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using numbers = std::vector<uint64_t>;

class RecvFds : public testing::Test {
protected:
    test::producer_ptr prod_ = test::make_producer();
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
};

TEST_F(RecvFds, RefusesNull) {
    int fds[ZBQ_MAX_FD_PER_MSG];
    uint8_t count = 9;
    EXPECT_EQ(zbq_consumer_recv_fds(nullptr, 1, fds, &count), ZBQ_ERROR_INVALID);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(zbq_consumer_recv_fds(cons_, 1, nullptr, &count), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_recv_fds(cons_, 1, fds, nullptr), ZBQ_ERROR_INVALID);
}

TEST_F(RecvFds, NothingThereIsAgain) {
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN);
}

TEST_F(RecvFds, IdZeroNeverComes) {
    EXPECT_EQ(test::collect(cons_, 0).result, ZBQ_ERROR_NOENT);
}

TEST_F(RecvFds, BeforeAndAfterTheCommit) {
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    ASSERT_TRUE(test::publish(prod_.get(), "before", 1, 1));
    EXPECT_EQ(test::collect(cons_, 1).numbers, numbers{1});
    ASSERT_TRUE(test::publish(prod_.get(), "after", 1, 2));
    EXPECT_EQ(test::collect(cons_, 2).result, ZBQ_ERROR_AGAIN);
    ASSERT_EQ(test::broadcast(prod_.get(), 2), ZBQ_OK);
    EXPECT_EQ(test::collect(cons_, 2).numbers, numbers{2});
}

TEST_F(RecvFds, ClosesOlderRecordsOnTheWay) {
    const test::leak_check leaks;
    for (const uint64_t seq_id : {1U, 2U, 3U, 4U}) {
        ASSERT_EQ(test::broadcast(prod_.get(), seq_id), ZBQ_OK);
    }
    EXPECT_EQ(test::collect(cons_, 3).numbers, numbers{3});
    EXPECT_EQ(test::collect(cons_, 2).result, ZBQ_ERROR_NOENT); // gone by
    EXPECT_EQ(test::collect(cons_, 4).numbers, numbers{4});
}

TEST_F(RecvFds, ALaterRecordMeansThatItNeverComesAndIsKept) {
    ASSERT_EQ(test::broadcast(prod_.get(), 5), ZBQ_OK);
    EXPECT_EQ(test::collect(cons_, 3).result, ZBQ_ERROR_NOENT);
    EXPECT_EQ(test::collect(cons_, 4).result, ZBQ_ERROR_NOENT);
    EXPECT_EQ(test::collect(cons_, 5).numbers, numbers{5});
    EXPECT_EQ(test::collect(cons_, 5).result, ZBQ_ERROR_NOENT); // once
}

TEST_F(RecvFds, ARecordThatIsPassedOverIsClosedAtOnce) {
    const test::leak_check leaks;
    ASSERT_EQ(test::broadcast(prod_.get(), 3), ZBQ_OK);
    EXPECT_EQ(test::collect(cons_, 2).result, ZBQ_ERROR_NOENT); // 3 is held
    EXPECT_EQ(test::collect(cons_, 4).result, ZBQ_ERROR_AGAIN);
}

TEST_F(RecvFds, DestroyClosesWhatWasNotCollected) {
    const test::leak_check leaks;
    {
        const auto prod = test::make_producer();
        const test::joined joined = test::join(prod.get());
        ASSERT_EQ(test::broadcast(prod.get(), 2), ZBQ_OK);
        EXPECT_EQ(test::collect(joined.consumer.get(), 1).result, ZBQ_ERROR_NOENT); // held
        ASSERT_EQ(test::broadcast(prod.get(), 3), ZBQ_OK);                          // queued
    }
}

TEST_F(RecvFds, AfterTheEndQueuedRecordsComeAndThenNone) {
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    prod_.reset();
    EXPECT_EQ(test::collect(cons_, 1).numbers, numbers{1});
    EXPECT_EQ(test::collect(cons_, 2).result, ZBQ_ERROR_NOENT);
}

// A hostile producer, played by the test on the other end of the side socket.
class Malformed : public testing::Test {
protected:
    int send(const void *bytes, size_t size, unsigned fd_count) {
        const std::vector<int> fds(fd_count, STDERR_FILENO);
        return static_cast<int>(
            zbq::core::send_record(pretender_.side(), bytes, size, fds.data(), fd_count));
    }
    int send_record(uint64_t seq_id, uint32_t fd_count, uint32_t reserved, unsigned real_count) {
        const zbq::core::side_record record = {seq_id, fd_count, reserved};
        return send(&record, sizeof record, real_count);
    }
    void expect_protocol_error(uint64_t seq_id) {
        const test::leak_check leaks;
        EXPECT_EQ(test::collect(cons_.get(), seq_id).result, ZBQ_ERROR_PROTOCOL);
    }

    test::pretender pretender_;
    test::consumer_ptr cons_ = pretender_.join();
    int fds_[ZBQ_MAX_FD_PER_MSG] = {};
    uint8_t count_ = 0;
};

// The kernel tells of the end, once, before what is still queued.
TEST_F(Malformed, NotARecordBeforeAnEndWithTheAnnouncementUnread) {
    ASSERT_GT(send_record(1, 1, 0, 1), 0);
    pretender_.take_side().reset();
    ASSERT_EQ(zbq_consumer_recv_fds(cons_.get(), 1, fds_, &count_), ZBQ_OK);
    close(fds_[0]);
    EXPECT_EQ(zbq_consumer_recv_fds(cons_.get(), 2, fds_, &count_), ZBQ_ERROR_NOENT);
}

TEST_F(Malformed, EachIsAnErrorThatClosesWhatCame) {
    ASSERT_GT(send_record(1, 2, 0, 1), 0); // too few
    expect_protocol_error(1);
    ASSERT_GT(send_record(1, 1, 0, 2), 0); // too many
    expect_protocol_error(1);
    ASSERT_GT(send_record(1, 0, 0, 0), 0); // none
    expect_protocol_error(1);
    ASSERT_GT(send_record(0, 1, 0, 1), 0); // id 0
    expect_protocol_error(1);
    const zbq::core::side_record good = {1, 1, 0};
    ASSERT_GT(send(&good, 12, 1), 0); // short, but for what it says
    expect_protocol_error(1);
    const char bytes[32] = {};
    ASSERT_GT(send(bytes, 8, 1), 0); // short
    expect_protocol_error(1);
    ASSERT_GT(send(bytes, 32, 1), 0); // long
    expect_protocol_error(1);
    ASSERT_GT(send_record(1, 1, 0, 1), 0); // and still a good one works
    EXPECT_EQ(zbq_consumer_recv_fds(cons_.get(), 1, fds_, &count_), ZBQ_OK);
    close(fds_[0]);
    ASSERT_GT(send_record(1, 1, 0, 1), 0); // ids must rise
    expect_protocol_error(2);
}

TEST_F(Malformed, EmptyRecordWithDescriptorsIsMalformed) {
    ASSERT_EQ(send("", 0, 1), 0);
    expect_protocol_error(1);
}

} // namespace
