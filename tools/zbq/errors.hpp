// SPDX-License-Identifier: MIT
//
// How the tool fails: an exception for set-up errors, caught in main, which knows the exit
// status to end with.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>

namespace zbq::tool {

// What each means to a user is said once, in help.cpp.
enum exit_status : int {
    exit_ok = 0,
    exit_failure = 1,
    exit_usage = 2,
    exit_evicted = 3,
    exit_publisher_failed = 4,
    exit_nobody = 5,
    exit_output = 6,
    exit_damaged = 7,
};

class failure : public std::runtime_error {
public:
    explicit failure(const std::string &text, int status = exit_failure)
        : std::runtime_error(text), status_(status) {}
    [[nodiscard]] int status() const { return status_; }

private:
    int status_;
};

inline failure usage_error(const std::string &text) {
    return failure(text, exit_usage);
}

// What an errno says; where it says that a limit was met, also which, and how high it is.
std::string error_text(int error);

// That limit alone, in brackets after a blank; empty: it is not about a limit that is known.
std::string limit_text(int error);

// "what: why", with the errno of the call that just failed.
failure system_failure(const std::string &what);

bool is_out_of_descriptors(int error);

} // namespace zbq::tool
