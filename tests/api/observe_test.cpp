// SPDX-License-Identifier: MIT
//
// Observers, and history: who is never waited for, and who starts in the past.
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/pretender.hpp"
#include "support/process.hpp"

#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <utility>
#include <vector>
#include <zbq/inline.h>

namespace {

using test::page;

constexpr std::uint64_t capacity = 16 * page;
constexpr std::uint64_t each_size = 128; // in the ring, of most messages here

// Its number, and bytes that are all of its number.
std::string numbered(std::uint64_t number, std::uint64_t size) {
    std::string payload(size, static_cast<char>(number));
    std::memcpy(payload.data(), &number, std::min(size, sizeof number));
    return payload;
}

class Observe : public testing::Test {
protected:
    test::joined observer(zbq_wakeup_mode mode = ZBQ_OBSERVE_PULL) {
        return test::join(prod_.get(), mode);
    }
    void publish(std::uint64_t count, std::uint64_t size = 100) {
        for (std::uint64_t i = 0; i < count; ++i) {
            ASSERT_TRUE(test::publish(prod_.get(), numbered(published_, size)));
            ++published_;
        }
    }
    [[nodiscard]] std::uint64_t head() const { return test::stats(prod_.get()).head; }
    static zbq_loss lost(const test::joined &who) {
        zbq_loss loss = {};
        EXPECT_EQ(zbq_consumer_lost(who.consumer.get(), &loss), ZBQ_OK);
        return loss;
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = capacity});
    std::uint64_t published_ = 0;
};

std::uint64_t number_in(const zbq_msg_view &view) {
    std::uint64_t number = 0;
    std::memcpy(&number, view.payload, sizeof number);
    return number;
}

TEST_F(Observe, RefusesNullAndOthers) {
    const test::joined lossless = test::join(prod_.get());
    zbq_loss loss = {};
    EXPECT_EQ(zbq_consumer_seek(nullptr, ZBQ_SEEK_HEAD), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_seek(lossless.consumer.get(), ZBQ_SEEK_HEAD), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_set_resume(nullptr, ZBQ_SEEK_HEAD), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_set_resume(lossless.consumer.get(), ZBQ_SEEK_HEAD), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_lost(nullptr, &loss), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_lost(lossless.consumer.get(), nullptr), ZBQ_ERROR_INVALID);
    const test::joined own = observer();
    EXPECT_EQ(zbq_consumer_seek(own.consumer.get(), static_cast<zbq_seek_to>(3)),
              ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_set_resume(own.consumer.get(), static_cast<zbq_seek_to>(-1)),
              ZBQ_ERROR_INVALID);
}

TEST_F(Observe, ReadsAllWhileItKeepsUp) {
    for (const zbq_wakeup_mode mode : {ZBQ_OBSERVE_PULL, ZBQ_OBSERVE_PUSH}) {
        const test::joined own = observer(mode);
        zbq_read_window *window = zbq_consumer_window(own.consumer.get());
        zbq_msg_view view = {};
        for (int lap = 0; lap < 3000; ++lap) { // several times round
            const std::uint64_t number = published_;
            publish(2, 40);
            ASSERT_EQ(zbq_window_next(window, &view), ZBQ_OK);
            EXPECT_EQ(number_in(view), number);
            EXPECT_TRUE(zbq_window_valid(window));
            EXPECT_TRUE(zbq_window_release(window, view.logical_offset + view.total_len));
            ASSERT_EQ(zbq_consumer_peek(own.consumer.get(), &view), ZBQ_OK);
            EXPECT_EQ(number_in(view), number + 1);
            zbq_consumer_publish(own.consumer.get(), view.logical_offset + view.total_len);
            ASSERT_EQ(zbq_window_next(window, &view), ZBQ_ERROR_AGAIN);
        }
        EXPECT_EQ(lost(own).times, 0U);
    }
}

TEST_F(Observe, IsNeverWaitedForNorEvicted) {
    std::vector<test::joined> stopped;
    stopped.reserve(4);
    for (int i = 0; i < 4; ++i) {
        stopped.push_back(observer(i % 2 == 0 ? ZBQ_OBSERVE_PULL : ZBQ_OBSERVE_PUSH));
    }
    publish(2000); // each succeeds
    EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).failures, 0U);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 4U);
}

TEST_F(Observe, ItsTailCountsForNothing) {
    const test::joined own = observer();
    for (const std::uint64_t tail : {std::uint64_t{7}, UINT64_MAX, std::uint64_t{0}}) {
        test::cheat_tail(zbq_consumer_meta(own.consumer.get()), tail);
        publish(1000);
        EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
        EXPECT_LE(test::info(prod_.get(), own.slot).tail, head());
        EXPECT_LE(test::info(prod_.get(), own.slot).lag, head());
    }
    EXPECT_EQ(test::stats(prod_.get()).consumers, 1U);
}

TEST_F(Observe, IsInNobodysWay) {
    prod_ = test::make_producer({.capacity = capacity, .stall_timeout_ns = test::ms});
    const test::joined lossless = test::join(prod_.get());
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    test::fill(prod_.get());
    EXPECT_EQ(test::scan_until_evicted(prod_.get(), lossless.slot),
              std::uint32_t{ZBQ_EVICTION_STALLED});
    test::fill(prod_.get());
    const zbq_producer_statistics now = test::stats(prod_.get());
    EXPECT_EQ(now.consumers, 1U);
    EXPECT_EQ(now.evicted[0], 1U);
    EXPECT_EQ(test::info(prod_.get(), own.slot).eviction, std::uint32_t{ZBQ_EVICTION_NONE});
}

TEST_F(Observe, RingsNobodyWhoWaitsForRoom) {
    const test::joined lossless = test::join(prod_.get());
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    ASSERT_GE(zbq_producer_event_fd(prod_.get()), 0);
    test::fill(prod_.get());
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), page, &run), ZBQ_ERROR_AGAIN);
    zbq_msg_view view = {};
    while (zbq_consumer_next(own.consumer.get(), &view) == ZBQ_OK) {
    }
    zbq_consumer_publish(own.consumer.get(), head());
    EXPECT_EQ(zbq::core::event_take(prod_->slots[own.slot].event.get()),
              zbq::core::event_state::quiet);
}

