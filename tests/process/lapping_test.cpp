// SPDX-License-Identifier: MIT
//
// Observers beside a producer that laps them all the time, in processes of their own: what they are
// told was whole was whole, and every byte of the stream is either given to them or told as lost.
// ZBQ_LAPPING_MESSAGES makes it longer.
#include "support/process.hpp"
#include "support/rig.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <zbq.hpp>

namespace {

using zbq::flow;

constexpr std::uint64_t capacity = 1U << 16U;

std::uint64_t messages() {
    const char *text = std::getenv("ZBQ_LAPPING_MESSAGES");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 300'000;
}

// Of 1 to 16 words, each of which tells its message.
std::uint64_t words_of(std::uint64_t number) {
    return 1 + (number * 0x9e3779b97f4a7c15U >> 60U);
}
std::uint64_t word_of(std::uint64_t number, std::uint64_t index) {
    return number * 0x9e3779b97f4a7c15U + index;
}

int publish_all(int follower, int newest, std::uint64_t count) {
    zbq::producer ring({.capacity = capacity});
    ring.admit(follower, zbq::wakeup::pull, flow::follow);
    ring.admit(newest, zbq::wakeup::pull, flow::newest);
    for (std::uint64_t number = 0; number < count; ++number) {
        const std::uint64_t words = words_of(number);
        const zbq::status done = ring.try_fill(8 * (words + 1), [&](std::span<std::byte> to) {
            std::memcpy(to.data(), &number, sizeof number);
            for (std::uint64_t i = 0; i < words; ++i) {
                const std::uint64_t word = word_of(number, i);
                std::memcpy(to.data() + 8 * (i + 1), &word, sizeof word);
            }
        });
        CHILD_CHECK(done == zbq::status::ok); // nobody is in the way
    }
    return 0;
}

bool is_whole(std::span<const std::byte> payload) {
    std::uint64_t number = 0;
    std::memcpy(&number, payload.data(), sizeof number);
    bool whole = payload.size() == 8 * (words_of(number) + 1);
    for (std::uint64_t i = 0; whole && i < words_of(number); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, payload.data() + 8 * (i + 1), sizeof word);
        whole = word == word_of(number, i);
    }
    return whole;
}

struct seen {
    std::uint64_t whole = 0;
    std::uint64_t torn = 0;
    std::uint64_t skipped = 0; // bytes between messages
};

// To the end of the stream. Each message is looked at twice, so that there is time to be lapped.
int observe(int socket, flow how, seen *out) {
    zbq::consumer reader(socket, zbq::wakeup::pull, how);
    std::uint64_t next = reader.offset();
    zbq::status why = zbq::status::again;
    while (why != zbq::status::none) {
        const zbq::message got = reader.try_next();
        why = got.why();
        if (!got) {
            CHILD_CHECK(why == zbq::status::again || why == zbq::status::none);
            static_cast<void>(reader.producer_is_alive());
            continue;
        }
        CHILD_CHECK(got.payload().size() >= 16 && got.payload().size() <= 136);
        const bool whole = is_whole(got.payload()) && is_whole(got.payload());
        CHILD_CHECK(whole || !got.intact());
        ++(whole ? out->whole : out->torn);
        CHILD_CHECK(got.offset() >= next);
        out->skipped += got.offset() - next;
        next = reader.offset();
    }
    out->skipped += reader.offset() - next;
    CHILD_CHECK(how == flow::newest || out->skipped == reader.lost().bytes);
    CHILD_CHECK(how == flow::newest || out->skipped == 0 || reader.lost().times != 0);
    return 0;
}

// What children have seen.
class results {
public:
    results()
        : place_(mmap(nullptr, sizeof(seen) * 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0)) {}
    results(const results &) = delete;
    results &operator=(const results &) = delete;
    ~results() { munmap(place_, sizeof(seen) * 2); }
    seen *of(int reader) { return static_cast<seen *>(place_) + reader; }

private:
    void *place_;
};

TEST(Lapping, WholeIsWholeAndLostIsTold) {
    results all;
    const std::uint64_t count = messages();
    const test::socket_pair follow = test::make_sockets();
    const test::socket_pair newest = test::make_sockets();
    test::child producer(
        [&] { return publish_all(follow.producer_end.get(), newest.producer_end.get(), count); });
    test::child follower(
        [&] { return observe(follow.consumer_end.get(), flow::follow, all.of(0)); });
    test::child skipper(
        [&] { return observe(newest.consumer_end.get(), flow::newest, all.of(1)); });
    EXPECT_EQ(producer.wait(), 0);
    EXPECT_EQ(follower.wait(), 0);
    EXPECT_EQ(skipper.wait(), 0);
    for (const int reader : {0, 1}) {
        EXPECT_NE(all.of(reader)->whole, 0U);
        std::printf("%s: %llu whole, %llu torn and told, of %llu; %llu bytes passed over\n",
                    reader == 0 ? "follow" : "newest",
                    static_cast<unsigned long long>(all.of(reader)->whole),
                    static_cast<unsigned long long>(all.of(reader)->torn),
                    static_cast<unsigned long long>(count),
                    static_cast<unsigned long long>(all.of(reader)->skipped));
    }
}

} // namespace
