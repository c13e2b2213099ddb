// SPDX-License-Identifier: MIT
#include "retained.hpp"

#include "atomics.hpp"
#include "producer.hpp"

#include <cerrno>
#include <cstring>

namespace zbq::core {

namespace {

uint64_t size_of(uint64_t payload_len) {
    return sizeof(retained_entry) + round_up(payload_len);
}

char *bytes_of(const mapping &memory) {
    return static_cast<char *>(memory.get());
}

// The producer's own entries, in their order.
template <typename Function>
void for_each(const retained_set &set, const Function &function) {
    if (set.count == 0) { // and no memory
        return;
    }
    const char *at = bytes_of(set.memory.memory) + sizeof(retained_head);
    for (uint32_t i = 0; i < set.count; ++i) {
        const auto *entry = reinterpret_cast<const retained_entry *>(at);
        function(*entry);
        at += size_of(entry->header.payload_len);
    }
}

struct extent {
    uint64_t bytes = sizeof(retained_head);
    uint32_t count = 0;
    uint32_t fds = 0;

    void add(const zbq_msg_header &header) {
        bytes += size_of(header.payload_len);
        ++count;
        fds += header.fd_count;
    }
    [[nodiscard]] bool is_allowed() const {
        return bytes <= most_retained_bytes && count <= most_retained && fds <= ZBQ_MAX_FD_PER_MSG;
    }
};

uint16_t key_of(const zbq_msg_header &header) {
    return header.reserved & static_cast<uint16_t>(~forgotten);
}

extent extent_after(const retained_set &set, const retained_change &change) {
    extent after;
    for_each(set, [&](const retained_entry &entry) {
        if (entry.header.reserved != key_of(change.header)) {
            after.add(entry.header);
        }
    });
    if (change.payload != nullptr) {
        after.add(change.header);
    }
    return after;
}

// Nobody else has the memory yet: plain stores.
void fill(const retained_set &set, const retained_change &change, const region &fresh,
          uint32_t count) {
    char *to = bytes_of(fresh.memory);
    const retained_head head = {count, {}};
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    for_each(set, [&](const retained_entry &entry) {
        if (entry.header.reserved != key_of(change.header)) {
            memcpy(to, &entry, size_of(entry.header.payload_len));
            to += size_of(entry.header.payload_len);
        }
    });
    if (change.payload != nullptr) {
        const retained_entry entry = {change.offset, 0, change.header};
        memcpy(to, &entry, sizeof entry);
        memcpy(to + sizeof entry, change.payload, change.header.payload_len);
    }
}

int duplicate_all(const int *fds, uint8_t count, fd_list *copies) {
    for (unsigned i = 0; i < count; ++i) {
        const int copy = duplicate(fds[i]);
        if (copy < 0) {
            return copy;
        }
        copies->add(copy);
    }
    return 0;
}

// Those of the key are closed.
void exchange_fds(retained_set *set, uint16_t key, fd_list *added) {
    fd_list kept;
    unsigned next = 0;
    for_each(*set, [&](const retained_entry &entry) {
        for (unsigned i = 0; i < entry.header.fd_count; ++i) {
            unique_fd one = set->fds.take(next++);
            if (entry.header.reserved != key) {
                kept.add(one.release());
            }
        }
    });
    for (unsigned i = 0; i < added->size(); ++i) {
        kept.add(added->take(i).release());
    }
    set->fds.take_all(kept);
}

} // namespace

uint64_t newest_record_of(const retained_set &set) {
    uint64_t newest = 0;
    for_each(set, [&](const retained_entry &entry) {
        newest = entry.header.seq_id > newest ? entry.header.seq_id : newest;
    });
    return newest;
}

bool retains(const retained_set &set, uint16_t key) {
    bool found = false;
    for_each(set,
             [&](const retained_entry &entry) { found = found || entry.header.reserved == key; });
    return found;
}

int change_retained(retained_set *set, const retained_change &change) {
    const extent after = extent_after(*set, change);
    if (!after.is_allowed()) {
        return -E2BIG;
    }
    fd_list added;
    region fresh;
    int result =
        change.payload != nullptr ? duplicate_all(change.fds, change.header.fd_count, &added) : 0;
    if (result == 0 && after.count != 0) {
        const uint64_t unit = page_size();
        result = region_create("zbq-retained", (after.bytes + unit - 1) / unit * unit, false,
                               sharing::read_only, &fresh);
    }
    if (result < 0) {
        return result;
    }
    if (after.count != 0) {
        fill(*set, change, fresh, after.count);
    }
    exchange_fds(set, key_of(change.header), &added);
    set->memory.fd = static_cast<unique_fd &&>(fresh.fd);
    set->memory.memory = static_cast<mapping &&>(fresh.memory);
    set->count = after.count;
    return 0;
}

int send_retained(const retained_set &set, int producer_end, flight *in_flight) {
    int result = 0;
    unsigned next = 0;
    for_each(set, [&](const retained_entry &entry) {
        const uint8_t count = entry.header.fd_count;
        if (count != 0 && result == 0) {
            int fds[ZBQ_MAX_FD_PER_MSG];
            for (unsigned i = 0; i < count; ++i) {
                fds[i] = set.fds.at(next + i);
            }
            result = side_send(producer_end, in_flight, entry.header.seq_id, fds, count);
        }
        next += count;
    });
    return result;
}

namespace {

// A copy, for the producer may be hostile.
retained_entry read_entry(const char *at) {
    retained_entry entry;
    memcpy(&entry, at, sizeof entry);
    return entry;
}

uint32_t count_in(const mapping &memory) {
    const auto *head = static_cast<const retained_head *>(memory.get());
    const uint32_t count = count_seen(&head->count);
    return count < most_retained ? count : most_retained;
}

// Goes through the entries until one is wanted: ZBQ_OK, and where that lies.
template <typename Function>
int find(const mapping &memory, const Function &is_wanted, retained_entry *out,
         const char **place) {
    if (memory.get() == nullptr) {
        return ZBQ_ERROR_NOENT;
    }
    const char *at = bytes_of(memory) + sizeof(retained_head);
    uint64_t left = memory.size() - sizeof(retained_head);
    for (uint32_t i = 0; i < count_in(memory); ++i) {
        *out = left >= sizeof(retained_entry) ? read_entry(at) : retained_entry{};
        const uint64_t size = size_of(out->header.payload_len);
        if (size > left) {
            return ZBQ_ERROR_PROTOCOL;
        }
        *place = at;
        if (is_wanted(i, *out)) {
            return ZBQ_OK;
        }
        at += size;
        left -= size;
    }
    return ZBQ_ERROR_NOENT;
}

} // namespace

int view_retained(const mapping &memory, uint32_t index, zbq_msg_view *out) {
    retained_entry entry = {};
    const char *place = nullptr;
    const int result = find(
        memory, [&](uint32_t i, const retained_entry & /*at*/) { return i == index; }, &entry,
        &place);
    if (result == ZBQ_OK) {
        const auto *header = &reinterpret_cast<const retained_entry *>(place)->header;
        *out = {header, header + 1, entry.header.payload_len, entry.offset,
                sizeof(zbq_msg_header) + uint64_t{entry.header.payload_len}};
    }
    return result;
}

bool has_retained_record(const mapping &memory, uint64_t seq_id) {
    retained_entry entry = {};
    const char *place = nullptr;
    return find(
               memory,
               [&](uint32_t /*i*/, const retained_entry &at) {
                   return at.header.fd_count != 0 && at.header.seq_id == seq_id;
               },
               &entry, &place) == ZBQ_OK;
}

} // namespace zbq::core