TEST_F(Observe, IsToldExactlyWhatItHasLost) {
    const test::joined own = observer();
    zbq_msg_view view = {};
    publish(1);
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    const std::uint64_t end = view.logical_offset + zbq::core::round_up(view.total_len);
    publish(2000);
    EXPECT_FALSE(zbq_consumer_valid(own.consumer.get())); // what it still looks at is void
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.logical_offset, prod_->history.floor());
    EXPECT_EQ(number_in(view), view.logical_offset / 128);
    EXPECT_EQ(lost(own).bytes, view.logical_offset - end);
    EXPECT_EQ(lost(own).times, 1U);
    // What was read before the lap stays void until it is released.
    EXPECT_FALSE(zbq_consumer_valid(own.consumer.get()));
    EXPECT_TRUE(
        zbq_window_valid_from(zbq_consumer_window(own.consumer.get()), view.logical_offset));
    zbq_consumer_publish(own.consumer.get(), view.logical_offset);
    EXPECT_TRUE(zbq_consumer_valid(own.consumer.get()));
}

TEST_F(Observe, PeekGoesOnWhereTheRingIsWhole) {
    const test::joined own = observer();
    zbq_msg_view view = {};
    publish(2000);
    ASSERT_EQ(zbq_consumer_peek(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.logical_offset, prod_->history.floor());
    // Two read ahead, lapped between tail and cursor or past it: never anything that is not whole.
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
        ASSERT_EQ(number_in(view), view.logical_offset / 128);
        publish(1);
    }
    ASSERT_EQ(zbq_consumer_peek(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(number_in(view), view.logical_offset / 128);
    EXPECT_TRUE(zbq_consumer_valid(own.consumer.get()));
}

TEST_F(Observe, GoesOnWhereItChose) {
    for (const zbq_seek_to to : {ZBQ_SEEK_OLDEST, ZBQ_SEEK_NEWEST, ZBQ_SEEK_HEAD}) {
        const test::joined own = observer();
        ASSERT_EQ(zbq_consumer_set_resume(own.consumer.get(), to), ZBQ_OK);
        const std::uint64_t start = head();
        publish(2000);
        zbq_msg_view view = {};
        const int result = zbq_consumer_next(own.consumer.get(), &view);
        if (to == ZBQ_SEEK_HEAD) {
            EXPECT_EQ(result, ZBQ_ERROR_AGAIN);
            EXPECT_EQ(lost(own).bytes, head() - start);
            publish(1);
            ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
            EXPECT_EQ(number_in(view), published_ - 1);
        } else {
            ASSERT_EQ(result, ZBQ_OK);
            EXPECT_EQ(view.logical_offset,
                      to == ZBQ_SEEK_NEWEST ? head() - 128 : prod_->history.floor());
            EXPECT_EQ(number_in(view), view.logical_offset / 128);
            EXPECT_EQ(lost(own).bytes, view.logical_offset - start);
        }
    }
}

TEST_F(Observe, TheNewestIsTheLastOfTheNewestCommit) {
    const test::joined own = observer();
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK); // there is none
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_ERROR_AGAIN);
    publish(3);
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), 96, &run), ZBQ_OK);
    for (int i = 0; i < 3; ++i) {
        const zbq_msg_header header = {16, 0, static_cast<std::uint8_t>(i), 0, 0};
        std::memcpy(static_cast<char *>(run.base) + std::ptrdiff_t{32} * i, &header, sizeof header);
    }
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 96, ZBQ_COMMIT_NONE));
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.header->flags, 2);
    EXPECT_EQ(lost(own).bytes, 0U); // it was skipped, not lost
    // It is not given twice.
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_ERROR_AGAIN);
    // Back to the oldest.
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_OLDEST), ZBQ_OK);
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.logical_offset, 0U);
}

TEST_F(Observe, ASeekCountsWhatWasOverwritten) {
    for (const zbq_seek_to to : {ZBQ_SEEK_OLDEST, ZBQ_SEEK_NEWEST, ZBQ_SEEK_HEAD}) {
        const test::joined own = observer();
        zbq_msg_view view = {};
        publish(1);
        ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK); // not released
        const std::uint64_t start = head();
        publish(2000);
        ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), to), ZBQ_OK);
        EXPECT_EQ(lost(own).bytes, prod_->history.floor() - start);
        EXPECT_EQ(lost(own).times, 1U);
        EXPECT_EQ(zbq_consumer_tail(own.consumer.get()),
                  zbq_consumer_window(own.consumer.get())->cursor);
    }
}

TEST_F(Observe, AnEvictedOneSeeksNowhere) {
    const test::joined own = observer();
    const std::uint64_t start = zbq_consumer_tail(own.consumer.get());
    publish(2);
    zbq::core::evict(prod_.get(), &prod_->slots[own.slot], ZBQ_EVICTION_DEAR);
    EXPECT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_HEAD), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_consumer_tail(own.consumer.get()), start);
}

TEST_F(Observe, LooksAtTheHeadWithoutTakingItOver) {
    const test::joined own = observer();
    publish(2000);
    EXPECT_EQ(zbq_consumer_acquire_head(own.consumer.get()), head());
    zbq_msg_view view = {};
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_TRUE(zbq_consumer_valid(own.consumer.get())); // all before was released
}

TEST_F(Observe, TheNewestOfVeryManyIsThatOfItsCommit) {
    prod_ = test::make_producer({.capacity = 1024 * page});
    const test::joined own = observer();
    for (int i = 0; i < 10'000; ++i) {
        ASSERT_TRUE(test::publish(prod_.get(), ""));
    }
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.logical_offset, head() - 16);
}

// ---- lapped while it reads ----

// Calls something in the midst of whatever first touches some memory; or, of several parts,
// whatever touches the next one.
class on_touch {
public:
    on_touch(const void *memory, std::size_t size, int protection, std::function<void()> then,
             std::size_t parts = 1)
        : memory_(const_cast<void *>(memory)), size_(size), protection_(protection),
          then_(std::move(then)), parts_(parts) {
        EXPECT_EQ(the_one, nullptr);
        the_one = this;
        struct sigaction how = {};
        how.sa_handler = touched;
        how.sa_flags = SA_NODEFER;
        EXPECT_EQ(sigaction(SIGSEGV, &how, &before_), 0);
        EXPECT_EQ(mprotect(memory_, size_, PROT_NONE), 0);
    }
    on_touch(const on_touch &) = delete;
    on_touch &operator=(const on_touch &) = delete;
    ~on_touch() {
        EXPECT_EQ(the_one, nullptr) << "nobody has touched it";
        sigaction(SIGSEGV, &before_, nullptr);
    }

private:
    static void touched(int /*signal*/) {
        on_touch *one = the_one;
        if (one == nullptr || one->touched_ == one->parts_) {
            _exit(139);
        }
        const std::size_t open = one->size_ / one->parts_ * ++one->touched_;
        the_one = one->touched_ == one->parts_ ? nullptr : one;
        if (mprotect(one->memory_, open, one->protection_) != 0) {
            _exit(139);
        }
        one->then_();
    }

