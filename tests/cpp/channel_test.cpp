// SPDX-License-Identifier: MIT
#include "atomics.hpp"

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
    EXPECT_EQ(sender.try_fill([](quote &to) noexcept { to = {7, 8, 9}; }), status::ok);
    EXPECT_EQ(reader.try_next()->bid, 7);
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

TEST(Channel, BatchesAreFilledAndReadInPlace) {
    quotes::producer sender;
    auto reader = join_as<quotes>(sender.ring());
    quotes::batch room = sender.try_batch(3);
    ASSERT_TRUE(room);
    for (std::uint32_t i = 1; i <= 3; ++i) {
        quote *place = room.add();
        ASSERT_NE(place, nullptr);
        *place = {1.0 * i, 2.0 * i, i};
    }
    EXPECT_EQ(room.size(), 3U);
    EXPECT_EQ(room.add(), nullptr);
    EXPECT_EQ(reader.try_next().why(), status::again);
    EXPECT_EQ(room.commit(), status::ok);
    EXPECT_EQ(room.add(), nullptr);
    EXPECT_EQ(room.commit(), status::invalid);

    std::uint32_t seen = 0;
    {
        quotes::received_batch batch = reader.take_batch(2);
        for (const quote &each : batch) {
            EXPECT_EQ(each.symbol, ++seen);
        }
        EXPECT_TRUE(batch.intact());
        EXPECT_EQ(batch.why(), status::ok);
    }
    EXPECT_EQ(seen, 2U);
    EXPECT_EQ(sender.ring().statistics().head - zbq_consumer_tail(reader.ring().get()), 48U);
    for (auto batch = reader.take_batch(); const quote &each : batch) {
        EXPECT_EQ(each.symbol, ++seen);
    }
    EXPECT_EQ(seen, 3U);
    EXPECT_EQ(reader.take_batch().why(), status::ok); // nothing was asked of it
    quotes::received_batch nothing = reader.take_batch();
    EXPECT_EQ(nothing.begin(), nothing.end());
    EXPECT_EQ(nothing.why(), status::again);
}

TEST(Channel, ABatchHasSoMuchRoomOrNone) {
    quotes::producer sender;
    EXPECT_EQ(sender.try_batch(SIZE_MAX).why(), status::too_large);
    constexpr std::size_t wraps = SIZE_MAX / zbq::producer::size_of(sizeof(quote)) + 2;
    EXPECT_EQ(sender.try_batch(wraps).why(), status::too_large);
    EXPECT_EQ(sender.try_batch(0).why(), sender.ring().try_batch(0).why());
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

TEST(Channel, ABatchEndsAtAMessageOfAnotherSize) {
    quotes::producer sender;
    auto reader = join_as<quotes>(sender.ring());
    EXPECT_EQ(sender.try_send({1, 2, 3}), status::ok);
    EXPECT_EQ(sender.ring().try_publish(test::bytes("short")), status::ok);
    EXPECT_EQ(sender.try_send({4, 5, 6}), status::ok);
    const auto symbols = [&reader](status why) {
        std::string seen;
        quotes::received_batch batch = reader.take_batch();
        for (const quote &each : batch) {
            seen += std::to_string(each.symbol);
        }
        EXPECT_EQ(batch.why(), why);
        return seen;
    };
    EXPECT_EQ(symbols(status::protocol), "3");
    EXPECT_EQ(symbols(status::ok), "6");
}

// ---- eviction ----

// 48 bytes in the ring, which is no multiple of that: from lap to lap they lie elsewhere.
struct ticket {
    std::uint64_t number;
    std::uint64_t more[3];
};
using tickets = zbq::channel<ticket, "ticket/1">;

zbq::producer_options small_ring() {
    zbq::producer_options options;
    options.capacity = 4096;
    return options;
}

// A reader that knows of several messages, and is evicted.
class EvictedFromAChannel : public testing::Test {
protected:
    EvictedFromAChannel() {
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(out_.try_send(filled_with(1)), status::ok);
        }
        EXPECT_TRUE(in_.try_next());
    }

    static ticket filled_with(std::uint64_t number) { return {number, {number, number, number}}; }

    // And what it was reading is written over.
    void evict(std::uint64_t number) {
        test::cheat_tail(zbq_consumer_meta(in_.ring().get()), 8);
        ASSERT_EQ(out_.ring().scan(), status::ok);
        for (int i = 0; i < 100; ++i) {
            ASSERT_EQ(out_.try_send(filled_with(number)), status::ok);
        }
    }

    tickets::producer out_{small_ring()};
    tickets::consumer in_ = join_as<tickets>(out_.ring());
};

TEST_F(EvictedFromAChannel, IsToldSo) {
    for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{7}, UINT64_MAX}) {
        evict(number);
        tickets::received_batch batch = in_.take_batch();
        EXPECT_EQ(batch.begin(), batch.end());
        EXPECT_EQ(batch.why(), status::none);
        EXPECT_FALSE(batch.intact());
        for (int i = 0; i < 100; ++i) {
            EXPECT_EQ(in_.wait(zbq::now), status::none);
            const auto got = in_.try_next();
            EXPECT_TRUE(got.why() == status::ok || got.why() == status::none)
                << static_cast<int>(got.why());
            EXPECT_FALSE(got.intact());
        }
        EXPECT_EQ(in_.ring().ending(), zbq::ending::evicted);
        out_ = tickets::producer(small_ring());
        in_ = join_as<tickets>(out_.ring());
        ASSERT_EQ(out_.try_send(std::span<const ticket>(std::vector<ticket>(20))), status::ok);
        EXPECT_TRUE(in_.try_next());
    }
}

// Which looks right, and is, for one who asks whether it was intact.
TEST_F(EvictedFromAChannel, AfterAWaitThatGaveOk) {
    ASSERT_EQ(in_.wait(zbq::now), status::ok);
    evict(UINT64_MAX);
    const auto got = in_.try_next();
    const ticket copy = *got;
    EXPECT_FALSE(got.intact());
    EXPECT_FALSE(got);
    EXPECT_EQ(copy.number, 0U);
    EXPECT_EQ(got->more[2], 0U);
}

TEST(Channel, NamesAreTold) {
    EXPECT_NE(quotes::type.hash, later_quotes::type.hash);
    EXPECT_EQ(quotes::type.size, sizeof(quote));
    EXPECT_EQ(zbq::type_hash(""), 0xcbf29ce484222325U); // FNV-1a's own examples
    EXPECT_EQ(zbq::type_hash("foobar"), 0x85944171f73967e8U);
    EXPECT_EQ(zbq_type_hash("foobar"), zbq::type_hash("foobar"));
}

} // namespace
