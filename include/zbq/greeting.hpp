// SPDX-License-Identifier: MIT
/// @file
/// What two processes say to each other before the join. Not part of the interface;
/// docs/protocol.md has the bytes.
#pragma once

#include "descriptors.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <sys/socket.h>

namespace ZBQ_NAMESPACE::detail {

// One packet each. Hello: 'z' 'b' 'q' version mode start 0 0, an offset, a ring's id. Welcome: 'z'
// 'b' 'q' version answer 0 0 0.
using greeting = std::array<unsigned char, 8>;
using hello = std::array<unsigned char, 32>;

inline constexpr unsigned char greeting_version = 2;

enum class answer : unsigned char { welcome = 0, full = 1, refused = 2, no_such_start = 3 };

inline constexpr int listener_type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

constexpr greeting make_greeting(answer said) noexcept {
    return {'z', 'b', 'q', greeting_version, static_cast<unsigned char>(said), 0, 0, 0};
}

constexpr answer answer_in(const greeting &message) noexcept {
    return static_cast<answer>(message[4]);
}

constexpr bool is_greeting(const greeting &message, ssize_t size) noexcept {
    return size == static_cast<ssize_t>(message.size()) &&
           message == make_greeting(answer_in(message));
}

inline hello make_hello(zbq_wakeup_mode mode, const zbq_start &from = {}) noexcept {
    hello message = {'z',
                     'b',
                     'q',
                     greeting_version,
                     static_cast<unsigned char>(mode),
                     static_cast<unsigned char>(from.at)};
    std::memcpy(&message[8], &from.offset, sizeof from.offset);
    std::memcpy(&message[16], &from.ring_id, sizeof from.ring_id);
    return message;
}

struct wish {
    zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH;
    zbq_start from = {};
};

// What a hello asks for; nothing, where it is none.
inline std::optional<wish> wish_in(const hello &message, ssize_t size) noexcept {
    wish asked;
    asked.mode = static_cast<zbq_wakeup_mode>(message[4]);
    asked.from.at = message[5];
    std::memcpy(&asked.from.offset, &message[8], sizeof asked.from.offset);
    std::memcpy(&asked.from.ring_id, &message[16], sizeof asked.from.ring_id);
    const bool is_one = size == static_cast<ssize_t>(message.size()) &&
                        message == make_hello(asked.mode, asked.from) &&
                        asked.mode <= ZBQ_OBSERVE_PULL && asked.from.at <= ZBQ_START_OFFSET;
    return is_one ? std::optional(asked) : std::nullopt;
}

template <std::size_t Size>
bool send_packet(int socket, const std::array<unsigned char, Size> &message) noexcept {
    return ::send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(message.size());
}

inline bool send_hello(int socket, zbq_wakeup_mode mode, const zbq_start &from = {}) noexcept {
    return send_packet(socket, make_hello(mode, from));
}

inline bool send_answer(int socket, answer said) noexcept {
    return send_packet(socket, make_greeting(said));
}

// Its size, 0 at the end, or -1 with errno. MSG_TRUNC: a longer packet shows its length.
template <std::size_t Size>
ssize_t receive_packet(int socket, std::array<unsigned char, Size> *message) noexcept {
    return ::recv(socket, message->data(), message->size(), MSG_DONTWAIT | MSG_TRUNC);
}

} // namespace ZBQ_NAMESPACE::detail
