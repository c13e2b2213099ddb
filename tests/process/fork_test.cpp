// SPDX-License-Identifier: MIT
//
// A forked child of either side can do no harm.
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace {

class Fork : public testing::Test {
protected:
    test::producer_ptr prod_ = test::make_producer();
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
};

TEST_F(Fork, ChildHasNoMappings) {
    test::child child([] { return static_cast<int>(test::zbq_mappings()); });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_GT(test::zbq_mappings(), 0U);
}

TEST_F(Fork, CallsThatTalkToTheKernelAreRefused) {
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    zbq_producer_query(prod_.get());
    test::child child([this] {
        const test::socket_pair sockets = test::make_sockets();
        uint32_t slot = 0;
        const int fd = 0;
        int fds[ZBQ_MAX_FD_PER_MSG];
        uint8_t count = 0;
        zbq_producer_statistics statistics = {};
        zbq_consumer_info info = {};
        CHILD_CHECK(zbq_producer_handshake(prod_.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH,
                                           &slot) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_broadcast_fds(prod_.get(), 2, &fd, 1) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_scan(prod_.get()) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_commit(prod_.get(), 0, ZBQ_COMMIT_FORCE_SCAN)); // no scan
        CHILD_CHECK(zbq_producer_stats(prod_.get(), &statistics) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_consumer_info(prod_.get(), 0, &info) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_event_fd(prod_.get()) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_consumer_event_fd(cons_) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_consumer_recv_fds(cons_, 1, fds, &count) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_consumer_wait_broadcast(cons_, 0) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_consumer_spin(cons_, 0) == ZBQ_ERROR_INVALID);
        zbq_consumer_ring(cons_); // nothing
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_OK); // the child took nothing
    EXPECT_EQ(test::collect(cons_, 2).result, ZBQ_ERROR_AGAIN);
}

TEST_F(Fork, DestroyInTheChildLeavesTheStreamAlone) {
    test::child child([this] {
        zbq_producer_destroy(prod_.get());
        zbq_consumer_destroy(cons_);
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 1U);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_EQ(zbq_consumer_ctrl(cons_)->closed, 0U);
    EXPECT_EQ(test::skip_all(cons_), 1);
}

TEST_F(Fork, CommitInTheChildReachesNobody) {
    zbq_producer_query(prod_.get());
    test::child child([this] {
        signal(SIGSEGV, SIG_DFL);
        zbq_producer_commit(prod_.get(), 16, ZBQ_COMMIT_NONE); // the mapping is absent
        return 0;
    });
    EXPECT_NE(child.wait(), 0);
    EXPECT_EQ(zbq_consumer_acquire_head(cons_), 0U);
}

TEST_F(Fork, EveryDescriptorIsCloseOnExec) {
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const int fd = std::stoi(entry.path().filename());
        const std::string target = std::filesystem::read_symlink(entry.path());
        if (target.find("zbq-") != std::string::npos || target.find("pidfd") != std::string::npos) {
            EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << target;
        }
    }
    EXPECT_NE(fcntl(prod_->slots[joined_.slot].side.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(fcntl(cons_->side.get(), F_GETFD) & FD_CLOEXEC, 0);
}

} // namespace
