// SPDX-License-Identifier: MIT
//
// The consumer's event descriptor, as an event loop sees it.
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/pretender.hpp"
#include "support/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using test::unique_fd;

constexpr std::uint64_t an_hour = 3'600'000 * test::ms;

class Event : public testing::Test {
protected:
    void SetUp() override {
        fd_ = zbq_consumer_event_fd(cons_);
        ASSERT_GE(fd_, 0);
    }
    // Until there is no more: the result of the last look.
    int drain() {
        int result = ZBQ_OK;
        std::string payload;
        while (result == ZBQ_OK) {
            result = test::read_one(cons_, &payload);
        }
        return result;
    }
    // By a ring, or what the library tells of again, and not by the end of a nap, which comes when
    // it comes.
    bool readable() {
        if (cons_->looks_again_at > 1) {
            zbq::core::timer_set(cons_->timer.get(), zbq::core::monotonic_ns() + an_hour);
        }
        return test::readable(fd_);
    }
    // The kernel closes the producer's end in its own time.
    void expect_readable_in_time() {
        test::start_watchdog();
        readable();
        pollfd polled = {fd_, POLLIN, 0};
        EXPECT_EQ(poll(&polled, 1, -1), 1);
    }
    bool publish() { return test::publish(prod_.get(), "x"); }

    test::producer_ptr prod_ = test::make_producer({.capacity = test::page});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
    int fd_ = -1;
};

TEST_F(Event, OneDescriptorForPushModeOnly) {
    EXPECT_EQ(zbq_consumer_event_fd(cons_), fd_);
    EXPECT_NE(fcntl(fd_, F_GETFD) & FD_CLOEXEC, 0);
    const test::joined pull = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    EXPECT_EQ(zbq_consumer_event_fd(pull.consumer.get()), ZBQ_ERROR_INVALID);
}

TEST_F(Event, ReadableFromTheStartAndClearedByLooking) {
    EXPECT_TRUE(readable());
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable());
}

TEST_F(Event, ReadableUntilAllIsRead) {
    drain();
    ASSERT_TRUE(publish());
    ASSERT_TRUE(publish());
    EXPECT_TRUE(readable());
    std::string payload;
    EXPECT_EQ(test::read_one(cons_, &payload), ZBQ_OK);
    EXPECT_TRUE(readable());
    EXPECT_EQ(test::read_one(cons_, &payload), ZBQ_OK);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable());
    ASSERT_TRUE(publish());
    EXPECT_TRUE(readable());
}

TEST_F(Event, AlsoForTheBatchCall) {
    zbq_msg_view view = {};
    EXPECT_EQ(zbq_consumer_next(cons_, &view), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable());
    ASSERT_TRUE(publish());
    EXPECT_TRUE(readable());
    EXPECT_EQ(zbq_consumer_next(cons_, &view), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_next(cons_, &view), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable());
}

TEST_F(Event, ReadableForDescriptors) {
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable());
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_TRUE(readable());
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_OK);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable());
}

// What it asks for last it asks for as long as nobody has rung: the timer ends its nap, once.
TEST_F(Event, NapsOnce) {
    drain();
    EXPECT_NE(cons_->looks_again_at, 0U);
    cons_->nap_end = 1; // however long it took
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(cons_->looks_again_at, 0U);
    EXPECT_FALSE(readable());
    ASSERT_TRUE(publish()); // takes the mark off
    EXPECT_TRUE(readable());
    drain();
    EXPECT_NE(cons_->looks_again_at, 0U);
}

// A producer that leaves it alone says until when: it looks again by itself.
TEST_F(Event, LooksAgainAfterAQuiet) {
    drain();
    cons_->nap_end = 1;
    zbq::core::quiet_publish(prod_->slots[0].page(), UINT64_MAX / 2);
    const uint64_t before = zbq::core::monotonic_ns();
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_GE(cons_->looks_again_at, before + ZBQ_WAIT_SLICE_NS);
}

// There is one bell for both.
TEST_F(Event, ALookForARecordLeavesNewsOfAMessage) {
    drain();
    ASSERT_TRUE(publish());
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN); // took the message's bell
    EXPECT_TRUE(readable());
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable()); // told of once
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
}

