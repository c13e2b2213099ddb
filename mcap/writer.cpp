// SPDX-License-Identifier: MIT
#include "writer.hpp"

#include "checksum.hpp"
#include "codec.hpp"
#include "compression.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace zbq::mcap {

namespace {

constexpr std::size_t enough_to_write = std::size_t{64} << 10U;

// Of those with a time, the first and the last.
void widen(timestamp *start, timestamp *end, bool first, timestamp from, timestamp to) {
    *start = first ? from : std::min(*start, from);
    *end = first ? to : std::max(*end, to);
}

template <typename Map>
std::uint16_t next_id(const Map &taken) {
    const unsigned id = taken.empty() ? 1 : taken.rbegin()->first + 1U;
    if (id > std::numeric_limits<std::uint16_t>::max()) {
        throw std::length_error("MCAP: no more than 65535 schemas, or channels");
    }
    return static_cast<std::uint16_t>(id);
}

} // namespace

// ---- chunks ----

std::vector<index_entry> *chunk_builder::index_of(std::uint16_t channel_id) {
    if (last_ == nullptr || last_channel_ != channel_id) {
        if (indexes_.size() <= channel_id) {
            indexes_.resize(channel_id + std::size_t{1});
        }
        last_ = &indexes_[channel_id];
        last_channel_ = channel_id;
    }
    if (last_->empty()) {
        indexed_.push_back(channel_id);
    }
    return last_;
}

void chunk_builder::commit(const message &what, std::size_t size) {
    const std::uint64_t offset = records_.size();
    index_of(what.channel_id)->emplace_back(what.log_time, offset);
    std::byte *const at = records_.data() + offset;
    at[0] = static_cast<std::byte>(opcode::message);
    store(at + 1, std::uint64_t{message_prefix + size});
    store(at + 9, what.channel_id);
    store(at + 11, what.sequence);
    store(at + 15, what.log_time);
    store(at + 23, what.publish_time);
    records_.use(record_prefix + message_prefix + size);
    widen(&start_time_, &end_time_, messages_ == 0, what.log_time, what.log_time);
    ++messages_;
}

void chunk_builder::add(const schema &what) {
    encode(&records_, what);
}

void chunk_builder::add(const channel &what) {
    encode(&records_, what);
}

sealed_chunk chunk_builder::seal() {
    sealed_chunk sealed = {std::move(records_), start_time_, end_time_, messages_, {}};
    sealed.indexes.reserve(indexed_.size());
    for (const std::uint16_t id : indexed_) {
        sealed.indexes.push_back({id, std::move(indexes_[id])});
        indexes_[id].reserve(sealed.indexes.back().records.size()); // the next will be like it
    }
    indexed_.clear();
    records_.reserve(sealed.records.size());
    start_time_ = end_time_ = messages_ = 0;
    return sealed;
}

// ---- the file ----

writer::writer(sink *to, writer_options options) : to_(to), options_(std::move(options)) {
    if (!knows_compression(options_.compression)) {
        throw std::runtime_error("this build has no compression " + options_.compression);
    }
    out_.append(std::as_bytes(std::span(magic)));
    put(header{options_.profile, options_.library});
}

template <typename Record>
void writer::put(const Record &record) {
    encode(&out_, record, options_.extension);
}

std::uint16_t writer::add_schema(const std::string &name, const std::string &encoding,
                                 const std::string &data) {
    const std::uint16_t id = next_id(schemas_);
    add(schema{id, name, encoding, data});
    return id;
}

std::uint16_t writer::add_channel(const std::string &topic, const std::string &message_encoding,
                                  std::uint16_t schema_id, const string_map &values) {
    const std::uint16_t id = next_id(channels_);
    add(channel{id, schema_id, topic, message_encoding, values});
    return id;
}

void writer::add(const schema &what) {
    if (schemas_.emplace(what.id, what).second) {
        define(what);
        total_.schema_count = static_cast<std::uint16_t>(schemas_.size());
    }
}

void writer::add(const channel &what) {
    if (channels_.emplace(what.id, what).second) {
        define(what);
        total_.channel_count = static_cast<std::uint32_t>(channels_.size());
    }
}

void writer::define(const schema &what) {
    if (options_.parts.chunks && options_.parts.definitions_in_chunks) {
        chunk_.add(what);
        schemas_here_.push_back(what.id);
    } else {
        put(what);
    }
}

void writer::define(const channel &what) {
    if (options_.parts.chunks && options_.parts.definitions_in_chunks) {
        chunk_.add(what);
        channels_here_.push_back(what.id);
    } else {
        put(what);
    }
}

// What was defined in a chunk that is lost goes into the next one.
void writer::define_again() {
    for (const std::uint16_t id : schemas_here_) {
        chunk_.add(schemas_.at(id));
    }
    for (const std::uint16_t id : channels_here_) {
        chunk_.add(channels_.at(id));
    }
}

void writer::write(const message &what) {
    const bytes data = what.data.view;
    std::ranges::copy(data, prepare(data.size()));
    commit(what, data.size());
}

void writer::close_chunk() {
    const sealed_chunk sealed = chunk_.seal();
    if (sealed.empty()) {
        return;
    }
    if (!options_.parts.chunks) {
        write_bare(sealed);
        return;
    }
    try {
        write_chunk(sealed);
    } catch (...) {
        define_again();
        throw;
    }
    schemas_here_.clear();
    channels_here_.clear();
}

void writer::write(const sealed_chunk &what) {
    close_chunk();
    if (!what.empty()) {
        write_chunk(what);
    }
}

void writer::write_bare(const sealed_chunk &what) {
    out_.append(what.records.view());
    count(what);
    if (out_.size() >= enough_to_write) {
        push();
    }
}

