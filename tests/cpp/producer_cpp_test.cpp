// SPDX-License-Identifier: MIT
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <optional>

#include "both_ends.hpp"

#include <thread>

namespace {

using test::bytes;
using test::join;
using test::text_of;
using test::thrown_by;
using test::unique_fd;
using zbq::status;

zbq::producer_options small() {
    zbq::producer_options options;
    options.capacity = test::page;
    options.stall_timeout = {};
    options.clog_threshold = 1;
    return options;
}

class Producer : public testing::Test {
protected:
    // As much as fits, in messages of 16 bytes each.
    void fill() {
        while (ring_.try_publish({}) == status::ok) {
        }
    }

    zbq::producer ring_{small()};
    zbq::consumer reader_ = join(ring_);
};

TEST(ProducerSetUp, BadOptionsSayWhatWasTried) {
    zbq::producer_options options;
    options.capacity = 5000;
    try {
        const zbq::producer ring(options);
        FAIL();
    } catch (const std::system_error &failure) {
        EXPECT_EQ(failure.code(), status::invalid);
        EXPECT_STREQ(failure.what(),
                     "making a ring of 5000 bytes for 16 consumers: invalid argument");
    }
    options = {};
    options.stall_timeout = std::chrono::nanoseconds(-1);
    EXPECT_EQ(thrown_by([&] { const zbq::producer ring(options); }), status::invalid);
    options = {};
    options.max_consumers = 0;
    EXPECT_EQ(thrown_by([&] { const zbq::producer ring(options); }), status::invalid);
}

TEST(ProducerSetUp, AFailedSystemCallIsNamed) {
    if (test::sanitized) {
        GTEST_SKIP() << "the sanitizers need descriptors of their own";
    }
    const test::leak_check leaks;
    const test::descriptor_shortage shortage(0);
    try {
        const zbq::producer ring;
        FAIL();
    } catch (const zbq::error &failure) {
        EXPECT_EQ(failure.code(), status::io);
        EXPECT_EQ(failure.os_error(), EMFILE);
        EXPECT_NE(std::string(failure.what()).find("Too many open files"), std::string::npos);
    }
}

TEST(ProducerSetUp, AdmittingWhatIsNoSocket) {
    zbq::producer ring;
    EXPECT_EQ(thrown_by([&] { ring.admit(-1); }), status::invalid);
    zbq::producer_options options;
    options.max_consumers = 1;
    zbq::producer full(options);
    const zbq::consumer first = join(full);
    EXPECT_EQ(thrown_by([&] { const zbq::consumer second = join(full); }), status::none);
}

TEST_F(Producer, FillsInPlaceAndCommits) {
    zbq::reservation room = ring_.try_reserve(5);
    ASSERT_TRUE(room);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room.payload().data()) % 16, 0U);
    test::write_text(room.payload(), "hello");
    EXPECT_FALSE(reader_.try_next());
    EXPECT_EQ(room.commit(), status::ok);
    EXPECT_FALSE(room);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "hello");
}

TEST_F(Producer, CommitsLessThanReserved) {
    zbq::reservation room = ring_.try_reserve(1000);
    room.payload()[0] = std::byte{'x'};
    EXPECT_EQ(room.commit(1), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "x");
    EXPECT_EQ(ring_.statistics().head, 32U);
}

TEST_F(Producer, EmptyMessagesAreMessages) {
    EXPECT_EQ(ring_.try_publish({}), status::ok);
    const zbq::message message = reader_.try_next();
    ASSERT_TRUE(message);
    EXPECT_TRUE(message.payload().empty());
}

TEST_F(Producer, TheLargestAndTheTooLarge) {
    const std::string largest(test::page - 16, 'x');
    EXPECT_EQ(ring_.try_publish(bytes(largest)), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), largest);
    EXPECT_EQ(ring_.try_publish(bytes(largest + "y")), status::too_large);
    EXPECT_EQ(ring_.publish(bytes(largest + "y"), zbq::never), status::too_large);
    EXPECT_EQ(ring_.try_reserve(std::size_t{1} << 32U).why(), status::too_large);
    EXPECT_EQ(ring_.try_reserve(SIZE_MAX).why(), status::too_large);
    EXPECT_EQ(zbq::producer::size_of(UINT64_MAX), 0U);
    EXPECT_EQ(ring_.try_batch(2 * test::page).why(), status::too_large);
    EXPECT_EQ(ring_.try_publish(bytes("still")), status::ok);
}

