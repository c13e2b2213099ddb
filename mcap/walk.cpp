// SPDX-License-Identifier: MIT
#include "walk.hpp"

#include "checksum.hpp"

#include <algorithm>

namespace zbq::mcap {

namespace {

constexpr std::uint64_t footer_size = record_prefix + 20;
constexpr std::uint64_t end_size = footer_size + magic.size();

std::uint32_t crc_of(const raw_record &record, std::uint32_t before) {
    std::array<std::byte, record_prefix> prefix = {static_cast<std::byte>(record.code)};
    store(prefix.data() + 1, std::uint64_t{record.content.size()});
    return crc32(record.content, crc32(prefix, before));
}

void take(const raw_record &record, summary *into) {
    if (record.code == opcode::schema) {
        auto found = decode_at<schema>(record);
        into->schemas.emplace(found.id, std::move(found));
    } else if (record.code == opcode::channel) {
        auto found = decode_at<channel>(record);
        into->channels.emplace(found.id, std::move(found));
    } else if (record.code == opcode::statistics) {
        into->statistics = decode_at<statistics>(record);
    } else if (record.code == opcode::chunk_index) {
        into->chunks.push_back(decode_at<chunk_index>(record));
    } else if (record.code == opcode::attachment_index) {
        into->attachments.push_back(decode_at<attachment_index>(record));
    } else if (record.code == opcode::metadata_index) {
        into->metadata.push_back(decode_at<metadata_index>(record));
    }
}

// The footer, where the file has its end.
summary read_end(source &file) {
    std::array<std::byte, end_size> end = {};
    const std::uint64_t size = file.size();
    if (size < magic.size() + end_size || file.read(size - end_size, end) != end_size ||
        !std::ranges::equal(std::span(end).last<magic.size()>(), std::as_bytes(std::span(magic)))) {
        throw damage(size, "the end of the file is missing: it is cut off, or still being written");
    }
    const auto length = load<std::uint64_t>(end.data() + 1);
    if (static_cast<opcode>(end[0]) != opcode::footer || length != footer_size - record_prefix) {
        throw damage(size - end_size, "there is no footer");
    }
    summary found;
    found.footer_offset = size - end_size;
    found.end =
        decode<footer>(std::span(end).subspan<record_prefix, footer_size - record_prefix>());
    return found;
}

void read_records(source &file, summary *found) {
    const std::uint64_t start =
        found->end.summary_start != 0 ? found->end.summary_start : found->footer_offset;
    if (start < magic.size() || start > found->footer_offset) {
        throw damage(found->footer_offset,
                     "the footer says that the summary is where it cannot be");
    }
    const std::size_t checked = found->footer_offset - start + footer_size - sizeof(std::uint32_t);
    buffer memory;
    memory.use(file.read(start, std::span(memory.room(checked), checked)));
    if (memory.size() < checked ||
        (found->end.summary_crc != 0 && crc32(memory.view()) != found->end.summary_crc)) {
        throw damage(start, "the summary has another checksum than the footer says");
    }
    each_record(memory.view().first(found->footer_offset - start),
                [&](const raw_record &record) { take(record, found); });
}

// One walk through a file.
class walker {
public:
    walker(source *file, visitor *to) : file_(file), to_(to), scanner_(file) {}

    std::vector<std::string> run() {
        crc_ = crc32(std::as_bytes(std::span(magic)));
        while (!ended_) {
            try {
                step();
            } catch (const damage &found) {
                complain(found.what());
                salvage();
                if (!go_on(found.offset())) {
                    break;
                }
            }
        }
        tell_unknown();
        return std::move(complaints_);
    }

private:
    void step() {
        const std::optional<raw_record> record = scanner_.next();
        if (!record) {
            throw damage(scanner_.offset(), "the data section has no end");
        }
        if (record->code == opcode::data_end) {
            const auto end = decode_at<data_end>(*record);
            if (record->content.size() != sizeof end.data_section_crc) { // it cannot be extended
                throw damage(record->offset, "the data section's end has another size");
            }
            ended_ = true;
            if (complaints_.empty() && end.data_section_crc != 0 && end.data_section_crc != crc_) {
                complain(damage(record->offset, "the data section has another checksum").what());
            }
            return;
        }
        if (record->code == opcode::footer) {
            throw damage(record->offset, "a footer before the end of the data section");
        }
        crc_ = crc_of(*record, crc_);
        take(*record);
    }

    void take(const raw_record &record) {
        if (record.code == opcode::header) {
            to_->on(decode_at<header>(record));
        } else if (record.code == opcode::attachment) {
            to_->on(decode_attachment(record), record);
        } else if (record.code == opcode::metadata) {
            to_->on(decode_at<metadata>(record), record);
        } else if (record.code == opcode::chunk) {
            take_chunk(record);
        } else {
            take_inner(record, place::data);
        }
    }

