// SPDX-License-Identifier: MIT
#include "stage.hpp"

#include "ping_pong.hpp"
#include "shared.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <exception>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

namespace {

constexpr unsigned patience = 60; // seconds for any one step
constexpr auto probe_time = std::chrono::microseconds(200);

class barrier {
public:
    explicit barrier(unsigned processes) {
        pthread_barrierattr_t attributes;
        pthread_barrierattr_init(&attributes);
        pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(memory_.get(), &attributes, processes);
        pthread_barrierattr_destroy(&attributes);
    }
    void wait() const { pthread_barrier_wait(memory_.get()); }

private:
    shared<pthread_barrier_t> memory_;
};

struct failure_text {
    std::array<char, 256> text{};
};

// What the processes of a play share.
struct stage_memory {
    stage_memory(std::size_t systems, const stage_options &options)
        : step(options.actors), failures(systems + 1),
          outcomes(systems * options.rounds * options.actors), floors(systems * options.rounds),
          probes(systems * options.rounds) {}
    barrier step;
    shared<failure_text> failures; // by system; the floor's comes last
    shared<outcome> outcomes;
    shared<double> floors;
    shared<distances> probes;
};

std::uint64_t process_time() {
    timespec time = {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

void pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(processor), &set);
    sched_setaffinity(0, sizeof set, &set);
}

class actor {
public:
    actor(unsigned index, act *floor, const std::vector<std::unique_ptr<act>> &systems,
          const stage_options &options, stage_memory *memory, cache_line_ping_pong *probe)
        : index_(index), floor_(floor), systems_(systems), options_(options), memory_(memory),
          probe_(probe) {}

    void run() {
        for (std::size_t i = 0; i < systems_.size(); ++i) {
            prepare(systems_[i].get(), i);
        }
        if (floor_ != nullptr) {
            prepare(floor_, systems_.size());
        }
        for (unsigned round = 0; round < options_.rounds; ++round) {
            for (std::size_t i = 0; i < systems_.size(); ++i) {
                if (memory_->failures[i].text[0] == 0) {
                    perform(i, round);
                }
            }
        }
    }

private:
    void prepare(act *what, std::size_t which) {
        alarm(patience);
        try {
            what->prepare(index_);
        } catch (const std::exception &failure) {
            std::snprintf(memory_->failures[which].text.data(),
                          memory_->failures[which].text.size(), "%s", failure.what());
        }
        memory_->step.wait();
    }

    double distance() {
        const bool measured = options_.pinned && index_ < 2;
        return measured ? probe_->perform(index_, probe_time).figure : 0;
    }

    outcome perform(act *what) {
        alarm(patience);
        memory_->step.wait();
        const std::uint64_t time_before = process_time();
        outcome result = what->perform(index_, options_.slice);
        result.cpu_ns = process_time() - time_before;
        memory_->step.wait();
        return result;
    }

    void perform(std::size_t which, unsigned round) {
        const std::size_t slice = which * options_.rounds + round;
        const double before = distance();
        const double floor = floor_ != nullptr ? perform(floor_).figure : 0;
        const double between = distance();
        memory_->outcomes[slice * options_.actors + index_] = perform(systems_[which].get());
        const double after = distance();
        if (index_ == 0) {
            memory_->floors[slice] = floor;
            memory_->probes[slice] = {before, between, after};
        }
    }

    unsigned index_;
    act *floor_;
    const std::vector<std::unique_ptr<act>> &systems_;
    stage_options options_;
    stage_memory *memory_;
    cache_line_ping_pong *probe_;
};

int act_out(actor *self, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        return 1;
    }
    try {
        self->run();
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "bench: %s\n", failure.what());
        return 1;
    }
    return 0;
}

std::vector<pid_t> start(act *floor, const std::vector<std::unique_ptr<act>> &systems,
                         const stage_options &options, stage_memory *memory) {
    cache_line_ping_pong probe;
    const std::vector<int> usable = processors();
    const pid_t parent = getpid();
    std::vector<pid_t> pids;
    for (unsigned index = 0; index < options.actors; ++index) {
        const pid_t pid = fork();
        if (pid == 0) {
            if (options.pinned) {
                pin(usable[index % usable.size()]);
            }
            actor self(index, floor, systems, options, memory, &probe);
            _exit(act_out(&self, parent));
        }
        pids.push_back(pid);
    }
    return pids;
}

// One that has died leaves the others at a barrier: they are killed.
bool await(std::vector<pid_t> pids) {
    bool right = true;
    while (!pids.empty()) {
        int status = 0;
        const pid_t ended = waitpid(-1, &status, 0);
        std::erase(pids, ended);
        if (status != 0 && right) {
            right = false;
            for (const pid_t pid : pids) {
                kill(pid, SIGKILL);
            }
        }
    }
    return right;
}

act_result collect(const act &played, std::size_t which, const stage_options &options,
                   const stage_memory &memory) {
    act_result result;
    result.name = played.name();
    result.failure = memory.failures[which].text.data();
    for (unsigned round = 0; round < options.rounds && result.failure.empty(); ++round) {
        const std::size_t slice = which * options.rounds + round;
        const outcome *first = &memory.outcomes[slice * options.actors];
        result.rounds.push_back({memory.probes[slice], memory.floors[slice],
                                 std::vector<outcome>(first, first + options.actors)});
    }
    result.samples = played.samples();
    return result;
}

} // namespace

std::vector<int> processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> usable;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(static_cast<unsigned>(i), &set)) {
            usable.push_back(i);
        }
    }
    return usable;
}

std::vector<act_result> play(act *floor, const std::vector<std::unique_ptr<act>> &systems,
                             const stage_options &options) {
    stage_memory memory(systems.size(), options);
    const bool finished = await(start(floor, systems, options, &memory));
    std::vector<act_result> results;
    for (std::size_t i = 0; i < systems.size(); ++i) {
        results.push_back(collect(*systems[i], i, options, memory));
        if (!finished && results.back().failure.empty()) {
            results.back().failure = "a process of this play died or hung";
        }
    }
    return results;
}

} // namespace bench
