// SPDX-License-Identifier: MIT
#include "atomics.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <fcntl.h>
#include <iterator>
#include <optional>
#include <poll.h>
#include <ranges>
#include <thread>
#include <vector>

namespace {

static_assert(std::input_iterator<zbq::message_batch::iterator>);
static_assert(std::ranges::input_range<zbq::message_batch>);

using test::bytes;
using test::join;
using test::text_of;
using test::thrown_by;
using zbq::status;

class Consumer : public testing::Test {
protected:
    void publish(std::string_view text) { ASSERT_EQ(ring_.try_publish(bytes(text)), status::ok); }
    std::uint64_t slowest() { return ring_.statistics().slowest_tail; }
    void evict() {
        test::cheat_tail(zbq_consumer_meta(reader_.get()), 8);
        ASSERT_EQ(ring_.scan(), status::ok);
    }

    zbq::producer ring_;
    zbq::consumer reader_ = join(ring_);
};

TEST(ConsumerSetUp, Errors) {
    EXPECT_EQ(thrown_by([] { const zbq::consumer none(-1); }), status::invalid);
    test::socket_pair sockets = test::make_sockets();
    sockets.producer_end.reset();
    EXPECT_EQ(thrown_by([&] { const zbq::consumer gone(sockets.consumer_end.get()); }), status::io);
    zbq::producer ring;
    sockets = test::make_sockets();
    ring.admit(sockets.producer_end.get(), zbq::wakeup::pull);
    EXPECT_EQ(thrown_by([&] { const zbq::consumer other(sockets.consumer_end.get()); }),
              status::protocol);
}

TEST_F(Consumer, NothingYet) {
    const zbq::message message = reader_.try_next();
    EXPECT_FALSE(message);
    EXPECT_EQ(message.why(), status::again);
    EXPECT_TRUE(message.payload().empty());
    EXPECT_FALSE(message.intact());
}

TEST_F(Consumer, AMessageHoldsItsRoomUntilItGoes) {
    publish("one");
    publish("two");
    std::optional<zbq::message> one = reader_.try_next();
    std::optional<zbq::message> two = reader_.try_next();
    EXPECT_EQ(text_of(one->payload()), "one");
    EXPECT_EQ(text_of(two->payload()), "two");
    EXPECT_EQ(two->offset(), 32U);
    EXPECT_TRUE(one->intact());
    EXPECT_EQ(slowest(), 0U);
    one.reset();
    EXPECT_EQ(slowest(), 32U);
    two.reset();
    EXPECT_EQ(slowest(), 64U);
}

TEST_F(Consumer, LetGoOutOfOrder) {
    for (const char *text : {"1", "2", "3", "4"}) {
        publish(text);
    }
    std::optional<zbq::message> held[4];
    for (auto &message : held) {
        message = reader_.try_next();
    }
    held[1].reset();
    EXPECT_EQ(slowest(), 0U);
    held[0].reset();
    EXPECT_GE(slowest(), 32U);
    EXPECT_LE(slowest(), 64U);
    EXPECT_EQ(text_of(held[2]->payload()), "3");
    held[3].reset();
    EXPECT_LE(slowest(), 64U);
    held[2].reset();
    EXPECT_EQ(slowest(), 128U);
}

TEST_F(Consumer, AMessageMoves) {
    publish("one");
    publish("two");
    zbq::message first = reader_.try_next();
    zbq::message second = std::move(first);
    EXPECT_FALSE(first);                     // NOLINT(*use-after-move,*Move): that is the question
    EXPECT_EQ(first.why(), status::invalid); // NOLINT(*Move): and this
    EXPECT_EQ(text_of(second.payload()), "one");
    second = reader_.try_next(); // lets go of "one"
    EXPECT_EQ(slowest(), 32U);
    EXPECT_EQ(text_of(second.payload()), "two");
    second.release();
    EXPECT_FALSE(second);
    EXPECT_EQ(slowest(), 64U);
    second.release(); // once
}

// ---- batches ----

TEST_F(Consumer, ABatchReleasesOnce) {
    for (const char *text : {"1", "2", "3"}) {
        publish(text);
    }
    std::string all;
    {
        zbq::message_batch batch = reader_.take_batch();
        for (const zbq::message_view &message : batch) {
            all += text_of(message.payload());
            EXPECT_EQ(slowest(), 0U);
        }
        EXPECT_EQ(batch.visited(), 3U);
        EXPECT_EQ(batch.why(), status::ok);
        EXPECT_TRUE(batch.intact());
    }
    EXPECT_EQ(all, "123");
    EXPECT_EQ(slowest(), 96U);
}

TEST_F(Consumer, WhatWasNotVisitedStays) {
    for (const char *text : {"1", "2", "3"}) {
        publish(text);
    }
    for (const zbq::message_view &message : reader_.take_batch()) {
        if (text_of(message.payload()) == "2") {
            break;
        }
    }
    EXPECT_EQ(slowest(), 64U);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "3");
}

