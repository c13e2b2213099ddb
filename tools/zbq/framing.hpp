// SPDX-License-Identifier: MIT
//
// The publisher's input, cut into messages.
#pragma once

#include "options.hpp"

#include <zbq.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zbq::tool {

// Who has other things to do while there is no input.
class input_waiter {
public:
    input_waiter() = default;
    virtual ~input_waiter() = default;
    input_waiter(const input_waiter &) = delete;
    input_waiter &operator=(const input_waiter &) = delete;
    input_waiter(input_waiter &&) = delete;
    input_waiter &operator=(input_waiter &&) = delete;

    // Returns once the descriptor can be read; false when a stop signal came first.
    virtual bool wait_for_input(int fd) = 0;
};

class input_stream {
public:
    input_stream(const std::string &path, input_waiter *waiter); // empty: standard input

    // Up to `size` bytes; 0 at the end, or when a stop signal came.
    size_t read_some(char *to, size_t size);

    [[nodiscard]] const std::string &name() const { return name_; }

private:
    std::string name_;
    unique_fd opened_;
    int fd_;
    bool may_block_;
    input_waiter *waiter_;
};

// Each message as a whole, through a buffer: room in the ring is asked for when there is something
// to put there. (A reader that leaves no room meanwhile is in nobody's way.)
class message_reader {
public:
    message_reader(input_stream *input, const pub_options &options);

    // The next payload, valid until the next call. False at the end of the input, or when a
    // stop signal came. Throws for a message that is cut off or larger than the ring takes.
    bool next(std::string_view *payload);

private:
    [[nodiscard]] std::string_view unread() const;
    bool fill(); // reads more; false at the end
    bool fill_to(size_t size);
    std::string_view take(size_t size);
    bool find(std::string_view *payload);
    bool next_line(std::string_view *payload);
    bool next_chunk(std::string_view *payload);
    bool next_prefixed(std::string_view *payload);
    void check_size(uint64_t size, std::string_view qualifier = "") const;

    input_stream *input_;
    const pub_options &options_;
    std::vector<char> buffer_;
    size_t begin_ = 0;
    size_t end_ = 0;
    uint64_t number_ = 0; // of the message being read, from 1
};

} // namespace zbq::tool
