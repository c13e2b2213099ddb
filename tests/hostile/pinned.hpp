// SPDX-License-Identifier: MIT
//
// What a consumer keeps of each join after it has lost its slot, by the kernel's own account.
#pragma once

#include <cstdint>

namespace hostile {

struct pinned {
    double shared_bytes = 0; // of shared memory, for each join
    double kernel_bytes = 0; // of slab, for each join
};

// The page stays mapped, and the sockets stay open, of so many joins.
pinned measure_pinned(std::uint64_t joins);

} // namespace hostile
