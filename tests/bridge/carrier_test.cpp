// SPDX-License-Identifier: MIT
//
// What a carrier has to do (bridge/carrier.hpp), and NATS's does: another one would have to pass
// this. carrier.sh starts the server, and says where it is.
#include "bridge/carrier.hpp"

#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>

namespace {

using namespace zbq::bridge;
using bytes = std::vector<std::byte>;

server_options server() {
    const char *url = std::getenv("ZBQ_BRIDGE_SERVER");
    return {.urls = {url != nullptr ? url : "nats://127.0.0.1:4222"}, .name = "carrier_test"};
}

// Each test has a stream of its own, of this run.
std::string stream() {
    return std::string("T-") + testing::UnitTest::GetInstance()->current_test_info()->name();
}

stream_options made() {
    return {.name = stream(), .in_memory = true};
}

bytes some(std::size_t size, unsigned seed) {
    bytes made(size);
    for (std::size_t i = 0; i < size; ++i) {
        made[i] = static_cast<std::byte>(i * 31 + seed);
    }
    return made;
}

template <typename From>
auto next_of(From *from) {
    auto got = from->take();
    for (int i = 0; i < 600 && !got; ++i) { // a minute
        pollfd polled = {from->event_fd(), POLLIN, 0};
        poll(&polled, 1, 100);
        got = from->take();
    }
    return got;
}

void store(writer *to, unsigned count, std::uint64_t after = 0, std::size_t size = 100) {
    for (unsigned i = 0; i < count; ++i) {
        to->send(some(size, i), "id" + std::to_string(after + i), after + i);
    }
    for (unsigned i = 0; i < count; ++i) {
        const std::optional<answer> got = next_of(to);
        ASSERT_TRUE(got);
        ASSERT_EQ(got->what, answer::kind::stored) << got->text;
        ASSERT_EQ(got->wanted, after + i + 1);
        ASSERT_EQ(got->number, after + i + 1);
    }
}

TEST(carrier, makes_a_stream_once) {
    writer first(server(), made());
    EXPECT_EQ(first.state().last, 0U);
    EXPECT_FALSE(first.last());
    const writer second(server(), made());
    EXPECT_GE(first.state().largest, 1000U);
}

TEST(carrier, finds_no_stream_that_is_not_there) {
    EXPECT_THROW(writer(server(), {.name = stream(), .create = false}), trouble);
    EXPECT_THROW(reader(server(), stream()), trouble);
}

TEST(carrier, stores_in_order_and_acknowledges_with_numbers) {
    writer to(server(), made());
    store(&to, 100);
    EXPECT_EQ(to.state().last, 100U);
    const std::optional<stored> last = to.last();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->number, 100U);
    EXPECT_EQ(last->data, some(100, 99));
}

// Of two who write, one wins, and the other is told.
TEST(carrier, stores_nothing_after_another_number_than_the_last) {
    writer to(server(), made());
    store(&to, 2);
    writer other(server(), made());
    other.send(some(1, 0), "early", 1);
    other.send(some(1, 0), "next", 2);
    other.send(some(1, 0), "behind", 4); // one before it is missing
    std::optional<answer> got = next_of(&other);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->what, answer::kind::conflict);
    EXPECT_EQ(got->wanted, 2U);
    got = next_of(&other);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->what, answer::kind::stored);
    got = next_of(&other);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->what, answer::kind::conflict);
    EXPECT_EQ(to.state().last, 3U);
}

TEST(carrier, stores_an_id_once) {
    writer to(server(), made());
    store(&to, 3);
    to.send(some(100, 1), "id1", 3);
    const std::optional<answer> got = next_of(&to);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->what, answer::kind::duplicate);
    EXPECT_EQ(got->number, 2U);
    EXPECT_EQ(to.state().last, 3U);
}

TEST(carrier, takes_its_largest_message_whole) {
    writer to(server(), made());
    const bytes sent = some(to.state().largest, 5);
    to.send(sent, std::string(80, 'i'), 0);
    const std::optional<answer> got = next_of(&to);
    ASSERT_TRUE(got);
    ASSERT_EQ(got->what, answer::kind::stored) << got->text;
    const std::optional<stored> last = to.last();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->data, sent);
    reader from(server(), stream());
    from.start(1, 1); // however little it asks for
    const std::optional<stored> read = next_of(&from);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->data, sent);
}

TEST(carrier, reads_from_a_number_on) {
    writer to(server(), made());
    store(&to, 10);
    reader from(server(), stream());
    from.start(7, 1U << 20U);
    for (std::uint64_t number = 7; number <= 10; ++number) {
        const std::optional<stored> got = next_of(&from);
        ASSERT_TRUE(got);
        EXPECT_EQ(got->number, number);
        EXPECT_EQ(got->data, some(100, static_cast<unsigned>(number - 1)));
        EXPECT_EQ(got->behind, 10 - number);
    }
    EXPECT_FALSE(from.take());
    store(&to, 1, 10); // and what comes later
    const std::optional<stored> got = next_of(&from);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->number, 11U);
}

TEST(carrier, reads_all_of_much_through_a_small_window) {
    writer to(server(), made());
    constexpr unsigned count = 3000;
    store(&to, count, 0, 2000);
    reader from(server(), stream());
    from.start(1, 1);
    for (unsigned i = 0; i < count; ++i) {
        const std::optional<stored> got = next_of(&from);
        ASSERT_TRUE(got);
        ASSERT_EQ(got->number, i + 1);
        ASSERT_EQ(got->data, some(2000, i));
    }
}

TEST(carrier, begins_with_what_is_there) {
    stream_options small = made();
    small.max_bytes = 4096;
    writer to(server(), small);
    store(&to, 100);
    const stream_state state = to.state();
    EXPECT_GT(state.first, 1U);
    reader from(server(), stream());
    from.start(1, 1);
    const std::optional<stored> got = next_of(&from);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->number, state.first);
}

TEST(carrier, tells_what_failed) {
    server_options wrong = server();
    wrong.credentials = "/nowhere/there.creds";
    try {
        const writer to(wrong, made());
        FAIL();
    } catch (const trouble &failed) {
        EXPECT_NE(std::string(failed.what()), "");
    }
}

} // namespace
