// SPDX-License-Identifier: MIT
//
// A consumer that believes nothing: every message's number, length and bytes, every
// descriptor, and why it ended. Checks fail the process (CHILD_CHECK).
#pragma once

#include "board.hpp"
#include "stream.hpp"

#include <utility>

namespace faults {

enum class waiting : std::uint8_t { sleeps, polls, spins }; // spins: in pull mode
enum class walking : std::uint8_t { peek, next, run };

struct reading_habits {
    waiting waits = waiting::sleeps;
    walking walks = walking::peek;
    std::uint64_t batch = 1;      // messages that are released together
    std::uint64_t lingers_ns = 0; // over each message, looking at it again and again
};

// Since when one may have moved too little to go unevicted: the producer counts from where it was
// at some look, so from the mark before the last one at the latest.
class progress {
public:
    progress(std::uint64_t enough, std::uint64_t position, std::uint64_t now)
        : enough_(enough), position_(position), last_(now), before_(now) {}

    void move_to(std::uint64_t position, std::uint64_t now) {
        if (position - position_ >= enough_) {
            position_ = position;
            before_ = std::exchange(last_, now);
        }
    }

    void hold_nothing(std::uint64_t position, std::uint64_t now) {
        position_ = position;
        before_ = last_ = now;
    }

    [[nodiscard]] std::uint64_t since() const { return before_; }

private:
    std::uint64_t enough_;
    std::uint64_t position_;
    std::uint64_t last_;
    std::uint64_t before_;
};

class reader {
public:
    reader(zbq_consumer *cons, std::uint64_t seed, const reading_habits &habits, account *own);

    // So many messages. false: it came to an end first, and the account says which.
    bool read(std::uint64_t count);
    void read_to_end();

    bool collects = true;    // descriptors
    bool lacks_room = false; // for descriptors: a record may be refused
    bool is_broken = false;  // its own descriptors were closed: errors are to be expected

private:
    int step(std::uint64_t limit);
    int look(zbq_msg_view *out);
    bool take(const zbq_msg_view &view);
    [[nodiscard]] bool is_whole(const zbq_msg_view &view) const;
    bool collect(const zbq_msg_view &view, std::uint8_t count);
    void accept_record(std::uint64_t number, std::uint8_t count, const int *fds,
                       std::uint8_t received);
    bool may_miss_record(const zbq_msg_view &view);
    void release(std::uint64_t end);
    void wait(std::uint32_t token);
    void finish();
    void check_eviction(std::uint32_t reason);

    zbq_consumer *cons_;
    stream stream_;
    reading_habits habits_;
    account *own_;
    int event_ = -1;
    std::uint64_t next_ = 0; // number of the next message; 0 until there is one
    bool ended_ = false;
    unsigned looks_ = 0;
    std::uint64_t collected_fds_ = 0;
    progress releasing_;
    progress collecting_;
};

} // namespace faults
