// SPDX-License-Identifier: MIT
#include "terminal.hpp"

#include "errors.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unistd.h>

#define NCURSES_NOMACROS 1 // clear, timeout and the like
#include <curses.h>

namespace zbq::tool {

namespace {

constexpr short alarm_colour = 1;
constexpr short title_colour = 2;

bool wants_colours() {
    const char *none = std::getenv("NO_COLOR"); // https://no-color.org
    return (none == nullptr || *none == '\0') && has_colors();
}

attr_t attributes_of(style how, bool has_colours) {
    switch (how) {
    case style::title:
        return A_BOLD | (has_colours ? static_cast<attr_t>(COLOR_PAIR(title_colour)) : 0U);
    case style::chosen:
        return A_REVERSE;
    case style::alarm:
        return A_BOLD | (has_colours ? static_cast<attr_t>(COLOR_PAIR(alarm_colour)) : 0U);
    case style::faint:
        return A_DIM;
    default:
        return A_NORMAL;
    }
}

} // namespace

struct terminal::screen_state {
    explicit screen_state(SCREEN *made) : screen(made) {
        set_term(made);
        window = stdscr;
        has_colours = wants_colours() && start_color() == OK;
    }
    ~screen_state() {
        endwin();
        delscreen(screen);
    }
    screen_state(const screen_state &) = delete;
    screen_state &operator=(const screen_state &) = delete;
    screen_state(screen_state &&) = delete;
    screen_state &operator=(screen_state &&) = delete;

    SCREEN *screen;
    WINDOW *window;
    bool has_colours;
};

terminal::terminal() {
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
        throw failure("top needs a terminal; 'zbq ls' and 'zbq stat' write to anything");
    }
    SCREEN *made = newterm(nullptr, stdout, stdin);
    if (made == nullptr) {
        const char *name = std::getenv("TERM");
        throw failure(
            fmt::format("this terminal ('{}') is not known", name != nullptr ? name : ""));
    }
    state_ = std::make_unique<screen_state>(made);
    if (state_->has_colours) {
        use_default_colors();
        init_pair(alarm_colour, COLOR_RED, -1);
        init_pair(title_colour, COLOR_CYAN, -1);
    }
    cbreak();
    noecho();
    nonl(); // so that enter and ctrl-j are told apart
    keypad(state_->window, true);
    nodelay(state_->window, true);
    set_escdelay(50); // an escape alone is told after so many milliseconds
    curs_set(0);
}

terminal::~terminal() = default;

int terminal::rows() const {
    return getmaxy(state_->window);
}

int terminal::columns() const {
    return getmaxx(state_->window);
}

void terminal::write(int row, std::string_view text, style how) {
    if (row < 0 || row >= rows()) {
        return;
    }
    const auto width = static_cast<size_t>(columns());
    std::string line(text.substr(0, width));
    if (how == style::chosen) { // all of the line
        line.resize(width, ' ');
    }
    wattrset(state_->window, static_cast<int>(attributes_of(how, state_->has_colours)));
    mvwaddnstr(state_->window, row, 0, line.data(), static_cast<int>(line.size()));
    wattrset(state_->window, A_NORMAL);
    if (line.size() < width) { // else the cursor is in the next line
        wclrtoeol(state_->window);
    }
}

void terminal::clear_from(int row) {
    if (row < rows()) {
        wmove(state_->window, row, 0);
        wclrtobot(state_->window);
    }
}

void terminal::show() {
    wrefresh(state_->window);
}

std::optional<pressed> terminal::next_key() {
    constexpr int escape = 27;
    constexpr int control_h = 8;
    constexpr int del = 127;
    const int got = wgetch(state_->window);
    switch (got) {
    case ERR:
        return std::nullopt;
    case KEY_UP:
        return pressed{key::up};
    case KEY_DOWN:
        return pressed{key::down};
    case KEY_PPAGE:
        return pressed{key::page_up};
    case KEY_NPAGE:
        return pressed{key::page_down};
    case KEY_HOME:
        return pressed{key::first};
    case KEY_END:
        return pressed{key::last};
    case '\r':
    case '\n':
    case KEY_ENTER:
    case KEY_RIGHT:
        return pressed{key::enter};
    case escape:
    case KEY_LEFT:
        return pressed{key::back};
    case KEY_BACKSPACE:
    case control_h:
    case del:
        return pressed{key::erase};
    case KEY_RESIZE:
        clearok(state_->window, true); // what of the old screen is left where, is the terminal's
        return pressed{key::resized};
    default:
        return pressed{key::character, got > 0 && got < del ? static_cast<char>(got) : '\0'};
    }
}

} // namespace zbq::tool
