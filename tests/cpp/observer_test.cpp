// SPDX-License-Identifier: MIT
//
// Flows, history and retained messages of the C++ interface.
#include "support/descriptors.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <optional>
#include <string>
#include <vector>

namespace {

using test::bytes;
using test::join;
using test::text_of;
using zbq::flow;
using zbq::start;
using zbq::status;
using zbq::wakeup;

class Observer : public testing::Test {
protected:
    void publish(const std::string &text) { ASSERT_EQ(ring_.try_publish(bytes(text)), status::ok); }
    // More than goes into the ring.
    void publish_laps() {
        for (int i = 0; i < 300; ++i) {
            publish(std::to_string(i) + std::string(1000, '.'));
        }
    }
    static std::optional<std::string> text_in(zbq::consumer &reader) {
        const zbq::message next = reader.try_next();
        return next ? std::optional(std::string(text_of(next.payload()))) : std::nullopt;
    }

    zbq::producer ring_{{.capacity = 1U << 16U}};
};

TEST_F(Observer, FollowGivesAllThatIsThere) {
    zbq::consumer reader = join(ring_, wakeup::push, flow::follow);
    publish("one");
    publish("two");
    EXPECT_EQ(reader.wait(zbq::now), status::ok);
    EXPECT_EQ(text_in(reader), "one");
    EXPECT_EQ(text_in(reader), "two");
    EXPECT_EQ(text_in(reader), std::nullopt);
    EXPECT_EQ(reader.wait(zbq::now), status::again);
    EXPECT_EQ(reader.lost().times, 0U);
}

TEST_F(Observer, FollowIsToldWhatItMissed) {
    zbq::consumer reader = join(ring_, wakeup::pull, flow::follow);
    publish_laps();
    const zbq::message first = reader.try_next();
    ASSERT_TRUE(first);
    EXPECT_TRUE(first.intact());
    EXPECT_EQ(reader.lost().bytes, first.offset());
    EXPECT_EQ(reader.lost().times, 1U);
    publish_laps();
    EXPECT_FALSE(first.intact()); // written over since
}

TEST_F(Observer, NewestSkipsTheRest) {
    zbq::consumer reader = join(ring_, wakeup::push, flow::newest);
    EXPECT_EQ(text_in(reader), std::nullopt);
    publish("one");
    publish("two");
    EXPECT_EQ(text_in(reader), "two");
    EXPECT_EQ(text_in(reader), std::nullopt);
    publish_laps();
    publish("three");
    EXPECT_EQ(text_in(reader), "three");
    publish("four");
    publish("five");
    std::vector<std::byte> copy;
    ASSERT_TRUE(reader.try_copy(copy));
    EXPECT_EQ(text_of(copy), "five");
    publish("six");
    publish("seven");
    zbq::message_batch batch = reader.take_batch();
    std::vector<std::string> all;
    for (const zbq::message_view &each : batch) {
        all.emplace_back(text_of(each.payload()));
        EXPECT_TRUE(batch.intact(each));
    }
    EXPECT_EQ(all, std::vector<std::string>{"seven"});
}

TEST_F(Observer, ABatchGoesOnWhereItIsLapped) {
    zbq::consumer reader = join(ring_, wakeup::pull, flow::follow);
    publish("one");
    publish("two");
    zbq::message_batch batch = reader.take_batch();
    auto each = batch.begin();
    EXPECT_TRUE(batch.intact());
    publish_laps();
    EXPECT_FALSE(batch.intact());
    EXPECT_FALSE(batch.intact(*each));
    while (++each != std::default_sentinel) {
        EXPECT_TRUE(batch.intact(*each));
    }
    EXPECT_FALSE(batch.intact());
    EXPECT_GT(batch.visited(), 1U);
}

TEST_F(Observer, ABatchStartsWhereItIsWhole) {
    for (const flow how : {flow::follow, flow::newest}) {
        zbq::consumer reader = join(ring_, wakeup::pull, how);
        publish("one");
        EXPECT_EQ(reader.wait(zbq::now), status::ok); // it knows of it
        publish_laps();
        zbq::message_batch batch = reader.take_batch();
        for (const zbq::message_view &each : batch) {
            EXPECT_TRUE(batch.intact(each));
        }
        EXPECT_GE(batch.visited(), 1U);
        EXPECT_TRUE(batch.intact());
    }
}

TEST_F(Observer, ALapIsNotTheEnd) {
    zbq::consumer reader = join(ring_, wakeup::pull, flow::follow);
    publish("one");
    EXPECT_EQ(reader.wait(zbq::now), status::ok);
    publish_laps();
    EXPECT_EQ(reader.wait(zbq::now), status::ok);
    EXPECT_TRUE(reader.try_next().intact());
}

TEST_F(Observer, CopiesWhatFits) {
    for (const flow how : {flow::lossless, flow::follow}) {
        zbq::consumer reader = join(ring_, wakeup::pull, how);
        publish("hello");
        std::byte room[5] = {};
        zbq::copied got = reader.try_copy(std::span(room).first(4));
        EXPECT_EQ(got.why, status::too_large);
        EXPECT_EQ(got.size, 5U);
        got = reader.try_copy(room);
        ASSERT_TRUE(got);
        EXPECT_EQ(text_of(room), "hello");
        EXPECT_EQ(reader.try_copy(room).why, status::again);
        std::vector<std::byte> grown(100);
        publish("hi");
        ASSERT_TRUE(reader.try_copy(grown));
        EXPECT_EQ(text_of(grown), "hi");
        EXPECT_FALSE(reader.try_copy(grown));
        EXPECT_TRUE(grown.empty());
        zbq::consumer gone = std::move(reader);
        EXPECT_EQ(reader.try_copy(room).why, status::invalid); // NOLINT(bugprone-use-after-move)
    }
}

TEST_F(Observer, ACopyLeavesWhatIsHeld) {
    zbq::consumer reader = join(ring_);
    publish("held");
    publish("copied");
    publish("next");
    zbq::message held = reader.try_next();
    std::vector<std::byte> copy;
    ASSERT_TRUE(reader.try_copy(copy));
    EXPECT_EQ(text_of(copy), "copied");
    EXPECT_EQ(zbq_consumer_tail(reader.get()), 0U);
    EXPECT_EQ(text_of(held.payload()), "held");
    held.release();
    EXPECT_EQ(zbq_consumer_tail(reader.get()), reader.offset());
    ASSERT_TRUE(reader.try_copy(copy));
    EXPECT_EQ(zbq_consumer_tail(reader.get()), ring_.head());
}

TEST_F(Observer, ReadsWhatMayBeTornAndUsesWhatWasWhole) {
    zbq::consumer reader = join(ring_, wakeup::pull, flow::follow);
    publish("old");
    int calls = 0;
    std::string used;
    const auto extract = [&](std::span<const std::byte> payload) {
        if (++calls == 1) {
            publish_laps(); // while it reads
        }
        return std::string(text_of(payload));
    };
    ASSERT_EQ(reader.try_read(extract, [&](std::string found) { used = std::move(found); }),
              status::ok);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(used.size(), std::to_string(299).size() + 1000U);
    EXPECT_EQ(reader.try_read(
                  [&](std::span<const std::byte> /*payload*/) {
                      publish_laps(); // again and again
                      return 0;
                  },
                  [](int /*found*/) { FAIL(); }),
              status::again);
    while (text_in(reader)) {
    }
    EXPECT_EQ(reader.try_read(extract, [](const std::string & /*found*/) {}), status::again);
}

// What its header says of descriptors may be anything.
TEST_F(Observer, AMessageThatWasLappedLeavesTheDescriptorsOfOthers) {
    const test::unique_fd treasure = test::numbered(42);
    const int fds[] = {treasure.get()};
    for (const bool takes : {false, true}) {
        zbq::consumer reader = join(ring_, wakeup::push, flow::follow);
        publish("one");
        zbq::message lapped = reader.try_next();
        for (int i = 0; i < 200; ++i) {
            publish(std::string(1000, '\xff'));
        }
        ASSERT_EQ(ring_.publish(bytes("later"), fds, zbq::now), status::ok);
        ASSERT_EQ(lapped.descriptor_count(), 255U);
        EXPECT_TRUE(!takes || lapped.take_descriptors(zbq::now).empty());
        lapped.release();
        zbq::message later;
        while (zbq::message next = reader.try_next()) {
            later = std::move(next);
        }
        const zbq::descriptors got = later.take_descriptors(zbq::now);
        ASSERT_EQ(got.size(), 1U);
        EXPECT_EQ(test::number_of(got[0]), 42U);
    }
}

TEST_F(Observer, StartsInThePast) {
    publish("one");
    const std::uint64_t second = ring_.head();
    publish("two");
    zbq::consumer oldest = join(ring_, wakeup::push, flow::lossless, start::oldest());
    EXPECT_EQ(oldest.offset(), 0U);
    EXPECT_EQ(text_in(oldest), "one");
    zbq::consumer at = join(ring_, wakeup::pull, flow::follow, start::at(ring_.id(), second));
    EXPECT_EQ(at.offset(), 0U); // the last one before it that the producer knows
    EXPECT_EQ(at.id(), ring_.id());
    EXPECT_EQ(test::thrown_by([&] {
                  join(ring_, wakeup::pull, flow::follow, start::at(ring_.id(), second + 64));
              }),
              status::invalid);
}

TEST_F(Observer, WaitsForWhatIsReleased) {
    zbq::consumer reader = join(ring_);
    const zbq::consumer observing = join(ring_, wakeup::pull, flow::follow);
    publish("one");
    EXPECT_EQ(ring_.released(ring_.head()), status::again);
    EXPECT_EQ(ring_.wait_released(ring_.head(), zbq::now), status::again);
    EXPECT_EQ(ring_.released(ring_.head() + 16), status::invalid);
    EXPECT_EQ(text_in(reader), "one");
    EXPECT_EQ(ring_.wait_released(ring_.head(), zbq::never), status::ok);
    const zbq::reservation open = ring_.try_reserve(8);
    EXPECT_EQ(open.offset(), ring_.head());
}

TEST_F(Observer, ToRetainMakesAReservationVoid) {
    zbq::reservation room = ring_.try_reserve(5);
    const std::vector<std::byte> huge(std::size_t{16} << 20U);
    EXPECT_EQ(ring_.retain(3, huge, zbq::now), status::too_large);
    EXPECT_FALSE(room); // whether or not it came to anything
    EXPECT_EQ(room.commit(), status::invalid);
}

TEST_F(Observer, RetainedMessagesComeFirst) {
    const test::unique_fd treasure = test::numbered(42);
    const int fds[] = {treasure.get()};
    zbq::consumer before = join(ring_);
    publish("one");
    zbq::reservation open = ring_.try_reserve(8);
    ASSERT_EQ(ring_.retain(3, bytes("three"), zbq::now), status::ok);
    EXPECT_FALSE(open); // void
    ASSERT_EQ(ring_.retain(4, bytes("four"), fds, zbq::now), status::ok);
    publish("two");
    ASSERT_EQ(ring_.forget(3, zbq::now), status::ok);
    EXPECT_EQ(ring_.forget(3, zbq::now), status::none);
    zbq::consumer late = join(ring_);
    int count = 0;
    for (const zbq::message_view &each : late.retained()) {
        EXPECT_EQ(text_of(each.payload()), "four");
        EXPECT_EQ(each.key(), 4);
        const zbq::descriptors got = late.take_descriptors(each);
        ASSERT_EQ(got.size(), 1U);
        EXPECT_EQ(test::number_of(got[0]), 42U);
        ++count;
    }
    EXPECT_EQ(count, 1);
    EXPECT_EQ(before.retained().begin(), before.retained().end());
    std::string told;
    for (const zbq::message_view &each : before.take_batch()) {
        told += std::to_string(each.key()) + (each.is_forgotten() ? "!" : "") + " ";
    }
    EXPECT_EQ(told, "0 3 4 0 3! ");
}

} // namespace
