// SPDX-License-Identifier: MIT
#include "signals.hpp"

#include <array>
#include <csignal>

namespace zbq::tool {

namespace {

volatile std::sig_atomic_t requested = 0;

void request_stop(int signal) {
    requested = signal;
}

void catch_unless_ignored(int signal) {
    struct sigaction action = {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) {
        return;
    }
    action = {};
    action.sa_handler = request_stop;
    action.sa_flags = static_cast<int>(SA_RESETHAND); // not SA_RESTART: calls shall end
    sigaction(signal, &action, nullptr);
}

} // namespace

void install_signal_handlers() {
    for (const int signal : std::array{SIGINT, SIGTERM, SIGHUP}) {
        catch_unless_ignored(signal);
    }
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
}

int stop_signal() {
    return requested;
}

} // namespace zbq::tool
