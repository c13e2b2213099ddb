// SPDX-License-Identifier: MIT
//
// A producer under load that is killed at any instant, or stopped and continued: consumers
// read all that was committed, and nothing else.
#include "crowd.hpp"
#include "options.hpp"
#include "publisher.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <optional>
#include <stdexcept>
#include <unistd.h>

namespace {

using namespace faults;

constexpr std::uint64_t short_form_kills = test::sanitized ? 8 : 40;
constexpr std::uint64_t short_form_stops = test::sanitized ? 2 : 5;
constexpr std::uint64_t hung_ns = 300'000 * test::ms; // only a hang takes this long
constexpr useconds_t look_us = 50;
constexpr std::uint32_t witness_account = most_consumers - 1;

std::vector<plan> draw_survivors(dice *from) {
    std::vector<plan> drawn(2 + below(from, 2));
    for (plan &each : drawn) {
        each = draw_survivor(from);
    }
    return drawn;
}

// A round: a producer, its consumers, and a consumer of our own that releases all and reads
// nothing, but whose map of the control region outlives everything.
class round_of_one {
public:
    round_of_one(std::uint64_t round, shared_board *shared)
        : seed_(mixed(chosen().seed) + round), from_(dice_of(chosen().seed, round)),
          board_(*shared) {
        board_.clear();
        start_producer();
        zbq_consumer *cons = nullptr;
        if (zbq_consumer_join(sockets_.consumer_end.get(), ZBQ_WAKEUP_PULL, &cons) != ZBQ_OK) {
            throw std::runtime_error("no witness");
        }
        witness_.reset(cons);
        start_consumers();
    }

    dice *decisions() { return &from_; }
    test::child &producer() { return *producer_; }
    crowd &people() { return *people_; }
    [[nodiscard]] const zbq_control_region *control() const {
        return zbq_consumer_ctrl(witness_.get());
    }

    void look() {
        zbq_consumer_publish(witness_.get(), zbq_consumer_acquire_head(witness_.get()));
        people_->advance();
    }

    template <typename Condition>
    void look_until(const Condition &holds) {
        const std::uint64_t since = now_ns();
        while (!holds()) {
            if (now_ns() - since > hung_ns) {
                throw std::runtime_error("a round does not end");
            }
            look();
            usleep(look_us);
        }
    }

    void look_for(std::uint64_t duration_ns) {
        const std::uint64_t since = now_ns();
        look_until([&] { return now_ns() - since >= duration_ns; });
    }

    // Once the producer is gone: what all of them have to have read.
    void expect_read_to(ending how, tally *sum) {
        const std::uint64_t head = __atomic_load_n(&control()->producer_head, __ATOMIC_ACQUIRE);
        look_until([&] { return people_->all_ended(); });
        EXPECT_EQ(__atomic_load_n(&control()->producer_head, __ATOMIC_ACQUIRE), head);
        people_->judge_against(how, head, sum);
        ++sum->rounds;
        sum->published += board_->messages;
        sum->longest_wait = std::max(sum->longest_wait, board_->longest_wait.load());
    }

private:
    void start_producer() {
        const listener meeting = listen_somewhere(); // the producer's alone, once it runs
        where_ = meeting.where;
        producer_.emplace([this, &meeting] {
            sockets_.consumer_end.reset();
            const descriptor_pool pool;
            publisher ring(meeting.socket.get(), board_.get(), pool, seed_, draw_publishing(seed_));
            ring.admit(sockets_.producer_end.get(), {witness_account, ZBQ_WAKEUP_PULL});
            ring.publish_until_told();
            ring.tell_board();
            return 0;
        });
        sockets_.producer_end.reset();
    }

    void start_consumers() {
        life common;
        common.seed = seed_;
        common.where = where_;
        common.board = &board_;
        common.producer_may_die = true;
        people_.emplace(board_, draw_survivors(&from_), common);
    }

    std::uint64_t seed_;
    dice from_;
    shared_board &board_;
    test::socket_pair sockets_ = test::make_sockets();
    address where_ = {};
    std::optional<test::child> producer_;
    test::consumer_ptr witness_;
    std::optional<crowd> people_;
};

class ProducerFaults : public testing::Test {
protected:
    shared_board board_;
    tally sum_;
};

TEST_F(ProducerFaults, KilledAtAnyInstantAllThatWasCommittedIsRead) {
    for (rounds each(short_form_kills); each.next();) {
        SCOPED_TRACE(fmt::format("--seed {} --from {}", chosen().seed, each.number()));
        test::start_watchdog();
        const test::leak_check leaks;
        round_of_one round(each.number(), &board_);
        const bool while_joining = below(round.decisions(), 4) == 0;
        const std::uint64_t delay =
            below(round.decisions(), while_joining ? 2 * test::ms : 10 * test::ms);
        round.look_until([&] { return while_joining || round.people().all_joined(); });
        round.look_for(delay);
        round.producer().kill();
        round.expect_read_to(ending::producer_died, &sum_);
    }
    sum_.print("producer killed");
}

TEST_F(ProducerFaults, StoppedAndContinuedNothingIsLost) {
    for (rounds each(short_form_stops); each.next();) {
        SCOPED_TRACE(fmt::format("--seed {} --from {}", chosen().seed, each.number()));
        test::start_watchdog();
        const test::leak_check leaks;
        round_of_one round(each.number(), &board_);
        round.look_until([&] { return round.people().all_joined(); });
        for (std::uint64_t stops = 1 + below(round.decisions(), 3); stops != 0; --stops) {
            round.look_for(below(round.decisions(), 5 * test::ms));
            round.producer().stop();
            round.look_for(below(round.decisions(), 130 * test::ms)); // more than a slice
            const std::uint64_t head = board_->head;
            round.producer().signal(SIGCONT);
            round.look_until([&] { return board_->head > head; });
        }
        board_->end = true;
        EXPECT_EQ(round.producer().wait(), 0);
        round.expect_read_to(ending::closed, &sum_);
    }
    sum_.print("producer stopped");
}

} // namespace
