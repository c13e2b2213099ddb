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
    int readable(std::uint64_t from) { return zbq_consumer_readable(cons_, from, &run_); }
    [[nodiscard]] std::string payload() const {
        return {static_cast<const char *>(view_.payload), view_.payload_len};
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = page});
    test::joined joined_ = test::join(prod_.get());
    zbq_consumer *cons_ = joined_.consumer.get();
    zbq_msg_view view_ = {};
    zbq_readable_run run_ = {};
};

TEST_F(Peek, RefusesNull) {
    EXPECT_EQ(zbq_consumer_peek(nullptr, &view_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_peek(cons_, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_next(nullptr, &view_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_next(cons_, nullptr), ZBQ_ERROR_INVALID);
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

TEST_F(Peek, ReadableRefusesWhatIsOutOfRange) {
    ASSERT_TRUE(test::publish(prod_.get(), "one"));
    ASSERT_TRUE(test::publish(prod_.get(), "two"));
    EXPECT_EQ(readable(32), ZBQ_ERROR_INVALID); // not acquired yet
    ASSERT_EQ(readable(0), ZBQ_OK);
    EXPECT_EQ(zbq_consumer_readable(nullptr, 0, &run_), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_consumer_readable(cons_, 0, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(readable(8), ZBQ_ERROR_INVALID);
    EXPECT_EQ(readable(80), ZBQ_ERROR_INVALID);
    zbq_consumer_publish(cons_, 32);
    EXPECT_EQ(readable(0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(run_.bytes, 64U); // as it was
    EXPECT_EQ(readable(64), ZBQ_ERROR_AGAIN);
}

TEST_F(Peek, ReadableGivesAllThatIsThere) {
    for (const char *word : {"one", "two", "three"}) {
        ASSERT_TRUE(test::publish(prod_.get(), word));
    }
    ASSERT_EQ(readable(0), ZBQ_OK);
    for (const char *word : {"one", "two", "three"}) {
        ASSERT_TRUE(zbq_readable_next(&run_, &view_));
        EXPECT_EQ(payload(), word);
        EXPECT_EQ(view_.total_len, 16 + payload().size());
        EXPECT_EQ(view_.logical_offset + 32, run_.offset);
    }
    EXPECT_FALSE(zbq_readable_next(&run_, &view_));
    EXPECT_EQ(run_.bytes, 0U);
    EXPECT_EQ(readable(run_.offset), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(zbq_consumer_tail(cons_), 0U);
    ASSERT_EQ(readable(64), ZBQ_OK); // again from the middle, and next goes on there
    EXPECT_EQ(run_.bytes, 32U);
    ASSERT_EQ(next(), ZBQ_OK);
    EXPECT_EQ(payload(), "three");
}

TEST_F(Peek, ReadableGoesAcrossTheEndOfTheRing) {
    ASSERT_TRUE(test::publish(prod_.get(), std::string(page - 64, 'a')));
    ASSERT_EQ(peek(), ZBQ_OK);
    zbq_consumer_publish(cons_, page - 48);
    ASSERT_TRUE(test::publish(prod_.get(), std::string(80, 'b')));
    ASSERT_TRUE(test::publish(prod_.get(), "c"));
    ASSERT_EQ(readable(page - 48), ZBQ_OK);
    ASSERT_TRUE(zbq_readable_next(&run_, &view_));
    EXPECT_EQ(payload(), std::string(80, 'b'));
    ASSERT_TRUE(zbq_readable_next(&run_, &view_));
    EXPECT_EQ(payload(), "c");
    ASSERT_EQ(readable(page + 48), ZBQ_OK); // its place is computed anew
    ASSERT_TRUE(zbq_readable_next(&run_, &view_));
    EXPECT_EQ(payload(), "c");
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
    EXPECT_EQ(readable(0), ZBQ_ERROR_NOENT);
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

// What is right before it is given; the error comes with the next call.
TEST_F(Hostile, LengthBeyondTheHeadInARun) {
    pretender_.put_message(0, 0);
    message(16, 17, 48);
    zbq_readable_run run = {};
    ASSERT_EQ(zbq_consumer_readable(cons_.get(), 0, &run), ZBQ_OK);
    ASSERT_TRUE(zbq_readable_next(&run, &view_));
    EXPECT_EQ(view_.payload_len, 0U);
    EXPECT_FALSE(zbq_readable_next(&run, &view_));
    EXPECT_EQ(run.offset, 16U);
    EXPECT_EQ(run.bytes, 32U);
    EXPECT_EQ(zbq_consumer_readable(cons_.get(), 16, &run), ZBQ_ERROR_PROTOCOL);
    EXPECT_EQ(zbq_consumer_ending(cons_.get(), nullptr), ZBQ_ENDING_MALFORMED);
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
