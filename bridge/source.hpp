// SPDX-License-Identifier: MIT
//
// A ring by its name, for the exporter: one producer after the other, each read from where the
// bridge left off. What happens to it comes in the order in which it belongs among the messages.
#pragma once

#include "frame.hpp"

#include <zbq.hpp>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zbq::bridge {

struct source_options {
    std::string name = {};
    bool lossless = false;
    start from = start::oldest(); // where there is nothing to go on from
    std::vector<uid_t> publishers = {};
};

// What next() has found.
struct found {
    enum class kind {
        nothing,   // for now
        ring,      // another one; what follows is of it, from `offset` on
        gap,       // up to `offset`
        message,   // in the room that was given
        too_large, // for that room: `message.size` bytes. It stays
        end,       // of the ring
    };
    kind what = kind::nothing;
    std::uint64_t offset = 0;
    cause why = cause::lapped; // of a gap, also of one before a message
    bool at_least = false;
    end_cause ended = end_cause::closed;
    copied message = {};
};

class source {
public:
    explicit source(source_options options) : options_(std::move(options)) {}

    // Begins to look for the ring: to go on with it at this offset, or as the options say.
    // @throws error as zbq::joining
    void begin(const std::optional<std::pair<ring_id, std::uint64_t>> &last);
    [[nodiscard]] bool has_begun() const { return joining_ || reader_; }

    // Never waits. @throws error as joining::step, where it has never joined
    found next(std::span<std::byte> room);

    // To wait for; it changes with each call.
    [[nodiscard]] int event_fd() const {
        return joining_ ? joining_->event_fd() : reader_ ? reader_->event_fd() : -1;
    }
    [[nodiscard]] bool is_joined() const { return reader_.has_value(); }
    // Of the ring that was found last.
    [[nodiscard]] const ring_id &ring() const { return ring_; }
    [[nodiscard]] const ring_facts &facts() const { return facts_; }
    // What that retains, as far as it was read.
    [[nodiscard]] const std::map<std::uint16_t, std::vector<std::byte>> &retained() const {
        return retained_;
    }
    [[nodiscard]] std::uint64_t lag() const { return reader_ ? reader_->lag() : 0; }
    // What keeps it from joining again, once each time; else empty.
    [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }

private:
    void join(const start &from);
    void look_for_ring();
    void note_join();
    found read(std::span<std::byte> room);
    found end(status why);

    source_options options_;
    std::optional<joining> joining_;
    std::optional<consumer> reader_;
    std::deque<found> events_;
    bool knows_place_ = false; // ring_ and next_ are where to go on
    bool was_evicted_ = false; // since then
    bool resumes_ = false;     // since this process began, as far as it is known
    std::uint64_t joins_ = 0;
    ring_id ring_ = {};
    std::uint64_t next_ = 0;
    ring_facts facts_;
    std::map<std::uint16_t, std::vector<std::byte>> retained_;
    std::string told_;
    std::string complaint_;
};

} // namespace zbq::bridge
