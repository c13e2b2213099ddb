// SPDX-License-Identifier: MIT
#include "producer.hpp"
#include "support/leaks.hpp"
#include "support/rig.hpp"

#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using test::unique_fd;

class Handshake : public testing::Test {
protected:
    int handshake(int fd, zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH) {
        return zbq_producer_handshake(prod_.get(), fd, mode, &slot_);
    }

    test::producer_ptr prod_ = test::make_producer({.max_consumers = 2});
    uint32_t slot_ = 77;
};

TEST_F(Handshake, RefusesBadArguments) {
    const test::socket_pair sockets = test::make_sockets();
    const int fd = sockets.producer_end.get();
    const unique_fd file(open("/dev/null", O_RDWR | O_CLOEXEC));
    const unique_fd internet(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const test::leak_check leaks;
    EXPECT_EQ(zbq_producer_handshake(nullptr, fd, ZBQ_WAKEUP_PUSH, &slot_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_handshake(prod_.get(), fd, ZBQ_WAKEUP_PUSH, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(handshake(fd, static_cast<zbq_wakeup_mode>(4)), ZBQ_ERROR_INVALID);
    EXPECT_EQ(handshake(fd, static_cast<zbq_wakeup_mode>(-1)), ZBQ_ERROR_INVALID);
    EXPECT_EQ(handshake(-1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(handshake(999), ZBQ_ERROR_INVALID);
    EXPECT_EQ(handshake(file.get()), ZBQ_ERROR_INVALID);
    if (internet) {
        EXPECT_EQ(handshake(internet.get()), ZBQ_ERROR_INVALID);
    }
    EXPECT_EQ(test::stats(prod_.get()).consumers, 0U);
}

TEST_F(Handshake, WorksOverEveryTypeOfUnixSocket) {
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
        const test::leak_check leaks;
        auto prod = test::make_producer();
        const test::socket_pair sockets = test::make_sockets(type);
        ASSERT_EQ(
            zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PULL, &slot_),
            ZBQ_OK);
        zbq_consumer *cons = nullptr;
        ASSERT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PULL, &cons), ZBQ_OK);
        zbq_consumer_destroy(cons);
    }
}

TEST_F(Handshake, GivesEachConsumerASlotUntilThereIsNone) {
    const test::joined first = test::join(prod_.get());
    const test::joined second = test::join(prod_.get());
    EXPECT_NE(first.slot, second.slot);
    const test::socket_pair sockets = test::make_sockets();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK); // takes the announcements' pidfds
    const test::leak_check leaks;
    EXPECT_EQ(handshake(sockets.producer_end.get()), ZBQ_ERROR_NOENT);
}

TEST_F(Handshake, TakesTheSlotOfAConsumerThatLeft) {
    test::joined first = test::join(prod_.get());
    const test::joined second = test::join(prod_.get());
    first.consumer.reset();
    const test::joined third = test::join(prod_.get());
    EXPECT_EQ(third.slot, first.slot);
}

TEST_F(Handshake, TakesTheSlotOfWhoHasNotAnsweredForLong) {
    const std::vector<test::socket_pair> silent = [] {
        std::vector<test::socket_pair> made(64);
        for (test::socket_pair &one : made) {
            one = test::make_sockets();
        }
        return made;
    }();
    for (const test::socket_pair &sockets : silent) { // more than are kept an account of
        ASSERT_EQ(handshake(sockets.producer_end.get()), ZBQ_OK);
        for (std::uint32_t i = 0; i < prod_->active_count; ++i) {
            prod_->slots[prod_->active[i]].joined_at -= zbq::core::time_to_answer_ns + 1;
        }
    }
    EXPECT_NE(test::join(prod_.get()).consumer, nullptr);
    EXPECT_EQ(test::stats(prod_.get()).evicted[ZBQ_EVICTION_DEAD],
              silent.size() + 1 - test::stats(prod_.get()).consumers);
}

TEST_F(Handshake, FailsWhenThePeerIsGoneAndLeaksNothing) {
    test::socket_pair sockets = test::make_sockets();
    sockets.consumer_end.reset();
    const test::leak_check leaks;
    EXPECT_EQ(handshake(sockets.producer_end.get()), ZBQ_ERROR_IO);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 0U);
    EXPECT_EQ(test::stats(prod_.get()).joined, 0U);
}

// Entries of an epoll instance.
std::size_t watched_by(int epoll) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(epoll));
    std::size_t count = 0;
    for (std::string line; std::getline(info, line);) {
        count += line.rfind("tfd:", 0) == 0 ? 1 : 0;
    }
    return count;
}

// Somebody else, as a forked child would, gets copies of whatever is open at the moment.
class copier {
public:
    explicit copier(int first) : thread_([this, first] { copy(first); }) {}
    copier(const copier &) = delete;
    copier &operator=(const copier &) = delete;
    ~copier() {
        stop_ = true;
        thread_.join();
    }

private:
    void copy(int first) {
        constexpr int far_away = 300;
        constexpr std::size_t most = 200;
        std::vector<unique_fd> copies;
        for (int fd = first; !stop_; fd = fd < first + 8 ? fd + 1 : first) {
            copies.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, far_away));
            if (copies.size() == most) {
                copies.clear();
            }
        }
    }

    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

