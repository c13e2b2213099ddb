// SPDX-License-Identifier: MIT
//
// What zbq top knows, and how it looks as lines: rings, the readers of one, and what has happened.
#pragma once

#include "survey.hpp"
#include "terminal.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zbq::tool {

struct line {
    std::string text;
    style how = style::plain;
};

class board {
public:
    // ---- what is seen ----

    void begin_round(uint64_t now);
    void take(finding &&found, uint64_t now);
    void end_round(uint64_t now);  // who was not found has gone
    void read_again(uint64_t now); // the page of the ring that is looked into

    // ---- what is pressed ----

    bool press(const pressed &what, int rows); // false: to quit

    // ---- what is shown ----

    [[nodiscard]] std::vector<line> lines(int rows, int columns) const;

private:
    // By a name: of the ring that is there now.
    struct ring_memory {
        standing how = standing::nobody;
        std::string why;
        zbq_ring_stats ring = {};
        std::optional<statistics> account; // the page that came last
        std::vector<bridge_status> bridges;
        std::optional<double> rate;
        std::map<uint32_t, uint64_t> evictions; // by slot: when, as far as they were told
        uint64_t seen_in = 0;                   // the round
        uint64_t gone_since = 0;
    };
    struct reader {
        uint32_t slot;
        zbq_slot_stats account;
        std::optional<double> rate;
    };
    struct tail_memory {
        uint64_t join_number = 0;
        uint64_t tail = 0;
        uint64_t at = 0;
        std::optional<double> rate;
    };

    void note_evictions(const std::string &name, ring_memory *of, const statistics &account);
    void take_readers(const statistics &account);
    void open_chosen();
    void close_ring();
    void choose(ptrdiff_t by, bool to_an_end, int rows);
    bool press_in_filter(const pressed &what);
    bool press_character(char what);
    void next_order();

    [[nodiscard]] const statistics *inside_account() const;
    [[nodiscard]] bool is_inside() const { return !inside_.empty(); }
    [[nodiscard]] std::vector<std::string> shown_names() const;
    [[nodiscard]] std::vector<reader> shown_readers() const;
    [[nodiscard]] std::vector<std::string> choices() const;
    [[nodiscard]] std::vector<line> ring_lines(size_t width, size_t room) const;
    [[nodiscard]] std::vector<line> reader_lines(size_t width, size_t room) const;
    [[nodiscard]] std::vector<line> head_lines() const;
    [[nodiscard]] std::string filter_text() const;
    [[nodiscard]] std::string keys_line() const;

    uint64_t round_ = 0;
    std::map<std::string, ring_memory> rings_;
    std::deque<std::string> events_; // the newest last

    std::string inside_; // the ring that is looked into; empty: none
    std::map<uint32_t, tail_memory> tails_;

    std::string chosen_; // a ring's name, or a slot's number
    size_t ring_order_ = 0;
    size_t reader_order_ = 0;
    bool reversed_ = false;
    std::string ring_filter_;
    std::string reader_filter_;
    bool edits_filter_ = false;
    uint64_t now_ = 0;
};

} // namespace zbq::tool
