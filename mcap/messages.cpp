// SPDX-License-Identifier: MIT
//
// Messages in the order of their log times.
#include "walk.hpp"

#include <algorithm>

namespace zbq::mcap {

message_reader::message_reader(source *file, const contents &what, selection wanted)
    : file_(file), wanted_(std::move(wanted)) {
    std::set<std::uint16_t> known;
    for (const auto &[id, channel] : what.channels) {
        if (!wanted_.channels || wanted_.channels->contains(id)) {
            known.insert(id);
        }
    }
    wanted_.channels = std::move(known);
    regions_.reserve(what.regions.size());
    for (std::size_t i = 0; i < what.regions.size(); ++i) {
        const region &each = what.regions[i];
        const bool has_wanted =
            each.channels.empty() || std::ranges::any_of(each.channels, [this](std::uint16_t id) {
                return wanted_.channels->contains(id);
            });
        if (has_wanted && each.start_time <= wanted_.to && each.end_time >= wanted_.from) {
            regions_.emplace_back(i, each);
        }
    }
    std::ranges::stable_sort(regions_, {}, [](const auto &one) { return one.second.start_time; });
}

void message_reader::collect(bytes records, const region &what, std::vector<entry> *entries) const {
    each_record(records, [&](const raw_record &record) {
        if (record.code != opcode::message) {
            return;
        }
        const auto found = decode_at<message>(record);
        if (!wanted_.channels->contains(found.channel_id)) {
            return;
        }
        if (found.log_time < what.start_time || found.log_time > what.end_time) {
            throw damage(record.offset, "a message of another time than the chunk tells");
        }
        if (found.log_time >= wanted_.from && found.log_time <= wanted_.to) {
            entries->push_back({found.log_time, record.content});
        }
    });
    std::ranges::stable_sort(*entries, {}, &entry::time);
}

void message_reader::open(std::size_t number) {
    const auto &[place, what] = regions_[number];
    open_region fresh = {place, {}, {}, 0};
    if (what.is_chunk) {
        buffer packed;
        const raw_record found = read_record(*file_, what.offset, opcode::chunk, &packed);
        unpacked inner = unpack(decode_at<chunk>(found));
        if (inner.wrong) {
            throw damage(what.offset, "a chunk that cannot be read: " + *inner.wrong);
        }
        fresh.memory = std::move(inner.records);
    } else {
        std::byte *const room = fresh.memory.room(what.length);
        fresh.memory.use(file_->read(what.offset, std::span(room, what.length)));
    }
    try {
        collect(fresh.memory.view(), what, &fresh.entries);
    } catch (const damage &inner) {
        throw damage(what.offset, std::string("in the chunk, ") + inner.what());
    }
    if (!fresh.entries.empty()) {
        const key first = fresh.next();
        open_.emplace(first, std::move(fresh));
    }
}

// Whether a message of it may come before all that are known.
bool message_reader::is_due(const region &next) const {
    return (!current_ || next.start_time <= current_->entries[current_->at].time) &&
           (open_.empty() || next.start_time <= open_.begin()->first.first);
}

void message_reader::take_earliest() {
    if (open_.empty() || (current_ && current_->next() < open_.begin()->first)) {
        return;
    }
    open_region earliest = std::move(open_.extract(open_.begin()).mapped());
    if (current_) {
        const key next = current_->next();
        open_.emplace(next, std::move(*current_));
    }
    current_ = std::move(earliest);
}

const message *message_reader::next() {
    if (std::exchange(given_, false) && ++current_->at == current_->entries.size()) {
        current_.reset();
    }
    while (next_region_ < regions_.size() && is_due(regions_[next_region_].second)) {
        open(next_region_++); // counted first: damage leaves it out
    }
    take_earliest();
    if (!current_) {
        return nullptr;
    }
    message_ = decode<message>(current_->entries[current_->at].content);
    given_ = true;
    return &message_;
}

} // namespace zbq::mcap