TEST_F(Consumer, AtMostSoMany) {
    for (const char *text : {"1", "2", "3"}) {
        publish(text);
    }
    std::string all;
    for (const zbq::message_view &message : reader_.take_batch(2)) {
        all += text_of(message.payload());
    }
    EXPECT_EQ(all, "12");
    for (const zbq::message_view &message : reader_.take_batch(0)) {
        all += text_of(message.payload());
    }
    EXPECT_EQ(all, "12");
}

TEST_F(Consumer, ABatchEndsAtWhatWasThere) {
    publish("1");
    int visited = 0;
    for (const zbq::message_view &message : reader_.take_batch()) {
        EXPECT_FALSE(message.payload().empty());
        publish("more"); // for ever, if it went on
        ++visited;
    }
    EXPECT_EQ(visited, 1);
}

// So that the producer gets room back while a long backlog is read.
TEST_F(Consumer, ABatchIsASixteenthOfTheRing) {
    const std::uint64_t sixteenth = reader_.capacity() / 16;
    const std::uint64_t message_size = zbq::producer::size_of(100);
    const std::uint64_t published = sixteenth / message_size * 3;
    for (std::uint64_t i = 0; i < published; ++i) {
        publish(std::string(100, 'x'));
    }
    std::uint64_t visited = 0;
    for (const zbq::message_view &message : reader_.take_batch()) {
        visited += message.payload().size() / 100;
    }
    EXPECT_EQ(visited, (sixteenth + message_size - 1) / message_size);
    EXPECT_EQ(slowest(), visited * message_size);
}

TEST_F(Consumer, AnEmptyBatchSaysWhy) {
    const auto why = [this] {
        zbq::message_batch batch = reader_.take_batch();
        for (const zbq::message_view &message : batch) {
            ADD_FAILURE() << message.offset();
        }
        return batch.why();
    };
    EXPECT_EQ(why(), status::again);
    ring_ = zbq::producer();
    EXPECT_EQ(why(), status::none);
}

TEST_F(Consumer, ABatchBesideAMessage) {
    publish("1");
    publish("2");
    zbq::message held = reader_.try_next();
    for (const zbq::message_view &message : reader_.take_batch()) {
        EXPECT_EQ(text_of(message.payload()), "2");
    }
    EXPECT_EQ(slowest(), 0U);
    held.release();
    EXPECT_EQ(slowest(), 64U);
}

TEST_F(Consumer, ABatchReleasesNothingThatAnotherHolds) {
    for (const char *text : {"1", "2", "3"}) {
        publish(text);
    }
    zbq::message held;
    {
        zbq::message_batch batch = reader_.take_batch();
        auto at = batch.begin();
        held = reader_.try_next();
        ++at;
        EXPECT_EQ(at, batch.end());
        EXPECT_EQ(batch.why(), status::ok);
    }
    EXPECT_EQ(slowest(), 32U);
    EXPECT_EQ(text_of(held.payload()), "2");
    held.release();
    EXPECT_EQ(slowest(), 64U);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "3");
}

// Two at a time, each let go after the next was: something is always held.
TEST_F(Consumer, AWindowOfTwoGivesBackRoom) {
    publish("0");
    zbq::message older = reader_.try_next();
    for (std::uint64_t i = 1; i < 20; ++i) {
        publish("x");
        publish("x");
        zbq::message newer = reader_.try_next();
        zbq::message newest = reader_.try_next();
        newer.release();
        older = std::move(newest);
        EXPECT_EQ(slowest(), 64 * i);
    }
}

