// SPDX-License-Identifier: MIT
//
// A hostile producer's stream: heads, lengths and words that cannot be, drawn at random. The
// consumer is compared with the rules of docs/protocol.md, section 5, written down once more
// here; and its ring lies between two pages without access.
#include "guard.hpp"

#include "consumer.hpp"
#include "support/leaks.hpp"
#include "support/pretender.hpp"
#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <zbq/inline.h>

namespace {

using test::page;
using generator = std::mt19937_64;

std::uint64_t random_seed() {
    return std::random_device()();
}

std::uint64_t pick(generator &random, std::initializer_list<std::uint64_t> values) {
    return values.begin()[random() % values.size()];
}

// The lengths at which something changes, for a message that has `run` bytes before it ends.
std::uint32_t edge_length(generator &random, std::uint64_t capacity, std::uint64_t run) {
    const std::uint64_t edge =
        pick(random, {0, capacity - 16, capacity, run - 16, run, 0xffffffff, 0xfffffff0, 32, 64});
    return static_cast<std::uint32_t>(edge + pick(random, {0, 0, 0, 1, 16, 0ULL - 1, 0ULL - 16}));
}

std::uint64_t edge_head(generator &random, std::uint64_t capacity, std::uint64_t tail,
                        std::uint64_t head) {
    return pick(random, {0, 0ULL - 16, 1ULL << 63U, UINT64_MAX, head - 16, head + 1, head + 8,
                         tail + capacity, tail + capacity + 16, tail - 16, tail - capacity});
}

// What a consumer may take, by the document.
struct rules {
    std::uint64_t capacity = 0;
    std::uint64_t tail = 0;
    std::uint64_t head = 0;
    bool malformed = false;

    void see_head(std::uint64_t shared) {
        const bool can_be = shared % 16 == 0 && shared >= head && shared - tail <= capacity;
        malformed = malformed || !can_be;
        head = can_be ? shared : head;
    }

    int look(std::uint64_t at, std::uint64_t shared, std::uint32_t length, bool closed) {
        if (at == head || malformed) {
            see_head(shared);
            if (!malformed && head == at) {
                return closed ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
            }
        }
        malformed = malformed || (16ULL + length + 15) / 16 * 16 > head - at;
        return malformed ? ZBQ_ERROR_PROTOCOL : ZBQ_OK;
    }
};

unsigned touched; // so that the reads are made

class Storm : public testing::Test {
protected:
    void start(std::uint64_t seed) {
        random_.seed(seed);
        odds_ = std::uint64_t{4} << seed % 8;
        capacity_ = page * (1 + random_() % 4);
        producer_ = std::make_unique<test::pretender>(capacity_);
        const std::uint64_t start = pick(random_, {0, 16, capacity_ - 16, capacity_, 1ULL << 63U,
                                                   0ULL - 16, 0ULL - 2 * capacity_});
        producer_->payload.initial_head = start;
        producer_->set_head(start);
        cons_ = producer_->join();
        ASSERT_NE(cons_, nullptr);
        ASSERT_EQ(hostile::fenced_ranges(), 6U); // the pretender's three and the consumer's
        rules_ = {capacity_, start, start, false};
        cursor_ = start;
    }

    void end() {
        cons_.reset();
        producer_.reset();
    }

    // Inside of the two mappings of the ring, and readable.
    void check_view(const zbq_msg_view &view) {
        const char *first = reinterpret_cast<const char *>(view.header);
        const char *payload = static_cast<const char *>(view.payload);
        ASSERT_GE(first, cons_->window.ring);
        ASSERT_LE(first + sizeof(zbq_msg_header), cons_->window.ring + 2 * capacity_);
        ASSERT_EQ(payload, first + 16);
        ASSERT_LE(payload + view.payload_len, cons_->window.ring + 2 * capacity_);
        ASSERT_EQ(view.total_len, 16 + view.payload_len);
        ASSERT_EQ(static_cast<std::uint64_t>(first - cons_->window.ring) % capacity_,
                  view.logical_offset % capacity_);
        for (std::uint64_t i = 0; i < view.payload_len; i += 8) {
            touched += static_cast<unsigned char>(__atomic_load_n(payload + i, __ATOMIC_RELAXED));
        }
    }

    [[nodiscard]] std::uint32_t length_at(std::uint64_t offset) const {
        return reinterpret_cast<zbq_msg_header *>(producer_->ring() + offset % capacity_)
            ->payload_len;
    }

