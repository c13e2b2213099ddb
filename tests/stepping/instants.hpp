// SPDX-License-Identifier: MIT
//
// Which instructions of an operation a test takes.
#pragma once

#include <cstdint>
#include <vector>

namespace test {

// Of so many: each one with ZBQ_STEPPING=every in the environment, and where they are few. Else
// some, as far apart from each other as they have to be, and others in each process.
std::vector<std::uint64_t> instants(std::uint64_t instructions);

} // namespace test