// ---- descriptors ----

TEST_F(Consumer, WhatIsNotTakenIsClosed) {
    const auto files = test::numbered_list(2);
    const test::leak_check leaks;
    for (int i = 0; i < 600; ++i) { // more than may be in flight
        ASSERT_EQ(ring_.publish(bytes("x"), test::plain(files), zbq::now), status::ok);
        EXPECT_TRUE(reader_.try_next());
    }
}

TEST_F(Consumer, ALaterMessageThatGoesLeavesThoseOfAnEarlierOne) {
    const auto files = test::numbered_list(1);
    const test::leak_check leaks;
    ASSERT_EQ(ring_.publish(bytes("1"), test::plain(files), zbq::now), status::ok);
    ASSERT_EQ(ring_.publish(bytes("2"), test::plain(files), zbq::now), status::ok);
    zbq::message earlier = reader_.try_next();
    reader_.try_next().release();
    const zbq::descriptors got = earlier.take_descriptors();
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(test::number_of(got[0]), test::number_of(files[0].get()));
}

TEST_F(Consumer, DescriptorsAreOwned) {
    const auto files = test::numbered_list(2);
    const test::leak_check leaks;
    ASSERT_EQ(ring_.publish(bytes("x"), test::plain(files), zbq::now), status::ok);
    zbq::message message = reader_.try_next();
    zbq::descriptors got = message.take_descriptors();
    ASSERT_EQ(got.size(), 2U);
    EXPECT_EQ(std::distance(got.begin(), got.end()), 2);
    const zbq::unique_fd second = got.take(1);
    EXPECT_EQ(test::number_of(second.get()), test::number_of(files[1].get()));
    EXPECT_EQ(got[1], -1);
    EXPECT_FALSE(got.take(1));
    EXPECT_EQ(got[2], -1);
    EXPECT_FALSE(got.take(2));
    zbq::descriptors moved = std::move(got);
    EXPECT_TRUE(got.empty()); // NOLINT(*use-after-move,*Move): that is the question
    EXPECT_EQ(test::number_of(moved[0]), test::number_of(files[0].get()));
    EXPECT_EQ(message.take_descriptors().why(), status::none); // once
}

TEST_F(Consumer, InABatch) {
    const auto files = test::numbered_list(2);
    for (const auto &file : files) {
        const int fd = file.get();
        ASSERT_EQ(ring_.publish({}, std::span(&fd, 1), zbq::now), status::ok);
    }
    publish("none with this");
    zbq::message_batch batch = reader_.take_batch();
    std::vector<std::uint64_t> numbers;
    for (const zbq::message_view &message : batch) {
        const zbq::descriptors got = batch.take_descriptors();
        EXPECT_TRUE(got);
        EXPECT_EQ(got.size(), message.descriptor_count());
        for (const int fd : got) {
            numbers.push_back(test::number_of(fd));
        }
    }
    EXPECT_EQ(numbers,
              (std::vector{test::number_of(files[0].get()), test::number_of(files[1].get())}));
}

TEST_F(Consumer, PullModeGetsNone) {
    zbq::consumer pull = join(ring_, zbq::wakeup::pull);
    const auto files = test::numbered_list(1);
    ASSERT_EQ(ring_.publish({}, test::plain(files), zbq::now), status::ok);
    zbq::message message = pull.try_next();
    EXPECT_EQ(message.descriptor_count(), 1U);
    EXPECT_EQ(message.take_descriptors().why(), status::none);
    EXPECT_EQ(thrown_by([&] { static_cast<void>(pull.event_fd()); }), status::invalid);
}

TEST_F(Consumer, ACopyTellsWhatCameWithIt) {
    const auto files = test::numbered_list(2);
    std::vector<std::byte> copy;
    ASSERT_EQ(ring_.publish(bytes("x"), test::plain(files), zbq::now), status::ok);
    ASSERT_EQ(ring_.retain(7, bytes("kept"), zbq::now), status::ok);
    ASSERT_EQ(ring_.forget(7, zbq::now), status::ok);
    const zbq::copied first = reader_.try_copy(copy);
    EXPECT_EQ(first.descriptors, 2U);
    EXPECT_EQ(first.key, 0U);
    const zbq::copied second = reader_.try_copy(copy);
    EXPECT_EQ(second.descriptors, 0U);
    EXPECT_EQ(second.key, 7U);
    EXPECT_FALSE(second.forgotten);
    const zbq::copied third = reader_.try_copy(copy);
    EXPECT_EQ(third.key, 7U);
    EXPECT_TRUE(third.forgotten);
}