TEST_F(Handshake, FailedIsWatchedNoMoreWhoeverHasItsDescriptors) {
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0);
    const std::size_t before = watched_by(prod_->watch.get());
    test::socket_pair sockets = test::make_sockets();
    sockets.consumer_end.reset();
    const copier other(unique_fd(dup(0)).get());
    for (int i = 0; i < 2000; ++i) {
        ASSERT_EQ(handshake(sockets.producer_end.get()), ZBQ_ERROR_IO);
        ASSERT_EQ(watched_by(prod_->watch.get()), before);
    }
}

TEST_F(Handshake, FailsOnAnUnconnectedSocket) {
    const unique_fd lonely(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const test::leak_check leaks;
    EXPECT_EQ(handshake(lonely.get()), ZBQ_ERROR_IO);
}

TEST_F(Handshake, NeverBlocksOnAFullSocketAndTheSlotIsFreeAgain) {
    const test::socket_pair sockets = test::make_sockets(); // blocking sockets
    const char byte = 0;
    while (send(sockets.producer_end.get(), &byte, 1, MSG_DONTWAIT) == 1) {
    }
    const test::leak_check leaks;
    EXPECT_EQ(handshake(sockets.producer_end.get()), ZBQ_ERROR_IO);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 0U);
}

TEST_F(Handshake, CallerKeepsTheSocket) {
    const test::socket_pair sockets = test::make_sockets();
    ASSERT_EQ(handshake(sockets.producer_end.get()), ZBQ_OK);
    EXPECT_GE(fcntl(sockets.producer_end.get(), F_GETFD), 0);
}

TEST_F(Handshake, HoldsThreeSocketsForAConsumerUntilItIsAnnounced) {
    const std::size_t before = test::open_descriptors();
    const test::socket_pair sockets = test::make_sockets();
    ASSERT_EQ(handshake(sockets.producer_end.get()), ZBQ_OK);
    EXPECT_EQ(test::open_descriptors(), before + 2 + 3);
}

TEST_F(Handshake, ConsumerStartsWithTheNextMessage) {
    const test::joined early = test::join(prod_.get());
    ASSERT_TRUE(test::publish(prod_.get(), "before"));
    const test::joined late = test::join(prod_.get());
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK); // finds the tails where they should be
    EXPECT_EQ(test::stats(prod_.get()).consumers, 2U);
    ASSERT_TRUE(test::publish(prod_.get(), "after"));
    std::string payload;
    ASSERT_EQ(test::read_one(late.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(payload, "after");
    ASSERT_EQ(test::read_one(early.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(payload, "before");
}

// A peer that took the socket but never receives holds a slot only as long as its end lives.
TEST_F(Handshake, UnreceivedJoinIsDeadWhenTheSocketGoes) {
    test::socket_pair sockets = test::make_sockets();
    ASSERT_EQ(handshake(sockets.producer_end.get()), ZBQ_OK);
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 1U);
    sockets.consumer_end.reset();
    sockets.producer_end.reset();
    EXPECT_EQ(test::scan_until_evicted(prod_.get(), slot_), uint32_t{ZBQ_EVICTION_DEAD});
}

// Only streams raise SIGPIPE; it would end this test.
TEST_F(Handshake, AStreamWhosePeerIsGoneRaisesNoSignal) {
    test::socket_pair sockets = test::make_sockets(SOCK_STREAM);
    sockets.consumer_end.reset();
    EXPECT_EQ(handshake(sockets.producer_end.get()), ZBQ_ERROR_IO);
}

// Without the library: the record that is read is the first, whatever it is.
TEST_F(Handshake, AnEmptyRecordIsReadInTheAnnouncementsPlace) {
    const test::socket_pair sockets = test::make_sockets();
    ASSERT_EQ(handshake(sockets.producer_end.get()), ZBQ_OK);
    zbq_join_payload payload = {};
    zbq::core::ancillary with;
    ASSERT_EQ(
        zbq::core::receive_record(sockets.consumer_end.get(), &payload, sizeof payload, 0, &with),
        64);
    const int side = with.fds.at(3);
    const zbq::core::announcement record = {zbq::core::announcement_magic, slot_, 0};
    ASSERT_EQ(zbq::core::send_record(side, &record, 0, nullptr, 0), 0);
    ASSERT_EQ(zbq::core::send_record(side, &record, sizeof record, nullptr, 0), 16);
    const test::leak_check leaks; // with no witness of who it is
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
        EXPECT_EQ(test::info(prod_.get(), slot_).pid, 0);
    }
    EXPECT_EQ(test::stats(prod_.get()).consumers, 1U);
}

} // namespace
