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

int model_consumer::look(std::uint64_t offset) {
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
        const int result = look(offset);
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

int model_consumer::readable(std::uint64_t from, model_view *first) {
    if (from % grid != 0 || from < tail || from > known_head) {
        return ZBQ_ERROR_INVALID;
    }
    cursor = from;
    return view_at(from, first);
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
    return ring_.token() != token ? ZBQ_OK : ZBQ_ERROR_AGAIN;
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

// ---- the producer: consumers ----

void model_producer::evict(model_consumer *whom, std::uint32_t reason) {
    whom->eviction = reason;
    slots[whom->slot] = nullptr;
    last[whom->slot] = {whom->join_number, reason};
    ++evicted[0];
    ++evicted[reason];
    ++bell;
}

void model_producer::read_tails() {
    slowest_tail = head;
    for (model_consumer *one : slots) {
        if (one == nullptr) {
            continue;
        }
        if (one->page_tail % grid != 0 || one->page_tail < one->tail_seen ||
            one->page_tail > head) {
            evict(one, ZBQ_EVICTION_PROTOCOL);
            continue;
        }
        one->tail_seen = one->page_tail;
        slowest_tail = std::min(slowest_tail, one->tail_seen);
    }
}

std::uint64_t model_producer::true_free() const {
    std::uint64_t least = head;
    for (const model_consumer *one : slots) {
        if (one != nullptr) {
            least = std::min(least, one->page_tail);
        }
    }
    return params.ring_capacity - (head - least);
}

void model_producer::scan() {
    ++scans;
    for (model_consumer *one : slots) {
        if (one != nullptr && one->left) {
            evict(one, ZBQ_EVICTION_DEAD);
        }
    }
    read_tails();
}

int model_producer::handshake(std::unique_ptr<model_consumer> *fresh, zbq_wakeup_mode mode,
                              bool peer_gone) {
    if (std::count(slots.begin(), slots.end(), nullptr) == 0) {
        scan();
    }
    const auto free_slot = std::find(slots.begin(), slots.end(), nullptr);
    if (free_slot == slots.end()) {
        return ZBQ_ERROR_NOENT;
    }
    if (peer_gone) {
        return ZBQ_ERROR_IO;
    }
    *fresh = std::make_unique<model_consumer>(*this, mode);
    *free_slot = fresh->get();
    (*fresh)->slot = static_cast<std::uint32_t>(free_slot - slots.begin());
    (*fresh)->join_number = ++joined;
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

std::uint64_t model_producer::query() {
    std::uint64_t room = linear_room();
    const bool again = queried_head_ == head;
    if (room == 0 || (again && room <= queried_room_)) {
        const bool scanned = count_failure(&failures_in_a_row_);
        if (watches) {
            read_tails();
        }
        room = scanned || watches ? linear_room() : room;
    } else {
        failures_in_a_row_ = 0;
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
            read_tails();
        }
    }
    if (free_bytes() < wanted) {
        return ZBQ_ERROR_AGAIN;
    }
    failures_in_a_row_ = 0;
    limit = head + free_bytes();
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

bool model_producer::anyone_misses(std::uint64_t seq_id) const {
    return std::any_of(slots.begin(), slots.end(), [&](const model_consumer *one) {
        return one != nullptr && one->mode == ZBQ_WAKEUP_PUSH && one->newest_sent < seq_id;
    });
}

int model_producer::broadcast_once(std::uint64_t seq_id, const std::vector<int> &fds) {
    newest_seq = seq_id;
    bool sent = false;
    for (model_consumer *one : slots) {
        if (one == nullptr || one->mode != ZBQ_WAKEUP_PUSH || one->newest_sent >= seq_id) {
            continue;
        }
        std::size_t in_flight = fds.size();
        for (const model_record &waiting : one->queue) {
            in_flight += waiting.fds.size();
        }
        if (one->left) {
            evict(one, ZBQ_EVICTION_DEAD);
        } else if (in_flight <= ZBQ_MAX_FD_IN_FLIGHT) {
            one->queue.push_back({seq_id, fds});
            one->newest_sent = seq_id;
            sent = true;
        }
    }
    bell += sent ? 1U : 0U;
    return anyone_misses(seq_id) ? ZBQ_ERROR_AGAIN : ZBQ_OK;
}

int model_producer::broadcast(std::uint64_t seq_id, const std::vector<int> &fds) {
    if (fds.empty()) {
        return ZBQ_OK;
    }
    if (seq_id == 0 || seq_id < newest_seq || fds.size() > ZBQ_MAX_FD_PER_MSG) {
        return ZBQ_ERROR_INVALID;
    }
    int result = broadcast_once(seq_id, fds);
    if (result == ZBQ_ERROR_AGAIN) {
        const bool scanned = count_failure(&side_failures_in_a_row_);
        if (watches) {
            result = broadcast_once(seq_id, fds);
        } else if (scanned && !anyone_misses(seq_id)) {
            result = ZBQ_OK;
        }
    }
    if (result == ZBQ_OK) {
        side_failures_in_a_row_ = 0;
    }
    return result;
}

} // namespace fuzz
