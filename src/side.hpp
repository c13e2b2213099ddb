// SPDX-License-Identifier: MIT
//
// The side channel: a SOCK_SEQPACKET pair for each join. Towards the consumer go records
// of descriptors; towards the producer goes a single announcement. Formats and the count
// of what is in flight; who sends what when is in producer.cpp and consumer.cpp.
#pragma once

#include "limits.hpp"
#include "scm.hpp"

namespace zbq::core {

// One for each message with descriptors; they ride along as SCM_RIGHTS.
struct side_record {
    uint64_t seq_id;
    uint32_t fd_count;
    uint32_t reserved; // zero
};
static_assert(sizeof(side_record) == 16);

// The consumer's one record, to which the kernel attaches who sent it.
struct announcement {
    uint32_t magic;
    uint32_t slot_index;
    uint64_t reserved; // zero
};
static_assert(sizeof(announcement) == 16);
inline constexpr uint32_t announcement_magic = 0x3171627a; // "zbq1" in memory, little-endian

// What was sent to one consumer and not yet received, by the kernel's account: the consumer cannot
// falsify it. All records have one size, so they weigh the same in the socket's queue, and the
// weight of the queue is a number of records.
class flight {
public:
    // Weighs a record by sending one through the new, empty pair.
    int calibrate(int producer_end, int consumer_end);

    void sent(uint8_t fd_count);
    int refresh(int producer_end);

    // Whether a record with so many descriptors may be sent.
    [[nodiscard]] bool has_room(uint8_t fd_count) const;

    // The last one sent is of no message: it does not count against the consumer any more.
    void orphan_last();
    // Whether nothing else is in flight.
    [[nodiscard]] bool is_all_orphans() const { return fds_ != 0 && fds_ == orphaned_fds_; }

    [[nodiscard]] uint32_t fds() const { return fds_; }
    [[nodiscard]] bool holds_back() const { return fds_ != orphaned_fds_; }
    [[nodiscard]] uint64_t collected_fds() const { return collected_fds_; } // since the join
    void oldest_taken_back();
    void all_taken_back(); // the queue is empty

private:
    struct in_flight_record {
        uint8_t fd_count;
        bool orphaned;
    };
    void forget_oldest();

    uint64_t sent_ = 0;
    uint64_t collected_ = 0;
    uint64_t collected_fds_ = 0;
    uint32_t record_weight_ = 0;
    uint32_t most_records_ = 0; // that the socket's buffer takes
    uint32_t fds_ = 0;
    uint32_t orphaned_fds_ = 0;
    // Of the records in flight. Each has a descriptor at least, so the cap on descriptors
    // bounds them.
    in_flight_record records_[ZBQ_MAX_FD_IN_FLIGHT] = {};
};

// 0, or -errno of the send.
int side_send(int producer_end, flight *in_flight, uint64_t seq_id, const int *fds,
              uint8_t fd_count);

// Takes back what the consumer has not received, so much at a time that it is not dear. true:
// nothing is left.
bool side_take_back(int consumer_end, flight *in_flight);

// 0, -EAGAIN with nothing there, -EPIPE at the end, -EPROTO for a malformed record.
int side_receive(int consumer_end, uint64_t *seq_id, fd_list *fds);

} // namespace zbq::core
