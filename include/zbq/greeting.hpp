// SPDX-License-Identifier: MIT
/// @file
/// What two processes say to each other before the join. Not part of the interface;
/// docs/protocol.md has the bytes.
#pragma once

#include "descriptors.hpp"

#include <array>
#include <sys/socket.h>

namespace ZBQ_NAMESPACE::detail {

// Hello and welcome: 'z' 'b' 'q' version code 0 0 0, one packet each.
using greeting = std::array<unsigned char, 8>;

enum class answer : unsigned char { welcome = 0, full = 1, refused = 2 };

inline constexpr int listener_type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

constexpr greeting make_greeting(unsigned char code) noexcept {
    return {'z', 'b', 'q', 1, code, 0, 0, 0};
}

// The code of a hello is the mode, that of a welcome the answer.
constexpr unsigned char code_of(const greeting &message) noexcept {
    return message[4];
}

constexpr bool is_greeting(const greeting &message, ssize_t size) noexcept {
    return size == static_cast<ssize_t>(message.size()) &&
           message == make_greeting(code_of(message));
}

inline bool send_greeting(int socket, unsigned char code) noexcept {
    const greeting message = make_greeting(code);
    return ::send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(message.size());
}

// Its size, 0 at the end, or -1 with errno. MSG_TRUNC: a longer packet shows its length.
inline ssize_t receive_greeting(int socket, greeting *message) noexcept {
    return ::recv(socket, message->data(), message->size(), MSG_DONTWAIT | MSG_TRUNC);
}

} // namespace ZBQ_NAMESPACE::detail