TEST_F(Event, ALookForAMessageLeavesNewsOfARecord) {
    drain();
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_ERROR_AGAIN);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN); // took the record's bell
    EXPECT_TRUE(readable());
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_FALSE(readable()); // told of once
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_OK);
}

TEST_F(Event, ARecordThatIsFoundLeavesTheMark) {
    drain();
    const std::uint32_t &parked = zbq_consumer_meta(cons_)->parking[0].parked;
    EXPECT_EQ(parked, 2U);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(test::collect(cons_, 1).result, ZBQ_OK);
    EXPECT_EQ(parked, 2U);
}

// It sleeps on the word for once: the mark of the one does not take off that of the other.
TEST_F(Event, SleepsOnTheWordToo) {
    drain();
    const std::uint32_t &parked = zbq_consumer_meta(cons_)->parking[0].parked;
    const std::uint32_t token = zbq_consumer_get_futex_token(cons_);
    EXPECT_EQ(zbq_consumer_wait(cons_, token, 1), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(parked, 2U);
    zbq::core::park_announce(cons_->parking.place, 1);
    EXPECT_EQ(parked, 3U);
    ASSERT_TRUE(publish());
    EXPECT_EQ(parked, 0U);
    EXPECT_TRUE(readable());
}

TEST_F(Event, QuietWhileDescriptorsWait) {
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN); // the bell of the start,
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN); // and that of the record
    EXPECT_FALSE(readable());
    ASSERT_TRUE(publish());
    EXPECT_TRUE(readable());
}

TEST_F(Event, ReadableAtTheEndAndItStaysSo) {
    drain();
    prod_.reset();
    expect_readable_in_time();
    EXPECT_EQ(drain(), ZBQ_ERROR_NOENT);
    EXPECT_TRUE(readable());
    EXPECT_EQ(zbq_consumer_ending(cons_, nullptr), ZBQ_ENDING_CLOSED);
}

TEST_F(Event, ReadableAtAnEviction) {
    drain();
    test::cheat_tail(zbq_consumer_meta(cons_), 8);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    expect_readable_in_time();
    EXPECT_EQ(drain(), ZBQ_ERROR_NOENT);
    uint32_t reason = 0;
    EXPECT_EQ(zbq_consumer_ending(cons_, &reason), ZBQ_ENDING_EVICTED);
    EXPECT_EQ(reason, uint32_t{ZBQ_EVICTION_PROTOCOL});
}

TEST_F(Event, EdgeTriggered) {
    const unique_fd loop(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    ASSERT_EQ(epoll_ctl(loop.get(), EPOLL_CTL_ADD, fd_, &event), 0);
    EXPECT_EQ(epoll_wait(loop.get(), &event, 1, 0), 1); // as it is readable
    EXPECT_EQ(epoll_wait(loop.get(), &event, 1, 0), 0); // told once
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
        readable(); // the nap is over when the next message comes
        epoll_wait(loop.get(), &event, 1, 0);
        EXPECT_EQ(epoll_wait(loop.get(), &event, 1, 0), 0);
        ASSERT_TRUE(publish());
        EXPECT_EQ(epoll_wait(loop.get(), &event, 1, 0), 1);
    }
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    readable();
    epoll_wait(loop.get(), &event, 1, 0);
    prod_.reset();
    test::start_watchdog();
    EXPECT_EQ(epoll_wait(loop.get(), &event, 1, -1), 1);
}

