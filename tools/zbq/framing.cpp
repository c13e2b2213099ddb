// SPDX-License-Identifier: MIT
#include "framing.hpp"

#include "errors.hpp"
#include "signals.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>

namespace zbq::tool {

namespace {

constexpr size_t first_buffer = size_t{256} << 10U;
constexpr size_t prefix_size = 4;

bool is_regular(int fd) {
    struct stat status = {};
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

uint32_t little_endian(std::string_view bytes) {
    uint32_t value = 0;
    for (size_t i = prefix_size; i-- > 0;) {
        value = value << 8U | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

} // namespace

input_stream::input_stream(const std::string &path, input_waiter *waiter)
    : name_(path.empty() ? "standard input" : path), fd_(STDIN_FILENO), waiter_(waiter) {
    if (!path.empty()) {
        // Non-blocking: opening a FIFO shall not wait, and reading it is polled for anyway.
        opened_ = unique_fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (!opened_) {
            throw system_failure("opening " + path);
        }
        fd_ = opened_.get();
    }
    may_block_ = !is_regular(fd_);
}

size_t input_stream::read_some(char *to, size_t size) {
    while (stop_signal() == 0) {
        if (may_block_ && !waiter_->wait_for_input(fd_)) {
            return 0;
        }
        const ssize_t got = read(fd_, to, size);
        if (got >= 0) {
            return static_cast<size_t>(got);
        }
        if (errno != EINTR && errno != EAGAIN) {
            throw system_failure("reading " + name_);
        }
    }
    return 0;
}

message_reader::message_reader(input_stream *input, const pub_options &options)
    : input_(input), options_(options), buffer_(first_buffer) {}

std::string_view message_reader::unread() const {
    return {buffer_.data() + begin_, end_ - begin_};
}

bool message_reader::fill() {
    if (begin_ != 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (end_ == buffer_.size()) {
        buffer_.resize(buffer_.size() * 2);
    }
    const size_t got = input_->read_some(buffer_.data() + end_, buffer_.size() - end_);
    end_ += got;
    return got != 0;
}

bool message_reader::fill_to(size_t size) {
    while (unread().size() < size) {
        if (!fill()) {
            return false;
        }
    }
    return true;
}

std::string_view message_reader::take(size_t size) {
    const std::string_view taken = unread().substr(0, size);
    begin_ += size;
    return taken;
}

void message_reader::check_size(uint64_t size, std::string_view qualifier) const {
    if (size > options_.payload_limit()) {
        throw failure(fmt::format("{}: message {} has {}{} bytes, but a ring of {} bytes takes {} "
                                  "at most: give a larger --capacity",
                                  input_->name(), number_, qualifier, size, options_.capacity,
                                  options_.payload_limit()));
    }
}

bool message_reader::next(std::string_view *payload) {
    ++number_;
    return find(payload) && stop_signal() == 0;
}

bool message_reader::find(std::string_view *payload) {
    switch (options_.framing) {
    case input_framing::lines:
        return next_line(payload);
    case input_framing::chunks:
        return next_chunk(payload);
    default:
        return next_prefixed(payload);
    }
}

bool message_reader::next_chunk(std::string_view *payload) {
    fill_to(options_.chunk_size);
    *payload = take(std::min(options_.chunk_size, unread().size())); // the last has what is left
    return !payload->empty();
}

bool message_reader::next_line(std::string_view *payload) {
    size_t searched = 0;
    for (;;) {
        const std::string_view bytes = unread();
        const size_t newline = bytes.find('\n', searched);
        if (newline != std::string_view::npos) {
            check_size(newline + 1);
            *payload = take(newline + 1);
            return true;
        }
        check_size(bytes.size(), "over ");
        searched = bytes.size();
        if (!fill()) {
            *payload = take(searched); // the last line may lack its newline
            return searched != 0;
        }
    }
}

bool message_reader::next_prefixed(std::string_view *payload) {
    const bool has_prefix = fill_to(prefix_size);
    if (stop_signal() != 0 || (!has_prefix && unread().empty())) {
        return false;
    }
    if (!has_prefix) {
        throw failure(
            fmt::format("{} ends within the length of message {}", input_->name(), number_));
    }
    const uint32_t size = little_endian(unread());
    check_size(size);
    if (!fill_to(prefix_size + size)) {
        if (stop_signal() != 0) {
            return false;
        }
        throw failure(fmt::format("{} ends after {} of the {} bytes of message {}", input_->name(),
                                  unread().size() - prefix_size, size, number_));
    }
    take(prefix_size);
    *payload = take(size);
    return true;
}

} // namespace zbq::tool
