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

// Bytes received (0: the end), or -errno: -EAGAIN with MSG_DONTWAIT and nothing there.
ssize_t receive_record(int socket, void *bytes, size_t size, int flags, ancillary *with);

// Takes a record off and closes what came with it, without a place for it here. Whether there was
// one.
bool discard_record(int socket);

// Whether the first record that waits has descriptors; they stay where they are.
bool has_descriptors_waiting(int socket);

// Closes descriptors whose close may take as long as somebody else likes: a socket with many who
// watch its other end, one that lingers, or one in whose queue such a one waits. The kernel does it
// in a thread of its own: they are sent to a socket that is nobody's but its own
// queue's, which its garbage collector finds (net/unix/garbage.c; a thread of its own since Linux
// 6.9, before that it is the caller who waits). Where that fails they are closed here. Entries
// below 0 are passed over; all are -1 afterwards.
void close_elsewhere(int *fds, unsigned count);

} // namespace zbq::core
