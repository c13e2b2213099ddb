// SPDX-License-Identifier: MIT
#include "support/stepper.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test {

namespace {

// A signal, since every machine has them: the tracer sees it and it is never delivered.
constexpr int mark_signal = SIGUSR1;

// Steps of a loop that never ends, which load-exclusive pairs are on machines that lose the
// reservation at each step.
constexpr std::uint64_t endless = 1'000'000;

constexpr unsigned watchdog_seconds = 600;

[[noreturn]] void fail(const std::string &what) {
    throw std::runtime_error("stepping: " + what);
}

int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) != pid) {
        if (errno != EINTR) {
            fail("lost the process");
        }
    }
    return status;
}

} // namespace

void mark() {
    ::kill(getpid(), mark_signal);
}

stepper::stepper(const std::function<int()> &body) {
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(watchdog_seconds);
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
            _exit(1);
        }
        raise(SIGSTOP);
        _exit(body());
    }
    if (pid_ < 0) {
        fail("no process");
    }
    status_ = wait_for(pid_);
    if (!WIFSTOPPED(status_)) {
        pid_ = -1;
        fail("no process can be traced here");
    }
    if (ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) != 0) {
        kill();
        fail("PTRACE_SETOPTIONS");
    }
}

stepper::~stepper() {
    kill();
}

stepper::stop stepper::resume(int request) {
    if (ptrace(static_cast<decltype(PTRACE_CONT)>(request), pid_, nullptr, nullptr) != 0) {
        fail("the process does not go on");
    }
    status_ = wait_for(pid_);
    if (!WIFSTOPPED(status_)) {
        pid_ = -1;
        return stop::end;
    }
    switch (WSTOPSIG(status_)) {
    case SIGTRAP:
        return stop::instruction;
    case mark_signal:
        return stop::mark;
    default:
        fail("the process got signal " + std::to_string(WSTOPSIG(status_)));
    }
}

bool stepper::run_to_mark() {
    instructions_ = 0;
    return resume(PTRACE_CONT) == stop::mark;
}

bool stepper::step() {
    const stop where = resume(PTRACE_SINGLESTEP);
    if (where == stop::end) {
        fail("the process ended before the mark, status " + std::to_string(finish()));
    }
    if (where == stop::instruction && ++instructions_ > endless) {
        fail("no end to an operation");
    }
    return where == stop::instruction;
}

bool stepper::stop_at(std::uint64_t instruction) {
    while (instructions_ < instruction) {
        if (!step()) {
            return false;
        }
    }
    return true;
}

void stepper::kill_at(std::uint64_t instruction) {
    stop_at(instruction);
    kill();
}

std::uint64_t stepper::peek(std::uint64_t address) const {
    errno = 0;
    const long word = ptrace(PTRACE_PEEKDATA, pid_, address, nullptr);
    if (errno != 0) {
        fail("no such memory");
    }
    return static_cast<std::uint64_t>(word);
}

void stepper::kill() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        while (waitpid(pid_, &status_, 0) == pid_ && WIFSTOPPED(status_)) {
        }
        pid_ = -1;
    }
}

int stepper::finish() {
    while (pid_ > 0) {
        resume(PTRACE_CONT);
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

bool can_trace() {
    try {
        return stepper([] { return 0; }).finish() == 0;
    } catch (const std::exception &) {
        return false;
    }
}

} // namespace test
