// SPDX-License-Identifier: MIT
//
// Inside of the library: all that a file has, in its order, past what is damaged.
#pragma once

#include "codec.hpp"
#include "reader.hpp"

namespace zbq::mcap {

// As decode, with the place in what it throws.
template <typename Record>
Record decode_at(const raw_record &record) {
    try {
        return decode<Record>(record.content);
    } catch (const damage &inner) {
        throw damage(record.offset, std::string(name_of(Record::code)) + ": " + inner.what());
    }
}

attachment decode_attachment(const raw_record &record);

struct summary {
    footer end;
    std::uint64_t footer_offset = 0;
    std::map<std::uint16_t, schema> schemas;
    std::map<std::uint16_t, channel> channels;
    std::optional<mcap::statistics> statistics;
    std::vector<chunk_index> chunks;
    std::vector<attachment_index> attachments;
    std::vector<metadata_index> metadata;
};

// Nothing where the end of the file is damaged, which `complaints` tells.
std::optional<summary> read_summary(source &file, std::vector<std::string> *complaints);

// Where a message was found.
enum class place { data, chunk, torn_chunk };

// What lies in the data section, as it comes. Each id is given once, before what has it.
class visitor {
public:
    visitor() = default;
    visitor(const visitor &) = delete;
    visitor &operator=(const visitor &) = delete;
    visitor(visitor &&) = delete;
    visitor &operator=(visitor &&) = delete;
    virtual ~visitor() = default;

    virtual void on(const header & /*what*/) {}
    virtual void on(const schema & /*what*/) {}
    virtual void on(const channel & /*what*/) {}
    // `from` lies in the file, or, in a chunk, in its records.
    virtual void on(const message & /*what*/, const raw_record & /*from*/, place /*where*/) {}
    virtual void on(const attachment & /*what*/, const raw_record & /*from*/) {}
    virtual void on(const metadata & /*what*/, const raw_record & /*from*/) {}
    virtual void on(const chunk & /*what*/, const raw_record & /*from*/) {} // before its messages
};

// To the end of the data section, or as far as it can be read. What was wrong, a line each.
// @throws damage where it is no MCAP file; io_error
std::vector<std::string> walk(source *file, visitor *to);

} // namespace zbq::mcap
