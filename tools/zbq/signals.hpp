// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>

namespace zbq::tool {

// SIGINT, SIGTERM and SIGHUP set a flag, once each: the second kills. One that was ignored
// at the start stays ignored (nohup, background jobs). SIGPIPE becomes EPIPE, SIGXFSZ EFBIG.
void install_signal_handlers();

// The signal that asked to stop, or 0.
int stop_signal();

// From now on these do nothing but what take_signal tells.
void watch_signals(std::initializer_list<int> signals);

// Whether one of those came since this was last asked.
bool take_signal(int signal);

// What to end with after it.
int status_when_stopped();

} // namespace zbq::tool
