// SPDX-License-Identifier: MIT
//
// The consumers of a round, as the leader of a campaign sees them: starts them, does to them
// what their fates want, and judges what became of them.
#pragma once

#include "fates.hpp"
#include "support/process.hpp"

#include <array>
#include <memory>
#include <vector>

namespace faults {

struct tally {
    std::uint64_t rounds = 0;
    std::uint64_t published = 0; // messages
    std::uint64_t longest_wait = 0;
    std::array<std::uint64_t, fates> consumers = {};
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;
    std::uint64_t refused_records = 0;
    std::uint64_t torn = 0;
    std::uint64_t not_admitted = 0; // killed too early
    std::uint64_t admitted = 0;
    std::array<std::uint64_t, 5> evictions = {}; // by zbq_eviction
    std::uint64_t survivors_evicted = 0;         // who were too slow: the machine is under load
    std::uint64_t resumed = 0;                   // after a stop that got them evicted
    std::uint64_t executed = 0;

    void print(const char *title) const;
};

class crowd {
public:
    crowd(const shared_board &shared, const std::vector<plan> &plans, const life &common);

    void advance();                    // as far as it goes without waiting
    [[nodiscard]] bool is_set() const; // all joined or gone, and all was done to them
    bool all_ended();

    [[nodiscard]] bool all_joined() const; // or have ended

    // Fails the test where something is not as it should be.
    void judge(tally *sum) const;
    // The same after the producer's end: all that joined have read to this head.
    void judge_against(ending how, std::uint64_t head, tally *sum) const;

private:
    enum class stage : std::uint8_t { waits, runs, stopped, evicted, done, ended };
    struct person {
        life what;
        std::uint32_t number = 0;
        stage now = stage::waits;
        std::uint64_t due = 0;
        std::uint64_t joined_at = 0;
        std::uint64_t head_to_reach = 0;
        bool was_stopped = false;
        bool was_killed = false;
        int status = -1;
        std::unique_ptr<test::child> process;
    };

    [[nodiscard]] account &account_of(const person &who) const;
    void advance(person *who);
    static void start(person *who);
    void act(person *who);
    void stop(person *who);
    void kill(person *who);
    void note_end(person *who);
    void count(tally *sum) const;
    void judge(const person &who, tally *sum) const;

    const shared_board &board_;
    std::uint64_t started_at_;
    std::vector<person> people_;
};

} // namespace faults
