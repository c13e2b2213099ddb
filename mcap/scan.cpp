// SPDX-License-Identifier: MIT
//
// Records as they lie in a file.
#include "checksum.hpp"
#include "codec.hpp"
#include "compression.hpp"
#include "reader.hpp"
#include "walk.hpp"

#include <algorithm>

namespace zbq::mcap {

const char *name_of(opcode code) {
    constexpr std::array names = {
        "record of no kind", "header",     "footer",        "schema",         "channel",
        "message",           "chunk",      "message index", "chunk index",    "attachment",
        "attachment index",  "statistics", "metadata",      "metadata index", "summary offset",
        "data end"};
    const auto number = static_cast<std::size_t>(code);
    return number < names.size() ? names[number] : "record of a kind that is not known";
}

bool is_mcap(source &file) {
    std::array<std::byte, magic.size()> start = {};
    return file.read(0, start) == start.size() &&
           std::ranges::equal(start, std::as_bytes(std::span(magic)));
}

scanner::scanner(source *file) : file_(file), offset_(magic.size()) {
    if (!is_mcap(*file)) {
        throw damage(0, "this is no MCAP file");
    }
}

namespace {

std::string cut_off(opcode code, std::uint64_t wanted, std::uint64_t there) {
    return std::string("a ") + name_of(code) + " of " + std::to_string(wanted) +
           " bytes, of which the file has " + std::to_string(there);
}

} // namespace

std::optional<raw_record> scanner::next() {
    const std::uint64_t left = file_->size() > offset_ ? file_->size() - offset_ : 0;
    torn_ = {opcode::none, offset_, {}};
    if (left == 0) {
        return std::nullopt;
    }
    std::array<std::byte, record_prefix> prefix = {};
    const std::size_t got = file_->read(offset_, prefix);
    if (got < prefix.size()) {
        throw damage(offset_, std::to_string(got) + " bytes, which are no record");
    }
    torn_.code = static_cast<opcode>(prefix[0]);
    if (torn_.code == opcode::none) { // as where a power cut has left zeros
        throw damage(offset_, "no record");
    }
    const auto length = load<std::uint64_t>(prefix.data() + 1);
    const std::uint64_t there = std::min(length, left - record_prefix);
    content_.shrink(0);
    content_.use(file_->read(offset_ + record_prefix, std::span(content_.room(there), there)));
    torn_.content = content_.view();
    if (content_.size() < length) {
        throw damage(offset_, cut_off(torn_.code, length, content_.size()));
    }
    offset_ = torn_.end();
    return torn_;
}

raw_record read_record(source &file, std::uint64_t offset, opcode wanted, buffer *into) {
    scanner from(&file, offset);
    const std::optional<raw_record> found = from.next();
    if (!found || found->code != wanted) {
        throw damage(offset, std::string("there is no ") + name_of(wanted));
    }
    into->shrink(0);
    into->append(found->content);
    return {wanted, offset, into->view()};
}

void each_record(bytes records, const std::function<void(const raw_record &)> &use) {
    std::uint64_t offset = 0;
    while (offset < records.size()) {
        const bytes left = records.subspan(offset);
        if (left.size() < record_prefix) {
            throw damage(offset, std::to_string(left.size()) + " bytes, which are no record");
        }
        const auto code = static_cast<opcode>(left[0]);
        const auto length = load<std::uint64_t>(left.data() + 1);
        if (code == opcode::none) {
            throw damage(offset, "no record");
        }
        if (length > left.size() - record_prefix) {
            throw damage(offset, cut_off(code, length, left.size() - record_prefix));
        }
        use({code, offset, left.subspan(record_prefix, length)});
        offset += record_prefix + length;
    }
}

unpacked unpack(const chunk &what, bool whole) {
    unpacked result;
    result.wrong =
        decompress(what.compression, what.records.view, what.uncompressed_size, &result.records);
    if (whole && !result.wrong && what.uncompressed_crc != 0 &&
        crc32(result.records.view()) != what.uncompressed_crc) {
        result.wrong = "its checksum is another";
    }
    return result;
}

attachment decode_attachment(const raw_record &record) {
    auto what = decode_at<attachment>(record);
    const std::size_t checked =
        static_cast<std::size_t>(what.data.view.data() - record.content.data()) +
        what.data.view.size();
    if (what.crc != 0 && crc32(record.content.first(checked)) != what.crc) {
        throw damage(record.offset, "the attachment " + what.name + " has another checksum");
    }
    return what;
}

attachment read_attachment(source &file, std::uint64_t offset, buffer *into) {
    const raw_record found = read_record(file, offset, opcode::attachment, into);
    return decode_attachment(found);
}

metadata read_metadata(source &file, std::uint64_t offset) {
    buffer memory;
    return decode_at<metadata>(read_record(file, offset, opcode::metadata, &memory));
}

} // namespace zbq::mcap
