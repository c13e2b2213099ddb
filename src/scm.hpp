// SPDX-License-Identifier: MIT
//
// Records with descriptors (SCM_RIGHTS) over a Unix socket: send one, receive one. The
// join and the side sockets both use it. Never blocks on sending.
#pragma once

#include "os.hpp"

namespace zbq::core {

// Descriptors received, owned until they are taken out.
class fd_list {
public:
    fd_list() = default;
    fd_list(const fd_list &) = delete;
    fd_list &operator=(const fd_list &) = delete;
    ~fd_list() { close_all(); }

    [[nodiscard]] unsigned size() const { return count_; }
    [[nodiscard]] int at(unsigned index) const { return fds_[index]; }
    void add(int fd); // closes it when the list is full
    unique_fd take(unsigned index);
    void move_to(int *fds); // hands over all
    void take_all(fd_list &other);
    void close_all();

private:
    unsigned count_ = 0;
    int fds_[ZBQ_MAX_FD_PER_MSG] = {};
};

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
