// SPDX-License-Identifier: MIT
//
// Statistics in words. What a producer says of itself can be anything: no text of its choice
// reaches a terminal as it is.
#pragma once

#include <zbq.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zbq::tool {

// Without what is not printable ASCII.
std::string printable(std::string_view text);

std::string type_text(const zbq_type &type); // "-": not told
std::string mode_text(uint32_t mode);
std::string duration_text(uint64_t nanoseconds);           // "3 min 2 s"
std::string rate_text(const std::optional<double> &bytes); // a second; "-": not known yet
std::string id_text(const uint8_t (&id)[16]);
std::string user_text(uint32_t uid); // a name where there is one

// From an earlier time of the producer's to a later one.
uint64_t since(uint64_t then, uint64_t now);

// Who holds the stream back, in one line.
std::string blame(const statistics &of);

// A table: columns of text, those of numbers to the right.
class table {
public:
    struct column {
        std::string title;
        bool to_the_right = false;
    };
    explicit table(std::vector<column> columns);
    void add(std::vector<std::string> row);
    [[nodiscard]] std::string text() const; // a line for the titles, and one for each row

private:
    std::vector<column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace zbq::tool
