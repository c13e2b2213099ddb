// SPDX-License-Identifier: MIT
#include "payload.hpp"

namespace bench {

void fill_long(std::byte *payload, std::size_t size, std::uint64_t number) {
    fill_inline(payload, size, number);
}

bool holds_long(std::span<const std::byte> payload, std::uint64_t number) {
    return holds_inline(payload, number);
}

} // namespace bench
