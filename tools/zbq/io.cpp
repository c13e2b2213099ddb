// SPDX-License-Identifier: MIT
#include "io.hpp"

#include "errors.hpp"
#include "signals.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace zbq::tool {

void guard_standard_streams() {
    // The wrong direction on purpose: reading or writing is EBADF, as if it were closed.
    for (const int fd : std::array{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        const int wrong_way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong_way | O_CLOEXEC) != fd) {
            throw system_failure("opening /dev/null");
        }
    }
}

namespace {

constexpr int a_moment = 500; // milliseconds

bool takes_more(int fd, int milliseconds) {
    pollfd polled = {fd, POLLOUT, 0};
    return poll(&polled, 1, milliseconds) > 0;
}

// EINTR and EAGAIN are no failures.
write_result result_of(int error) {
    switch (error) {
    case EAGAIN: // someone made it non-blocking
        takes_more(STDOUT_FILENO, 250);
        return write_result::done;
    case EINTR:
        return write_result::done;
    case EPIPE:
    case ECONNRESET:
        return write_result::reader_gone;
    default:
        return write_result::failed;
    }
}

// A pipe that can be written to takes so much without blocking.
void write_error(std::string_view text, int milliseconds) {
    const int kept = errno;
    while (!text.empty() && takes_more(STDERR_FILENO, milliseconds)) {
        const ssize_t written =
            write(STDERR_FILENO, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
        if (written <= 0) {
            break;
        }
        text.remove_prefix(static_cast<size_t>(written));
    }
    errno = kept;
}

std::string line_of(std::string_view text) {
    return fmt::format("zbq: {}\n", text);
}

} // namespace

write_result write_output(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(STDOUT_FILENO, bytes.data(), bytes.size());
        const write_result result = written < 0 ? result_of(errno) : write_result::done;
        if (result != write_result::done) {
            return result;
        }
        bytes.remove_prefix(static_cast<size_t>(std::max<ssize_t>(written, 0)));
        // A signal that comes in the midst of a write makes it end early, with what it has done.
        if (!bytes.empty() && stop_signal() != 0) {
            return write_result::stopped;
        }
    }
    return write_result::done;
}

int status_after(write_result result) {
    switch (result) {
    case write_result::done:
        return exit_ok;
    case write_result::stopped:
        return status_when_stopped();
    case write_result::failed:
        say_at_last(system_failure("writing standard output").what());
        return exit_output;
    default:
        return exit_output;
    }
}

bool output_reader_gone() {
    pollfd output = {STDOUT_FILENO, 0, 0};
    return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

void say(std::string_view text) {
    write_error(line_of(text), 0);
}

void say_at_last(std::string_view text) {
    write_error(line_of(text), a_moment);
}

void show(std::string_view raw) {
    write_error(raw, 0);
}

} // namespace zbq::tool
