// SPDX-License-Identifier: MIT
//
// Trace: programs of several threads log to one collector, each thread by a ring of its own. One
// program is killed in the midst of it. All that was committed is collected, in the order of each
// thread; and what the living wrote can be put in the order of time over all of them.
//
//   example_trace       checks that nothing is missing
#include <zbq.hpp>

#include "child.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace {

constexpr int programs = 3;
constexpr int threads = 2;
constexpr std::uint64_t enough = 50'000; // entries of a thread; the program that is killed goes on

struct entry {
    std::uint64_t time;
    std::uint64_t number; // 0, 1, 2, ... of its thread
    int thread;
};

// What each thread has committed, by its own account. Shared by all processes.
using account = std::array<std::atomic<std::uint64_t>, threads>;

std::uint64_t time_of_day() {
    return static_cast<std::uint64_t>(zbq::clock::now().time_since_epoch().count());
}

void log(zbq::thread_producers *trace, account *committed, int thread, std::uint64_t most) {
    for (std::uint64_t number = 0; number < most; ++number) {
        const entry line = {time_of_day(), number, thread};
        const auto bytes = std::as_bytes(std::span(&line, 1));
        if (trace->mine().publish(bytes, zbq::never) != zbq::status::ok) {
            return;
        }
        (*committed)[static_cast<std::size_t>(thread)].store(number + 1, std::memory_order_relaxed);
    }
}

int program(const std::string &collector, account *committed, std::uint64_t most) {
    zbq::thread_producers trace(collector, {}, {}, std::chrono::seconds(60));
    std::vector<std::thread> all;
    all.reserve(threads);
    for (int thread = 0; thread < threads; ++thread) {
        all.emplace_back(log, &trace, committed, thread, most);
    }
    for (std::thread &each : all) {
        each.join();
    }
    return 0;
}

// Reads until all programs have ended; checks each thread's order, and counts.
class reader {
public:
    explicit reader(const std::string &name)
        : collector_(name, {.on_join = [this](const zbq::source & /*from*/) { ++joined_; },
                            .on_end = [this](const zbq::source & /*from*/,
                                             zbq::ending /*how*/) { ++ended_; }}) {}

    void step() {
        static_cast<void>(collector_.wait(zbq::in(std::chrono::milliseconds(100))));
        collector_.serve_in_order([](const zbq::message &message) { return read(message).time; },
                                  [this](const zbq::source &from, const zbq::message &message) {
                                      take(from.who().pid, read(message));
                                  });
    }

    [[nodiscard]] bool is_over() const {
        return joined_ == programs * threads && ended_ == joined_;
    }
    [[nodiscard]] bool is_right() const { return is_right_; }
    std::uint64_t count(pid_t pid, int thread) { return counts_[{pid, thread}]; }
    [[nodiscard]] std::uint64_t late() const { return late_; }

private:
    static entry read(const zbq::message &message) {
        entry line = {};
        if (message.payload().size() == sizeof line) {
            std::memcpy(&line, message.payload().data(), sizeof line);
        }
        return line;
    }

    void take(pid_t pid, const entry &line) {
        std::uint64_t &count = counts_[{pid, line.thread}];
        is_right_ = is_right_ && line.number == count;
        ++count;
        late_ += line.time < last_ ? 1 : 0;
        last_ = std::max(last_, line.time);
    }

    zbq::collector collector_;
    std::map<std::pair<pid_t, int>, std::uint64_t> counts_;
    int joined_ = 0;
    int ended_ = 0;
    bool is_right_ = true;
    std::uint64_t last_ = 0;
    std::uint64_t late_ = 0;
};

account *share_accounts() {
    void *memory = mmap(nullptr, programs * sizeof(account), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "mmap"); // NOLINT(*-int-to-ptr): the system's own
    return new (memory) account[programs]();
}

// Each of its threads.
bool has_logged(const account &committed) {
    return std::ranges::all_of(committed, [](const auto &number) {
        return number.load(std::memory_order_relaxed) > enough / 4;
    });
}

int run() {
    const std::string name = "@zbq-example-trace-" + std::to_string(getpid());
    account *const committed = share_accounts();
    std::vector<child> all;
    all.reserve(programs);
    for (int i = 0; i < programs; ++i) {
        all.emplace_back(
            [&, i](int) { return program(name, &committed[i], i == 0 ? UINT64_MAX : enough); });
    }
    reader collected(name);
    bool was_killed = false;
    while (!collected.is_over()) {
        collected.step();
        if (!was_killed && has_logged(committed[0])) {
            all[0].signal(SIGKILL);
            was_killed = true;
        }
    }
    bool is_right = collected.is_right() && was_killed;
    for (int i = 0; i < programs; ++i) {
        is_right = (all[static_cast<std::size_t>(i)].wait() == 0) == (i != 0) && is_right;
        for (int thread = 0; thread < threads; ++thread) {
            const std::uint64_t told = committed[i][static_cast<std::size_t>(thread)].load();
            const std::uint64_t count =
                collected.count(all[static_cast<std::size_t>(i)].pid(), thread);
            // Killed between a commit and the word of it, one has committed one more.
            is_right = is_right && count >= told && count <= told + (i == 0 ? 1 : 0);
            std::printf("program %d, thread %d: %lu committed, %lu collected\n", i, thread,
                        static_cast<unsigned long>(told), static_cast<unsigned long>(count));
        }
    }
    std::printf("%lu came too late for their place in time\n",
                static_cast<unsigned long>(collected.late()));
    return is_right ? 0 : 1;
}

} // namespace

int main() {
    return guarded(run);
}
