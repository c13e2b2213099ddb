// SPDX-License-Identifier: MIT
#include "support/syscalls.hpp"

#include "support/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test {

namespace {

// Numbers of no system call: the kernel answers ENOSYS, the tracer sees them pass.
constexpr long begin_marker = 100'001;
constexpr long end_marker = 100'002;

void note(syscall_counts *counts, bool *counting, std::uint64_t number, std::uint64_t operation) {
    if (number == begin_marker || number == end_marker) {
        *counting = number == begin_marker;
        return;
    }
    if (!*counting) {
        return;
    }
    ++counts->by_number[static_cast<long>(number)];
    if (number == SYS_futex &&
        (operation & static_cast<std::uint64_t>(FUTEX_CMD_MASK)) == FUTEX_WAKE) {
        ++counts->futex_wakes;
    }
}

void trace(pid_t pid, syscall_counts *counts) {
    bool counting = false;
    int status = 0;
    int deliver = 0;
    while (ptrace(PTRACE_SYSCALL, pid, nullptr, deliver) == 0 && waitpid(pid, &status, 0) == pid &&
           WIFSTOPPED(status)) {
        deliver = 0;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            deliver = WSTOPSIG(status);
            continue;
        }
        __ptrace_syscall_info info = {};
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            note(counts, &counting, info.entry.nr, info.entry.args[1]);
        }
    }
    counts->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

} // namespace

int syscall_counts::total() const {
    int sum = 0;
    for (const auto &[number, count] : by_number) {
        sum += count;
    }
    return sum;
}

void begin_counting() {
    syscall(begin_marker);
}

void end_counting() {
    syscall(end_marker);
}

syscall_counts count_syscalls(const std::function<int()> &body) {
    syscall_counts counts;
    const pid_t pid = fork();
    if (pid == 0) {
        start_watchdog();
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        _exit(body());
    }
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
              0);
    trace(pid, &counts);
    return counts;
}

} // namespace test