    // What may lie in a chunk as well.
    void take_inner(const raw_record &record, place where) {
        if (record.code == opcode::schema) {
            define(decode_at<schema>(record));
        } else if (record.code == opcode::channel) {
            define(decode_at<channel>(record));
        } else if (record.code == opcode::message) {
            const auto what = decode_at<message>(record);
            if (channels_.contains(what.channel_id)) {
                to_->on(what, record, where);
            } else {
                ++unknown_[what.channel_id];
            }
        }
    }

    void define(const schema &what) {
        if (what.id != 0 && schemas_.insert(what.id).second) {
            to_->on(what);
        }
    }
    void define(const channel &what) {
        if (channels_.insert(what.id).second) {
            to_->on(what);
        }
    }

    void take_chunk(const raw_record &record) {
        const auto what = decode_at<chunk>(record);
        const unpacked inner = unpack(what);
        if (inner.wrong) {
            learn();
            throw damage(record.offset,
                         "a chunk that cannot be read, and is left out: " + *inner.wrong);
        }
        to_->on(what, record);
        take_records(inner.records.view(), record.offset, place::chunk);
    }

    void take_records(bytes records, std::uint64_t chunk_offset, place where) {
        try {
            each_record(records, [&](const raw_record &each) { take_inner(each, where); });
        } catch (const damage &inner) {
            if (where == place::torn_chunk) {
                return; // which was told
            }
            complain(damage(chunk_offset, std::string("in the chunk, ") + inner.what()).what());
        }
    }

    // Of a chunk that is cut off, the records that are there whole.
    void salvage() {
        const raw_record &torn = scanner_.torn();
        if (torn.code != opcode::chunk || scanner_.offset() != torn.offset) {
            return;
        }
        try {
            const auto what = decode_at<torn_chunk>(torn);
            const unpacked inner = unpack({what.message_start_time,
                                           what.message_end_time,
                                           what.uncompressed_size,
                                           0,
                                           what.compression,
                                           {what.records.view}},
                                          false);
            take_records(inner.records.view(), torn.offset, place::torn_chunk);
        } catch (const damage &) { // not even that
        }
    }

    // What a chunk that is lost may have defined.
    void learn() {
        if (const summary *known = known_summary()) {
            for (const auto &[id, what] : known->schemas) {
                define(what);
            }
            for (const auto &[id, what] : known->channels) {
                define(what);
            }
        }
    }

    // At the next record, or, where nobody knows where that is, at the next chunk that the summary
    // tells of.
    bool go_on(std::uint64_t damaged) {
        if (scanner_.offset() > damaged) {
            return true;
        }
        const summary *known = known_summary();
        std::uint64_t next = UINT64_MAX;
        for (const chunk_index &each :
             known != nullptr ? known->chunks : std::vector<chunk_index>()) {
            if (each.chunk_start_offset > damaged) {
                next = std::min(next, each.chunk_start_offset);
            }
        }
        if (next >= file_->size()) {
            return false;
        }
        learn();
        scanner_ = scanner(file_, next);
        return true;
    }

    const summary *known_summary() {
        if (!looked_) {
            looked_ = true;
            std::vector<std::string> ignored; // whoever wants the summary is told
            summary_ = read_summary(*file_, &ignored);
        }
        return summary_ ? &*summary_ : nullptr;
    }

    void complain(const std::string &what) {
        constexpr std::size_t most = 20;
        if (complaints_.size() < most) {
            complaints_.push_back(what);
        } else if (complaints_.size() == most) {
            complaints_.emplace_back("and more of that");
        }
    }

    void tell_unknown() {
        for (const auto &[id, count] : unknown_) {
            complain(std::to_string(count) + " messages of channel " + std::to_string(id) +
                     ", which is nowhere described, are left out");
        }
    }

    source *file_;
    visitor *to_;
    scanner scanner_;
    std::uint32_t crc_ = 0;
    bool ended_ = false;
    std::set<std::uint16_t> schemas_;
    std::set<std::uint16_t> channels_;
    std::map<std::uint16_t, std::uint64_t> unknown_; // messages of channels
    bool looked_ = false;
    std::optional<summary> summary_;
    std::vector<std::string> complaints_;
};

} // namespace

std::optional<summary> read_summary(source &file, std::vector<std::string> *complaints) {
    try {
        summary found = read_end(file);
        read_records(file, &found);
        return found;
    } catch (const damage &what) {
        complaints->emplace_back(what.what());
        return std::nullopt;
    }
}

std::vector<std::string> walk(source *file, visitor *to) {
    return walker(file, to).run();
}

} // namespace zbq::mcap
