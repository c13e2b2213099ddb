// SPDX-License-Identifier: MIT
#include "model.hpp"

#include <algorithm>
#include <cstring>

namespace fuzz {

namespace {

constexpr std::uint64_t grid = ZBQ_MSG_ALIGN;

std::uint64_t round_up(std::uint64_t bytes) {
    return (bytes + grid - 1) / grid * grid;
}

} // namespace

// ---- a consumer ----

model_consumer::model_consumer(const model_producer &ring, zbq_wakeup_mode chosen,
                               std::uint64_t start)
    : mode(chosen), tail(start), cursor(start), known_head(start), retained(ring.retained),
      page_tail(start), tail_seen(start), newest_sent(ring.newest_seq), ring_(ring),
      record_floor_(ring.newest_seq), newest_record_(retained.empty() ? ring.newest_seq : 0) {
    for (const model_kept &one : retained) {
        if (is_push() && !one.fds.empty()) {
            queue.push_back({one.header.seq_id, one.fds});
            in_flight.push_back({one.fds.size(), false});
        }
    }
}

std::uint64_t model_consumer::acquire_head() {
    if (observes()) {
        return ring_.head;
    }
    if (ring_.head - tail <= ring_.params.ring_capacity) {
        known_head = ring_.head;
    } else { // it was evicted, and the producer has gone a turn further
        malformed = true;
    }
    return known_head;
}

std::optional<model_view> model_consumer::parse(std::uint64_t offset) const {
    if (offset == known_head) {
        return std::nullopt;
    }
    std::uint32_t length = 0;
    std::memcpy(&length, ring_.bytes.data() + offset, sizeof length);
    if (round_up(sizeof(zbq_msg_header) + std::uint64_t{length}) > known_head - offset) {
        return std::nullopt;
    }
    return model_view{offset, length};
}

int model_consumer::look_past(position at) {
    if (observes()) {
        observe();
    } else {
        acquire_head();
    }
    if (is_evicted()) {
        return ZBQ_ERROR_NOENT;
    }
    if (malformed) {
        return ZBQ_ERROR_PROTOCOL;
    }
    if (known_head != this->*at) {
        return ZBQ_OK;
    }
    return ring_.closed ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
}

int model_consumer::view_at(position at, model_view *out) {
    if (this->*at == known_head || malformed) {
        const int result = look_past(at);
        if (result != ZBQ_OK) {
            return result;
        }
    }
    if (is_evicted()) {
        return ZBQ_ERROR_NOENT;
    }
    if (observes() && this->*at < ring_.floor) {
        if (observe() == ZBQ_ERROR_PROTOCOL) {
            return ZBQ_ERROR_PROTOCOL;
        }
        if (this->*at < ring_.floor) { // what was read and not released
            release_all();
        }
        return view_at(at, out);
    }
    const std::optional<model_view> found = parse(this->*at);
    malformed |= !found;
    *out = found.value_or(model_view{});
    return found ? ZBQ_OK : ZBQ_ERROR_PROTOCOL;
}

int model_consumer::peek(model_view *out) {
    return view_at(&model_consumer::tail, out);
}

int model_consumer::next(model_view *out) {
    const int result = view_at(&model_consumer::cursor, out);
    if (result == ZBQ_OK) {
        cursor = round_up(out->offset + sizeof(zbq_msg_header) + out->payload_len);
    }
    return result;
}

int model_consumer::look() {
    model_view first = {};
    return view_at(&model_consumer::cursor, &first);
}

int model_consumer::copy(std::uint64_t size, model_view *out) {
    const int result = view_at(&model_consumer::cursor, out);
    if (result == ZBQ_OK && out->payload_len > size) {
        return ZBQ_ERROR_OVERFLOW;
    }
    if (result != ZBQ_OK) {
        return result;
    }
    pass_by(out);
    release_passed();
    return ZBQ_OK;
}

// What nobody looks at.
void model_consumer::pass_by(model_view *out) {
    passed_from = cursor != passed_to ? cursor : passed_from;
    next(out);
    passed_to = cursor;
}

void model_consumer::release_passed() {
    if (tail >= passed_from && tail < passed_to) {
        tail = page_tail = passed_to;
    }
}

int model_consumer::skip(std::uint64_t offset) {
    const std::uint64_t laps = lost.times;
    std::uint64_t walked = 0;
    int result = ZBQ_OK;
    while (result == ZBQ_OK && cursor < offset) {
        result = walked < ring_.params.ring_capacity ? look() : ZBQ_ERROR_AGAIN;
        model_view passed = {};
        if (result == ZBQ_OK && cursor < offset) { // where it has come to, if it was lapped
            const std::uint64_t from = cursor;
            pass_by(&passed);
            walked += cursor - from;
        }
    }
    release_passed();
    const bool is_there = cursor == offset || lost.times != laps;
    return result == ZBQ_OK && !is_there ? ZBQ_ERROR_INVALID : result;
}

// ---- an observer ----

bool model_consumer::valid() const {
    return observes() ? ring_.floor <= tail : !is_evicted();
}

// What was read and is not released stays so.
void model_consumer::go_on_at(std::uint64_t offset) {
    const bool all_released = tail == cursor;
    cursor = offset;
    if (all_released) {
        release_all();
    }
}

// Whether it was lapped.
bool model_consumer::catch_up() {
    known_head = ring_.head;
    if (cursor >= ring_.floor) {
        return false;
    }
    lost.bytes += ring_.floor - cursor;
    ++lost.times;
    go_on_at(ring_.floor);
    return true;
}

int model_consumer::find(zbq_seek_to to, std::uint64_t *offset) {
    catch_up();
    if (to != ZBQ_SEEK_NEWEST) {
        *offset = to == ZBQ_SEEK_HEAD ? ring_.head : ring_.floor;
        return ZBQ_OK;
    }
    *offset = ring_.head;
    for (std::uint64_t at = std::max(ring_.newest, ring_.floor); at != ring_.head;) {
        const std::optional<model_view> found = parse(at);
        if (!found) {
            malformed = true;
            return ZBQ_ERROR_PROTOCOL;
        }
        *offset = at;
        at = round_up(at + sizeof(zbq_msg_header) + found->payload_len);
    }
    return ZBQ_OK;
}

int model_consumer::observe() {
    if (malformed) {
        return ZBQ_ERROR_PROTOCOL;
    }
    std::uint64_t offset = 0;
    if (!catch_up() || resume_ == ZBQ_SEEK_OLDEST) {
        return ZBQ_OK;
    }
    const int result = find(resume_, &offset);
    if (result == ZBQ_OK) {
        lost.bytes += offset - cursor;
        go_on_at(offset);
    }
    return result;
}

int model_consumer::seek(zbq_seek_to to) {
    if (!observes() || to < ZBQ_SEEK_OLDEST || to > ZBQ_SEEK_HEAD) {
        return ZBQ_ERROR_INVALID;
    }
    if (is_evicted()) {
        return ZBQ_ERROR_NOENT;
    }
    std::uint64_t offset = 0;
    const int result = malformed ? ZBQ_ERROR_PROTOCOL : find(to, &offset);
    if (result == ZBQ_OK) {
        go_on_at(to == ZBQ_SEEK_NEWEST ? std::max(offset, cursor) : offset);
        release_all();
    }
    return result;
}

int model_consumer::set_resume(zbq_seek_to to) {
    if (!observes() || to < ZBQ_SEEK_OLDEST || to > ZBQ_SEEK_HEAD) {
        return ZBQ_ERROR_INVALID;
    }
    resume_ = to;
    return ZBQ_OK;
}

// ---- what it releases, and what it is sent ----

void model_consumer::publish(std::uint64_t new_tail) {
    if (new_tail > known_head) {
        return;
    }
    const std::uint64_t rounded = round_up(new_tail);
    if (rounded >= tail && rounded <= known_head) {
        tail = page_tail = rounded;
        cursor = std::max(cursor, tail);
    }
    release_passed();
}

bool model_consumer::window_release(std::uint64_t new_tail) {
    const bool was_read = round_up(new_tail) >= tail && round_up(new_tail) <= cursor;
    if (was_read) {
        tail = page_tail = round_up(new_tail);
    }
    return was_read;
}

// Not gone by, nor from before the join.
bool model_consumer::may_come(std::uint64_t wanted) const {
    return wanted > newest_record_ &&
           (wanted > record_floor_ ||
            std::any_of(retained.begin(), retained.end(), [wanted](const model_kept &one) {
                return !one.fds.empty() && one.header.seq_id == wanted;
            }));
}

int model_consumer::recv_fds(std::uint64_t wanted, std::vector<int> *fds) {
    fds->clear();
    if (!is_push()) {
        return ZBQ_ERROR_NOENT;
    }
    while (held_.seq_id == 0 || held_.seq_id < wanted) {
        held_ = {};
        if (!may_come(wanted)) {
            return ZBQ_ERROR_NOENT;
        }
        if (queue.empty()) {
            return is_evicted() || ring_.closed ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
        }
        held_ = queue.front();
        queue.pop_front();
        newest_record_ = held_.seq_id;
    }
    if (held_.seq_id != wanted) {
        return ZBQ_ERROR_NOENT;
    }
    *fds = held_.fds;
    held_ = {};
    return ZBQ_OK;
}

int model_consumer::wait(std::uint32_t token) const {
    if (!is_push()) {
        return ZBQ_ERROR_INVALID;
    }
    if (is_evicted() || (ring_.closed && ring_.head == cursor)) {
        return ZBQ_ERROR_NOENT;
    }
    return ring_.closed || ring_.token() != token ? ZBQ_OK : ZBQ_ERROR_AGAIN;
}

zbq_ending model_consumer::ending() const {
    if (is_evicted()) {
        return ZBQ_ENDING_EVICTED;
    }
    if (malformed) {
        return ZBQ_ENDING_MALFORMED;
    }
    return ring_.closed ? ZBQ_ENDING_CLOSED : ZBQ_ENDING_NONE;
}

std::size_t model_consumer::fds_in_flight() const {
    std::size_t fds = 0;
    for (const sent_record &one : in_flight) {
        fds += one.fd_count;
    }
    return fds;
}

std::size_t model_consumer::orphans_in_flight() const {
    std::size_t fds = 0;
    for (const sent_record &one : in_flight) {
        fds += one.is_orphan ? one.fd_count : 0;
    }
    return fds;
}

// ---- the producer: consumers ----

// From the last on: one that is lost meanwhile leaves its place to the last.
template <typename Action>
void model_producer::for_each_consumer(const Action &action) {
    for (std::size_t i = active_.size(); i-- > 0;) {
        action(slots[active_[i]]);
    }
}

void model_producer::evict(model_consumer *whom, std::uint32_t reason) {
    whom->eviction = reason;
    whom->queue.clear(); // taken back
    slots[whom->slot] = nullptr;
    *std::find(active_.begin(), active_.end(), whom->slot) = active_.back();
    active_.pop_back();
    last[whom->slot] = {whom->join_number, reason};
    ++evicted[0];
    ++evicted[reason];
    ++bell;
}

void model_producer::read_tails() {
    std::uint64_t least = head;
    for_each_consumer([&](model_consumer *one) {
        if (one->observes()) { // for people
            one->tail_seen = one->page_tail <= head ? one->page_tail : one->tail_seen;
            return;
        }
        if (one->page_tail % grid != 0 || one->page_tail < one->tail_seen ||
            one->page_tail > head) {
            evict(one, ZBQ_EVICTION_PROTOCOL);
            return;
        }
        one->tail_seen = one->page_tail;
        least = std::min(least, one->tail_seen);
    });
    slowest_tail = least;
}

std::uint64_t model_producer::true_free() const {
    std::uint64_t least = head;
    for (const std::uint32_t slot : active_) {
        least = slots[slot]->observes() ? least : std::min(least, slots[slot]->page_tail);
    }
    return params.ring_capacity - (head - least);
}

void model_producer::evict_the_dead() {
    for_each_consumer([&](model_consumer *one) {
        if (one->left) {
            evict(one, ZBQ_EVICTION_DEAD);
        }
    });
}

// Of those that are in nobody's way nothing is counted.
void model_producer::look_at_the_blocked() {
    for_each_consumer([](model_consumer *one) {
        if (one->is_blocked) {
            one->recount();
        }
    });
}

void model_producer::scan() {
    ++scans;
    evict_the_dead();
    read_tails();
    look_at_the_blocked();
}

int model_producer::admit(std::unique_ptr<model_consumer> *fresh, zbq_wakeup_mode mode,
                          std::uint64_t start, bool peer_gone, std::uint32_t chosen) {
    std::size_t fds = 0;
    for (const model_kept &one : retained) {
        fds += one.fds.size();
    }
    if (mode % 2 == ZBQ_WAKEUP_PUSH && !may_be_in_flight(fds)) {
        return ZBQ_ERROR_NOENT;
    }
    if (active_.size() == slots.size()) {
        scan();
    }
    if (active_.size() == slots.size()) {
        return ZBQ_ERROR_NOENT;
    }
    if (peer_gone) {
        return ZBQ_ERROR_IO;
    }
    if (chosen >= slots.size() || slots[chosen] != nullptr) {
        return ZBQ_ERROR_PROTOCOL; // which the library never gives here
    }
    *fresh = std::make_unique<model_consumer>(*this, mode, start);
    slots[chosen] = fresh->get();
    (*fresh)->slot = chosen;
    (*fresh)->join_number = ++joined;
    active_.push_back((*fresh)->slot);
    slowest_tail = (*fresh)->observes() ? slowest_tail : std::min(slowest_tail, start);
    return ZBQ_OK;
}

void model_producer::end() {
    closed = true;
    ++bell;
}

// ---- retained messages ----

std::vector<model_kept> model_producer::retained_but(std::uint16_t key) const {
    std::vector<model_kept> others = retained;
    std::erase_if(others, [key](const model_kept &one) { return one.header.reserved == key; });
    return others;
}

int model_producer::tell_of_change(const zbq_msg_header &header,
                                   const std::vector<std::uint8_t> &payload,
                                   std::vector<model_kept> after) {
    std::vector<std::uint8_t> message(round_up(sizeof header + payload.size()));
    const int result = reserve_quietly(message.size());
    if (result != ZBQ_OK) {
        return result;
    }
    std::size_t fds = 0;
    for (const model_kept &one : after) {
        fds += one.fds.size();
    }
    if (fds > ZBQ_MAX_FD_PER_MSG) {
        return ZBQ_ERROR_OVERFLOW;
    }
    retained = std::move(after);
    room_was_got(message.size());
    std::memcpy(message.data(), &header, sizeof header);
    std::copy(payload.begin(), payload.end(), message.begin() + sizeof header);
    commit(message.data(), message.size(), ZBQ_COMMIT_NONE);
    return ZBQ_OK;
}

int model_producer::retain(std::uint16_t key, zbq_msg_header header,
                           const std::vector<std::uint8_t> &payload, const std::vector<int> &fds) {
    std::uint64_t newest_retained = 0;
    for (const model_kept &one : retained) {
        newest_retained = std::max(newest_retained, one.header.seq_id);
    }
    const bool was_sent = header.seq_id > newest_retained && header.seq_id <= newest_seq;
    if (key == 0 || key > 0x7fff || (!fds.empty() && !was_sent)) {
        return ZBQ_ERROR_INVALID;
    }
    header.reserved = key;
    header.seq_id = fds.empty() ? 0 : header.seq_id;
    std::vector<model_kept> after = retained_but(key);
    after.push_back({head, header, payload, fds});
    return tell_of_change(header, payload, std::move(after));
}

int model_producer::forget(std::uint16_t key) {
    if (key == 0 || key > 0x7fff) {
        return ZBQ_ERROR_INVALID;
    }
    std::vector<model_kept> after = retained_but(key);
    if (after.size() == retained.size()) {
        return ZBQ_ERROR_NOENT;
    }
    zbq_msg_header header = {};
    header.reserved = key | 0x8000U;
    return tell_of_change(header, {}, std::move(after));
}

// ---- history ----

// Not below what is granted, and where a message starts. What is kept is what was asked for but a
// sixteenth of the ring, and the largest run twice.
bool model_producer::may_rise_to(std::uint64_t chosen) const {
    const std::uint64_t capacity = params.ring_capacity;
    const bool is_enough = highest_limit <= chosen + capacity;
    const bool had_to = highest_limit > floor + capacity || chosen == floor;
    const std::uint64_t most_lost = capacity / 16 + 2 * largest_run;
    const bool keeps_all = chosen == floor || chosen + capacity <= highest_limit + most_lost;
    return chosen >= floor && is_enough && had_to && keeps_all && commits.contains(chosen);
}

bool model_producer::is_start(const zbq_start &wanted, bool of_this_ring) const {
    return wanted.at <= ZBQ_START_WITHIN &&
           (wanted.at != ZBQ_START_OFFSET || !of_this_ring || wanted.offset <= head);
}

bool model_producer::may_start_at(const zbq_start &wanted, bool of_this_ring,
                                  std::uint64_t chosen) const {
    std::uint64_t exact = head - std::min(wanted.offset, head);
    switch (wanted.at) {
    case ZBQ_START_HEAD:
        return chosen == head;
    case ZBQ_START_OLDEST:
        return chosen == floor;
    case ZBQ_START_OFFSET:
        exact = of_this_ring ? wanted.offset : floor;
        break;
    default:
        break;
    }
    if (exact <= floor || exact == head) {
        return chosen == std::max(exact, floor);
    }
    const std::uint64_t off = wanted.at == ZBQ_START_WITHIN ? chosen - exact : exact - chosen;
    return chosen >= floor && chosen <= head && commits.contains(chosen) &&
           off <= params.ring_capacity / 16 + largest_run;
}

// ---- room ----

void model_producer::grant(std::uint64_t room) {
    limit = head + room;
    highest_limit = std::max(highest_limit, limit);
    largest_run = std::max(largest_run, room);
}

bool model_producer::count_failure(std::uint64_t *in_a_row) {
    ++failures;
    if (++*in_a_row < params.clog_threshold) {
        return false;
    }
    *in_a_row = 0;
    scan();
    return true;
}

// Tails are read where they, as last read, are the limit.
std::uint64_t model_producer::linear_room() {
    const std::uint64_t to_end = params.ring_capacity - head % params.ring_capacity;
    if (free_bytes() < to_end) {
        read_tails();
    }
    return std::min(free_bytes(), to_end);
}

void model_producer::await_room(std::uint64_t wanted) {
    const bool is_less = awaited_ > free_bytes() && awaited_ < wanted;
    awaited_ = is_less ? awaited_ : wanted;
    refused_ = std::max(refused_, wanted);
    read_tails();
    look_at_the_blocked();
}

// What was refused beside it is awaited still.
void model_producer::room_was_got(std::uint64_t told) {
    if (awaited_ == 0 || told < awaited_) {
        return;
    }
    if (refused_ > told && refused_ <= free_bytes()) {
        awaited_ = refused_;
    } else if (refused_ > told) {
        await_room(free_bytes() + grid);
    } else {
        awaited_ = refused_ = 0;
    }
}

std::uint64_t model_producer::query() {
    std::uint64_t room = linear_room();
    const bool again = queried_head_ == head;
    if (room == 0 || (again && room <= queried_room_)) {
        room = count_failure(&failures_in_a_row_) ? linear_room() : room;
    } else {
        failures_in_a_row_ = 0;
        room_was_got(room);
    }
    if (watches && room == free_bytes() && room != params.ring_capacity) {
        await_room(room + grid);
        room = linear_room();
    }
    queried_head_ = head;
    queried_room_ = room;
    grant(room);
    return room;
}

bool model_producer::has_found_room(std::uint64_t wanted) {
    if (free_bytes() < wanted) {
        read_tails();
    }
    if (free_bytes() < wanted) {
        count_failure(&failures_in_a_row_);
        if (watches && free_bytes() < wanted) {
            await_room(wanted);
        }
    }
    if (free_bytes() < wanted) {
        return false;
    }
    failures_in_a_row_ = 0;
    return true;
}

// Without a word of it to who waits for room.
int model_producer::reserve_quietly(std::uint64_t wanted) {
    limit = head;
    if (wanted > params.ring_capacity) {
        return ZBQ_ERROR_OVERFLOW;
    }
    if (!has_found_room(wanted)) {
        return ZBQ_ERROR_AGAIN;
    }
    grant(wanted);
    return ZBQ_OK;
}

int model_producer::reserve(std::uint64_t wanted) {
    if (wanted == 0) {
        return ZBQ_ERROR_INVALID;
    }
    const int result = reserve_quietly(wanted);
    if (result == ZBQ_OK) {
        const std::uint64_t granted =
            std::min(free_bytes(), std::max(wanted, params.ring_capacity / 32));
        room_was_got(granted);
        grant(granted);
    }
    return result;
}

// As much room as there is once all is released below.
int model_producer::released(std::uint64_t offset) {
    if (offset > head) {
        return ZBQ_ERROR_INVALID;
    }
    if (head - offset >= params.ring_capacity) {
        return ZBQ_OK;
    }
    const std::uint64_t wanted = params.ring_capacity - (head - offset);
    if (!has_found_room(wanted)) {
        return ZBQ_ERROR_AGAIN;
    }
    room_was_got(wanted);
    return ZBQ_OK;
}

void model_producer::publish(const std::uint8_t *from, std::uint64_t size) {
    bytes.insert(bytes.end(), from, from + size);
    newest = size != 0 ? head : newest;
    head += size;
    commits.insert(head);
    failures_in_a_row_ = 0;
}

bool model_producer::window_commit(const std::uint8_t *from, std::uint64_t size) {
    if (size > limit - head || size % grid != 0) {
        return false;
    }
    publish(from, size);
    return true;
}

bool model_producer::commit(const std::uint8_t *from, std::uint64_t size, int flags) {
    if (limit == head || !window_commit(from, size)) {
        return false;
    }
    if ((flags & ZBQ_COMMIT_KEEP) == 0) {
        limit = head;
    }
    if ((flags & ZBQ_COMMIT_FORCE_SCAN) != 0) {
        scan();
    }
    return true;
}

// ---- descriptors ----

std::size_t model_producer::all_in_flight(bool to_observers) const {
    std::size_t fds = 0;
    for (const std::uint32_t slot : active_) {
        const model_consumer &one = *slots[slot];
        fds += one.observes() == to_observers ? one.fds_in_flight() : 0;
    }
    return fds;
}

namespace {

bool misses(const model_consumer &one, std::uint64_t seq_id) {
    return one.must_have_records() && one.newest_sent < seq_id;
}

bool is_within(std::uint64_t limit, std::size_t now, std::size_t more) {
    constexpr std::size_t for_joins = std::size_t{32} * 6;
    return now == 0 || now + more + for_joins <= limit;
}

bool has_room(const model_consumer &one, std::size_t fd_count) {
    return !one.must_have_records() || one.fds_in_flight() + fd_count <= ZBQ_MAX_FD_IN_FLIGHT;
}

} // namespace

// Of a newcomer's.
bool model_producer::may_be_in_flight(std::size_t more) {
    if (more == 0) {
        return true;
    }
    for_each_consumer([](model_consumer *one) { one->recount(); });
    return is_within(descriptor_limit / 2, all_in_flight() + all_in_flight(true), more);
}

bool model_producer::fits(std::size_t in_flight, std::size_t fd_count, std::uint64_t id) const {
    std::size_t receivers = 0;
    for (const std::uint32_t slot : active_) {
        receivers += misses(*slots[slot], id) ? 1U : 0U;
    }
    return is_within(descriptor_limit / 2, in_flight, receivers * fd_count);
}

bool model_producer::has_true_room_for(std::size_t fd_count) const {
    std::size_t in_flight = 0;
    for (const std::uint32_t slot : active_) {
        const model_consumer &one = *slots[slot];
        if (one.observes()) {
            continue;
        }
        std::size_t of_it = 0;
        for (const model_record &record : one.queue) {
            of_it += record.fds.size();
        }
        if (one.is_push() && of_it + fd_count > ZBQ_MAX_FD_IN_FLIGHT) {
            return false;
        }
        in_flight += of_it;
    }
    return fits(in_flight, fd_count, UINT64_MAX);
}

// Whoever has got it is none the worse for it.
void model_producer::give_up_newest() {
    for_each_consumer([&](model_consumer *one) {
        if (one->must_have_records() && one->newest_sent == newest_seq && !one->in_flight.empty()) {
            one->in_flight.back().is_orphan = true;
        }
    });
    newest_whole = true;
}

void model_producer::take_back_orphans() {
    for_each_consumer([](model_consumer *one) {
        if (!one->in_flight.empty() && one->orphans_in_flight() == one->fds_in_flight()) {
            one->queue.clear();
            one->in_flight.clear();
        }
    });
}

void model_producer::blame_all_in_flight() {
    for_each_consumer([](model_consumer *one) {
        one->is_blocked |= !one->observes() && one->orphans_in_flight() != one->fds_in_flight();
    });
}

bool model_producer::can_begin(const pending &record) {
    const std::size_t fd_count = record.fds.size();
    const auto have_all_room = [&] {
        return std::all_of(active_.begin(), active_.end(),
                           [&](std::uint32_t slot) { return has_room(*slots[slot], fd_count); });
    };
    if (fits(all_in_flight(), fd_count, record.seq_id) && have_all_room()) {
        return true;
    }
    for_each_consumer([](model_consumer *one) { one->recount(); });
    take_back_orphans();
    if (!fits(all_in_flight(), fd_count, record.seq_id)) {
        blame_all_in_flight();
        return false;
    }
    for_each_consumer([&](model_consumer *one) { one->is_blocked |= !has_room(*one, fd_count); });
    return have_all_room();
}

bool model_producer::is_turn_over(std::size_t *in_flight, std::size_t fd_count) {
    if (!is_within(descriptor_limit, *in_flight, fd_count)) {
        for_each_consumer([](model_consumer *one) { one->recount(); });
        *in_flight = all_in_flight();
        if (!is_within(descriptor_limit, *in_flight, fd_count)) {
            blame_all_in_flight();
            return true;
        }
    }
    *in_flight += fd_count;
    return false;
}

bool model_producer::send_to_all(const pending &record, bool *any) {
    std::size_t in_flight = all_in_flight();
    bool over = false;
    for_each_consumer([&](model_consumer *one) {
        if (over || !misses(*one, record.seq_id)) {
            return;
        }
        over = is_turn_over(&in_flight, record.fds.size());
        if (!over) {
            one->queue.push_back({record.seq_id, record.fds});
            one->in_flight.push_back({record.fds.size(), false});
            one->newest_sent = record.seq_id;
            one->is_blocked = false;
            *any = true;
        }
    });
    return !over;
}

// An eighth of the limit is theirs. Who has no room for it never gets it.
bool model_producer::offer_to_observers(const pending &record) {
    bool any = false;
    for (const std::uint32_t slot : active_) {
        model_consumer *one = slots[slot];
        if (!one->observes() || !one->is_push() || one->newest_sent >= record.seq_id) {
            continue;
        }
        one->recount();
        const std::size_t after = all_in_flight(true) + record.fds.size();
        any = true;
        one->newest_sent = record.seq_id;
        if (after <= descriptor_limit / 8 && all_in_flight() + after <= descriptor_limit &&
            one->fds_in_flight() + record.fds.size() <= ZBQ_MAX_FD_IN_FLIGHT) {
            one->queue.push_back({record.seq_id, record.fds});
            one->in_flight.push_back({record.fds.size(), false});
        } else {
            ++one->dropped;
        }
    }
    return any;
}

int model_producer::broadcast_once(const pending &record) {
    if (record.seq_id != newest_seq) {
        if (!newest_whole) {
            give_up_newest();
        }
        if (!can_begin(record)) {
            return ZBQ_ERROR_AGAIN;
        }
        newest_seq = record.seq_id;
    }
    bool any = false;
    newest_whole = send_to_all(record, &any);
    any |= newest_whole && offer_to_observers(record);
    bell += any ? 1U : 0U;
    return newest_whole ? ZBQ_OK : ZBQ_ERROR_AGAIN;
}

int model_producer::broadcast(std::uint64_t seq_id, const std::vector<int> &fds) {
    if (fds.empty()) {
        return ZBQ_OK;
    }
    if (seq_id == 0 || seq_id < newest_seq || fds.size() > ZBQ_MAX_FD_PER_MSG) {
        return ZBQ_ERROR_INVALID;
    }
    const pending record = {seq_id, fds};
    int result = broadcast_once(record);
    if (result == ZBQ_ERROR_AGAIN) {
        const bool scanned = count_failure(&side_failures_in_a_row_);
        if (watches) {
            read_tails();
            look_at_the_blocked();
        }
        result = watches || scanned ? broadcast_once(record) : result;
    }
    if (result == ZBQ_OK) {
        side_failures_in_a_row_ = 0;
        for_each_consumer([](model_consumer *one) { one->is_blocked = false; });
    }
    return result;
}

} // namespace fuzz
