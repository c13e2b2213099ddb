// SPDX-License-Identifier: MIT
//
// What a file has: by its summary, or by reading all of it.
#include "walk.hpp"

#include <algorithm>

namespace zbq::mcap {

namespace {

constexpr std::uint64_t most_in_region = std::uint64_t{1} << 20U;

region region_of(const chunk_index &chunk) {
    region found = {chunk.chunk_start_offset, chunk.chunk_length, chunk.message_start_time,
                    chunk.message_end_time};
    for (const auto &[id, offset] : chunk.message_index_offsets) {
        found.channels.insert(id);
    }
    return found;
}

class inventory final : public visitor {
public:
    explicit inventory(contents *into) : into_(into) {}

    void on(const header &what) override { into_->header = what; }
    void on(const schema &what) override {
        into_->schemas.emplace(what.id, what);
        into_->statistics.schema_count = static_cast<std::uint16_t>(into_->schemas.size());
    }
    void on(const channel &what) override {
        into_->channels.emplace(what.id, what);
        into_->statistics.channel_count = static_cast<std::uint32_t>(into_->channels.size());
    }
    void on(const chunk &what, const raw_record &from) override {
        ++into_->statistics.chunk_count;
        into_->chunks.push_back({what.message_start_time,
                                 what.message_end_time,
                                 from.offset,
                                 from.end() - from.offset,
                                 {},
                                 0,
                                 what.compression,
                                 what.records.view.size(),
                                 what.uncompressed_size});
        region found = region_of(into_->chunks.back());
        found.start_time = found.end_time = 0; // its messages tell
        into_->regions.push_back(found);
    }
    void on(const message &what, const raw_record &from, mcap::place place) override {
        if (place == mcap::place::data) {
            take_bare(from);
        } else if (place == mcap::place::torn_chunk) {
            return; // not to be read in place; recover has those
        }
        region &where = into_->regions.back();
        widen(&where.start_time, &where.end_time, where.messages == 0, what.log_time);
        if (where.messages++ == 0 || what.channel_id != last_channel_) {
            where.channels.insert(what.channel_id);
            last_channel_ = what.channel_id;
        }
        statistics &total = into_->statistics;
        widen(&total.message_start_time, &total.message_end_time, total.message_count == 0,
              what.log_time);
        ++total.message_count;
        ++total.channel_message_counts[what.channel_id];
    }
    void on(const attachment &what, const raw_record &from) override {
        ++into_->statistics.attachment_count;
        into_->attachments.push_back({from.offset, from.end() - from.offset, what.log_time,
                                      what.create_time, what.data.view.size(), what.name,
                                      what.media_type});
    }
    void on(const metadata &what, const raw_record &from) override {
        ++into_->statistics.metadata_count;
        into_->metadata.push_back({from.offset, from.end() - from.offset, what.name});
    }

private:
    static void widen(timestamp *start, timestamp *end, bool first, timestamp time) {
        *start = first ? time : std::min(*start, time);
        *end = first ? time : std::max(*end, time);
    }

    // Those that lie together are read together.
    void take_bare(const raw_record &from) {
        std::vector<region> &all = into_->regions;
        if (all.empty() || all.back().is_chunk || from.end() - all.back().offset > most_in_region) {
            all.push_back({from.offset, 0, 0, 0, 0, false, {}});
        }
        all.back().length = from.end() - all.back().offset;
    }

    contents *into_;
    std::uint16_t last_channel_ = 0;
};

// Whether nothing is missing there that the file has.
bool is_complete(const summary &what) {
    if (what.end.summary_start == 0 || !what.statistics) {
        return false;
    }
    const statistics &total = *what.statistics;
    return total.schema_count <= what.schemas.size() &&
           total.channel_count <= what.channels.size() && total.chunk_count == what.chunks.size() &&
           total.attachment_count == what.attachments.size() &&
           total.metadata_count == what.metadata.size() &&
           (total.message_count == 0 || total.chunk_count != 0);
}

void take_summary(summary &&from, contents *into) {
    into->schemas = std::move(from.schemas);
    into->channels = std::move(from.channels);
    into->attachments = std::move(from.attachments);
    into->metadata = std::move(from.metadata);
    into->statistics = *from.statistics;
    into->chunks = std::move(from.chunks);
    std::ranges::sort(into->chunks, {}, &chunk_index::chunk_start_offset);
    into->regions.reserve(into->chunks.size());
    for (const chunk_index &each : into->chunks) {
        into->regions.push_back(region_of(each));
    }
    into->by_summary = true;
}

// Whether what the summary tells is what was found.
void compare(const summary &told, contents *found) {
    const auto differ = [found](const char *what, std::uint64_t said, std::uint64_t there) {
        if (said != there) {
            found->damage.push_back("the summary tells of " + std::to_string(said) + " " + what +
                                    ", where there are " + std::to_string(there));
        }
    };
    if (told.statistics) {
        const statistics &said = *told.statistics;
        const statistics &there = found->statistics;
        differ("messages", said.message_count, there.message_count);
        differ("chunks", said.chunk_count, there.chunk_count);
        differ("attachments", said.attachment_count, there.attachment_count);
        differ("records of metadata", said.metadata_count, there.metadata_count);
    }
}

} // namespace

contents read_contents(source &file, thoroughness how) {
    contents found;
    buffer memory;
    scanner start(&file); // throws for what is no MCAP
    std::optional<summary> told = read_summary(file, &found.damage);
    if (told && how == thoroughness::summary && is_complete(*told)) {
        found.header =
            decode_at<header>(read_record(file, start.offset(), opcode::header, &memory));
        take_summary(std::move(*told), &found);
        return found;
    }
    inventory into(&found);
    const std::vector<std::string> wrong = walk(&file, &into);
    found.damage.insert(found.damage.end(), wrong.begin(), wrong.end());
    if (told) {
        compare(*told, &found);
    }
    return found;
}

} // namespace zbq::mcap
