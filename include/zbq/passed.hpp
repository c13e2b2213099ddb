// SPDX-License-Identifier: MIT
/// @file
/// Listening sockets that somebody else made. Not part of the interface.
#pragma once

#include "name.hpp"

#include <cstdlib>

namespace ZBQ_NAMESPACE::detail {

inline int int_option(int fd, int option) noexcept {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

inline named_socket take_over(unique_fd listening) {
    const int fd = listening.get();
    if (int_option(fd, SO_DOMAIN) != AF_UNIX || int_option(fd, SO_TYPE) != SOCK_SEQPACKET ||
        int_option(fd, SO_ACCEPTCONN) != 1) {
        throw error(status::invalid, "descriptor " + std::to_string(fd) +
                                         " is not a listening Unix socket of packets");
    }
    let_descriptors_in(fd, false);
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        throw_errno("taking over a socket");
    }
    return {std::move(listening)};
}

// ---- systemd ----

inline std::string environment(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : "";
}

// The number of the socket passed under a name; -1: none.
inline int passed_socket(const std::string &fd_name) {
    constexpr int first = 3;
    if (environment("LISTEN_PID") != std::to_string(::getpid())) {
        return -1;
    }
    const int count = std::atoi(environment("LISTEN_FDS").c_str()); // NOLINT(cert-err34-c): 0
    if (fd_name.empty()) {
        return count > 0 ? first : -1;
    }
    const std::string names = environment("LISTEN_FDNAMES") + ":";
    std::size_t begin = 0;
    for (int i = 0; i < count; ++i) {
        const std::size_t end = names.find(':', begin);
        if (end == std::string::npos) {
            break;
        }
        if (names.compare(begin, end - begin, fd_name) == 0) {
            return first + i;
        }
        begin = end + 1;
    }
    return -1;
}

} // namespace ZBQ_NAMESPACE::detail
