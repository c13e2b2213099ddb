// SPDX-License-Identifier: MIT
#include "source.hpp"

#include <climits>
#include <unistd.h>

namespace zbq::bridge {

namespace {

std::string host_name() {
    char text[HOST_NAME_MAX + 1] = {};
    ::gethostname(text, HOST_NAME_MAX);
    return text;
}

} // namespace

void source::begin(const std::optional<std::pair<ring_id, std::uint64_t>> &last) {
    if (last) {
        ring_ = last->first;
        next_ = last->second;
        knows_place_ = true;
        resumes_ = true;
        join(start::at(ring_, next_));
    } else {
        join(options_.from);
    }
}

void source::join(const start &from) {
    connect_options how;
    how.flow = options_.lossless ? flow::lossless : flow::follow;
    how.from = from;
    how.producers = options_.publishers;
    reader_.reset();
    joining_.emplace(options_.name, how);
}

found source::next(std::span<std::byte> room) {
    if (joining_) {
        look_for_ring();
    }
    if (!events_.empty()) {
        found first = events_.front();
        events_.pop_front();
        return first;
    }
    return reader_ ? read(room) : found();
}

void source::look_for_ring() {
    try {
        std::optional<consumer> joined = joining_->step();
        if (!joined) {
            return;
        }
        joining_.reset();
        reader_ = std::move(joined);
        note_join();
    } catch (const error &failed) {
        if (joins_ == 0) {
            throw;
        }
        if (told_ != failed.what()) {
            complaint_ = told_ = failed.what();
        }
    }
}

// What lies between where it left off and where it goes on.
void source::note_join() {
    const std::uint64_t offset = reader_->offset();
    const bool same = knows_place_ && reader_->id() == ring_;
    const bool is_other = knows_place_ && !same;
    const std::uint64_t before = same ? next_ : is_other ? 0 : offset;
    const bool lost_end = is_other && (was_evicted_ || resumes_);
    const bool is_first = joins_++ == 0;
    ring_ = reader_->id();
    next_ = offset;
    told_.clear();
    if (!same || is_first) {
        const zbq_control_region *control = zbq_consumer_ctrl(reader_->get());
        facts_ = {reader_->capacity(), reader_->type(),
                  static_cast<std::uint32_t>(control->producer_pid), host_name(), options_.name};
        retained_.clear();
        for (const message_view &kept : reader_->retained()) {
            const auto payload = kept.payload();
            retained_[kept.key()].assign(payload.begin(), payload.end());
        }
        events_.push_back({.what = found::kind::ring, .offset = before});
    }
    if (offset > before || lost_end) {
        events_.push_back({.what = found::kind::gap,
                           .offset = std::max(offset, before),
                           .why = is_other       ? cause::restarted
                                  : was_evicted_ ? cause::evicted
                                                 : cause::history,
                           .at_least = lost_end});
    }
    knows_place_ = true;
    was_evicted_ = false;
    resumes_ = false;
}

found source::read(std::span<std::byte> room) {
    const copied got = reader_->try_copy(room);
    if (got.why == status::too_large) {
        return {.what = found::kind::too_large, .offset = next_, .message = got};
    }
    if (!got) {
        return got.why == status::again ? found() : end(got.why);
    }
    if (got.key != 0) {
        if (got.forgotten) {
            retained_.erase(got.key);
        } else {
            retained_[got.key].assign(room.begin(),
                                      room.begin() + static_cast<std::ptrdiff_t>(got.size));
        }
    }
    next_ = got.offset + room_of(got.size);
    return {.what = found::kind::message, .offset = got.offset, .message = got};
}

found source::end(status why) {
    if (why != status::none && why != status::protocol) {
        throw error(why, "reading " + options_.name);
    }
    const std::uint64_t offset = reader_->offset();
    const ending how = reader_->ending();
    const bool is_lapped = offset > next_; // and nothing came after it
    const std::uint64_t lost_to = offset;
    next_ = std::max(next_, offset);
    was_evicted_ = how == ending::evicted;
    if (how == ending::evicted) {
        complaint_ = options_.name +
                     ": evicted by the publisher: " + to_string(reader_->eviction()) +
                     "; joining again";
    } else {
        events_.push_back({.what = found::kind::end,
                           .offset = next_,
                           .ended = how == ending::closed          ? end_cause::closed
                                    : how == ending::producer_died ? end_cause::died
                                                                   : end_cause::malformed});
        was_evicted_ = how == ending::malformed;
    }
    join(start::at(ring_, next_));
    if (is_lapped) {
        return {.what = found::kind::gap, .offset = lost_to, .why = cause::lapped};
    }
    return next({});
}

} // namespace zbq::bridge
