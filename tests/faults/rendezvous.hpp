// SPDX-License-Identifier: MIT
//
// Where consumers of other processes find the producer, and what they say first.
#pragma once

#include "support/rig.hpp"

#include <cstdint>
#include <sys/un.h>

namespace faults {

struct hello {
    std::uint32_t account;
    std::uint32_t mode;
};

struct address {
    sockaddr_un name;
    unsigned length;
};

struct listener {
    test::unique_fd socket; // does not block
    address where;
};

listener listen_somewhere(); // throws

// A socket that has said hello, or none when there is no producer any more.
test::unique_fd connect_to(const address &where, const hello &what);

} // namespace faults
