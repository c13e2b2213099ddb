// SPDX-License-Identifier: MIT
//
// What messages hold: every 64-bit word is the message's number, so that filling and checking
// touch every byte and cost as little as that can.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace bench {

constexpr std::uint64_t last_of_slice = std::uint64_t{1} << 63U; // set in the number of the last

inline std::uint64_t number_of(const std::byte *payload) {
    std::uint64_t number = 0;
    std::memcpy(&number, payload, sizeof number);
    return number;
}

// Sizes are multiples of 8.
inline void fill_inline(std::byte *payload, std::size_t size, std::uint64_t number) {
    for (std::size_t at = 0; at < size; at += sizeof number) {
        std::memcpy(payload + at, &number, sizeof number);
    }
}

inline bool holds_inline(std::span<const std::byte> payload, std::uint64_t number) {
    std::uint64_t wrong = 0;
    for (std::size_t at = 0; at + sizeof number <= payload.size(); at += sizeof number) {
        wrong |= number_of(payload.data() + at) ^ number;
    }
    return wrong == 0;
}

// Of long payloads: the same machine code for all systems, since the place of such a loop in memory
// alone can make it twice as fast.
void fill_long(std::byte *payload, std::size_t size, std::uint64_t number);
bool holds_long(std::span<const std::byte> payload, std::uint64_t number);
inline constexpr std::size_t long_payload = 512;

inline void fill(std::byte *payload, std::size_t size, std::uint64_t number) {
    size < long_payload ? fill_inline(payload, size, number) : fill_long(payload, size, number);
}

inline bool holds(std::span<const std::byte> payload, std::uint64_t number) {
    return payload.size() < long_payload ? holds_inline(payload, number)
                                         : holds_long(payload, number);
}

} // namespace bench
