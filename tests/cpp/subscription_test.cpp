// SPDX-License-Identifier: MIT
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <filesystem>
#include <optional>
#include <poll.h>
#include <string>
#include <vector>

namespace {

using test::bytes;
using test::text_of;
using zbq::flow;
using zbq::gap_cause;
using zbq::status;
using zbq::subscription;

// A publisher that comes and goes.
class Subscription : public testing::Test {
protected:
    struct publisher {
        explicit publisher(const std::string &name)
            : ring({.capacity = 1U << 16U, .stall_timeout = std::chrono::milliseconds(1)}),
              door(name) {}
        void publish(const std::string &text) {
            ASSERT_EQ(ring.publish(bytes(text), zbq::never), status::ok);
        }
        zbq::producer ring;
        zbq::listener door;
    };

    Subscription() { appear(); }
    void appear() { publisher_.emplace(name_); }

    // Serves until there is something to take.
    void wait_for(subscription &stream) {
        while (stream.wait(zbq::in(std::chrono::milliseconds(1))) != status::ok) {
            if (publisher_) {
                publisher_->door.serve(publisher_->ring);
            }
        }
    }
    std::string take(subscription &stream) {
        wait_for(stream);
        if (const std::optional<zbq::gap> missed = stream.take_gap()) {
            last_gap_ = *missed;
            return std::string("gap: ") + to_string(missed->cause);
        }
        const zbq::message next = stream.try_next();
        return next ? std::string(text_of(next.payload())) : "nothing";
    }
    void join(subscription &stream) {
        while (stream.reader() == nullptr) {
            publisher_->door.serve(publisher_->ring);
            EXPECT_EQ(stream.wait(zbq::in(std::chrono::milliseconds(1))), status::again);
        }
    }
    void evict() {
        const std::string large(20'000, 'x'); // four do not fit
        for (int i = 0; i < 4; ++i) {
            publisher_->publish(large);
        }
        ASSERT_EQ(publisher_->ring.statistics().evicted[0], 1U);
    }

    // More than goes into the ring.
    void publish_laps() {
        for (int i = 0; i < 300; ++i) {
            publisher_->publish(std::string(1000, '.'));
        }
    }

    std::string name_ = "@zbq-subscription-" + std::to_string(getpid());
    std::optional<publisher> publisher_;
    zbq::gap last_gap_;
};

TEST_F(Subscription, GivesMessages) {
    subscription stream(name_);
    join(stream);
    publisher_->publish("one");
    publisher_->publish("two");
    EXPECT_EQ(take(stream), "one");
    EXPECT_EQ(take(stream), "two");
    EXPECT_EQ(stream.joins(), 1U);
    EXPECT_EQ(stream.take_gap(), std::nullopt);
}

TEST_F(Subscription, GoesOnWhereItWasEvicted) {
    subscription stream(name_);
    join(stream);
    publisher_->publish("one");
    EXPECT_EQ(take(stream), "one");
    publisher_->publish("two");
    const std::uint64_t next = publisher_->ring.head() - 32;
    evict();
    EXPECT_EQ(take(stream), "gap: evicted");
    EXPECT_FALSE(last_gap_.at_least);
    EXPECT_EQ(last_gap_.bytes, stream.reader()->offset() - next);
    EXPECT_EQ(take(stream).size(), 20'000U);
}

TEST_F(Subscription, MissesNothingWhereHistoryHasIt) {
    subscription stream(name_);
    join(stream);
    publisher_->publish("one");
    EXPECT_EQ(take(stream), "one");
    publisher_->publish("two");
    test::cheat_tail(zbq_consumer_meta(stream.reader()->get()), 8);
    ASSERT_EQ(publisher_->ring.scan(), status::ok); // evicted, without a lap
    publisher_->publish("three");
    EXPECT_EQ(take(stream), "two");
    EXPECT_EQ(take(stream), "three");
    EXPECT_EQ(stream.joins(), 2U);
}

TEST_F(Subscription, GoesOnWhereItStarted) {
    publisher_->publish("before it came");
    subscription stream(name_);
    join(stream);
    test::cheat_tail(zbq_consumer_meta(stream.reader()->get()), 8);
    ASSERT_EQ(publisher_->ring.scan(), status::ok);
    publisher_->publish("one");
    EXPECT_EQ(take(stream), "one");
    EXPECT_EQ(stream.joins(), 2U);
}

TEST_F(Subscription, ReadsTheNextProducersRingFromItsStart) {
    subscription stream(name_);
    join(stream);
    publisher_->publish("one");
    publisher_.reset();
    appear();
    publisher_->publish("before it comes back");
    EXPECT_EQ(take(stream), "one");
    EXPECT_EQ(take(stream), "gap: producer restarted");
    EXPECT_EQ(last_gap_.bytes, 0U);
    EXPECT_FALSE(last_gap_.at_least);
    EXPECT_EQ(take(stream), "before it comes back");
    publisher_->publish("after");
    EXPECT_EQ(take(stream), "after");
}

TEST_F(Subscription, AnObserverIsToldOfLaps) {
    subscription stream(name_, {.flow = flow::follow});
    join(stream);
    publish_laps();
    EXPECT_EQ(take(stream), "gap: lapped");
    EXPECT_EQ(last_gap_.bytes,
              publisher_->ring.head() - std::uint64_t{300} * 1024 + stream.reader()->lost().bytes);
    EXPECT_EQ(take(stream).size(), 1000U);
}

// Also where it is not waited for.
TEST_F(Subscription, AGapComesBeforeTheMessageAfterIt) {
    subscription stream(name_, {.flow = flow::follow});
    join(stream);
    publish_laps();
    EXPECT_EQ(stream.try_next().why(), status::again); // finds it
    EXPECT_EQ(stream.try_next().why(), status::again);
    const std::optional<zbq::gap> missed = stream.take_gap();
    ASSERT_TRUE(missed);
    EXPECT_EQ(missed->cause, gap_cause::lapped);
    EXPECT_FALSE(stream.take_gap());
    const zbq::message next = stream.try_next();
    ASSERT_TRUE(next);
    EXPECT_EQ(next.offset(), missed->bytes);
}

TEST_F(Subscription, WhatWasLostOnTheWayToItsStartIsNoGap) {
    publish_laps();
    subscription stream(name_, {.flow = flow::follow, .from = zbq::start::last(50'000)});
    while (publisher_->ring.statistics().consumers == 0) {
        EXPECT_EQ(stream.wait(zbq::in(std::chrono::milliseconds(1))), status::again);
        publisher_->door.serve(publisher_->ring);
    }
    publish_laps();
    EXPECT_EQ(take(stream).size(), 1000U);
    EXPECT_EQ(stream.reader()->lost().times, 1U);
}

TEST_F(Subscription, GivesNothingInAForkedChild) {
    subscription before(name_);
    subscription after(name_);
    join(after);
    publisher_->publish("one");
    test::child forked([&] {
        for (subscription *each : {&before, &after}) {
            CHILD_CHECK(each->wait(zbq::never) == status::invalid);
            CHILD_CHECK(each->try_next().why() == status::invalid);
            CHILD_CHECK(!each->take_gap());
        }
        return 0;
    });
    EXPECT_EQ(forked.wait(), 0);
    EXPECT_EQ(take(after), "one");
    subscription moved = std::move(after);
    EXPECT_EQ(after.wait(zbq::never), status::invalid); // NOLINT(*use-after-move,*Move)
}

// A reservation of nearly all the ring, which is given up, leaves nothing to read.
TEST_F(Subscription, ALapIsToldBeforeARestart) {
    for (const bool waits : {false, true}) {
        subscription stream(name_, {.flow = flow::follow});
        join(stream);
        const std::uint64_t start = stream.reader()->offset();
        publisher_->publish("one");
        publisher_->publish("two");
        { const zbq::reservation all = publisher_->ring.try_reserve((1U << 16U) - 16); }
        publisher_.reset();
        if (waits) {
            EXPECT_EQ(stream.wait(zbq::now), status::ok);
        } else {
            EXPECT_FALSE(stream.try_next());
        }
        appear();
        publisher_->publish("next");
        for (int i = 0; i < 20; ++i) { // more than a join takes
            EXPECT_EQ(stream.wait(zbq::now), status::ok);
            publisher_->door.serve(publisher_->ring);
        }
        EXPECT_EQ(take(stream), "gap: lapped");
        EXPECT_EQ(last_gap_.bytes, 64U) << start;
        EXPECT_EQ(take(stream), "gap: producer restarted");
        EXPECT_EQ(take(stream), "next");
    }
}

TEST_F(Subscription, ALapIsToldOnceWhereAnEvictionFollows) {
    subscription stream(name_, {.flow = flow::follow});
    join(stream);
    publish_laps();
    EXPECT_EQ(take(stream), "gap: lapped");
    const std::uint64_t told = last_gap_.bytes;
    // As the producer does.
    zbq_consumer_meta(stream.reader()->get())->eviction = ZBQ_EVICTION_DEAR;
    wait_for(stream);
    EXPECT_FALSE(stream.take_gap());
    const zbq::message next = stream.try_next();
    ASSERT_TRUE(next);
    EXPECT_EQ(next.offset(), told);
    EXPECT_EQ(stream.joins(), 2U);
}

// Nothing rings in pull mode.
TEST_F(Subscription, GoesOnAfterAProducerThatWasKilled) {
    publisher_.reset();
    for (const zbq::wakeup mode : {zbq::wakeup::push, zbq::wakeup::pull}) {
        test::child killed([&] {
            appear();
            zbq::producer &ring = publisher_->ring;
            ring.attach(publisher_->door);
            (void)ring.serve_until(zbq::never, [&] { return ring.statistics().consumers != 0; });
            publisher_->publish("last words");
            return pause();
        });
        subscription stream(name_, {.mode = mode});
        EXPECT_EQ(take(stream), "last words");
        killed.kill();
        appear();
        publisher_->publish("next");
        EXPECT_EQ(take(stream), "gap: producer restarted");
        EXPECT_EQ(take(stream), "next");
        publisher_.reset();
    }
}

TEST_F(Subscription, NobodyKnowsHowMuchOfAnEndedRingItHasMissed) {
    subscription stream(name_);
    join(stream);
    publisher_->publish("one");
    EXPECT_EQ(take(stream), "one");
    evict();
    publisher_.reset();
    appear();
    publisher_->publish("before it comes back");
    EXPECT_EQ(take(stream), "gap: producer restarted");
    EXPECT_EQ(last_gap_.bytes, 0U);
    EXPECT_TRUE(last_gap_.at_least);
    EXPECT_EQ(take(stream), "before it comes back");
}

TEST_F(Subscription, OfAnotherRingsHistoryNobodyKnowsEither) {
    zbq::ring_id other = publisher_->ring.id();
    other[0] ^= 1U;
    publisher_->publish("one");
    subscription stream(name_, {.from = zbq::start::at(other, 4096)});
    EXPECT_EQ(take(stream), "gap: history gone");
    EXPECT_EQ(last_gap_.bytes, 0U);
    EXPECT_TRUE(last_gap_.at_least);
    EXPECT_EQ(take(stream), "one");
}

TEST_F(Subscription, StartsWhereItIsToWithoutAGap) {
    publisher_->publish("one");
    const std::uint64_t second = publisher_->ring.head();
    publisher_->publish("two");
    for (const zbq::ring_id &of : {publisher_->ring.id(), zbq::whichever_ring}) {
        subscription stream(name_, {.from = zbq::start::at(of, second)});
        EXPECT_EQ(take(stream), "two");
    }
}

TEST_F(Subscription, OneThatWantsTheNewestIsNotToldOfWhatItSkips) {
    subscription stream(name_, {.flow = flow::newest});
    join(stream);
    publish_laps();
    publisher_->publish("newest");
    EXPECT_EQ(take(stream), "newest");
}

TEST_F(Subscription, IsToldOfHistoryThatIsGone) {
    publish_laps();
    subscription stream(name_, {.from = zbq::start::at(publisher_->ring.id(), 0)});
    EXPECT_EQ(take(stream), "gap: history gone");
    EXPECT_EQ(last_gap_.bytes, stream.reader()->offset());
    EXPECT_EQ(take(stream).size(), 1000U);
}

TEST_F(Subscription, ItsDescriptorTellsOfAllOfIt) {
    subscription stream(name_);
    pollfd polled = {stream.event_fd(), POLLIN, 0};
    // As an event loop would: nothing but what the descriptor tells leads to a step.
    const auto step = [&] {
        while (poll(&polled, 1, 0) == 0) {
            publisher_->door.serve(publisher_->ring);
        }
        return stream.wait(zbq::now);
    };
    while (stream.reader() == nullptr) {
        (void)step();
    }
    publisher_->publish("one");
    while (step() != status::ok) {
    }
    EXPECT_EQ(take(stream), "one");
    evict();
    while (stream.joins() != 2) {
        (void)step();
    }
    EXPECT_EQ(take(stream), "gap: evicted");
}

// A message that is held keeps the descriptors of the reader that it came from.
TEST_F(Subscription, ItsDescriptorTellsOfNothingThatIsOver) {
    subscription stream(name_);
    join(stream);
    publisher_->publish("one");
    wait_for(stream);
    const zbq::message held = stream.try_next();
    ASSERT_TRUE(held);
    evict();
    while (stream.joins() != 2) {
        publisher_->door.serve(publisher_->ring);
        (void)stream.wait(zbq::in(std::chrono::milliseconds(1)));
    }
    while (stream.take_gap() || stream.try_next()) {
    }
    // Whatever there was to do at first; then nothing is.
    pollfd polled = {stream.event_fd(), POLLIN, 0};
    bool quiet = false;
    for (int i = 0; i < 100 && !quiet; ++i) {
        (void)stream.try_next();
        quiet = poll(&polled, 1, 100) == 0;
    }
    EXPECT_TRUE(quiet);
}

} // namespace
