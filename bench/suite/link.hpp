// SPDX-License-Identifier: MIT
//
// What a system under test has to do: carry messages from one process to others.
#pragma once

#include "payload.hpp"

#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>

namespace bench {

struct link_options {
    std::size_t size = 64; // bytes of each message's payload
    unsigned batch = 1;    // messages for each commit, where there is such a thing
    unsigned receivers = 1;
    bool streaming = false; // as many messages as go through, rather than each one soon
    bool sleeping = false;  // receivers sleep while there is nothing
    std::chrono::microseconds interval{5}; // between messages, where they are sent at a rate
    std::size_t ring_bytes = 1U << 20U; // of the ring, where there is one: for 8 messages at least
    bool oversubscribed = false;        // more processes than processors: do not spin
};

inline void pause_processor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

using visitor = void (*)(std::span<const std::byte>);

// Made before the processes are; then each process becomes an end of it. Sending waits for
// room: nothing is lost. The visit of receive is called for each message that is there; with
// `sleeping`, receive waits for one.
template <typename L>
concept link = requires(L l, const link_options &options, unsigned index, std::size_t size,
                        visitor visit) {
    L(options);
    { L::name } -> std::convertible_to<const char *>;
    l.become_sender();
    l.become_receiver(index);
    l.send(size, std::uint64_t{});
    l.flush(); // what a batch has not sent yet
    l.receive(visit);
};

} // namespace bench