    void play(std::uint64_t first, std::uint64_t rounds);
    void disturb();
    void consume();
    void compare(int (*call)(zbq_consumer *, zbq_msg_view *), bool walks);

    generator random_;
    std::uint64_t odds_ = 1; // against something nasty
    std::uint64_t capacity_ = 0;
    std::uint64_t messages_ = 0;  // in all rounds
    std::uint64_t malformed_ = 0; // of the rounds
    std::unique_ptr<test::pretender> producer_;
    test::consumer_ptr cons_;
    rules rules_;
    std::uint64_t cursor_ = 0;
    std::uint64_t shared_head_ = 0;
    bool closed_ = false;
};

void Storm::disturb() {
    const bool nasty = random_() % odds_ == 0;
    const std::uint64_t room = rules_.tail + capacity_ - shared_head_;
    switch (random_() % 4) {
    case 0:
        shared_head_ = nasty ? edge_head(random_, capacity_, rules_.tail, rules_.head)
                             : shared_head_ + random_() % (room / 16 + 1) * 16;
        producer_->set_head(shared_head_);
        break;
    case 1:
    case 2: { // where the consumer looks next
        const std::uint64_t at = random_() % 2 == 0 ? cursor_ : rules_.tail;
        const std::uint64_t run = shared_head_ - at;
        const std::uint64_t fits = run < 16 ? 0 : random_() % (run - 15);
        producer_->put_message(at, nasty ? edge_length(random_, capacity_, run)
                                         : static_cast<std::uint32_t>(fits));
        break;
    }
    default: // words that decide nothing for who reads
        producer_->control()->ring_capacity = random_();
        producer_->control()->producer_pid = static_cast<std::int32_t>(random_());
        producer_->control()->awaited_tail = random_();
        producer_->control()->broadcast_futex = static_cast<std::uint32_t>(random_());
        closed_ = random_() % 16 == 0;
        producer_->control()->closed = closed_ ? static_cast<std::uint32_t>(random_() | 1U) : 0;
        break;
    }
}

void Storm::compare(int (*call)(zbq_consumer *, zbq_msg_view *), bool walks) {
    const std::uint64_t at = walks ? cursor_ : rules_.tail;
    const int expected = rules_.look(at, shared_head_, length_at(at), closed_);
    zbq_msg_view view = {};
    ASSERT_EQ(call(cons_.get(), &view), expected) << "at " << at << ", head " << shared_head_;
    if (expected == ZBQ_OK) {
        ++messages_;
        check_view(view);
        ASSERT_EQ(view.logical_offset, at);
        ASSERT_EQ(view.payload_len, length_at(at));
        cursor_ = walks ? (at + view.total_len + 15) / 16 * 16 : cursor_;
    }
}

void Storm::consume() {
    switch (random_() % 5) {
    case 0:
        compare(zbq_consumer_peek, false);
        break;
    case 1:
    case 2:
        compare(zbq_consumer_next, true);
        break;
    case 3: {
        rules_.see_head(shared_head_);
        ASSERT_EQ(zbq_consumer_acquire_head(cons_.get()), rules_.head);
        break;
    }
    default: {
        const std::uint64_t to = rules_.tail + random_() % (2 * capacity_);
        const std::uint64_t rounded = (to + 15) / 16 * 16;
        zbq_consumer_publish(cons_.get(), to);
        if (rounded >= rules_.tail && rounded <= rules_.head) {
            rules_.tail = rounded;
            cursor_ = std::max(cursor_, rounded);
        }
        ASSERT_EQ(zbq_consumer_tail(cons_.get()), rules_.tail);
        break;
    }
    }
}

void Storm::play(std::uint64_t first, std::uint64_t rounds) {
    for (std::uint64_t seed = first; seed < first + rounds && !HasFatalFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        start(seed);
        shared_head_ = rules_.head;
        closed_ = false;
        for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
            disturb();
            consume();
        }
        EXPECT_EQ(zbq_consumer_ending(cons_.get(), nullptr) == ZBQ_ENDING_MALFORMED,
                  rules_.malformed);
        malformed_ += rules_.malformed ? 1U : 0U;
        end();
    }
}

TEST_F(Storm, FollowsTheRules) {
    constexpr std::uint64_t rounds = test::sanitized ? 100 : 500;
    const test::leak_check leaks;
    play(0, rounds); // the same ones each time, of which it is known how far they come:
    EXPECT_GT(malformed_, rounds / 4);
    EXPECT_GT(messages_, 9 * rounds); // and not at once
    play(random_seed(), rounds);
}

// ---- while the consumer looks ----

