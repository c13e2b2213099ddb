// SPDX-License-Identifier: MIT
#pragma once

namespace zbq::tool {

// SIGINT, SIGTERM and SIGHUP set a flag, once each: the second kills. One that was ignored
// at the start stays ignored (nohup, background jobs). SIGPIPE becomes EPIPE, SIGXFSZ EFBIG.
void install_signal_handlers();

// The signal that asked to stop, or 0.
int stop_signal();

// What to end with after it.
int status_when_stopped();

} // namespace zbq::tool
