// SPDX-License-Identifier: MIT
//
// While one of these lives, this thread may run on all processors, and threads that it starts
// always may: for systems that bring threads of their own.
#pragma once

#include <sched.h>

namespace bench {

class unpinned {
public:
    unpinned() noexcept {
        sched_getaffinity(0, sizeof own_, &own_);
        cpu_set_t all;
        CPU_ZERO(&all);
        for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
            CPU_SET(i, &all);
        }
        sched_setaffinity(0, sizeof all, &all); // the kernel takes those that there are
    }
    unpinned(const unpinned &) = delete;
    unpinned &operator=(const unpinned &) = delete;
    unpinned(unpinned &&) = delete;
    unpinned &operator=(unpinned &&) = delete;
    ~unpinned() { sched_setaffinity(0, sizeof own_, &own_); }

private:
    cpu_set_t own_ = {};
};

} // namespace bench
