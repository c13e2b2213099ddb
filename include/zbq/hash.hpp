// SPDX-License-Identifier: MIT
/// @file
/// Numbers for names. Not part of the interface.
#pragma once

#include "c.hpp"

#include <cstdint>
#include <string_view>

namespace ZBQ_NAMESPACE::detail {

// FNV-1a: to tell names apart, not to keep anyone from making two alike.
constexpr std::uint64_t hash(std::string_view text) {
    std::uint64_t value = 0xcbf29ce484222325;
    for (const char letter : text) {
        value = (value ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    }
    return value;
}

} // namespace ZBQ_NAMESPACE::detail
