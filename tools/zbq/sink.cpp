// SPDX-License-Identifier: MIT
#include "sink.hpp"

#include "errors.hpp"

namespace zbq::tool {

namespace {

constexpr uint64_t most_messages = 64;

void append_length(std::string *output, uint64_t length) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        output->push_back(static_cast<char>(length >> shift & 0xffU));
    }
}

} // namespace

void sink::add(std::span<const std::byte> payload) {
    if (options_.writes_messages()) {
        copy(payload);
    } else if (options_.sha256) {
        hash_.add(payload.data(), payload.size());
    }
    ++batch_.messages;
    batch_.bytes += payload.size();
}

void sink::copy(std::span<const std::byte> payload) {
    if (options_.framing == output_framing::length_prefixed) {
        append_length(&output_, payload.size());
    }
    output_ += text_of(payload);
    const bool ends_line = !payload.empty() && output_.back() == '\n';
    if (options_.framing == output_framing::lines && !ends_line) {
        output_.push_back('\n');
    }
}

bool sink::full(uint64_t capacity) const {
    return batch_.messages >= most_messages || batch_.bytes >= capacity / 8;
}

void sink::confirm() {
    total_.messages += batch_.messages;
    total_.bytes += batch_.bytes;
    total_.descriptors += batch_.descriptors;
    batch_ = {};
}

void sink::discard() {
    hash_intact_ = false;
    batch_ = {};
    output_.clear();
}

write_result sink::write() {
    const write_result result = write_output(output_);
    output_.clear();
    return result;
}

write_result sink::write_accounts() {
    std::string text;
    if (options_.count) {
        text += fmt::format("messages {} bytes {} descriptors {}\n", total_.messages, total_.bytes,
                            total_.descriptors);
    }
    if (options_.sha256 && hash_intact_) {
        text += fmt::format("sha256 {}\n", hash_.hex());
    }
    return write_output(text);
}

} // namespace zbq::tool
