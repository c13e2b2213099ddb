// SPDX-License-Identifier: MIT
//
// How many instructions each call of the fast path takes: counted by stepping through it, so the
// answer does not depend on time or on what else the machine does. With a file of expected
// counts, fails when a call has become dearer.
//
//   zbq-instructions [EXPECTED]
#include "support/stepper.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fmt/core.h>
#include <fstream>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <vector>
#include <zbq.hpp>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 &&           \
    defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool comparable = true; // with the counts in the file
#else
constexpr bool comparable = false;
#endif

namespace {

constexpr int skipped = 77;
constexpr std::size_t payload_size = 64;
constexpr std::uint64_t message_size = zbq::producer::size_of(payload_size);
constexpr int repetitions = 9;
constexpr int batch_size = 16;

[[noreturn]] void fail(const char *what) {
    std::perror(what);
    std::exit(1);
}

struct call {
    const char *name;
    int messages; // that it handles
    std::function<void()> prepare;
    std::function<void()> run;
};

// A ring with one push-mode reader that is awake.
class rig {
public:
    rig() : ends_(pair()), reader_((ring_.admit(ends_[0].get()), ends_[1].get())) {}

    std::vector<call> calls() {
        const auto nothing = [] {};
        const auto commit_one = [this] { publish(1); };
        const auto room = [this] { reserve(); };
        const auto walk = [this] {
            publish(1);
            zbq_consumer_next(cons_, views_.data());
        };
        return {
            {"nothing", 1, nothing, nothing},
            {"query", 1, nothing, [this] { zbq_producer_query(prod_); }},
            {"reserve", 1, nothing, room},
            {"commit", 1, room,
             [this] { zbq_producer_commit(prod_, message_size, ZBQ_COMMIT_NONE); }},
            {"commit, keep", 1, room,
             [this] { zbq_producer_commit(prod_, message_size, ZBQ_COMMIT_KEEP); }},
            {"peek", 1, commit_one, [this] { zbq_consumer_peek(cons_, views_.data()); }},
            {"peek in vain", 1, nothing, [this] { zbq_consumer_peek(cons_, views_.data()); }},
            {"next", 1, commit_one, [this] { zbq_consumer_next(cons_, views_.data()); }},
            {"next, inline", batch_size, [this] { publish(batch_size); },
             [this] { walk_window(); }},
            {"valid", 1, nothing, [this] { zbq_consumer_valid(cons_); }},
            {"publish", 1, walk, [this] { zbq_consumer_publish(cons_, ring_.statistics().head); }},
            {"C++ try_publish", 1, nothing, [this] { std::ignore = ring_.try_publish(payload_); }},
            {"C++ reserve, commit", 1, nothing,
             [this] { std::ignore = ring_.try_reserve(payload_size).commit(); }},
            {"C++ try_next", 1, commit_one, [this] { std::ignore = reader_.try_next(); }},
            {"C++ take_batch", batch_size, [this] { publish(batch_size); },
             [this] { read_batch(); }},
        };
    }

    void drain() {
        zbq_consumer_acquire_head(cons_), zbq_consumer_publish(cons_, ring_.statistics().head);
    }

private:
    static std::array<zbq::unique_fd, 2> pair() {
        std::array<int, 2> ends = {-1, -1};
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
            fail("socketpair");
        }
        return {zbq::unique_fd(ends[0]), zbq::unique_fd(ends[1])};
    }
    void reserve() {
        zbq_contiguous_run run = {};
        zbq_producer_reserve(prod_, message_size, &run);
        *static_cast<zbq_msg_header *>(run.base) = {payload_size, 0, 0, 0, 0};
    }
    void publish(int messages) {
        for (int i = 0; i < messages; ++i) {
            reserve();
            zbq_producer_commit(prod_, message_size, ZBQ_COMMIT_NONE);
        }
    }
    void walk_window() {
        zbq_read_window *window = zbq_consumer_window(cons_);
        for (unsigned left = batch_size; left > 0; --left) {
            zbq_window_next(window, views_.data());
            asm volatile("" ::"r"(views_[0].payload));
            zbq_window_release(window, views_[0].logical_offset + views_[0].total_len);
        }
    }
    void read_batch() {
        for (const zbq::message_view &message : reader_.take_batch()) {
            asm volatile("" ::"r"(message.payload().data()));
        }
    }

    std::array<zbq::unique_fd, 2> ends_;
    zbq::producer ring_;
    zbq::consumer reader_;
    zbq_producer *prod_ = ring_.get();
    zbq_consumer *cons_ = reader_.get();
    std::array<zbq_msg_view, batch_size> views_ = {};
    std::array<std::byte, payload_size> payload_ = {};
};

// Each call between two marks, `repetitions` times.
int traced() {
    for (std::size_t i = 0; i < rig().calls().size(); ++i) {
        for (int repetition = 0; repetition < repetitions; ++repetition) {
            rig fresh; // C++ and C calls keep different books
            const call one = fresh.calls()[i];
            one.prepare();
            one.run();
            fresh.drain();
            one.prepare();
            test::mark();
            one.run();
            test::mark();
        }
    }
    return 0;
}

// The least of the repetitions, call by call.
std::vector<long> count_steps() {
    test::stepper process(traced);
    std::vector<long> counts;
    for (int window = 0; process.run_to_mark(); ++window) {
        while (process.step()) {
        }
        const auto steps = static_cast<long>(process.instructions());
        const bool first = window % repetitions == 0;
        if (first) {
            counts.push_back(steps);
        } else {
            counts.back() = std::min(counts.back(), steps);
        }
    }
    if (process.finish() != 0) {
        throw std::runtime_error("the traced process ended badly");
    }
    return counts;
}

std::map<std::string, long> read_expected(const char *path) {
    std::map<std::string, long> expected;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (line[0] != '#' && colon != std::string::npos) {
            expected[line.substr(0, colon)] = std::stol(line.substr(colon + 1));
        }
    }
    return expected;
}

// A tenth, and three: what other versions of libc and compiler may do.
bool is_near(long count, long expected) {
    return std::abs(count - expected) <= expected / 10 + 3;
}

int compare(const std::vector<long> &counts, const char *path) {
    const std::vector<call> calls = rig().calls();
    const std::map<std::string, long> expected = read_expected(path);
    bool right = true;
    for (std::size_t i = 1; i < calls.size(); ++i) {
        const long count = counts.at(i) - counts.at(0);
        const auto found = expected.find(calls[i].name);
        const bool near = found != expected.end() && is_near(count, found->second);
        right = right && near;
        fmt::print("{}: {}{}\n", calls[i].name, count,
                   near                      ? ""
                   : found == expected.end() ? "   not in the file"
                                             : fmt::format("   was {}", found->second));
    }
    return right ? 0 : 1;
}

int run(const char *expected) {
    if (!comparable && expected != nullptr) {
        fmt::print("skipped: the expected counts are those of g++ 12 on x86-64, optimized\n");
        return skipped;
    }
    if (!test::can_trace()) {
        fmt::print("skipped: no process can be traced here\n");
        return skipped;
    }
    return compare(count_steps(), expected != nullptr ? expected : "/dev/null");
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(argc > 1 ? argv[1] : nullptr);
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}
