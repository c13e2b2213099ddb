// SPDX-License-Identifier: MIT
//
// Consumers and producers that die, for real.
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/remote.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using test::page;

int sleep_for_ever(zbq_consumer * /*unused*/) {
    return pause();
}

TEST(ConsumerDeath, KilledIsEvictedAndTheRestGoesOn) {
    const auto prod = test::make_producer({.capacity = page});
    const test::leak_check leaks;
    test::remote_consumer victim(prod, ZBQ_WAKEUP_PUSH, sleep_for_ever);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod.get()).consumers, 1U);
    victim.process().kill();
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK); // one is enough
    EXPECT_EQ(test::info(prod.get(), victim.slot()).eviction, uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_TRUE(test::publish(prod.get(), std::string(page - 16, 'x')));
    EXPECT_TRUE(test::publish(prod.get(), std::string(page - 16, 'x')));
}

TEST(ConsumerDeath, KilledInTheMiddleOfAFullRingGivesTheRoomBack) {
    const auto prod = test::make_producer({.capacity = page});
    test::remote_consumer victim(prod, ZBQ_WAKEUP_PUSH, sleep_for_ever);
    test::fill(prod.get());
    victim.process().kill();
    EXPECT_TRUE(test::publish(prod.get(), "the failed attempt scans"));
}

TEST(ConsumerDeath, StoppedIsAliveUntilItHoldsTheRingBack) {
    const auto prod = test::make_producer({.capacity = page, .stall_timeout_ns = 5 * test::ms});
    test::step_pipe joined;
    test::remote_consumer victim(prod, ZBQ_WAKEUP_PUSH, [&](zbq_consumer *cons) {
        joined.send(1);
        std::string payload;
        int result = ZBQ_OK;
        while ((result = test::wait_and_read(cons, &payload)) == ZBQ_OK) {
        }
        CHILD_CHECK(result == ZBQ_ERROR_NOENT);
        return static_cast<int>(zbq_consumer_meta(cons)->eviction);
    });
    joined.receive();
    victim.process().stop();
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
        usleep(2000);
    }
    EXPECT_EQ(test::stats(prod.get()).evicted[0], 0U);
    test::fill(prod.get());
    EXPECT_EQ(test::scan_until_evicted(prod.get(), victim.slot()), uint32_t{ZBQ_EVICTION_STALLED});
    victim.process().signal(SIGCONT);
    EXPECT_EQ(victim.process().wait(), ZBQ_EVICTION_STALLED); // it learns why
}

// The side socket lives on in a grandchild: the pidfd is the second witness.
class HeldSocket : public testing::Test {
protected:
    HeldSocket() {
        announced_.receive();
        EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK); // reads the announcement
        EXPECT_EQ(test::info(prod_.get(), victim_.slot()).pid, victim_.process().pid());
        EXPECT_EQ(test::stats(prod_.get()).consumers, 1U);
    }
    ~HeldSocket() override { grandchild_.send(1); }

    test::producer_ptr prod_ =
        test::make_producer({.capacity = page, .clog_threshold = UINT64_MAX});
    test::step_pipe announced_;
    test::step_pipe grandchild_;
    test::remote_consumer victim_{prod_, ZBQ_WAKEUP_PUSH, [&](zbq_consumer * /*unused*/) {
                                      const pid_t holder = fork();
                                      if (holder == 0) {
                                          grandchild_.receive();
                                          _exit(0);
                                      }
                                      announced_.send(1);
                                      return pause();
                                  }};
};

TEST_F(HeldSocket, ProcessThatExitedIsDead) {
    victim_.process().kill();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod_.get(), victim_.slot()).eviction, uint32_t{ZBQ_EVICTION_DEAD});
}

// A producer that waits by its descriptor need not scan.
TEST_F(HeldSocket, ProcessThatExitedInTheWayIsFoundByTheNextAttempt) {
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0);
    test::fill(prod_.get());
    victim_.process().kill();
    zbq_contiguous_run run = {};
    EXPECT_EQ(zbq_producer_reserve(prod_.get(), 16, &run), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).scans, 1U);
}

