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

model_consumer::model_consumer(const model_producer &ring, zbq_wakeup_mode chosen)
    : mode(chosen), tail(ring.head), cursor(ring.head), known_head(ring.head), page_tail(ring.head),
      tail_seen(ring.head), newest_sent(ring.newest_seq), ring_(ring),
      newest_record_(ring.newest_seq) {}

std::uint64_t model_consumer::acquire_head() {
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

int model_consumer::look_past(std::uint64_t offset) {
    acquire_head();
    if (is_evicted()) {
        return ZBQ_ERROR_NOENT;
    }
    if (malformed) {
        return ZBQ_ERROR_PROTOCOL;
    }
    if (known_head != offset) {
        return ZBQ_OK;
    }
    return ring_.closed ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
}

int model_consumer::view_at(std::uint64_t offset, model_view *out) {
    if (offset == known_head || malformed) {
        const int result = look_past(offset);
        if (result != ZBQ_OK) {
            return result;
        }
    }
    if (is_evicted()) {
        return ZBQ_ERROR_NOENT;
    }
    const std::optional<model_view> found = parse(offset);
    malformed |= !found;
    *out = found.value_or(model_view{});
    return found ? ZBQ_OK : ZBQ_ERROR_PROTOCOL;
}

int model_consumer::peek(model_view *out) {
    return view_at(tail, out);
}

int model_consumer::next(model_view *out) {
    const int result = view_at(cursor, out);
    if (result == ZBQ_OK) {
        cursor = round_up(out->offset + sizeof(zbq_msg_header) + out->payload_len);
    }
    return result;
}

int model_consumer::look() {
    model_view first = {};
    return view_at(cursor, &first);
}

void model_consumer::publish(std::uint64_t new_tail) {
    if (new_tail > known_head) {
        return;
    }
    const std::uint64_t rounded = round_up(new_tail);
    if (rounded >= tail && rounded <= known_head) {
        tail = page_tail = rounded;
        cursor = std::max(cursor, tail);
    }
}

bool model_consumer::window_release(std::uint64_t new_tail) {
    const bool was_read = round_up(new_tail) >= tail && round_up(new_tail) <= cursor;
    if (was_read) {
        tail = page_tail = round_up(new_tail);
    }
    return was_read;
}

int model_consumer::recv_fds(std::uint64_t wanted, std::vector<int> *fds) {
    fds->clear();
    if (mode == ZBQ_WAKEUP_PULL) {
        return ZBQ_ERROR_NOENT;
    }
    while (held_.seq_id == 0 || held_.seq_id < wanted) {
        held_ = {};
        if (wanted <= newest_record_) {
            return ZBQ_ERROR_NOENT; // gone by, or from before the join
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
    if (mode == ZBQ_WAKEUP_PULL) {
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
        least = std::min(least, slots[slot]->page_tail);
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

int model_producer::handshake(std::unique_ptr<model_consumer> *fresh, zbq_wakeup_mode mode,
                              bool peer_gone, std::uint32_t chosen) {
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
    *fresh = std::make_unique<model_consumer>(*this, mode);
    slots[chosen] = fresh->get();
    (*fresh)->slot = chosen;
    (*fresh)->join_number = ++joined;
    active_.push_back((*fresh)->slot);
    return ZBQ_OK;
}

void model_producer::end() {
    closed = true;
    ++bell;
}

// ---- room ----

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
    limit = head + room;
    return room;
}

int model_producer::reserve(std::uint64_t wanted) {
    if (wanted == 0) {
        return ZBQ_ERROR_INVALID;
    }
    limit = head;
    if (wanted > params.ring_capacity) {
        return ZBQ_ERROR_OVERFLOW;
    }
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
        return ZBQ_ERROR_AGAIN;
    }
    failures_in_a_row_ = 0;
    const std::uint64_t granted =
        std::min(free_bytes(), std::max(wanted, params.ring_capacity / 32));
    room_was_got(granted);
    limit = head + granted;
    return ZBQ_OK;
}

void model_producer::publish(const std::uint8_t *from, std::uint64_t size) {
    bytes.insert(bytes.end(), from, from + size);
    head += size;
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

std::size_t model_producer::all_in_flight() const {
    std::size_t fds = 0;
    for (const std::uint32_t slot : active_) {
        fds += slots[slot]->fds_in_flight();
    }
    return fds;
}

namespace {

bool misses(const model_consumer &one, std::uint64_t seq_id) {
    return one.mode == ZBQ_WAKEUP_PUSH && one.newest_sent < seq_id;
}

bool is_within(std::uint64_t limit, std::size_t now, std::size_t more) {
    constexpr std::size_t for_joins = std::size_t{32} * 6;
    return now == 0 || now + more + for_joins <= limit;
}

bool has_room(const model_consumer &one, std::size_t fd_count) {
    return one.mode == ZBQ_WAKEUP_PULL || one.fds_in_flight() + fd_count <= ZBQ_MAX_FD_IN_FLIGHT;
}

} // namespace

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
        std::size_t of_it = 0;
        for (const model_record &record : one.queue) {
            of_it += record.fds.size();
        }
        if (one.mode == ZBQ_WAKEUP_PUSH && of_it + fd_count > ZBQ_MAX_FD_IN_FLIGHT) {
            return false;
        }
        in_flight += of_it;
    }
    return fits(in_flight, fd_count, UINT64_MAX);
}

// Whoever has got it is none the worse for it.
void model_producer::give_up_newest() {
    for_each_consumer([&](model_consumer *one) {
        if (one->mode == ZBQ_WAKEUP_PUSH && one->newest_sent == newest_seq &&
            !one->in_flight.empty()) {
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
        one->is_blocked |= one->orphans_in_flight() != one->fds_in_flight();
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
