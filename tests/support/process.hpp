// SPDX-License-Identifier: MIT
//
// Real processes for tests. A child runs a function and exits with what it returns; it
// has a watchdog, and is killed and reaped when its handle goes. Fork before any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <sys/types.h>

namespace test {

// Two ends that pass single words, for steps between parent and child.
class step_pipe {
public:
    step_pipe();
    step_pipe(const step_pipe &) = delete;
    step_pipe &operator=(const step_pipe &) = delete;
    ~step_pipe();

    void send(std::uint64_t word) const;
    std::uint64_t receive() const; // waits; exits the process at the end

private:
    int ends_[2] = {-1, -1};
};

class child {
public:
    explicit child(const std::function<int()> &body);
    child(const child &) = delete;
    child &operator=(const child &) = delete;
    ~child();

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const; // none once it is reaped
    void stop();                   // SIGSTOP, and waits until it has
    bool stop_unless_ended();      // the same; false, and it is reaped, when it has ended
    bool has_ended();              // and was reaped then
    void kill();                   // SIGKILL, and reaps it
    int wait();                    // its exit status, or 128 + signal

private:
    bool reap(int options); // false: it goes on

    pid_t pid_ = -1;
    int status_ = -1;
};

// Ends a process that hangs: far beyond what any machine needs.
void start_watchdog();

} // namespace test

// In a child there is no gtest to report to: say what failed and exit.
#define CHILD_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            test::child_failed(__FILE__, __LINE__, #condition);                                    \
        }                                                                                          \
    } while (false)

namespace test {
[[noreturn]] void child_failed(const char *file, int line, const char *condition);
} // namespace test
