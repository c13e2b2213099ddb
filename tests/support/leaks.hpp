// SPDX-License-Identifier: MIT
//
// What a process holds, counted by the kernel: descriptors, mappings, memory.
#pragma once

#include <cstddef>
#include <sys/resource.h>
#include <vector>

namespace test {

std::size_t open_descriptors();
std::size_t zbq_mappings();   // of memfds that the library makes
std::size_t resident_bytes(); // anonymous and shared memory, without that of files

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

// Leaves the process no more descriptors than `spare` while it lives.
class descriptor_shortage {
public:
    explicit descriptor_shortage(unsigned spare);
    descriptor_shortage(const descriptor_shortage &) = delete;
    descriptor_shortage &operator=(const descriptor_shortage &) = delete;
    ~descriptor_shortage();

private:
    rlimit before_ = {};
    std::vector<int> fillers_;
};

} // namespace test
