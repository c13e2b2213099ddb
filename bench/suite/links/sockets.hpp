// SPDX-License-Identifier: MIT
//
// What links between processes begin with: a pair of sockets for each receiver.
#pragma once

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <system_error>
#include <vector>
#include <zbq/descriptors.hpp>

namespace bench {

[[noreturn]] inline void fail(const char *what) {
    throw std::system_error(errno, std::generic_category(), what);
}

struct socket_pairs {
    socket_pairs(unsigned count, int type) {
        for (unsigned i = 0; i < count; ++i) {
            std::array<int, 2> ends = {-1, -1};
            if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) {
                fail("socketpair");
            }
            sender.emplace_back(ends[0]);
            receiver.emplace_back(ends[1]);
        }
    }
    std::vector<zbq::unique_fd> sender;
    std::vector<zbq::unique_fd> receiver;
};

} // namespace bench
