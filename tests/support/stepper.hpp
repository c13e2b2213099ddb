// SPDX-License-Identifier: MIT
//
// A process that is run one instruction at a time. It has no part in googletest: the benchmark
// counts instructions with it.
#pragma once

#include <cstdint>
#include <functional>
#include <sys/types.h>

namespace test {

// In the body: the process stops here, and whoever steps it goes on from here.
void mark();

// A child under ptrace. Between two calls it stands still, wherever it was; it is killed and
// reaped when this goes. What cannot be is thrown as std::runtime_error: no process can be
// traced here, or the body ended or got a signal in the middle of an operation.
class stepper {
public:
    explicit stepper(const std::function<int()> &body);
    stepper(const stepper &) = delete;
    stepper &operator=(const stepper &) = delete;
    ~stepper();

    // At full speed. false: it has ended, and there was none.
    bool run_to_mark();

    // One instruction; a system call is one, and is made as a whole. false: it is at a mark.
    bool step();
    // So many, if the mark is so far away; stands there then.
    bool stop_at(std::uint64_t instruction);
    // The same, and dies there.
    void kill_at(std::uint64_t instruction);

    // Since the last run_to_mark.
    [[nodiscard]] std::uint64_t instructions() const { return instructions_; }

    // A word of its memory.
    [[nodiscard]] std::uint64_t peek(std::uint64_t address) const;

    void kill();
    int finish(); // runs it to its end: its exit status, or 128 + signal

private:
    enum class stop { instruction, mark, end };
    stop resume(int request);

    pid_t pid_ = -1;
    int status_ = 0;
    std::uint64_t instructions_ = 0;
};

bool can_trace();

} // namespace test
