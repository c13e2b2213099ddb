// SPDX-License-Identifier: MIT
/// @file
/// What two processes say to each other before the join. Not part of the interface;
/// docs/protocol.md has the bytes.
#pragma once

#include "descriptors.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <sys/socket.h>

namespace ZBQ_NAMESPACE::detail {

// One packet each. Hello: 'z' 'b' 'q' version mode start side 0, then of who reads an offset and a
// ring's id, of who publishes its name. Welcome: 'z' 'b' 'q' version answer 0 0 0.
using greeting = std::array<unsigned char, 8>;
using hello = std::array<unsigned char, 32>;

inline constexpr unsigned char greeting_version = 2;

enum class answer : unsigned char {
    welcome = 0,
    full = 1,
    refused = 2,
    no_such_start = 3,
    other_side = 4, // who listens there is no producer, or no collector
};

// Of who says hello.
enum class side : unsigned char { reads = 0, publishes = 1, inspects = 2 };

// Bytes of a source's name.
inline constexpr std::size_t source_name_size = 24;

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

// The same of a producer that dials: the name is cut where it is too long.
inline hello make_call(zbq_wakeup_mode mode, std::string_view name) noexcept {
    hello message = make_hello(mode);
    message[6] = static_cast<unsigned char>(side::publishes);
    const std::size_t size = std::min(name.size(), source_name_size);
    if (size != 0) {
        std::memcpy(&message[8], name.data(), size);
    }
    return message;
}

// Of one who asks for the statistics alone.
inline hello make_inquiry() noexcept {
    hello message = make_hello(ZBQ_WAKEUP_PUSH);
    message[6] = static_cast<unsigned char>(side::inspects);
    return message;
}

inline bool is_inquiry(const hello &message, ssize_t size) noexcept {
    return size == static_cast<ssize_t>(message.size()) && message == make_inquiry();
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

// Of a producer that dials. Whoever reads it need not believe its name, nor print it as it is.
struct call {
    zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH;
    std::string_view name = {}; // in the hello
};

inline std::optional<call> call_in(const hello &message, ssize_t size) noexcept {
    const auto *text = reinterpret_cast<const char *>(&message[8]);
    const call asked = {static_cast<zbq_wakeup_mode>(message[4]),
                        {text, ::strnlen(text, source_name_size)}};
    const bool is_one = size == static_cast<ssize_t>(message.size()) &&
                        message == make_call(asked.mode, asked.name) &&
                        (asked.mode & ZBQ_WAKEUP_PULL) == 0 && asked.mode <= ZBQ_OBSERVE_PULL;
    return is_one ? std::optional(asked) : std::nullopt;
}

// To who said what cannot be served: the other side has its own place.
constexpr answer answer_to_stray(bool is_other_side) noexcept {
    return is_other_side ? answer::other_side : answer::refused;
}

template <std::size_t Size>
bool send_packet(int socket, const std::array<unsigned char, Size> &message) noexcept {
    return ::send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(message.size());
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
