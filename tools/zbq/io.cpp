// SPDX-License-Identifier: MIT
#include "io.hpp"

#include "errors.hpp"
#include "signals.hpp"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace zbq::tool {

void guard_standard_streams() {
    // The wrong direction on purpose: reading or writing is EBADF, as if it were closed.
    for (const int fd : std::array{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        const int wrong_way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong_way | O_CLOEXEC) != fd) {
            throw system_failure("/dev/null");
        }
    }
}

namespace {

void wait_until_writable() {
    pollfd output = {STDOUT_FILENO, POLLOUT, 0};
    poll(&output, 1, 250);
}

} // namespace

write_result write_output(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<size_t>(written));
        } else if (errno == EPIPE) {
            return write_result::reader_gone;
        } else if (errno == EAGAIN) { // someone made it non-blocking
            wait_until_writable();
        } else if (errno != EINTR) {
            throw system_failure("standard output");
        }
        if (written < 0 && stop_signal() != 0) {
            return write_result::stopped;
        }
    }
    return write_result::done;
}

bool output_reader_gone() {
    pollfd output = {STDOUT_FILENO, 0, 0};
    return poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

} // namespace zbq::tool
