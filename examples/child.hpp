// SPDX-License-Identifier: MIT
//
// What the examples need besides zbq: a reader in a process of its own, at the other end of a
// socket pair.
#pragma once

#include <zbq/descriptors.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// What main returns: that of `run`, or 1 with a word of what went wrong.
template <typename Run>
int guarded(const Run &run) {
    try {
        return run();
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}

inline void require(bool done, const char *what) {
    if (!done) {
        std::perror(what);
        std::exit(1);
    }
}

class child {
public:
    // Runs `body(socket)` there and exits with what it returns. To be started before the producer
    // exists: a forked child must have nothing of it.
    template <typename Body>
    explicit child(const Body &body) {
        std::array<int, 2> ends = {-1, -1};
        require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0,
                "socketpair");
        socket_ = zbq::unique_fd(ends[0]);
        const zbq::unique_fd theirs(ends[1]);
        pid_ = fork();
        require(pid_ >= 0, "fork");
        if (pid_ == 0) {
            socket_.reset();
            exit_with(body, theirs.get());
        }
    }

    [[nodiscard]] int socket() const { return socket_.get(); }

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const { require(kill(pid_, number) == 0, "kill"); }

    // As waitpid gives it; 0 when it exited with 0.
    [[nodiscard]] int wait() const {
        int status = 0;
        require(waitpid(pid_, &status, 0) == pid_, "waitpid");
        return status;
    }

private:
    template <typename Body>
    [[noreturn]] static void exit_with(const Body &body, int socket) {
        const int status = guarded([&] { return body(socket); });
        std::fflush(stdout);
        _exit(status);
    }

    pid_t pid_ = -1;
    zbq::unique_fd socket_;
};