TEST(ConsumerDeath, ZombieIsDead) {
    const auto prod = test::make_producer();
    test::step_pipe announced;
    test::remote_consumer victim(prod, ZBQ_WAKEUP_PUSH, [&](zbq_consumer * /*unused*/) {
        announced.send(1);
        return pause();
    });
    announced.receive();
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    victim.process().signal(SIGKILL);
    siginfo_t status = {};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(victim.process().pid()), &status, WEXITED | WNOWAIT),
              0);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::info(prod.get(), victim.slot()).eviction, uint32_t{ZBQ_EVICTION_DEAD});
}

// The connection's maker is not the consumer: a launcher may pass the socket on and exit.
TEST(ConsumerDeath, LauncherThatExitsIsNotTheConsumer) {
    const auto prod = test::make_producer();
    test::step_pipe steps;
    test::step_pipe done;
    test::socket_pair sockets = test::make_sockets();
    uint32_t slot = 0;
    ASSERT_EQ(
        zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot),
        ZBQ_OK);
    test::child launcher([&] {
        zbq_producer_destroy(prod.get());
        if (fork() != 0) {
            return 0;
        }
        test::start_watchdog();
        zbq_consumer *cons = nullptr;
        CHILD_CHECK(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &cons) ==
                    ZBQ_OK);
        steps.send(static_cast<uint64_t>(getpid()));
        done.receive();
        _exit(0);
    });
    const auto consumer_pid = static_cast<pid_t>(steps.receive());
    EXPECT_EQ(launcher.wait(), 0);
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    }
    EXPECT_EQ(test::stats(prod.get()).consumers, 1U);
    EXPECT_EQ(test::info(prod.get(), slot).pid, consumer_pid);
    done.send(1);
}

TEST(ConsumerDeath, SideSocketShutDownIsLeaving) {
    const auto prod = test::make_producer();
    test::joined joined = test::join(prod.get());
    zbq::core::slot &slot = prod->slots[joined.slot];
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    slot.process.reset(); // the socket alone has to tell
    joined.consumer.reset();
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod.get()).evicted[ZBQ_EVICTION_DEAD], 1U);
}

// ---- the producer ----

class ProducerDeath : public testing::Test {
protected:
    // A producer in a child that publishes some messages and waits to be killed.
    void start(int count) {
        producer_ = std::make_unique<test::child>([this, count] {
            const auto prod = test::make_producer();
            uint32_t slot = 0;
            CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets_.producer_end.get(),
                                               ZBQ_WAKEUP_PUSH, &slot) == ZBQ_OK);
            for (int i = 0; i < count; ++i) {
                CHILD_CHECK(test::publish(prod.get(), std::to_string(i)));
            }
            ready_.send(1);
            return pause();
        });
        zbq_consumer *cons = nullptr;
        ASSERT_EQ(zbq_consumer_join(sockets_.consumer_end.get(), ZBQ_WAKEUP_PUSH, &cons), ZBQ_OK);
        consumer_.reset(cons);
        ready_.receive();
    }

    test::step_pipe ready_;
    test::socket_pair sockets_ = test::make_sockets();
    std::unique_ptr<test::child> producer_;
    test::consumer_ptr consumer_;
};

TEST_F(ProducerDeath, AllThatWasCommittedIsReadAndThenTheEnd) {
    start(3);
    EXPECT_TRUE(zbq_consumer_is_producer_alive(consumer_.get()));
    producer_->kill();
    std::string payload;
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(test::wait_and_read(consumer_.get(), &payload), ZBQ_OK);
        EXPECT_EQ(payload, std::to_string(i));
    }
    EXPECT_EQ(test::read_one(consumer_.get(), &payload), ZBQ_ERROR_AGAIN); // not noticed yet
    EXPECT_EQ(test::wait_and_read(consumer_.get(), &payload), ZBQ_ERROR_NOENT);
    EXPECT_EQ(test::read_one(consumer_.get(), &payload), ZBQ_ERROR_NOENT); // noticed
    EXPECT_EQ(zbq_consumer_ctrl(consumer_.get())->closed, 0U);
    EXPECT_FALSE(zbq_consumer_is_producer_alive(consumer_.get()));
    EXPECT_TRUE(zbq_consumer_valid(consumer_.get()));
}

