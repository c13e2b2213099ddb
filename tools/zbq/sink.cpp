// SPDX-License-Identifier: MIT
#include "sink.hpp"

#include "errors.hpp"

namespace zbq::tool {

namespace {

constexpr uint64_t most_messages = 64;

void append_number(std::string *output, uint64_t number, unsigned bits) {
    for (unsigned shift = 0; shift < bits; shift += 8) {
        output->push_back(static_cast<char>(number >> shift & 0xffU));
    }
}

} // namespace

void sink::add(std::span<const std::byte> payload, uint16_t key) {
    if (options_.writes_messages()) {
        copy(payload, key);
    } else if (options_.sha256) {
        hash_.add(payload.data(), payload.size());
    }
    ++batch_.messages;
    batch_.bytes += payload.size();
}

void sink::append_key(uint16_t key) {
    if (options_.framing == output_framing::length_prefixed) {
        append_number(&output_, key, 16);
    } else {
        output_ += fmt::format("{}\t", key);
    }
}

void sink::copy(std::span<const std::byte> payload, uint16_t key) {
    if (options_.keys) {
        append_key(key);
    }
    if (options_.framing == output_framing::length_prefixed) {
        append_number(&output_, payload.size(), 32);
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
