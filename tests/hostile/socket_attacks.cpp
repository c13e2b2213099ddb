// SPDX-License-Identifier: MIT
#include "attack.hpp"

#include "scm.hpp"
#include "support/process.hpp"
#include "zbq/greeting.hpp"

#include <csignal>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hostile {

namespace {

// Empty, a bell, an announcement, too long; with a descriptor where the kernel lets it.
void send_some(int socket, const unique_fd &extra) {
    const char bytes[4096] = {};
    const int fd = extra.get();
    for (const std::size_t size : {0U, 1U, 16U, 4096U}) {
        zbq::core::send_record(socket, bytes, size, nullptr, 0);
        zbq::core::send_record(socket, bytes, size, &fd, 1);
    }
}

} // namespace

void floods(intruder &in, unsigned which) {
    const unique_fd extra(memfd_create("extra", MFD_CLOEXEC));
    for (int turn = 0;; ++turn) {
        in.join(turn % 2 == 0);
        for (int i = 0; i < 500 && !in.is_evicted(); ++i) {
            send_some(in.fds[which].get(), extra);
            in.set_tail(in.head());
        }
        in.count_step();
        shutdown(in.fds[which].get(), turn % 3);               // to read, to write, both
        for (int i = 0; i < 20'000 && !in.is_evicted(); ++i) { // until something was sent there
            in.park(3);
            in.set_tail(in.head());
        }
    }
}

void comes_and_goes(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.join();
        in.leave();
        in.count_step();
    }
}

// ---- connections ----

namespace {

// Of a process that may have a thousand descriptors.
constexpr std::size_t connections = 900;

bool is_answered(int socket) {
    char bytes[8];
    return recv(socket, bytes, sizeof bytes, 0) > 0;
}

void greet(int socket, unsigned how, int extra) {
    const zbq::detail::hello hello = zbq::detail::make_hello(ZBQ_WAKEUP_PUSH);
    const int fds[] = {extra, extra};
    switch (how) {
    case half_a_hello:
        (void)send(socket, hello.data(), hello.size() / 2, MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    case hello_with_descriptors:
        zbq::core::send_record(socket, hello.data(), hello.size(), fds, 2);
        break;
    case hello_alone:
        zbq::detail::send_packet(socket, zbq::detail::make_hello(ZBQ_WAKEUP_PUSH));
        break;
    case another_protocol:
        (void)send(socket, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    case hang_up:
        shutdown(socket, SHUT_WR);
        break;
    default: // silence
        break;
    }
}

} // namespace

// What follows the welcome is never received.
void never_takes_its_join(intruder &in, unsigned /*amount*/) {
    std::vector<unique_fd> kept;
    for (;;) {
        kept.push_back(in.dial());
        greet(kept.back().get(), hello_alone, -1);
        (void)is_answered(kept.back().get());
        in.count_step();
        if (kept.size() == connections) {
            kept.clear();
        }
    }
}

void connects(intruder &in, unsigned which) {
    const unique_fd extra(memfd_create("extra", MFD_CLOEXEC));
    std::vector<unique_fd> kept;
    for (unsigned turn = 0;; ++turn) {
        kept.push_back(in.dial());
        const unsigned how = which == all_hellos ? turn % all_hellos : which;
        greet(kept.back().get(), how, extra.get());
        in.count_step();
        if (kept.size() == connections) {
            kept.clear();
        }
    }
}

namespace {

void die_with(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { // too late for the signal
        _exit(0);
    }
}

// Has what another one was given, and writes there.
[[noreturn]] void be_the_accomplice(int socket) {
    for (;;) {
        char byte = 0;
        zbq::core::ancillary with;
        if (zbq::core::receive_record(socket, &byte, 1, 0, &with) <= 0 || with.fds.size() != 3) {
            _exit(0);
        }
        void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, with.fds.at(0), 0);
        CHILD_CHECK(page != MAP_FAILED);
        auto *metadata = static_cast<zbq_consumer_metadata *>(page);
        usleep(2000); // its owner has gone by then
        for (std::uint64_t i = 0; i < 10'000; ++i) {
            __atomic_store_n(&metadata->tail_offset, i * 24, __ATOMIC_RELAXED);
        }
        (void)send(with.fds.at(1), "hello", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)send(with.fds.at(2), "hello", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
        munmap(page, 4096);
    }
}

[[noreturn]] void join_and_hand_over(intruder &in, int accomplice, bool announced) {
    in.join(announced);
    const int fds[] = {in.page_fd(), in.side(), in.event()};
    const char byte = 0;
    zbq::core::send_record(accomplice, &byte, 1, fds, 3);
    in.count_step();
    _exit(0);
}

} // namespace

void passes_on(intruder &in, unsigned /*amount*/) {
    const test::socket_pair sockets = test::make_sockets(SOCK_SEQPACKET);
    const pid_t self = getpid();
    if (fork() == 0) {
        die_with(self);
        be_the_accomplice(sockets.consumer_end.get());
    }
    for (int turn = 0;; ++turn) {
        const pid_t child = fork();
        if (child == 0) {
            die_with(self);
            join_and_hand_over(in, sockets.producer_end.get(), turn % 2 == 0);
        }
        waitpid(child, nullptr, 0);
    }
}

} // namespace hostile
