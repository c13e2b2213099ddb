// SPDX-License-Identifier: MIT
/// @file
/// Payloads that are text.
#pragma once

#include "c.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace ZBQ_NAMESPACE {

/// The bytes of a text, to publish. They stay the text's.
[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) noexcept {
    return std::as_bytes(std::span(text));
}

/// A payload as text, where it lies: any bytes, without a zero at the end.
///
///     const std::span<const std::byte> payload = zbq::bytes_of("hello");
///     const std::string copy(zbq::text_of(payload));
[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> payload) noexcept {
    return {reinterpret_cast<const char *>(payload.data()), payload.size()};
}

} // namespace ZBQ_NAMESPACE
