// SPDX-License-Identifier: MIT
#include "support/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test {

namespace {
constexpr unsigned watchdog_seconds = 600;
}

void start_watchdog() {
    alarm(watchdog_seconds);
}

step_pipe::step_pipe() {
    if (pipe(ends_) != 0) {
        std::abort();
    }
}

step_pipe::~step_pipe() {
    close(ends_[0]);
    close(ends_[1]);
}

void step_pipe::send(std::uint64_t word) const {
    if (write(ends_[1], &word, sizeof word) != sizeof word) {
        std::abort();
    }
}

std::uint64_t step_pipe::receive() const {
    std::uint64_t word = 0;
    while (read(ends_[0], &word, sizeof word) != sizeof word) {
        if (errno != EINTR) {
            child_failed(__FILE__, __LINE__, "read of a step");
        }
    }
    return word;
}

child::child(const std::function<int()> &body) {
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        start_watchdog();
        _exit(body());
    }
    EXPECT_GT(pid_, 0);
}

child::~child() {
    if (pid_ > 0) {
        kill();
    }
}

void child::signal(int number) const {
    if (pid_ > 0) { // -1 is everybody
        ::kill(pid_, number);
    }
}

bool child::reap(int options) {
    pid_t changed = 0;
    while ((changed = waitpid(pid_, &status_, options)) < 0 && errno == EINTR) {
    }
    if (changed != pid_ || WIFSTOPPED(status_)) {
        return false;
    }
    pid_ = -1;
    return true;
}

void child::stop() {
    EXPECT_TRUE(stop_unless_ended());
}

bool child::stop_unless_ended() {
    signal(SIGSTOP);
    return pid_ > 0 && !reap(WUNTRACED);
}

bool child::has_ended() {
    return pid_ < 0 || reap(WNOHANG);
}

void child::kill() {
    signal(SIGKILL);
    wait();
}

int child::wait() {
    if (pid_ > 0) {
        reap(0);
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

void child_failed(const char *file, int line, const char *condition) {
    std::fprintf(stderr, "%s:%d: in process %d: %s (errno %d)\n", file, line, getpid(), condition,
                 errno);
    _exit(99);
}

} // namespace test
