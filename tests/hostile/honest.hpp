// SPDX-License-Identifier: MIT
//
// A consumer as the library makes it, that compares every message with what was written.
#pragma once

#include <string>

namespace hostile {

enum class sleep_in { futex, poll };

// Until the last message; 0: all was whole, in order, and there. Else it says what was not.
int read_stream(const std::string &name, sleep_in how);

} // namespace hostile
