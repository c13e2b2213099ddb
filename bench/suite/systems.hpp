// SPDX-License-Identifier: MIT
//
// The systems under test: zbq, and what people would use instead.
#pragma once

#include "act.hpp"
#include "link.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

struct system_under_test {
    using maker = std::function<std::unique_ptr<act>(const link_options &)>;
    std::string name;
    maker ping_pong;
    maker throughput;
    maker paced;
};

// zbq comes first; the others as far as they were found when this was built.
std::vector<system_under_test> systems();

// zbq by its other ways: of reading one at a time, and typed, of messages of 64 bytes.
std::vector<system_under_test> other_ways();
system_under_test typed();

// The least that a ring can be, as a floor or to compare by: one receiver that spins.
std::unique_ptr<act> bare_ring_throughput(const link_options &options);
std::unique_ptr<act> bare_ring_ping_pong(const link_options &options);

} // namespace bench