// The C interface may commit first; the record comes later, or never.
TEST_F(Consumer, DescriptorsThatNobodyTakesDoNotPileUp) {
    const auto files = test::numbered_list(2);
    std::vector<std::byte> copy;
    for (const bool copies : {false, true}) {
        ASSERT_EQ(ring_.publish(bytes("x"), test::plain(files), zbq::now), status::ok);
        publish("none with this");
        if (copies) {
            ASSERT_TRUE(reader_.try_copy(copy));
        } else {
            zbq::message_batch batch = reader_.take_batch();
            EXPECT_EQ(std::ranges::distance(batch), 2);
        }
        zbq_consumer_info info = {};
        ASSERT_EQ(ring_.consumer_info(0, info), status::ok);
        EXPECT_EQ(info.fds_in_flight, 0U) << copies;
    }
}

// In whichever order what has them goes.
TEST_F(Consumer, DescriptorsOfWhatGoesOutOfOrderAreClosed) {
    const auto files = test::numbered_list(2);
    std::vector<std::byte> copy;
    const auto in_flight = [&] {
        zbq_consumer_info info = {};
        EXPECT_EQ(ring_.consumer_info(0, info), status::ok);
        return info.fds_in_flight;
    };
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(ring_.publish(bytes("x"), test::plain(files), zbq::now), status::ok);
    }
    zbq::message oldest = reader_.try_next();
    zbq::message second = reader_.try_next();
    second.release();
    ASSERT_TRUE(reader_.try_copy(copy));
    for (const zbq::message_view &each : reader_.take_batch()) {
        EXPECT_EQ(each.descriptor_count(), 2U);
    }
    zbq::descriptors got = oldest.take_descriptors();
    ASSERT_EQ(got.size(), 2U); // it is held
    EXPECT_EQ(test::number_of(got[0]), test::number_of(files[0].get()));
    EXPECT_EQ(in_flight(), 8U);
    oldest.release();
    EXPECT_EQ(in_flight(), 0U);
}

// Which may move where the next message is by a ring's length.
TEST(ConsumerOfASmallRing, LooksAtTheHeadInTheMidstOfABatch) {
    zbq::producer ring({.capacity = 4096});
    zbq::consumer reader = join(ring);
    std::uint64_t published = 0;
    std::uint64_t number = 0;
    const auto publish = [&](int count) {
        for (; count > 0; --count) {
            ASSERT_EQ(ring.try_publish(bytes(std::to_string(published++) + std::string(40, '.'))),
                      status::ok);
        }
    };
    const auto check = [&](const zbq::message_view &each) {
        const std::string expected = std::to_string(number++) + std::string(40, '.');
        EXPECT_EQ(text_of(each.payload()), expected);
    };
    const auto read = [&](int count) {
        for (; count > 0; --count) {
            const zbq::message each = reader.try_next();
            ASSERT_TRUE(each);
            check(each);
        }
    };
    for (int first = 1; first < 64; ++first) { // of 64 that go into the ring
        publish(first);
        read(first);
        publish(64);
        read(32);
        publish(32);
        int count = 0;
        for (const zbq::message_view &each : reader.take_batch()) {
            check(each);
            if (count++ == 0) {
                EXPECT_GT(reader.lag(), 0U);
            }
        }
        read(64 - count);
        ASSERT_EQ(number, published);
    }
}

TEST_F(Consumer, WaitsForDescriptors) {
    test::start_watchdog();
    zbq_producer *prod = ring_.get();
    ASSERT_TRUE(test::publish(prod, "x", 1, 1));
    zbq::message message = reader_.try_next();
    EXPECT_EQ(message.take_descriptors().why(), status::again);
    EXPECT_EQ(message.take_descriptors(zbq::in(std::chrono::milliseconds(1))).why(), status::again);
    std::thread sender([prod] { EXPECT_EQ(test::broadcast(prod, 1), ZBQ_OK); });
    EXPECT_EQ(message.take_descriptors(zbq::never).size(), 1U);
    sender.join();
    ASSERT_TRUE(test::publish(prod, "x", 1, 2));
    message = reader_.try_next();
    ring_ = zbq::producer();
    EXPECT_EQ(message.take_descriptors(zbq::never).why(), status::none);
}

