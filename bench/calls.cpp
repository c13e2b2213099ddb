// SPDX-License-Identifier: MIT
//
// What the calls of the fast path cost, in nanoseconds, on one thread: the median of many
// rounds. For figures against peers and the machine's limits a larger suite is needed.
#include "zbq.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int messages = 8192;
constexpr int rounds = 200;
constexpr uint64_t message_size = 64;

using nanoseconds = std::chrono::duration<double, std::nano>;

void must(bool condition, const char *what) {
    if (!condition) {
        fmt::print(stderr, "bench: {} failed\n", what);
        std::exit(1);
    }
}

zbq_consumer *join(zbq_producer *producer, zbq_wakeup_mode mode) {
    int ends[2];
    uint32_t slot = 0;
    zbq_consumer *consumer = nullptr;
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    must(zbq_producer_handshake(producer, ends[0], mode, &slot) == ZBQ_OK, "handshake");
    must(zbq_consumer_join(ends[1], mode, &consumer) == ZBQ_OK, "join");
    close(ends[0]);
    close(ends[1]);
    return consumer;
}

void publish(zbq_producer *producer) {
    for (int i = 0; i < messages; ++i) {
        zbq_contiguous_run run = {};
        must(zbq_producer_reserve(producer, message_size, &run) == ZBQ_OK, "reserve");
        *static_cast<zbq_msg_header *>(run.base) = {message_size - sizeof(zbq_msg_header), 0, 0, 0,
                                                    0};
        zbq_producer_commit(producer, message_size, ZBQ_COMMIT_NONE);
    }
}

void read_all(zbq_consumer *consumer) {
    zbq_msg_view view = {};
    for (int i = 0; i < messages; ++i) {
        must(zbq_consumer_peek(consumer, &view) == ZBQ_OK, "peek");
        zbq_consumer_publish(consumer, view.logical_offset + view.total_len);
    }
}

template <typename Work>
double cost_of(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return nanoseconds(std::chrono::steady_clock::now() - start).count() / messages;
}

double median(std::vector<double> *costs) {
    std::nth_element(costs->begin(), costs->begin() + rounds / 2, costs->end());
    return (*costs)[rounds / 2];
}

void measure(int consumers, zbq_wakeup_mode mode) {
    const zbq_producer_params params = {1U << 20U, 16, 0, 64};
    zbq_producer *producer = nullptr;
    must(zbq_producer_create(&producer, &params) == ZBQ_OK, "create");
    std::vector<zbq_consumer *> readers;
    readers.reserve(static_cast<size_t>(consumers));
    for (int i = 0; i < consumers; ++i) {
        readers.push_back(join(producer, mode));
    }
    std::vector<double> writing;
    std::vector<double> reading;
    for (int round = 0; round < rounds; ++round) {
        writing.push_back(cost_of([&] { publish(producer); }));
        for (zbq_consumer *reader : readers) {
            const double cost = cost_of([&] { read_all(reader); });
            if (reader == readers.front()) {
                reading.push_back(cost);
            }
        }
    }
    fmt::print("{:>9}  {:4}  {:14.1f}  {:12.1f}\n", consumers,
               mode == ZBQ_WAKEUP_PUSH ? "push" : "pull", median(&writing), median(&reading));
    for (zbq_consumer *reader : readers) {
        zbq_consumer_destroy(reader);
    }
    zbq_producer_destroy(producer);
}

} // namespace

int main() {
    fmt::print("consumers  mode  reserve+commit  peek+publish   (ns a message of 64 bytes)\n");
    for (const int consumers : {1, 8, 64}) {
        measure(consumers, ZBQ_WAKEUP_PUSH);
        measure(consumers, ZBQ_WAKEUP_PULL);
    }
    return 0;
}
