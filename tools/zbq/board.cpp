// SPDX-License-Identifier: MIT
#include "board.hpp"

#include "units.hpp"
#include "words.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <iterator>
#include <span>

namespace zbq::tool {

namespace {

constexpr uint64_t shown_when_gone = 3 * second;
constexpr size_t most_events = 100;
constexpr size_t most_news = 5;            // of one ring at one look
constexpr uint32_t most_slots_kept = 1024; // of rings that nobody looks into

constexpr std::array ring_orders = {"name", "rate", "lag", "readers", "lost"};
constexpr std::array reader_orders = {"lag", "unmoved", "rate", "slot"};

bool is_same_ring(const zbq_ring_stats &one, const zbq_ring_stats &other) {
    return std::memcmp(one.ring_id, other.ring_id, sizeof one.ring_id) == 0;
}

uint64_t lag_of(const zbq_ring_stats &ring) {
    return since(ring.slowest_tail, ring.head);
}

std::string bytes_text(uint64_t bytes) {
    return format_bytes(static_cast<double>(bytes));
}

// How much of the ring, as "[###.......]".
std::string bar(uint64_t lag, uint64_t capacity, size_t width) {
    const size_t room = width - 2;
    const double part =
        capacity != 0 ? static_cast<double>(lag) / static_cast<double>(capacity) : 0;
    const auto full =
        static_cast<size_t>(std::round(std::min(part, 1.0) * static_cast<double>(room)));
    const size_t filled = std::max<size_t>(full, lag != 0 ? 1 : 0);
    return "[" + std::string(filled, '#') + std::string(room - filled, '.') + "]";
}

// ---- columns that fit ----

struct cell {
    std::string title;
    size_t width;
    bool to_the_right;
};

// So many of the columns, which come in the order of their worth, as the width has room for; the
// first one takes what is left.
class layout {
public:
    layout(std::vector<cell> columns, size_t width) : columns_(std::move(columns)) {
        size_t used = columns_.front().width;
        size_t count = 1;
        while (count < columns_.size() && used + 1 + columns_[count].width <= width) {
            used += 1 + columns_[count++].width;
        }
        columns_.resize(count);
        columns_.front().width += width > used ? width - used : 0;
    }