// A forked child of the producer keeps the side socket from telling.
TEST_F(Consumer, WaitsForDescriptorsNoLongerThanTheStream) {
    test::start_watchdog();
    ASSERT_TRUE(test::publish(ring_.get(), "x", 1, 1));
    test::child child([] { return pause(); });
    zbq::message message = reader_.try_next();
    ring_ = zbq::producer();
    EXPECT_FALSE(message.take_descriptors(zbq::never));
    child.kill();
}

// ---- waiting ----

TEST(ConsumerOfAKilledProducer, SpinsNoLonger) {
    test::start_watchdog();
    test::socket_pair sockets = test::make_sockets();
    const test::step_pipe ready;
    test::child producer([&] {
        zbq::producer ring;
        ring.admit(sockets.producer_end.get());
        ready.send(1);
        return pause();
    });
    zbq::consumer reader(sockets.consumer_end.get());
    ready.receive();
    producer.kill();
    EXPECT_EQ(reader.wait(zbq::never, std::chrono::nanoseconds::max()), status::none);
}

TEST_F(Consumer, WaitGivesUpAtTheDeadline) {
    EXPECT_EQ(reader_.wait(zbq::now), status::again);
    EXPECT_EQ(reader_.wait(zbq::in(std::chrono::milliseconds(1))), status::again);
    EXPECT_EQ(reader_.wait(zbq::in(std::chrono::milliseconds(1)), std::chrono::hours(1)),
              status::again);
    zbq::consumer pull = join(ring_, zbq::wakeup::pull);
    EXPECT_EQ(pull.wait(zbq::in(std::chrono::milliseconds(3))), status::again);
}

TEST_F(Consumer, WaitTakesNothing) {
    publish("x");
    EXPECT_EQ(reader_.wait(zbq::now), status::ok);
    EXPECT_EQ(reader_.wait(zbq::never), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "x");
    publish("y");
    EXPECT_EQ(reader_.wait(zbq::now), status::ok);
    for (const zbq::message_view &message : reader_.take_batch()) {
        EXPECT_EQ(text_of(message.payload()), "y");
    }
    EXPECT_EQ(reader_.wait(zbq::now), status::again);
}

// After a look that found several messages, a wait gathers before it looks again.
TEST_F(Consumer, WaitInADenseStream) {
    publish("x");
    publish("y");
    std::size_t found = 0;
    for (const zbq::message_view &message : reader_.take_batch()) {
        found += message.payload().size();
    }
    EXPECT_EQ(found, 2U);
    const zbq::deadline soon = zbq::in(std::chrono::milliseconds(1));
    EXPECT_EQ(reader_.wait(soon, std::chrono::hours(1)), status::again);
    publish("z");
    EXPECT_EQ(reader_.wait(zbq::never, std::chrono::hours(1)), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "z");
}

