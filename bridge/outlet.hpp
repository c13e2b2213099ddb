// SPDX-License-Identifier: MIT
//
// The ring that an importer publishes: messages of the original at their offsets, and notes of
// where these are, and of what is missing between them (docs/bridge.md).
#pragma once

#include "frame.hpp"
#include "options.hpp"

#include <zbq.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zbq::bridge {

// Of the original.
struct missing {
    cause why = cause::lapped;
    std::uint64_t bytes = 0;
    bool at_least = false;
};

class outlet {
public:
    // Whatever waits calls meanwhile(), which may throw to end that.
    outlet(const import_options &options, std::function<void()> meanwhile)
        : options_(options), meanwhile_(std::move(meanwhile)) {}

    // Makes a ring for this one, in the place of the one before. Nobody can join it yet.
    // @throws error
    void begin(const ring_id &ring, const ring_facts &facts, std::uint64_t offset);
    [[nodiscard]] bool is_open() const { return ring_.has_value(); }
    void admit(); // from now on. @throws error
    void wait_for_readers(std::uint32_t count);

    // Publishes what an entry of the original is; waits for room.
    // @return false: it can have none. Then nothing was published
    [[nodiscard]] bool publish(const entry &what);
    // Says that up to this offset something is missing.
    void tell(std::uint64_t next_offset, const missing &what);
    // What the original retains now: what is other here changes.
    void set_retained(const std::map<std::uint16_t, std::span<const std::byte>> &all);
    // The original has ended, and this does; not by its own will: why (else nullptr).
    void end(const char *why);

    // What goes on beside the messages. Never waits.
    void serve();
    [[nodiscard]] int event_fd() const { return door_ ? door_->event_fd() : -1; }
    [[nodiscard]] std::uint64_t lag() const;
    [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }

private:
    struct mapping { // the message at `there` of the original is at `here`
        std::uint64_t there = 0;
        std::uint64_t here = 0;
    };
    template <typename Try>
    status until_done(const Try &attempt);
    [[nodiscard]] std::uint64_t next_offset() const;
    void make_mapping(std::uint64_t offset);
    void note(std::uint64_t offset, const std::string &more);
    status change_retained(std::uint16_t key, std::span<const std::byte> payload, bool forgotten);

    const import_options &options_;
    std::function<void()> meanwhile_;
    std::optional<producer> ring_;
    std::optional<listener> door_;
    ring_id origin_ = {};
    ring_facts facts_;
    std::uint64_t capacity_ = 0;
    std::optional<mapping> mapping_;
    std::map<std::uint16_t, std::vector<std::byte>> retained_;
    std::uint64_t scanned_at_ = 0;
    std::string complaint_;
};

} // namespace zbq::bridge
