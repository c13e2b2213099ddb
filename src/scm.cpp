// SPDX-License-Identifier: MIT
#include "scm.hpp"

#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

// Linux 6.5, newer than Debian 12's headers; include/linux/socket.h of the kernel.
#if !defined(SCM_PIDFD)
#define SCM_PIDFD 0x04
#endif

namespace zbq::core {

namespace {

constexpr size_t rights_size = ZBQ_MAX_FD_PER_MSG * sizeof(int);

// Room for all that the kernel can attach: descriptors, credentials, a pidfd.
constexpr size_t control_room =
    CMSG_SPACE(rights_size) + CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int));

void take_descriptors(const cmsghdr *header, fd_list *fds) {
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        fds->add(fd);
    }
}

void take_ancillary(const cmsghdr *header, ancillary *with) {
    if (header->cmsg_level != SOL_SOCKET) {
        return;
    }
    if (header->cmsg_type == SCM_RIGHTS) {
        take_descriptors(header, &with->fds);
    } else if (header->cmsg_type == SCM_PIDFD) {
        int fd = -1; // negative where the kernel could not make one
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
        with->sender_pidfd.reset(fd);
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
        ucred credentials = {};
        memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
        with->sender_pid = credentials.pid;
    }
}

} // namespace

void fd_list::close_all_elsewhere() {
    close_elsewhere(fds_, count_);
    count_ = 0;
}

ssize_t send_record(int socket, const void *bytes, size_t size, const int *fds, unsigned fd_count) {
    iovec part = {const_cast<void *>(bytes), size}; // sendmsg only reads
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(rights_size)] = {};
    if (fd_count != 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    ssize_t sent = 0;
    do {
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t receive_record(int socket, void *bytes, size_t size, int flags, ancillary *with) {
    iovec part = {bytes, size};
    alignas(cmsghdr) char control[control_room];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t received = 0;
    do { // a call that may block tells its caller of a signal
        received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR && (flags & MSG_DONTWAIT) != 0);
    if (received < 0) {
        return -errno;
    }
    for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        take_ancillary(header, with);
    }
    with->truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return received;
}

bool discard_record(int socket) {
    char byte = 0;
    iovec part = {&byte, sizeof byte};
    msghdr message = {}; // no room for descriptors: the kernel lets go of them (MSG_CTRUNC)
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    ssize_t received = 0;
    do {
        received = recvmsg(socket, &message, MSG_DONTWAIT);
    } while (received < 0 && (errno == EINTR || errno == ECONNRESET));
    return received > 0;
}

bool has_descriptors_waiting(int socket) {
    char byte = 0;
    iovec part = {&byte, sizeof byte};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return recvmsg(socket, &message, MSG_DONTWAIT | MSG_PEEK) >= 0 &&
           (message.msg_flags & MSG_CTRUNC) != 0;
}

namespace {

// A socket in whose queue it lies itself, with what else is sent there: once it is closed, nobody
// can receive that.
class grave {
public:
    void take(const int *fds, unsigned count) {
        if (socket_pair_seqpacket(&from_, &nobody_) < 0) {
            return;
        }
        int sent[ZBQ_MAX_FD_PER_MSG];
        memcpy(sent, fds, count * sizeof fds[0]);
        sent[count] = nobody_.get();
        const char byte = 0;
        send_record(from_.get(), &byte, sizeof byte, sent, count + 1);
    }

private:
    unique_fd from_;
    unique_fd nobody_;
};

} // namespace

void close_elsewhere(int *fds, unsigned count) {
    int open[ZBQ_MAX_FD_PER_MSG];
    unsigned opened = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (fds[i] >= 0 && opened < ZBQ_MAX_FD_PER_MSG - 1) {
            open[opened++] = fds[i];
        }
    }
    grave where;
    if (opened != 0) {
        where.take(open, opened); // failed: who closes them below waits
    }
    for (unsigned i = 0; i < count; ++i) { // before the grave: what is in it is closed last
        unique_fd(fds[i]).reset();
        fds[i] = -1;
    }
}

} // namespace zbq::core