TEST_F(Consumer, WaitIsWoken) {
    test::start_watchdog();
    for (const auto mode : {zbq::wakeup::push, zbq::wakeup::pull}) {
        for (const auto spin : {std::chrono::nanoseconds(0), std::chrono::nanoseconds(50'000)}) {
            zbq::consumer reader = join(ring_, mode);
            std::thread publisher([this] {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
                EXPECT_EQ(ring_.try_publish(bytes("x")), status::ok);
            });
            EXPECT_EQ(reader.wait(zbq::never, spin), status::ok);
            publisher.join();
            EXPECT_TRUE(reader.try_next());
        }
    }
}

TEST_F(Consumer, WaitTellsOfTheEnd) {
    zbq::consumer pull = join(ring_, zbq::wakeup::pull);
    publish("last");
    ring_ = zbq::producer();
    for (zbq::consumer *reader : {&reader_, &pull}) {
        EXPECT_EQ(reader->wait(zbq::never), status::ok);
        EXPECT_TRUE(reader->try_next());
        EXPECT_EQ(reader->wait(zbq::never, std::chrono::hours(1)), status::none);
        EXPECT_EQ(reader->try_next().why(), status::none);
        EXPECT_EQ(reader->ending(), zbq::ending::closed);
    }
}

TEST_F(Consumer, EventDescriptor) {
    pollfd polled = {reader_.event_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, 0), 1);
    EXPECT_FALSE(reader_.try_next());
    EXPECT_EQ(poll(&polled, 1, 0), 0);
    publish("x");
    EXPECT_EQ(poll(&polled, 1, 0), 1);
}

// ---- eviction and life ----

// A message that goes looks for its descriptors, whose record may come later than it.
// The nap that goes with a look in vain has ended as well.
void look_until_quiet(zbq::consumer &reader, int event_fd) {
    pollfd polled = {event_fd, POLLIN, 0};
    do {
        ASSERT_FALSE(reader.try_next());
    } while (poll(&polled, 1, 20) == 1);
}

TEST(ConsumerOfLateRecords, WhatGoesDoesNotSilenceTheEventDescriptor) {
    const test::producer_ptr ring = test::make_producer();
    const test::socket_pair sockets = test::make_sockets();
    std::uint32_t slot = 0;
    ASSERT_EQ(
        zbq_producer_handshake(ring.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot),
        ZBQ_OK);
    zbq::consumer reader(sockets.consumer_end.get());
    const int event_fd = reader.event_fd();
    EXPECT_FALSE(reader.try_next());
    std::vector<zbq::message> held(3);
    for (const bool taken_before : {false, true}) {
        for (std::uint64_t seq_id = 1; seq_id <= held.size(); ++seq_id) {
            ASSERT_TRUE(test::publish(ring.get(), "", 1, seq_id));
        }
        for (zbq::message &message : held) {
            message = reader.try_next();
        }
        look_until_quiet(reader, event_fd);
        ASSERT_TRUE(test::publish(ring.get(), "x"));
        if (taken_before) {
            EXPECT_EQ(held[0].take_descriptors().why(), status::again);
        }
        for (zbq::message &message : held) {
            message.release();
        }
        EXPECT_TRUE(test::readable(event_fd));
        EXPECT_TRUE(reader.try_next());
    }
}

TEST_F(Consumer, EvictedWhileReading) {
    publish("x");
    const zbq::message message = reader_.try_next();
    EXPECT_TRUE(message.intact());
    evict();
    EXPECT_FALSE(message.intact());
    EXPECT_EQ(reader_.ending(), zbq::ending::evicted);
    EXPECT_EQ(reader_.eviction(), zbq::eviction::protocol);
    EXPECT_EQ(reader_.try_next().why(), status::none);
    EXPECT_EQ(reader_.wait(zbq::never), status::none);
    EXPECT_EQ(reader_.take_batch().visited(), 0U);
}

// It knows of a second message, which it has not taken.
TEST_F(Consumer, EvictedWhileMoreIsThere) {
    publish("x");
    publish("y");
    reader_.try_next().release();
    EXPECT_EQ(reader_.wait(zbq::now), status::ok);
    evict();
    EXPECT_EQ(reader_.wait(zbq::now), status::none);
    EXPECT_EQ(reader_.wait(zbq::now, std::chrono::hours(1)), status::none);
    EXPECT_FALSE(reader_.try_next().intact());
}

// Where nothing is, nothing points into the ring.
TEST_F(Consumer, EvictedWithSomethingKnownGetsNothing) {
    publish("x");
    publish("y");
    reader_.try_next().release();
    evict();
    const zbq::message message = reader_.try_next();
    EXPECT_EQ(message.why(), status::none);
    EXPECT_TRUE(message.payload().empty());
    EXPECT_EQ(message.descriptor_count(), 0U);
    zbq::message_batch batch = reader_.take_batch();
    EXPECT_EQ(batch.begin(), batch.end());
    EXPECT_EQ(batch.take_descriptors().size(), 0U);
}

// It stays so, and a wait tells it too.
TEST_F(Consumer, AMalformedStreamIsNothingToRead) {
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(ring_.get(), 32, &run), ZBQ_OK);
    const zbq_msg_header header = {UINT32_MAX, 0, 0, 0, 0};
    std::memcpy(run.base, &header, sizeof header);
    ASSERT_TRUE(zbq_producer_commit(ring_.get(), 32, ZBQ_COMMIT_NONE));
    EXPECT_EQ(reader_.try_next().why(), status::protocol);
    EXPECT_EQ(reader_.wait(zbq::never), status::protocol);
    EXPECT_EQ(reader_.wait(zbq::never, std::chrono::nanoseconds::max()), status::protocol);
    zbq::message_batch batch = reader_.take_batch();
    EXPECT_EQ(batch.begin(), batch.end());
    EXPECT_EQ(batch.why(), status::protocol);
}

