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

struct probes {
    double before = 0;
    double after = 0;
};

// What the processes of a play share.
struct stage_memory {
    stage_memory(std::size_t acts, const stage_options &options)
        : step(options.actors), failures(acts), outcomes(acts * options.rounds * options.actors),
          distances(acts * options.rounds) {}
    barrier step;
    shared<failure_text> failures; // by act
    shared<outcome> outcomes;
    shared<probes> distances;
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
    actor(unsigned index, const std::vector<std::unique_ptr<act>> &acts,
          const stage_options &options, stage_memory *memory, cache_line_ping_pong *probe)
        : index_(index), acts_(acts), options_(options), memory_(memory), probe_(probe) {}

    void run() {
        for (std::size_t i = 0; i < acts_.size(); ++i) {
            prepare(i);
        }
        for (unsigned round = 0; round < options_.rounds; ++round) {
            for (std::size_t i = 0; i < acts_.size(); ++i) {
                if (memory_->failures[i].text[0] == 0) {
                    perform(i, round);
                }
            }
        }
    }

private:
    void prepare(std::size_t which) {
        alarm(patience);
        try {
            acts_[which]->prepare(index_);
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

    void perform(std::size_t which, unsigned round) {
        alarm(patience);
        const std::size_t slice = which * options_.rounds + round;
        memory_->step.wait();
        const double before = distance();
        const std::uint64_t time_before = process_time();
        outcome result = acts_[which]->perform(index_, options_.slice);
        result.cpu_ns = process_time() - time_before;
        memory_->outcomes[slice * options_.actors + index_] = result;
        memory_->step.wait();
        const double after = distance();
        if (index_ == 0) {
            memory_->distances[slice] = {before, after};
        }
    }

    unsigned index_;
    const std::vector<std::unique_ptr<act>> &acts_;
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

std::vector<pid_t> start(const std::vector<std::unique_ptr<act>> &acts,
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
            actor self(index, acts, options, memory, &probe);
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
        slice_result one;
        one.probe_before = memory.distances[slice].before;
        one.probe_after = memory.distances[slice].after;
        const outcome *first = &memory.outcomes[slice * options.actors];
        one.actors.assign(first, first + options.actors);
        result.rounds.push_back(std::move(one));
    }
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

std::vector<act_result> play(const std::vector<std::unique_ptr<act>> &acts,
                             const stage_options &options) {
    stage_memory memory(acts.size(), options);
    const bool finished = await(start(acts, options, &memory));
    std::vector<act_result> results;
    for (std::size_t i = 0; i < acts.size(); ++i) {
        results.push_back(collect(*acts[i], i, options, memory));
        if (!finished && results.back().failure.empty()) {
            results.back().failure = "a process of this play died or hung";
        }
    }
    return results;
}

} // namespace bench
