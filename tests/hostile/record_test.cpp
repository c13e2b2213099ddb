// SPDX-License-Identifier: MIT
//
// A hostile producer's records: sizes, counts and ids drawn at random, against the rules of
// docs/protocol.md, section 7.
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/pretender.hpp"
#include "support/process.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

namespace {

using generator = std::mt19937_64;

struct record {
    zbq::core::side_record says = {};
    std::size_t size = sizeof says;
    unsigned descriptors = 0;

    [[nodiscard]] bool is_right(std::uint64_t newest) const {
        return size == sizeof says && says.fd_count == descriptors && descriptors != 0 &&
               says.seq_id > newest;
    }
};

std::uint64_t some_id(generator &random, std::uint64_t newest) {
    const std::uint64_t ids[] = {newest,     newest + 1, newest + 2, newest + 1,
                                 newest - 1, 0,          newest + 3, newest + 1};
    return random() % 256 == 0 ? UINT64_MAX : ids[random() % std::size(ids)];
}

record some_record(generator &random, std::uint64_t newest) {
    record made;
    made.descriptors = static_cast<unsigned>(random() % 4);
    if (random() % 16 == 0) {
        made.descriptors = random() % 2 == 0 ? 252 : 253;
    }
    made.says = {some_id(random, newest), made.descriptors, static_cast<std::uint32_t>(random())};
    if (random() % 4 == 0) {
        made.says.fd_count =
            static_cast<std::uint32_t>(random() % 3 == 0 ? random() : random() % 5);
    }
    if (random() % 4 == 0) { // not empty without a descriptor: that is the end of the channel
        made.size = random() % 33 + (made.descriptors == 0 ? 1 : 0);
    }
    return made;
}

class HostileRecords : public testing::Test {
protected:
    void start() {
        test::start_watchdog();
        producer_ = std::make_unique<test::pretender>();
        newest_ = producer_->payload.seq_floor = 100;
        held_ = 0;
        cons_ = producer_->join();
        ASSERT_NE(cons_, nullptr);
    }

    void send(const record &what) {
        char bytes[64] = {};
        std::memcpy(bytes, &what.says, sizeof what.says);
        const std::vector<int> fds(what.descriptors, STDERR_FILENO);
        ASSERT_EQ(zbq::core::send_record(producer_->side(), bytes, what.size, fds.data(),
                                         what.descriptors),
                  static_cast<ssize_t>(what.size));
    }

    // What asking for `id` gives when `next` is all that waits; nullptr: nothing does.
    int ask(std::uint64_t id, const record *next) {
        for (;;) {
            if (held_ != 0 && held_ >= id) {
                return held_ == id ? ZBQ_OK : ZBQ_ERROR_NOENT;
            }
            held_ = 0;
            if (id <= newest_) {
                return ZBQ_ERROR_NOENT;
            }
            if (next == nullptr) {
                return ZBQ_ERROR_AGAIN;
            }
            took_ = true;
            if (!next->is_right(newest_)) {
                return ZBQ_ERROR_PROTOCOL;
            }
            held_ = newest_ = next->says.seq_id;
            descriptors_ = next->descriptors;
            next = nullptr;
        }
    }

    void compare(std::uint64_t id, const record *next) {
        const int expected = ask(id, next);
        int fds[ZBQ_MAX_FD_PER_MSG];
        std::uint8_t count = 9;
        ASSERT_EQ(zbq_consumer_recv_fds(cons_.get(), id, fds, &count), expected) << "id " << id;
        ASSERT_EQ(count, expected == ZBQ_OK ? descriptors_ : 0U);
        for (unsigned i = 0; i < count; ++i) {
            close(fds[i]);
        }
        held_ = expected == ZBQ_OK ? 0 : held_;
    }

    std::unique_ptr<test::pretender> producer_;
    test::consumer_ptr cons_;
    std::uint64_t newest_ = 0;
    std::uint64_t held_ = 0;
    unsigned descriptors_ = 0; // of the one held
    bool took_ = false;        // the one that waited
};

TEST_F(HostileRecords, FollowTheRules) {
    constexpr std::uint64_t rounds = 100;
    const test::leak_check leaks;
    const std::uint64_t first = std::random_device()();
    for (std::uint64_t seed = first; seed < first + rounds && !HasFatalFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        generator random(seed);
        start();
        const std::size_t descriptors = test::open_descriptors();
        for (int i = 0; i < 100 && newest_ != UINT64_MAX && !HasFatalFailure(); ++i) {
            const record next = some_record(random, newest_);
            send(next);
            took_ = false;
            for (int tries = 0; tries < 8 && !took_ && !HasFatalFailure(); ++tries) {
                compare(random() % 8 == 0 ? random() : newest_ + random() % 4, &next);
            }
            if (!took_) { // a later one than it has: it looks for sure
                compare(newest_ + 1, &next);
            }
            compare(newest_ + random() % 3, nullptr);
            const std::size_t kept = held_ != 0 ? descriptors_ : 0;
            ASSERT_EQ(test::open_descriptors(), descriptors + kept);
        }
        cons_.reset();
        producer_.reset();
    }
}

// The reader's own table is full: the kernel leaves some out and says so (MSG_CTRUNC).
TEST_F(HostileRecords, MoreThanThereIsRoomFor) {
    start();
    for (unsigned spare = 0; spare < 4; ++spare) {
        const test::leak_check leaks;
        const std::uint64_t id = newest_ + 1 + spare;
        send({{id, 4, 0}, 16, 4});
        const test::descriptor_shortage shortage(spare);
        int fds[ZBQ_MAX_FD_PER_MSG];
        std::uint8_t count = 9;
        EXPECT_EQ(zbq_consumer_recv_fds(cons_.get(), id, fds, &count), ZBQ_ERROR_PROTOCOL);
        EXPECT_EQ(count, 0);
    }
}

// More than one call may pass over.
TEST_F(HostileRecords, OldOnesForEverHoldNobody) {
    start();
    const test::leak_check leaks;
    for (std::uint64_t id = newest_ + 1; id < newest_ + 200; ++id) {
        send({{id, 1, 0}, 16, 1});
    }
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t count = 9;
    EXPECT_EQ(zbq_consumer_recv_fds(cons_.get(), UINT64_MAX, fds, &count), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(count, 0);
}

} // namespace