// As any look in vain.
TEST_F(Event, ASpinInVainArmsIt) {
    drain();
    ASSERT_TRUE(publish());
    EXPECT_EQ(zbq_consumer_spin(cons_, 0), ZBQ_OK);
    EXPECT_EQ(test::skip_all(cons_), 1);
    ASSERT_TRUE(publish());
    std::string payload;
    EXPECT_EQ(test::read_one(cons_, &payload), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_spin(cons_, 0), ZBQ_ERROR_AGAIN);
    EXPECT_NE(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
    ASSERT_TRUE(publish());
    EXPECT_TRUE(readable());
}

TEST_F(Event, TheOtherWayToWaitWorksToo) {
    drain();
    EXPECT_EQ(zbq_consumer_wait(cons_, zbq_consumer_get_futex_token(cons_), 1), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN); // arms it again
    ASSERT_TRUE(publish());
    EXPECT_TRUE(readable());
}

// One bell for a consumer that waits, however much is committed; none for one that does not.
TEST_F(Event, BellsAreFew) {
    const auto wakes = [this] { return test::stats(prod_.get()).wakes; };
    drain();
    const uint64_t before = wakes();
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(publish());
    }
    EXPECT_EQ(wakes(), before + 1);
    std::string payload;
    while (test::read_one(cons_, &payload) == ZBQ_OK &&
           zbq_consumer_acquire_head(cons_) != zbq_consumer_tail(cons_)) {
        ASSERT_TRUE(test::stats(prod_.get()).wakes == before + 1);
    }
    ASSERT_TRUE(publish()); // it has not looked in vain yet
    EXPECT_EQ(wakes(), before + 1);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    test::forget_wakes(prod_.get(), joined_.slot);
    ASSERT_TRUE(publish());
    EXPECT_EQ(wakes(), before + 2);
}

// It finds something between its two looks: then it is awake, and costs no bell.
TEST_F(Event, ALookThatFindsSomethingUnparks) {
    drain();
    ASSERT_TRUE(publish());
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
    std::string payload;
    EXPECT_EQ(test::read_one(cons_, &payload), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 0U);
    EXPECT_EQ(drain(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_meta(cons_)->parking[0].parked, 2U);
}

TEST(EventJoin, WhoHasNotAskedIsNotParked) {
    const auto prod = test::make_producer();
    const test::joined joined = test::join(prod.get());
    std::string payload;
    EXPECT_EQ(test::read_one(joined.consumer.get(), &payload), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_meta(joined.consumer.get())->parking[0].parked, 0U);
}

// So that the producer, which looks at all of them, finds them in different sets of its cache.
TEST(EventJoin, ConsumersParkAtDifferentPlaces) {
    const auto prod = test::make_producer();
    const test::joined joined[] = {test::join(prod.get()), test::join(prod.get())};
    for (const test::joined &each : joined) {
        zbq_consumer *cons = each.consumer.get();
        ASSERT_GE(zbq_consumer_event_fd(cons), 0);
        std::string payload;
        EXPECT_EQ(test::read_one(cons, &payload), ZBQ_ERROR_AGAIN);
        EXPECT_EQ(zbq_consumer_meta(cons)->parking[each.slot].parked, 2U);
    }
    EXPECT_NE(joined[0].slot, joined[1].slot);
}

TEST(EventJoin, NothingLeaks) {
    const auto prod = test::make_producer();
    const test::leak_check leaks;
    const test::joined joined = test::join(prod.get());
    EXPECT_GE(zbq_consumer_event_fd(joined.consumer.get()), 0);
    test::cheat_tail(zbq_consumer_meta(joined.consumer.get()), 8);
    EXPECT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
}

TEST(EventJoin, OutOfDescriptorsLeavesNothingBehind) {
    const auto prod = test::make_producer();
    const test::joined joined = test::join(prod.get());
    {
        const test::leak_check leaks;
        const test::descriptor_shortage shortage(0);
        EXPECT_EQ(zbq_consumer_event_fd(joined.consumer.get()), ZBQ_ERROR_IO);
    }
    { // also of the first of two
        const test::leak_check leaks;
        const test::descriptor_shortage shortage(1);
        EXPECT_EQ(zbq_consumer_event_fd(joined.consumer.get()), ZBQ_ERROR_IO);
    }
    EXPECT_GE(zbq_consumer_event_fd(joined.consumer.get()), 0);
}

// Descriptors from a consumer: closing one can take as long as the consumer likes.
TEST(Refusal, DescriptorsTowardsTheProducer) {
    constexpr int passrights = 83; // SO_PASSRIGHTS
    const test::socket_pair probe = test::make_sockets();
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(probe.producer_end.get(), SOL_SOCKET, passrights, &value, &size) != 0) {
        GTEST_SKIP() << "this kernel cannot refuse descriptors (Linux 6.16)";
    }
    const auto prod = test::make_producer();
    const test::joined joined = test::join(prod.get());
    const char byte = 0;
    for (const unique_fd *end : {&joined.consumer->side, &joined.consumer->event}) {
        const int fd = end->get();
        EXPECT_EQ(zbq::core::send_record(fd, &byte, 1, &fd, 1), -EPERM);
        EXPECT_EQ(zbq::core::send_record(fd, &byte, 1, nullptr, 0), 1);
    }
}

