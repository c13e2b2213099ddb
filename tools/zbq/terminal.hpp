// SPDX-License-Identifier: MIT
//
// The terminal as a screen of lines. The only place with ncurses.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

namespace zbq::tool {

enum class style { plain, title, chosen, alarm, faint };

enum class key {
    character,
    up,
    down,
    page_up,
    page_down,
    first,
    last,
    enter,
    back, // escape, or the left arrow
    erase,
    resized,
};

struct pressed {
    key which = key::character;
    char character = 0;
};

// One at a time. Colours where the terminal has some and NO_COLOR is not set.
class terminal {
public:
    terminal(); // throws where there is none
    ~terminal();
    terminal(const terminal &) = delete;
    terminal &operator=(const terminal &) = delete;
    terminal(terminal &&) = delete;
    terminal &operator=(terminal &&) = delete;

    [[nodiscard]] int rows() const;
    [[nodiscard]] int columns() const;

    // Printable ASCII, cut to the width; the rest of the line is empty.
    void write(int row, std::string_view text, style how);
    void clear_from(int row);
    void show();

    std::optional<pressed> next_key(); // without waiting

private:
    struct screen_state;
    std::unique_ptr<screen_state> state_;
};

} // namespace zbq::tool
