// SPDX-License-Identifier: MIT
#include "signals.hpp"

#include <array>
#include <csignal>
#include <unistd.h>

namespace zbq::tool {

namespace {

volatile std::sig_atomic_t requested = 0;
std::array<volatile std::sig_atomic_t, 65> seen = {}; // signals that are watched

// From the first signal on a call that blocks is interrupted every second: the signal may have
// come after the flag was looked at, and before the call began.
void interrupt_later(int /*signal*/) {
    alarm(1);
}

void request_stop(int signal) {
    requested = signal;
    interrupt_later(signal);
}

void note_signal(int signal) {
    seen[static_cast<size_t>(signal)] = 1;
}

void set_handler(int signal, void (*handler)(int), unsigned flags) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(flags); // never SA_RESTART: calls shall end
    sigaction(signal, &action, nullptr);
}

void catch_unless_ignored(int signal) {
    struct sigaction action = {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) {
        set_handler(signal, request_stop, SA_RESETHAND);
    }
}

void unblock(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

} // namespace

void install_signal_handlers() {
    set_handler(SIGALRM, interrupt_later, 0);
    unblock(SIGALRM);
    for (const int signal : std::array{SIGINT, SIGTERM, SIGHUP}) {
        catch_unless_ignored(signal);
    }
    for (const int signal : std::array{SIGPIPE, SIGXFSZ}) {
        set_handler(signal, SIG_IGN, 0);
    }
}

void watch_signals(std::initializer_list<int> signals) {
    for (const int signal : signals) {
        set_handler(signal, note_signal, 0);
    }
}

bool take_signal(int signal) {
    volatile std::sig_atomic_t &flag = seen[static_cast<size_t>(signal)];
    const bool came = flag != 0;
    flag = 0;
    return came;
}

int stop_signal() {
    return requested;
}

int status_when_stopped() {
    return 128 + requested;
}

} // namespace zbq::tool
