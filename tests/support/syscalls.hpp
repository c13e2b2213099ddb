// SPDX-License-Identifier: MIT
//
// Counts the system calls that a stretch of code makes, by the kernel's account: the code
// runs in a traced child.
#pragma once

#include <functional>
#include <map>

namespace test {

struct syscall_counts {
    std::map<long, int> by_number;
    int futex_wakes = 0;
    int exit_status = -1; // of the traced process

    [[nodiscard]] int total() const;
};

// Between these two, in the body, calls are counted.
void begin_counting();
void end_counting();

syscall_counts count_syscalls(const std::function<int()> &body);

} // namespace test