    [[nodiscard]] std::string titles() const {
        std::vector<std::string> row;
        for (const cell &one : columns_) {
            row.push_back(one.title);
        }
        return text(row);
    }
    [[nodiscard]] std::string text(const std::vector<std::string> &row) const {
        std::string all;
        for (size_t i = 0; i < columns_.size(); ++i) {
            const cell &one = columns_[i];
            const std::string cut = row[i].substr(0, one.width);
            all += i != 0 ? " " : "";
            all += one.to_the_right ? fmt::format("{:>{}}", cut, one.width)
                                    : fmt::format("{:<{}}", cut, one.width);
        }
        return all;
    }

private:
    std::vector<cell> columns_;
};

constexpr size_t bar_width = 12; // a tenth for each place

layout ring_layout(size_t width) {
    return {{{"NAME", 8, false},
             {"RATE", 11, true},
             {"LAG", bar_width, false},
             {"READERS", 7, true},
             {"LOST", 5, true},
             {"PID", 7, true},
             {"AGE", 11, true},
             {"TYPE", 20, false}},
            width};
}

layout reader_layout(size_t width) {
    return {{{"PID", 7, false},
             {"LAG", bar_width, false},
             {"UNMOVED", 10, true},
             {"RATE", 11, true},
             {"BEHIND", 10, true},
             {"HELD", 10, true},
             {"MODE", 14, false},
             {"USER", 10, false},
             {"MISSED", 10, true},
             {"FDS", 5, true}},
            width};
}

} // namespace

// ---- what is seen ----

void board::begin_round(uint64_t now) {
    ++round_;
    now_ = now;
}

void board::take(finding &&found, uint64_t now) {
    now_ = now;
    if (found.how == standing::nobody) {
        return;
    }
    ring_memory &of = rings_[found.name];
    of.seen_in = round_;
    of.gone_since = 0;
    of.how = found.how;
    of.why = std::move(found.why);
    if (!found.account) {
        return;
    }
    const zbq_ring_stats &ring = found.account->ring();
    if (!is_same_ring(of.ring, ring)) {
        of.ring = {};
        of.rate.reset();
        of.evictions.clear();
    }
    const bool is_known = of.ring.written_at != 0;
    if (is_known && ring.written_at > of.ring.written_at) {
        of.rate = static_cast<double>(since(of.ring.head, ring.head)) /
                  as_seconds(ring.written_at - of.ring.written_at);
    }
    if (!is_known || of.ring.evicted[0] != ring.evicted[0]) {
        note_evictions(is_known ? found.name : "", &of, *found.account);
    }
    of.ring = ring;
    if (found.name == inside_) {
        take_readers(*found.account);
    }
    of.bridges = std::move(found.bridges);
    of.account = std::move(found.account); // of what is stopped or dead later, this is left
    if (of.ring.slots > most_slots_kept && found.name != inside_) {
        of.account.reset();
    }
}

// Those that were lost before the ring was seen are not news. One ring does not push out what
// others have to tell.
void board::note_evictions(const std::string &name, ring_memory *of, const statistics &account) {
    size_t news = 0;
    for (uint32_t i = 0; i < account.ring().slots; ++i) {
        const std::optional<zbq_slot_stats> slot = account.slot(i);
        if (!slot || slot->evicted_at == 0) {
            continue;
        }
        uint64_t &told = of->evictions[i];
        if (told != slot->evicted_at && !name.empty() && ++news <= most_news) {
            events_.push_back(fmt::format("{}: process {} {}, {} behind", printable(name),
                                          slot->pid, zbq_strevict(slot->eviction),
                                          bytes_text(slot->lag)));
        }
        told = slot->evicted_at;
    }
    if (news > most_news) {
        events_.push_back(fmt::format("{}: and {} more", printable(name), news - most_news));
    }
    while (events_.size() > most_events) {
        events_.pop_front();
    }
}

void board::end_round(uint64_t now) {
    now_ = now;
    for (auto at = rings_.begin(); at != rings_.end();) {
        ring_memory &of = at->second;
        if (of.seen_in != round_ && of.gone_since == 0) {
            of.gone_since = now;
            of.rate.reset();
        }
        const bool is_over = of.gone_since != 0 && now - of.gone_since > shown_when_gone;
        at = is_over && at->first != inside_ ? rings_.erase(at) : std::next(at);
    }
}

void board::take_readers(const statistics &account) {
    const uint64_t at = account.ring().written_at;
    for (uint32_t i = 0; i < account.ring().slots; ++i) {
        const std::optional<zbq_slot_stats> slot = account.slot(i);
        if (!slot) {
            continue;
        }
        tail_memory &of = tails_[i];
        if (of.join_number != slot->join_number) {
            of = {slot->join_number, slot->tail, at, std::nullopt};
        } else if (at > of.at) {
            of.rate = static_cast<double>(since(of.tail, slot->tail)) / as_seconds(at - of.at);
            of.tail = slot->tail;
            of.at = at;
        }
    }
}

const statistics *board::inside_account() const {
    const auto found = rings_.find(inside_);
    return found != rings_.end() && found->second.account ? &*found->second.account : nullptr;
}

void board::read_again(uint64_t now) {
    now_ = now;
    const auto found = rings_.find(inside_);
    if (found != rings_.end() && found->second.account &&
        found->second.account->update() == status::ok) {
        take_readers(*found->second.account);
    }
}

// ---- what is pressed ----

void board::open_chosen() {
    const std::vector<std::string> names = shown_names();
    if (!is_inside() && std::ranges::find(names, chosen_) != names.end()) {
        inside_ = chosen_;
        chosen_.clear();
        reader_filter_.clear();
        tails_.clear();
    }
}

void board::close_ring() {
    chosen_ = inside_;
    inside_.clear();
}

void board::choose(ptrdiff_t by, bool to_an_end, int rows) {
    const std::vector<std::string> all = choices();
    if (all.empty()) {
        return;
    }
    const auto found = std::ranges::find(all, chosen_);
    const auto last = static_cast<ptrdiff_t>(all.size()) - 1;
    ptrdiff_t place = found != all.end() ? found - all.begin() : by > 0 ? -1 : 0;
    place = to_an_end ? (by > 0 ? last : 0) : place + by * std::max(rows, 1);
    chosen_ = all[static_cast<size_t>(std::clamp<ptrdiff_t>(place, 0, last))];
}

bool board::press_in_filter(const pressed &what) {
    std::string &filter = is_inside() ? reader_filter_ : ring_filter_;
    switch (what.which) {
    case key::enter:
        edits_filter_ = false;
        break;
    case key::back:
        edits_filter_ = false;
        filter.clear();
        break;
    case key::erase:
        filter.resize(filter.empty() ? 0 : filter.size() - 1);
        break;
    case key::character:
        filter += printable(std::string(1, what.character));
        break;
    default:
        break;
    }
    return true;
}

void board::next_order() {
    size_t &order = is_inside() ? reader_order_ : ring_order_;
    order = (order + 1) % (is_inside() ? reader_orders.size() : ring_orders.size());
}

bool board::press_character(char what) {
    switch (what) {
    case 'q':
        return false;
    case 's':
        next_order();
        break;
    case 'r':
        reversed_ = !reversed_;
        break;
    case '/':
        edits_filter_ = true;
        break;
    case 'j':
        choose(1, false, 1);
        break;
    case 'k':
        choose(-1, false, 1);
        break;
    case 'l':
        open_chosen();
        break;
    case 'h':
        close_ring();
        break;
    default:
        break;
    }
    return true;
}

bool board::press(const pressed &what, int rows) {
    if (edits_filter_) {
        return press_in_filter(what);
    }
    switch (what.which) {
    case key::up:
        choose(-1, false, 1);
        break;
    case key::down:
        choose(1, false, 1);
        break;
    case key::page_up:
        choose(-1, false, rows);
        break;
    case key::page_down:
        choose(1, false, rows);
        break;
    case key::first:
        choose(-1, true, 1);
        break;
    case key::last:
        choose(1, true, 1);
        break;
    case key::enter:
        open_chosen();
        break;
    case key::back:
    case key::erase:
        if (is_inside()) {
            close_ring();
        }
        break;
    case key::character:
        return press_character(what.character);
    default:
        break;
    }
    return true;
}

// ---- what is shown ----

std::vector<std::string> board::shown_names() const {
    std::vector<std::string> names;
    for (const auto &[name, of] : rings_) {
        if (printable(name).find(ring_filter_) != std::string::npos) {
            names.push_back(name);
        }
    }
    // Largest first, but for names; of equals the names decide.
    const auto weight = [this](const std::string &name) {
        const ring_memory &of = rings_.at(name);
        switch (ring_order_) {
        case 1:
            return of.rate.value_or(-1);
        case 2:
            return static_cast<double>(lag_of(of.ring));
        case 3:
            return static_cast<double>(of.ring.consumers);
        case 4:
            return static_cast<double>(of.ring.evicted[0]);
        default:
            return 0.0;
        }
    };
    std::ranges::stable_sort(names, std::ranges::greater(), weight);
    if (reversed_) {
        std::ranges::reverse(names);
    }
    return names;
}

std::vector<board::reader> board::shown_readers() const {
    std::vector<reader> readers;
    const statistics *account = inside_account();
    for (uint32_t i = 0; account != nullptr && i < account->ring().slots; ++i) {
        const std::optional<zbq_slot_stats> slot = account->slot(i);
        const auto known = tails_.find(i);
        if (slot && slot->eviction == ZBQ_EVICTION_NONE &&
            std::to_string(slot->pid).find(reader_filter_) != std::string::npos) {
            readers.push_back(
                {i, *slot, known != tails_.end() ? known->second.rate : std::nullopt});
        }
    }
    const auto weight = [this, account](const reader &one) {
        switch (reader_order_) {
        case 0:
            return static_cast<double>(one.account.lag);
        case 1:
            return static_cast<double>(since(one.account.moved_at, account->ring().written_at));
        case 2:
            return one.rate.value_or(-1);
        default:
            return 0.0;
        }
    };
    std::ranges::stable_sort(readers, std::ranges::greater(), weight);
    if (reversed_) {
        std::ranges::reverse(readers);
    }
    return readers;
}

std::vector<std::string> board::choices() const {
    if (!is_inside()) {
        return shown_names();
    }
    std::vector<std::string> slots;
    for (const reader &one : shown_readers()) {
        slots.push_back(std::to_string(one.slot));
    }
    return slots;
}

namespace {

// As many as there is room for, with the chosen one among them.
template <typename Each>
std::span<const Each> visible(const std::vector<Each> &all, size_t room,
                              const std::function<bool(const Each &)> &is_chosen) {
    const auto chosen = std::ranges::find_if(all, is_chosen);
    const size_t shown = chosen != all.end() ? static_cast<size_t>(chosen - all.begin()) + 1 : 0;
    const size_t first = shown > room ? shown - room : 0;
    return std::span(all).subspan(first, std::min(room, all.size() - first));
}

} // namespace

std::vector<line> board::ring_lines(size_t width, size_t room) const {
    const layout columns = ring_layout(width);
    std::vector<line> all = {{columns.titles(), style::title}};
    const std::vector<std::string> names = shown_names();
    for (const std::string &name : visible<std::string>(
             names, room, [this](const std::string &one) { return one == chosen_; })) {
        const ring_memory &of = rings_.at(name);
        const zbq_ring_stats &ring = of.ring;
        const style how = name == chosen_                    ? style::chosen
                          : of.gone_since != 0               ? style::faint
                          : ring.slowest_slot != ZBQ_NO_SLOT ? style::alarm
                                                             : style::plain;
        const std::string rate = of.gone_since != 0            ? "gone"
                                 : of.how == standing::silent  ? "no answer"
                                 : of.how == standing::refuses ? "refused"
                                                               : rate_text(of.rate);
        if (ring.written_at == 0) { // it has never answered
            all.push_back({columns.text({printable(name), rate, "", "", "", "", "", ""}), how});
            continue;
        }
        all.push_back(
            {columns.text({printable(name), rate, bar(lag_of(ring), ring.capacity, bar_width),
                           fmt::format("{}/{}", ring.consumers, ring.max_consumers),
                           std::to_string(ring.evicted[0]), std::to_string(ring.pid),
                           duration_text(since(ring.created_at, ring.written_at)),
                           type_text(ring.payload_type)}),
             how});
    }
    return all;
}

std::vector<line> board::reader_lines(size_t width, size_t room) const {
    const layout columns = reader_layout(width);
    std::vector<line> all = {{columns.titles(), style::title}};
    const statistics *account = inside_account();
    if (account == nullptr) {
        return all;
    }
    const zbq_ring_stats &ring = account->ring();
    const auto is_chosen = [this](const reader &one) {
        return std::to_string(one.slot) == chosen_;
    };
    const std::vector<reader> readers = shown_readers();
    for (const reader &one : visible<reader>(readers, room, is_chosen)) {
        const zbq_slot_stats &slot = one.account;
        const style how = is_chosen(one)         ? style::chosen
                          : slot.in_the_way != 0 ? style::alarm
                                                 : style::plain;
        const uint64_t unmoved = since(slot.moved_at, ring.written_at);
        all.push_back(
            {columns.text({std::to_string(slot.pid), bar(slot.lag, ring.capacity, bar_width),
                           slot.lag == 0 ? "-" : duration_text(unmoved), rate_text(one.rate),
                           bytes_text(slot.lag), duration_text(slot.held_ns), mode_text(slot.mode),
                           user_text(slot.uid), bytes_text(slot.lost_bytes),
                           std::to_string(slot.fds_in_flight)}),
             how});
    }
    return all;
}

std::string board::filter_text() const {
    const std::string &filter = is_inside() ? reader_filter_ : ring_filter_;
    return filter.empty() && !edits_filter_ ? "" : ", filter: " + filter;
}

std::vector<line> board::head_lines() const {
    if (!is_inside()) {
        return {{fmt::format("zbq top: {} rings{}", rings_.size(), filter_text()), style::title}};
    }
    const statistics *account = inside_account();
    const auto found = rings_.find(inside_);
    std::string state;
    if (found == rings_.end() || found->second.gone_since != 0) {
        state = "gone";
    } else if (found->second.how != standing::answers) {
        state = found->second.how == standing::silent ? "no answer" : printable(found->second.why);
    }
    const std::string old =
        account != nullptr && !state.empty()
            ? fmt::format(", as of {} ago", duration_text(since(account->ring().written_at, now_)))
            : "";
    const std::string name = printable(inside_);
    std::vector<line> all = {
        {fmt::format("{}{}{}{}{}", name, state.empty() ? "" : ": ", state, old, filter_text()),
         style::title}};
    if (account != nullptr) {
        const bool is_held = account->ring().slowest_slot != ZBQ_NO_SLOT;
        all.push_back({blame(*account), is_held ? style::alarm : style::plain});
        for (const bridge_status &one : found->second.bridges) {
            all.push_back(
                {to_text(one), one.counts.silent_since != 0 ? style::alarm : style::plain});
        }
    }
    return all;
}

std::string board::keys_line() const {
    if (edits_filter_) {
        return "enter: filter  esc: none";
    }
    const char *order = is_inside() ? reader_orders.at(reader_order_) : ring_orders.at(ring_order_);
    return fmt::format("q quit  {}  s by {}  r reverse  / filter",
                       is_inside() ? "esc back" : "enter readers", order);
}

// The head, rings or readers, what has happened last, and the keys.
std::vector<line> board::lines(int rows, int columns) const {
    const auto height = static_cast<size_t>(std::max(rows, 1));
    const auto width = static_cast<size_t>(std::max(columns, 1));
    std::vector<line> all = head_lines();
    const size_t events = std::min(events_.size(), height >= 10 ? height / 4 : 0);
    const size_t others = all.size() + 1 + events + 1; // with the titles and the keys
    const size_t room = height > others ? height - others : 0;
    std::ranges::move(is_inside() ? reader_lines(width, room) : ring_lines(width, room),
                      std::back_inserter(all));
    all.resize(std::max(all.size(), height - std::min(height, events + 1)));
    for (size_t i = events_.size() - events; i < events_.size(); ++i) {
        all.push_back({events_[i], style::faint});
    }
    all.push_back({keys_line(), style::title});
    while (all.size() > height) { // the keys stay
        all.erase(all.end() - 2);
    }
    return all;
}

} // namespace zbq::tool