    inline static on_touch *the_one = nullptr;
    void *memory_;
    std::size_t size_;
    int protection_;
    std::function<void()> then_;
    std::size_t parts_;
    std::size_t touched_ = 0;
    struct sigaction before_ = {};
};

class Lapped : public Observe {
protected:
    // Of other messages, one of which starts where there was one: its length would do.
    static constexpr std::uint64_t other_size = 40;
    void lap() { publish(1500, other_size); }

    // Laps an observer as soon as it looks at the ring.
    on_touch lap_when_it_looks(const test::joined &who) {
        return {zbq_consumer_window(who.consumer.get())->ring, 2 * capacity, PROT_READ,
                [this] { lap(); }};
    }
    void expect_oldest(int result, std::uint64_t offset, std::uint64_t payload_len) const {
        EXPECT_EQ(result, ZBQ_OK);
        EXPECT_EQ(offset, prod_->history.floor());
        EXPECT_EQ(payload_len, other_size);
    }
};

TEST_F(Lapped, BeforeALengthIsRead) {
    for (const bool without_call : {false, true}) {
        const test::joined own = observer();
        zbq_msg_view view = {};
        publish(1);
        ASSERT_EQ(zbq_consumer_look(own.consumer.get()), ZBQ_OK);
        const on_touch touch = lap_when_it_looks(own);
        const int result = without_call
                               ? zbq_window_next(zbq_consumer_window(own.consumer.get()), &view)
                               : zbq_consumer_next(own.consumer.get(), &view);
        expect_oldest(result, view.logical_offset, view.payload_len);
        EXPECT_EQ(lost(own).times, 1U);
    }
}

TEST_F(Lapped, WhileItLooksForTheNewest) {
    const test::joined own = observer();
    zbq_msg_view view = {};
    publish(1);
    {
        const on_touch touch = lap_when_it_looks(own);
        ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    }
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(number_in(view), published_ - 1);
}

TEST_F(Lapped, WhileItCopies) {
    const test::joined own = observer();
    publish(1);
    void *buffer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(buffer, MAP_FAILED);
    zbq_msg_copy copy = {};
    {
        const on_touch touch(buffer, page, PROT_READ | PROT_WRITE, [this] { lap(); });
        const int result = zbq_consumer_copy(own.consumer.get(), buffer, page, &copy);
        expect_oldest(result, copy.logical_offset, copy.header.payload_len);
    }
    std::uint64_t number = 0;
    std::memcpy(&number, buffer, sizeof number);
    EXPECT_EQ(std::string(static_cast<char *>(buffer), other_size), numbered(number, other_size));
    munmap(buffer, page);
}

// Each of its attempts. Whoever is told but once of each change is told that there is something.
TEST_F(Lapped, AgainAndAgainWhileItCopies) {
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    zbq_consumer *cons = own.consumer.get();
    const test::unique_fd watch(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    ASSERT_EQ(epoll_ctl(watch.get(), EPOLL_CTL_ADD, zbq_consumer_event_fd(cons), &event), 0);
    do { // until the nap that goes with a look in vain has ended
        ASSERT_EQ(zbq_consumer_look(cons), ZBQ_ERROR_AGAIN);
    } while (epoll_wait(watch.get(), &event, 1, 20) == 1);
    publish(1);
    ASSERT_EQ(epoll_wait(watch.get(), &event, 1, -1), 1);
    const std::size_t size = zbq::core::most_laps * page;
    void *buffer = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(buffer, MAP_FAILED);
    zbq_msg_copy copy = {};
    {
        std::uint64_t pages = 0;
        const auto lap_larger = [&] { publish(40, ++pages * page + 1); };
        const on_touch touch(buffer, size, PROT_READ | PROT_WRITE, lap_larger,
                             zbq::core::most_laps);
        EXPECT_EQ(zbq_consumer_copy(cons, buffer, size, &copy), ZBQ_ERROR_AGAIN);
    }
    EXPECT_EQ(epoll_wait(watch.get(), &event, 1, 10'000), 1);
    munmap(buffer, size);
}

TEST_F(Lapped, EvictedWhileItCopies) {
    const test::joined lossless = test::join(prod_.get());
    publish(1);
    void *buffer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(buffer, MAP_FAILED);
    zbq_msg_copy copy = {};
    {
        const on_touch touch(buffer, page, PROT_READ | PROT_WRITE, [&] {
            test::cheat_tail(zbq_consumer_meta(lossless.consumer.get()), 8);
            EXPECT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
        });
        EXPECT_EQ(zbq_consumer_copy(lossless.consumer.get(), buffer, page, &copy), ZBQ_ERROR_NOENT);
    }
    munmap(buffer, page);
}

// ---- copies ----

TEST_F(Observe, CopiesWhatIsWhole) {
    const test::joined lossless = test::join(prod_.get());
    const test::joined own = observer();
    for (const test::joined *who : {&lossless, &own}) {
        zbq_consumer *cons = who->consumer.get();
        zbq_msg_copy copy = {};
        char buffer[64];
        EXPECT_EQ(zbq_consumer_copy(nullptr, buffer, sizeof buffer, &copy), ZBQ_ERROR_INVALID);
        EXPECT_EQ(zbq_consumer_copy(cons, buffer, sizeof buffer, nullptr), ZBQ_ERROR_INVALID);
        EXPECT_EQ(zbq_consumer_copy(cons, nullptr, 1, &copy), ZBQ_ERROR_INVALID);
    }
    ASSERT_TRUE(test::publish(prod_.get(), "hello", 3, 9));
    ASSERT_TRUE(test::publish(prod_.get(), ""));
    for (const test::joined *who : {&lossless, &own}) {
        zbq_consumer *cons = who->consumer.get();
        zbq_msg_copy copy = {};
        char buffer[64] = {};
        EXPECT_EQ(zbq_consumer_copy(cons, buffer, 4, &copy), ZBQ_ERROR_OVERFLOW);
        EXPECT_EQ(copy.header.payload_len, 5U);
        EXPECT_EQ(std::string(buffer), ""); // untouched
        EXPECT_EQ(zbq_consumer_tail(cons), 0U);
        ASSERT_EQ(zbq_consumer_copy(cons, buffer, 5, &copy), ZBQ_OK);
        EXPECT_EQ(std::string(buffer), "hello");
        EXPECT_EQ(copy.header.fd_count, 3);
        EXPECT_EQ(copy.header.seq_id, 9U);
        EXPECT_EQ(copy.logical_offset, 0U);
        EXPECT_EQ(zbq_consumer_tail(cons), 32U);
        ASSERT_EQ(zbq_consumer_copy(cons, nullptr, 0, &copy), ZBQ_OK);
        EXPECT_EQ(copy.header.payload_len, 0U);
        EXPECT_EQ(zbq_consumer_copy(cons, buffer, 5, &copy), ZBQ_ERROR_AGAIN);
    }
}

// Whoever has read something before, and releases it by itself.
TEST_F(Observe, ACopyIsReleasedWithWhatComesBeforeIt) {
    const test::joined own = test::join(prod_.get());
    zbq_consumer *cons = own.consumer.get();
    for (const bool skips : {false, true}) {
        publish(5);
        const auto pass = [&] {
            zbq_msg_copy copy = {};
            std::string buffer(200, ' ');
            return skips ? zbq_consumer_skip(cons, zbq_consumer_window(cons)->cursor + each_size)
                         : zbq_consumer_copy(cons, buffer.data(), buffer.size(), &copy);
        };
        zbq_msg_view view = {};
        const std::uint64_t start = zbq_consumer_tail(cons);
        ASSERT_EQ(zbq_consumer_next(cons, &view), ZBQ_OK);
        ASSERT_EQ(pass(), ZBQ_OK);
        EXPECT_EQ(zbq_consumer_tail(cons), start);
        zbq_consumer_publish(cons, view.logical_offset + view.total_len);
        EXPECT_EQ(zbq_consumer_tail(cons), start + 2 * each_size);
        ASSERT_EQ(zbq_consumer_next(cons, &view), ZBQ_OK);
        ASSERT_EQ(pass(), ZBQ_OK);
        zbq_window_release(zbq_consumer_window(cons), view.logical_offset + view.total_len);
        EXPECT_EQ(zbq_consumer_tail(cons), start + 3 * each_size);
        ASSERT_EQ(pass(), ZBQ_OK);
        EXPECT_EQ(zbq_consumer_tail(cons), start + 5 * each_size);
    }
}

TEST_F(Observe, IsToldOfTheEnd) {
    const test::joined own = observer();
    publish(2);
    prod_.reset();
    zbq_msg_view view = {};
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_consumer_ending(own.consumer.get(), nullptr), ZBQ_ENDING_CLOSED);
}

// Also where nothing of the ring is whole any more.
TEST_F(Observe, IsToldOfTheEndBehindAGrantOfAllOfIt) {
    const test::joined own = observer();
    ASSERT_EQ(zbq_consumer_set_resume(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    publish(3);
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), capacity, &run), ZBQ_OK);
    prod_.reset();
    zbq_msg_view view = {};
    EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_ERROR_NOENT);
}