void store(std::uint32_t *word, generator &random) { // NOLINT(*non-const-parameter)
    __atomic_store_n(word, static_cast<std::uint32_t>(random()), __ATOMIC_RELAXED);
}

// Writes where the consumer reads, until told to stop. Every word by one store, as another process
// would; a head is often right, or the stream would be over at once.
class writer {
public:
    writer(const test::pretender &producer, std::uint64_t seed)
        : thread_([this, &producer, seed] { work(producer, seed); }) {}
    writer(const writer &) = delete;
    writer &operator=(const writer &) = delete;
    ~writer() {
        stop_.store(true);
        thread_.join();
    }

private:
    void work(const test::pretender &producer, std::uint64_t seed) {
        generator random(seed);
        const std::uint64_t capacity = producer.payload.ring_capacity;
        zbq_control_region *control = producer.control();
        std::uint64_t head = producer.payload.initial_head;
        for (std::uint64_t i = 0; !stop_.load(std::memory_order_relaxed); ++i) {
            const std::uint64_t tail =
                __atomic_load_n(&producer.metadata()->tail_offset, __ATOMIC_ACQUIRE);
            for (int k = 0; k < 8; ++k) { // lengths change under the reader
                auto *at = reinterpret_cast<std::uint32_t *>(producer.ring() +
                                                             (tail + random() % 8 * 16) % capacity);
                __atomic_store_n(at, random() % 64 == 0 ? edge_length(random, capacity, 128) : 0,
                                 __ATOMIC_RELAXED);
            }
            head = std::max(head, tail + random() % 16 * 16);
            head = std::min(head, tail + capacity);
            producer.set_head(random() % 100'000 == 0 ? random() : head);
            __atomic_store_n(&control->ring_capacity, random(), __ATOMIC_RELAXED);
            __atomic_store_n(&control->awaited_tail, tail + random() % 64, __ATOMIC_RELAXED);
            __atomic_store_n(&control->closed, random() % 64 == 0 ? 1U : 0U, __ATOMIC_RELAXED);
            store(&control->broadcast_futex, random);
            store(reinterpret_cast<std::uint32_t *>(&control->producer_pid), random);
            __atomic_store_n(&producer.metadata()->quiet_until, random(), __ATOMIC_RELAXED);
            if (i % 1024 == 0) {
                zbq::core::send_record(producer.side(), "0123456789abcdef", 16, nullptr, 0);
            }
        }
    }

    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

// Not what it gives, for that changes meanwhile, but where: and that it comes back.
class Changing : public Storm {
protected:
    void look(bool polls);
    void walk_run();
};

void Changing::walk_run() {
    zbq_read_window *window = zbq_consumer_window(cons_.get());
    zbq_msg_view view = {};
    for (int i = 0; i < 1'000 && zbq_window_next(window, &view) == ZBQ_OK; ++i) {
        check_view(view);
        zbq_window_release(window, view.logical_offset + view.total_len);
    }
}

void Changing::look(bool polls) {
    zbq_consumer *cons = cons_.get();
    zbq_msg_view view = {};
    for (int i = 0; i < 2'000 && zbq_consumer_ending(cons, nullptr) != ZBQ_ENDING_MALFORMED; ++i) {
        const std::uint32_t token = zbq_consumer_get_futex_token(cons);
        const int result =
            i % 2 == 0 ? zbq_consumer_peek(cons, &view) : zbq_consumer_next(cons, &view);
        if (result == ZBQ_OK) {
            check_view(view);
        }
        walk_run();
        zbq_consumer_publish(cons, zbq_consumer_acquire_head(cons));
        zbq_consumer_wait(cons, token, 1000);
        int fds[ZBQ_MAX_FD_PER_MSG];
        std::uint8_t count = 0;
        zbq_consumer_recv_fds(cons, static_cast<std::uint64_t>(i) + 1, fds, &count);
        ASSERT_EQ(count, 0);
        if (polls && i % 16 == 0) {
            ASSERT_GE(zbq_consumer_event_fd(cons), 0);
        }
    }
}

TEST_F(Changing, StaysInsideAndComesBack) {
    constexpr int rounds = test::sanitized ? 10 : 40;
    test::start_watchdog();
    const test::leak_check leaks;
    const std::uint64_t first = random_seed();
    for (std::uint64_t seed = first; seed < first + rounds && !HasFatalFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        start(seed);
        {
            const writer changing(*producer_, seed);
            look(seed % 2 == 0);
        }
        end();
    }
}

} // namespace
