// SPDX-License-Identifier: MIT
//
// Records with descriptors (SCM_RIGHTS) over a Unix socket: send one, receive one. The
// join and the side sockets both use it. Never blocks on sending.
#pragma once

#include "fd_list.hpp"

namespace zbq::core {

// What came with a record beside its bytes.
struct ancillary {
    fd_list fds;
    unique_fd sender_pidfd; // where the receiving socket has SO_PASSPIDFD
    pid_t sender_pid = 0;   // where it has SO_PASSCRED
    bool truncated = false; // bytes, descriptors or both did not fit
};

// Bytes sent, or -errno. Never blocks, never raises SIGPIPE.
ssize_t send_record(int socket, const void *bytes, size_t size, const int *fds, unsigned fd_count);

// Bytes received, 0 at the peer's end, or -errno. Received descriptors are close-on-exec.
ssize_t receive_record(int socket, void *bytes, size_t size, int flags, ancillary *with);

} // namespace zbq::core
