// SPDX-License-Identifier: MIT
#include "calls.hpp"

#include "summary.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <zbq.h>

namespace bench {

namespace {

constexpr unsigned messages = 8192;            // for each round
constexpr std::uint64_t message_size = 64;     // with its header; divides the ring
constexpr std::uint64_t ring_size = 2U << 20U; // more than twice a round's messages

void must(bool condition, const char *what) {
    if (!condition) {
        throw std::runtime_error(fmt::format("{} failed", what));
    }
}

struct deleter {
    void operator()(zbq_producer *producer) const { zbq_producer_destroy(producer); }
    void operator()(zbq_consumer *consumer) const { zbq_consumer_destroy(consumer); }
};
using producer_ptr = std::unique_ptr<zbq_producer, deleter>;
using consumer_ptr = std::unique_ptr<zbq_consumer, deleter>;

producer_ptr make_producer(std::uint64_t capacity = ring_size) {
    const zbq_producer_params params = {capacity, 16, 0, 64};
    zbq_producer *made = nullptr;
    must(zbq_producer_create(&made, &params) == ZBQ_OK, "creating a producer");
    return producer_ptr(made);
}

// Collects a figure of each round, and gives the median.
class rounds {
public:
    template <typename Work>
    void time(const Work &work) {
        const auto start = std::chrono::steady_clock::now();
        work();
        const nanoseconds took = std::chrono::steady_clock::now() - start;
        figures_.push_back(took.count());
    }
    [[nodiscard]] double median() { return quantile(&figures_, 0.5); }

private:
    std::vector<double> figures_;
};

// ---- joins ----

struct joiner {
    rounds handshake;
    rounds join;

    consumer_ptr operator()(zbq_producer *producer, zbq_wakeup_mode mode) {
        int ends[2];
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
        zbq_consumer *consumer = nullptr;
        std::uint32_t slot = 0;
        int admitted = ZBQ_OK;
        int joined = ZBQ_OK;
        handshake.time([&] { admitted = zbq_producer_handshake(producer, ends[0], mode, &slot); });
        join.time([&] { joined = zbq_consumer_join(ends[1], mode, &consumer); });
        close(ends[0]);
        close(ends[1]);
        must(admitted == ZBQ_OK && joined == ZBQ_OK, "joining");
        return consumer_ptr(consumer);
    }
};

std::vector<call_cost> slow_calls(unsigned times) {
    const producer_ptr producer = make_producer();
    joiner join;
    rounds leave;
    rounds evict;
    for (unsigned i = 0; i < times; ++i) {
        consumer_ptr consumer = join(producer.get(), ZBQ_WAKEUP_PUSH);
        leave.time([&] { consumer.reset(); });
        evict.time([&] { zbq_producer_scan(producer.get()); });
    }
    return {{"handshake", join.handshake.median()},
            {"join", join.join.median()},
            {"leave", leave.median()},
            {"scan that evicts", evict.median()}};
}

// Where the machine has room for it: nothing is said of what would only show its swapping.
bool has_memory_for(std::uint64_t bytes) {
    const auto pages = static_cast<std::uint64_t>(sysconf(_SC_AVPHYS_PAGES));
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) > 2 * bytes;
}

void measure_large_rings(std::vector<call_cost> *costs) {
    constexpr unsigned times = 5;
    for (const std::uint64_t mib : {64U, 1024U}) {
        if (!has_memory_for(mib << 20U)) {
            continue;
        }
        rounds make;
        joiner join;
        for (unsigned i = 0; i < times; ++i) {
            producer_ptr producer;
            make.time([&] { producer = make_producer(mib << 20U); });
            join(producer.get(), ZBQ_WAKEUP_PUSH);
        }
        costs->push_back({fmt::format("make, {} MiB", mib), make.median()});
        costs->push_back({fmt::format("join, {} MiB", mib), join.join.median()});
    }
}

// ---- messages ----

void reserve_all(zbq_producer *producer) {
    zbq_contiguous_run run = {};
    must(zbq_producer_reserve(producer, messages * message_size, &run) == ZBQ_OK, "reserve");
    for (unsigned i = 0; i < messages; ++i) {
        const zbq_msg_header header = {message_size - sizeof(zbq_msg_header), 0, 0, 0, 0};
        std::memcpy(static_cast<char *>(run.base) + i * message_size, &header, sizeof header);
    }
}

void read_all(zbq_consumer *consumer) {
    zbq_msg_view view = {};
    while (zbq_consumer_next(consumer, &view) == ZBQ_OK) {
    }
    zbq_consumer_publish(consumer, view.logical_offset + view.total_len);
}

// In each round all messages are written twice, and read.
struct fast_rounds {
    rounds query_commit, reserve, commit, peek, next, publish;

