// SPDX-License-Identifier: MIT
#include "support/descriptors.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace test {

unique_fd numbered(std::uint64_t number) {
    unique_fd fd(memfd_create("number", MFD_CLOEXEC));
    EXPECT_EQ(pwrite(fd.get(), &number, sizeof number, 0), static_cast<ssize_t>(sizeof number));
    return fd;
}

std::uint64_t number_of(int fd) {
    std::uint64_t number = 0;
    EXPECT_EQ(pread(fd, &number, sizeof number, 0), static_cast<ssize_t>(sizeof number));
    return number;
}

bool readable(int fd) {
    pollfd polled = {fd, POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
}

std::vector<unique_fd> numbered_list(std::size_t count) {
    std::vector<unique_fd> fds;
    for (std::size_t i = 0; i < count; ++i) {
        fds.push_back(numbered(i));
    }
    return fds;
}

std::vector<int> plain(const std::vector<unique_fd> &fds) {
    std::vector<int> numbers;
    numbers.reserve(fds.size());
    for (const unique_fd &fd : fds) {
        numbers.push_back(fd.get());
    }
    return numbers;
}

int broadcast(zbq_producer *prod, std::uint64_t seq_id) {
    const unique_fd fd = numbered(seq_id);
    const int plain_fd = fd.get();
    return zbq_producer_broadcast_fds(prod, seq_id, &plain_fd, 1);
}

collected collect(zbq_consumer *cons, std::uint64_t seq_id) {
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t count = 99;
    collected what;
    what.result = zbq_consumer_recv_fds(cons, seq_id, fds, &count);
    for (unsigned i = 0; i < count; ++i) {
        EXPECT_NE(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, 0);
        what.numbers.push_back(number_of(fds[i]));
        close(fds[i]);
    }
    return what;
}

} // namespace test
