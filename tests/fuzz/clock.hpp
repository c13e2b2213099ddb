// SPDX-License-Identifier: MIT
//
// Time and limits as a fuzzer lets the library see them: time stands still until it is let pass,
// and timers go off by it.
#pragma once

#include <cstdint>

namespace fuzz {

// For a new input: a time that is no other input's doing, no timer, and this limit of descriptors.
void begin_time(std::uint64_t descriptor_limit);

std::uint64_t time_now(); // of all clocks that count from some start
void pass_time_until(std::uint64_t later);
bool pass_time_until_a_timer(); // goes off; false: there is none

} // namespace fuzz
