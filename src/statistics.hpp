// SPDX-License-Identifier: MIT
//
// The statistics page: an account of the ring and of its slots, for people and tools, in memory
// that they can only read. Both sides: statistics.cpp writes it, inspect.cpp reads it. Nothing is
// decided by it.
//
//   +------+----------+------+--------+--------+-- -+----------+------+--------+-- -
//   | head | sequence | ring | slot 0 | slot 1 |    | sequence | ring | slot 0 |
//   +------+----------+------+--------+--------+-- -+----------+------+--------+-- -
//            one copy of the account                  the other one
//
// Copies are written in turn: a producer that is stopped or killed in the midst of one leaves the
// other, and who reads has the time from one account to the next but one.
#pragma once

#include "atomics.hpp"
#include "limits.hpp"
#include "region.hpp"

namespace zbq::core {

// What the page begins with: constant. Later versions may make each of the parts longer.
struct statistics_head {
    uint32_t magic;
    uint32_t version;
    uint32_t head_size; // bytes: the first copy starts there
    uint32_t ring_size; // bytes of the ring's account,
    uint32_t slot_size; // of a slot's,
    uint32_t slots;     // and how many of these there are
    uint8_t reserved[40];
};
static_assert(sizeof(statistics_head) == 64);
inline constexpr uint32_t statistics_magic = 0x7371627a; // "zbqs" in memory, little-endian
inline constexpr uint32_t statistics_version = 1;

constexpr uint64_t account_size(const statistics_head &head) {
    return head.ring_size + uint64_t{head.slots} * head.slot_size;
}

constexpr uint64_t copy_size(const statistics_head &head) {
    return (sizeof(account_copy) + account_size(head) + 63) / 64 * 64;
}

constexpr uint64_t statistics_size(const statistics_head &head) {
    return head.head_size + 2 * copy_size(head);
}

// One of the two.
inline account_copy *copy_at(const mapping &page, const statistics_head &head, uint64_t number) {
    char *base = static_cast<char *>(page.get());
    return reinterpret_cast<account_copy *>(base + head.head_size + number % 2 * copy_size(head));
}

// The words of the newest account, if they are all of one moment.
inline bool copy_newest(const account_copy *const (&copies)[2], uint64_t words, uint64_t *out) {
    const account_copy *newest = nullptr;
    uint64_t sequence = 0;
    for (const account_copy *copy : copies) {
        const uint64_t found = account_acquire(copy);
        if (found % 2 == 0 && found > sequence) {
            sequence = found;
            newest = copy;
        }
    }
    for (uint64_t i = 0; newest != nullptr && i < words; ++i) {
        out[i] = account_word_seen(newest, i);
    }
    return newest != nullptr && account_stands(newest, sequence);
}

// What is sent with the page's descriptor.
struct statistics_message {
    uint32_t magic;
    uint32_t version;
    uint64_t reserved; // zero
};
static_assert(sizeof(statistics_message) == 16);

// The producer's.
struct statistics_page {
    region memory; // none, until it is asked for
    statistics_head head = {};
    uint64_t accounts = 0; // written so far
    uint64_t written_at = 0;
    uint32_t used_slots = 0; // the first of them: the others were never taken
    bool is_held = false;    // one account is to tell of several things

    [[nodiscard]] bool exists() const { return memory.memory.get() != nullptr; }
};

} // namespace zbq::core
