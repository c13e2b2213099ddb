// SPDX-License-Identifier: MIT
//
// Descriptors to send, and a way to tell one from another.
#pragma once

#include "support/rig.hpp"

#include <cstdint>
#include <vector>

namespace test {

// A memfd that holds this number.
unique_fd numbered(std::uint64_t number);
std::uint64_t number_of(int fd);

// Whether a poll returns at once.
bool readable(int fd);

std::vector<unique_fd> numbered_list(std::size_t count);
std::vector<int> plain(const std::vector<unique_fd> &fds);

// Broadcasts one numbered descriptor as the record of this id.
int broadcast(zbq_producer *prod, std::uint64_t seq_id);

// Collects a record: the numbers of its descriptors, which are closed.
struct collected {
    int result = 0;
    std::vector<std::uint64_t> numbers;
};
collected collect(zbq_consumer *cons, std::uint64_t seq_id);

} // namespace test
