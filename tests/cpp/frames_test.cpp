// SPDX-License-Identifier: MIT
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <algorithm>
#include <string>
#include <sys/resource.h>

namespace {

using test::bytes;
using test::text_of;
using zbq::status;

constexpr std::size_t frame_size = 10'000;

class Frames : public testing::Test {
protected:
    zbq::frames join(zbq::flow how = zbq::flow::lossless) {
        return zbq::frames(test::join(ring_, zbq::wakeup::push, how));
    }
    void paint(std::uint8_t color) {
        zbq::frame next = pool_.acquire(zbq::never);
        ASSERT_TRUE(next);
        std::fill(next.bytes().begin(), next.bytes().end(), std::byte{color});
        ASSERT_EQ(next.publish(frame_size, zbq::never, bytes("painted")), status::ok);
        EXPECT_FALSE(next);
    }
    static bool is_all(const zbq::received_frame &got, std::uint8_t color) {
        return got && got.bytes().size() == frame_size &&
               std::all_of(got.bytes().begin(), got.bytes().end(),
                           [color](std::byte each) { return each == std::byte{color}; });
    }

    zbq::producer ring_{{.stall_timeout = std::chrono::milliseconds(1)}};
    zbq::frame_pool pool_{ring_, {.frames = 3, .frame_size = frame_size}, zbq::never};
};

TEST(FramesSetUp, RefusesWhatCannotBe) {
    zbq::producer ring;
    const auto make = [&](const zbq::frame_pool_options &options) {
        return test::thrown_by([&] { const zbq::frame_pool none(ring, options, zbq::now); });
    };
    EXPECT_EQ(make({.frames = 0, .frame_size = 1}), status::invalid);
    EXPECT_EQ(make({.frames = 1, .frame_size = 0}), status::invalid);
    EXPECT_EQ(make({.frames = 65, .frame_size = 1}), status::too_large);
    EXPECT_EQ(make({.frames = SIZE_MAX, .frame_size = 1}), status::too_large);
    EXPECT_EQ(make({.frames = 1, .frame_size = SIZE_MAX}), status::too_large);
}

TEST(FramesSetUp, SeveralPoolsGoIntoOneRing) {
    zbq::producer ring;
    zbq::frame_pool one(ring, {.frames = 2, .frame_size = 100}, zbq::now);
    zbq::frame_pool two(ring, {.frames = 2, .frame_size = 200, .first_key = 100}, zbq::now);
    const int fds[] = {STDIN_FILENO};
    ASSERT_EQ(ring.retain(50, bytes(std::string(100, 'x')), fds, zbq::now), status::ok);
    zbq::frames reader(test::join(ring));
    for (zbq::frame_pool *pool : {&one, &two}) {
        zbq::frame next = pool->acquire(zbq::now);
        next.bytes()[0] = std::byte{pool == &one ? std::uint8_t{1} : std::uint8_t{2}};
        ASSERT_EQ(next.publish(1, zbq::now), status::ok);
    }
    EXPECT_EQ(reader.try_next().bytes()[0], std::byte{1});
    EXPECT_EQ(reader.try_next().bytes()[0], std::byte{2});
}

TEST(FramesSetUp, EvictionsOfBeforeHideNoneOfLater) {
    zbq::producer ring({.max_consumers = 4});
    zbq::consumer early = test::join(ring);
    static_cast<void>(test::join(ring)); // which has left
    ASSERT_EQ(ring.scan(), status::ok);
    zbq::frame_pool pool(ring, {.frames = 1, .frame_size = 100}, zbq::now);
    zbq::frames slow(std::move(early));
    EXPECT_FALSE(slow.try_next()); // it has the buffer now
    ASSERT_EQ(pool.acquire(zbq::now).publish(100, zbq::now), status::ok);
    const zbq::received_frame held = slow.try_next();
    ASSERT_TRUE(held);
    static_cast<void>(ring.statistics());
    test::cheat_tail(zbq_consumer_meta(slow.reader().get()), 8);
    ASSERT_EQ(ring.scan(), status::ok);
    const zbq::consumer other = test::join(ring); // in its slot
    EXPECT_TRUE(pool.acquire(zbq::now));
    EXPECT_EQ(pool.replaced(), 1U);
}

TEST_F(Frames, AreReadInPlaceByAll) {
    zbq::frames one = join();
    zbq::frames two = join();
    for (std::uint8_t color = 1; color <= 50; ++color) {
        paint(color);
        for (zbq::frames *reader : {&one, &two}) {
            const zbq::received_frame got = reader->try_next();
            EXPECT_TRUE(is_all(got, color));
            EXPECT_EQ(text_of(got.beside()), "painted");
            EXPECT_TRUE(got.intact());
        }
    }
    EXPECT_EQ(one.try_next().why(), status::again);
    EXPECT_EQ(pool_.replaced(), 0U);
}

TEST_F(Frames, ComeBackWhenAllHaveLetGo) {
    zbq::producer patient; // nobody is evicted
    zbq::frame_pool pool(patient, {.frames = 3, .frame_size = 100}, zbq::now);
    zbq::frames reader(test::join(patient));
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(pool.acquire(zbq::now).publish(100, zbq::now), status::ok);
    }
    EXPECT_EQ(pool.acquire(zbq::now).why(), status::again);
    zbq::received_frame held = reader.try_next();
    ASSERT_TRUE(held);
    EXPECT_EQ(pool.acquire(zbq::now).why(), status::again);
    held.release();
    EXPECT_TRUE(pool.acquire(zbq::now));
    EXPECT_TRUE(pool.acquire(zbq::now)); // dropped, it was free again
}

