// SPDX-License-Identifier: MIT
//
// Reading MCAP files, whoever wrote them. Nothing in a file is believed: what does not fit is told
// as damage, and costs no more memory than the file has bytes and its chunks really unpack to.
//
//     file_source file("log.mcap");
//     const contents what = read_contents(file);
//     message_reader messages(file, what);
//     while (const message *next = messages.next()) {
//         use(what.channels.at(next->channel_id).topic, next->log_time, next->data.view);
//     }
//
// One thread at a time; different readers of one source are independent.
#pragma once

#include "file.hpp"
#include "records.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace zbq::mcap {

// A record as it lies in the file.
struct raw_record {
    opcode code = opcode::none;
    std::uint64_t offset = 0; // from the start of the file, or of the chunk's records
    bytes content;            // without opcode and length

    [[nodiscard]] std::uint64_t end() const { return offset + record_prefix + content.size(); }
};

// Whether a file begins as MCAP files do.
bool is_mcap(source &file);

// The records of a file, from its start, one after the other.
class scanner {
public:
    // @throws damage where it does not begin as an MCAP file
    explicit scanner(source *file);
    // From there; nothing is checked.
    scanner(source *file, std::uint64_t offset) : file_(file), offset_(offset) {}

    // Nothing at the end of the file; its content is valid until the next call. The magic bytes at
    // the end are for a reader of the footer. @throws damage where a record has fewer bytes than it
    // says, with what there is in `torn`
    std::optional<raw_record> next();

    [[nodiscard]] std::uint64_t offset() const { return offset_; } // of the next one
    [[nodiscard]] const raw_record &torn() const { return torn_; }

private:
    source *file_;
    std::uint64_t offset_;
    buffer content_;
    raw_record torn_;
};

// One record at this place. @throws damage where there is none whole, or one of another kind
raw_record read_record(source &file, std::uint64_t offset, opcode wanted, buffer *into);

// The records of a chunk that was unpacked, or of anything else that lies in memory.
// @throws damage with the offset in there; those before were given to `use`
void each_record(bytes records, const std::function<void(const raw_record &)> &use);

// A chunk's records, unpacked, up to where it is damaged; then `wrong` says how.
struct unpacked {
    buffer records;
    std::optional<std::string> wrong;
};
// `whole`: check its checksum as well.
unpacked unpack(const chunk &what, bool whole = true);

// Part of the file that has messages.
struct region {
    std::uint64_t offset = 0; // of a chunk; or of records beside chunks, which are together here
    std::uint64_t length = 0;
    timestamp start_time = 0;
    timestamp end_time = 0;
    std::uint64_t messages = 0; // 0: not known
    bool is_chunk = true;
    std::set<std::uint16_t> channels = {}; // that have messages here; empty: not known
};

struct contents {
    mcap::header header;
    std::map<std::uint16_t, schema> schemas;
    std::map<std::uint16_t, channel> channels;
    std::vector<region> regions; // in the order of the file
    std::vector<attachment_index> attachments;
    std::vector<metadata_index> metadata;
    mcap::statistics statistics;
    std::vector<chunk_index> chunks;
    bool by_summary = false; // nothing else was read
    // What is wrong with the file, a line each; empty: nothing. What was lost is not told of above.
    std::vector<std::string> damage;
};

enum class thoroughness {
    summary, // believe it, if it is there and agrees with itself
    all,     // read the whole file, and check each checksum
};

// @throws damage where it is no MCAP file; io_error
contents read_contents(source &file, thoroughness how = thoroughness::summary);

// @throws damage, io_error
attachment read_attachment(source &file, std::uint64_t offset, buffer *into);
metadata read_metadata(source &file, std::uint64_t offset);

struct selection {
    timestamp from = 0;
    timestamp to = UINT64_MAX; // including
    std::optional<std::set<std::uint16_t>> channels = {};
};

// Messages by their log time; those of the same time as they lie in the file. Keeps as many chunks
// in memory as overlap at one time.
class message_reader {
public:
    // The source stays the caller's, and outlives this.
    message_reader(source *file, const contents &what, selection wanted = {});

    // nullptr at the end; valid until the next call. @throws damage where a chunk is not as it was
    // told: it is left out, and reading may go on; io_error
    const message *next();

private:
    using key = std::pair<timestamp, std::size_t>; // a message's time, and its region's number
    struct entry {
        timestamp time = 0;
        bytes content;
    };
    struct open_region {
        std::size_t number = 0;
        buffer memory;              // that the entries lie in
        std::vector<entry> entries; // by time
        std::size_t at = 0;

        [[nodiscard]] key next() const { return {entries[at].time, number}; }
    };

    void open(std::size_t number);
    void collect(bytes records, const region &what, std::vector<entry> *entries) const;
    [[nodiscard]] bool is_due(const region &next) const;
    void take_earliest();

    source *file_;
    selection wanted_;
    std::vector<std::pair<std::size_t, region>> regions_; // not opened yet, by start
    std::size_t next_region_ = 0;
    // By the time of their next message; of the same time, the first in the file.
    std::map<key, open_region> open_;
    std::optional<open_region> current_; // the earliest, which is in use
    bool given_ = false;                 // its message
    message message_;
};

} // namespace zbq::mcap
