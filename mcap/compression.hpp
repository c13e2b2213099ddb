// SPDX-License-Identifier: MIT
//
// What a chunk's records are compressed by, under its name in files: "", "lz4" (frames) or "zstd".
#pragma once

#include "buffer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zbq::mcap {

// Those of this build, "" among them.
bool knows_compression(std::string_view name);

// Appends. @throws std::runtime_error for one that this build does not know
void compress(std::string_view name, bytes from, buffer *to);

// Appends up to `size` bytes; memory is taken as they come, whatever size was said. What was wrong,
// if anything: then `to` has what came out before.
std::optional<std::string> decompress(std::string_view name, bytes from, std::uint64_t size,
                                      buffer *to);

} // namespace zbq::mcap
