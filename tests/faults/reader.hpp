// SPDX-License-Identifier: MIT
//
// A consumer that believes nothing: every message's number, length and bytes, every
// descriptor, and why it ended. Checks fail the process (CHILD_CHECK).
#pragma once

#include "board.hpp"
#include "stream.hpp"

#include <optional>

namespace faults {

enum class waiting : std::uint8_t { sleeps, polls, spins }; // spins: in pull mode
enum class walking : std::uint8_t { peek, next, run };

struct reading_habits {
    waiting waits = waiting::sleeps;
    walking walks = walking::peek;
    std::uint64_t batch = 1;      // messages that are released together
    std::uint64_t lingers_ns = 0; // over each message, looking at it again and again
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
    void note_in_time(std::uint64_t *at, std::uint64_t since);
    void wait(std::uint32_t token);
    void finish();
    void check_eviction(std::uint32_t reason);

    zbq_consumer *cons_;
    stream stream_;
    reading_habits habits_;
    account *own_;
    int event_ = -1;
    std::optional<zbq_readable_run> run_;
    std::uint64_t next_ = 0; // number of the next message; 0 until there is one
    bool ended_ = false;
    unsigned looks_ = 0;
    // The last time that it certainly held nothing back: room, and records.
    std::uint64_t in_time_at_;
    std::uint64_t collected_at_;
};

} // namespace faults
