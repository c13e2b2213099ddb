// SPDX-License-Identifier: MIT
//
// One producer at full speed, and consumers that come and go in every bad way. What a
// survivor reads is whole and complete; the producer waits no longer than it has to; and
// after each round it has as much of everything as before.
#include "crowd.hpp"
#include "options.hpp"
#include "publisher.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <unistd.h>

namespace {

using namespace faults;

constexpr std::uint64_t short_form = test::sanitized ? 8 : 24;
constexpr std::uint64_t rounds_per_ring = 6; // of one waits in a poll, of the next in a loop
constexpr std::uint64_t no_round = UINT64_MAX;
constexpr std::uint64_t hung_ns = 300'000 * test::ms; // only a hang takes this long
constexpr useconds_t look_us = 100;

std::uint64_t seed_of_ring(std::uint64_t round) {
    return mixed(chosen().seed) + round / rounds_per_ring;
}

// The process of the producer.
class production {
public:
    production(int listener, const shared_board &shared, const test::step_pipe &steps)
        : listener_(listener), board_(shared), steps_(steps) {}

    int run() {
        descriptors_ = test::open_descriptors();
        memory_ = test::resident_bytes();
        for (std::uint64_t round = steps_.receive(); round != no_round; round = steps_.receive()) {
            test::start_watchdog();
            if (!ring_ || round % rounds_per_ring == 0) {
                make_ring(round);
            }
            ring_->publish_until_told();
            ring_->publish_last();
            steps_.receive(); // all consumers are gone
            ring_->expect_as_at_start();
            board_->round_done = true;
        }
        ring_.reset();
        expect_nothing_left();
        return 0;
    }

private:
    void make_ring(std::uint64_t round) {
        ring_.reset();
        expect_nothing_left();
        const std::uint64_t seed = seed_of_ring(round);
        ring_.emplace(listener_, board_.get(), pool_, seed, draw_publishing(seed));
    }

    void expect_nothing_left() const {
        CHILD_CHECK(test::open_descriptors() == descriptors_);
        CHILD_CHECK(test::zbq_mappings() == 0);
        CHILD_CHECK(test::sanitized || test::resident_bytes() <= memory_ + memory_noise);
    }

    int listener_;
    const shared_board &board_;
    const test::step_pipe &steps_;
    descriptor_pool pool_;
    std::optional<publisher> ring_;
    std::size_t descriptors_ = 0;
    std::size_t memory_ = 0;
};

class Churn : public testing::Test {
protected:
    void run_round(std::uint64_t round) {
        SCOPED_TRACE(fmt::format("--seed {} --from {}", chosen().seed, round));
        test::start_watchdog();
        board_.clear();
        dice from = dice_of(chosen().seed, round);
        crowd people(board_, draw_churn(&from), common(round));
        steps_.send(round);
        wait_until([&] {
            people.advance();
            return people.is_set();
        });
        board_->end = true;
        wait_until([&] { return people.all_ended(); });
        steps_.send(round);
        wait_until([&] { return board_->round_done.load(); });
        people.judge(&sum_);
        ++sum_.rounds;
        sum_.published += board_->messages;
        sum_.longest_wait = std::max(sum_.longest_wait, board_->longest_wait.load());
    }

    [[nodiscard]] life common(std::uint64_t round) const {
        life shared;
        shared.seed = seed_of_ring(round);
        shared.where = listener_.where;
        shared.board = &board_;
        return shared;
    }

    template <typename Condition>
    void wait_until(const Condition &holds) {
        const std::uint64_t since = now_ns();
        while (!holds()) {
            if (producer_->has_ended()) {
                throw std::runtime_error("the producer failed");
            }
            if (now_ns() - since > hung_ns) {
                throw std::runtime_error("a round does not end");
            }
            usleep(look_us);
        }
    }

    void start() {
        producer_.emplace(
            [this] { return production(listener_.socket.get(), board_, steps_).run(); });
    }

    void finish() {
        steps_.send(no_round);
        EXPECT_EQ(producer_->wait(), 0);
        sum_.print("churn");
    }

    listener listener_ = listen_somewhere();
    shared_board board_;
    test::step_pipe steps_;
    std::optional<test::child> producer_;
    tally sum_;
};

TEST_F(Churn, SurvivorsGetAllAndTheProducerLosesNothing) {
    start();
    const test::leak_check leaks;
    for (rounds each(short_form); each.next();) {
        run_round(each.number());
    }
    finish();
}

} // namespace
