// SPDX-License-Identifier: MIT
//
// The statistics page: what it tells of a ring, who can read it, and what a hostile one can do.
#include "producer.hpp"
#include "statistics.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using test::ms;
using test::page;
using zbq::core::statistics_head;

struct stats_deleter {
    void operator()(zbq_stats *stats) const { zbq_stats_close(stats); }
};
using stats_ptr = std::unique_ptr<zbq_stats, stats_deleter>;

stats_ptr open_page(int fd) {
    zbq_stats *opened = nullptr;
    EXPECT_EQ(zbq_stats_open(fd, &opened), ZBQ_OK);
    return stats_ptr(opened);
}

zbq_ring_stats read(const stats_ptr &stats) {
    zbq_ring_stats ring = {};
    EXPECT_EQ(zbq_stats_read(stats.get(), &ring, sizeof ring), ZBQ_OK);
    return ring;
}

zbq_slot_stats slot(const stats_ptr &stats, std::uint32_t number) {
    zbq_slot_stats line = {};
    EXPECT_EQ(zbq_stats_slot(stats.get(), number, &line, sizeof line), ZBQ_OK);
    return line;
}

// ---- what it tells ----

class Statistics : public testing::Test {
protected:
    // An account of now.
    zbq_ring_stats refresh() {
        EXPECT_EQ(zbq_producer_refresh_stats(prod_.get()), ZBQ_OK);
        return read(stats_);
    }
    [[nodiscard]] std::uint64_t accounts() const { return prod_->statistics.accounts; }

    test::producer_ptr prod_ = test::make_producer({.capacity = page, .max_consumers = 3});
    stats_ptr stats_ = open_page(zbq_producer_stats_fd(prod_.get()));
};