TEST_F(Producer, ADroppedReservationNeverWas) {
    {
        zbq::reservation room = ring_.try_reserve(5);
        test::write_text(room.payload(), "never");
    }
    EXPECT_EQ(ring_.try_publish(bytes("first")), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "first");
    EXPECT_FALSE(reader_.try_next());
}

TEST_F(Producer, ANewerReservationMakesAnOlderVoid) {
    zbq::reservation older = ring_.try_reserve(5);
    zbq::reservation newer = ring_.try_reserve(5);
    EXPECT_FALSE(older);
    EXPECT_TRUE(older.payload().empty());
    EXPECT_EQ(older.commit(), status::invalid);
    test::write_text(newer.payload(), "newer");
    older = {}; // does not give up the newer one
    EXPECT_EQ(newer.commit(), status::ok);
    EXPECT_EQ(newer.commit(), status::invalid); // once
    EXPECT_EQ(text_of(reader_.try_next().payload()), "newer");
}

TEST_F(Producer, FillingMakesAReservationVoid) {
    zbq::reservation room = ring_.try_reserve(100);
    const auto fails = [](std::span<std::byte>) { throw std::runtime_error("no"); };
    EXPECT_THROW(std::ignore = ring_.try_fill(10, fails), std::runtime_error);
    EXPECT_FALSE(room);
    EXPECT_EQ(room.commit(), status::invalid);
}

TEST_F(Producer, WhoFillsPublishesNothingElse) {
    const auto publishes = [&](std::span<std::byte> to) noexcept {
        EXPECT_EQ(ring_.try_publish(bytes("other")), status::ok);
        test::write_text(to, "own");
    };
    EXPECT_EQ(ring_.try_fill(3, publishes), status::invalid);
    EXPECT_TRUE(reader_.try_next());
    EXPECT_FALSE(reader_.try_next());
    const auto asks_in_vain = [&](std::span<std::byte> to) noexcept {
        EXPECT_EQ(ring_.try_reserve(2 * reader_.capacity()).why(), status::too_large);
        test::write_text(to, "own");
    };
    EXPECT_EQ(ring_.try_fill(3, asks_in_vain), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "own");
    fill(); // no further than there is room
    EXPECT_EQ(ring_.try_publish({}), status::again);
}

TEST_F(Producer, WhatFailsMakesAReservationVoidToo) {
    zbq::reservation room = ring_.try_reserve(5);
    fill();
    room = ring_.try_reserve(0);
    while (reader_.try_next()) {
    }
    room = ring_.try_reserve(5);
    ASSERT_TRUE(room);
    const std::vector<std::byte> large(reader_.capacity());
    EXPECT_EQ(ring_.try_publish(large), status::too_large);
    EXPECT_FALSE(room);
    EXPECT_EQ(room.commit(), status::invalid);
}

TEST_F(Producer, WhoCannotWaitIsTold) {
    if (test::sanitized) {
        GTEST_SKIP() << "the sanitizers need descriptors of their own";
    }
    fill();
    const test::descriptor_shortage shortage(0);
    EXPECT_EQ(ring_.publish({}, zbq::never), status::io);
    EXPECT_EQ(ring_.reserve(0, zbq::never).why(), status::io);
    EXPECT_EQ(ring_.wait_released(ring_.head(), zbq::never), status::io);
    EXPECT_EQ(ring_.retain(1, {}, zbq::never), status::io);
}

TEST_F(Producer, AReservationStaysVoidAfterATurnOfTheRing) {
    zbq::reservation room = ring_.try_reserve(16);
    for (std::uint64_t written = 0; written < reader_.capacity(); written += 32) {
        ASSERT_EQ(ring_.try_publish(bytes("sixteen bytes ..")), status::ok);
        ASSERT_TRUE(reader_.try_next());
    }
    EXPECT_FALSE(room);
}

TEST_F(Producer, AReservationMoves) {
    zbq::reservation first = ring_.try_reserve(5);
    test::write_text(first.payload(), "moved");
    zbq::reservation second = std::move(first);
    EXPECT_FALSE(first); // NOLINT(*use-after-move,*Move): that is the question
    EXPECT_EQ(first.commit(), status::invalid);   // NOLINT(*Move): and this
    EXPECT_EQ(second.commit(6), status::invalid); // more than reserved
    EXPECT_TRUE(second);
    EXPECT_EQ(second.commit(), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "moved");
}

TEST_F(Producer, NoRoomIsNotYet) {
    fill();
    EXPECT_EQ(ring_.try_publish({}), status::again);
    EXPECT_EQ(ring_.try_reserve(0).why(), status::again);
    EXPECT_EQ(ring_.publish({}, zbq::now), status::again);
    EXPECT_EQ(ring_.publish({}, zbq::in(std::chrono::milliseconds(1))), status::again);
    reader_.try_next().release();
    EXPECT_EQ(ring_.try_publish({}), status::ok);
}

