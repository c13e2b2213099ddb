// SPDX-License-Identifier: MIT
//
// What the processes of a campaign tell each other: memory that all of them share, apart from
// the library that they test.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace faults {

inline constexpr std::uint32_t most_consumers = 16;

enum class ending : std::uint32_t {
    none,          // of its own accord, or killed
    not_joined,    // the producer died first
    at_mark,       // read all of the round
    closed,        // read all of the stream
    producer_died, // the same
    evicted,
};

// One consumer of a round.
struct account {
    // By the consumer.
    std::atomic<bool> joined = false;
    std::atomic<bool> acted = false; // did what its fate wants, so far as it is its own doing
    std::atomic<std::uint64_t> messages = 0;
    std::atomic<std::uint64_t> bytes = 0;
    std::atomic<std::uint64_t> records = 0;
    std::atomic<std::uint64_t> refused_records = 0; // for want of descriptors
    std::atomic<std::uint64_t> torn = 0;            // and known to be
    std::atomic<std::uint64_t> tail = 0;
    std::atomic<ending> end = ending::none;
    std::atomic<std::uint32_t> told_eviction = 0;
    // By the producer.
    std::atomic<std::uint64_t> first = 0; // number of its first message; 0: not admitted
    std::atomic<std::uint32_t> eviction = 0;
    std::atomic<std::uint64_t> seen_at = 0; // the last time that it is sure to have had its slot
    // By whoever knows: since when it is sure to be no consumer any more.
    std::atomic<std::uint64_t> gone_at = 0;
};

struct board {
    // By the one who leads the campaign.
    std::atomic<bool> end = false;
    // By the producer.
    std::atomic<std::uint64_t> capacity = 0;
    std::atomic<std::uint64_t> head = 0;
    std::atomic<std::uint64_t> messages = 0;
    std::atomic<std::uint64_t> longest_wait = 0;
    std::atomic<bool> round_done = false;
    std::array<account, most_consumers> accounts = {};
};

// Anew for each round. In a memfd, for a program that is executed has no other way to it.
class shared_board {
public:
    shared_board();
    shared_board(const shared_board &) = delete;
    shared_board &operator=(const shared_board &) = delete;
    ~shared_board();

    void clear();
    board *operator->() const { return board_; }
    [[nodiscard]] board *get() const { return board_; }
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_ = -1;
    board *board_ = nullptr;
};

board *map_board(int fd); // NULL when it cannot

} // namespace faults
