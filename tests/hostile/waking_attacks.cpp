// SPDX-License-Identifier: MIT
#include "attack.hpp"

#include "support/process.hpp"

#include <climits>
#include <cmath>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/epoll.h>
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

// For a tenth of a second at most: its owner may have been evicted meanwhile.
void sleep_on(const std::uint32_t *word, std::uint32_t value) {
    const timespec slice = {0, 100'000'000};
    futex(word, FUTEX_WAIT, value, reinterpret_cast<std::uintptr_t>(&slice), nullptr);
}

} // namespace

// Marked as asleep whenever the producer looks, and never asleep.
void parks(intruder &in, unsigned how) {
    for (;;) {
        in.stay();
        for (int again = 0; again < 256; ++again) {
            in.park(how);
            in.set_tail(in.head());
        }
        in.collect();
        in.count_step();
    }
}

void toggles(intruder &in, unsigned /*amount*/) {
    for (unsigned turn = 0;; ++turn) {
        in.stay();
        in.park(turn % 2 == 0 ? 3 : 0);
        for (unsigned i = 0; i < turn % 64; ++i) { // at no pace that one could get used to
            in.set_tail(in.head());
        }
        in.keep_up();
        in.count_step();
    }
}

// Sleeps until the next commit each time, so that each commit has to wake it.
void is_woken(intruder &in, unsigned how) {
    for (;;) {
        in.stay();
        in.park(how);
        char byte = 0;
        if (how == 1) {
            sleep_on(in.word(), how);
        } else {
            (void)recv(in.event(), &byte, 1, 0);
        }
        in.keep_up();
        in.count_step();
    }
}

// ---- many sleepers ----

namespace {

// Threads that sleep, while their owner is never behind and says that it sleeps.
void lead_crowd(intruder &in, unsigned threads, void (*sleep)(const intruder &)) {
    in.keeps_mappings = true; // somebody may sleep there
    in.join();
    std::vector<std::thread> crowd;
    for (unsigned i = 0; i < threads; ++i) {
        crowd.emplace_back([&in, sleep] {
            for (;;) {
                sleep(in);
            }
        });
    }
    parks(in, 1);
}

} // namespace

// Whatever the word is: they are woken by the producer alone.
void sleeps_in_a_crowd(intruder &in, unsigned threads) {
    lead_crowd(in, threads, [](const intruder &with) {
        const std::uint32_t *word = with.word();
        sleep_on(word, __atomic_load_n(word, __ATOMIC_RELAXED));
    });
}

namespace {

struct waited { // futex_waitv's, which older headers do not have
    std::uint64_t value;
    std::uint64_t address;
    std::uint32_t flags;
    std::uint32_t reserved;
};
constexpr std::size_t most_waited = 128;
constexpr std::uint32_t of_32_bits = 2;
constexpr long futex_waitv = 449;

waited wait_for(const std::uint32_t *word) {
    return {__atomic_load_n(word, __ATOMIC_RELAXED), reinterpret_cast<std::uintptr_t>(word),
            of_32_bits, 0};
}

void wait_for_many(const intruder &in) {
    std::array<waited, most_waited> words = {};
    for (std::size_t i = 0; i < words.size(); i += 4) {
        words[i] = words[i + 1] = wait_for(in.word());
        words[i + 2] = wait_for(in.bell());
        words[i + 3] = wait_for(in.word_of_place(i));
    }
    timespec end = {};
    clock_gettime(CLOCK_MONOTONIC, &end);
    ++end.tv_sec;
    syscall(futex_waitv, words.data(), words.size(), 0, &end, CLOCK_MONOTONIC);
}

} // namespace

void waits_for_many(intruder &in, unsigned threads) {
    lead_crowd(in, threads, wait_for_many);
}

// ---- many watchers ----

namespace {

// As many copies of a descriptor as there are epolls, and each in each.
class watch_tower {
public:
    watch_tower(int fd, unsigned entries) {
        const auto side = static_cast<unsigned>(std::sqrt(entries));
        for (unsigned i = 0; i < side; ++i) {
            copies_.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
            epolls_.emplace_back(epoll_create1(EPOLL_CLOEXEC));
        }
        for (const unique_fd &epoll : epolls_) {
            for (const unique_fd &copy : copies_) {
                epoll_event event = {};
                event.events = EPOLLIN | EPOLLET;
                epoll_ctl(epoll.get(), EPOLL_CTL_ADD, copy.get(), &event); // as many as it may
            }
        }
    }

private:
    std::vector<unique_fd> copies_;
    std::vector<unique_fd> epolls_;
};

} // namespace

void watches(intruder &in, unsigned entries) {
    for (;;) {
        in.join();
        const watch_tower tower(in.event(), entries);
        while (!in.is_evicted()) {
            in.park(2);
            in.keep_up();
            in.count_step();
        }
    }
}

void filters(intruder &in, unsigned instructions) {
    std::vector<sock_filter> program(instructions, sock_filter{BPF_ALU | BPF_XOR | BPF_K, 0, 0, 1});
    program.back() = {BPF_RET | BPF_K, 0, 0, UINT32_MAX};
    const sock_fprog all = {static_cast<unsigned short>(instructions), program.data()};
    for (;;) {
        in.stay();
        for (const int fd : {in.side(), in.event()}) {
            CHILD_CHECK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all) != 0 &&
                        errno == EPERM);
        }
        in.park(2);
        in.keep_up();
        in.count_step();
    }
}

// ---- bells ----

void never_rings(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay();
        for (int i = 0; i < 256; ++i) {
            in.set_tail_silently(in.head());
        }
        in.collect();
        in.count_step();
    }
}

void rings(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay();
        for (int i = 0; i < 256; ++i) {
            in.ring();
            in.set_tail(in.head());
        }
        in.collect();
        in.count_step();
    }
}

void storms_futexes(intruder &in, unsigned operation) {
    std::uint32_t nowhere = 0;
    for (;;) {
        in.stay();
        for (std::size_t i = 0; i < 64; ++i) {
            const std::uint32_t *reached[] = {in.bell(), in.bell(), in.word(), in.word_of_place(i)};
            const std::uint32_t most = operation == FUTEX_WAKE ? INT_MAX : 0;
            futex(reached[i % 4], static_cast<int>(operation), most, INT_MAX, &nowhere);
        }
        in.keep_up();
        in.count_step();
    }
}

void barriers(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay();
        for (int i = 0; i < 16; ++i) {
            syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
        }
        in.keep_up();
        in.count_step();
    }
}

} // namespace hostile
