// SPDX-License-Identifier: MIT
#include "track.hpp"

#include "errors.hpp"
#include "io.hpp"
#include "signals.hpp"
#include "units.hpp"

#include <algorithm>
#include <ctime>

namespace zbq::tool {

namespace {

constexpr unsigned most_messages_at_once = 256; // before others have their turn

std::uint16_t next_id(std::uint16_t *last) {
    if (*last == UINT16_MAX) {
        throw failure("no more than 21845 rings in one recording");
    }
    return ++*last;
}

} // namespace

track::track(std::string name, const record_options &options, storage *to,
             mcap::chunk_builder *chunk, std::uint16_t *last_id)
    : name_(std::move(name)), options_(options), to_(to), chunk_(chunk), last_id_(last_id) {
    join(options.from);
    if (!options.wait) {
        rejoin_end_ = in(answer_time);
    }
}

// ---- rings ----

void track::join(const start &from) {
    connect_options how;
    how.flow = options_.lossless ? flow::lossless : flow::follow;
    how.from = from;
    how.producers = options_.publishers;
    reader_.reset();
    joining_.emplace(name_, how);
}

bool track::step() {
    if (joining_) {
        return look_for_ring();
    }
    return reader_ && read(wall_clock());
}

bool track::look_for_ring() {
    std::optional<consumer> joined;
    try {
        joined = joining_->step();
    } catch (const error &failed) {
        if (joins_ == 0) {
            throw;
        }
        if (told_ != failed.what()) {
            told_ = failed.what();
            say(fmt::format("{}; trying again", told_));
        }
    }
    if (joined) {
        joining_.reset();
        reader_ = std::move(joined);
        rejoin_end_ = never;
        note_join(wall_clock());
        return true;
    }
    const bool is_first_look = joins_ == 0 && !options_.wait && !joining_->has_met();
    if (is_first_look) {
        throw error(status::none, "nobody publishes at " + joining_->place());
    }
    if (rejoin_end_ <= zbq::clock::now()) {
        if (joins_ == 0) {
            throw error(status::again, joining_->place() + ": it did not answer");
        }
        note_end("evicted", wall_clock());
        joining_.reset();
    }
    return false;
}

// What lies between where it left off and where it goes on.
void track::note_join(mcap::timestamp now) {
    const zbq_start &wanted = options_.from.get();
    const std::uint64_t offset = reader_->offset();
    const bool same = joins_ != 0 && reader_->id() == ring_;
    const std::uint64_t before = next_;
    ring_ = reader_->id();
    lost_ = reader_->lost();
    next_ = offset;
    told_offset_ = false;
    if (!same) {
        define_channels();
        keep_retained(now);
    }
    if (joins_++ == 0) {
        if (wanted.at == ZBQ_START_OFFSET && offset > wanted.offset) {
            note_gap(gap_cause::history, offset - wanted.offset, false, offset, now);
        }
    } else if (same) {
        if (offset > before) {
            note_gap(gap_cause::evicted, offset - before, false, offset, now);
        }
    } else {
        note_gap(gap_cause::restarted, offset, was_evicted_, offset, now);
    }
    event at;
    at.offset = offset;
    add(about_id_, at, now);
    told_offset_ = true;
}

void track::define_channels() {
    const zbq_control_region *control = zbq_consumer_ctrl(reader_->get());
    const zbq_type type = reader_->type();
    const mcap::string_map about = {
        {"zbq.format", "1"},
        {"zbq.ring", to_hex(ring_.data(), ring_.size())},
        {"zbq.capacity", std::to_string(reader_->capacity())},
        {"zbq.pid", std::to_string(control->producer_pid)},
        {"zbq.type", fmt::format("{:016x} size {} align {}", type.hash, type.size, type.align)}};
    messages_id_ = next_id(last_id_);
    about_id_ = next_id(last_id_);
    gaps_id_ = next_id(last_id_);
    sequence_ = 0;
    to_->define({messages_id_, 0, name_, options_.encoding, about});
    to_->define({about_id_, 0, name_ + std::string(about_suffix), "json", about});
    to_->define({gaps_id_, 0, name_ + std::string(gaps_suffix), "json", about});
}

void track::keep_retained(mcap::timestamp now) {
    for (const message_view &kept : reader_->retained()) {
        const auto payload = kept.payload();
        to_->keep({fmt::format("{}{}{}", name_, retained_infix, kept.key()),
                   {payload.begin(), payload.end()},
                   now,
                   false,
                   true});
    }
}

// ---- messages ----

bool track::read(mcap::timestamp now) {
    std::size_t size = 0;
    for (unsigned i = 0; i < most_messages_at_once; ++i) {
        const std::span<std::byte> room = chunk_->prepare_at_least(size);
        const copied got = reader_->try_copy(room);
        if (got) {
            take(got, room.first(got.size), now);
            size = 0;
        } else if (got.why == status::too_large) {
            size = got.size; // it stays where it is
        } else {
            if (got.why != status::again) {
                end(got.why, now);
            }
            return got.why != status::again;
        }
        if (chunk_->size() >= options_.chunk_size) {
            return true;
        }
    }
    return true;
}

// The payload lies where it goes, unless something is to be said before.
void track::take(const copied &got, std::span<std::byte> payload, mcap::timestamp now) {
    const bool is_plain =
        got.offset == next_ && got.flags == 0 && got.key == 0 && got.descriptors == 0;
    if (!is_plain || !told_offset_) {
        moved_.assign(payload.begin(), payload.end());
        add_events(got, now);
        std::ranges::copy(moved_, chunk_->prepare(moved_.size()));
    }
    chunk_->commit({messages_id_, ++sequence_, now, now, {}}, payload.size());
    constexpr std::uint64_t mask = ZBQ_MSG_ALIGN - 1;
    next_ = (got.offset + sizeof(zbq_msg_header) + got.size + mask) & ~mask;
    ++account_.messages;
    account_.bytes += got.size;
}

void track::add_events(const copied &got, mcap::timestamp now) {
    event what;
    what.offset = got.offset;
    if (got.offset != next_) {
        note_lap(got.offset, now);
        next_ = got.offset;
        told_offset_ = false;
    }
    if (!told_offset_) {
        add(about_id_, what, now);
        told_offset_ = true;
    }
    if (got.flags != 0 || got.key != 0 || got.descriptors != 0) {
        what.kind = event_kind::message;
        what.flags = got.flags;
        what.key = got.key;
        what.forgotten = got.forgotten;
        what.descriptors = got.descriptors;
        add(about_id_, what, now);
    }
    if (got.key != 0) {
        to_->keep({fmt::format("{}{}{}", name_, retained_infix, got.key), moved_, now,
                   got.forgotten, false});
    }
}

// Before the message at this offset.
void track::note_lap(std::uint64_t offset, mcap::timestamp now) {
    const loss until_now = reader_->lost();
    if (until_now.times != lost_.times) {
        const std::uint64_t bytes = until_now.bytes - lost_.bytes;
        lost_ = until_now;
        note_gap(gap_cause::lapped, bytes, false, offset, now);
    }
}

void track::note_gap(gap_cause cause, std::uint64_t bytes, bool at_least, std::uint64_t offset,
                     mcap::timestamp now) {
    event what;
    what.kind = event_kind::gap;
    what.cause = to_string(cause);
    what.bytes = bytes;
    what.at_least = at_least;
    what.offset = offset;
    add(gaps_id_, what, now);
    if (bytes != 0 || at_least) {
        ++account_.gaps;
        account_.missed += bytes;
    }
}

// With the number of the message that follows.
void track::add(std::uint16_t channel, const event &what, mcap::timestamp now) {
    const std::string text = to_json(what);
    std::ranges::copy(bytes_of(text), chunk_->prepare(text.size()));
    chunk_->commit({channel, sequence_ + 1, now, now, {}}, text.size());
    ++account_.events;
}

// ---- ends ----

void track::end(status why, mcap::timestamp now) {
    note_lap(reader_->offset(), now);
    const ending how = reader_->ending();
    was_evicted_ = how == ending::evicted || how == ending::malformed;
    if (why != status::none && why != status::protocol) {
        throw error(why, "reading " + name_);
    }
    if (how == ending::evicted) {
        say(fmt::format("{}: evicted by the publisher: {}; joining again", name_,
                        to_string(reader_->eviction())));
        rejoin_end_ = options_.again ? never : in(answer_time);
        join(start::at(ring_, next_));
        return;
    }
    died_ = died_ || how == ending::producer_died;
    note_end(how == ending::closed          ? "closed"
             : how == ending::producer_died ? "died"
                                            : "malformed",
             now);
    if (options_.again) {
        join(start::at(ring_, next_));
    } else {
        reader_.reset();
    }
}

void track::note_end(const char *cause, mcap::timestamp now) {
    event what;
    what.kind = event_kind::end;
    what.cause = cause;
    what.offset = next_;
    add(gaps_id_, what, now);
}

} // namespace zbq::tool
