// SPDX-License-Identifier: MIT
#include "support/rig.hpp"

#include "producer.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

#include "ring.hpp"

namespace test {

producer_ptr make_producer(const ring_options &options) {
    const zbq_producer_params params = {options.capacity, options.clog_threshold,
                                        options.stall_timeout_ns, options.max_consumers};
    zbq_producer *prod = nullptr;
    if (zbq_producer_create(&prod, &params) != ZBQ_OK) {
        throw std::runtime_error("no producer");
    }
    return producer_ptr(prod);
}

socket_pair make_sockets(int type) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

socket_pair make_sockets() {
    return make_sockets(SOCK_SEQPACKET);
}

joined join(zbq_producer *prod, zbq_wakeup_mode mode, const zbq_start *start) {
    const socket_pair sockets = make_sockets();
    joined result;
    EXPECT_EQ(zbq_producer_admit(prod, sockets.producer_end.get(), mode, start, &result.slot),
              ZBQ_OK);
    zbq_consumer *cons = nullptr;
    if (zbq_consumer_join(sockets.consumer_end.get(), mode, &cons) != ZBQ_OK) {
        throw std::runtime_error("no consumer");
    }
    result.consumer.reset(cons);
    return result;
}

bool publish(zbq_producer *prod, std::string_view payload, std::uint8_t fd_count,
             std::uint64_t seq_id) {
    const std::uint64_t size = zbq::core::round_up(sizeof(zbq_msg_header) + payload.size());
    zbq_contiguous_run run = {};
    if (zbq_producer_reserve(prod, size, &run) != ZBQ_OK) {
        return false;
    }
    auto *header = static_cast<zbq_msg_header *>(run.base);
    *header = {static_cast<std::uint32_t>(payload.size()), fd_count, 0, 0, seq_id};
    std::memcpy(header + 1, payload.data(), payload.size());
    return zbq_producer_commit(prod, size, ZBQ_COMMIT_NONE);
}

std::uint64_t fill(zbq_producer *prod) {
    std::uint64_t count = 0;
    while (count <= prod->capacity / 16 && publish(prod, "")) {
        ++count;
    }
    return count;
}

int read_one(zbq_consumer *cons, std::string *payload) {
    zbq_msg_view view = {};
    const int result = zbq_consumer_peek(cons, &view);
    if (result == ZBQ_OK) {
        payload->assign(static_cast<const char *>(view.payload), view.payload_len);
        zbq_consumer_publish(cons, view.logical_offset + view.total_len);
    }
    return result;
}

int skip_all(zbq_consumer *cons) {
    int count = 0;
    std::string payload;
    while (read_one(cons, &payload) == ZBQ_OK) {
        ++count;
    }
    return count;
}

void forget_wakes(zbq_producer *prod, std::uint32_t slot) {
    prod->slots[slot].wakes = {};
}

zbq_producer_statistics stats(zbq_producer *prod) {
    zbq_producer_statistics now = {};
    EXPECT_EQ(zbq_producer_stats(prod, &now), ZBQ_OK);
    return now;
}

zbq_consumer_info info(zbq_producer *prod, std::uint32_t slot) {
    zbq_consumer_info now = {};
    zbq_producer_consumer_info(prod, slot, &now);
    return now;
}

std::uint32_t scan_until_evicted(zbq_producer *prod, std::uint32_t slot) {
    constexpr int tries = 60'000; // at a millisecond each: only a hang takes this long
    zbq_consumer_info now = {};
    for (int i = 0; i < tries; ++i) {
        EXPECT_EQ(zbq_producer_scan(prod), ZBQ_OK);
        if (zbq_producer_consumer_info(prod, slot, &now) == ZBQ_ERROR_NOENT) {
            return now.eviction;
        }
        usleep(1000);
    }
    ADD_FAILURE() << "slot " << slot << " was never evicted";
    return ZBQ_EVICTION_NONE;
}

} // namespace test
