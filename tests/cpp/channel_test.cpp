// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "both_ends.hpp"

namespace {

using zbq::status;

struct quote {
    double bid;
    double ask;
    std::uint32_t symbol;
};
using quotes = zbq::channel<quote, "quote/1">;
using later_quotes = zbq::channel<quote, "quote/2">;
struct larger {
    quote inner;
    double more;
};
using larger_quotes = zbq::channel<larger, "quote/1">;

template <typename Channel>
typename Channel::consumer join_as(zbq::producer &ring) {
    return typename Channel::consumer(test::join(ring));
}

template <typename Channel>
std::string refusal(zbq::producer &ring) {
    try {
        join_as<Channel>(ring);
    } catch (const zbq::error &failure) {
        EXPECT_EQ(failure.code(), status::type_mismatch);
        return failure.what();
    }
    return "accepted";
}

TEST(Channel, SendsAndReceives) {
    quotes::producer sender;
    auto reader = join_as<quotes>(sender.ring());
    EXPECT_EQ(sender.try_send({1, 2, 3}), status::ok);
    EXPECT_EQ(sender.send({4, 5, 6}, zbq::never), status::ok);
    EXPECT_EQ(reader.wait(zbq::never), status::ok);
    {
        const auto got = reader.try_next();
        ASSERT_TRUE(got);
        EXPECT_EQ(got->ask, 2);
        EXPECT_EQ((*got).symbol, 3U);
        EXPECT_TRUE(got.intact());
    }
    EXPECT_EQ(reader.try_next()->bid, 4);
    const auto nothing = reader.try_next();
    EXPECT_FALSE(nothing);
    EXPECT_EQ(nothing.why(), status::again);
}

TEST(Channel, SendsManyAtOnce) {
    quotes::producer sender;
    auto reader = join_as<quotes>(sender.ring());
    const quote many[] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
    EXPECT_EQ(sender.try_send(std::span(many)), status::ok);
    for (const quote &sent : many) {
        EXPECT_EQ(reader.try_next()->symbol, sent.symbol);
    }
    EXPECT_EQ(sender.try_send(std::span<const quote>()), status::ok);
    const std::vector<quote> too_many(1U << 16U);
    EXPECT_EQ(sender.try_send(std::span(too_many)), status::too_large);
}

TEST(Channel, AnotherTypeIsRefusedWithTheReason) {
    quotes::producer sender;
    EXPECT_EQ(refusal<quotes>(sender.ring()), "accepted");
    EXPECT_EQ(refusal<later_quotes>(sender.ring()),
              "expected 'quote/2' of 24 bytes, aligned to 8; the producer sends another name, 24 "
              "bytes, aligned to 8: the payloads are of another type");
    EXPECT_EQ(refusal<larger_quotes>(sender.ring()),
              "expected 'quote/1' of 32 bytes, aligned to 8; the producer sends that name, 24 "
              "bytes, aligned to 8: the payloads are of another type");
    zbq::producer untyped;
    EXPECT_NE(refusal<quotes>(untyped).find("does not say"), std::string::npos);
}

// The type was right and the size is not: a producer that does not keep its word.
TEST(Channel, AMessageOfAnotherSizeIsNoT) {
    quotes::producer sender;
    auto reader = join_as<quotes>(sender.ring());
    EXPECT_EQ(sender.ring().try_publish(test::bytes("short")), status::ok);
    const auto got = reader.try_next();
    EXPECT_FALSE(got);
    EXPECT_EQ(got.why(), status::protocol);
}

TEST(Channel, NamesAreTold) {
    EXPECT_NE(quotes::type.hash, later_quotes::type.hash);
    EXPECT_EQ(quotes::type.size, sizeof(quote));
    EXPECT_EQ(zbq::detail::hash(""), 0xcbf29ce484222325U); // FNV-1a's own examples
    EXPECT_EQ(zbq::detail::hash("foobar"), 0x85944171f73967e8U);
}

} // namespace