// ---- hostile producers ----

class ObserveHostile : public Observe {
protected:
    // Whatever it says, past the library.
    void say(std::uint64_t head, std::uint64_t floor, std::uint64_t newest) {
        __atomic_store_n(&prod_->control->floor, floor, __ATOMIC_RELEASE);
        __atomic_store_n(&prod_->control->newest, newest, __ATOMIC_RELEASE);
        __atomic_store_n(&prod_->control->producer_head, head, __ATOMIC_RELEASE);
    }
    // All of a view lies in what is mapped.
    static void expect_within(const test::joined &who, const zbq_msg_view &view) {
        const zbq_read_window *window = zbq_consumer_window(who.consumer.get());
        const auto *begin = static_cast<const char *>(view.payload);
        EXPECT_GE(begin, window->ring);
        EXPECT_LE(begin + view.payload_len, window->ring + 2 * window->capacity);
    }
    // Each way to look, whose result does not matter.
    static void look(const test::joined &who) {
        zbq_consumer *cons = who.consumer.get();
        zbq_msg_view view = {};
        zbq_msg_copy copy = {};
        std::string buffer(capacity, ' ');
        const auto check = [&](int result) {
            if (result == ZBQ_OK) {
                expect_within(who, view);
            }
        };
        check(zbq_consumer_peek(cons, &view));
        check(zbq_window_next(zbq_consumer_window(cons), &view));
        check(zbq_consumer_next(cons, &view));
        zbq_consumer_copy(cons, buffer.data(), buffer.size(), &copy);
        for (const zbq_seek_to to : {ZBQ_SEEK_NEWEST, ZBQ_SEEK_OLDEST, ZBQ_SEEK_HEAD}) {
            zbq_consumer_seek(cons, to);
            check(zbq_consumer_next(cons, &view));
        }
    }
};

TEST_F(ObserveHostile, WhatCannotBeIsMalformed) {
    constexpr std::uint64_t far = std::uint64_t{1} << 32U;
    const struct {
        std::uint64_t head, floor;
    } impossible[] = {
        {128, 256},                 // the floor is past the head
        {far + capacity + 16, far}, // more than a ring
        {far + 8, far},             // off the grid
        {far + 16, far + 8},        // the same
        {0, 0},                     // the head falls
        {UINT64_MAX, 0},            // anything
        {far, 16},                  // more than a ring
    };
    for (const auto &said : impossible) {
        prod_ = test::make_producer({.capacity = capacity});
        published_ = 0;
        publish(3);
        const test::joined own = observer();
        say(said.head, said.floor, 0);
        zbq_msg_view view = {};
        EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_ERROR_PROTOCOL) << said.head;
        EXPECT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_ERROR_PROTOCOL);
        EXPECT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_OLDEST), ZBQ_ERROR_PROTOCOL);
        EXPECT_EQ(zbq_consumer_ending(own.consumer.get(), nullptr), ZBQ_ENDING_MALFORMED);
    }
}

TEST_F(ObserveHostile, AFloorThatFallsIsMalformed) {
    const test::joined own = observer();
    publish(3000);
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    say(head() + 16, prod_->history.floor() - 16, 0);
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_HEAD), ZBQ_ERROR_PROTOCOL);
}

// The floor moves far up while the newest stays where it was, then back.
TEST_F(ObserveHostile, NoWordLeadsOutOfTheRing) {
    constexpr std::uint64_t far = std::uint64_t{1} << 32U;
    for (const zbq_seek_to to : {ZBQ_SEEK_OLDEST, ZBQ_SEEK_NEWEST, ZBQ_SEEK_HEAD}) {
        for (const std::uint64_t newest : {std::uint64_t{0}, far - 16, far + 16, UINT64_MAX - 15}) {
            prod_ = test::make_producer({.capacity = capacity});
            published_ = 0;
            const test::joined own = observer();
            ASSERT_EQ(zbq_consumer_set_resume(own.consumer.get(), to), ZBQ_OK);
            publish(3);
            zbq_msg_view view = {};
            ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK); // not released
            std::memset(prod_->ring, 0xff, capacity);                        // lengths of 4 GiB
            say(far + capacity, far, newest);
            look(own);
            say(far + capacity, 0, newest);
            look(own);
        }
    }
}

