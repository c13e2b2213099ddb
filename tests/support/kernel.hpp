// SPDX-License-Identifier: MIT
//
// Another kernel: system calls of this process answered by a seccomp filter as an older or
// stricter one would. For a child process; there is no way back.
#pragma once

#include <cstdint>

namespace test {

// A system call whose argument has this value under this mask.
struct call_pattern {
    long number;
    unsigned argument; // 0 to 5
    std::uint32_t mask;
    std::uint32_t value;
};

// From now on such calls are not made and give this errno; 0 is a success that did nothing.
void answer_with(const call_pattern &call, int error);

} // namespace test