TEST_F(Producer, SleepsUntilThereIsRoom) {
    test::start_watchdog();
    constexpr int messages = 2000;
    std::thread reading([this] {
        int read = 0;
        while (read < messages) {
            if (reader_.wait(zbq::never) == status::ok) {
                const zbq::message message = reader_.try_next();
                read += message && message.payload().size() == 1000 ? 1 : 0;
            }
        }
    });
    const std::string payload(1000, 'x');
    int published = 0;
    for (int i = 0; i < messages; i += 2) {
        published += ring_.publish(bytes(payload), zbq::never) == status::ok ? 1 : 0;
        zbq::reservation room = ring_.reserve(payload.size(), zbq::never);
        published += room.commit() == status::ok ? 1 : 0;
    }
    reading.join();
    EXPECT_EQ(published, messages);
}

TEST_F(Producer, EvictsTheHungWhileItSleeps) {
    test::start_watchdog();
    zbq::producer_options options = small();
    options.stall_timeout = std::chrono::milliseconds(20);
    options.clog_threshold = UINT64_MAX;
    zbq::producer ring(options);
    zbq::consumer hung = join(ring);
    const std::string payload(1000, 'x');
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(ring.publish(bytes(payload), zbq::never), status::ok);
    }
    EXPECT_EQ(hung.ending(), zbq::ending::evicted);
    EXPECT_EQ(hung.eviction(), zbq::eviction::stalled);
    EXPECT_STREQ(to_string(hung.eviction()), "stalled");
}

TEST_F(Producer, EvictsWhoDoesNotCollectWhileItSleeps) {
    test::start_watchdog();
    zbq::producer_options options = small();
    options.stall_timeout = std::chrono::milliseconds(20);
    options.clog_threshold = UINT64_MAX;
    zbq::producer ring(options);
    zbq::consumer hung = join(ring);
    const auto files = test::numbered_list(200);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(ring.publish({}, test::plain(files), zbq::never), status::ok);
    }
    EXPECT_EQ(hung.eviction(), zbq::eviction::side_stalled);
}

// ---- batches ----

TEST_F(Producer, OneCommitForABatch) {
    zbq::batch batch = ring_.try_batch(2 * zbq::producer::size_of(3));
    ASSERT_TRUE(batch);
    test::write_text(batch.add(3), "one");
    test::write_text(batch.add(3), "two");
    EXPECT_EQ(batch.add(0).data(), nullptr); // it is full
    EXPECT_EQ(batch.size(), 2U);
    EXPECT_FALSE(reader_.try_next());
    EXPECT_EQ(batch.commit(), status::ok);
    EXPECT_EQ(batch.add(0).data(), nullptr);
    EXPECT_EQ(batch.commit(), status::invalid);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "one");
    EXPECT_EQ(text_of(reader_.try_next().payload()), "two");
    EXPECT_FALSE(reader_.try_next());
}

TEST_F(Producer, ABatchOfNothing) {
    EXPECT_EQ(ring_.try_batch(0).why(), status::invalid);
    zbq::batch batch = ring_.try_batch(100);
    EXPECT_EQ(batch.add(SIZE_MAX).data(), nullptr);
    EXPECT_EQ(batch.commit(), status::ok);
    EXPECT_EQ(ring_.statistics().head, 0U);
    batch = ring_.try_batch(16);
    EXPECT_NE(batch.add(0).data(), nullptr);
    EXPECT_EQ(batch.commit(), status::ok);
    EXPECT_TRUE(reader_.try_next());
}

TEST_F(Producer, ADroppedBatchNeverWas) {
    {
        zbq::batch batch = ring_.try_batch(64);
        EXPECT_EQ(batch.add(3).size(), 3U);
    }
    EXPECT_EQ(ring_.try_publish(bytes("first")), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "first");
}

// Every place in the ring, its end too: no message is padded there.
TEST_F(Producer, MessagesAcrossTheEnd) {
    for (std::size_t i = 0; i < 3 * test::page / 16; ++i) {
        const std::string payload(1 + i % 700, static_cast<char>('a' + i % 26));
        ASSERT_EQ(ring_.try_publish(bytes(payload)), status::ok);
        ASSERT_EQ(text_of(reader_.try_next().payload()), payload);
    }
    EXPECT_EQ(reader_.lag(), 0U);
}

// ---- descriptors ----

