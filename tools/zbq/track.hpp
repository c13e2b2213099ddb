// SPDX-License-Identifier: MIT
//
// One name that is recorded: from its rings, one after the other, into a chunk that all share.
#pragma once

#include "mcap/writer.hpp"
#include "recording.hpp"
#include "recording_options.hpp"
#include "storage.hpp"

#include <zbq.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace zbq::tool {

// What became of a name.
struct account {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0; // of payload
    std::uint64_t gaps = 0;
    std::uint64_t missed = 0; // bytes of the ring, at least
    std::uint64_t events = 0; // records beside the messages
};

class track {
public:
    // The others stay the caller's.
    track(std::string name, const record_options &options, storage *to, mcap::chunk_builder *chunk,
          std::uint16_t *last_id);

    // Joins, or reads what is there, up to so many messages. Whether there may be more at once.
    // @throws error as joining::step, where it has never joined
    bool step();

    // To wait for; it changes with each step.
    [[nodiscard]] int event_fd() const {
        return joining_ ? joining_->event_fd() : reader_->event_fd();
    }
    [[nodiscard]] bool has_ended() const { return !joining_ && !reader_; }
    [[nodiscard]] bool has_joined() const { return joins_ != 0; }
    [[nodiscard]] bool has_died() const { return died_; } // one of its publishers, so far
    void forget_death() { died_ = false; }
    [[nodiscard]] const account &so_far() const { return account_; }
    [[nodiscard]] const std::string &name() const { return name_; }
    // The chunk was taken away: the next one is to be understood without it.
    void begin_chunk() { told_offset_ = false; }

private:
    void join(const start &from);
    bool look_for_ring();
    void note_join(mcap::timestamp now);
    void define_channels();
    void keep_retained(mcap::timestamp now);
    bool read(mcap::timestamp now);
    void take(const copied &got, std::span<std::byte> payload, mcap::timestamp now);
    void add_events(const copied &got, mcap::timestamp now);
    void note_lap(std::uint64_t offset, mcap::timestamp now);
    void note_gap(gap_cause cause, std::uint64_t bytes, bool at_least, std::uint64_t offset,
                  mcap::timestamp now);
    void add(std::uint16_t channel, const event &what, mcap::timestamp now);
    void end(status why, mcap::timestamp now);
    void note_end(const char *cause, mcap::timestamp now);

    std::string name_;
    const record_options &options_;
    storage *to_;
    mcap::chunk_builder *chunk_;
    std::uint16_t *last_id_;

    std::optional<joining> joining_;
    std::optional<consumer> reader_;
    std::uint64_t joins_ = 0;
    deadline rejoin_end_ = never; // when a ring that evicted this is no more waited for
    std::string told_;            // of what keeps it from joining
    ring_id ring_ = {};
    std::uint64_t next_ = 0; // where the next message starts that is not known to be missing
    loss lost_;
    bool was_evicted_ = false;
    bool died_ = false;

    std::uint16_t messages_id_ = 0; // channels
    std::uint16_t about_id_ = 0;
    std::uint16_t gaps_id_ = 0;
    std::uint32_t sequence_ = 0; // of the last message
    bool told_offset_ = false;   // in this chunk
    std::vector<std::byte> moved_;
    account account_;
};

} // namespace zbq::tool
