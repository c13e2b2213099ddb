// SPDX-License-Identifier: MIT
//
// Logs: lines in the form of syslog go to two readers, each in an event loop of its own. One
// prints those that hold a word, the other counts them by program and severity. The publisher
// lets readers in while it waits for them, and for room.
//
//   example_logs [WORD] < lines       (journalctl -o short, /var/log/syslog, ...)
//   example_logs                      lines of its own making, and a check of the counts
#include "child.hpp"

#include <zbq.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <tuple>
#include <unistd.h>

namespace {

using counts = std::map<std::string, std::uint64_t>;

// "Nov 23 10:00:00 host program[pid]: text" gives program.
std::string program_of(std::string_view line) {
    std::istringstream words{std::string(line)};
    std::string word;
    for (int i = 0; i < 5; ++i) {
        words >> word;
    }
    return word.substr(0, word.find_first_of("[:"));
}

std::string severity_of(std::string_view line) {
    for (const char *word : {"error", "warning"}) {
        if (line.find(word) != std::string_view::npos) {
            return word;
        }
    }
    return "info";
}

std::string kind_of(std::string_view line) {
    return program_of(line) + " " + severity_of(line);
}

std::string made_up_lines() {
    std::minstd_rand random(1);
    const std::array programs = {"kernel", "sshd", "systemd", "nginx", "cron"};
    const std::array texts = {"link is up", "error: connection reset by peer", "session opened",
                              "warning: clock has drifted", "job done"};
    std::string lines;
    for (int i = 0; i < 20'000; ++i) {
        lines += "Nov 23 10:00:00 host ";
        lines += programs.at(random() % programs.size());
        lines += "[" + std::to_string(random() % 1000) + "]: ";
        lines += texts.at(random() % texts.size());
        lines += '\n';
    }
    return lines;
}

// ---- readers ----

// Everything that a reader waits for, in one epoll: lines, and Ctrl-C.
class event_loop {
public:
    explicit event_loop(zbq::consumer reader)
        : reader_(std::move(reader)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        signals_ = zbq::unique_fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
        watch(reader_.event_fd());
        watch(signals_.get());
    }

    // To the end of the stream. Whether every line was seen.
    template <typename Handler>
    bool run(const Handler &handle) {
        for (;;) {
            epoll_event event = {};
            epoll_wait(epoll_.get(), &event, 1, -1);
            if (event.data.fd == signals_.get()) {
                return false;
            }
            if (read_all(handle) != zbq::status::again) {
                return reader_.ending() == zbq::ending::closed;
            }
        }
    }

private:
    void watch(int fd) {
        epoll_event event = {};
        event.events = EPOLLIN;
        event.data.fd = fd;
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    }

    // Until nothing is left now, which readies the descriptor for what comes next.
    template <typename Handler>
    zbq::status read_all(const Handler &handle) {
        for (;;) {
            const zbq::message message = reader_.try_next();
            if (!message) {
                return message.why();
            }
            const std::string line(zbq::text_of(message.payload()));
            if (message.intact()) { // the copy is whole
                handle(line);
            }
        }
    }

    zbq::consumer reader_;
    zbq::unique_fd epoll_;
    zbq::unique_fd signals_;
};

int filter(zbq::consumer reader, const std::string &word) {
    std::uint64_t found = 0;
    const bool all = event_loop(std::move(reader)).run([&](const std::string &line) {
        if (line.find(word) != std::string::npos && ++found <= 3) {
            std::printf("%s\n", line.c_str());
        }
    });
    std::printf("%lu lines hold '%s'\n", static_cast<unsigned long>(found), word.c_str());
    return all ? 0 : 1;
}

// With counts to compare with, the status tells whether they are the same.
int count(zbq::consumer reader, const counts &expected) {
    counts found;
    const bool all =
        event_loop(std::move(reader)).run([&](const std::string &line) { ++found[kind_of(line)]; });
    for (const auto &[kind, number] : found) {
        std::printf("%8lu %s\n", static_cast<unsigned long>(number), kind.c_str());
    }
    return all && (expected.empty() || found == expected) ? 0 : 1;
}

template <typename Reader>
child start(const std::string &name, const Reader &read) {
    return child([&](int /*socket*/) {
        return read(zbq::connect(name, zbq::in(std::chrono::seconds(60))));
    });
}

// ---- the publisher ----

zbq::producer_options ring_options() {
    zbq::producer_options options;
    options.capacity = 64U << 10U;
    options.stall_timeout = std::chrono::seconds(60); // of a machine that may be busy
    return options;
}

int run(std::istream &lines, const std::string &word, const counts &expected) {
    const std::string name = "@zbq-example-logs-" + std::to_string(getpid());
    const std::array readers = {
        start(name, [&](zbq::consumer reader) { return filter(std::move(reader), word); }),
        start(name, [&](zbq::consumer reader) { return count(std::move(reader), expected); })};
    {
        zbq::listener door(name);
        zbq::producer ring(ring_options());
        ring.attach(door);
        std::ignore = ring.serve_until(
            zbq::never, [&] { return ring.statistics().consumers == readers.size(); });
        for (std::string line; std::getline(lines, line);) {
            std::ignore = ring.publish(zbq::bytes_of(line), zbq::never);
        }
    } // the end of the stream
    bool right = true;
    for (const child &reader : readers) {
        right = reader.wait() == 0 && right;
    }
    return right ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
    return guarded([&] {
        if (argc > 1) {
            return run(std::cin, argv[1], {});
        }
        const std::string text = made_up_lines();
        std::istringstream lines(text);
        counts expected;
        for (std::string line; std::getline(lines, line);) {
            ++expected[kind_of(line)];
        }
        lines = std::istringstream(text);
        return run(lines, "error", expected);
    });
}
