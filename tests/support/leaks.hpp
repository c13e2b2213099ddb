// SPDX-License-Identifier: MIT
//
// What a process holds, counted by the kernel: descriptors and mappings.
#pragma once

#include <cstddef>

namespace test {

std::size_t open_descriptors();
std::size_t zbq_mappings(); // of memfds that the library makes

// Fails the test when it goes out of scope with more, or fewer, than at its start.
class leak_check {
public:
    leak_check();
    leak_check(const leak_check &) = delete;
    leak_check &operator=(const leak_check &) = delete;
    ~leak_check();

private:
    std::size_t descriptors_;
    std::size_t mappings_;
};

} // namespace test
