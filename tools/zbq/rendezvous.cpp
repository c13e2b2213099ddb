// SPDX-License-Identifier: MIT
#include "rendezvous.hpp"

#include "errors.hpp"
#include "units.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace zbq::tool {

namespace {

constexpr uint64_t patience = 5 * second;
constexpr int socket_type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

// ---- taking the name ----

std::string directory_of(const std::string &path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Two publishers that find the same stale socket shall not remove each other's new one.
unique_fd lock_directory(const std::string &path) {
    const std::string directory = directory_of(path);
    unique_fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        throw system_failure(directory);
    }
    for (int tries = 0; tries < 100; ++tries) {
        if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            return fd;
        }
        sleep_ns(20 * millisecond);
    }
    throw failure(fmt::format("{} is locked by another process", directory));
}

failure in_use(const std::string &path, pid_t pid) {
    return failure(pid > 0 ? fmt::format("{} is in use by process {}", path, pid)
                           : fmt::format("{} is in use", path));
}

// Throws unless nobody listens there.
void check_stale(const std::string &path) {
    const unique_fd probe(socket(AF_UNIX, socket_type, 0));
    if (!probe) {
        throw system_failure("socket");
    }
    const socket_address address = address_of(path);
    if (connect(probe.get(), address.get(), address.size) == 0) {
        throw in_use(path, peer_pid(probe.get()));
    }
    if (errno == EAGAIN) { // its queue is full
        throw in_use(path, 0);
    }
    if (errno != ECONNREFUSED && errno != ENOENT) { // EPROTOTYPE: of another program
        throw system_failure(path);
    }
}

void remove_stale(const std::string &path) {
    struct stat status = {};
    if (lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) {
            return;
        }
        throw system_failure(path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        throw failure(fmt::format("{} exists and is not a socket", path));
    }
    check_stale(path);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        throw system_failure(path);
    }
}

unique_fd listen_at(const std::string &path) {
    unique_fd listener(socket(AF_UNIX, socket_type, 0));
    if (!listener) {
        throw system_failure("socket");
    }
    const socket_address address = address_of(path);
    const mode_t mask = umask(S_IXUSR | S_IRWXG | S_IRWXO);
    const int bound = bind(listener.get(), address.get(), address.size);
    const int error = errno;
    umask(mask);
    errno = error;
    if (bound != 0 || listen(listener.get(), SOMAXCONN) != 0) {
        throw system_failure(path);
    }
    return listener;
}

// ---- greetings ----

bool is_mode(unsigned char code) {
    return code == ZBQ_WAKEUP_PUSH || code == ZBQ_WAKEUP_PULL;
}

bool reply(int connection, answer what) {
    const greeting message = make_greeting(static_cast<unsigned char>(what));
    return send(connection, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(message.size());
}

void answer_hello(int connection, const greeting &hello, ssize_t size, host *decides) {
    if (!is_greeting(hello, size) || !is_mode(greeting_code(hello))) {
        reply(connection, answer::refused);
    } else if (!decides->has_room()) {
        reply(connection, answer::full);
    } else if (reply(connection, answer::welcome)) {
        decides->admit(connection, static_cast<zbq_wakeup_mode>(greeting_code(hello)));
    }
}

} // namespace

greeting make_greeting(unsigned char code) {
    return {'z', 'b', 'q', 1, code, 0, 0, 0};
}

bool is_greeting(const greeting &message, ssize_t size) {
    return size == static_cast<ssize_t>(message.size()) &&
           message == make_greeting(greeting_code(message));
}

pid_t peer_pid(int socket) {
    ucred peer = {};
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

socket_address address_of(const std::string &path) {
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1); // its length was checked
    socket_address address;
    std::memcpy(&address.storage, &name, sizeof name);
    address.size = sizeof name;
    return address;
}

rendezvous::rendezvous(std::string path) : path_(std::move(path)) {
    const unique_fd lock = lock_directory(path_);
    remove_stale(path_);
    listener_ = listen_at(path_);
    struct stat status = {};
    if (lstat(path_.c_str(), &status) != 0) {
        throw system_failure(path_);
    }
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

rendezvous::~rendezvous() {
    struct stat status = {};
    if (lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
        unlink(path_.c_str());
    }
}

void rendezvous::add_to(std::vector<pollfd> *polled) const {
    if (now_ns() >= paused_until_) {
        polled->push_back({listener_.get(), POLLIN, 0});
    }
    for (const stranger &who : strangers_) {
        polled->push_back({who.connection.get(), POLLIN, 0});
    }
}

// Whether there is nothing more to expect of this one. A greeting is one record: whole, or
// not a greeting.
bool rendezvous::is_settled(const stranger &who, host *decides) {
    greeting hello = {};
    // MSG_TRUNC: a longer record shows its length
    const ssize_t size =
        recv(who.connection.get(), hello.data(), hello.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0) {
        return errno != EAGAIN && errno != EINTR;
    }
    if (size > 0) {
        answer_hello(who.connection.get(), hello, size, decides);
    }
    return true;
}

void rendezvous::accept_all(host *decides, uint64_t now) {
    for (size_t i = 0; i < most_strangers && now >= paused_until_; ++i) {
        stranger who = {
            unique_fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)),
            now};
        if (!who.connection) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                paused_until_ = now + 100 * millisecond; // out of descriptors or memory
                strangers_.clear();
            }
            return;
        }
        if (is_settled(who, decides)) {
            continue;
        }
        if (strangers_.size() == most_strangers) {
            strangers_.pop_front();
        }
        strangers_.push_back(std::move(who));
    }
}

void rendezvous::drop_late(uint64_t now) {
    while (!strangers_.empty() && now >= strangers_.front().since + patience) {
        strangers_.pop_front(); // oldest first
    }
}

void rendezvous::serve(host *decides) {
    const uint64_t now = now_ns();
    for (auto who = strangers_.begin(); who != strangers_.end();) {
        who = is_settled(*who, decides) ? strangers_.erase(who) : who + 1;
    }
    drop_late(now);
    accept_all(decides, now);
}

} // namespace zbq::tool
