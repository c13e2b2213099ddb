// SPDX-License-Identifier: MIT
#include "pinned.hpp"

#include "scm.hpp"
#include "support/process.hpp"
#include "support/rig.hpp"

#include <fstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace hostile {

namespace {

// In bytes.
double memory_of(const std::string &kind) {
    std::ifstream lines("/proc/meminfo");
    double kilobytes = 0;
    for (std::string name; lines >> name >> kilobytes; lines.ignore(64, '\n')) {
        if (name == kind + ":") {
            return kilobytes * 1024;
        }
    }
    return 0;
}

void keep_one(int socket) {
    zbq_join_payload payload = {};
    zbq::core::ancillary with;
    CHILD_CHECK(zbq::core::receive_record(socket, &payload, sizeof payload, 0, &with) ==
                sizeof payload);
    void *map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, with.fds.at(2), 0);
    CHILD_CHECK(map != MAP_FAILED);
    static_cast<zbq_consumer_metadata *>(map)->tail_offset = 8; // it is to be evicted
    (void)with.fds.take(3).release();
    (void)with.fds.take(5).release();
}

int keep_all(int socket, std::uint64_t joins, const test::step_pipe &kept) {
    const rlimit most = {2 * joins + 64, 2 * joins + 64};
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &most) == 0);
    for (std::uint64_t i = 0; i < joins; ++i) {
        keep_one(socket);
        kept.send(i);
    }
    return pause();
}

} // namespace

pinned measure_pinned(std::uint64_t joins) {
    const test::socket_pair sockets = test::make_sockets();
    const test::step_pipe kept;
    test::child keeper([&] { return keep_all(sockets.consumer_end.get(), joins, kept); });
    const test::producer_ptr prod = test::make_producer();
    const double shared = memory_of("Shmem");
    const double slab = memory_of("Slab");
    for (std::uint64_t i = 0; i < joins; ++i) {
        std::uint32_t slot = 0;
        zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot);
        (void)kept.receive();
        zbq_producer_scan(prod.get());
    }
    const auto each = static_cast<double>(joins);
    return {(memory_of("Shmem") - shared) / each, (memory_of("Slab") - slab) / each};
}

} // namespace hostile