TEST_F(Producer, DescriptorsTravelWithTheMessage) {
    const auto files = test::numbered_list(3);
    EXPECT_EQ(ring_.publish(bytes("with"), test::plain(files), zbq::now), status::ok);
    zbq::message message = reader_.try_next();
    EXPECT_EQ(message.descriptor_count(), 3U);
    const zbq::descriptors got = message.take_descriptors();
    ASSERT_TRUE(got);
    ASSERT_EQ(got.size(), 3U);
    for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(test::number_of(got[i]), test::number_of(files[i].get()));
    }
}

TEST_F(Producer, TheMostDescriptorsAndMore) {
    const unique_fd file = test::numbered(1);
    const std::vector<int> fds(256, file.get()); // a count that a byte would take for 0
    EXPECT_EQ(ring_.publish({}, fds, zbq::never), status::invalid);
    EXPECT_EQ(ring_.publish({}, std::span(fds).first(254), zbq::never), status::invalid);
    EXPECT_EQ(ring_.publish({}, std::span(fds).first(253), zbq::never), status::ok);
    EXPECT_EQ(reader_.try_next().take_descriptors().size(), 253U);
}

TEST_F(Producer, ABadDescriptorPublishesNothing) {
    const int fds[] = {0, -1};
    EXPECT_EQ(ring_.publish(bytes("x"), fds, zbq::never), status::invalid);
    EXPECT_FALSE(reader_.try_next());
    EXPECT_EQ(ring_.try_publish(bytes("y")), status::ok);
}

// Whoever joins after the descriptors went out must not see the message.
TEST_F(Producer, AReservationGoesOnWhereDescriptorsStopped) {
    const auto files = test::numbered_list(253);
    const std::vector<int> fds = test::plain(files);
    EXPECT_EQ(ring_.publish(bytes("1"), fds, zbq::now), status::ok);
    EXPECT_EQ(ring_.publish(bytes("2"), fds, zbq::now), status::ok);
    zbq::reservation room = ring_.try_reserve(1);
    test::write_text(room.payload(), "3");
    EXPECT_EQ(room.commit(1, fds), status::again);
    EXPECT_TRUE(room);
    EXPECT_EQ(room.commit(1, fds), status::again);
    {
        zbq::message first = reader_.try_next();
        EXPECT_EQ(first.take_descriptors().size(), 253U);
    }
    EXPECT_EQ(room.commit(1, fds), status::ok);
    EXPECT_EQ(reader_.try_next().take_descriptors().size(), 253U);
    zbq::message third = reader_.try_next();
    EXPECT_EQ(text_of(third.payload()), "3");
    EXPECT_EQ(third.take_descriptors().size(), 253U);
    EXPECT_EQ(zbq_producer_next_seq_id(ring_.get()), 4U); // three tries had one
}

// What one consumer already has is not sent to it again for another that has no room.
TEST_F(Producer, AReservationSendsToAllOrToNobody) {
    const unique_fd file = test::numbered(1);
    const std::vector<int> fds(253, file.get());
    EXPECT_EQ(ring_.publish({}, fds, zbq::now), status::ok);
    EXPECT_EQ(ring_.publish({}, fds, zbq::now), status::ok);
    const zbq::consumer newcomer = join(ring_);
    zbq::reservation room = ring_.try_reserve(0);
    EXPECT_EQ(room.commit(0, fds), status::again);
    EXPECT_EQ(room.commit(0, fds), status::again);
    zbq_consumer_info info = {};
    EXPECT_EQ(ring_.consumer_info(1, info), status::ok);
    EXPECT_EQ(info.fds_in_flight, 0U);
}

TEST_F(Producer, SleepsUntilDescriptorsAreCollected) {
    test::start_watchdog();
    constexpr int messages = 100;
    std::thread reading([this] {
        int read = 0;
        while (read < messages) {
            if (reader_.wait(zbq::never) == status::ok) {
                zbq::message message = reader_.try_next();
                read += message.take_descriptors(zbq::never).size() == 200 ? 1 : 0;
            }
        }
    });
    const auto files = test::numbered_list(200);
    int published = 0;
    for (int i = 0; i < messages; ++i) {
        published += ring_.publish({}, test::plain(files), zbq::never) == status::ok ? 1 : 0;
    }
    reading.join();
    EXPECT_EQ(published, messages);
}

// ---- life ----

