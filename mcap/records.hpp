// SPDX-License-Identifier: MIT
//
// The records of an MCAP file, as its specification has them, version 0. Each lists its fields in
// the order of the file once; writing and reading follow that list (codec.hpp).
#pragma once

#include "buffer.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace zbq::mcap {

inline constexpr std::array<unsigned char, 8> magic = {0x89, 'M', 'C', 'A', 'P', '0', '\r', '\n'};
inline constexpr std::size_t record_prefix = 9; // opcode and length

enum class opcode : std::uint8_t {
    none = 0,
    header = 1,
    footer = 2,
    schema = 3,
    channel = 4,
    message = 5,
    chunk = 6,
    message_index = 7,
    chunk_index = 8,
    attachment = 9,
    attachment_index = 10,
    statistics = 11,
    metadata = 12,
    metadata_index = 13,
    summary_offset = 14,
    data_end = 15,
};

// "chunk", for messages to people; static memory.
const char *name_of(opcode code);

// Nanoseconds, since whatever the writer says; here 1970.
using timestamp = std::uint64_t;
using string_map = std::map<std::string, std::string>;

// Bytes after their length, as 64 bits. They belong to whoever was decoded.
struct blob {
    bytes view;
};
// All the rest of the record.
struct remainder {
    bytes view;
};

struct header {
    static constexpr opcode code = opcode::header;
    std::string profile;
    std::string library;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.profile, of.library);
    }
};

struct footer {
    static constexpr opcode code = opcode::footer;
    std::uint64_t summary_start = 0; // 0: there is none
    std::uint64_t summary_offset_start = 0;
    std::uint32_t summary_crc = 0; // 0: not known
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.summary_start, of.summary_offset_start, of.summary_crc);
    }
};

struct schema {
    static constexpr opcode code = opcode::schema;
    std::uint16_t id = 0; // not 0
    std::string name;
    std::string encoding;
    std::string data;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.id, of.name, of.encoding, of.data);
    }
};

struct channel {
    static constexpr opcode code = opcode::channel;
    std::uint16_t id = 0;
    std::uint16_t schema_id = 0; // 0: none
    std::string topic;
    std::string message_encoding;
    string_map metadata;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.id, of.schema_id, of.topic, of.message_encoding, of.metadata);
    }
};

struct message {
    static constexpr opcode code = opcode::message;
    std::uint16_t channel_id = 0;
    std::uint32_t sequence = 0;
    timestamp log_time = 0;
    timestamp publish_time = 0;
    remainder data;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.channel_id, of.sequence, of.log_time, of.publish_time, of.data);
    }
};
inline constexpr std::size_t message_prefix = 22; // before its data

struct chunk {
    static constexpr opcode code = opcode::chunk;
    timestamp message_start_time = 0; // both 0: it has no messages
    timestamp message_end_time = 0;
    std::uint64_t uncompressed_size = 0;
    std::uint32_t uncompressed_crc = 0; // 0: not known
    std::string compression;
    blob records;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.message_start_time, of.message_end_time, of.uncompressed_size,
                        of.uncompressed_crc, of.compression, of.records);
    }
};

// One whose end is missing: of its records as many as there are.
struct torn_chunk {
    static constexpr opcode code = opcode::chunk;
    timestamp message_start_time = 0;
    timestamp message_end_time = 0;
    std::uint64_t uncompressed_size = 0;
    std::uint32_t uncompressed_crc = 0;
    std::string compression;
    std::uint64_t records_size = 0; // when it was whole
    remainder records;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.message_start_time, of.message_end_time, of.uncompressed_size,
                        of.uncompressed_crc, of.compression, of.records_size, of.records);
    }
};

// Log time, and offset in the chunk's uncompressed records.
using index_entry = std::pair<timestamp, std::uint64_t>;

struct message_index {
    static constexpr opcode code = opcode::message_index;
    std::uint16_t channel_id = 0;
    std::vector<index_entry> records;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.channel_id, of.records);
    }
};

struct chunk_index {
    static constexpr opcode code = opcode::chunk_index;
    timestamp message_start_time = 0;
    timestamp message_end_time = 0;
    std::uint64_t chunk_start_offset = 0;
    std::uint64_t chunk_length = 0; // of the whole record
    std::map<std::uint16_t, std::uint64_t> message_index_offsets;
    std::uint64_t message_index_length = 0;
    std::string compression;
    std::uint64_t compressed_size = 0;
    std::uint64_t uncompressed_size = 0;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.message_start_time, of.message_end_time, of.chunk_start_offset,
                        of.chunk_length, of.message_index_offsets, of.message_index_length,
                        of.compression, of.compressed_size, of.uncompressed_size);
    }
};

struct attachment {
    static constexpr opcode code = opcode::attachment;
    timestamp log_time = 0;
    timestamp create_time = 0; // 0: not known
    std::string name;
    std::string media_type;
    blob data;
    std::uint32_t crc = 0; // of all before it; 0: not known
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.log_time, of.create_time, of.name, of.media_type, of.data, of.crc);
    }
};

struct attachment_index {
    static constexpr opcode code = opcode::attachment_index;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    timestamp log_time = 0;
    timestamp create_time = 0;
    std::uint64_t data_size = 0;
    std::string name;
    std::string media_type;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.offset, of.length, of.log_time, of.create_time, of.data_size, of.name,
                        of.media_type);
    }
};

struct statistics {
    static constexpr opcode code = opcode::statistics;
    std::uint64_t message_count = 0;
    std::uint16_t schema_count = 0;
    std::uint32_t channel_count = 0;
    std::uint32_t attachment_count = 0;
    std::uint32_t metadata_count = 0;
    std::uint32_t chunk_count = 0;
    timestamp message_start_time = 0; // both 0: no messages
    timestamp message_end_time = 0;
    std::map<std::uint16_t, std::uint64_t> channel_message_counts;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.message_count, of.schema_count, of.channel_count, of.attachment_count,
                        of.metadata_count, of.chunk_count, of.message_start_time,
                        of.message_end_time, of.channel_message_counts);
    }
};

struct metadata {
    static constexpr opcode code = opcode::metadata;
    std::string name;
    string_map values;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.name, of.values);
    }
};

struct metadata_index {
    static constexpr opcode code = opcode::metadata_index;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::string name;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.offset, of.length, of.name);
    }
};

struct summary_offset {
    static constexpr opcode code = opcode::summary_offset;
    opcode group_opcode = opcode::none;
    std::uint64_t group_start = 0;
    std::uint64_t group_length = 0;
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.group_opcode, of.group_start, of.group_length);
    }
};

struct data_end {
    static constexpr opcode code = opcode::data_end;
    std::uint32_t data_section_crc = 0; // of the file up to this record; 0: not known
    template <typename Self>
    static auto fields(Self &of) {
        return std::tie(of.data_section_crc);
    }
};

} // namespace zbq::mcap
