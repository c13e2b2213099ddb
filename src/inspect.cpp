// SPDX-License-Identifier: MIT
//
// Reading the statistics of a producer that may be hostile: it can write anything into the page, at
// any time. All sizes are checked once and used from the copy; an account is copied before it is
// looked at; and what has to hold of it is made to hold.
#include "statistics.hpp"

#include "scm.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

struct zbq_stats {
    zbq::core::birthmark birth;
    zbq::core::mapping page;
    zbq::core::statistics_head head = {};
    uint64_t *account = nullptr; // the one read last, at first all zero,
    uint64_t *fresh = nullptr;   // and room for the next
};

namespace zbq::core {

namespace {

constexpr uint64_t word = sizeof(uint64_t);

// In whole words, not shorter than those of the first version, and all within the page.
bool is_valid(const statistics_head &head, uint64_t size) {
    const bool is_whole = (head.head_size | head.ring_size | head.slot_size) % word == 0;
    const bool is_long = head.head_size >= sizeof(statistics_head) &&
                         head.ring_size >= sizeof(zbq_ring_stats) &&
                         head.slot_size >= sizeof(zbq_slot_stats);
    return head.magic == statistics_magic && head.version == statistics_version && is_whole &&
           is_long && head.slots <= size / head.slot_size && statistics_size(head) <= size;
}

int map_page(int fd, zbq_stats *stats) {
    uint64_t size = 0;
    int result = region_size(fd, sharing::read_only, &size);
    if (result < 0) {
        return result;
    }
    if (size < sizeof(statistics_head) || size > most_statistics_bytes) {
        return -EPROTO;
    }
    result = region_open(fd, size, false, sharing::read_only, &stats->page);
    if (result < 0) {
        return result;
    }
    memcpy(&stats->head, stats->page.get(), sizeof stats->head);
    return is_valid(stats->head, size) ? 0 : -EPROTO;
}

int open_page(int fd, zbq_stats *stats) {
    int result = stats->birth.make();
    if (result == 0) {
        result = map_page(fd, stats);
    }
    if (result == 0) {
        const uint64_t size = account_size(stats->head);
        stats->account = static_cast<uint64_t *>(calloc(1, size));
        stats->fresh = static_cast<uint64_t *>(calloc(1, size));
        result = stats->account != nullptr && stats->fresh != nullptr ? 0 : -ENOMEM;
    }
    return result;
}

// Whether it is all of one moment.
bool copy_account(const zbq_stats *stats) {
    const account_copy *const copies[] = {copy_at(stats->page, stats->head, 0),
                                          copy_at(stats->page, stats->head, 1)};
    return copy_newest(copies, account_size(stats->head) / word, stats->fresh);
}

// As much as the caller knows of it; what only the caller knows is zero.
template <typename Line>
void give(void *out, uint64_t size, const Line &line) {
    const uint64_t known = size < sizeof line ? size : sizeof line;
    memcpy(out, &line, known);
    memset(static_cast<char *>(out) + known, 0, size - known);
}

zbq_ring_stats checked(const zbq_stats *stats) {
    zbq_ring_stats line = {};
    memcpy(&line, stats->account, sizeof line);
    line.slots = stats->head.slots;
    line.slowest_slot = line.slowest_slot < line.slots ? line.slowest_slot : ZBQ_NO_SLOT;
    line.name[sizeof line.name - 1] = '\0';
    return line;
}

int open_stats(int fd, zbq_stats **out) {
    void *memory = calloc(1, sizeof(zbq_stats));
    if (memory == nullptr) {
        return ZBQ_ERROR_NOMEM;
    }
    auto *stats = new (memory) zbq_stats;
    const int result = open_page(fd, stats);
    if (result < 0) {
        zbq_stats_close(stats);
        return result == -EPROTO ? ZBQ_ERROR_PROTOCOL : error_from(result);
    }
    *out = stats;
    return ZBQ_OK;
}

int receive_page(int socket, zbq_stats **out, ancillary *with) {
    statistics_message message = {};
    const ssize_t received = receive_record(socket, &message, sizeof message, 0, with);
    if (received == -EAGAIN || received == -EINTR) {
        return ZBQ_ERROR_AGAIN;
    }
    if (received < 0) {
        return error_from(static_cast<int>(received));
    }
    if (received == 0 && with->fds.size() == 0) {
        return error_from(-ECONNRESET); // the peer is gone
    }
    if (with->truncated && with->fds.size() == 0) {
        return error_from(-EMFILE); // the kernel could install none here
    }
    const bool is_whole = received == sizeof message && !with->truncated && with->fds.size() == 1 &&
                          message.magic == statistics_magic &&
                          message.version == statistics_version;
    return is_whole ? open_stats(with->fds.at(0), out) : ZBQ_ERROR_PROTOCOL;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_stats_open(int fd, zbq_stats **out) {
    if (out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = nullptr;
    return open_stats(fd, out);
}

int zbq_stats_receive(int socket, zbq_stats **out) {
    if (out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = nullptr;
    int type = 0;
    if (!is_unix_socket(socket, &type)) {
        return ZBQ_ERROR_INVALID;
    }
    ancillary with;
    const int result = receive_page(socket, out, &with);
    if (result != ZBQ_OK) {
        with.fds.close_all_elsewhere();
    }
    return result;
}

int zbq_stats_read(zbq_stats *stats, zbq_ring_stats *out, uint64_t size) {
    if (stats == nullptr || out == nullptr || !stats->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    for (uint32_t i = 0; i < most_torn_accounts; ++i) {
        if (copy_account(stats)) {
            uint64_t *const before = stats->account;
            stats->account = stats->fresh;
            stats->fresh = before;
            give(out, size, checked(stats));
            return ZBQ_OK;
        }
    }
    return ZBQ_ERROR_AGAIN;
}

int zbq_stats_slot(const zbq_stats *stats, uint32_t slot, zbq_slot_stats *out, uint64_t size) {
    if (stats == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    zbq_slot_stats line = {};
    if (slot < stats->head.slots) {
        const char *slots = reinterpret_cast<const char *>(stats->account) + stats->head.ring_size;
        memcpy(&line, slots + uint64_t{slot} * stats->head.slot_size, sizeof line);
    }
    give(out, size, line);
    return line.join_number != 0 ? ZBQ_OK : ZBQ_ERROR_NOENT;
}

void zbq_stats_close(zbq_stats *stats) {
    if (stats == nullptr) {
        return;
    }
    if (!stats->birth.is_own()) {
        stats->page.forget(); // in a forked child nothing is mapped there
    }
    free(stats->account);
    free(stats->fresh);
    stats->~zbq_stats();
    free(stats);
}