void writer::write_chunk(const sealed_chunk &what) {
    const std::size_t before = out_.size();
    bytes data = what.records.view();
    if (!options_.compression.empty()) {
        compressed_.shrink(0);
        compress(options_.compression, data, &compressed_);
        data = compressed_.view();
    }
    chunk_index index = {
        what.start_time, what.end_time,      size(), 0, {}, 0, options_.compression,
        data.size(),     what.records.size()};
    encode(&out_, chunk{what.start_time,
                        what.end_time,
                        index.uncompressed_size,
                        crc32(what.records.view()),
                        index.compression,
                        {}});
    // The data goes into the file from where it is.
    index.chunk_length = out_.size() - before + data.size();
    store(out_.data() + before + 1, std::uint64_t{index.chunk_length - record_prefix});
    store(out_.data() + out_.size() - sizeof(std::uint64_t), std::uint64_t{data.size()});

    buffer indexes;
    for (const message_index &each : what.indexes) {
        if (options_.parts.message_indexes) {
            index.message_index_offsets[each.channel_id] =
                index.chunk_start_offset + index.chunk_length + indexes.size();
            encode(&indexes, each, options_.extension);
        }
    }
    index.message_index_length = indexes.size();
    try {
        push(data, indexes.view());
    } catch (...) {
        out_.shrink(before);
        throw;
    }
    count(what);
    ++total_.chunk_count;
    chunks_.push_back(std::move(index));
}

void writer::count(const sealed_chunk &what) {
    if (what.messages != 0) {
        widen(&total_.message_start_time, &total_.message_end_time, total_.message_count == 0,
              what.start_time, what.end_time);
    }
    total_.message_count += what.messages;
    for (const message_index &each : what.indexes) {
        total_.channel_message_counts[each.channel_id] += each.records.size();
    }
}

template <typename Record>
std::uint64_t writer::put_indexed(const Record &record) {
    close_chunk();
    const std::size_t before = out_.size();
    const std::uint64_t offset = size();
    put(record);
    if constexpr (std::is_same_v<Record, attachment>) {
        const std::size_t at = out_.size() - options_.extension.size() - sizeof record.crc;
        const std::size_t content = before + record_prefix;
        store(out_.data() + at, crc32(out_.view().subspan(content, at - content)));
    }
    try {
        push();
    } catch (...) {
        out_.shrink(before);
        throw;
    }
    return offset;
}

void writer::attach(const attachment &what) {
    const std::uint64_t offset = put_indexed(what);
    ++total_.attachment_count;
    attachments_.push_back({offset, size() - offset, what.log_time, what.create_time,
                            what.data.view.size(), what.name, what.media_type});
}

void writer::add(const metadata &what) {
    const std::uint64_t offset = put_indexed(what);
    ++total_.metadata_count;
    metadata_.push_back({offset, size() - offset, what.name});
}

void writer::flush() {
    close_chunk();
    push();
}

// ---- to the sink ----

void writer::rewind() {
    torn_ = true;
    to_->rewind(written_);
    torn_ = false;
}

void writer::push(bytes middle, bytes end) {
    if (torn_) {
        rewind();
    }
    const std::array<bytes, 3> all = {out_.view(), middle, end};
    try {
        for (const bytes &each : all) {
            to_->write(each);
        }
    } catch (const io_error &) {
        try {
            rewind();
        } catch (const io_error &) { // the next one tries again
        }
        throw;
    }
    for (const bytes &each : all) {
        crc_ = crc32(each, crc_);
        written_ += each.size();
    }
    out_.shrink(0);
}

// ---- the end ----

template <typename Group>
void writer::put_group(const Group &group) {
    const std::uint64_t start = size();
    opcode code = opcode::none;
    for (const auto &record : group) {
        put(record);
        code = record.code;
    }
    if (size() != start) {
        groups_.push_back({code, start, size() - start});
    }
}

namespace {

template <typename Map>
auto values_of(const Map &map, bool wanted) {
    std::vector<typename Map::mapped_type> values;
    values.reserve(map.size());
    for (const auto &[id, value] : map) {
        if (wanted) {
            values.push_back(value);
        }
    }
    return values;
}

template <typename Record>
std::vector<Record> if_wanted(std::vector<Record> all, bool wanted) {
    return wanted ? std::move(all) : std::vector<Record>();
}

} // namespace

void writer::put_summary() {
    const parts &wanted = options_.parts;
    const std::size_t begin = out_.size();
    footer end = {size(), 0, 0};
    groups_.clear();
    put_group(values_of(schemas_, wanted.schemas));
    put_group(values_of(channels_, wanted.channels));
    put_group(std::vector<statistics>(wanted.statistics ? 1 : 0, total_));
    put_group(if_wanted(metadata_, wanted.metadata_indexes));
    put_group(if_wanted(attachments_, wanted.attachment_indexes));
    put_group(if_wanted(chunks_, wanted.chunk_indexes));
    if (groups_.empty()) {
        end.summary_start = 0;
    } else if (wanted.summary_offsets) {
        end.summary_offset_start = size();
        for (const summary_offset &group : groups_) {
            put(group);
        }
    }
    encode(&out_, end);
    const std::size_t at = out_.size() - sizeof end.summary_crc;
    store(out_.data() + at, crc32(out_.view().subspan(begin, at - begin)));
}

void writer::finish() {
    if (finished_) {
        return;
    }
    flush();
    encode(&out_, data_end{crc_});
    try {
        put_summary();
        out_.append(std::as_bytes(std::span(magic)));
        push();
    } catch (...) {
        out_.shrink(0);
        throw;
    }
    finished_ = true;
}

} // namespace zbq::mcap
