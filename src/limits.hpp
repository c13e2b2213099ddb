// SPDX-License-Identifier: MIT
//
// All limits of the library that are its own, beside those of zbq.h, which users see. A limit on
// everything that the other side could ask for. docs/protocol.md has them as a table; a test
// compares the two.
#pragma once

#include "layout.hpp"

#include <cstdint>

namespace zbq::core {

// ---- memory (ring.hpp) ----

// A capacity is a multiple of this, and of the page size, which may be larger.
inline constexpr uint64_t capacity_unit = 4096;

// Twice the capacity is mapped in one piece: it must be a size that exists. User
// address spaces are 47 bits or a little more.
inline constexpr uint64_t capacity_limit = uint64_t{1} << 46;

// ---- history (history.hpp) ----

// Grants and marks of message starts are each of one part in so many of the ring.
inline constexpr uint32_t history_parts = 32;

// ---- retained messages (retained.hpp) ----

// Of one ring: messages, and bytes with their headers.
inline constexpr uint32_t most_retained = 64;
inline constexpr uint64_t most_retained_bytes = 1'048'576;

// ---- sleeping and waking (wake.hpp, account.cpp, wake.cpp) ----

// A sleeper looks again by itself after so long: longer than a store stays in a processor's buffer,
// which is a microsecond at worst, and than the next.
inline constexpr uint64_t nap_ns = 50'000;

// A reader that spins in a dense stream leaves so long between its looks. Half of it gains nine
// tenths, twice as long no more.
inline constexpr uint64_t gather_ns = 2'000;

// A producer that does not look at each commit who is parked looks at one of those that are so
// long apart.
inline constexpr uint64_t look_interval_ns = 10'000;

// So many consumers' marks are looked at by each commit; with more, the clock decides.
inline constexpr uint32_t most_marks = 8;

// All wake-ups together have one part in so many of the producer's time.
inline constexpr uint32_t wake_parts = 4;

// Wake-ups of one consumer that may come at once: its credit. Each costs a little beside its
// system calls.
inline constexpr int64_t most_wake_credit_ns = 100'000;
inline constexpr int64_t wake_overhead_ns = 100;

// No honest wake-up takes longer, unless it is interrupted: then the next one is measured. What the
// producer's own thread spent on it is then too dear, so many times in a row.
inline constexpr uint64_t suspicious_wake_ns = 20'000;
inline constexpr uint64_t dear_wake_ns = 1'000'000;
inline constexpr uint32_t most_dear_wakes = 3;

// ---- a producer that waits (stall.cpp, await.cpp) ----

// From one look to the next the stall clocks grow by one part in so many of the timeout at most.
inline constexpr uint32_t stall_looks = 4;

// In each timeout one part in so many of the ring, or of the descriptors in flight, is enough.
inline constexpr uint32_t stall_parts = 16;

// It looks by itself at least so often while it waits by its descriptor.
inline constexpr uint64_t longest_look_ns = 2'000'000;

// ---- joins (join.cpp, evict.cpp) ----

// That are not answered, in all and of one user other than the producer's own. Each keeps its
// descriptors in flight.
inline constexpr uint32_t most_unanswered = 32;
inline constexpr uint32_t most_unanswered_of_one = 8;
inline constexpr uint32_t join_descriptors = 6;

// How long one may stay unanswered where somebody else wants the slot.
inline constexpr uint64_t time_to_answer_ns = 5'000'000'000;

// ---- statistics (statistics.cpp, inspect.cpp) ----

// Slots that have an account, and bytes of a page that is read: later versions' accounts may be
// longer.
inline constexpr uint32_t most_slots_told = 4096;
inline constexpr uint64_t most_statistics_bytes = 4'194'304;

// Failed attempts that are closer together are told of by one account.
inline constexpr uint64_t failure_interval_ns = 1'000'000;

// Looks of a reader in a row that find that the account was written over meanwhile.
inline constexpr uint32_t most_torn_accounts = 16;

// ---- descriptors (descriptors.cpp, consumer.cpp) ----

// All that is in flight stays below one part in so many of RLIMIT_NOFILE.
inline constexpr uint32_t in_flight_parts = 2;

// Observers have one part in so many of it more.
inline constexpr uint32_t observer_parts = 8;

// Looks of an observer in a row that find that it was lapped meanwhile.
inline constexpr uint32_t most_laps = 8;

// Messages of the newest commit that an observer goes through on its way to the last of them.
inline constexpr uint32_t most_walked = 4096;

// Records that are taken back at once from who is given up: the rest by later scans.
inline constexpr uint32_t most_taken_back = 64;

// Records that one call of a consumer drops on its way to the one it wants: a producer that sends
// old ones for ever does not keep it.
inline constexpr uint32_t most_records_dropped = 1024;

} // namespace zbq::core
