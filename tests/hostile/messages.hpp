// SPDX-License-Identifier: MIT
//
// Messages that tell whether they are whole: every word follows from the message's number.
#pragma once

#include "zbq.h"

#include <cstdint>

namespace hostile {

inline constexpr std::uint8_t last_message = 1; // in the header's flags
inline constexpr std::uint64_t messages_per_record = 128;

inline std::uint64_t words_of(std::uint64_t number) {
    return 1 + number * 2654435761U % 16; // 8 to 128 bytes
}

inline std::uint64_t word_of(std::uint64_t number, std::uint64_t place) {
    return (number ^ place) * 0x9e3779b97f4a7c15;
}

// Each of these comes with a descriptor.
inline bool has_record(std::uint64_t number) {
    return number % messages_per_record == 0;
}

inline void write_message(void *at, std::uint64_t number, std::uint64_t seq_id,
                          std::uint8_t flags) {
    auto *header = static_cast<zbq_msg_header *>(at);
    *header = {static_cast<std::uint32_t>(8 * words_of(number)),
               static_cast<std::uint8_t>(seq_id != 0 ? 1 : 0), flags, 0, seq_id};
    auto *words = reinterpret_cast<std::uint64_t *>(header + 1);
    for (std::uint64_t i = 0; i < words_of(number); ++i) {
        words[i] = word_of(number, i);
    }
}

inline bool is_message(const zbq_msg_view &view, std::uint64_t number) {
    if (view.payload_len != 8 * words_of(number)) {
        return false;
    }
    const auto *words = static_cast<const std::uint64_t *>(view.payload);
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < words_of(number); ++i) {
        wrong |= words[i] ^ word_of(number, i);
    }
    return wrong == 0;
}

} // namespace hostile
