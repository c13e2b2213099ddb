// SPDX-License-Identifier: MIT
//
// One system doing one piece of work, played by several processes in step.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;
using nanoseconds = std::chrono::duration<double, std::nano>;

// What an actor has to say of a slice. The first actor's figure counts.
struct outcome {
    double figure = 0;          // as the act defines it
    std::uint64_t messages = 0; // that it sent or received
    std::uint64_t errors = 0;   // messages that were not what was sent
    std::uint64_t cpu_ns = 0;   // of this process, filled in by the stage
};

class act {
public:
    explicit act(std::string name) : name_(std::move(name)) {}
    act(const act &) = delete;
    act &operator=(const act &) = delete;
    act(act &&) = delete;
    act &operator=(act &&) = delete;
    virtual ~act() = default;

    // Once in each process, at the same time; actor 0 is the sender.
    virtual void prepare(unsigned actor) = 0;
    // All processes at the same time, again and again.
    virtual outcome perform(unsigned actor, clock::duration slice) = 0;

    // What it recorded over all slices, for distributions.
    [[nodiscard]] virtual std::vector<double> samples() const { return {}; }

    [[nodiscard]] const std::string &name() const { return name_; }

private:
    std::string name_;
};

} // namespace bench