TEST_F(Statistics, RefuseNull) {
    zbq_ring_stats ring = {};
    zbq_slot_stats line = {};
    EXPECT_EQ(zbq_producer_set_name(nullptr, "x"), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_stats_fd(nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_refresh_stats(nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_send_stats(nullptr, 0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_send_stats(prod_.get(), -1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_send_stats(prod_.get(), prod_->ring_region.fd.get()), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_stats_open(zbq_producer_stats_fd(prod_.get()), nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_stats_receive(-1, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_stats_read(nullptr, &ring, sizeof ring), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_stats_read(stats_.get(), nullptr, sizeof ring), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_stats_slot(nullptr, 0, &line, sizeof line), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_stats_slot(stats_.get(), 0, nullptr, sizeof line), ZBQ_ERROR_INVALID);
    zbq_stats_close(nullptr);
    zbq_stats *out = stats_.get();
    EXPECT_EQ(zbq_stats_receive(-1, &out), ZBQ_ERROR_INVALID);
    EXPECT_EQ(out, nullptr);
}

TEST(StatisticsPage, IsNotThereBeforeItIsAskedFor) {
    const auto prod = test::make_producer();
    const test::joined joined = test::join(prod.get());
    test::fill(prod.get());
    EXPECT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(zbq_producer_refresh_stats(prod.get()), ZBQ_OK);
    EXPECT_FALSE(prod->statistics.exists());
    const int fd = zbq_producer_stats_fd(prod.get());
    EXPECT_GE(fd, 0);
    EXPECT_EQ(zbq_producer_stats_fd(prod.get()), fd);
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(read(open_page(fd)).joined, 1U); // the account of what was before
}

TEST_F(Statistics, TellOfTheRing) {
    const zbq_type type = {7, 8, 4};
    ASSERT_EQ(zbq_producer_set_type(prod_.get(), &type), ZBQ_OK);
    ASSERT_EQ(zbq_producer_set_name(prod_.get(), "camera"), ZBQ_OK);
    const test::joined joined = test::join(prod_.get());
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    const std::uint64_t before = zbq::core::monotonic_ns();
    const zbq_ring_stats ring = refresh();
    EXPECT_EQ(std::memcmp(ring.ring_id, zbq_producer_ctrl(prod_.get())->ring_id, 16), 0);
    EXPECT_GE(ring.written_at, before);
    EXPECT_LE(ring.created_at, before);
    EXPECT_EQ(ring.capacity, page);
    EXPECT_EQ(ring.head, 32U);
    EXPECT_EQ(ring.slowest_tail, 0U);
    EXPECT_EQ(ring.stall_timeout_ns, 0U);
    EXPECT_EQ(ring.joined, 1U);
    EXPECT_EQ(ring.payload_type.hash, 7U);
    EXPECT_EQ(ring.payload_type.size, 8U);
    EXPECT_EQ(ring.payload_type.align, 4U);
    EXPECT_EQ(ring.pid, getpid());
    EXPECT_EQ(ring.consumers, 1U);
    EXPECT_EQ(ring.max_consumers, 3U);
    EXPECT_EQ(ring.slots, 3U);
    EXPECT_EQ(ring.slowest_slot, ZBQ_NO_SLOT);
    EXPECT_EQ(ring.closed, 0U);
    EXPECT_STREQ(ring.name, "camera");
}

TEST_F(Statistics, AName) {
    const std::string longest(ZBQ_NAME_SIZE - 1, 'x');
    EXPECT_EQ(zbq_producer_set_name(prod_.get(), longest.c_str()), ZBQ_OK);
    EXPECT_EQ(refresh().name, longest);
    EXPECT_EQ(zbq_producer_set_name(prod_.get(), (longest + "x").c_str()), ZBQ_ERROR_OVERFLOW);
    EXPECT_EQ(refresh().name, longest);
    EXPECT_EQ(zbq_producer_set_name(prod_.get(), "y"), ZBQ_OK);
    EXPECT_EQ(refresh().name, std::string("y"));
    EXPECT_EQ(zbq_producer_set_name(prod_.get(), nullptr), ZBQ_OK);
    EXPECT_EQ(refresh().name, std::string());
}

TEST_F(Statistics, TellOfEachSlot) {
    const test::joined reader = test::join(prod_.get());
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    const test::joined pulls = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    const zbq_ring_stats ring = read(stats_);
    const zbq_slot_stats first = slot(stats_, reader.slot);
    EXPECT_EQ(first.join_number, 1U);
    EXPECT_GE(first.joined_at, ring.created_at);
    EXPECT_EQ(first.tail, 0U);
    EXPECT_EQ(first.lag, 32U);
    EXPECT_EQ(first.pid, getpid());
    EXPECT_EQ(first.uid, geteuid());
    EXPECT_EQ(first.mode, std::uint32_t{ZBQ_WAKEUP_PUSH});
    EXPECT_EQ(first.eviction, std::uint32_t{ZBQ_EVICTION_NONE});
    EXPECT_EQ(first.evicted_at, 0U);
    EXPECT_EQ(first.in_the_way, 0U);
    const zbq_slot_stats second = slot(stats_, pulls.slot);
    EXPECT_EQ(second.join_number, 2U);
    EXPECT_EQ(second.tail, 32U);
    EXPECT_EQ(second.lag, 0U);
    EXPECT_EQ(second.mode, std::uint32_t{ZBQ_WAKEUP_PULL});
    zbq_slot_stats none = {};
    EXPECT_EQ(zbq_stats_slot(stats_.get(), 2, &none, sizeof none), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_stats_slot(stats_.get(), 3, &none, sizeof none), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_stats_slot(stats_.get(), UINT32_MAX, &none, sizeof none), ZBQ_ERROR_NOENT);
}

TEST_F(Statistics, AreWrittenAtEventsAndNotByCommits) {
    std::uint64_t written = accounts();
    const auto was_written = [&] { return std::exchange(written, accounts()) != accounts(); };
    test::joined reader = test::join(prod_.get());
    EXPECT_TRUE(was_written());
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    EXPECT_FALSE(was_written());
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_TRUE(was_written());
    EXPECT_EQ(read(stats_).scans, 1U);
    test::cheat_tail(zbq_consumer_meta(reader.consumer.get()), 8);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 0U); // found without a scan
    EXPECT_TRUE(was_written());
    EXPECT_EQ(read(stats_).evicted[ZBQ_EVICTION_PROTOCOL], 1U);
    EXPECT_EQ(read(stats_).evicted[0], 1U);
    prod_.reset();
    EXPECT_EQ(read(stats_).closed, 1U);
}

TEST_F(Statistics, TellOfAScanWithItsEvictionsOnce) {
    for (int i = 0; i < 3; ++i) {
        test::join(prod_.get()).consumer.reset();
    }
    const std::uint64_t before = accounts();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(accounts(), before + 1);
    EXPECT_EQ(read(stats_).evicted[0], 3U);
}

TEST(StatisticsPage, TellsOfFailedAttemptsNowAndThen) {
    const auto prod = test::make_producer({.capacity = page, .clog_threshold = UINT64_MAX});
    const stats_ptr stats = open_page(zbq_producer_stats_fd(prod.get()));
    const test::joined reader = test::join(prod.get());
    test::fill(prod.get());
    prod->statistics.written_at = 0;
    EXPECT_FALSE(test::publish(prod.get(), ""));
    const std::uint64_t failures = read(stats).failures;
    EXPECT_GE(failures, 1U);
    EXPECT_EQ(read(stats).scans, 0U);
    prod->statistics.written_at = UINT64_MAX / 2; // just now
    EXPECT_FALSE(test::publish(prod.get(), ""));
    EXPECT_EQ(read(stats).failures, failures);
}

TEST(StatisticsPage, TellsWhoHoldsTheStreamBack) {
    const auto prod = test::make_producer({.capacity = page});
    const stats_ptr stats = open_page(zbq_producer_stats_fd(prod.get()));
    const test::joined slow = test::join(prod.get());
    const test::joined less_slow = test::join(prod.get());
    const test::joined quick = test::join(prod.get());
    const test::joined observer = test::join(prod.get(), ZBQ_OBSERVE_PULL);
    for (std::uint64_t bytes = 0; bytes < page;
         bytes += 16) { // full, and nothing was tried in vain
        ASSERT_TRUE(test::publish(prod.get(), ""));
    }
    std::string payload;
    ASSERT_EQ(test::read_one(less_slow.consumer.get(), &payload), ZBQ_OK);
    test::skip_all(quick.consumer.get());
    ASSERT_FALSE(test::publish(prod.get(), "larger than what the less slow one has read"));
    usleep(1000);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(read(stats).slowest_slot, slow.slot);
    EXPECT_GE(read(stats).full_ns, ms);
    for (const std::uint32_t held : {slow.slot, less_slow.slot}) {
        EXPECT_EQ(slot(stats, held).in_the_way, 1U);
        EXPECT_GE(slot(stats, held).held_ns, ms);
    }
    EXPECT_GE(slot(stats, slow.slot).times_slowest, 2U);
    EXPECT_EQ(slot(stats, less_slow.slot).times_slowest, 0U);
    for (const std::uint32_t harmless : {quick.slot, observer.slot}) {
        EXPECT_EQ(slot(stats, harmless).in_the_way, 0U);
        EXPECT_EQ(slot(stats, harmless).times_slowest, 0U);
        EXPECT_EQ(slot(stats, harmless).held_ns, 0U);
    }
    test::skip_all(slow.consumer.get());
    test::skip_all(less_slow.consumer.get());
    ASSERT_TRUE(test::publish(prod.get(), ""));
    ASSERT_EQ(zbq_producer_refresh_stats(prod.get()), ZBQ_OK);
    const std::uint64_t full = read(stats).full_ns;
    EXPECT_EQ(read(stats).slowest_slot, ZBQ_NO_SLOT);
    usleep(1000);
    ASSERT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK);
    EXPECT_EQ(read(stats).full_ns, full); // it does not wait any more
}

TEST_F(Statistics, TellWhoDoesNotCollect) {
    const test::joined reader = test::join(prod_.get());
    std::uint64_t id = 0;
    while (test::broadcast(prod_.get(), ++id) == ZBQ_OK) {
        ASSERT_LE(id, std::uint64_t{ZBQ_MAX_FD_IN_FLIGHT});
    }
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(read(stats_).slowest_slot, reader.slot);
    EXPECT_EQ(slot(stats_, reader.slot).in_the_way, 2U);
    EXPECT_EQ(slot(stats_, reader.slot).fds_in_flight, id - 1);
    ASSERT_EQ(test::collect(reader.consumer.get(), 1).result, ZBQ_OK);
    refresh();
    EXPECT_EQ(slot(stats_, reader.slot).fds_in_flight, id - 2);
}

TEST_F(Statistics, TellSinceWhenOneHasNotMoved) {
    const test::joined reader = test::join(prod_.get());
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    refresh();
    const zbq_slot_stats before = slot(stats_, reader.slot);
    EXPECT_EQ(before.moved_at, before.joined_at);
    test::skip_all(reader.consumer.get());
    const zbq_ring_stats moved = refresh();
    EXPECT_EQ(slot(stats_, reader.slot).moved_at, moved.written_at);
    refresh();
    EXPECT_EQ(slot(stats_, reader.slot).moved_at, moved.written_at);
}

TEST_F(Statistics, RememberTheEvicted) {
    test::joined reader = test::join(prod_.get());
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    reader.consumer.reset();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    const zbq_ring_stats ring = refresh();
    EXPECT_EQ(ring.consumers, 0U);
    const zbq_slot_stats gone = slot(stats_, reader.slot);
    EXPECT_EQ(gone.eviction, std::uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_GE(gone.evicted_at, gone.joined_at);
    EXPECT_LE(gone.evicted_at, ring.written_at);
    EXPECT_EQ(gone.pid, getpid());
    EXPECT_EQ(gone.lag, 32U);
    const test::joined next = test::join(prod_.get());
    ASSERT_EQ(next.slot, reader.slot);
    refresh();
    EXPECT_EQ(slot(stats_, next.slot).eviction, 0U);
    EXPECT_EQ(slot(stats_, next.slot).evicted_at, 0U);
    EXPECT_EQ(slot(stats_, next.slot).join_number, 2U);
}

TEST_F(Statistics, TellWhatObserversHaveLost) {
    const test::joined stays = test::join(prod_.get(), ZBQ_OBSERVE_PULL);
    test::joined goes = test::join(prod_.get(), ZBQ_OBSERVE_PULL);
    for (int round = 0; round < 3; ++round) {
        test::fill(prod_.get());
    }
    zbq_loss loss = {};
    for (const test::joined *observer :
         std::array{&stays, static_cast<const test::joined *>(&goes)}) {
        test::skip_all(observer->consumer.get());
        ASSERT_EQ(zbq_consumer_lost(observer->consumer.get(), &loss), ZBQ_OK);
        ASSERT_GT(loss.bytes, 0U);
    }
    goes.consumer.reset();
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    read(stats_);
    EXPECT_EQ(slot(stats_, stays.slot).lost_bytes, loss.bytes);
    EXPECT_EQ(slot(stats_, goes.slot).lost_bytes, loss.bytes);
}

TEST_F(Statistics, OfOneMomentUntilTheNextRead) {
    zbq_slot_stats line = {};
    EXPECT_EQ(zbq_stats_slot(stats_.get(), 0, &line, sizeof line), ZBQ_ERROR_NOENT); // none yet
    const test::joined reader = test::join(prod_.get());
    read(stats_);
    ASSERT_TRUE(test::publish(prod_.get(), "x"));
    ASSERT_EQ(zbq_producer_refresh_stats(prod_.get()), ZBQ_OK);
    EXPECT_EQ(slot(stats_, reader.slot).lag, 0U);
    read(stats_);
    EXPECT_EQ(slot(stats_, reader.slot).lag, 32U);
}

TEST_F(Statistics, ForCallersOfOtherVersions) {
    const test::joined reader = test::join(prod_.get());
    struct {
        zbq_ring_stats known;
        std::uint64_t later[2];
    } longer = {{}, {1, 1}};
    ASSERT_EQ(zbq_stats_read(stats_.get(), &longer.known, sizeof longer), ZBQ_OK);
    EXPECT_EQ(longer.known.joined, 1U);
    EXPECT_EQ(longer.later[0] | longer.later[1], 0U);
    zbq_ring_stats shorter = {};
    shorter.head = 77;
    ASSERT_EQ(zbq_stats_read(stats_.get(), &shorter, offsetof(zbq_ring_stats, head)), ZBQ_OK);
    EXPECT_EQ(shorter.capacity, page);
    EXPECT_EQ(shorter.head, 77U);
    zbq_slot_stats line = {};
    line.joined_at = 77;
    ASSERT_EQ(zbq_stats_slot(stats_.get(), reader.slot, &line, offsetof(zbq_slot_stats, joined_at)),
              ZBQ_OK);
    EXPECT_EQ(line.join_number, 1U);
    EXPECT_EQ(line.joined_at, 77U);
}

TEST(StatisticsPage, HasSoManySlots) {
    const auto prod = test::make_producer({.max_consumers = zbq::core::most_slots_told + 1});
    const stats_ptr stats = open_page(zbq_producer_stats_fd(prod.get()));
    const zbq_ring_stats ring = read(stats);
    EXPECT_EQ(ring.slots, zbq::core::most_slots_told);
    EXPECT_EQ(ring.max_consumers, zbq::core::most_slots_told + 1);
    zbq::core::note_use_of_slot(prod.get(), zbq::core::most_slots_told);
    EXPECT_EQ(zbq_producer_refresh_stats(prod.get()), ZBQ_OK); // writes nothing past its end
    EXPECT_EQ(prod->statistics.used_slots, zbq::core::most_slots_told);
    EXPECT_EQ(read(stats).slots, zbq::core::most_slots_told);
}

// ---- who can do what ----

TEST_F(Statistics, CanOnlyBeRead) {
    const int fd = zbq_producer_stats_fd(prod_.get());
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const test::unique_fd reopened(open(link.c_str(), O_RDWR | O_CLOEXEC));
    for (const int one : {fd, reopened.get()}) {
        EXPECT_EQ(mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, one, 0), MAP_FAILED);
        EXPECT_LT(pwrite(one, "x", 1, 0), 0);
        EXPECT_NE(ftruncate(one, 0), 0);
        EXPECT_NE(fcntl(one, F_ADD_SEALS, F_SEAL_WRITE), 0);
    }
}

TEST(StatisticsPage, IsReadWhileItsProducerIsStoppedAndWhenItIsGone) {
    const test::socket_pair sockets = test::make_sockets();
    test::child producer([&] {
        const auto prod = test::make_producer();
        const test::joined joined = test::join(prod.get());
        CHILD_CHECK(zbq_producer_set_name(prod.get(), "stopped") == ZBQ_OK);
        CHILD_CHECK(zbq_producer_send_stats(prod.get(), sockets.producer_end.get()) == ZBQ_OK);
        pause();
        return 0;
    });
    zbq_stats *received = nullptr;
    ASSERT_EQ(zbq_stats_receive(sockets.consumer_end.get(), &received), ZBQ_OK);
    const stats_ptr stats(received);
    producer.stop();
    EXPECT_STREQ(read(stats).name, "stopped");
    EXPECT_EQ(slot(stats, 0).pid, producer.pid());
    producer.kill();
    EXPECT_EQ(read(stats).joined, 1U);
}

TEST_F(Statistics, InAForkedChild) {
    const test::socket_pair sockets = test::make_sockets();
    test::child child([&] {
        zbq_ring_stats ring = {};
        CHILD_CHECK(zbq_producer_stats_fd(prod_.get()) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_refresh_stats(prod_.get()) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_producer_send_stats(prod_.get(), sockets.producer_end.get()) ==
                    ZBQ_ERROR_INVALID);
        CHILD_CHECK(zbq_stats_read(stats_.get(), &ring, sizeof ring) == ZBQ_ERROR_INVALID);
        CHILD_CHECK(test::zbq_mappings() == 0);
        zbq_stats_close(stats_.get());
        zbq_producer_destroy(prod_.get());
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(refresh().closed, 0U);
}

TEST(StatisticsPage, LeavesNothingBehind) {
    const test::leak_check check;
    const auto prod = test::make_producer();
    const test::socket_pair sockets = test::make_sockets();
    ASSERT_EQ(zbq_producer_send_stats(prod.get(), sockets.producer_end.get()), ZBQ_OK);
    zbq_stats *received = nullptr;
    ASSERT_EQ(zbq_stats_receive(sockets.consumer_end.get(), &received), ZBQ_OK);
    zbq_stats_close(received);
}

// ---- over a socket ----

class Received : public testing::Test {
protected:
    // What comes of a message with these descriptors.
    static int receive(const void *bytes, std::size_t size, const std::vector<int> &fds) {
        const test::leak_check check;
        const test::socket_pair sockets = test::make_sockets();
        EXPECT_GE(zbq::core::send_record(sockets.producer_end.get(), bytes, size, fds.data(),
                                         static_cast<unsigned>(fds.size())),
                  0);
        zbq_stats *received = nullptr;
        const int result = zbq_stats_receive(sockets.consumer_end.get(), &received);
        EXPECT_EQ(received == nullptr, result != ZBQ_OK);
        zbq_stats_close(received);
        return result;
    }
    static int receive(const zbq::core::statistics_message &message, const std::vector<int> &fds) {
        return receive(&message, sizeof message, fds);
    }

    test::producer_ptr prod_ = test::make_producer();
    int fd_ = zbq_producer_stats_fd(prod_.get());
    zbq::core::statistics_message good_ = {zbq::core::statistics_magic,
                                           zbq::core::statistics_version, 0};
};

TEST_F(Received, WhatIsNoPage) {
    EXPECT_EQ(receive(good_, {fd_}), ZBQ_OK);
    EXPECT_EQ(receive(good_, {}), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(receive(good_, {fd_, fd_}), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(receive(good_, {prod_->ring_region.fd.get()}), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(receive(&good_, sizeof good_ - 1, {fd_}), ZBQ_ERROR_PROTOCOL);
    const char longer[sizeof good_ + 1] = {'z', 'b', 'q', 's', 1};
    EXPECT_EQ(receive(longer, sizeof longer, {fd_}), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(receive({zbq::core::statistics_magic + 1, 1, 0}, {fd_}), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(receive({zbq::core::statistics_magic, 2, 0}, {fd_}), ZBQ_ERROR_PROTOCOL);
}

TEST_F(Received, NothingYetAndNobody) {
    test::socket_pair sockets = test::make_sockets();
    zbq_stats *received = nullptr;
    ASSERT_EQ(fcntl(sockets.consumer_end.get(), F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(zbq_stats_receive(sockets.consumer_end.get(), &received), ZBQ_ERROR_AGAIN);
    sockets.producer_end.reset();
    EXPECT_EQ(zbq_stats_receive(sockets.consumer_end.get(), &received), ZBQ_ERROR_IO);
    EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(Received, NotByWhoIsGoneOrHasNoRoom) {
    test::socket_pair sockets = test::make_sockets();
    sockets.consumer_end.reset();
    EXPECT_EQ(zbq_producer_send_stats(prod_.get(), sockets.producer_end.get()), ZBQ_ERROR_IO);
    sockets = test::make_sockets();
    int sent = ZBQ_OK;
    for (int i = 0; i < 10'000 && sent == ZBQ_OK; ++i) { // a socket of default size holds fewer
        sent = zbq_producer_send_stats(prod_.get(), sockets.producer_end.get());
    }
    EXPECT_EQ(sent, ZBQ_ERROR_IO);
}

// ---- a hostile producer ----

// A page that it has made itself.
class Hostile : public testing::Test {
protected:
    static constexpr std::uint64_t size = 2 * page;
    static constexpr statistics_head good = {zbq::core::statistics_magic,
                                             zbq::core::statistics_version,
                                             sizeof(statistics_head),
                                             sizeof(zbq_ring_stats),
                                             sizeof(zbq_slot_stats),
                                             4,
                                             {}};

    Hostile() { make(good); }
    void make(const statistics_head &head, std::uint64_t bytes = size) {
        EXPECT_EQ(zbq::core::region_create("zbq-statistics", bytes, false,
                                           zbq::core::sharing::read_only, &page_),
                  0);
        head_ = head;
        std::memcpy(page_.memory.get(), &head, sizeof head);
    }
    int open_it() { return open_it(page_.fd.get()); }
    static int open_it(int fd) {
        const test::leak_check check;
        zbq_stats *opened = nullptr;
        const int result = zbq_stats_open(fd, &opened);
        EXPECT_EQ(opened == nullptr, result != ZBQ_OK);
        zbq_stats_close(opened);
        return result;
    }
    int open_with(const std::function<void(statistics_head &)> &change) {
        statistics_head head = good;
        change(head);
        std::memcpy(page_.memory.get(), &head, sizeof head);
        return open_it();
    }
    [[nodiscard]] zbq::core::account_copy *copy(unsigned number) const {
        return zbq::core::copy_at(page_.memory, head_, number);
    }
    // All words alike.
    void write(std::uint64_t number, std::uint64_t word) const {
        zbq::core::account_copy *at = copy(number % 2);
        zbq::core::account_begin(at, 2 * number - 1);
        for (std::uint64_t i = 0; i < zbq::core::account_size(head_) / sizeof word; ++i) {
            zbq::core::account_word_publish(at, i, word);
        }
        zbq::core::account_end(at, 2 * number);
    }

    zbq::core::region page_;
    statistics_head head_ = good;
};

TEST_F(Hostile, HeadsThatCannotBe) {
    EXPECT_EQ(open_it(), ZBQ_OK);
    using head = statistics_head;
    EXPECT_EQ(open_with([](head &of) { of.magic = 0; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.version = 2; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.head_size = 56; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.head_size = 68; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.head_size = UINT32_MAX - 7; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.ring_size -= 8; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.ring_size += 4; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.ring_size = UINT32_MAX - 7; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.slot_size -= 8; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.slot_size = 0; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.slot_size = UINT32_MAX - 7; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([](head &of) { of.slots = UINT32_MAX; }), ZBQ_ERROR_PROTOCOL);
    const auto wraps = [](head &of) { // its size is 2^64
        of.slots = UINT32_MAX;
        of.slot_size = 1U << 31U;
        of.ring_size = (1U << 31U) - 64;
    };
    EXPECT_EQ(open_with(wraps), ZBQ_ERROR_PROTOCOL);
    head last = good;
    while (zbq::core::statistics_size(last) <= size) {
        ++last.slots;
    }
    EXPECT_EQ(open_with([&](head &of) { of.slots = last.slots; }), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(open_with([&](head &of) { of.slots = last.slots - 1; }), ZBQ_OK);
    EXPECT_EQ(open_with([](head &of) { of.slots = 0; }), ZBQ_OK);
}

TEST_F(Hostile, OtherThingsThanAPage) {
    const test::socket_pair sockets = test::make_sockets();
    EXPECT_EQ(open_it(sockets.producer_end.get()), ZBQ_ERROR_PROTOCOL);
    const test::unique_fd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(open_it(file.get()), ZBQ_ERROR_PROTOCOL);
    const test::unique_fd unsealed(zbq_memory_create(size));
    ASSERT_EQ(pwrite(unsealed.get(), &good, sizeof good, 0), ssize_t{sizeof good});
    EXPECT_EQ(open_it(unsealed.get()), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    EXPECT_EQ(open_it(unsealed.get()), ZBQ_ERROR_PROTOCOL); // it could be written to
    EXPECT_EQ(open_it(-1), ZBQ_ERROR_PROTOCOL);
    make(good, sizeof good - 8);
    EXPECT_EQ(open_it(), ZBQ_ERROR_PROTOCOL);
    make(good, zbq::core::most_statistics_bytes + page);
    EXPECT_EQ(open_it(), ZBQ_ERROR_PROTOCOL);
    make(good, zbq::core::most_statistics_bytes);
    EXPECT_EQ(open_it(), ZBQ_OK);
}

TEST_F(Hostile, AnyWordsAreHarmless) {
    const stats_ptr stats = open_page(page_.fd.get());
    write(1, UINT64_MAX);
    const zbq_ring_stats ring = read(stats);
    EXPECT_EQ(std::strlen(ring.name), std::size_t{ZBQ_NAME_SIZE - 1});
    EXPECT_EQ(ring.slots, good.slots);
    EXPECT_EQ(ring.slowest_slot, ZBQ_NO_SLOT);
    EXPECT_EQ(slot(stats, good.slots - 1).lag, UINT64_MAX);
    zbq_slot_stats none = {};
    EXPECT_EQ(zbq_stats_slot(stats.get(), good.slots, &none, sizeof none), ZBQ_ERROR_NOENT);
    write(2, 0x0000'0004'0000'0004); // the first slot that there is not
    EXPECT_EQ(read(stats).slowest_slot, ZBQ_NO_SLOT);
    write(3, 0x0000'0003'0000'0003);
    EXPECT_EQ(read(stats).slowest_slot, 3U);
}

TEST_F(Hostile, ASequenceThatNeverSettles) {
    const stats_ptr stats = open_page(page_.fd.get());
    zbq_ring_stats ring = {};
    EXPECT_EQ(zbq_stats_read(stats.get(), &ring, sizeof ring), ZBQ_ERROR_AGAIN); // none yet
    write(1, 5);
    EXPECT_EQ(read(stats).head, 5U);
    for (const unsigned number : {0U, 1U}) {
        zbq::core::account_begin(copy(number), 2 * number + 77); // and never ends
    }
    EXPECT_EQ(zbq_stats_read(stats.get(), &ring, sizeof ring), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(slot(stats, 0).lag, 5U); // the last one stands
}

// A producer that was stopped or killed in the midst of an account.
TEST_F(Hostile, TheOtherCopyIsWhole) {
    const stats_ptr stats = open_page(page_.fd.get());
    for (std::uint64_t number = 1; number < 4; ++number) {
        write(number, number);
        zbq::core::account_begin(copy((number + 1) % 2), 2 * (number + 1) - 1);
        zbq::core::account_word_publish(copy((number + 1) % 2), 0, 99);
        EXPECT_EQ(read(stats).head, number);
    }
}

// Whatever moments they meet at: an account is all of one moment, or is not given.
TEST_F(Hostile, AccountsAreNeverMixed) {
    const stats_ptr stats = open_page(page_.fd.get());
    write(1, 1);
    const std::jthread writer([this] {
        for (std::uint64_t number = 2; number < 20'000; ++number) {
            write(number, number);
        }
    });
    std::uint64_t newest = 0;
    while (newest != 19'999) {
        zbq_ring_stats ring = {};
        const int result = zbq_stats_read(stats.get(), &ring, sizeof ring);
        ASSERT_TRUE(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
        if (result == ZBQ_OK) {
            ASSERT_GE(ring.head, newest);
            newest = ring.head;
            EXPECT_EQ(ring.written_at, newest);
            EXPECT_EQ(ring.wakes, newest);
            EXPECT_EQ(slot(stats, 0).lag, newest);
            EXPECT_EQ(slot(stats, 3).dropped_records, newest);
        }
    }
}

TEST_F(Hostile, LongerLinesOfALaterVersion) {
    statistics_head later = good;
    later.head_size = 128;
    later.ring_size += 48;
    later.slot_size += 16;
    later.slots = 2;
    make(later);
    const auto put = [&](std::uint64_t word, std::uint64_t value) {
        zbq::core::account_word_publish(copy(1), word, value);
    };
    put(4, 4096);                                    // capacity
    put(later.ring_size / 8, 1);                     // of the first slot: its join
    put((later.ring_size + later.slot_size) / 8, 2); // of the second
    zbq::core::account_end(copy(1), 2);
    const stats_ptr stats = open_page(page_.fd.get());
    EXPECT_EQ(read(stats).capacity, 4096U);
    EXPECT_EQ(slot(stats, 0).join_number, 1U);
    EXPECT_EQ(slot(stats, 1).join_number, 2U);
}

} // namespace
