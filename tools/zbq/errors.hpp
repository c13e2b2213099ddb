// SPDX-License-Identifier: MIT
//
// How the tool fails: an exception for set-up errors, caught in main, which knows the exit
// status to end with.
#pragma once

#include <fmt/core.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace zbq::tool {

enum exit_status : int {
    exit_ok = 0,
    exit_failure = 1,
    exit_usage = 2,
    exit_evicted = 3,
    exit_producer_died = 4,
    exit_nobody = 5,
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

inline std::string error_text(int error) {
    return std::generic_category().message(error);
}

// "what: why", with the errno of the call that just failed.
inline failure system_failure(const std::string &what) {
    const int error = errno;
    return failure(fmt::format("{}: {}", what, error_text(error)));
}

} // namespace zbq::tool
