// SPDX-License-Identifier: MIT
#include "support/pretender.hpp"

#include "atomics.hpp"

#include <gtest/gtest.h>

namespace test {

using zbq::core::region_create;
using zbq::core::sharing;

pretender::pretender(std::uint64_t capacity) {
    EXPECT_EQ(region_create("zbq-control", 256, false, sharing::read_only, &control_), 0);
    EXPECT_EQ(region_create("zbq-ring", capacity, true, sharing::read_only, &ring_), 0);
    EXPECT_EQ(region_create("zbq-consumer", 4096, false, sharing::writable, &metadata_), 0);
    EXPECT_EQ(zbq::core::socket_pair_seqpacket(&side_, &consumer_side_), 0);
    EXPECT_EQ(zbq::core::event_make(&event_, &consumer_event_), 0);
    process_.reset(zbq::core::pidfd_of(zbq::core::process_id()));
    control()->ring_capacity = capacity;
    payload.ring_capacity = capacity;
    payload.wakeup_mode = ZBQ_WAKEUP_PUSH;
    payload.protocol_version = ZBQ_PROTOCOL_VERSION;
    fds = {control_.fd.get(),    ring_.fd.get(), metadata_.fd.get(),
           consumer_side_.get(), process_.get(), consumer_event_.get()};
}

consumer_ptr pretender::join(zbq_wakeup_mode mode) {
    const socket_pair sockets = make_sockets();
    EXPECT_EQ(zbq::core::send_record(sockets.producer_end.get(), &payload, payload_size, fds.data(),
                                     static_cast<unsigned>(fds.size())),
              static_cast<ssize_t>(payload_size));
    zbq_consumer *cons = nullptr;
    result = zbq_consumer_join(sockets.consumer_end.get(), mode, &cons);
    EXPECT_EQ(cons == nullptr, result != ZBQ_OK);
    return consumer_ptr(cons);
}

zbq_control_region *pretender::control() const {
    return static_cast<zbq_control_region *>(control_.memory.get());
}

char *pretender::ring() const {
    return static_cast<char *>(ring_.memory.get());
}

zbq_consumer_metadata *pretender::metadata() const {
    return static_cast<zbq_consumer_metadata *>(metadata_.memory.get());
}

// Both ends are let go of, so that closing the one returned is what the consumer sees.
unique_fd pretender::take_side() {
    consumer_side_.reset();
    return std::move(side_);
}

void pretender::put_message(std::uint64_t offset, std::uint32_t payload_len) const {
    auto *header = reinterpret_cast<zbq_msg_header *>(ring() + offset % payload.ring_capacity);
    *header = {payload_len, 0, 0, 0, 0};
}

void pretender::set_head(std::uint64_t head) const {
    __atomic_store_n(&control()->producer_head, head, __ATOMIC_RELEASE);
}

} // namespace test