TEST_F(Producer, MovedFromAnswersInvalid) {
    zbq::producer other = std::move(ring_);
    EXPECT_EQ(ring_.try_publish({}), status::invalid); // NOLINT(*use-after-move,*Move)
    EXPECT_EQ(ring_.publish({}, zbq::never), status::invalid);
    EXPECT_EQ(ring_.try_reserve(1).why(), status::invalid);
    EXPECT_EQ(ring_.try_batch(16).why(), status::invalid);
    EXPECT_EQ(ring_.scan(), status::invalid);
    EXPECT_EQ(ring_.wait_for_room(zbq::never), status::invalid);
    EXPECT_EQ(ring_.statistics().max_consumers, 0U);
    EXPECT_EQ(ring_.get(), nullptr);
    EXPECT_EQ(thrown_by([&] { ring_.admit(0); }), status::invalid);
    EXPECT_EQ(thrown_by([&] { static_cast<void>(ring_.event_fd()); }), status::invalid);
    EXPECT_EQ(other.try_publish(bytes("on")), status::ok);
    EXPECT_EQ(text_of(reader_.try_next().payload()), "on");
}

TEST_F(Producer, AssigningToItEndsItsStream) {
    ring_ = zbq::producer(small());
    EXPECT_EQ(reader_.try_next().why(), status::none);
    EXPECT_EQ(reader_.ending(), zbq::ending::closed);
}

TEST_F(Producer, AReservationThatOutlivesItIsVoid) {
    zbq::reservation room;
    zbq::batch batch;
    std::optional<zbq::consumer> reader;
    {
        zbq::producer brief(small());
        reader = test::join(brief);
        room = brief.try_reserve(5);
        EXPECT_TRUE(room);
    }
    EXPECT_EQ(reader->ending(), zbq::ending::closed);
    EXPECT_FALSE(room);
    EXPECT_TRUE(room.payload().empty());
    EXPECT_EQ(room.commit(), status::invalid);
    {
        zbq::producer brief(small());
        batch = brief.try_batch(64);
    }
    EXPECT_EQ(batch.add(1).data(), nullptr);
    EXPECT_EQ(batch.commit(), status::invalid);
}

TEST_F(Producer, ConsumerInfo) {
    zbq_consumer_info info = {};
    EXPECT_EQ(ring_.consumer_info(0, info), status::ok);
    EXPECT_EQ(info.join_number, 1U);
    EXPECT_EQ(ring_.consumer_info(1, info), status::none);
    EXPECT_EQ(ring_.consumer_info(99, info), status::invalid);
}

TEST(Patience, ReachesTheLibrary) {
    using namespace std::chrono_literals;
    zbq::producer ring;
    const zbq::patience little = {.at_once = 1ms, .per_second = 10us};
    EXPECT_EQ(ring.set_patience(little), zbq::status::ok);
    EXPECT_EQ(ring.set_patience(0, little), zbq::status::none);
    EXPECT_EQ(ring.set_patience(1000, std::nullopt), zbq::status::invalid);
    zbq::producer moved = std::move(ring);
    EXPECT_EQ(ring.set_patience(little), zbq::status::invalid); // NOLINT(bugprone-use-after-move)
}

// As sysfs tells it.
class Processors : public testing::Test {
protected:
    Processors() {
        char name[] = "/tmp/zbq-test-XXXXXX";
        top_ = mkdtemp(name);
    }
    ~Processors() override { std::filesystem::remove_all(top_); }
    Processors(const Processors &) = delete;
    Processors &operator=(const Processors &) = delete;
    Processors(Processors &&) = delete;
    Processors &operator=(Processors &&) = delete;

    void write(const std::string &file, const std::string &line) const {
        const std::filesystem::path path = top_ + "/" + file;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << line << '\n';
    }

    std::string top_;
};

TEST_F(Processors, AreNearWhereTheLargestCacheIsShared) {
    write("online", "2-5");
    write("cpu2/cache/index0/shared_cpu_list", "2");
    write("cpu2/cache/index3/shared_cpu_list", "2-5");
    EXPECT_FALSE(zbq::detail::has_far_processors(top_));
}

TEST_F(Processors, AreFarWhereItIsNot) {
    write("online", "3-6,8");
    write("cpu3/cache/index0/shared_cpu_list", "3-6,8");
    write("cpu3/cache/index3/shared_cpu_list", "3-4");
    EXPECT_TRUE(zbq::detail::has_far_processors(top_));
}

TEST_F(Processors, AreNearWhereNobodyTells) {
    EXPECT_FALSE(zbq::detail::has_far_processors(top_));
    write("online", "0-3");
    EXPECT_FALSE(zbq::detail::has_far_processors(top_));
}

TEST_F(Processors, DecideHowLargeARingIs) {
    const bool far = zbq::detail::has_far_processors("/sys/devices/system/cpu");
    EXPECT_EQ(zbq::producer_options().capacity, std::uint64_t{far ? 64U : 1U} << 20U);
}

} // namespace
