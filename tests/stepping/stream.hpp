// SPDX-License-Identifier: MIT
//
// A stream that everybody knows: each message follows from its number, and its place from those
// before it. A reader finds out at once what is not the stream.
#pragma once

#include "support/rig.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace test {

const std::string &payload_of(std::uint64_t number);
std::uint64_t size_of(std::uint64_t number);   // in the ring
std::uint64_t offset_of(std::uint64_t number); // the stream starts at 0
std::optional<std::uint64_t> number_at(std::uint64_t offset);
bool is_message(const zbq_msg_view &view, std::uint64_t number); // whole

// Room for so many messages from this one on, with the messages in it. false: no room.
bool prepare(zbq_producer *prod, std::uint64_t number, unsigned count = 1);
bool put(zbq_producer *prod, std::uint64_t number);

// What is wrong with the messages from one offset to another; empty: nothing. Each is whole, and
// the last ends where they end.
std::string flaw_between(const char *ring, std::uint64_t capacity, std::uint64_t from,
                         std::uint64_t to);

// A consumer in this process, and how far it has read.
struct reader {
    unique_fd rendezvous;
    zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH;
    std::uint32_t slot = 0;
    consumer_ptr consumer;
    std::uint64_t next = 0; // the number of the message that it reads next
};

// ZBQ_ERROR_AGAIN: the producer has sent nothing so far.
int try_join(reader &who);

// Reads and releases up to so many messages; why there were no more, or ZBQ_OK. Fails the test
// at one that is not the stream's next.
int read(reader &who, std::uint64_t most = UINT64_MAX);

// All that it would read from its tail on, without releasing any: what is wrong, and how far it
// came.
std::string look(const reader &who, std::uint64_t *end);

} // namespace test
