// SPDX-License-Identifier: MIT
//
// A ring with two consumers, in one process: the subject, to whom things happen, and a bystander,
// who shall not notice. Messages are numbered, and whoever reads one looks whether it is the next.
#pragma once

#include "support/rig.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace inject {

struct reader {
    test::consumer_ptr consumer;
    std::uint32_t slot = 0;
    std::uint64_t next_message = 0;
    std::size_t next_record = 0; // of the scene's
    zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH;
};

struct record {
    std::uint64_t seq_id = 0;
    std::uint8_t fd_count = 1;
};

std::string read_one(reader *who); // a result's name

struct scene {
    explicit scene(const test::ring_options &options);

    test::producer_ptr prod;
    std::vector<reader> readers;
    std::uint64_t committed = 0; // messages
    std::vector<record> records; // sent to all
    record pending;              // to be sent, or sent to some only; seq_id 0: none

    // For a handshake, and the join that follows it.
    test::socket_pair sockets;
    std::uint32_t new_slot = 0;
    bool is_awaiting_join = false;

    // What an operation gave.
    int fd = -1;
    test::producer_ptr other_producer;
    std::array<int, ZBQ_MAX_FD_PER_MSG> received = {};
    std::uint8_t received_count = 0;

    [[nodiscard]] reader &bystander() { return readers[0]; }
    [[nodiscard]] reader &subject() { return readers[1]; }
    [[nodiscard]] zbq_producer *ring() const { return prod.get(); }
    [[nodiscard]] zbq_consumer *cons() { return subject().consumer.get(); }

    void add_reader();
    void adopt(test::consumer_ptr joined, zbq_wakeup_mode mode); // who was given the new slot
    bool publish();                                              // the next number; false: no room
    void fill();                                                 // without a failed attempt
    void read_all(reader *who) const;
    void queue_record(std::uint8_t fd_count); // as pending, unless there is one
    std::string send_pending();               // makes no call but the library's
    std::string retain(std::uint16_t key);    // the next number, with the last record; the same
    std::string receive(reader *who);         // the next record; the same
    void finish_receiving(reader *who, const std::string &result); // looks at what came
    void collect_all(reader *who);

    // Every consumer that was not evicted gets all that was committed and sent, and more.
    void check_that_it_goes_on();

private:
    void check_the_end();
    test::unique_fd payload_; // the descriptor that all records carry
};

std::string name_of(int result); // "OK", "NOMEM" and so on

} // namespace inject