TEST_F(Consumer, EvictedWhileInABatch) {
    publish("x");
    zbq::message_batch batch = reader_.take_batch();
    EXPECT_NE(batch.begin(), batch.end());
    EXPECT_TRUE(batch.intact());
    evict();
    EXPECT_FALSE(batch.intact());
}

TEST_F(Consumer, MovedFromGivesNothing) {
    zbq::consumer other = std::move(reader_);
    EXPECT_EQ(reader_.try_next().why(), status::invalid); // NOLINT(*use-after-move,*Move)
    EXPECT_EQ(reader_.wait(zbq::never), status::invalid);
    EXPECT_EQ(reader_.ending(), zbq::ending::none);
    EXPECT_EQ(reader_.eviction(), zbq::eviction::none);
    EXPECT_EQ(reader_.lag(), 0U);
    EXPECT_EQ(reader_.capacity(), 0U);
    EXPECT_FALSE(reader_.producer_is_alive());
    EXPECT_EQ(reader_.get(), nullptr);
    zbq::message_batch batch = reader_.take_batch();
    EXPECT_EQ(batch.begin(), batch.end());
    EXPECT_EQ(batch.why(), status::invalid);
    EXPECT_EQ(thrown_by([&] { static_cast<void>(reader_.event_fd()); }), status::invalid);
    publish("x");
    EXPECT_TRUE(other.try_next());
    EXPECT_EQ(other.capacity(), 1U << 20U);
    EXPECT_TRUE(other.producer_is_alive());
}

TEST_F(Consumer, AMessageMayOutliveItsConsumer) {
    EXPECT_EQ(ring_.scan(), status::ok); // takes in who the other one is
    const test::leak_check leaks;
    zbq::message message;
    {
        zbq::consumer brief = join(ring_);
        publish("x");
        message = brief.try_next();
    }
    EXPECT_EQ(ring_.scan(), status::ok);
    EXPECT_EQ(ring_.statistics().consumers, 2U);
    EXPECT_EQ(text_of(message.payload()), "x");
    EXPECT_TRUE(message.intact());
    message.release();
    EXPECT_EQ(ring_.scan(), status::ok);
    EXPECT_EQ(ring_.statistics().consumers, 1U);
}

// Nothing of the ring is mapped there.
TEST_F(Consumer, AForkedChildOnlyLosesItsCopyOfAMessage) {
    publish("x");
    zbq::message message = reader_.try_next();
    test::child forked([&] {
        message.release();
        const zbq::consumer dropped = std::move(reader_);
        return 0;
    });
    EXPECT_EQ(forked.wait(), 0);
    EXPECT_EQ(text_of(message.payload()), "x");
    EXPECT_TRUE(message.intact());
    publish("y");
    EXPECT_EQ(text_of(reader_.try_next().payload()), "y");
    message.release();
    EXPECT_EQ(reader_.lag(), 0U);
}

TEST_F(Consumer, AForkedChildOnlyLosesItsCopyOfABatch) {
    publish("x");
    {
        zbq::message_batch batch = reader_.take_batch();
        EXPECT_NE(batch.begin(), batch.end());
        test::child forked([&] {
            batch.~message_batch();
            return 0;
        });
        EXPECT_EQ(forked.wait(), 0);
        EXPECT_TRUE(batch.intact());
        EXPECT_NE(reader_.lag(), 0U);
    }
    EXPECT_EQ(reader_.lag(), 0U);
}

TEST_F(Consumer, ItMovesUnderItsMessages) {
    publish("x");
    zbq::message message = reader_.try_next();
    zbq::consumer other = std::move(reader_);
    EXPECT_EQ(text_of(message.payload()), "x");
    message.release();
    EXPECT_EQ(other.lag(), 0U);
}

} // namespace
