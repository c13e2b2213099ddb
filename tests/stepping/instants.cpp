// SPDX-License-Identifier: MIT
#include "instants.hpp"

#include <cstdlib>
#include <string_view>
#include <unistd.h>

namespace test {

namespace {

constexpr std::uint64_t few = 150; // a second or so
constexpr std::uint64_t some = 24;

bool wants_every() {
    const char *wish = std::getenv("ZBQ_STEPPING");
    return wish != nullptr && std::string_view(wish) == "every";
}

} // namespace

std::vector<std::uint64_t> instants(std::uint64_t instructions) {
    const std::uint64_t apart = instructions <= few || wants_every() ? 1 : instructions / some;
    std::vector<std::uint64_t> chosen;
    for (std::uint64_t at = static_cast<std::uint64_t>(getpid()) % apart; at <= instructions;
         at += apart) {
        chosen.push_back(at);
    }
    return chosen;
}

} // namespace test
