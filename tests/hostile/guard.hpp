// SPDX-License-Identifier: MIT
//
// Fences around all that the library maps: a page without access before it and one after it, so
// that whoever reads past it dies. In programs that link guard.cpp, whose mmap takes the place of
// libc's, and reserves two pages more where the library reserves address space.
#pragma once

#include <cstddef>

namespace hostile {

// Reservations that are fenced now.
std::size_t fenced_ranges();

} // namespace hostile
