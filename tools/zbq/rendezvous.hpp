// SPDX-License-Identifier: MIT
//
// How subscribers find the publisher: a SOCK_SEQPACKET socket with a name. The publisher's
// end; contact.hpp is the other. A subscriber says hello, the publisher answers with a
// welcome, then, on the same connection, makes the library's handshake. Whoever connects is a
// stranger until it has said hello and can delay nothing: all sockets are non-blocking,
// strangers are few and not for long.
#pragma once

#include "unique_fd.hpp"

#include <zbq.h>

#include <array>
#include <cstdint>
#include <deque>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <vector>

namespace zbq::tool {

// ---- the two messages, of eight bytes: 'z' 'b' 'q' version code 0 0 0 ----

using greeting = std::array<unsigned char, 8>;

enum class answer : unsigned char { welcome = 0, full = 1, refused = 2 };

// The code of a hello is the mode, that of a welcome the answer.
greeting make_greeting(unsigned char code);
bool is_greeting(const greeting &message, ssize_t size);
constexpr unsigned char greeting_code(const greeting &message) {
    return message[4];
}

// Of whoever made the other end: for listen, or connect. 0 when the kernel does not tell.
pid_t peer_pid(int socket);

struct socket_address {
    sockaddr_storage storage = {};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr *get() const {
        return reinterpret_cast<const sockaddr *>(&storage);
    }
};
socket_address address_of(const std::string &path);

// ---- the publisher's end ----

// Who decides about newcomers.
class host {
public:
    host() = default;
    virtual ~host() = default;
    host(const host &) = delete;
    host &operator=(const host &) = delete;
    host(host &&) = delete;
    host &operator=(host &&) = delete;

    virtual bool has_room() = 0;
    virtual void admit(int connection, zbq_wakeup_mode mode) = 0; // after the welcome was sent
};

class rendezvous {
public:
    // Listens at the path; replaces a socket that nobody listens at. Throws when it is in
    // use or something else.
    explicit rendezvous(std::string path);
    ~rendezvous(); // removes the socket, if it is still this one
    rendezvous(const rendezvous &) = delete;
    rendezvous &operator=(const rendezvous &) = delete;
    rendezvous(rendezvous &&) = delete;
    rendezvous &operator=(rendezvous &&) = delete;

    // What to wait for, added to a list for poll.
    void add_to(std::vector<pollfd> *polled) const;

    // Accepts, reads and answers what is there. Never blocks, and does a bounded amount.
    void serve(host *decides);

private:
    struct stranger {
        unique_fd connection;
        uint64_t since = 0;
    };

    static constexpr size_t most_strangers = 16;

    void accept_all(host *decides, uint64_t now);
    void drop_late(uint64_t now);
    static bool is_settled(const stranger &who, host *decides);

    std::string path_;
    unique_fd listener_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    uint64_t paused_until_ = 0; // after running out of descriptors
    std::deque<stranger> strangers_;
};

} // namespace zbq::tool