// Far behind with its tail, which the producer then says was never overwritten.
TEST_F(ObserveHostile, AnOldTailIsNoPlace) {
    const test::joined own = observer();
    zbq_msg_view view = {};
    publish(1);
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    publish(3000);
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    __atomic_store_n(&prod_->control->floor, 0, __ATOMIC_RELEASE);
    if (zbq_consumer_peek(own.consumer.get(), &view) == ZBQ_OK) {
        expect_within(own, view);
    }
}

// A start far in the past, from which a stream without end leads nowhere.
TEST_F(ObserveHostile, ASkipIsBounded) {
    const test::joined own = observer();
    std::memset(prod_->ring, 0, capacity);
    for (std::uint64_t turn = 1; turn <= 3; ++turn) {
        say(turn * capacity, (turn - 1) * capacity, 0);
        EXPECT_EQ(zbq_consumer_skip(own.consumer.get(), UINT64_MAX - 15), ZBQ_ERROR_AGAIN);
        EXPECT_EQ(zbq_consumer_window(own.consumer.get())->cursor, turn * capacity);
    }
}

// A commit of empty messages without end.
TEST_F(ObserveHostile, TheWalkToTheNewestIsBounded) {
    prod_ = test::make_producer({.capacity = 1024 * page});
    const test::joined own = observer();
    std::memset(prod_->ring, 0, 1024 * page);
    say(1024 * page, 0, 0);
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_seek(own.consumer.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    ASSERT_EQ(zbq_consumer_next(own.consumer.get(), &view), ZBQ_OK);
    EXPECT_EQ(view.logical_offset, 4095 * 16U);
}

TEST_F(Observe, DescriptorsThatItDoesNotCollectAreDropped) {
    const test::joined lossless = test::join(prod_.get());
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    const test::joined pulling = observer(ZBQ_OBSERVE_PULL);
    constexpr std::uint64_t records = std::uint64_t{2} * ZBQ_MAX_FD_IN_FLIGHT;
    for (std::uint64_t id = 1; id <= records; ++id) {
        ASSERT_EQ(test::broadcast(prod_.get(), id), ZBQ_OK) << id;
        ASSERT_EQ(test::collect(lossless.consumer.get(), id).result, ZBQ_OK);
    }
    const zbq_consumer_info now = test::info(prod_.get(), own.slot);
    EXPECT_GT(now.dropped_records, 0U);
    EXPECT_GT(now.fds_in_flight, 0U);
    EXPECT_EQ(now.dropped_records + now.fds_in_flight, records);
    EXPECT_EQ(test::collect(own.consumer.get(), 1).result, ZBQ_OK);
    EXPECT_EQ(test::collect(own.consumer.get(), records).result, ZBQ_ERROR_AGAIN);
    EXPECT_EQ(test::collect(pulling.consumer.get(), 1).result, ZBQ_ERROR_NOENT);
    EXPECT_EQ(test::info(prod_.get(), pulling.slot).fds_in_flight, 0U);
    EXPECT_EQ(test::info(prod_.get(), pulling.slot).dropped_records, 0U);
    // It is given new ones once there is room.
    ASSERT_EQ(test::broadcast(prod_.get(), records + 1), ZBQ_OK);
    EXPECT_EQ(test::collect(own.consumer.get(), records + 1).result, ZBQ_OK);
}

TEST_F(Observe, GetsEachRecordOnceAndIsWokenForIt) {
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    const std::uint32_t token = zbq_consumer_get_futex_token(own.consumer.get());
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK);
    EXPECT_NE(zbq_consumer_get_futex_token(own.consumer.get()), token);
    ASSERT_EQ(test::broadcast(prod_.get(), 1), ZBQ_OK); // for who may have missed it
    EXPECT_EQ(test::info(prod_.get(), own.slot).fds_in_flight, 1U);
    EXPECT_EQ(test::info(prod_.get(), own.slot).dropped_records, 0U);
}

int send(zbq_producer *prod, std::uint64_t id, std::size_t count) {
    const std::vector<int> fds(count, STDIN_FILENO);
    return zbq_producer_broadcast_fds(prod, id, fds.data(), static_cast<std::uint8_t>(count));
}

