// SPDX-License-Identifier: MIT
//
// The producer of a campaign: publishes as fast as it can, lets in whoever connects, and
// notes what becomes of them. Checks fail the process (CHILD_CHECK).
#pragma once

#include "board.hpp"
#include "rendezvous.hpp"
#include "stream.hpp"

#include <functional>
#include <vector>

namespace faults {

inline constexpr std::uint64_t stall_timeout_ns = 50 * test::ms;

struct publishing_habits {
    std::uint64_t capacity;
    std::uint64_t clog_threshold;
    bool polls; // waits for room in a poll; else it yields and tries again
};
publishing_habits draw_publishing(std::uint64_t seed);

class publisher {
public:
    publisher(int listener, board *shared, const descriptor_pool &pool, std::uint64_t seed,
              const publishing_habits &habits);

    void admit(int connection, const hello &who);
    void publish_until_told(); // by the board
    void publish_last();
    void tell_board();

    // Once all consumers of the round are gone.
    void expect_as_at_start();

private:
    struct member {
        std::uint32_t slot;
        std::uint64_t join_number;
        std::uint32_t account;
    };

    void serve();
    void serve_pending();
    void note_members();
    void publish_some();
    void publish_one(std::uint64_t number, bool is_last);
    void publish_batch(const zbq_contiguous_run &run);
    zbq_contiguous_run room_for(std::uint64_t bytes);
    void broadcast(std::uint64_t number, std::uint8_t count);
    void insist(const std::function<bool()> &attempt, bool serves);
    void wait(bool serves);
    void commit(std::uint64_t bytes);

    int listener_;
    board *board_;
    const descriptor_pool &pool_;
    stream stream_;
    bool polls_;
    test::producer_ptr producer_;
    int event_ = -1;
    std::vector<test::unique_fd> pending_; // connected, and have not said who they are
    std::vector<member> members_;
    std::uint64_t head_ = 0;
    std::uint64_t next_ = 1;
    std::uint64_t first_of_round_ = 1;
    std::size_t descriptors_ = 0;
    std::size_t mappings_ = 0;
    std::size_t memory_ = 0;
};

// Memory that a process may have gained without a leak: the heap's pieces, pages first used.
inline constexpr std::size_t memory_noise = std::size_t{1024} * 1024;

} // namespace faults