TEST_F(Frames, AllOfThemCanBeFilledAtOnce) {
    std::vector<zbq::frame> filling;
    for (int i = 0; i < 3; ++i) {
        filling.push_back(pool_.acquire(zbq::now));
        ASSERT_TRUE(filling.back());
    }
    EXPECT_EQ(pool_.acquire(zbq::now).why(), status::again);
    EXPECT_EQ(filling[0].publish(frame_size + 1, zbq::now), status::invalid);
    EXPECT_TRUE(filling[0]);
}

TEST_F(Frames, WhatAnEvictedReaderLooksAtIsReplaced) {
    zbq::frames slow = join();
    paint(1);
    const zbq::received_frame held = slow.try_next();
    for (std::uint8_t color = 2; color < 10; ++color) { // the third time round it is in the way
        paint(color);
    }
    EXPECT_EQ(slow.reader().eviction(), zbq::eviction::stalled);
    EXPECT_EQ(pool_.replaced(), 3U);
    EXPECT_TRUE(is_all(held, 1)); // nobody has touched it
    EXPECT_TRUE(held.intact());
    EXPECT_FALSE(held.beside_intact()); // that is in the ring
    zbq::frames late = join();
    paint(11);
    EXPECT_TRUE(is_all(late.try_next(), 11));
}

// Evicted for what it does to its page, at a moment that the test chooses.
void evict(zbq::producer &ring, const zbq::frames &reader) {
    static_cast<void>(ring.statistics()); // it sees what was released until now
    test::cheat_tail(zbq_consumer_meta(const_cast<zbq::frames &>(reader).reader().get()), 8);
    EXPECT_EQ(ring.scan(), status::ok);
}

TEST_F(Frames, OnlyWhatAnEvictedReaderMayLookAtIsReplaced) {
    zbq::frames slow = join();
    paint(1);
    paint(2);
    paint(3);
    EXPECT_TRUE(is_all(slow.try_next(), 1));
    EXPECT_TRUE(is_all(slow.try_next(), 2));
    const zbq::received_frame held = slow.try_next();
    evict(ring_, slow);
    paint(4);
    paint(5);
    EXPECT_EQ(pool_.replaced(), 0U);
    paint(6);
    EXPECT_EQ(pool_.replaced(), 1U);
    EXPECT_TRUE(is_all(held, 3));
}

// A pool of two, and readers that come and go.
class FewFrames : public testing::Test {
protected:
    void paint(std::uint8_t color) {
        zbq::frame next = pool_.acquire(zbq::now);
        ASSERT_TRUE(next);
        std::fill(next.bytes().begin(), next.bytes().end(), std::byte{color});
        ASSERT_EQ(next.publish(100, zbq::now), status::ok);
    }
    void expect_untouched(const zbq::received_frame &held, std::uint8_t color) {
        paint(color + 1);
        paint(color + 2);
        EXPECT_EQ(held.bytes()[0], std::byte{color});
        EXPECT_TRUE(held.intact());
    }

    zbq::producer ring_;
    zbq::frame_pool pool_{ring_, {.frames = 2, .frame_size = 100}, zbq::now};
};

TEST_F(FewFrames, WhoIsEvictedIsNotForgottenWhereAnotherHasItsSlot) {
    zbq::frames slow(test::join(ring_));
    paint(1);
    const zbq::received_frame held = slow.try_next();
    evict(ring_, slow);
    const zbq::consumer other = test::join(ring_, zbq::wakeup::pull, zbq::flow::follow);
    expect_untouched(held, 1);
}

