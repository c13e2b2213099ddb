// SPDX-License-Identifier: MIT
//
// Writing MCAP files. Messages go into chunks; a chunk that is written whole stays readable,
// whatever becomes of the writer, the machine or the rest of the file.
//
//     file_sink file("log.mcap");
//     writer log(&file, {.compression = "lz4"});
//     const std::uint16_t id = log.add_channel("camera", "raw");
//     std::byte *data = log.prepare(size); // in the chunk itself
//     log.commit({.channel_id = id, .log_time = now}, size);
//     log.finish();
//
// One thread at a time.
#pragma once

#include "file.hpp"
#include "records.hpp"

#include <map>
#include <string>
#include <vector>

namespace zbq::mcap {

// Records of a chunk, not compressed yet, and what its indexes are to say.
struct sealed_chunk {
    buffer records;
    timestamp start_time = 0;
    timestamp end_time = 0;
    std::uint64_t messages = 0;
    std::vector<message_index> indexes; // one for each channel that has messages here

    [[nodiscard]] bool empty() const { return records.empty(); }
};

class chunk_builder {
public:
    // Room for a message's data; it may be filled until the next call, and goes into the chunk, as
    // a whole or the first part of it, by commit.
    std::byte *prepare(std::size_t size) {
        return records_.room(record_prefix + message_prefix + size) + record_prefix +
               message_prefix;
    }
    // The same, of at least that size: as much as there is without moving what is there.
    std::span<std::byte> prepare_at_least(std::size_t size) {
        std::byte *const room = prepare(size);
        return {room, records_.left() - record_prefix - message_prefix};
    }
    // `what` without its data, of which there are so many bytes.
    void commit(const message &what, std::size_t size);

    void add(const schema &what);
    void add(const channel &what);

    [[nodiscard]] std::size_t size() const { return records_.size(); }
    [[nodiscard]] timestamp start_time() const { return start_time_; }
    [[nodiscard]] std::uint64_t messages() const { return messages_; }
    // Leaves it empty.
    sealed_chunk seal();

private:
    std::vector<index_entry> *index_of(std::uint16_t channel_id);

    buffer records_;
    timestamp start_time_ = 0;
    timestamp end_time_ = 0;
    std::uint64_t messages_ = 0;
    std::vector<std::vector<index_entry>> indexes_; // by channel
    std::vector<std::uint16_t> indexed_;            // channels that have messages, as they came
    std::vector<index_entry> *last_ = nullptr;
    std::uint16_t last_channel_ = 0;
};

// Which of the optional parts a file has.
struct parts {
    bool chunks = true;
    bool definitions_in_chunks = true; // schemas and channels, where they come first; else beside
    bool message_indexes = true;
    bool chunk_indexes = true;
    bool attachment_indexes = true;
    bool metadata_indexes = true;
    bool statistics = true;
    bool schemas = true; // in the summary, as are channels
    bool channels = true;
    bool summary_offsets = true;
};

struct writer_options {
    std::string profile = {};
    std::string library = {};
    std::string compression = {};
    std::uint64_t chunk_size = std::uint64_t{1} << 20U; // bytes, before compression
    timestamp chunk_time = 1'000'000'000;               // between its first message and its last
    mcap::parts parts = {};
    std::string extension = {}; // at the end of each record that may have one: to test readers
};

class writer {
public:
    // The sink stays the caller's, and outlives this. Nothing is written yet.
    // @throws std::runtime_error for a compression that this build does not have
    explicit writer(sink *to, writer_options options = {});

    // With the next free id. @throws std::length_error when there are 65535 already
    std::uint16_t add_schema(const std::string &name, const std::string &encoding,
                             const std::string &data);
    std::uint16_t add_channel(const std::string &topic, const std::string &message_encoding,
                              std::uint16_t schema_id = 0, const string_map &values = {});
    // With their own. One that is there already with that id is left as it is.
    void add(const schema &what);
    void add(const channel &what);

    // As in chunk_builder, with the chunk written when it is full. @throws io_error: then messages
    // of this chunk are lost, and the file is as it was before.
    std::byte *prepare(std::size_t size) { return chunk_.prepare(size); }
    void commit(const message &what, std::size_t size) {
        chunk_.commit(what, size);
        if (chunk_.size() >= options_.chunk_size || !options_.parts.chunks ||
            what.log_time - chunk_.start_time() >= options_.chunk_time) {
            close_chunk();
        }
    }
    void write(const message &what); // copies its data

    // All of these write at once. @throws io_error: then the file is as it was before.
    void write(const sealed_chunk &what);
    void attach(const attachment &what); // but for its crc, which is made here
    void add(const metadata &what);
    // Closes the chunk: what was written before is readable if all that comes is lost.
    void flush();

    // The end: summary, footer. Once; what failed may be tried again, when there is room.
    void finish();

    [[nodiscard]] const statistics &so_far() const { return total_; }
    // Of the file.
    [[nodiscard]] std::uint64_t size() const { return written_ + out_.size(); }

private:
    template <typename Record>
    void put(const Record &record);
    template <typename Record>
    std::uint64_t put_indexed(const Record &record);
    void define(const schema &what);
    void define(const channel &what);
    void define_again();
    void close_chunk();
    void write_bare(const sealed_chunk &what);
    void write_chunk(const sealed_chunk &what);
    void push(bytes middle = {}, bytes end = {});
    void rewind();
    void count(const sealed_chunk &what);
    void put_summary();
    template <typename Group>
    void put_group(const Group &group);

    sink *to_;
    writer_options options_;
    chunk_builder chunk_;
    buffer out_; // complete records that are not written yet
    buffer compressed_;
    std::uint64_t written_ = 0;
    std::uint32_t crc_ = 0; // of that
    bool torn_ = false;     // there may be more than that, as the sink did not take it back
    bool finished_ = false;
    statistics total_;
    std::map<std::uint16_t, schema> schemas_;
    std::map<std::uint16_t, channel> channels_;
    std::vector<std::uint16_t> schemas_here_; // that this chunk defines
    std::vector<std::uint16_t> channels_here_;
    std::vector<chunk_index> chunks_;
    std::vector<attachment_index> attachments_;
    std::vector<metadata_index> metadata_;
    std::vector<summary_offset> groups_;
};

} // namespace zbq::mcap