    void write(zbq_producer *producer) {
        zbq_contiguous_run run = {};
        bool committed = true;
        query_commit.time([&] { // a query that finds no more than the last one is another matter
            for (unsigned i = 0; i < messages; ++i) {
                run = zbq_producer_query(producer);
                const zbq_msg_header header = {message_size - sizeof(zbq_msg_header), 0, 0, 0, 0};
                std::memcpy(run.base, &header, sizeof header);
                committed &= zbq_producer_commit(producer, message_size, ZBQ_COMMIT_NONE);
            }
        });
        reserve.time([&] {
            for (unsigned i = 0; i < messages; ++i) {
                zbq_producer_reserve(producer, message_size, &run);
            }
        });
        reserve_all(producer);
        commit.time([&] {
            for (unsigned i = 0; i < messages; ++i) {
                committed &= zbq_producer_commit(producer, message_size, ZBQ_COMMIT_KEEP);
            }
        });
        must(committed, "commit");
    }

    void read(zbq_consumer *consumer) {
        zbq_msg_view view = {};
        const std::uint64_t start = zbq_consumer_tail(consumer);
        peek.time([&] {
            for (unsigned i = 0; i < messages; ++i) {
                zbq_consumer_peek(consumer, &view);
            }
        });
        next.time([&] {
            for (unsigned i = 0; i < messages; ++i) {
                zbq_consumer_next(consumer, &view);
            }
        });
        publish.time([&] {
            for (unsigned i = 1; i <= messages; ++i) {
                zbq_consumer_publish(consumer, start + i * message_size);
            }
        });
        must(zbq_consumer_tail(consumer) == start + messages * message_size, "publish");
        read_all(consumer);
    }
};

std::vector<call_cost> fast_calls(unsigned consumers, zbq_wakeup_mode mode, unsigned times) {
    const producer_ptr producer = make_producer();
    joiner join;
    std::vector<consumer_ptr> readers;
    for (unsigned i = 0; i < consumers; ++i) {
        readers.push_back(join(producer.get(), mode));
    }
    fast_rounds calls;
    for (unsigned i = 0; i < times; ++i) {
        calls.write(producer.get());
        calls.read(readers.front().get());
        for (unsigned other = 1; other < consumers; ++other) {
            read_all(readers[other].get());
        }
    }
    const char *suffix = mode == ZBQ_WAKEUP_PUSH ? "" : ", pull mode";
    const auto cost = [&](const char *call, rounds *of) {
        return call_cost{call + std::string(suffix), of->median() / messages, consumers};
    };
    std::vector<call_cost> costs = {cost("commit", &calls.commit)};
    if (consumers == 1 && mode == ZBQ_WAKEUP_PUSH) {
        costs.insert(costs.begin(),
                     {cost("query, commit", &calls.query_commit), cost("reserve", &calls.reserve)});
        costs.insert(costs.end(), {cost("peek", &calls.peek), cost("next", &calls.next),
                                   cost("publish", &calls.publish)});
    }
    return costs;
}

// ---- memory ----

// Of this process, what is shared counted by its share.
double resident_bytes() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string line; std::getline(rollup, line);) {
        if (line.rfind("Pss:", 0) == 0) {
            return std::stod(line.substr(4)) * 1024;
        }
    }
    throw std::runtime_error("no Pss in /proc/self/smaps_rollup");
}

double open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<double>(std::distance(begin(all), end(all)));
}

void measure_memory(call_costs *costs) {
    constexpr unsigned consumers = 64;
    const producer_ptr producer = make_producer();
    joiner join;
    std::vector<consumer_ptr> readers;
    readers.push_back(join(producer.get(), ZBQ_WAKEUP_PUSH)); // what the first one warms
    const double bytes_before = resident_bytes();
    const double descriptors_before = open_descriptors();
    while (readers.size() < consumers) {
        readers.push_back(join(producer.get(), ZBQ_WAKEUP_PUSH));
    }
    const unsigned joined = consumers - 1;
    costs->consumer_bytes = (resident_bytes() - bytes_before) / joined;
    costs->consumer_descriptors = (open_descriptors() - descriptors_before) / joined;
}

} // namespace

call_costs measure_calls(double effort) {
    const auto times = std::max(5U, static_cast<unsigned>(200 * effort));
    call_costs costs;
    for (const unsigned consumers : {1U, 8U, 64U}) {
        for (const zbq_wakeup_mode mode : {ZBQ_WAKEUP_PUSH, ZBQ_WAKEUP_PULL}) {
            const std::vector<call_cost> some = fast_calls(consumers, mode, times);
            costs.fast.insert(costs.fast.end(), some.begin(), some.end());
        }
    }
    costs.slow = slow_calls(times);
    measure_large_rings(&costs.slow);
    measure_memory(&costs);
    return costs;
}

} // namespace bench
