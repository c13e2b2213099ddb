// SPDX-License-Identifier: MIT
#include "support/pretender.hpp"
#include "support/rig.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <zbq/inline.h>

namespace {

using test::page;

class Peek : public testing::Test {
protected:
    int peek() { return zbq_consumer_peek(cons_, &view_); }
    int next() { return zbq_consumer_next(cons_, &view_); }
    int window_next() { return zbq_window_next(window_, &view_); }
    bool release() { return zbq_window_release(window_, view_.logical_offset + view_.total_len); }
    [[nodiscard]] std::string payload() const {
        return {static_cast<const char *>(view_.payload), view_.payload_len};
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = page});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
    zbq_msg_view view_ = {};
    zbq_read_window *window_ = zbq_consumer_window(cons_);
};

TEST_F(Peek, RefusesNull) {
    EXPECT_EQ(zbq_consumer_peek(nullptr, &view_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_peek(cons_, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_next(nullptr, &view_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_next(cons_, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_look(nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_window(nullptr), nullptr);
    zbq_consumer_ring(nullptr);
    EXPECT_EQ(zbq_consumer_acquire_head(nullptr), 0U);
    EXPECT_EQ(zbq_consumer_tail(nullptr), 0U);
    EXPECT_EQ(zbq_consumer_ctrl(nullptr), nullptr);
    EXPECT_EQ(zbq_consumer_meta(nullptr), nullptr);
    EXPECT_FALSE(zbq_consumer_valid(nullptr));
    EXPECT_FALSE(zbq_consumer_is_producer_alive(nullptr));
    zbq_consumer_destroy(nullptr);
}

TEST_F(Peek, NothingNewIsAgain) {
    EXPECT_EQ(peek(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(next(), ZBQ_ERROR_AGAIN);
}

TEST_F(Peek, ShowsTheMessageAndStays) {
    ASSERT_TRUE(test::publish(prod_.get(), "hello", 2, 9));
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(peek(), ZBQ_OK);
        EXPECT_EQ(payload(), "hello");
        EXPECT_EQ(view_.logical_offset, 0U);
        EXPECT_EQ(view_.total_len, 21U);
        EXPECT_EQ(view_.header->fd_count, 2);
        EXPECT_EQ(view_.header->seq_id, 9U);
        EXPECT_EQ(static_cast<const void *>(view_.header + 1), view_.payload);
    }
    EXPECT_EQ(zbq_consumer_tail(cons_), 0U);
}

TEST_F(Peek, EmptyMessage) {
    ASSERT_TRUE(test::publish(prod_.get(), ""));
    ASSERT_EQ(peek(), ZBQ_OK);
    EXPECT_EQ(view_.payload_len, 0U);
    EXPECT_EQ(view_.total_len, 16U);
}

TEST_F(Peek, MessageThatFillsTheRing) {
    ASSERT_TRUE(test::publish(prod_.get(), std::string(page - 16, 'z')));
    ASSERT_EQ(peek(), ZBQ_OK);
    EXPECT_EQ(payload(), std::string(page - 16, 'z'));
}

TEST_F(Peek, NextWalksABatchThatOnePublishReleases) {
    for (const char *word : {"one", "two", "three"}) {
        ASSERT_TRUE(test::publish(prod_.get(), word));
    }
    for (const char *word : {"one", "two", "three"}) {
        ASSERT_EQ(next(), ZBQ_OK);
        EXPECT_EQ(payload(), word);
    }
    EXPECT_EQ(next(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_tail(cons_), 0U);
    ASSERT_EQ(peek(), ZBQ_OK);
    EXPECT_EQ(payload(), "one");
    zbq_consumer_publish(cons_, 96);
    EXPECT_EQ(peek(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(next(), ZBQ_ERROR_AGAIN);
}

TEST_F(Peek, ALookTakesNothing) {
    EXPECT_EQ(zbq_consumer_look(cons_), ZBQ_ERROR_AGAIN);
    ASSERT_TRUE(test::publish(prod_.get(), "one"));
    EXPECT_EQ(zbq_consumer_look(cons_), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_look(cons_), ZBQ_OK);
    ASSERT_EQ(next(), ZBQ_OK);
    EXPECT_EQ(payload(), "one");
    EXPECT_EQ(zbq_consumer_look(cons_), ZBQ_ERROR_AGAIN);
}

TEST_F(Peek, WithoutACallTheSame) {
    EXPECT_EQ(window_next(), ZBQ_ERROR_AGAIN);
    for (const char *word : {"one", "two", "three"}) {
        ASSERT_TRUE(test::publish(prod_.get(), word));
    }
    std::uint64_t offset = 0;
    for (const char *word : {"one", "two", "three"}) {
        ASSERT_EQ(window_next(), ZBQ_OK);
        EXPECT_EQ(payload(), word);
        EXPECT_EQ(view_.total_len, 16 + payload().size());
        EXPECT_EQ(view_.logical_offset, offset);
        offset += 32;
    }
    EXPECT_EQ(window_next(), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_tail(cons_), 0U);
    ASSERT_TRUE(release());
    EXPECT_EQ(zbq_consumer_tail(cons_), 96U);
    EXPECT_EQ(zbq_consumer_meta(cons_)->tail_offset, 96U);
}

TEST_F(Peek, CallsAndInlineFunctionsMix) {
    for (const char *word : {"one", "two", "three", "four"}) {
        ASSERT_TRUE(test::publish(prod_.get(), word));
    }
    ASSERT_EQ(window_next(), ZBQ_OK);
    ASSERT_EQ(next(), ZBQ_OK);
    EXPECT_EQ(payload(), "two");
    ASSERT_EQ(peek(), ZBQ_OK);
    EXPECT_EQ(payload(), "one");
    zbq_consumer_publish(cons_, 96); // past the cursor
    ASSERT_EQ(window_next(), ZBQ_OK);
    EXPECT_EQ(payload(), "four");
}

TEST_F(Peek, AReleaseIsOfWhatWasRead) {
    ASSERT_TRUE(test::publish(prod_.get(), "one"));
    ASSERT_TRUE(test::publish(prod_.get(), "two"));
    EXPECT_TRUE(zbq_window_release(window_, 0));
    EXPECT_FALSE(zbq_window_release(window_, 1));
    ASSERT_EQ(window_next(), ZBQ_OK);
    EXPECT_FALSE(zbq_window_release(window_, 33));
    EXPECT_EQ(zbq_consumer_tail(cons_), 0U);
    EXPECT_TRUE(zbq_window_release(window_, 17)); // rounded up
    EXPECT_EQ(zbq_consumer_tail(cons_), 32U);
    EXPECT_FALSE(zbq_window_release(window_, 16));
    EXPECT_FALSE(zbq_window_release(window_, UINT64_MAX));
    EXPECT_EQ(zbq_consumer_meta(cons_)->tail_offset, 32U);
}

// Round the ring many times, with messages across its end: each place is right, also of one that
// is looked at again.
TEST_F(Peek, TheWindowGoesRoundTheRing) {
    for (unsigned i = 0; i < 200; ++i) {
        const std::string sent(std::size_t{16} * (i % 100), static_cast<char>('a' + i % 26));
        ASSERT_TRUE(test::publish(prod_.get(), sent));
        ASSERT_EQ(window_next(), ZBQ_OK);
        EXPECT_EQ(payload(), sent);
        ASSERT_TRUE(test::publish(prod_.get(), "second")); // for which the window may come round
        ASSERT_EQ(window_next(), ZBQ_OK);
        EXPECT_EQ(payload(), "second");
        ASSERT_EQ(peek(), ZBQ_OK);
        EXPECT_EQ(payload(), sent);
        zbq_consumer_publish(cons_, window_->cursor);
        EXPECT_LE(window_->next, window_->ring + 2 * page);
    }
}

TEST_F(Peek, SeemsReadyForAMessageTheEndAndAnEviction) {
    EXPECT_FALSE(zbq_window_seems_ready(window_));
    ASSERT_TRUE(test::publish(prod_.get(), "one"));
    EXPECT_TRUE(zbq_window_seems_ready(window_));
    ASSERT_EQ(window_next(), ZBQ_OK);
    EXPECT_FALSE(zbq_window_seems_ready(window_));
    const test::joined evicted = test::join(prod_.get());
    const zbq_read_window *other = zbq_consumer_window(evicted.consumer.get());
    EXPECT_FALSE(zbq_window_seems_ready(other));
    test::cheat_tail(zbq_consumer_meta(evicted.consumer.get()), 8);
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_TRUE(zbq_window_seems_ready(other));
    EXPECT_FALSE(zbq_window_seems_ready(window_));
    prod_.reset();
    EXPECT_TRUE(zbq_window_seems_ready(window_));
}

// Whoever releases by itself leaves the time as it is; the next look in vain brings it up to date.
TEST_F(Peek, ALookInVainNotesTheTimeOfTheLastRelease) {
    const std::uint64_t &time = zbq_consumer_meta(cons_)->progress_timestamp;
    zbq_consumer_meta(cons_)->progress_timestamp = 7;
    ASSERT_TRUE(test::publish(prod_.get(), "one"));
    EXPECT_EQ(zbq_consumer_look(cons_), ZBQ_OK);
    ASSERT_EQ(window_next(), ZBQ_OK);
    ASSERT_TRUE(release());
    EXPECT_EQ(time, 7U);
    EXPECT_EQ(next(), ZBQ_ERROR_AGAIN);
    EXPECT_NE(time, 7U);
    zbq_consumer_meta(cons_)->progress_timestamp = 7;
    EXPECT_EQ(next(), ZBQ_ERROR_AGAIN); // nothing was released since
    EXPECT_EQ(time, 7U);
    ASSERT_TRUE(test::publish(prod_.get(), "two"));
    ASSERT_EQ(window_next(), ZBQ_OK);
    ASSERT_TRUE(release());
    ASSERT_TRUE(test::publish(prod_.get(), "three"));
    ASSERT_EQ(zbq_consumer_spin(cons_, 0), ZBQ_OK); // a spin does so whatever it finds
    EXPECT_NE(time, 7U);
}

TEST_F(Peek, NextFollowsATailThatPassesIt) {
    ASSERT_TRUE(test::publish(prod_.get(), "one"));
    ASSERT_TRUE(test::publish(prod_.get(), "two"));
    ASSERT_EQ(peek(), ZBQ_OK);
    zbq_consumer_publish(cons_, view_.total_len);
    ASSERT_EQ(next(), ZBQ_OK);
    EXPECT_EQ(payload(), "two");
}

TEST_F(Peek, EndOfStreamIsToldOnceAllIsRead) {
    ASSERT_TRUE(test::publish(prod_.get(), "last"));
    prod_.reset();
    ASSERT_EQ(next(), ZBQ_OK);
    EXPECT_EQ(payload(), "last");
    EXPECT_EQ(next(), ZBQ_ERROR_NOENT);
    ASSERT_EQ(peek(), ZBQ_OK);
    zbq_consumer_publish(cons_, view_.total_len);
    EXPECT_EQ(peek(), ZBQ_ERROR_NOENT);
    EXPECT_TRUE(zbq_consumer_valid(cons_));
}

TEST_F(Peek, EvictedIsToldAtOnceEvenWithUnreadMessages) {
    ASSERT_TRUE(test::publish(prod_.get(), "unread"));
    ASSERT_EQ(peek(), ZBQ_OK);
    EXPECT_TRUE(zbq_consumer_valid(cons_));
    zbq_consumer_meta(cons_)->tail_offset = 8; // by its own fault
    ASSERT_EQ(zbq_producer_scan(prod_.get()), ZBQ_OK);
    EXPECT_EQ(peek(), ZBQ_ERROR_NOENT);
    EXPECT_EQ(next(), ZBQ_ERROR_NOENT);
    EXPECT_EQ(zbq_consumer_look(cons_), ZBQ_ERROR_NOENT);
    EXPECT_EQ(window_next(), ZBQ_ERROR_NOENT);
    EXPECT_TRUE(zbq_window_seems_ready(window_));
    EXPECT_FALSE(zbq_window_valid(window_));
    EXPECT_FALSE(zbq_consumer_valid(cons_));
}

// ---- a hostile producer ----

class Hostile : public testing::Test {
protected:
    int peek() { return zbq_consumer_peek(cons_.get(), &view_); }
    void message(uint64_t offset, uint32_t payload_len, uint64_t head) {
        pretender_.put_message(offset, payload_len);
        pretender_.set_head(head);
    }

    test::pretender pretender_;
    test::consumer_ptr cons_ = pretender_.join();
    zbq_msg_view view_ = {};
};

TEST_F(Hostile, LengthBeyondTheHead) {
    message(0, 17, 32);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
}

TEST_F(Hostile, LengthAtTheHead) {
    message(0, 16, 32);
    EXPECT_EQ(peek(), ZBQ_OK);
}

TEST_F(Hostile, LongestLength) {
    message(0, UINT32_MAX, page);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
}

TEST_F(Hostile, MalformedStaysMalformed) {
    message(0, 100, 16);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
    message(0, 0, 16);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
}

// What is right before it is given; the error comes with the next call, and stays.
TEST_F(Hostile, LengthBeyondTheHeadWithoutACall) {
    zbq_read_window *window = zbq_consumer_window(cons_.get());
    pretender_.put_message(0, 0);
    message(16, 17, 48);
    ASSERT_EQ(zbq_window_next(window, &view_), ZBQ_OK);
    EXPECT_EQ(view_.payload_len, 0U);
    EXPECT_EQ(zbq_window_next(window, &view_), ZBQ_ERROR_PROTOCOL);
    message(16, 0, 64);
    EXPECT_EQ(zbq_window_next(window, &view_), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(zbq_consumer_ending(cons_.get(), nullptr), ZBQ_ENDING_MALFORMED);
}

TEST_F(Hostile, HeadThatCannotBeWithoutACall) {
    zbq_read_window *window = zbq_consumer_window(cons_.get());
    for (const std::uint64_t head : {page + 16, std::uint64_t{24}, UINT64_MAX - 15}) {
        pretender_.set_head(head);
        EXPECT_FALSE(zbq_window_look(window));
        EXPECT_EQ(window->head, 0U);
    }
    EXPECT_EQ(zbq_window_next(window, &view_), ZBQ_ERROR_PROTOCOL);
    message(0, 0, 16);
    EXPECT_FALSE(zbq_window_look(window));
    EXPECT_EQ(zbq_window_next(window, &view_), ZBQ_ERROR_PROTOCOL);
}

// However the head looks when it is asked.
TEST_F(Hostile, SpinTellsOfAMalformedStream) {
    pretender_.set_head(24);
    EXPECT_EQ(zbq_consumer_look(cons_.get()), ZBQ_ERROR_PROTOCOL);
    pretender_.set_head(0);
    EXPECT_EQ(zbq_consumer_spin(cons_.get(), UINT64_MAX), ZBQ_ERROR_PROTOCOL);
}

TEST_F(Hostile, SpinTellsOfWhatIsKnown) {
    message(0, 0, 32);
    ASSERT_EQ(zbq_consumer_acquire_head(cons_.get()), 32U);
    pretender_.set_head(0);
    EXPECT_EQ(zbq_consumer_spin(cons_.get(), UINT64_MAX), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_spin(cons_.get(), 0), ZBQ_OK);
}

TEST_F(Hostile, HeadBeyondTheCapacity) {
    message(0, 0, page + 16);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(zbq_consumer_acquire_head(cons_.get()), 0U);
}

TEST_F(Hostile, HeadOffTheGrid) {
    message(0, 0, 24);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
}

TEST_F(Hostile, HeadThatFalls) {
    message(0, 0, 64);
    ASSERT_EQ(zbq_consumer_acquire_head(cons_.get()), 64U);
    pretender_.set_head(32);
    EXPECT_EQ(zbq_consumer_acquire_head(cons_.get()), 64U);
    EXPECT_EQ(peek(), ZBQ_ERROR_PROTOCOL);
}

// A joiner's start is the producer's word: reading begins there, wherever it is.
TEST(Start, NearTheTopOfTheOffsets) {
    test::pretender pretender;
    pretender.payload.initial_head = UINT64_MAX - 15;
    pretender.set_head(UINT64_MAX - 15);
    const test::consumer_ptr cons = pretender.join();
    ASSERT_NE(cons, nullptr);
    zbq_msg_view view = {};
    EXPECT_EQ(zbq_consumer_peek(cons.get(), &view), ZBQ_ERROR_AGAIN);
    pretender.set_head(0);
    EXPECT_EQ(zbq_consumer_peek(cons.get(), &view), ZBQ_ERROR_PROTOCOL);
}

} // namespace