TEST_F(FewFrames, NorWhereOneBeforeItHasLeft) {
    zbq::frames slow(test::join(ring_));
    static_cast<void>(test::join(ring_)); // which has left
    ASSERT_EQ(ring_.scan(), status::ok);
    paint(1);
    const zbq::received_frame held = slow.try_next();
    evict(ring_, slow);
    const zbq::consumer other = test::join(ring_, zbq::wakeup::pull, zbq::flow::follow);
    expect_untouched(held, 1);
}

// Whatever an observer knows of: what it is shown is what was painted.
TEST_F(FewFrames, AnOldBufferIsNotTakenForTheNewOne) {
    zbq::frames observing(test::join(ring_, zbq::wakeup::push, zbq::flow::newest));
    zbq::frames slow(test::join(ring_));
    paint(1);
    const zbq::received_frame held = slow.try_next();
    evict(ring_, slow);
    for (std::uint8_t color = 2; color < 10; ++color) {
        paint(color);
        const zbq::received_frame seen = observing.try_next();
        EXPECT_TRUE(!seen || seen.bytes()[0] == std::byte{color});
    }
    EXPECT_EQ(pool_.replaced(), 1U);
}

TEST_F(Frames, OneThatHasLeftLooksNoMore) {
    {
        zbq::frames short_lived = join();
        paint(1);
        EXPECT_TRUE(is_all(short_lived.try_next(), 1));
    }
    for (std::uint8_t color = 2; color < 10; ++color) {
        paint(color);
    }
    EXPECT_EQ(pool_.replaced(), 0U);
}

TEST_F(Frames, ReadersLearnOfANewBuffer) {
    zbq::frames slow = join();
    paint(1);
    const zbq::received_frame held = slow.try_next();
    zbq::frames quick = join();
    for (std::uint8_t color = 2; color < 20; ++color) {
        paint(color);
        zbq::received_frame got = quick.try_next();
        EXPECT_TRUE(is_all(got, color)) << int{color};
    }
    EXPECT_EQ(pool_.replaced(), 3U);
}

class ReplacedFrames : public Frames {
protected:
    // 1 to 4, of which the last is in a new buffer: who was evicted looks at the first.
    void paint_with_a_new_buffer() {
        paint(1);
        held_ = slow_.try_next();
        evict(ring_, slow_);
        paint(2);
        paint(3);
        paint(4);
    }

    zbq::frames slow_ = join();
    zbq::received_frame held_;
};

TEST_F(ReplacedFrames, AreSkippedByWhoStartsInThePast) {
    paint_with_a_new_buffer();
    zbq::frames late(
        test::join(ring_, zbq::wakeup::push, zbq::flow::lossless, zbq::start::oldest()));
    EXPECT_TRUE(is_all(late.try_next(), 2));
    EXPECT_TRUE(is_all(late.try_next(), 3));
    EXPECT_TRUE(is_all(late.try_next(), 4));
    EXPECT_EQ(late.try_next().why(), status::again);
    EXPECT_EQ(late.skipped(), 1U);
}

TEST_F(Frames, ThoseThatMoveLeaveNothingBehind) {
    zbq::frames reader = join();
    paint(1);
    zbq::received_frame got = reader.try_next();
    const zbq::received_frame moved = std::move(got);
    EXPECT_TRUE(is_all(moved, 1));
    EXPECT_TRUE(got.bytes().empty()); // NOLINT(*use-after-move,*Move): that is the question
    EXPECT_EQ(got.why(), status::invalid);
    zbq::frame one = pool_.acquire(zbq::now);
    zbq::frame two = pool_.acquire(zbq::now);
    one = std::move(two);
    EXPECT_TRUE(one);
    EXPECT_FALSE(two); // NOLINT(*use-after-move,*Move): and this
    two = pool_.acquire(zbq::now);
    EXPECT_TRUE(two); // one's own is free again
}

