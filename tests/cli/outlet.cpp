// SPDX-License-Identifier: MIT
//
// Runs a command whose output goes to something that a shell cannot make, and ends as it does:
//   outlet socket-left COMMAND...       a socket whose other end is gone
//   outlet pipe-unread COMMAND...       a pipe that nobody reads
//   outlet pipe-full SIGNAL COMMAND...  the same; once it is full, one signal
//   outlet terminal COLUMNS COMMAND...  standard error is a terminal; prints what it got
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void give_up(const char *what) {
    std::perror(what);
    std::exit(125);
}

void require(bool worked, const char *what) {
    if (!worked) {
        give_up(what);
    }
}

pid_t start(char **command, int output, int as) {
    const pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // whoever ends this ends that
        require(dup2(output, as) == as, "dup2");
        execvp(command[0], command);
        give_up(command[0]);
    }
    close(output);
    return child;
}

// A death by a signal is not the same as the status that shells make of it.
int status_of(pid_t child) {
    int status = 0;
    require(waitpid(child, &status, 0) == child, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 124;
}

int socket_left(char **command) {
    std::array<int, 2> ends = {};
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "socketpair");
    close(ends[0]);
    return status_of(start(command, ends[1], STDOUT_FILENO));
}

void wait_until_full(int pipe) {
    const int size = fcntl(pipe, F_GETPIPE_SZ);
    for (int have = 0; have < size; usleep(10'000)) {
        require(ioctl(pipe, FIONREAD, &have) == 0, "FIONREAD");
    }
}

int pipe_unread(char **command, int signal) {
    std::array<int, 2> ends = {};
    require(pipe2(ends.data(), O_CLOEXEC) == 0, "pipe");
    const pid_t child = start(command, ends[1], STDOUT_FILENO);
    if (signal != 0) {
        wait_until_full(ends[0]);
        require(kill(child, signal) == 0, "kill");
    }
    return status_of(child);
}

int terminal(char **command, int columns) {
    const int screen = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    require(screen >= 0 && grantpt(screen) == 0 && unlockpt(screen) == 0, "posix_openpt");
    const int line = open(ptsname(screen), O_RDWR | O_NOCTTY | O_CLOEXEC);
    winsize size = {};
    size.ws_col = static_cast<unsigned short>(columns);
    require(line >= 0 && ioctl(line, TIOCSWINSZ, &size) == 0, "terminal");
    const pid_t child = start(command, line, STDERR_FILENO);
    std::array<char, 4096> bytes = {};
    ssize_t got = 0;
    while ((got = read(screen, bytes.data(), bytes.size())) > 0) { // EIO at the end
        std::fwrite(bytes.data(), 1, static_cast<size_t>(got), stdout);
        std::fflush(stdout);
    }
    return status_of(child);
}

int number_of(const char *text) {
    return static_cast<int>(std::strtol(text, nullptr, 10));
}

} // namespace

int main(int argc, char **argv) {
    const std::string_view what = argc > 2 ? argv[1] : "";
    if (what == "socket-left") {
        return socket_left(argv + 2);
    }
    if (what == "pipe-unread") {
        return pipe_unread(argv + 2, 0);
    }
    if (what == "pipe-full" && argc > 3) {
        return pipe_unread(argv + 3, number_of(argv[2]));
    }
    if (what == "terminal" && argc > 3) {
        return terminal(argv + 3, number_of(argv[2]));
    }
    return 2;
}