// So many descriptors that this process may have open, and the kernel lets be in flight.
bool may_have(rlim_t descriptors) {
    rlimit limit = {};
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = descriptors;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

TEST_F(Observe, HasSoManyDescriptorsInFlightAtMost) {
    if (!may_have(8192)) {
        GTEST_SKIP() << "the limit is too low";
    }
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    for (std::uint64_t id = 1; id <= 5; ++id) {
        ASSERT_EQ(send(prod_.get(), id, 150), ZBQ_OK);
    }
    const zbq_consumer_info now = test::info(prod_.get(), own.slot);
    EXPECT_LE(now.fds_in_flight, std::uint32_t{ZBQ_MAX_FD_IN_FLIGHT});
    EXPECT_EQ(now.fds_in_flight / 150 + now.dropped_records, 5U);
}

constexpr std::uint64_t for_joins =
    std::uint64_t{zbq::core::most_unanswered} * zbq::core::join_descriptors;

TEST_F(Observe, ObserversHaveAShareOfDescriptorsOfTheirOwn) {
    constexpr std::uint64_t few = 1024;
    constexpr std::uint64_t share = few / zbq::core::observer_parts;
    ASSERT_TRUE(may_have(few));
    const test::joined one = observer(ZBQ_OBSERVE_PUSH);
    const test::joined other = observer(ZBQ_OBSERVE_PUSH);
    const test::joined lossless = test::join(prod_.get());
    std::uint64_t id = 0;
    while (id < share) {
        ASSERT_EQ(test::broadcast(prod_.get(), ++id), ZBQ_OK);
        ASSERT_EQ(test::collect(lossless.consumer.get(), id).result, ZBQ_OK);
    }
    const zbq_consumer_info first = test::info(prod_.get(), one.slot);
    const zbq_consumer_info second = test::info(prod_.get(), other.slot);
    EXPECT_EQ(first.fds_in_flight + second.fds_in_flight, share);
    EXPECT_EQ(first.dropped_records + second.dropped_records, share);
    // Nobody else has fewer for that: two together may have half of all, less those of joins.
    const test::joined more = test::join(prod_.get());
    constexpr std::uint64_t each = (few / zbq::core::in_flight_parts - for_joins) / 4;
    EXPECT_EQ(send(prod_.get(), ++id, each), ZBQ_OK);
    EXPECT_EQ(send(prod_.get(), ++id, each), ZBQ_OK);
    // Nor are they to blame for what is too much then.
    EXPECT_EQ(send(prod_.get(), ++id, each), ZBQ_ERROR_AGAIN);
    EXPECT_TRUE(prod_->slots[lossless.slot].side_blocked);
    EXPECT_TRUE(prod_->slots[more.slot].side_blocked);
    EXPECT_FALSE(prod_->slots[one.slot].side_blocked);
    EXPECT_FALSE(prod_->slots[other.slot].side_blocked);
}

TEST_F(Observe, WhereTheOthersHaveAllThereIsItsRecordIsDropped) {
    constexpr std::uint64_t all = 2048;
    constexpr std::uint64_t others = 8;
    constexpr std::uint64_t each = (all - for_joins) / others;
    static_assert(each <= all / zbq::core::observer_parts && (others + 1) * each > all);
    if (!may_have(all)) {
        GTEST_SKIP() << "the limit is too low";
    }
    prod_ = test::make_producer({.capacity = capacity, .max_consumers = others + 1});
    const test::joined own = observer(ZBQ_OBSERVE_PUSH);
    std::vector<test::joined> lossless;
    for (std::uint64_t i = 0; i < others; ++i) {
        lossless.push_back(test::join(prod_.get()));
    }
    ASSERT_EQ(send(prod_.get(), 1, each), ZBQ_OK);
    EXPECT_EQ(test::info(prod_.get(), own.slot).fds_in_flight, 0U);
    EXPECT_EQ(test::info(prod_.get(), own.slot).dropped_records, 1U);
}

// ---- a hostile producer ----

class HostileProducer : public testing::Test {
protected:
    HostileProducer() {
        pretender_.payload.wakeup_mode = ZBQ_OBSERVE_PULL;
        cons_ = pretender_.join(ZBQ_OBSERVE_PULL);
    }
    void set(std::uint64_t head, std::uint64_t floor) const {
        pretender_.set_head(head);
        __atomic_store_n(&pretender_.control()->floor, floor, __ATOMIC_RELEASE);
    }
    void expect_malformed() const {
        zbq_msg_view view = {};
        EXPECT_EQ(zbq_consumer_next(cons_.get(), &view), ZBQ_ERROR_PROTOCOL);
        set(0, 0); // it stays so
        EXPECT_EQ(zbq_consumer_next(cons_.get(), &view), ZBQ_ERROR_PROTOCOL);
        EXPECT_EQ(zbq_consumer_seek(cons_.get(), ZBQ_SEEK_HEAD), ZBQ_ERROR_PROTOCOL);
        EXPECT_EQ(zbq_consumer_ending(cons_.get(), nullptr), ZBQ_ENDING_MALFORMED);
    }
    // Headers alone.
    void read_all() const {
        zbq_msg_view view = {};
        while (zbq_consumer_next(cons_.get(), &view) == ZBQ_OK) {
            zbq_consumer_publish(cons_.get(), view.logical_offset + view.total_len);
        }
    }

    test::pretender pretender_{page};
    test::consumer_ptr cons_;
};

TEST_F(HostileProducer, WhatCanBeIsBelieved) {
    set(page, 0);
    read_all();
    set(page + 16, 16);
    read_all();
    set(9 * page, 8 * page);
    read_all();
    EXPECT_EQ(zbq_consumer_tail(cons_.get()), 9 * page);
    zbq_loss lost = {};
    EXPECT_EQ(zbq_consumer_lost(cons_.get(), &lost), ZBQ_OK);
    EXPECT_EQ(lost.bytes, 7 * page - 16);
}

TEST_F(HostileProducer, AHeadAndAFloorThatCannotBe) {
    const std::pair<std::uint64_t, std::uint64_t> wrong[] = {
        {24, 0},        // off the grid
        {32, 8},        //
        {32, 48},       // past the head
        {page + 16, 0}, // further apart than the ring is long
        {9 * page, 7 * page},
        {UINT64_MAX - 15, 0},
    };
    for (const auto &[head, floor] : wrong) {
        set(0, 0);
        cons_ = pretender_.join(ZBQ_OBSERVE_PULL);
        ASSERT_NE(cons_, nullptr);
        set(head, floor);
        expect_malformed();
    }
}

TEST_F(HostileProducer, AHeadThatFalls) {
    set(64, 0);
    read_all();
    set(48, 0);
    expect_malformed();
}

TEST_F(HostileProducer, AFloorThatFalls) {
    set(page + 64, 64);
    read_all();
    set(page + 64, 48);
    expect_malformed();
}

TEST_F(HostileProducer, ALengthThatLeadsPastTheHead) {
    pretender_.put_message(0, 17);
    set(32, 0);
    expect_malformed();
}

TEST_F(HostileProducer, ANewestThatLeadsNowhere) {
    zbq_msg_view view = {};
    pretender_.put_message(0, 17);
    set(32, 0);
    EXPECT_EQ(zbq_consumer_seek(cons_.get(), ZBQ_SEEK_NEWEST), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(zbq_consumer_next(cons_.get(), &view), ZBQ_ERROR_PROTOCOL);
}

TEST_F(HostileProducer, ANewestOffTheGrid) {
    zbq_msg_view view = {};
    pretender_.control()->newest = 40;
    set(32, 0);
    EXPECT_EQ(zbq_consumer_seek(cons_.get(), ZBQ_SEEK_NEWEST), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(zbq_consumer_next(cons_.get(), &view), ZBQ_ERROR_PROTOCOL);
}

TEST_F(HostileProducer, ANewestPastTheHeadIsTheHead) {
    zbq_msg_view view = {};
    pretender_.control()->newest = 48;
    set(32, 0);
    EXPECT_EQ(zbq_consumer_seek(cons_.get(), ZBQ_SEEK_NEWEST), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_next(cons_.get(), &view), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_tail(cons_.get()), 32U);
}

// ---- history ----

class History : public Observe {
protected:
    test::joined from(zbq_start start, zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH) {
        return test::join(prod_.get(), mode, &start);
    }
    [[nodiscard]] zbq_start at_offset(std::uint64_t offset) const {
        zbq_start start = {ZBQ_START_OFFSET, 0, offset, {}};
        std::memcpy(start.ring_id, prod_->control->ring_id, sizeof start.ring_id);
        return start;
    }
    int refused(zbq_start start) {
        const test::socket_pair sockets = test::make_sockets();
        std::uint32_t slot = 0;
        return zbq_producer_admit(prod_.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PULL, &start,
                                  &slot);
    }
    // Reads all, up to the last one published; each is whole and the one after the one before. The
    // first one's number.
    std::uint64_t read_all(const test::joined &who, std::uint64_t size) {
        std::vector<std::string> all;
        std::string payload;
        while (test::read_one(who.consumer.get(), &payload) == ZBQ_OK) {
            all.push_back(payload);
        }
        const std::uint64_t first = published_ - all.size();
        for (std::uint64_t i = 0; i < all.size(); ++i) {
            EXPECT_EQ(all[i], numbered(first + i, size));
        }
        return first;
    }
};

TEST_F(History, RingsHaveIdsOfTheirOwn) {
    const test::producer_ptr other = test::make_producer();
    EXPECT_NE(std::memcmp(prod_->control->ring_id, other->control->ring_id, 16), 0);
    const std::uint8_t zero[16] = {};
    EXPECT_NE(std::memcmp(prod_->control->ring_id, zero, 16), 0);
}

TEST_F(History, StartsWhereItWants) {
    publish(10);
    EXPECT_EQ(read_all(from({}), 100), 10U);
    EXPECT_EQ(read_all(from({ZBQ_START_OLDEST, 0, 0, {}}), 100), 0U);
    EXPECT_EQ(read_all(from({ZBQ_START_OLDEST, 0, 0, {}}, ZBQ_OBSERVE_PULL), 100), 0U);
    EXPECT_EQ(read_all(from({ZBQ_START_LAST, 0, UINT64_MAX, {}}), 100), 0U);
    EXPECT_EQ(read_all(from({ZBQ_START_LAST, 0, 0, {}}), 100), 10U);
    EXPECT_EQ(read_all(from({ZBQ_START_WITHIN, 0, UINT64_MAX, {}}), 100), 0U);
    EXPECT_EQ(read_all(from(at_offset(10 * each_size)), 100), 10U);
    EXPECT_EQ(refused({5, 0, 0, {}}), ZBQ_ERROR_INVALID);
}

TEST_F(History, TellsWhereOneWouldStart) {
    publish(100);
    const zbq_start wanted = at_offset(50 * each_size);
    const zbq_start none = at_offset(head() + 128);
    std::uint64_t offset = 77;
    EXPECT_EQ(zbq_producer_find_start(nullptr, &wanted, &offset), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_find_start(prod_.get(), nullptr, &offset), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_find_start(prod_.get(), &wanted, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_find_start(prod_.get(), &none, &offset), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_find_start(prod_.get(), &wanted, &offset), ZBQ_OK);
    EXPECT_EQ(offset, zbq_consumer_tail(from(wanted).consumer.get()));
    test::child forked([&] {
        CHILD_CHECK(zbq_producer_find_start(prod_.get(), &wanted, &offset) == ZBQ_ERROR_INVALID);
        return 0;
    });
    EXPECT_EQ(forked.wait(), 0);
}

// At the last start before it that the producer knows: the rest is for the consumer.
TEST_F(History, GoesOnToAnOffset) {
    publish(5000);
    for (const zbq_wakeup_mode mode : {ZBQ_WAKEUP_PULL, ZBQ_OBSERVE_PULL}) {
        for (std::uint64_t back = 0; back < 400; ++back) {
            const std::uint64_t offset = head() - back * 128;
            const test::joined who = from(at_offset(offset), mode);
            zbq_consumer *cons = who.consumer.get();
            EXPECT_LE(zbq_consumer_tail(cons), offset);
            EXPECT_GE(zbq_consumer_tail(cons) + capacity / 32 + 128, offset);
            ASSERT_EQ(zbq_consumer_skip(cons, offset), ZBQ_OK);
            EXPECT_EQ(zbq_consumer_tail(cons), offset);
            ASSERT_EQ(read_all(who, 100), published_ - back);
        }
    }
}

TEST_F(History, AnObserverThatIsLappedOnItsWayIsTold) {
    publish(20);
    const test::joined who = from(at_offset(10 * each_size), ZBQ_OBSERVE_PULL);
    const std::uint64_t start = zbq_consumer_tail(who.consumer.get());
    publish(5000);
    EXPECT_EQ(zbq_consumer_skip(who.consumer.get(), 10 * each_size), ZBQ_OK);
    EXPECT_EQ(lost(who).times, 1U);
    EXPECT_EQ(zbq_consumer_tail(who.consumer.get()), start + lost(who).bytes);
}

TEST_F(History, NoMessageStartsWithinOne) {
    publish(20);
    const test::joined who = from(at_offset(4 * each_size + 16));
    EXPECT_EQ(zbq_consumer_skip(nullptr, 0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_skip(who.consumer.get(), 4 * each_size + 16), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_tail(who.consumer.get()), 5 * each_size);
    EXPECT_EQ(zbq_consumer_skip(who.consumer.get(), 4 * each_size),
              ZBQ_ERROR_INVALID); // it is past it
    EXPECT_EQ(zbq_consumer_skip(who.consumer.get(), 20 * each_size), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_skip(who.consumer.get(), 21 * each_size), ZBQ_ERROR_AGAIN);
    publish(1);
    EXPECT_EQ(zbq_consumer_skip(who.consumer.get(), 21 * each_size), ZBQ_OK);
}

TEST_F(History, SoManyBytesAndAStepMore) {
    publish(5000);
    for (std::uint64_t bytes = 1; bytes <= capacity; bytes += 1000) {
        const test::joined who = from({ZBQ_START_LAST, 0, bytes, {}});
        const std::uint64_t start = zbq_consumer_tail(who.consumer.get());
        EXPECT_LE(head() - start, bytes + capacity / 32 + 128);
        EXPECT_GE(head() - start, std::min(bytes, capacity - capacity / 16));
        read_all(who, 100);
    }
}

TEST_F(History, AtMostSoManyBytes) {
    publish(5000);
    for (std::uint64_t bytes = 0; bytes <= capacity; bytes += 1000) {
        const test::joined who = from({ZBQ_START_WITHIN, 0, bytes, {}});
        const std::uint64_t start = zbq_consumer_tail(who.consumer.get());
        EXPECT_LE(head() - start, bytes);
        EXPECT_GE(head() - start + 2 * capacity / 32, std::min(bytes, capacity - capacity / 16));
        read_all(who, 100);
    }
}

TEST_F(History, AnOffsetInTheFutureIsRefused) {
    publish(20);
    EXPECT_EQ(refused(at_offset(head() + 128)), ZBQ_ERROR_INVALID);
    EXPECT_EQ(refused(at_offset(UINT64_MAX)), ZBQ_ERROR_INVALID);
    EXPECT_EQ(test::stats(prod_.get()).consumers, 0U);
    // Of another ring: what there is.
    zbq_start other = at_offset(UINT64_MAX);
    other.ring_id[0] ^= 1U;
    EXPECT_EQ(zbq_consumer_tail(from(other).consumer.get()), 0U);
    // Of whichever: this one.
    EXPECT_EQ(refused({ZBQ_START_OFFSET, 0, head() + 128, {}}), ZBQ_ERROR_INVALID);
    // Gone: the oldest.
    publish(5000);
    const test::joined late = from(at_offset(4 * each_size));
    EXPECT_EQ(zbq_consumer_tail(late.consumer.get()), prod_->history.floor());
}

// A floor that a grant has raised to the head is none of the marks.
TEST_F(History, TheOldestIsTheFloor) {
    ASSERT_TRUE(test::publish(prod_.get(), std::string(112, 'x')));
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), capacity, &run), ZBQ_OK);
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 0, ZBQ_COMMIT_NONE));
    publish(40);
    EXPECT_EQ(zbq_consumer_tail(from({ZBQ_START_OLDEST, 0, 0, {}}).consumer.get()), 128U);
    EXPECT_EQ(zbq_consumer_tail(from({ZBQ_START_LAST, 0, UINT64_MAX, {}}).consumer.get()), 128U);
    EXPECT_EQ(zbq_consumer_tail(from({ZBQ_START_WITHIN, 0, UINT64_MAX, {}}).consumer.get()), 128U);
}

