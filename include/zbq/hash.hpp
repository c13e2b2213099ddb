// SPDX-License-Identifier: MIT
/// @file
/// Numbers for the names of types.
#pragma once

#include "c.hpp"

#include <cstdint>
#include <string_view>

namespace ZBQ_NAMESPACE {

namespace detail {

inline constexpr std::uint64_t empty_hash = 0xcbf29ce484222325;

constexpr std::uint64_t hash_on(std::uint64_t value, std::uint8_t byte) noexcept {
    return (value ^ byte) * 0x100000001b3;
}

// The lowest byte first.
constexpr std::uint64_t hash_on(std::uint64_t value, std::uint32_t number) noexcept {
    for (unsigned shift = 0; shift != 32; shift += 8) {
        value = hash_on(value, static_cast<std::uint8_t>(number >> shift));
    }
    return value;
}

constexpr std::uint64_t hash(std::string_view text) noexcept {
    std::uint64_t value = empty_hash;
    for (const char letter : text) {
        value = hash_on(value, static_cast<std::uint8_t>(letter));
    }
    return value;
}

} // namespace detail

/// What a channel puts into zbq_type::hash for its name, as zbq_type_hash does: FNV-1a of 64 bits.
/// It tells names apart, and keeps nobody from making two alike.
///
///     zbq::consumer reader = zbq::connect("quotes", zbq::never);
///     use(reader.type().hash == zbq::type_hash("quote/1"));
constexpr std::uint64_t type_hash(std::string_view name) noexcept {
    return detail::hash(name);
}

} // namespace ZBQ_NAMESPACE
