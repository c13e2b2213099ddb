// SPDX-License-Identifier: MIT
//
// CRC-32, as zlib and Ethernet have it.
#pragma once

#include "buffer.hpp"

#include <cstdint>

namespace zbq::mcap {

// `before` is that of what comes before.
std::uint32_t crc32(bytes data, std::uint32_t before = 0);

} // namespace zbq::mcap