TEST_F(History, WhatALosslessReaderIsPromisedIsKept) {
    publish(5000);
    const test::joined who = from({ZBQ_START_OLDEST, 0, 0, {}});
    const std::uint64_t start = zbq_consumer_tail(who.consumer.get());
    while (test::publish(prod_.get(), numbered(published_, 100))) {
        ++published_;
    }
    EXPECT_LE(head(), start + capacity);
    EXPECT_LT(read_all(who, 100), published_);
}

// Each message that starts in the last fifteen sixteenths, less the largest reservation.
TEST_F(History, FifteenSixteenthsAreKept) {
    for (std::uint64_t size = 1; size + 16 <= capacity / 2;
         size += 16) { // all that differ in the ring
        const std::uint64_t each = zbq::core::round_up(size + 16);
        const std::uint64_t start = head();
        const std::uint64_t laps = 3 * capacity / each;
        for (std::uint64_t i = 0; i < laps; ++i) {
            publish(1, size);
            const std::uint64_t kept = capacity - capacity / 16 - each;
            ASSERT_LT(prod_->history.floor(),
                      std::max(start, head() - std::min(head(), kept)) + each)
                << size;
        }
        const test::joined late = from({ZBQ_START_OFFSET, 0, 0, {}});
        read_all(late, size);
    }
}

