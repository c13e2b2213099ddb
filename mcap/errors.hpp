// SPDX-License-Identifier: MIT
//
// How this library fails: by one of these, and by std::bad_alloc.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>

namespace zbq::mcap {

// The file is not what it says, or no MCAP.
class damage : public std::runtime_error {
public:
    damage(std::uint64_t offset, const std::string &what)
        : std::runtime_error("at byte " + std::to_string(offset) + ": " + what), offset_(offset) {}
    explicit damage(const std::string &what) : std::runtime_error(what) {}

    // From the start of the file, of the record that is damaged.
    [[nodiscard]] std::uint64_t offset() const { return offset_; }

private:
    std::uint64_t offset_ = 0;
};

// A system call failed: code() says how, and what() with which file.
class io_error : public std::system_error {
public:
    io_error(int error, const std::string &what)
        : std::system_error(error, std::generic_category(), what) {}
};

} // namespace zbq::mcap