TEST_F(ReplacedFrames, AreSkippedByAnObserverThatMissedTheNewBuffer) {
    zbq::frames observing = join(zbq::flow::follow);
    paint_with_a_new_buffer();
    const std::string other(100'000, 'x');
    for (int i = 0; i < 20; ++i) { // more than the ring
        ASSERT_EQ(ring_.try_publish(bytes(other)), status::ok);
    }
    paint(5);
    paint(6);
    paint(7); // in that one again
    EXPECT_TRUE(is_all(observing.try_next(), 5));
    EXPECT_TRUE(is_all(observing.try_next(), 6));
    const std::uint64_t others = observing.skipped();
    EXPECT_EQ(observing.try_next().why(), status::again);
    EXPECT_EQ(observing.skipped(), others + 1);
}

TEST_F(Frames, AnObserverSeesWhatIsPaintedOver) {
    zbq::frames observing = join(zbq::flow::newest);
    paint(1);
    paint(2);
    const zbq::received_frame held = observing.try_next();
    EXPECT_TRUE(is_all(held, 2));
    EXPECT_TRUE(held.intact());
    for (std::uint8_t color = 3; color < 10; ++color) {
        paint(color);
    }
    EXPECT_FALSE(held.intact());
    const zbq::received_frame last = observing.try_next();
    EXPECT_TRUE(is_all(last, 9));
    EXPECT_TRUE(last.intact());
    // From the moment on at which its buffer is given out to be filled.
    zbq::frame filling[] = {pool_.acquire(zbq::now), pool_.acquire(zbq::now),
                            pool_.acquire(zbq::now)};
    EXPECT_TRUE(filling[2]);
    EXPECT_FALSE(last.intact());
}

TEST_F(Frames, AReaderIsInPushMode) {
    EXPECT_EQ(test::thrown_by([&] { zbq::frames(test::join(ring_, zbq::wakeup::pull)); }),
              status::invalid);
}

// An error, and no signal.
TEST_F(Frames, ABufferIsNotLargerThanFilesMayBe) {
    rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small = {frame_size, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    EXPECT_EQ(test::thrown_by([&] {
                  zbq::frame_pool(ring_, {.frames = 1, .frame_size = frame_size, .first_key = 9},
                                  zbq::now);
              }),
              status::no_memory);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
}

TEST_F(Frames, AMessageThatNamesNoBufferGivesNoFrame) {
    zbq::frames reader = join();
    paint(1);
    EXPECT_TRUE(is_all(reader.try_next(), 1));
    using zbq::detail::frame_note;
    constexpr std::uint64_t mark = zbq::detail::frame_mark;
    const frame_note right = {mark, frame_size, 1, 1};
    for (const frame_note &wrong :
         {frame_note{mark, frame_size, 4, 1}, frame_note{mark, frame_size, 1, 2},
          frame_note{mark, frame_size + 1, 1, 1}, frame_note{mark, UINT64_MAX, 1, 1},
          frame_note{mark + 1, frame_size, 1, 1}}) {
        ASSERT_EQ(ring_.try_publish(std::as_bytes(std::span(&wrong, 1))), status::ok);
        EXPECT_EQ(reader.try_next().why(), status::protocol);
    }
    ASSERT_EQ(ring_.try_publish(std::as_bytes(std::span(&right, 1)).first(sizeof right - 1)),
              status::ok);
    EXPECT_EQ(reader.try_next().why(), status::protocol);
    ASSERT_EQ(ring_.try_publish(std::as_bytes(std::span(&right, 1))), status::ok);
    EXPECT_TRUE(reader.try_next());
}

TEST_F(Frames, ABufferThatIsNoneIsRefused) {
    const auto offer = [&](std::size_t size, int seals, std::uint64_t said) {
        zbq::producer other;
        const test::unique_fd fd(memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
        EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
        const zbq::detail::frame_buffer_note note = {zbq::detail::frame_mark, said, 1, 1};
        const int fds[] = {fd.get()};
        EXPECT_EQ(other.retain(1, std::as_bytes(std::span(&note, 1)), fds, zbq::now), status::ok);
        return test::thrown_by([&] { const zbq::frames reader(test::join(other)); });
    };
    const std::size_t head = zbq::detail::frame_memory::head_size();
    EXPECT_EQ(offer(2 * head, F_SEAL_SHRINK, head), status::ok);
    EXPECT_EQ(offer(2 * head, F_SEAL_GROW, head), status::protocol); // it may shrink
    EXPECT_EQ(offer(2 * head, F_SEAL_SHRINK, head + 1), status::protocol);
    EXPECT_EQ(offer(2 * head, F_SEAL_SHRINK, UINT64_MAX - head + 1), status::protocol);
    EXPECT_EQ(offer(head - 1, F_SEAL_SHRINK, 0), status::protocol);
}

TEST_F(Frames, TheirMemoryIsSealedAgainstReaders) {
    const zbq::consumer reader = test::join(ring_);
    for (const zbq::message_view &each : reader.retained()) {
        zbq_consumer *handle = reader.get();
        int fds[ZBQ_MAX_FD_PER_MSG];
        std::uint8_t count = 0;
        ASSERT_EQ(zbq_consumer_recv_fds(handle, each.key(), fds, &count), ZBQ_OK);
        ASSERT_EQ(count, 1);
        const test::unique_fd fd(fds[0]);
        EXPECT_NE(ftruncate(fd.get(), 0), 0);
        EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
        EXPECT_NE(write(fd.get(), "x", 1), 1);
    }
}

} // namespace