// A reservation is granted no more than that beside it.
TEST_F(History, AGrantIsAThirtySecond) {
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), 16, &run), ZBQ_OK);
    EXPECT_EQ(run.max_bytes, capacity / 32);
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), capacity / 2, &run), ZBQ_OK);
    EXPECT_EQ(run.max_bytes, capacity / 2);
}

TEST_F(History, AGrantIsNoMoreThanIsFree) {
    const test::joined hung = test::join(prod_.get());
    publish(1, capacity - 64 - 16);
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), 16, &run), ZBQ_OK);
    EXPECT_EQ(run.max_bytes, 64U);
}

// Of which no start of a message is known but the first.
TEST_F(History, AfterAReservationOfTheWholeRing) {
    publish(3);
    const std::uint64_t start = head();
    zbq_contiguous_run run = {};
    ASSERT_EQ(zbq_producer_reserve(prod_.get(), capacity, &run), ZBQ_OK);
    EXPECT_EQ(prod_->history.floor(), start);
    for (std::uint64_t i = 0; i < 3; ++i) {
        const std::string payload = numbered(published_++, 100);
        const zbq_msg_header header = {100, 0, 0, 0, 0};
        std::memcpy(static_cast<char *>(run.base) + 128 * i, &header, sizeof header);
        std::memcpy(static_cast<char *>(run.base) + 128 * i + 16, payload.data(), payload.size());
    }
    ASSERT_TRUE(zbq_producer_commit(prod_.get(), 3 * each_size, ZBQ_COMMIT_NONE));
    EXPECT_EQ(read_all(from({ZBQ_START_OLDEST, 0, 0, {}}), 100), 3U);
    EXPECT_EQ(read_all(from({ZBQ_START_LAST, 0, UINT64_MAX, {}}), 100), 3U);
    EXPECT_EQ(zbq_consumer_tail(from(at_offset(start + 128)).consumer.get()), start);
    EXPECT_EQ(read_all(from(at_offset(0)), 100), 3U);
}

// The producer's calls of the seed grant all the room there is: history is what they leave.
TEST_F(History, AQueryLeavesWhatItDoesNotGrant) {
    publish(5000);
    const zbq_contiguous_run run = zbq_producer_query(prod_.get());
    EXPECT_GE(prod_->history.floor() + capacity, run.offset + run.max_bytes);
    EXPECT_LE(prod_->history.floor(), run.offset);
    const test::joined late = from({ZBQ_START_OLDEST, 0, 0, {}});
    read_all(late, 100);
}

// ---- what all have released ----

class Released : public Observe {};

TEST_F(Released, RefusesWhatCannotBe) {
    publish(1);
    EXPECT_EQ(zbq_producer_released(nullptr, 0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_released(prod_.get(), head() + 16), ZBQ_ERROR_INVALID);
    test::child forked([&] {
        CHILD_CHECK(zbq_producer_released(prod_.get(), 0) == ZBQ_ERROR_INVALID);
        return 0;
    });
    EXPECT_EQ(forked.wait(), 0);
}

TEST_F(Released, UpToAnOffset) {
    const test::joined one = test::join(prod_.get());
    const test::joined other = test::join(prod_.get(), ZBQ_WAKEUP_PULL);
    const test::joined own = observer(); // which releases nothing
    std::string payload;
    publish(3);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 0), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 128), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(test::read_one(one.consumer.get(), &payload), ZBQ_OK);
    ASSERT_EQ(test::read_one(one.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 128), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(test::read_one(other.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 128), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 256), ZBQ_ERROR_AGAIN);
    ASSERT_EQ(test::read_one(other.consumer.get(), &payload), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 256), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 384), ZBQ_ERROR_AGAIN);
}

TEST_F(Released, LongAgo) {
    publish(2000);
    const test::joined one = test::join(prod_.get());
    publish(1);
    EXPECT_EQ(zbq_producer_released(prod_.get(), 128), ZBQ_OK);
    EXPECT_EQ(zbq_producer_released(prod_.get(), head()), ZBQ_ERROR_AGAIN);
}

TEST_F(Released, AskedInVainItIsAnAttemptThatFailed) {
    prod_ = test::make_producer({.capacity = capacity, .stall_timeout_ns = test::ms});
    const test::joined hung = test::join(prod_.get());
    publish(1);
    while (zbq_producer_released(prod_.get(), head()) == ZBQ_ERROR_AGAIN) {
    }
    EXPECT_EQ(zbq_producer_released(prod_.get(), head()), ZBQ_OK);
    EXPECT_EQ(test::stats(prod_.get()).evicted[ZBQ_EVICTION_STALLED], 1U);
}

} // namespace
