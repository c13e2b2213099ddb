// SPDX-License-Identifier: MIT
//
// Someone who connects to a publisher's socket and misbehaves: stranger PATH WHAT.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace {

sockaddr_un address_of(const char *path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return address;
}

int connect_to(const char *path) {
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
        std::perror(path);
        _exit(1);
    }
    return fd;
}

void say(const std::string &text) {
    std::puts(text.c_str());
    std::fflush(stdout);
}

// Connects so often, says nothing, and tells when it was dropped everywhere.
int silent(const char *path, unsigned number) {
    std::vector<int> fds;
    for (unsigned i = 0; i < number; ++i) {
        fds.push_back(connect_to(path));
    }
    say("connected");
    for (const int fd : fds) {
        char byte = 0;
        (void)!read(fd, &byte, 1);
    }
    say("dropped");
    return 0;
}

// Says something and prints what comes back: the code of the answer.
int talk(const char *path, std::string_view words) {
    const int fd = connect_to(path);
    if (send(fd, words.data(), words.size(), MSG_NOSIGNAL) < 0) {
        std::perror("send");
        return 1;
    }
    std::array<char, 64> answer = {};
    const ssize_t size = recv(fd, answer.data(), answer.size(), 0);
    say(size == 8 ? "answer " + std::to_string(answer[4]) : "closed");
    return 0;
}

// Connects again and again for so many seconds, keeping none.
int flood(const char *path, int seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    say("flooding");
    while (std::chrono::steady_clock::now() < end) {
        close(connect_to(path));
    }
    return 0;
}

// A socket of a kind that zbq does not use.
int listen_stream(const char *path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    if (bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 ||
        listen(fd, 1) != 0) {
        std::perror(path);
        return 1;
    }
    say("listening");
    return pause();
}

// Listens as a publisher would, and answers nothing or nonsense.
int mute(const char *path, std::string_view words) {
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    if (bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 ||
        listen(fd, 8) != 0) {
        std::perror(path);
        return 1;
    }
    say("listening");
    for (;;) {
        const int connection = accept(fd, nullptr, nullptr);
        if (!words.empty()) {
            (void)send(connection, words.data(), words.size(), MSG_NOSIGNAL);
        }
    }
}

// With zeros to that size.
std::string hello(std::string_view begin, std::size_t size) {
    std::string words(begin);
    words.resize(size);
    return words;
}

} // namespace

int main(int argc, char **argv) {
    using namespace std::string_view_literals;
    if (argc != 3) {
        std::fputs("usage: stranger PATH WHAT\n", stderr);
        return 2;
    }
    const char *path = argv[1];
    const std::string_view what = argv[2];
    if (what == "silent") {
        return silent(path, 40);
    }
    if (what == "half") {
        return talk(path, "zbq\2"sv);
    }
    if (what == "garbage") {
        return talk(path, "GET / HTTP/1.0\r\n\r\n"sv);
    }
    if (what == "version") {
        return talk(path, hello("zbq\1"sv, 32));
    }
    if (what == "mode") {
        return talk(path, hello("zbq\2\4"sv, 32));
    }
    if (what == "long") {
        return talk(path, hello("zbq\2"sv, 33));
    }
    if (what == "hello") { // and is gone before the descriptors come
        return talk(path, hello("zbq\2"sv, 32));
    }
    if (what == "hangup") {
        close(connect_to(path));
        return 0;
    }
    if (what == "flood") {
        return flood(path, 2);
    }
    if (what == "stream") {
        return listen_stream(path);
    }
    if (what == "mute") {
        return mute(path, ""sv);
    }
    return what == "nonsense" ? mute(path, "good day"sv) : 2;
}
