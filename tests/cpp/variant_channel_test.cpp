// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <vector>

namespace {

using zbq::status;

struct quote {
    double bid;
    double ask;
};
struct trade {
    std::uint64_t volume;
    double price;
    std::uint32_t symbol;
};
using feed = zbq::variant_channel<"feed/1", quote, trade>;

class VariantChannel : public testing::Test {
protected:
    template <typename Received>
    static std::string text_of(const Received &got) {
        std::string text;
        got.visit([&](const quote &each) { text = "quote " + std::to_string(int(each.ask)); },
                  [&](const trade &each) { text = "trade " + std::to_string(each.symbol); });
        return text;
    }
    std::vector<std::string> read_all(status *why) {
        std::vector<std::string> seen;
        feed::received_batch batch = in_.take_batch();
        for (const feed::value &each : batch) {
            seen.push_back(text_of(each));
        }
        EXPECT_TRUE(seen.empty() || batch.intact());
        *why = batch.why();
        return seen;
    }
    // As one does who does not keep to the types.
    void publish(std::string_view text, std::uint8_t flags) {
        ASSERT_EQ(out_.ring().try_publish(test::bytes(text), flags), status::ok);
    }

    feed::producer out_;
    feed::consumer in_{test::join(out_.ring())};
};

TEST_F(VariantChannel, EachComesAsWhatItIs) {
    ASSERT_EQ(out_.try_send(quote{1, 2}), status::ok);
    ASSERT_EQ(out_.send(trade{3, 4, 5}, zbq::never), status::ok);
    ASSERT_EQ(in_.wait(zbq::never), status::ok);
    {
        const feed::received got = in_.try_next();
        ASSERT_TRUE(got);
        EXPECT_EQ(text_of(got), "quote 2");
        EXPECT_TRUE(got.intact());
    }
    EXPECT_EQ(text_of(in_.try_next()), "trade 5");
    const feed::received nothing = in_.try_next();
    EXPECT_FALSE(nothing);
    EXPECT_EQ(nothing.why(), status::again);
    EXPECT_FALSE(nothing.intact());
    EXPECT_FALSE(nothing.visit([](const auto &) { ADD_FAILURE(); }));
}

TEST_F(VariantChannel, WhatWasMovedFromIsThereNoMore) {
    ASSERT_EQ(out_.try_send(quote{1, 2}), status::ok);
    feed::received first = in_.try_next();
    const feed::received second = std::move(first);
    EXPECT_FALSE(first); // NOLINT(bugprone-use-after-move): that is the question
    EXPECT_FALSE(first.visit([](const auto &) { ADD_FAILURE(); }));
    EXPECT_EQ(text_of(second), "quote 2");
}

// A single function is used where it is.
TEST_F(VariantChannel, AVisitorKeepsWhatItLearns) {
    ASSERT_EQ(out_.try_send(quote{1, 2}), status::ok);
    ASSERT_EQ(out_.try_send(trade{3, 4, 5}), status::ok);
    struct {
        int visits = 0;
        void operator()(const quote & /*each*/) { ++visits; }
        void operator()(const trade & /*each*/) { ++visits; }
    } counts;
    for (const feed::value &each : in_.take_batch()) {
        each.visit(counts);
    }
    EXPECT_EQ(counts.visits, 2);
}

TEST_F(VariantChannel, BatchesAreFilledAndReadInPlace) {
    feed::batch room = out_.try_batch(zbq::producer::size_of(sizeof(quote)) +
                                      zbq::producer::size_of(sizeof(trade)));
    ASSERT_TRUE(room);
    *room.add<trade>() = {6, 7, 8};
    *room.add<quote>() = {9, 10};
    EXPECT_EQ(room.add<quote>(), nullptr);
    EXPECT_EQ(room.size(), 2U);
    EXPECT_EQ(room.commit(), status::ok);
    status why = status::io;
    EXPECT_EQ(read_all(&why), (std::vector<std::string>{"trade 8", "quote 10"}));
    EXPECT_EQ(why, status::ok);
}

TEST_F(VariantChannel, IsAskedWhichItIs) {
    ASSERT_EQ(out_.try_send(trade{1, 2, 3}), status::ok);
    feed::received_batch batch = in_.take_batch();
    const feed::value each = *batch.begin();
    EXPECT_EQ(each.index(), 1U);
    EXPECT_EQ(each.get_if<quote>(), nullptr);
    ASSERT_NE(each.get_if<trade>(), nullptr);
    EXPECT_EQ(each.get_if<trade>()->symbol, 3U);
}

// What is none of the types ends a batch, and is passed over.
TEST_F(VariantChannel, WhatIsNoneOfThemIsToldAsThat) {
    const std::string as_quote(sizeof(quote), 'q');
    for (const std::uint8_t flags : {std::uint8_t{0}, std::uint8_t{3}, std::uint8_t{255}}) {
        publish(as_quote, flags);
        const feed::received got = in_.try_next();
        EXPECT_FALSE(got);
        EXPECT_EQ(got.why(), status::protocol);
    }
    publish(as_quote, 2); // a trade is longer
    EXPECT_EQ(in_.try_next().why(), status::protocol);

    ASSERT_EQ(out_.try_send(quote{1, 2}), status::ok);
    publish("?", 1);
    ASSERT_EQ(out_.try_send(quote{3, 4}), status::ok);
    status why = status::ok;
    EXPECT_EQ(read_all(&why), std::vector<std::string>{"quote 2"});
    EXPECT_EQ(why, status::protocol);
    EXPECT_EQ(read_all(&why), std::vector<std::string>{"quote 4"});
    EXPECT_EQ(why, status::ok);
}

TEST_F(VariantChannel, OtherTypesAreRefused) {
    using swapped = zbq::variant_channel<"feed/1", trade, quote>;
    using renamed = zbq::variant_channel<"feed/2", quote, trade>;
    const auto refusal_of = [this]<typename Other>(std::type_identity<Other>) {
        return test::thrown_by(
            [this] { const typename Other::consumer other(test::join(out_.ring())); });
    };
    EXPECT_EQ(refusal_of(std::type_identity<feed>()), status::ok);
    EXPECT_EQ(refusal_of(std::type_identity<swapped>()), status::type_mismatch);
    EXPECT_EQ(refusal_of(std::type_identity<renamed>()), status::type_mismatch);
    EXPECT_EQ(feed::type.size, 0U);
    EXPECT_EQ(feed::type.align, 8U);
}

// The application's own, however the message is made.
TEST(Flags, TravelWithAMessage) {
    zbq::producer out;
    zbq::consumer in = test::join(out);
    ASSERT_EQ(out.publish(test::bytes("a"), zbq::never, 1), status::ok);
    zbq::reservation room = out.try_reserve(1);
    room.set_flags(2);
    ASSERT_EQ(room.commit(), status::ok);
    room = out.try_reserve(8);
    room.set_flags(3);
    ASSERT_EQ(room.commit(4), status::ok);
    room.set_flags(9); // there is no room to have them
    zbq::batch all = out.try_batch(2 * zbq::producer::size_of(1));
    ASSERT_NE(all.add(1, 4).data(), nullptr);
    ASSERT_NE(all.add(1).data(), nullptr);
    ASSERT_EQ(all.commit(), status::ok);
    std::vector<int> seen;
    for (const zbq::message_view &each : in.take_batch()) {
        seen.push_back(each.flags());
    }
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3, 4, 0}));
}

} // namespace
