// SPDX-License-Identifier: MIT
#include "attacks.hpp"

#include <climits>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace hostile {

namespace {

long futex(const std::uint32_t *word, int operation, std::uint32_t value, std::uintptr_t value2,
           std::uint32_t *other) {
    return syscall(SYS_futex, word, operation, value, value2, other, 0);
}

const std::uint32_t *bell(const intruder &in) {
    return &in.control->broadcast_futex;
}

// Marked as asleep whenever the producer looks, and never asleep.
void park_without_sleep(intruder &in, std::uint32_t how) {
    in.join();
    for (std::uint64_t i = 0;; ++i) {
        for (int again = 0; again < 16; ++again) {
            in.park(how);
        }
        in.set_tail(in.head());
        if (i % 16 == 0) {
            in.keep_up();
        }
        in.count_step();
    }
}

} // namespace

void parks_on_bell(intruder &in) {
    park_without_sleep(in, 1);
}

void parks_on_event(intruder &in) {
    park_without_sleep(in, 2);
}

void parks_on_both(intruder &in) {
    park_without_sleep(in, 3);
}

// Sleeps until the next commit each time, so that each commit has to wake it.
void sleeps_on_event(intruder &in) {
    in.join();
    for (;;) {
        in.park(3);
        char byte = 0;
        (void)recv(in.event(), &byte, 1, 0);
        in.keep_up();
        in.count_step();
    }
}

void wakes_others(intruder &in) {
    in.join();
    for (;;) {
        for (int i = 0; i < 16; ++i) {
            futex(bell(in), FUTEX_WAKE, INT_MAX, 0, nullptr);
        }
        in.keep_up();
        in.count_step();
    }
}

// Takes sleepers off the bell and has them sleep where nobody rings.
void requeues_others(intruder &in) {
    in.join();
    std::uint32_t nowhere = 0;
    for (;;) {
        for (int i = 0; i < 16; ++i) {
            futex(bell(in), FUTEX_REQUEUE, 0, INT_MAX, &nowhere);
        }
        in.keep_up();
        in.count_step();
    }
}

void barriers(intruder &in) {
    in.join();
    for (;;) {
        for (int i = 0; i < 16; ++i) {
            syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
        }
        in.keep_up();
        in.count_step();
    }
}

// Whoever rings the bell has to wake all these.
void crowds_the_bell(intruder &in) {
    constexpr int many = 64;
    in.join();
    std::vector<std::thread> sleepers;
    for (int i = 0; i < many; ++i) {
        sleepers.emplace_back([&in] {
            for (;;) {
                futex(bell(in), FUTEX_WAIT, __atomic_load_n(bell(in), __ATOMIC_ACQUIRE), 0,
                      nullptr);
            }
        });
    }
    for (;;) {
        in.park(1);
        in.keep_up();
        in.count_step();
    }
}

} // namespace hostile
