// SPDX-License-Identifier: MIT
//
// Files to test with, and what is in them.
#pragma once

#include "mcap/reader.hpp"
#include "mcap/recover.hpp"
#include "mcap/writer.hpp"

#include <string>
#include <vector>

namespace test {

using namespace zbq::mcap;

struct plain_message {
    std::string topic;
    std::uint32_t sequence = 0;
    timestamp time = 0;
    std::string text;
    bool operator==(const plain_message &) const = default;
};

// The ways to write a file, each with its name in the tests.
struct way {
    std::string name;
    writer_options options;
};
std::vector<way> ways(); // without those that this build does not have

// Two channels, a schema, an attachment, metadata, and several small chunks, the times of which are
// out of order.
std::vector<plain_message> sample_messages();
void write_sample(sink *to, const writer_options &options);
std::string sample(const writer_options &options);

std::string text_of(bytes from);
std::vector<plain_message> in_order_of_time(std::vector<plain_message> messages);

// All messages that a reader gives, by time.
std::vector<plain_message> read_all(source *from, const contents &what, selection wanted = {});
std::vector<plain_message> read_all(const std::string &file);

} // namespace test