using namespace zbq::core;

namespace {

// Publishes the change, and keeps it.
int change_and_tell(zbq_producer *prod, retained_change change) {
    const uint64_t bytes = round_up(sizeof(zbq_msg_header) + change.header.payload_len);
    zbq_contiguous_run run = {};
    const int result = reserve_quietly(prod, bytes, &run);
    if (result != ZBQ_OK) {
        return result;
    }
    change.offset = run.offset;
    const int changed = change_retained(&prod->retained, change);
    if (changed < 0) {
        return changed == -E2BIG ? ZBQ_ERROR_OVERFLOW : error_from(changed);
    }
    room_was_got(prod, bytes); // more was refused: its wait goes on
    char *to = prod->window.next;
    memcpy(to, &change.header, sizeof change.header);
    if (change.header.payload_len != 0) {
        memcpy(to + sizeof change.header, change.payload, change.header.payload_len);
    }
    zbq_producer_commit(prod, bytes, ZBQ_COMMIT_NONE);
    return ZBQ_OK;
}

bool key_is_valid(uint16_t key) {
    return key != 0 && (key & forgotten) == 0;
}

// Its record went out, if it has one, and after those of the others: newcomers get them by their
// ids.
bool record_is_known(const zbq_producer *prod, const zbq_msg_header &header, const int *fds) {
    return header.fd_count == 0 ||
           (fds != nullptr && header.fd_count <= ZBQ_MAX_FD_PER_MSG &&
            header.seq_id > newest_record_of(prod->retained) && header.seq_id <= prod->newest_seq);
}

} // namespace

int zbq_producer_retain(zbq_producer *prod, uint16_t key, const zbq_msg_header *header,
                        const void *payload, const int *fds) {
    if (prod == nullptr || header == nullptr || !key_is_valid(key) || !is_owner(prod) ||
        (payload == nullptr && header->payload_len != 0) || !record_is_known(prod, *header, fds)) {
        return ZBQ_ERROR_INVALID;
    }
    retained_change change = {*header, payload != nullptr ? payload : "", fds, 0};
    change.header.reserved = key;
    change.header.seq_id = header->fd_count != 0 ? header->seq_id : 0;
    return change_and_tell(prod, change);
}

int zbq_producer_forget(zbq_producer *prod, uint16_t key) {
    if (prod == nullptr || !key_is_valid(key) || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    if (!retains(prod->retained, key)) {
        return ZBQ_ERROR_NOENT;
    }
    retained_change change = {};
    change.header.reserved = key | forgotten;
    return change_and_tell(prod, change);
}