TEST_F(ProducerDeath, NoticedWhileThereIsSomethingToReadIsNoEnd) {
    start(1);
    producer_->kill();
    EXPECT_FALSE(zbq_consumer_is_producer_alive(consumer_.get()));
    const uint32_t token = zbq_consumer_get_futex_token(consumer_.get());
    EXPECT_EQ(zbq_consumer_wait_broadcast(consumer_.get(), token), ZBQ_OK);
    EXPECT_EQ(test::skip_all(consumer_.get()), 1);
    EXPECT_EQ(zbq_consumer_wait_broadcast(consumer_.get(), token), ZBQ_ERROR_NOENT);
}

TEST_F(ProducerDeath, DescriptorsNeverCome) {
    start(0);
    producer_->kill();
    sockets_.producer_end.reset();
    EXPECT_EQ(test::collect(consumer_.get(), 1).result, ZBQ_ERROR_NOENT);
}

TEST_F(ProducerDeath, IsNoticedByWhoSpinsForever) {
    start(0);
    producer_->kill();
    EXPECT_EQ(zbq_consumer_spin(consumer_.get(), UINT64_MAX), ZBQ_ERROR_NOENT);
}

// However short its spins are.
TEST_F(ProducerDeath, IsNoticedByWhoSpinsAgainAndAgain) {
    start(1);
    producer_->kill();
    EXPECT_EQ(zbq_consumer_spin(consumer_.get(), 0), ZBQ_OK);
    EXPECT_EQ(test::skip_all(consumer_.get()), 1);
    test::start_watchdog();
    while (zbq_consumer_spin(consumer_.get(), 0) == ZBQ_ERROR_AGAIN) {
    }
    EXPECT_EQ(zbq_consumer_spin(consumer_.get(), 0), ZBQ_ERROR_NOENT);
}

TEST_F(ProducerDeath, StoppedIsAlive) {
    start(0);
    producer_->stop();
    EXPECT_TRUE(zbq_consumer_is_producer_alive(consumer_.get()));
}

TEST_F(ProducerDeath, ZombieIsDead) {
    start(0);
    producer_->signal(SIGKILL);
    siginfo_t status = {};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(producer_->pid()), &status, WEXITED | WNOWAIT), 0);
    EXPECT_FALSE(zbq_consumer_is_producer_alive(consumer_.get()));
}

// Its sockets do not tell: a child has copies, as a fork at the wrong time would leave some.
TEST(DeathOfAParent, ShowsAtTheEventDescriptor) {
    test::socket_pair sockets = test::make_sockets();
    test::socket_pair life = test::make_sockets(); // the child's lasts as long as one end of it
    const test::step_pipe ready;
    test::child producer([&] {
        const auto prod = test::make_producer();
        uint32_t slot = 0;
        CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH,
                                           &slot) == ZBQ_OK);
        if (fork() == 0) {
            char byte = 0;
            life.producer_end.reset();
            _exit(static_cast<int>(read(life.consumer_end.get(), &byte, 1)));
        }
        ready.send(1);
        return pause();
    });
    zbq_consumer *joined = nullptr;
    ASSERT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &joined), ZBQ_OK);
    const test::consumer_ptr cons(joined);
    ready.receive();
    test::start_watchdog();
    pollfd polled = {zbq_consumer_event_fd(cons.get()), POLLIN, 0};
    for (int i = 0; i < 2; ++i) { // the second look is after the nap, which shows too
        ASSERT_EQ(poll(&polled, 1, -1), 1);
        ASSERT_EQ(zbq_consumer_look(cons.get()), ZBQ_ERROR_AGAIN);
    }
    producer.kill();
    EXPECT_EQ(poll(&polled, 1, -1), 1);
    EXPECT_EQ(zbq_consumer_look(cons.get()), ZBQ_ERROR_NOENT);
}

} // namespace