// A producer that shuts the event socket and nothing else: no more will come.
TEST(EventJoin, AnAbandonedConsumerIsAtTheEnd) {
    test::pretender pretender;
    const test::consumer_ptr cons = pretender.join();
    ASSERT_GE(zbq_consumer_event_fd(cons.get()), 0);
    pretender.event().reset();
    std::string payload;
    while (test::read_one(cons.get(), &payload) ==
           ZBQ_ERROR_AGAIN) { // first the bell, then the end
    }
    EXPECT_EQ(test::read_one(cons.get(), &payload), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_consumer_ending(cons.get(), nullptr), ZBQ_ENDING_PRODUCER_DIED);
}

// Sleeps on the event descriptor for what the next look gives.
int wait_for_more(zbq_consumer *cons) {
    std::string payload;
    int result = ZBQ_ERROR_AGAIN;
    while (result == ZBQ_ERROR_AGAIN) {
        pollfd polled = {zbq_consumer_event_fd(cons), POLLIN, 0};
        EXPECT_EQ(poll(&polled, 1, -1), 1);
        result = test::read_one(cons, &payload);
    }
    return result;
}

TEST(EventDeath, TheProducersDeathIsAnEvent) {
    test::start_watchdog();
    const test::socket_pair sockets = test::make_sockets();
    test::child producer([&] {
        const auto prod = test::make_producer();
        uint32_t slot = 0;
        CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH,
                                           &slot) == ZBQ_OK);
        CHILD_CHECK(test::publish(prod.get(), "last words"));
        pause();
        return 0;
    });
    zbq_consumer *cons = nullptr;
    ASSERT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &cons), ZBQ_OK);
    const test::consumer_ptr owner(cons);
    ASSERT_GE(zbq_consumer_event_fd(cons), 0);
    std::string payload;
    while (test::read_one(cons, &payload) != ZBQ_OK) {
    }
    ASSERT_EQ(test::read_one(cons, &payload), ZBQ_ERROR_AGAIN);
    producer.kill();
    EXPECT_EQ(wait_for_more(cons), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_consumer_ending(cons, nullptr), ZBQ_ENDING_PRODUCER_DIED);
}

// A forked child of the producer has copies of its sockets: they do not hang up, and yet.
TEST(EventDeath, ThoughAForkedChildLivesOn) {
    test::start_watchdog();
    const test::socket_pair sockets = test::make_sockets();
    const test::step_pipe child_pid;
    test::child producer([&] {
        const auto prod = test::make_producer();
        uint32_t slot = 0;
        CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH,
                                           &slot) == ZBQ_OK);
        const pid_t heir = fork();
        if (heir == 0) {
            pause();
            _exit(0);
        }
        child_pid.send(static_cast<uint64_t>(heir));
        pause();
        return 0;
    });
    zbq_consumer *cons = nullptr;
    ASSERT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &cons), ZBQ_OK);
    const test::consumer_ptr owner(cons);
    ASSERT_GE(zbq_consumer_event_fd(cons), 0);
    const auto heir = static_cast<pid_t>(child_pid.receive());
    std::string payload;
    ASSERT_EQ(test::read_one(cons, &payload), ZBQ_ERROR_AGAIN);
    producer.kill();
    EXPECT_EQ(wait_for_more(cons), ZBQ_ERROR_NOENT);
    kill(heir, SIGKILL);
}

} // namespace
