/* SPDX-License-Identifier: MIT */
/* zbq 1.0.0: a zero-copy broadcast queue for Linux, in one file.
 *
 * To use it, include it, from C11 or C++. One C++20 source file, which holds nothing else, is
 *
 *     #define ZBQ_IMPLEMENTATION
 *     #include "zbq.h"
 *
 * That is the library. Compiled with -fno-exceptions -fno-rtti it needs no C++ run time, and a C
 * program can link it.
 *
 * Made from the sources by ./dev amalgamate: changes belong there.
 *
 * MIT License
 *
 * Copyright (c) 2026 The zbq authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal
 * in the Software without restriction, including without limitation the rights
 * to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all
 * copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 * IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 * FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 * AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
 * SOFTWARE.
 */

/* ---- include/zbq.h ---- */

/**
 * @file
 * zbq: a zero-copy broadcast queue for Linux.
 *
 * One process, the producer, publishes a stream of messages of any size, each
 * with open file descriptors if it likes. Any number of processes on the same
 * machine, the consumers, read them in place from shared memory that the kernel
 * lets them map read-only. There is no daemon, no copy, and no system call on
 * the fast path (query, commit, peek, publish).
 *
 * A producer publishes, and sleeps where there is no room:
 *
 *     struct pollfd room = {zbq_producer_event_fd(prod), POLLIN, 0};
 *     zbq_commit_window *window = zbq_producer_window(prod);
 *     void *place;
 *     while (number < messages) {
 *         while (zbq_window_reserve(window, size, &place) == ZBQ_ERROR_AGAIN) { // zbq/inline.h
 *             poll(&room, 1, -1); // or do something else
 *         }
 *         *(zbq_msg_header *)place = (zbq_msg_header){.payload_len = sizeof number};
 *         memcpy((char *)place + sizeof(zbq_msg_header), &number, sizeof number);
 *         zbq_window_commit(window, size);
 *         ++number;
 *     }
 *
 * A consumer reads, and sleeps where there is nothing:
 *
 *     int result = ZBQ_OK;
 *     while (result == ZBQ_OK || result == ZBQ_ERROR_AGAIN) {
 *         const uint32_t token = zbq_consumer_get_futex_token(cons); // before the look
 *         zbq_msg_view view;
 *         result = zbq_consumer_peek(cons, &view);
 *         if (result == ZBQ_ERROR_AGAIN) {
 *             zbq_consumer_wait_broadcast(cons, token);
 *         } else if (result == ZBQ_OK) {
 *             use(&view); // act on it once zbq_consumer_valid(cons) has said that it was whole
 *             zbq_consumer_publish(cons, view.logical_offset + view.total_len);
 *         }
 *     } // the end: zbq_consumer_ending tells why
 *
 * A consumer that looks all the time reads without a call:
 *
 *     zbq_read_window *window = zbq_consumer_window(cons);
 *     while (zbq_consumer_spin(cons, UINT64_MAX) == ZBQ_OK) {
 *         zbq_msg_view view;
 *         while (zbq_window_next(window, &view) == ZBQ_OK) { // of zbq/inline.h
 *             use(&view); // act on it once zbq_window_valid(window) has said that it was whole
 *             zbq_window_release(window, view.logical_offset + view.total_len);
 *         }
 *     }
 *
 * Conventions that hold for every call:
 *
 *   - A call that returns int gives ZBQ_OK (0) or one of the negative
 *     zbq_error values; its description lists which and why.
 *   - Any argument is safe: NULL, a wrong descriptor and an out-of-range number
 *     give an error, never a crash. A handle that was destroyed is not.
 *   - The library never prints, never aborts, installs no signal handler and
 *     raises no SIGPIPE.
 *   - A handle belongs to one thread at a time. Different handles are
 *     independent, even of one ring within one process.
 *   - After fork() the child, in whatever namespaces, can do nothing with a handle
 *     but destroy it, which releases the child's copies: the mappings are absent
 *     there, and a call that would make a system call gives ZBQ_ERROR_INVALID
 *     (zbq_consumer_is_producer_alive answers).
 *     Every descriptor is close-on-exec.
 *   - Sizes are in bytes, times in nanoseconds. "Logical" offsets grow for ever;
 *     the place in the ring is the offset modulo its capacity.
 *   - Unless its description says that it blocks, a call does not block.
 *   - A consumer or producer for which an event descriptor was asked (event_fd) makes
 *     system calls also where a call has nothing to give.
 *
 * docs/design.md tells why things are as they are; docs/protocol.md gives the
 * shared memory and the socket messages byte by byte.
 */
#ifndef ZBQ_H
#define ZBQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** @cond */
#if defined(__cplusplus)
#define ZBQ_ALIGNAS(n) alignas(n)
#define ZBQ_STATIC_ASSERT(condition, text) static_assert(condition, text)
#define ZBQ_ENUM_INT : int /* so that a value out of range is a value, not undefined */
extern "C" {
#else
#define ZBQ_ALIGNAS(n) _Alignas(n)
#define ZBQ_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#define ZBQ_ENUM_INT
#endif

#if defined(__GNUC__)
#define ZBQ_API __attribute__((visibility("default")))
#else
#define ZBQ_API
#endif
/** @endcond */

/* ---- constants ---------------------------------------------------------- */

#define ZBQ_VERSION_MAJOR 1 /**< of this header */
#define ZBQ_VERSION_MINOR 0 /**< of this header */
#define ZBQ_VERSION_PATCH 0 /**< of this header */

/** The most descriptors that one message can carry: the kernel's limit for one
 * SCM_RIGHTS record. */
#define ZBQ_MAX_FD_PER_MSG 253

/** Every message starts at a logical offset that is a multiple of this, and
 * every commit is a multiple of it. */
#define ZBQ_MSG_ALIGN 16

/** The most descriptors that may wait, sent but not collected, for one consumer.
 * A record that would exceed it is held back (zbq_producer_broadcast_fds gives
 * ZBQ_ERROR_AGAIN), because the kernel counts descriptors in flight for the whole
 * user and one reader that never collects could starve everyone. */
#define ZBQ_MAX_FD_IN_FLIGHT 512

/** The longest that one call of zbq_consumer_wait or zbq_consumer_wait_broadcast
 * sleeps. */
#define ZBQ_WAIT_SLICE_NS 100000000

/** What a call gives that returns int. */
typedef enum zbq_error ZBQ_ENUM_INT {
    ZBQ_OK = 0,              /**< done */
    ZBQ_ERROR_INVALID = -1,  /**< a bad argument, or a call that is out of place */
    ZBQ_ERROR_NOMEM = -2,    /**< memory could not be had */
    ZBQ_ERROR_AGAIN = -3,    /**< not yet; nothing is wrong */
    ZBQ_ERROR_IO = -4,       /**< a system call failed; errno is left as it set it */
    ZBQ_ERROR_PROTOCOL = -5, /**< the other side broke the protocol */
    ZBQ_ERROR_OVERFLOW = -6, /**< larger than the ring */
    ZBQ_ERROR_NOENT = -7     /**< nothing there: no slot, no record, the end */
} zbq_error;

/** How a consumer learns of messages. */
typedef enum zbq_wakeup_mode ZBQ_ENUM_INT {
    ZBQ_WAKEUP_PUSH = 0,  /**< may sleep until the producer wakes it; gets descriptors */
    ZBQ_WAKEUP_PULL = 1,  /**< polls when it likes; never woken; gets no descriptors */
    ZBQ_OBSERVE_PUSH = 2, /**< as push, but an observer: the producer never waits for it */
    ZBQ_OBSERVE_PULL = 3  /**< as pull, but an observer */
} zbq_wakeup_mode;

/** Where a consumer starts to read. */
typedef enum zbq_start_at ZBQ_ENUM_INT {
    ZBQ_START_HEAD = 0,   /**< with the next message committed */
    ZBQ_START_OLDEST = 1, /**< with the oldest message that is still whole */
    ZBQ_START_LAST = 2,   /**< with so many bytes of history at least, if there are so many */
    ZBQ_START_OFFSET = 3, /**< with the message at a logical offset */
    ZBQ_START_WITHIN = 4  /**< with so many bytes of history at most */
} zbq_start_at;

/** Where an observer goes on when it moves without reading. */
typedef enum zbq_seek_to ZBQ_ENUM_INT {
    ZBQ_SEEK_OLDEST = 0, /**< the oldest message that is still whole */
    ZBQ_SEEK_NEWEST = 1, /**< the newest message, or past it where it was read already; of a commit
                              of more than 4,096 messages one of them */
    ZBQ_SEEK_HEAD = 2    /**< the next message committed */
} zbq_seek_to;

/** For zbq_producer_commit. */
typedef enum zbq_commit_flags ZBQ_ENUM_INT {
    ZBQ_COMMIT_NONE = 0,       /**< nothing beside publishing */
    ZBQ_COMMIT_FORCE_SCAN = 1, /**< run zbq_producer_scan after publishing */
    ZBQ_COMMIT_KEEP = 2        /**< what is left of the run stays open, for the next commit */
} zbq_commit_flags;

/** Why a consumer lost its slot. */
typedef enum zbq_eviction ZBQ_ENUM_INT {
    ZBQ_EVICTION_NONE = 0,         /**< it still has it */
    ZBQ_EVICTION_DEAD = 1,         /**< its process ended, or it left */
    ZBQ_EVICTION_STALLED = 2,      /**< it held the ring back for stall_timeout_ns */
    ZBQ_EVICTION_SIDE_STALLED = 3, /**< it did not collect descriptors for as long */
    ZBQ_EVICTION_PROTOCOL = 4,     /**< it published a tail that cannot be */
    ZBQ_EVICTION_SLOW = 5,         /**< it used up the patience that the producer had for it */
    ZBQ_EVICTION_DEAR = 6          /**< waking it cost the producer too much, again and again */
} zbq_eviction;

/** How a stream stands, for one consumer. */
typedef enum zbq_ending ZBQ_ENUM_INT {
    ZBQ_ENDING_NONE = 0,          /**< it goes on */
    ZBQ_ENDING_CLOSED = 1,        /**< the producer ended it; what it committed can be read */
    ZBQ_ENDING_PRODUCER_DIED = 2, /**< as that, but it was killed or crashed */
    ZBQ_ENDING_EVICTED = 3,       /**< this consumer lost its slot: nothing more to read */
    ZBQ_ENDING_MALFORMED = 4      /**< the producer broke the protocol: the same */
} zbq_ending;

/* ---- shared memory ------------------------------------------------------ */

/** The producer writes, consumers only read. */
typedef struct zbq_control_region {
    ZBQ_ALIGNAS(64) uint64_t producer_head; /**< all below it is readable */
    uint64_t floor;    /**< all below it may be overwritten at any time; a message starts there */
    uint64_t newest;   /**< the newest commit, or the one before, starts there */
    uint8_t pad0_[40]; /**< zero */
    uint32_t broadcast_futex;  /**< counts wake-ups, records, evictions and the end */
    uint8_t pad1_[60];         /**< zero */
    int32_t producer_pid;      /**< as its own pid namespace numbers it; for people */
    uint8_t pad2_[60];         /**< zero */
    uint64_t ring_capacity;    /**< constant, as are the next two */
    uint64_t clog_threshold;   /**< as given to zbq_producer_create */
    uint64_t stall_timeout_ns; /**< as given to zbq_producer_create */
    uint32_t closed;           /**< not 0 once the producer was destroyed: the head is final */
    uint32_t pad3_;            /**< zero */
    uint64_t awaited_tail;     /**< a tail that reaches this is awaited; 0: none is */
    uint8_t reserved[8];       /**< zero */
    uint8_t ring_id[16];       /**< constant: random, of this ring alone */
} zbq_control_region;

/** Where a consumer says that it sleeps, and the futex word that it sleeps on. */
typedef struct zbq_parking {
    ZBQ_ALIGNAS(64)
    uint32_t parked;  /**< set when it goes to sleep; bit 0: on this word, bit 1: it polls */
    uint8_t pad_[60]; /**< zero */
} zbq_parking;

/** How many places to park a consumer's page has. */
#define ZBQ_PARKING_PLACES 62

/** One page for each consumer and join, shared with the producer alone. Each
 * cache line has one writer but for `parked`, which the consumer sets and either
 * side clears. Consumers park at different places of their pages, so that these, which
 * the producer reads at each commit, fall on different sets of its cache. */
typedef struct zbq_consumer_metadata {
    ZBQ_ALIGNAS(4096) uint64_t tail_offset; /**< consumer: all below it is released */
    uint64_t progress_timestamp; /**< consumer: when it last released, about, after join_baseline */
    uint64_t join_baseline;      /**< producer, once: CLOCK_MONOTONIC at the join */
    uint64_t lost_bytes;         /**< consumer: what an observer has lost so far; for people */
    uint8_t pad0_[32];           /**< zero */
    uint32_t eviction;           /**< producer: a zbq_eviction */
    uint32_t pad1_;              /**< zero */
    uint64_t quiet_until;        /**< producer: it need not wake it before then, CLOCK_MONOTONIC */
    uint8_t pad2_[48];           /**< zero */
    zbq_parking parking[ZBQ_PARKING_PLACES]; /**< slot i uses i % ZBQ_PARKING_PLACES */
} zbq_consumer_metadata;

/** What every message in the ring starts with. The producer's application fills
 * it in; the payload follows, and the next message starts at the next multiple of
 * ZBQ_MSG_ALIGN. */
typedef struct zbq_msg_header {
    ZBQ_ALIGNAS(16) uint32_t payload_len; /**< 0 to 2^32 - 1 */
    uint8_t fd_count;                     /**< 0 to ZBQ_MAX_FD_PER_MSG */
    uint8_t flags;                        /**< the application's own */
    uint16_t reserved;                    /**< zero; of a retained message its key: zbq_msg_key */
    uint64_t seq_id;                      /**< of its descriptors' record; 0 with none */
} zbq_msg_header;

/** Sent by the producer with the descriptors of a join. */
typedef struct zbq_join_payload {
    uint64_t ring_capacity;    /**< as in the control region */
    uint64_t join_baseline;    /**< as in the consumer's page */
    uint64_t initial_head;     /**< the consumer's first message starts here */
    int32_t producer_pid;      /**< as in the control region */
    uint32_t slot_index;       /**< the consumer has it until it leaves or is evicted */
    uint32_t wakeup_mode;      /**< a zbq_wakeup_mode */
    uint32_t protocol_version; /**< ZBQ_PROTOCOL_VERSION */
    uint64_t seq_floor;        /**< records up to this id went out before the join */
    uint64_t type_hash;        /**< a zbq_type */
    uint32_t type_size;        /**< the same */
    uint32_t type_align;       /**< the same */
} zbq_join_payload;

/** Of docs/protocol.md; a consumer refuses any other. */
#define ZBQ_PROTOCOL_VERSION 2

/** @cond */
#define ZBQ_ASSERT_AT(type, field, offset)                                                         \
    ZBQ_STATIC_ASSERT(offsetof(type, field) == (offset), #type "." #field " is at " #offset)
#define ZBQ_ASSERT_SIZE(type, size, align)                                                         \
    ZBQ_STATIC_ASSERT(sizeof(type) == (size), #type " is " #size);                                 \
    ZBQ_STATIC_ASSERT(ZBQ_ALIGNOF(type) == (align), #type " aligns at " #align)
#if defined(__cplusplus)
#define ZBQ_ALIGNOF(type) alignof(type)
#else
#define ZBQ_ALIGNOF(type) _Alignof(type)
#endif

ZBQ_ASSERT_SIZE(zbq_control_region, 256, 64);
ZBQ_ASSERT_AT(zbq_control_region, producer_head, 0);
ZBQ_ASSERT_AT(zbq_control_region, floor, 8);
ZBQ_ASSERT_AT(zbq_control_region, newest, 16);
ZBQ_ASSERT_AT(zbq_control_region, broadcast_futex, 64);
ZBQ_ASSERT_AT(zbq_control_region, producer_pid, 128);
ZBQ_ASSERT_AT(zbq_control_region, ring_capacity, 192);
ZBQ_ASSERT_AT(zbq_control_region, clog_threshold, 200);
ZBQ_ASSERT_AT(zbq_control_region, stall_timeout_ns, 208);
ZBQ_ASSERT_AT(zbq_control_region, closed, 216);
ZBQ_ASSERT_AT(zbq_control_region, awaited_tail, 224);
ZBQ_ASSERT_AT(zbq_control_region, reserved, 232);
ZBQ_ASSERT_AT(zbq_control_region, ring_id, 240);
ZBQ_ASSERT_SIZE(zbq_consumer_metadata, 4096, 4096);
ZBQ_ASSERT_AT(zbq_consumer_metadata, tail_offset, 0);
ZBQ_ASSERT_AT(zbq_consumer_metadata, progress_timestamp, 8);
ZBQ_ASSERT_AT(zbq_consumer_metadata, join_baseline, 16);
ZBQ_ASSERT_AT(zbq_consumer_metadata, lost_bytes, 24);
ZBQ_ASSERT_AT(zbq_consumer_metadata, eviction, 64);
ZBQ_ASSERT_AT(zbq_consumer_metadata, quiet_until, 72);
ZBQ_ASSERT_AT(zbq_consumer_metadata, parking, 128);
ZBQ_ASSERT_SIZE(zbq_parking, 64, 64);
ZBQ_ASSERT_SIZE(zbq_msg_header, 16, 16);
ZBQ_ASSERT_AT(zbq_msg_header, payload_len, 0);
ZBQ_ASSERT_AT(zbq_msg_header, fd_count, 4);
ZBQ_ASSERT_AT(zbq_msg_header, flags, 5);
ZBQ_ASSERT_AT(zbq_msg_header, reserved, 6);
ZBQ_ASSERT_AT(zbq_msg_header, seq_id, 8);
ZBQ_ASSERT_SIZE(zbq_join_payload, 64, 8);
ZBQ_ASSERT_AT(zbq_join_payload, ring_capacity, 0);
ZBQ_ASSERT_AT(zbq_join_payload, join_baseline, 8);
ZBQ_ASSERT_AT(zbq_join_payload, initial_head, 16);
ZBQ_ASSERT_AT(zbq_join_payload, producer_pid, 24);
ZBQ_ASSERT_AT(zbq_join_payload, slot_index, 28);
ZBQ_ASSERT_AT(zbq_join_payload, wakeup_mode, 32);
ZBQ_ASSERT_AT(zbq_join_payload, protocol_version, 36);
ZBQ_ASSERT_AT(zbq_join_payload, seq_floor, 40);
ZBQ_ASSERT_AT(zbq_join_payload, type_hash, 48);
ZBQ_ASSERT_AT(zbq_join_payload, type_size, 56);
ZBQ_ASSERT_AT(zbq_join_payload, type_align, 60);
/** @endcond */

/* ---- handles, parameters, results --------------------------------------- */

/** The one who publishes; made by zbq_producer_create. */
typedef struct zbq_producer zbq_producer;

/** One who reads; made by zbq_consumer_join. */
typedef struct zbq_consumer zbq_consumer;

/** For zbq_producer_create. */
typedef struct zbq_producer_params {
    uint64_t ring_capacity;    /**< a multiple of 4096 and of the page size, not 0 */
    uint64_t clog_threshold;   /**< failed attempts in a row before a scan; 0 is as 1 */
    uint64_t stall_timeout_ns; /**< how long a consumer may hold back; 0: for ever */
    uint32_t max_consumers;    /**< at one time; not 0 */
} zbq_producer_params;

/** Where a consumer starts to read, for zbq_producer_admit. (ring id, logical offset) names a
 * message for ever. */
typedef struct zbq_start {
    uint32_t at;         /**< a zbq_start_at */
    uint32_t reserved;   /**< zero */
    uint64_t offset;     /**< ZBQ_START_OFFSET: where a message starts, or the head;
                              ZBQ_START_LAST and ZBQ_START_WITHIN: a number of bytes */
    uint8_t ring_id[16]; /**< ZBQ_START_OFFSET: of the ring that the offset is of; all zero: of
                              whichever this is */
} zbq_start;

/** What an observer has missed, from zbq_consumer_lost. */
typedef struct zbq_loss {
    uint64_t bytes; /**< that were overwritten before it read them, and what it skipped then */
    uint64_t times; /**< how often it was lapped */
} zbq_loss;

/** How much of a producer's time may be spent waiting for one consumer, however it
 * moves: so much at once, which comes back at so much a second. Who uses it up is
 * evicted (ZBQ_EVICTION_SLOW). */
typedef struct zbq_patience {
    uint64_t at_once_ns;    /**< what there is at first, and at most */
    uint64_t per_second_ns; /**< what comes back in each second, up to at_once_ns */
} zbq_patience;

/** For zbq_producer_set_patience: every consumer, those that join later included. */
#define ZBQ_ALL_CONSUMERS UINT32_MAX

/** What the payloads of a ring are, in the application's own terms. Told to every
 * consumer at its join; the library does not look at payloads. All zero: not told. */
typedef struct zbq_type {
    uint64_t hash;  /**< of a name or schema, as both sides agree */
    uint32_t size;  /**< of each payload; 0: they vary */
    uint32_t align; /**< at most ZBQ_MSG_ALIGN */
} zbq_type;

/** A span of the ring that the producer may write. `base` stays valid until the
 * next commit, query or reserve. */
typedef struct zbq_contiguous_run {
    void *base;         /**< what may be written */
    uint64_t max_bytes; /**< 0: clogged, and base is NULL */
    uint64_t offset;    /**< logical offset of base: the producer's head */
} zbq_contiguous_run;

/** The fast part of a producer, from zbq_producer_window: for zbq_window_commit of
 * zbq/inline.h, and to be written by nothing else. */
typedef struct zbq_commit_window {
    uint64_t head;               /**< all below it is committed */
    uint64_t limit;              /**< of the run that may be committed; head: there is none */
    char *next;                  /**< where the head is in the ring */
    zbq_control_region *control; /**< where the head is published */
    zbq_parking *const *parking; /**< to look at with each commit */
    uint32_t parking_count;      /**< how many there are */
    uint32_t unusual;            /**< not 0: a commit has more to do */
    zbq_producer *producer;      /**< whose it is */
} zbq_commit_window;

/** A message, in place. The pointers stay valid until the consumer publishes a
 * tail past it, is evicted or is destroyed. An evicted reader's bytes may change
 * under it: see zbq_consumer_valid. Use payload_len from here, never again from
 * the header: a hostile producer may have changed that since it was checked. */
typedef struct zbq_msg_view {
    const zbq_msg_header *header; /**< in the ring */
    const void *payload;          /**< in the ring */
    uint64_t payload_len;         /**< as it was when it was checked */
    uint64_t logical_offset;      /**< of the header */
    uint64_t total_len;           /**< 16 + payload_len; publish rounds it up */
} zbq_msg_view;

/** What there is to know of a message that was copied. */
typedef struct zbq_msg_copy {
    zbq_msg_header header;   /**< payload_len is that of the copy */
    uint64_t logical_offset; /**< of the header in the ring */
} zbq_msg_copy;

/** The fast part of a consumer, from zbq_consumer_window: for zbq_window_next and what else
 * zbq/inline.h has, and to be written by nothing else. Later versions may add to its end. */
typedef struct zbq_read_window {
    uint64_t cursor;                   /**< where zbq_consumer_next reads: up to here it was read */
    uint64_t head;                     /**< last acquired, and found valid */
    uint64_t tail;                     /**< all below it is released */
    const char *next;                  /**< where the cursor is in the ring */
    const char *ring;                  /**< its bytes, twice in a row */
    uint64_t capacity;                 /**< of the ring */
    const zbq_control_region *control; /**< as zbq_consumer_ctrl */
    zbq_consumer_metadata *page;       /**< as zbq_consumer_meta */
    zbq_consumer *consumer;            /**< whose it is */
    uint32_t unusual;                  /**< not 0: reading is for the calls */
    uint32_t observes;                 /**< not 0: an observer's */
} zbq_read_window;

/** Of a ring, from zbq_producer_stats. */
typedef struct zbq_producer_statistics {
    uint64_t head;          /**< bytes committed since the start */
    uint64_t slowest_tail;  /**< the least of the tails, read now; head with no consumer */
    uint64_t joined;        /**< consumers that ever got a slot */
    uint64_t evicted[7];    /**< by zbq_eviction; [0] is their sum */
    uint64_t failures;      /**< failed attempts to get room or to send descriptors */
    uint64_t scans;         /**< of all consumers */
    uint64_t wakes;         /**< wake-ups made: FUTEX_WAKE, or a record on an event socket */
    uint32_t consumers;     /**< slots taken now */
    uint32_t max_consumers; /**< slots */
} zbq_producer_statistics;

/** Of a slot, from zbq_producer_consumer_info. */
typedef struct zbq_consumer_info {
    uint64_t lag;           /**< bytes committed that it has not released */
    uint64_t join_number;   /**< 1 for the first join of this ring, then 2, … */
    int32_t pid;            /**< as the kernel told at a scan; 0 while unknown */
    uint32_t slot_index;    /**< also the one asked for */
    uint32_t mode;          /**< a zbq_wakeup_mode */
    uint32_t eviction;      /**< a zbq_eviction */
    uint32_t fds_in_flight; /**< descriptors sent to it and not collected */
    uint32_t reserved;      /**< zero */
    uint64_t tail;          /**< up to here it has released; one that was evicted may still look at
                                 what lies past it, also at descriptors that it collected */
    uint64_t dropped_records; /**< of descriptors: an observer had no room for them */
} zbq_consumer_info;

/** A ring's statistics page, of another process as a rule; made by zbq_stats_open. */
typedef struct zbq_stats zbq_stats;

/** Bytes of a name in the statistics, the zero at its end included. */
#define ZBQ_NAME_SIZE 112

/** For zbq_ring_stats: no slot. */
#define ZBQ_NO_SLOT UINT32_MAX

/** Of a ring, from zbq_stats_read. Times are nanoseconds of the producer's CLOCK_MONOTONIC: what
 * lies between two of them is exact, and a clock of another time namespace may differ. Later
 * versions may add to the end. */
typedef struct zbq_ring_stats {
    uint8_t ring_id[16];       /**< as in the control region */
    uint64_t written_at;       /**< when this account was written */
    uint64_t created_at;       /**< when the ring was made */
    uint64_t capacity;         /**< of the ring */
    uint64_t head;             /**< bytes committed since the start */
    uint64_t slowest_tail;     /**< the least of the tails; head with no consumer to wait for */
    uint64_t stall_timeout_ns; /**< as given to zbq_producer_create */
    uint64_t full_ns;          /**< how long the producer has waited for room, by its looks at it */
    uint64_t joined;           /**< consumers that ever got a slot */
    uint64_t failures;         /**< as in zbq_producer_statistics, as are the next three */
    uint64_t scans;            /**< of all consumers */
    uint64_t wakes;            /**< wake-ups made */
    uint64_t evicted[8];       /**< by zbq_eviction; [0] is their sum */
    zbq_type payload_type;     /**< all zero: not told */
    int32_t pid;               /**< as the producer's own pid namespace numbers it */
    uint32_t consumers;        /**< slots taken */
    uint32_t max_consumers;    /**< slots */
    uint32_t slots;            /**< those that zbq_stats_slot knows: the first of them */
    uint32_t slowest_slot;     /**< who is furthest behind of those that hold the stream back, or
                                    hold descriptors back; ZBQ_NO_SLOT: nobody does */
    uint32_t closed;           /**< not 0 once the producer was destroyed: the last account */
    char name[ZBQ_NAME_SIZE];  /**< what the producer calls the ring (zbq_producer_set_name): any
                                    bytes, with a zero at the end; not to be printed unseen */
    uint8_t reserved[32];      /**< zero */
} zbq_ring_stats;

/** Of a slot, from zbq_stats_slot: of the consumer that has it, or had it last. */
typedef struct zbq_slot_stats {
    uint64_t join_number;   /**< 1 for the first join of this ring; 0: nobody ever had the slot */
    uint64_t joined_at;     /**< when; times as in zbq_ring_stats */
    uint64_t evicted_at;    /**< when it lost the slot; 0: it has it */
    uint64_t moved_at;      /**< the first account with this tail: since then it has not moved */
    uint64_t tail;          /**< up to here it has released */
    uint64_t lag;           /**< bytes committed that it has not released */
    uint64_t times_slowest; /**< how often a look found the producer waiting for room, and nobody
                                 further behind than this one */
    uint64_t held_ns;       /**< how long the producer has waited, by its looks, with this one in
                                 the way: as zbq_producer_set_patience counts */
    uint64_t lost_bytes; /**< by an observer's own word: what was overwritten before it read it */
    uint64_t dropped_records; /**< of descriptors: an observer had no room for them */
    int32_t pid;              /**< as the kernel told the producer; 0 while unknown */
    uint32_t uid;             /**< of who connected, as the producer's user namespace has it */
    uint32_t mode;            /**< a zbq_wakeup_mode */
    uint32_t eviction;        /**< a zbq_eviction: why it lost the slot; 0: it has it */
    uint32_t fds_in_flight;   /**< descriptors sent to it and not collected, when last asked */
    uint32_t in_the_way;      /**< bit 0: the producer waits for its room; bit 1: for it to collect
                                   descriptors */
    uint8_t reserved[24];     /**< zero */
} zbq_slot_stats;

/** @cond */
ZBQ_ASSERT_SIZE(zbq_ring_stats, 352, 8);
ZBQ_ASSERT_AT(zbq_ring_stats, ring_id, 0);
ZBQ_ASSERT_AT(zbq_ring_stats, written_at, 16);
ZBQ_ASSERT_AT(zbq_ring_stats, created_at, 24);
ZBQ_ASSERT_AT(zbq_ring_stats, capacity, 32);
ZBQ_ASSERT_AT(zbq_ring_stats, head, 40);
ZBQ_ASSERT_AT(zbq_ring_stats, slowest_tail, 48);
ZBQ_ASSERT_AT(zbq_ring_stats, stall_timeout_ns, 56);
ZBQ_ASSERT_AT(zbq_ring_stats, full_ns, 64);
ZBQ_ASSERT_AT(zbq_ring_stats, joined, 72);
ZBQ_ASSERT_AT(zbq_ring_stats, failures, 80);
ZBQ_ASSERT_AT(zbq_ring_stats, scans, 88);
ZBQ_ASSERT_AT(zbq_ring_stats, wakes, 96);
ZBQ_ASSERT_AT(zbq_ring_stats, evicted, 104);
ZBQ_ASSERT_AT(zbq_ring_stats, payload_type, 168);
ZBQ_ASSERT_AT(zbq_ring_stats, pid, 184);
ZBQ_ASSERT_AT(zbq_ring_stats, consumers, 188);
ZBQ_ASSERT_AT(zbq_ring_stats, max_consumers, 192);
ZBQ_ASSERT_AT(zbq_ring_stats, slots, 196);
ZBQ_ASSERT_AT(zbq_ring_stats, slowest_slot, 200);
ZBQ_ASSERT_AT(zbq_ring_stats, closed, 204);
ZBQ_ASSERT_AT(zbq_ring_stats, name, 208);
ZBQ_ASSERT_AT(zbq_ring_stats, reserved, 320);
ZBQ_ASSERT_SIZE(zbq_slot_stats, 128, 8);
ZBQ_ASSERT_AT(zbq_slot_stats, join_number, 0);
ZBQ_ASSERT_AT(zbq_slot_stats, joined_at, 8);
ZBQ_ASSERT_AT(zbq_slot_stats, evicted_at, 16);
ZBQ_ASSERT_AT(zbq_slot_stats, moved_at, 24);
ZBQ_ASSERT_AT(zbq_slot_stats, tail, 32);
ZBQ_ASSERT_AT(zbq_slot_stats, lag, 40);
ZBQ_ASSERT_AT(zbq_slot_stats, times_slowest, 48);
ZBQ_ASSERT_AT(zbq_slot_stats, held_ns, 56);
ZBQ_ASSERT_AT(zbq_slot_stats, lost_bytes, 64);
ZBQ_ASSERT_AT(zbq_slot_stats, dropped_records, 72);
ZBQ_ASSERT_AT(zbq_slot_stats, pid, 80);
ZBQ_ASSERT_AT(zbq_slot_stats, uid, 84);
ZBQ_ASSERT_AT(zbq_slot_stats, mode, 88);
ZBQ_ASSERT_AT(zbq_slot_stats, eviction, 92);
ZBQ_ASSERT_AT(zbq_slot_stats, fds_in_flight, 96);
ZBQ_ASSERT_AT(zbq_slot_stats, in_the_way, 100);
ZBQ_ASSERT_AT(zbq_slot_stats, reserved, 104);
/** @endcond */

/* ---- producer ----------------------------------------------------------- */

/** Makes a ring: reserves, maps and seals all memory. On success *out is a handle
 * that zbq_producer_destroy releases; on any failure it is NULL. Consumers come in by
 * zbq_producer_handshake.
 *
 * @retval ZBQ_ERROR_INVALID out or params is NULL; ring_capacity is 0 or not a multiple
 *     of 4096 (or of the page size, where that is larger);
 *     max_consumers is 0
 * @retval ZBQ_ERROR_NOMEM the memory could not be reserved
 * @retval ZBQ_ERROR_IO another system call failed, or this kernel does not enforce
 *     F_SEAL_FUTURE_WRITE (Linux 5.1; pidfds need 5.3)
 */
ZBQ_API int zbq_producer_create(zbq_producer **out, const zbq_producer_params *params);

/** Ends the stream, wakes every sleeping consumer and releases everything. The
 * consumers read on to the end of what was committed. NULL is ignored. In a forked
 * child it releases the child's copies and leaves the stream alone. */
ZBQ_API void zbq_producer_destroy(zbq_producer *prod);

/** Gives the process at the other end of conn_fd a slot: sends one message with
 * the join payload and the descriptors, which zbq_consumer_join receives there.
 * conn_fd is a connected Unix socket of any type and stays the caller's. The
 * consumer starts with the next message committed.
 *
 * On failure the slot is free again and nothing leaks.
 *
 * @retval ZBQ_ERROR_INVALID prod or out_slot_id is NULL, mode is neither, or conn_fd is
 *     not a Unix socket
 * @retval ZBQ_ERROR_NOENT no slot is free; or the socket was connected by another user than the
 *     producer's, and 8 handshakes with that user or 32 in all are not answered by a join yet,
 *     or waking a consumer of that user that is gone has cost more than its share makes good in
 *     100 ms
 * @retval ZBQ_ERROR_NOMEM memory for the consumer's page could not be reserved
 * @retval ZBQ_ERROR_IO the peer is gone or its socket full, or another system call
 *     failed
 */
ZBQ_API int zbq_producer_handshake(zbq_producer *prod, int conn_fd, zbq_wakeup_mode mode,
                                   uint32_t *out_slot_id);

/** As zbq_producer_handshake, with a start in the past: the consumer reads what is still whole of
 * the ring from there, observer or not. The last fifteen sixteenths of the capacity, less the
 * largest run reserved or queried (twice that, where such a run held several messages), are kept:
 * each message that starts there. NULL starts at the head.
 *
 * The producer knows the start of some message in each thirty-second of the ring: history starts
 * with the last that it knows at or before what is asked for, and zbq_consumer_skip goes on to
 * that. Where it starts is told by the join: zbq_consumer_tail of a new consumer. An offset below
 * the oldest message, or of another ring, starts at the oldest.
 *
 * @retval ZBQ_ERROR_INVALID as for zbq_producer_handshake; start->at is none; or the offset is of
 *     this ring and past the head
 * @retval ZBQ_ERROR_NOENT as for zbq_producer_handshake
 * @retval ZBQ_ERROR_NOMEM as for zbq_producer_handshake
 * @retval ZBQ_ERROR_IO as for zbq_producer_handshake */
ZBQ_API int zbq_producer_admit(zbq_producer *prod, int conn_fd, zbq_wakeup_mode mode,
                               const zbq_start *start, uint32_t *out_slot_id);

/** Publishes a message that is kept under a key, in place of an earlier one of that key: each
 * newcomer gets it before its first message (zbq_consumer_retained), those who are there by its
 * place in the stream. A few, for what changes seldom: formats, snapshots, pools of buffers. The
 * payload is copied. Descriptors are those of the record with header->seq_id, which was broadcast
 * before (zbq_producer_broadcast_fds) with the same descriptors; they stay the caller's, copies
 * are kept. Of the header payload_len, fd_count, flags and seq_id count; payload and fds may be
 * NULL where there are none. A key is 1 to 32,767. Gives up an open run.
 *
 * @retval ZBQ_OK it is retained, and published
 * @retval ZBQ_ERROR_INVALID prod, header, payload or fds is NULL, key is none, or no such record
 *     was broadcast after those of all that is retained
 * @retval ZBQ_ERROR_AGAIN no room in the ring, as for zbq_producer_reserve: nothing has changed
 * @retval ZBQ_ERROR_OVERFLOW larger than the ring; or more than 64 keys, 1 MiB or
 *     ZBQ_MAX_FD_PER_MSG descriptors would be retained in all
 * @retval ZBQ_ERROR_NOMEM no memory for the copy
 * @retval ZBQ_ERROR_IO another system call failed */
ZBQ_API int zbq_producer_retain(zbq_producer *prod, uint16_t key, const zbq_msg_header *header,
                                const void *payload, const int *fds);

/** Retains a message no more, which an empty message tells in the stream: zbq_msg_key names the
 * key, and zbq_msg_is_forgotten says so.
 *
 * @retval ZBQ_ERROR_INVALID prod is NULL, or key is none
 * @retval ZBQ_ERROR_NOENT nothing is retained under that key
 * @retval ZBQ_ERROR_AGAIN no room in the ring: nothing has changed
 * @retval ZBQ_ERROR_NOMEM no memory for what is left
 * @retval ZBQ_ERROR_IO another system call failed */
ZBQ_API int zbq_producer_forget(zbq_producer *prod, uint16_t key);

/** Where zbq_producer_admit would start.
 *
 * @retval ZBQ_OK *out_offset is the logical offset
 * @retval ZBQ_ERROR_INVALID an argument is NULL, or start is none, as for zbq_producer_admit */
ZBQ_API int zbq_producer_find_start(const zbq_producer *prod, const zbq_start *start,
                                    uint64_t *out_offset);

/** Whether every consumer but the observers has released all below a logical offset: what
 * travelled with those messages (a buffer in another memory, say) may be used again. A consumer
 * that was evicted has not: zbq_consumer_info names its tail. Asked in vain this is a failed
 * attempt as one for room: who is in the way for too long is evicted, and the event descriptor
 * (zbq_producer_event_fd) tells when to ask again.
 *
 * @retval ZBQ_OK they have, or there are none
 * @retval ZBQ_ERROR_INVALID prod is NULL, or offset is past the head
 * @retval ZBQ_ERROR_AGAIN not yet */
ZBQ_API int zbq_producer_released(zbq_producer *prod, uint64_t offset);

/** The control region: for its ring_id, and to look at. NULL for NULL. */
ZBQ_API const zbq_control_region *zbq_producer_ctrl(const zbq_producer *prod);

/** Says what the payloads are, to consumers that join from now on. See
 * zbq_consumer_type.
 *
 * @retval ZBQ_ERROR_INVALID prod or type is NULL, or a consumer has joined already */
ZBQ_API int zbq_producer_set_type(zbq_producer *prod, const zbq_type *type);

/** Limits how long the producer waits for a consumer: beside the stall timeout, which ends
 * one that does not move, this ends one that is slow. What counts is the time in which the
 * producer waited for room, or to send descriptors, and this consumer was in the way: by the
 * producer's clock, from look to look, and no more than a quarter of the stall timeout from one
 * look to the next (25 ms where that is 0), so that a time in which
 * the producer itself did not run does not count. slot is the consumer's, from
 * zbq_producer_handshake, or ZBQ_ALL_CONSUMERS. The patience is copied; NULL takes the limit away,
 * as at the start.
 *
 * @retval ZBQ_ERROR_INVALID prod is NULL, or slot is out of range
 * @retval ZBQ_ERROR_NOENT the slot is free */
ZBQ_API int zbq_producer_set_patience(zbq_producer *prod, uint32_t slot,
                                      const zbq_patience *patience);

/** The largest run of writable bytes up to the physical end of the ring. It may be
 * shorter than a message wants because the end is near: zbq_producer_reserve has
 * no such limit.
 *
 * max_bytes is 0 when the slowest consumer has left no room. That counts as a
 * failed attempt, and so does asking again, with nothing committed since, and
 * getting no more. Every clog_threshold failed attempts in a row run a scan (see
 * zbq_producer_scan), after which the run is computed again. NULL gives an empty
 * run. Makes no system call but in a scan, and where zbq_producer_event_fd says. */
ZBQ_API zbq_contiguous_run zbq_producer_query(zbq_producer *prod);

/** A run of at least `bytes`, which may lie across the physical end of the ring:
 * the ring is mapped twice in a row, so that it is one span all the same.
 * out->max_bytes tells all the room that was known of, up to the capacity. Commit
 * it as a queried run. Failed attempts count as for zbq_producer_query.
 *
 * @retval ZBQ_ERROR_INVALID prod or out is NULL, bytes is 0
 * @retval ZBQ_ERROR_OVERFLOW bytes is more than the capacity: it can never succeed
 * @retval ZBQ_ERROR_AGAIN clogged: a consumer has yet to release that much
 */
ZBQ_API int zbq_producer_reserve(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out);

/** Publishes the first written_bytes of the run last queried or reserved: whole
 * messages, each a zbq_msg_header, its payload, and padding to a multiple of
 * ZBQ_MSG_ALIGN. Each run can be committed once; 0 bytes gives it up.
 *
 * Unknown flags are ignored. Makes no system call unless a consumer is parked.
 *
 * @return true; or false, with nothing changed, when prod is NULL, written_bytes is more
 *     than the run or not a multiple of ZBQ_MSG_ALIGN, or there is no run */
ZBQ_API bool zbq_producer_commit(zbq_producer *prod, uint64_t written_bytes,
                                 zbq_commit_flags flags);

/** For zbq_window_commit of zbq/inline.h, which commits without a call.
 *
 * @return the producer's window, valid until the producer is destroyed. NULL for NULL. */
ZBQ_API zbq_commit_window *zbq_producer_window(zbq_producer *prod);

/** What zbq_window_commit leaves to the library: wakes those who are parked, and more that is
 * unusual. NULL is ignored. */
ZBQ_API void zbq_producer_finish_commit(zbq_producer *prod);

/** 1, 2, 3, …: the id that ties a message to the record of its descriptors. 0 for
 * NULL. */
ZBQ_API uint64_t zbq_producer_next_seq_id(zbq_producer *prod);

/** Sends one record with fd_count descriptors to every push-mode consumer, before
 * or after the commit of the message that has the same seq_id; zbq_consumer_recv_fds
 * collects it. The caller keeps the descriptors and may close them at once. Ids must
 * rise from record to record.
 * A record is begun only when every push-mode consumer has room for it. It can still take several
 * calls, where the kernel's limit makes it go out in turns; a consumer that joins after
 * it was begun never gets it. One that is given up when it has gone to some (a later id is
 * broadcast) is taken back, or not counted against those who have it.
 *
 * fd_count 0 is ZBQ_OK and no work.
 *
 * @retval ZBQ_ERROR_INVALID prod or fds is NULL, seq_id is 0 or older than the newest
 *     one broadcast, fd_count is over ZBQ_MAX_FD_PER_MSG, or one of
 *     the descriptors is bad: then nobody got anything
 * @retval ZBQ_ERROR_AGAIN a consumer's side socket is full, it has
 *     ZBQ_MAX_FD_IN_FLIGHT to collect, or all that are in flight would be more than
 *     half of RLIMIT_NOFILE (unless it is this one record alone), or the kernel's limit is
 *     reached: call again with the same seq_id and descriptors,
 *     which sends only to those that miss them. It counts as a failed
 *     attempt (see zbq_producer_query)
 */
ZBQ_API int zbq_producer_broadcast_fds(zbq_producer *prod, uint64_t seq_id, const int *fds,
                                       uint8_t fd_count);

/** A descriptor that becomes readable when it is worth while to try again what was
 * refused for want of room: a consumer has released what was asked for, has collected
 * descriptors, has left, or is due for eviction. For poll, epoll and the like, level- or
 * edge-triggered; never read from it. It is the producer's: do not close it. The same
 * descriptor each time.
 *
 * From the first call on, each zbq_producer_reserve, zbq_producer_query and
 * zbq_producer_broadcast_fds that finds no room asks the consumers to ring, and makes a few
 * system calls for it; it evicts those that are due, so that no zbq_producer_scan is needed
 * while waiting. After it has given "no room" (ZBQ_ERROR_AGAIN, or a run that a consumer's tail
 * makes too small), wait for
 * the descriptor and try again: whatever else has succeeded in between. A run of a query that
 * ends at the physical end of the ring does not grow by waiting. The descriptor is readable from
 * the start; and while something is awaited, again and again at times that grow with the time
 * waited so far, up to 2 ms, so that a consumer which releases and does not ring
 * cannot make the producer wait for longer than twice as long. Consumers make a system call only
 * when they are asked to.
 *
 * While nothing is awaited it can become readable because a consumer has left, or rang
 * late: zbq_producer_scan clears it then, as it does at the start.
 *
 * @return the descriptor, or:
 * @retval ZBQ_ERROR_INVALID prod is NULL
 * @retval ZBQ_ERROR_NOMEM no memory for it
 * @retval ZBQ_ERROR_IO it could not be made */
ZBQ_API int zbq_producer_event_fd(zbq_producer *prod);

/** Looks at every consumer and evicts:
 *   - the dead: a socket of theirs hung up, or the process exited;
 *   - those that published a tail that cannot be;
 *   - the stalled: those that have held back the ring, or a descriptor record, for
 *     stall_timeout_ns in which they have released less than the producer waits for or a
 *     sixteenth of the capacity, whichever is less (of records: of ZBQ_MAX_FD_IN_FLIGHT), by
 *     the producer's clock, since the first look that found the producer waiting. From one
 *     look to the next no more than a quarter of that counts: time in which the producer did
 *     not run is no evidence. A consumer with nothing to read is never stalled;
 *   - the slow: see zbq_producer_set_patience.
 *
 * Makes a system call or two for each consumer.
 *
 * @retval ZBQ_ERROR_INVALID prod is NULL */
ZBQ_API int zbq_producer_scan(zbq_producer *prod);

/** Counters of the ring. Reads every consumer's page.
 * @retval ZBQ_ERROR_INVALID prod or out is NULL */
ZBQ_API int zbq_producer_stats(zbq_producer *prod, zbq_producer_statistics *out);

/** What is known of the consumer in a slot.
 * @retval ZBQ_ERROR_INVALID prod or out is NULL, slot is out of range
 * @retval ZBQ_ERROR_NOENT the slot is free; *out tells of the one last evicted from it
 *     (join_number 0: there was none) */
ZBQ_API int zbq_producer_consumer_info(zbq_producer *prod, uint32_t slot, zbq_consumer_info *out);

/* ---- a producer's statistics for others ---------------------------------- */

/** What people call this ring, in its statistics: copied, at most ZBQ_NAME_SIZE bytes with the zero
 * at its end. NULL: it has no name, as at the start.
 *
 * @retval ZBQ_ERROR_INVALID prod is NULL
 * @retval ZBQ_ERROR_OVERFLOW too long: the name stays as it was */
ZBQ_API int zbq_producer_set_name(zbq_producer *prod, const char *name);

/** The descriptor of this ring's statistics page: memory that others can map read-only, and read
 * while the producer is busy or stopped, and when it is gone (zbq_stats_open). It is the
 * producer's: do not close it; it may be passed to anyone who may know what is in it. Made by the
 * first call: a producer that is never asked pays nothing. From then on an account of the ring and
 * of each slot is written there at each join, eviction and scan, at failed attempts a millisecond
 * apart or more, and at the end; never by a commit, unless that evicts.
 *
 * @return the descriptor, or:
 * @retval ZBQ_ERROR_INVALID prod is NULL
 * @retval ZBQ_ERROR_NOMEM the memory could not be reserved
 * @retval ZBQ_ERROR_IO another system call failed */
ZBQ_API int zbq_producer_stats_fd(zbq_producer *prod);

/** Writes an account now, with the tails as they are and the descriptors in flight: for a producer
 * that does nothing else that writes one. Makes a system call for each consumer whose process is
 * not known yet or that has descriptors to collect. Does nothing before the page was asked for.
 *
 * @retval ZBQ_ERROR_INVALID prod is NULL */
ZBQ_API int zbq_producer_refresh_stats(zbq_producer *prod);

/** Refreshes the statistics, and sends their descriptor over a connected Unix socket of any type,
 * for zbq_stats_receive at the other end. The socket stays the caller's. Takes no slot. Who gets
 * it can only read.
 *
 * @retval ZBQ_ERROR_INVALID prod is NULL, or the descriptor is not a Unix socket
 * @retval ZBQ_ERROR_NOENT the socket was connected by another user than the producer's, and as many
 *     joins and statistics sent to that user, or to all such, are not answered yet as
 *     zbq_producer_handshake allows: what was sent counts until the other end is closed
 * @retval ZBQ_ERROR_NOMEM as for zbq_producer_stats_fd
 * @retval ZBQ_ERROR_IO the peer is gone or its socket full, or another system call failed */
ZBQ_API int zbq_producer_send_stats(zbq_producer *prod, int socket);

/** Maps a statistics page read-only, which may be of a hostile producer: all that matters is
 * checked, and what is in it can do nothing to who reads it. The descriptor stays the caller's.
 *
 * @retval ZBQ_ERROR_INVALID out is NULL
 * @retval ZBQ_ERROR_PROTOCOL it is no such page: unsealed, too large, of another kind or version
 * @retval ZBQ_ERROR_NOMEM no memory or address space
 * @retval ZBQ_ERROR_IO another system call failed */
ZBQ_API int zbq_stats_open(int fd, zbq_stats **out);

/** Receives what zbq_producer_send_stats sent, and opens it. Blocks as the socket does: for ever,
 * for its SO_RCVTIMEO, or not at all. Close the socket then: that tells the producer that the page
 * was taken. On failure every descriptor received is closed.
 *
 * @retval ZBQ_ERROR_INVALID out is NULL, or the descriptor is not a Unix socket
 * @retval ZBQ_ERROR_AGAIN nothing there yet, or a signal came first
 * @retval ZBQ_ERROR_PROTOCOL malformed, or no such page
 * @retval ZBQ_ERROR_NOMEM no memory or address space
 * @retval ZBQ_ERROR_IO the peer is gone, the process is out of descriptors, or
 *     another system call failed */
ZBQ_API int zbq_stats_receive(int socket, zbq_stats **out);

/** Copies the newest account, all of one moment, and gives that of the ring. size is sizeof *out:
 * what this library or the producer's does not know of it is zero.
 *
 * @retval ZBQ_ERROR_INVALID stats or out is NULL
 * @retval ZBQ_ERROR_AGAIN the producer writes too fast, or is hostile: the account read last
 *     stands */
ZBQ_API int zbq_stats_read(zbq_stats *stats, zbq_ring_stats *out, uint64_t size);

/** The account of a slot, of the moment that zbq_stats_read has last given; size as there.
 *
 * @retval ZBQ_ERROR_INVALID stats or out is NULL
 * @retval ZBQ_ERROR_NOENT nobody ever had that slot, or it is out of range; or nothing was read */
ZBQ_API int zbq_stats_slot(const zbq_stats *stats, uint32_t slot, zbq_slot_stats *out,
                           uint64_t size);

/** Unmaps the page. NULL is ignored. */
ZBQ_API void zbq_stats_close(zbq_stats *stats);

/* ---- consumer ----------------------------------------------------------- */

/** Receives what zbq_producer_handshake sent, checks every byte and descriptor of
 * it and maps the ring. rendezvous_fd is a Unix socket connected to the producer's
 * conn_fd and stays the caller's. Blocks as that socket does: for ever, for its
 * SO_RCVTIMEO, or not at all. On failure every descriptor received is closed. Mapping takes
 * time with the ring's size, a fifth of a millisecond for a megabyte, so that no access
 * faults later.
 *
 * @retval ZBQ_ERROR_INVALID out is NULL, mode is neither, or the descriptor is not a
 *     Unix socket
 * @retval ZBQ_ERROR_AGAIN nothing there yet, or a signal came first
 * @retval ZBQ_ERROR_PROTOCOL malformed, unsealed, of the wrong size or kind, or a mode
 *     other than the producer's
 * @retval ZBQ_ERROR_NOMEM no memory or address space
 * @retval ZBQ_ERROR_IO the peer is gone, the process is out of descriptors, or
 *     another system call failed
 */
ZBQ_API int zbq_consumer_join(int rendezvous_fd, zbq_wakeup_mode mode, zbq_consumer **out);

/** Leaves the ring and releases everything, also descriptors received but not
 * collected. Views become invalid. NULL is ignored. */
ZBQ_API void zbq_consumer_destroy(zbq_consumer *cons);

/** Whether the producer's process runs: true until it has exited, also after it
 * destroyed the ring, or has executed another program; that its stream has ended then is what
 * zbq_consumer_peek tells after this call. false for NULL. Makes one system call. */
ZBQ_API bool zbq_consumer_is_producer_alive(zbq_consumer *cons);

/** What the producer said that its payloads are (zbq_producer_set_type): all zero when
 * it said nothing. Its word: check the length of each message all the same.
 *
 * @retval ZBQ_ERROR_INVALID cons or out is NULL */
ZBQ_API int zbq_consumer_type(const zbq_consumer *cons, zbq_type *out);

/** The producer's head now. 0 for NULL. */
ZBQ_API uint64_t zbq_consumer_acquire_head(const zbq_consumer *cons);

/** A view of the message at the tail, which stays where it is.
 *
 * @retval ZBQ_ERROR_INVALID cons or out is NULL
 * @retval ZBQ_ERROR_AGAIN nothing new
 * @retval ZBQ_ERROR_NOENT evicted; or the producer ended the stream (or was found
 *     dead) and all of it was read
 * @retval ZBQ_ERROR_PROTOCOL the stream is malformed; it stays so
 */
ZBQ_API int zbq_consumer_peek(zbq_consumer *cons, zbq_msg_view *out);

/** As zbq_consumer_peek, for the message after the one this call last gave; starts
 * at the tail. Walks a batch that a single zbq_consumer_publish then releases. */
ZBQ_API int zbq_consumer_next(zbq_consumer *cons, zbq_msg_view *out);

/** What zbq_consumer_next would give, with nothing taken.
 *
 * @retval ZBQ_OK there is a message
 * @retval ZBQ_ERROR_INVALID cons is NULL
 * @retval ZBQ_ERROR_AGAIN nothing new
 * @retval ZBQ_ERROR_NOENT evicted, or the end, as for zbq_consumer_peek
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_API int zbq_consumer_look(zbq_consumer *cons);

/** For zbq_window_next and zbq_window_release of zbq/inline.h, which read and release without a
 * call. Calls and inline functions may be mixed.
 *
 * @return the consumer's window, valid until it is destroyed. NULL for NULL. */
ZBQ_API zbq_read_window *zbq_consumer_window(zbq_consumer *cons);

/** The rest of a zbq_window_release that has released what the producer sleeps for; to be called by
 * that alone. Makes a system call. Nothing for NULL. */
ZBQ_API void zbq_consumer_ring(zbq_consumer *cons);

/** A message that was retained when this consumer joined: all that are, in the order in which they
 * were retained. What changed since comes in the stream. The view stays valid until the consumer is
 * destroyed. Its descriptors are collected as any others, before those of messages in the stream:
 * with zbq_consumer_recv_fds and the header's seq_id. The index is 0, 1, 2, and so on.
 *
 * @retval ZBQ_OK *out is the message; logical_offset is its place in the stream
 * @retval ZBQ_ERROR_INVALID cons or out is NULL
 * @retval ZBQ_ERROR_NOENT there are no more
 * @retval ZBQ_ERROR_PROTOCOL malformed */
ZBQ_API int zbq_consumer_retained(const zbq_consumer *cons, uint32_t index, zbq_msg_view *out);

/** Where an observer goes on: skips all before, which counts as lost only where it was
 * overwritten. All is released.
 *
 * @retval ZBQ_OK done; there may be nothing to read there
 * @retval ZBQ_ERROR_INVALID cons is NULL or no observer, or to is none
 * @retval ZBQ_ERROR_AGAIN the producer is too fast for a look: nothing has changed
 * @retval ZBQ_ERROR_NOENT evicted
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_API int zbq_consumer_seek(zbq_consumer *cons, zbq_seek_to to);

/** Where an observer goes on when it was lapped: at the oldest message, unless this says otherwise,
 * and in any case where the producer is too fast for a look for another place.
 *
 * @retval ZBQ_ERROR_INVALID cons is NULL or no observer, or to is none */
ZBQ_API int zbq_consumer_set_resume(zbq_consumer *cons, zbq_seek_to to);

/** Goes on to the message at a logical offset, or past it: all before is taken and released,
 * without a look at more than its headers. For one who has joined with ZBQ_START_OFFSET or
 * ZBQ_START_LAST.
 *
 * @retval ZBQ_OK the next message starts there; or an observer was lapped on the way, which
 *     zbq_consumer_lost tells
 * @retval ZBQ_ERROR_INVALID cons is NULL; or none starts there: the next one is the first after it
 * @retval ZBQ_ERROR_AGAIN so much is not committed yet; or it has gone on for as many bytes as the
 *     ring has
 * @retval ZBQ_ERROR_NOENT evicted, or the end, as for zbq_consumer_peek
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_API int zbq_consumer_skip(zbq_consumer *cons, uint64_t offset);

/** What this observer has missed. Where it was, a message's logical offset tells: it is not where
 * the one before ended.
 *
 * @retval ZBQ_ERROR_INVALID cons or out is NULL */
ZBQ_API int zbq_consumer_lost(const zbq_consumer *cons, zbq_loss *out);

/** Copies the payload of the next message, takes it and releases it: what it gives was whole. For
 * an observer it goes on after a message that was overwritten meanwhile.
 *
 * buffer has room for size bytes; it may be NULL where size is 0. Where something before it
 * is not released yet, it is released when zbq_consumer_publish has released that, or by the next
 * copy.
 *
 * @retval ZBQ_OK copied
 * @retval ZBQ_ERROR_OVERFLOW larger than size: nothing was taken, out->header.payload_len tells its
 *     size
 * @retval ZBQ_ERROR_INVALID cons, out, or buffer is NULL
 * @retval ZBQ_ERROR_AGAIN nothing new; or overwritten again and again
 * @retval ZBQ_ERROR_NOENT evicted, or the end, as for zbq_consumer_peek
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_API int zbq_consumer_copy(zbq_consumer *cons, void *buffer, uint64_t size, zbq_msg_copy *out);

/** Whether all from the tail on that was read was whole. Asked after reading a message's bytes: of
 * a consumer, whether it still has its slot, since the producer marks an evicted one before
 * anything that it may be reading is overwritten; of an observer, whether the floor is still below
 * its tail. false for NULL. Makes no system call. */
ZBQ_API bool zbq_consumer_valid(const zbq_consumer *cons);

/** Moves the tail to new_tail, rounded up to a multiple of ZBQ_MSG_ALIGN, so that
 * logical_offset + total_len is right for any message: all before it is released
 * to the producer and must not be read any more. Ignored when that is behind the
 * tail or past the head last acquired (by any look for messages, or
 * zbq_consumer_acquire_head), and for NULL. Makes no system call unless the producer sleeps until
 * this room is released (zbq_producer_event_fd). */
ZBQ_API void zbq_consumer_publish(zbq_consumer *cons, uint64_t new_tail);

/** Collects the descriptors of the message that has expected_seq_id, into an array
 * with room for ZBQ_MAX_FD_PER_MSG. They are close-on-exec and the caller's to
 * close. Records older than that are closed on the way. Do not use it on a producer
 * that you do not trust: a descriptor can do more than carry data.
 *
 * @retval ZBQ_ERROR_INVALID an argument is NULL
 * @retval ZBQ_ERROR_AGAIN not there yet; zbq_consumer_wait_broadcast waits for records
 *     as it does for messages
 * @retval ZBQ_ERROR_NOENT it never comes: a later record is there (which is kept), the
 *     record went out before this consumer joined, the consumer is
 *     in pull mode, or the stream ended
 * @retval ZBQ_ERROR_PROTOCOL a truncated or malformed record; all of it was closed
 * @retval ZBQ_ERROR_NOMEM no memory for the call; the record is still there
 * @retval ZBQ_ERROR_IO another system call failed
 */
ZBQ_API int zbq_consumer_recv_fds(zbq_consumer *cons, uint64_t expected_seq_id, int *out_fds,
                                  uint8_t *out_fd_count);

/** A number that changes with every event that one may wait for; what zbq_consumer_wait
 * compares. Take it, look whether there is anything to read (zbq_consumer_peek), and wait
 * only when there is not. 0 for NULL. */
ZBQ_API uint32_t zbq_consumer_get_futex_token(const zbq_consumer *cons);

/** Sleeps until the number differs from the token: a commit, a descriptor record, the
 * end of the stream, an eviction. BLOCKS, but returns at least every
 * ZBQ_WAIT_SLICE_NS, so that a caller can keep a deadline; a producer that was
 * killed is noticed within that time. Push mode only.
 *
 * @retval ZBQ_OK the number differs: look again
 * @retval ZBQ_ERROR_AGAIN woken for nothing, by a signal, or at the end of the slice:
 *     take a new token and call again
 * @retval ZBQ_ERROR_NOENT evicted; or the producer is gone and all was read
 * @retval ZBQ_ERROR_INVALID cons is NULL or in pull mode
 * @retval ZBQ_ERROR_IO the kernel refused the call
 */
ZBQ_API int zbq_consumer_wait_broadcast(zbq_consumer *cons, uint32_t token);

/** As zbq_consumer_wait_broadcast, for timeout_ns nanoseconds at the most, and never for
 * more than ZBQ_WAIT_SLICE_NS. BLOCKS for so long. With 0 it only looks. */
ZBQ_API int zbq_consumer_wait(zbq_consumer *cons, uint32_t token, uint64_t timeout_ns);

/** Looks again and again until there is something to read, for timeout_ns nanoseconds at the
 * most; UINT64_MAX: for ever. BLOCKS, and keeps its processor busy; in pull mode too. Where
 * more was read since the last call than that had found, messages come faster than one at a
 * time: then it leaves two microseconds before it looks, which lets both sides go faster. A
 * producer that was killed is noticed within a few thousand looks of one or several calls.
 * Does not clear the event descriptor.
 *
 * @retval ZBQ_OK there is a message
 * @retval ZBQ_ERROR_INVALID cons is NULL
 * @retval ZBQ_ERROR_AGAIN not in that time
 * @retval ZBQ_ERROR_NOENT evicted, or the end, as for zbq_consumer_peek
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_API int zbq_consumer_spin(zbq_consumer *cons, uint64_t timeout_ns);

/** A descriptor that becomes readable when there is something to do: a message, a record
 * of descriptors, the end of the stream, the producer's death, an eviction. For poll,
 * epoll and the like, level- or edge-triggered; never read from it. It is the consumer's:
 * do not close it. The same descriptor each time. Push mode only.
 *
 * Use it as a socket: when it is readable, read until zbq_consumer_peek, next or look, or
 * zbq_window_next (or zbq_consumer_recv_fds) gives ZBQ_ERROR_AGAIN, which clears it and asks the
 * producer to ring; then wait. It is readable from the start, and once more for nothing 50
 * microseconds or so after a call that cleared it. At the end of the stream it stays readable.
 *
 * From the first call on, a call that gives ZBQ_ERROR_AGAIN makes a few system
 * calls. The producer makes one for a consumer that waits so, and none for one that reads.
 *
 * @return the descriptor, or:
 * @retval ZBQ_ERROR_INVALID cons is NULL or in pull mode
 * @retval ZBQ_ERROR_NOMEM no memory for it
 * @retval ZBQ_ERROR_IO it could not be made */
ZBQ_API int zbq_consumer_event_fd(zbq_consumer *cons);

/** How the stream stands: why a call gave ZBQ_ERROR_NOENT or ZBQ_ERROR_PROTOCOL. An
 * eviction comes before anything else; *out_eviction, unless NULL, gets its reason (a
 * zbq_eviction). A producer's death is known once a call has met it: zbq_consumer_wait or
 * spin, zbq_consumer_is_producer_alive, or one that cleared the event descriptor. Makes no
 * system call. ZBQ_ENDING_NONE for NULL. */
ZBQ_API zbq_ending zbq_consumer_ending(const zbq_consumer *cons, uint32_t *out_eviction);

/** The consumer's tail: where zbq_consumer_peek reads. 0 for NULL. */
ZBQ_API uint64_t zbq_consumer_tail(const zbq_consumer *cons);

/** The control region, mapped read-only: valid until zbq_consumer_destroy. Its
 * words change under the reader. NULL for NULL. */
ZBQ_API const zbq_control_region *zbq_consumer_ctrl(const zbq_consumer *cons);

/** The consumer's own page: valid until zbq_consumer_destroy. For reading; a
 * consumer that writes there cheats nobody but gets itself evicted. NULL for NULL. */
ZBQ_API zbq_consumer_metadata *zbq_consumer_meta(zbq_consumer *cons);

/* ---- memory ------------------------------------------------------------- */

/** Makes memory to be passed to other processes by its descriptor, a buffer for frames
 * for instance: a memfd of so many bytes, which need not be whole pages, that can be sealed,
 * with every page allocated. It is not mapped. Any thread; does not block, but takes some
 * 0.3 ms for each MiB.
 *
 * @return the descriptor, close-on-exec, which is the caller's to close, or:
 * @retval ZBQ_ERROR_INVALID a size of 0
 * @retval ZBQ_ERROR_NOMEM there is not so much, or RLIMIT_FSIZE allows less: an error here, where
 * to write further would be a signal
 * @retval ZBQ_ERROR_IO a system call failed; errno is its */
ZBQ_API int zbq_memory_create(uint64_t size);

/* ---- about -------------------------------------------------------------- */

/** What an error code means, in English, in static memory; never NULL. */
ZBQ_API const char *zbq_strerror(int error);

/** What an eviction reason means, in English, in static memory; never NULL. */
ZBQ_API const char *zbq_strevict(uint32_t eviction);

/** major << 16 | minor << 8 | patch of the library that runs; compare with
 * ZBQ_VERSION_MAJOR and so on, which are the header's. */
ZBQ_API uint32_t zbq_version(void);

#if defined(__cplusplus)
}
#endif

#endif /* ZBQ_H */

/* ---- include/zbq/inline.h ---- */

/**
 * @file
 * The fast path without a call: what a message costs is a few instructions in the caller's own
 * loop. For C and C++; zbq.hpp uses it. The calls in zbq.h do the same, and check more.
 *
 * Everything here works on memory that the library has handed out. Orders and their partners
 * are those of src/atomics.hpp in the source tree, and docs/memory-order.md argues them.
 */
#ifndef ZBQ_INLINE_H
#define ZBQ_INLINE_H

/** For what is a few instructions where it is used, and many where it is called. */
#define ZBQ_INLINE static inline __attribute__((always_inline))

#if defined(__cplusplus)
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast" /* C has no other */
#endif

/** zbq_window_commit, of bytes that are known to be there and a multiple of ZBQ_MSG_ALIGN. */
ZBQ_INLINE void zbq_window_publish(zbq_commit_window *window, uint64_t bytes) {
    const uint64_t start = window->head;
    window->head = start + bytes;
    window->next += bytes;
    /* Release: pairs with the consumer's head_acquire; carries the bytes below the head. */
    __atomic_store_n(&window->control->producer_head, start + bytes, __ATOMIC_RELEASE);
    /* Relaxed: a hint. An observer that sees it before the head starts at the head it sees. */
    __atomic_store_n(&window->control->newest, start, __ATOMIC_RELAXED);
    /* Instead of a full fence, for consumers that nap: the processor's own store buffer is all
     * that may delay the head, and the nap outlasts that. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint32_t unusual = window->unusual;
    for (uint32_t i = 0; i < window->parking_count; ++i) {
        /* Relaxed: a hint. Whoever finds it set takes it off, in one step. */
        unusual |= __atomic_load_n(&window->parking[i]->parked, __ATOMIC_RELAXED);
    }
    if (unusual != 0) {
        zbq_producer_finish_commit(window->producer);
    }
}

/** Publishes the first `bytes` of what the window's run has left: as zbq_producer_commit with
 * ZBQ_COMMIT_KEEP, without the call where nothing unusual is to be done. 0 bytes are not for it.
 *
 * The window is of zbq_producer_window, not NULL.
 *
 * @return true; or false, with nothing changed, when `bytes` is more than the run has or not a
 *     multiple of ZBQ_MSG_ALIGN */
ZBQ_INLINE bool zbq_window_commit(zbq_commit_window *window, uint64_t bytes) {
    if (bytes > window->limit - window->head || bytes % ZBQ_MSG_ALIGN != 0) {
        return false;
    }
    zbq_window_publish(window, bytes);
    return true;
}

/** Room for `bytes` at the window's head, where the next zbq_window_commit publishes from: as
 * zbq_producer_reserve, without the call where the last run has as much left.
 *
 * @retval ZBQ_OK *place is where it begins, aligned to ZBQ_MSG_ALIGN, until the next commit, query
 * or reserve
 * @retval ZBQ_ERROR_INVALID bytes is 0
 * @retval ZBQ_ERROR_OVERFLOW as for zbq_producer_reserve
 * @retval ZBQ_ERROR_AGAIN as for zbq_producer_reserve */
ZBQ_INLINE int zbq_window_reserve(zbq_commit_window *window, uint64_t bytes, void **place) {
    int result = ZBQ_OK;
    if (bytes > window->limit - window->head || bytes == 0) {
        zbq_contiguous_run run;
        result = zbq_producer_reserve(window->producer, bytes, &run);
    }
    *place = window->next;
    return result;
}

/** Asks for the cache lines of `bytes` from `place` on, to write to: a message that is written
 * there later does not wait for them. Changes nothing; `place` may be any address. For the room a
 * little ahead of the message being written, so long as it is known to be free: it takes the lines
 * from readers. */
ZBQ_INLINE void zbq_prefetch_for_writing(const void *place, uint64_t bytes) {
    const uint64_t longest = 512; /* of those that do not fill the queue of misses by themselves */
    const uint64_t line = 64;
    const char *at =
        (const char *)place; /* the next one asks for its end, where that is a line's */
    const char *end = at + (bytes <= longest ? bytes : 0);
    for (; at < end; at += line) {
#if defined(__x86_64__)
        /* What __builtin_prefetch gives with -mprfchw only. Every x86-64 processor takes it, if
         * only to do nothing. */
        __asm__ volatile("prefetchw %0" : : "m"(*at));
#else
        __builtin_prefetch(at, 1);
#endif
    }
}

/** The key of a message that is, or was, retained (zbq_producer_retain).
 *
 * @return 0 for all others */
ZBQ_INLINE uint16_t zbq_msg_key(const zbq_msg_header *header) {
    return (uint16_t)(header->reserved & 0x7fffU);
}

/** What zbq_producer_forget publishes.
 *
 * @return whether it says that its key is retained no more */
ZBQ_INLINE bool zbq_msg_is_forgotten(const zbq_msg_header *header) {
    return (header->reserved & 0x8000U) != 0;
}

/** The hash of a type's name ("quote/1"), for zbq_type: what C++ and Rust put there for a channel
 * of that name. FNV-1a of 64 bits, up to the name's end. */
ZBQ_INLINE uint64_t zbq_type_hash(const char *name) {
    uint64_t value = 0xcbf29ce484222325U;
    for (; *name != '\0'; ++name) {
        value = (value ^ (uint8_t)*name) * 0x100000001b3U;
    }
    return value;
}

/** Takes over a head that can be: for the library and zbq_window_look.
 *
 * @return false, with nothing changed: none that is not hostile publishes such a one */
ZBQ_INLINE bool zbq_window_accept(zbq_read_window *window, uint64_t head) {
    if (head < window->head || head - window->tail > window->capacity ||
        head % ZBQ_MSG_ALIGN != 0) {
        return false;
    }
    window->head = head;
    if (window->next >= window->ring + window->capacity) {
        window->next -= window->capacity; /* the same bytes: the ring is mapped twice */
    }
    return true;
}

/** Looks for messages past those that are known, without a call.
 *
 * @return whether there are some. false tells nothing more: zbq_consumer_look does */
ZBQ_INLINE bool zbq_window_look(zbq_read_window *window) {
    /* Acquire: pairs with zbq_window_commit's store; carries the messages below the head. */
    const uint64_t head = __atomic_load_n(&window->control->producer_head, __ATOMIC_ACQUIRE);
    return head != window->head && (window->unusual | window->observes) == 0 &&
           zbq_window_accept(window, head);
}

/** For one who looks again and again: whether a call would tell anything but "nothing yet": of a
 * message, the end, an eviction. Asks for the next message's first lines, so that they travel
 * together with the head's, not after it.
 *
 * @return true: look again, with zbq_window_next or a call */
ZBQ_INLINE bool zbq_window_seems_ready(const zbq_read_window *window) {
    __builtin_prefetch(window->next);
    /* Which may lie behind the end of all that is mapped. */
    const uintptr_t second = (uintptr_t)window->next + 64;
    __builtin_prefetch((const void *)second); /* NOLINT(performance-no-int-to-ptr) */
    /* Relaxed: whoever finds something looks, with an acquire. */
    return __atomic_load_n(&window->control->producer_head, __ATOMIC_RELAXED) != window->cursor ||
           __atomic_load_n(&window->control->closed, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&window->page->eviction, __ATOMIC_RELAXED) != 0;
}

/** Asked after reading: of a consumer, whether it still has its slot; of an observer, whether the
 * floor is not above.
 *
 * @return whether all that was read of what lies at a logical offset or past it was whole */
ZBQ_INLINE bool zbq_window_valid_from(const zbq_read_window *window, uint64_t offset) {
    /* An acquire fence, then the load: pairs with eviction_mark, and with floor_publish. If a read
     * before this call saw a byte written after the mark or the floor, that is seen. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (window->observes != 0) {
        return __atomic_load_n(&window->control->floor, __ATOMIC_RELAXED) <= offset;
    }
    return __atomic_load_n(&window->page->eviction, __ATOMIC_RELAXED) == ZBQ_EVICTION_NONE;
}

/** As zbq_consumer_valid.
 *
 * @return whether all from the tail on that was read was whole */
ZBQ_INLINE bool zbq_window_valid(const zbq_read_window *window) {
    return zbq_window_valid_from(window, window->tail);
}

/** Describes the message at `place`, whose logical offset is `offset`: for the library and
 * zbq_window_next.
 *
 * @return false, with *out as it was: no message ends at or before the head */
ZBQ_INLINE bool zbq_window_view(const zbq_read_window *window, const char *place, uint64_t offset,
                                zbq_msg_view *out) {
    /* Where the next message starts is only known once this one's length has come: so that many
     * small ones do not wait for one line after the other, those further on are asked for, as far
     * as they are committed. */
    const uint64_t ahead = 1024;
    if (window->head - offset > ahead) {
        const uintptr_t later = (uintptr_t)place + ahead;
        __builtin_prefetch((const void *)later); /* NOLINT(performance-no-int-to-ptr) */
    }
    const zbq_msg_header *header = (const zbq_msg_header *)place;
    /* Relaxed: one load, whose copy is checked and used, for the producer may be hostile; the
     * load of the head has ordered it. */
    const uint64_t payload_len = __atomic_load_n(&header->payload_len, __ATOMIC_RELAXED);
    const uint64_t total_len = sizeof(zbq_msg_header) + payload_len;
    if (total_len > window->head - offset) { /* both are on the grid of messages */
        return false;
    }
    out->header = header;
    out->payload = header + 1;
    out->payload_len = payload_len;
    out->logical_offset = offset;
    out->total_len = total_len;
    return true;
}

/** As zbq_consumer_next, without the call where there is a message.
 *
 * @retval ZBQ_OK *out is the message
 * @retval ZBQ_ERROR_INVALID out is NULL, which is noticed where there is no message
 * @retval ZBQ_ERROR_AGAIN nothing new
 * @retval ZBQ_ERROR_NOENT evicted, or the end, as for zbq_consumer_peek
 * @retval ZBQ_ERROR_PROTOCOL malformed, as for zbq_consumer_peek */
ZBQ_INLINE int zbq_window_next(zbq_read_window *window, zbq_msg_view *out) {
    if (window->unusual == 0 && (window->cursor != window->head || zbq_window_look(window)) &&
        zbq_window_view(window, window->next, window->cursor, out) &&
        zbq_window_valid_from(window, window->cursor)) {
        const uint64_t step = (out->total_len + ZBQ_MSG_ALIGN - 1) & ~(uint64_t)(ZBQ_MSG_ALIGN - 1);
        window->next += step;
        window->cursor += step;
        return ZBQ_OK;
    }
    return zbq_consumer_next(window->consumer, out);
}

/** As zbq_consumer_publish, for what was read: without the call, unless the producer sleeps until
 * this room is released. Leaves the time in the page as it is.
 *
 * @return true; or false, with nothing changed, when new_tail, rounded up to ZBQ_MSG_ALIGN, is
 *     behind the tail or past the cursor */
ZBQ_INLINE bool zbq_window_release(zbq_read_window *window, uint64_t new_tail) {
    const uint64_t before = window->tail;
    const uint64_t tail = (new_tail + ZBQ_MSG_ALIGN - 1) & ~(uint64_t)(ZBQ_MSG_ALIGN - 1);
    if (tail - before > window->cursor - before) { /* unsigned: one behind is far ahead */
        return false;
    }
    window->tail = tail;
    /* Release: pairs with tail_acquire. Carries "my reads below it are done", so that the
     * producer's later writes there cannot be seen by them. */
    __atomic_store_n(&window->page->tail_offset, tail, __ATOMIC_RELEASE);
    /* Instead of a full fence, for a producer that naps: see await.cpp. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    /* Relaxed: it pairs by time alone. */
    const uint64_t awaited = __atomic_load_n(&window->control->awaited_tail, __ATOMIC_RELAXED);
    if (awaited > before && awaited <= tail) {
        zbq_consumer_ring(window->consumer);
    }
    return true;
}

#if defined(__cplusplus)
#pragma GCC diagnostic pop
}
#endif

#endif /* ZBQ_INLINE_H */

#if defined(ZBQ_IMPLEMENTATION) && !defined(ZBQ_IMPLEMENTED)
#define ZBQ_IMPLEMENTED
#if !defined(__cplusplus) || __cplusplus < 202002L
#error "ZBQ_IMPLEMENTATION is for a source file in C++20"
#else

/* ---- src/layout.hpp ---- */

// The picture of the shared memory, and the sizes that follow from it. The structs
// and their asserted offsets are in zbq.h; nothing else in the library knows a byte's
// place.
//
//   control region (256 bytes)        data ring (capacity), mapped twice in a row
//   +-------------------------+       +--------------------------+------------------ -
//   | producer_head           | P     | hdr|payload|hdr|payload| | the same again …
//   +-------------------------+       +--------------------------+------------------ -
//   | broadcast_futex         | P       ^ offset % capacity        ^ a message may lie across
//   +-------------------------+
//   | producer_pid            | P     consumer page (4096 bytes, one for each join)
//   +-------------------------+       +--------------------------+
//   | capacity, threshold,    | P     | tail, progress | baseline| C (baseline: P, once)
//   | timeout, closed,        |       +--------------------------+
//   | awaited_tail            |       | eviction, quiet_until    | P
//   +-------------------------+       +--------------------------+
//                                     | parked, at one of 62     | C sets, P and C clear
//   P: written by the producer        +--------------------------+
//   C: by that consumer
//
//   word            the worst that a hostile C can write     what that costs the others
//   tail            a tail that cannot be                     its own slot, at the next look
//                   one that never moves, or trickles         16 stall timeouts and a scan for a
//                                                             whole wait; less with patience
//   progress        anything                                  nothing: for people
//   parked          always set                                wake-ups for 1/(4n) of P's time, n
//                                                             consumers; a commit's look at a clock
//   baseline, eviction, quiet_until   anything                nothing: P never reads them back
//
// A hostile P can write anything into its words and the ring: a C checks heads and lengths, and its
// waits end with their slice. Bytes named reserved or pad are zero and belong to later versions of
// the protocol; docs/protocol.md has the table.

namespace zbq::core {

inline constexpr uint64_t control_size = sizeof(zbq_control_region);
inline constexpr uint64_t metadata_size = sizeof(zbq_consumer_metadata);

inline zbq_parking *parking_of(zbq_consumer_metadata *page, uint32_t slot_index) {
    return &page->parking[slot_index % ZBQ_PARKING_PLACES];
}

// What each of the two copies of a ring's statistics begins with; its words follow.
struct account_copy {
    uint64_t sequence;
    uint8_t pad_[56]; // zero
};
static_assert(sizeof(account_copy) == 64);

static_assert(sizeof(void *) == 8, "offsets and futex time-outs are those of 64-bit Linux");
static_assert(__atomic_always_lock_free(sizeof(uint64_t), nullptr), "shared words need it");
static_assert(__atomic_always_lock_free(sizeof(uint32_t), nullptr), "shared words need it");

} // namespace zbq::core

/* ---- src/limits.hpp ---- */

// All limits of the library that are its own, beside those of zbq.h, which users see. A limit on
// everything that the other side could ask for. docs/protocol.md has them as a table; a test
// compares the two.

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
inline constexpr uint64_t most_retained_bytes = 1048576;

// ---- sleeping and waking (wake.hpp, account.cpp, wake.cpp) ----

// A sleeper looks again by itself after so long: longer than a store stays in a processor's buffer,
// which is a microsecond at worst, and than the next.
inline constexpr uint64_t nap_ns = 50000;

// A reader that spins in a dense stream leaves so long between its looks. Half of it gains nine
// tenths, twice as long no more.
inline constexpr uint64_t gather_ns = 2000;

// A producer that does not look at each commit who is parked looks at one of those that are so
// long apart.
inline constexpr uint64_t look_interval_ns = 10000;

// So many consumers' marks are looked at by each commit; with more, the clock decides.
inline constexpr uint32_t most_marks = 8;

// All wake-ups together have one part in so many of the producer's time.
inline constexpr uint32_t wake_parts = 4;

// Wake-ups of one consumer that may come at once: its credit. Each costs a little beside its
// system calls.
inline constexpr int64_t most_wake_credit_ns = 100000;
inline constexpr int64_t wake_overhead_ns = 100;

// No honest wake-up takes longer, unless it is interrupted: then the next one is measured. What the
// producer's own thread spent on it is then too dear, so many times in a row.
inline constexpr uint64_t suspicious_wake_ns = 20000;
inline constexpr uint64_t dear_wake_ns = 1000000;
inline constexpr uint32_t most_dear_wakes = 3;

// ---- a producer that waits (stall.cpp, await.cpp) ----

// From one look to the next the stall clocks grow by one part in so many of the timeout at most.
inline constexpr uint32_t stall_looks = 4;

// In each timeout one part in so many of the ring, or of the descriptors in flight, is enough.
inline constexpr uint32_t stall_parts = 16;

// It looks by itself at least so often while it waits by its descriptor.
inline constexpr uint64_t longest_look_ns = 2000000;

// ---- joins (join.cpp, evict.cpp) ----

// That are not answered, in all and of one user other than the producer's own. Each keeps its
// descriptors in flight.
inline constexpr uint32_t most_unanswered = 32;
inline constexpr uint32_t most_unanswered_of_one = 8;
inline constexpr uint32_t join_descriptors = 6;

// How long one may stay unanswered where somebody else wants the slot.
inline constexpr uint64_t time_to_answer_ns = 5000000000;

// ---- statistics (statistics.cpp, inspect.cpp) ----

// Slots that have an account, and bytes of a page that is read: later versions' accounts may be
// longer.
inline constexpr uint32_t most_slots_told = 4096;
inline constexpr uint64_t most_statistics_bytes = 4194304;

// Failed attempts that are closer together are told of by one account.
inline constexpr uint64_t failure_interval_ns = 1000000;

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

/* ---- src/atomics.hpp ---- */

// The only place with atomics. One accessor for each word that two processes share,
// named by what it does, with its order and the access it pairs with. Loads of words
// that the other side can write give a local copy: check that, never the word again.
//
// Some accesses are in include/zbq/inline.h, because programs inline them: the store of the head
// with the look at `parked` that follows it; the look at the head, the load of a message's length,
// the question whether it was whole, and the store of the tail with the look at `awaited_tail`.
// docs/memory-order.md argues each pair; a model checker takes the place of the atomics of these
// two files, so nothing else touches a shared word.

namespace zbq::core {

// ---- head: the producer's release of message bytes ----

// Its store is in zbq_window_commit (include/zbq/inline.h), which programs inline. Acquire: pairs
// with that; carries the bytes of the messages below the head.
inline uint64_t head_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->producer_head, __ATOMIC_ACQUIRE);
}

// ---- floor: all below it may be overwritten ----

// Release: pairs with floor_acquire, carries the head, which it is never past. Then a release
// fence: pairs with zbq_window_valid_from. Message bytes that are written after this call are seen
// only by observers who then see this floor.
inline void floor_publish(zbq_control_region *control, uint64_t floor) {
    __atomic_store_n(&control->floor, floor, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Acquire: pairs with floor_publish. A head loaded after it is not below; and one loaded after a
// head is at most the capacity below that.
inline uint64_t floor_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->floor, __ATOMIC_ACQUIRE);
}

// Relaxed: a hint. A head loaded after it may be at it, or before.
inline uint64_t newest_seen(const zbq_control_region *control) {
    return __atomic_load_n(&control->newest, __ATOMIC_RELAXED);
}

// ---- tail: a consumer's release of ring space ----

// Its store is in zbq_window_release. Acquire: pairs with that. The value is the consumer's word:
// untrusted.
inline uint64_t tail_acquire(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->tail_offset, __ATOMIC_ACQUIRE);
}

// Relaxed: an observer's, of which the producer makes nothing.
inline void tail_note(zbq_consumer_metadata *page, uint64_t tail) {
    __atomic_store_n(&page->tail_offset, tail, __ATOMIC_RELAXED);
}

// Relaxed: carries nothing, decides nothing.
inline void progress_publish(zbq_consumer_metadata *page, uint64_t nanoseconds) {
    __atomic_store_n(&page->progress_timestamp, nanoseconds, __ATOMIC_RELAXED);
}

// ---- eviction: a sequence lock with a single turn ----

// The store, then a release fence: pairs with eviction_seen and zbq_window_valid_from. Message
// bytes that are written after this call are seen only by readers who then see the mark.
inline void eviction_mark(zbq_consumer_metadata *page, uint32_t reason) {
    __atomic_store_n(&page->eviction, reason, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Relaxed: why, for one who is told.
inline uint32_t eviction_reason(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->eviction, __ATOMIC_RELAXED);
}

// An acquire fence, then the load: pairs with eviction_mark, as zbq_window_valid_from does.
inline bool eviction_seen(const zbq_consumer_metadata *page) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return eviction_reason(page) != ZBQ_EVICTION_NONE;
}

// ---- bell: a count of events. Only the producer writes it ----

// Relaxed, for the single writer to count on from its own value.
inline uint32_t bell_own(const zbq_control_region *control) {
    return __atomic_load_n(&control->broadcast_futex, __ATOMIC_RELAXED);
}

// Release: pairs with bell_acquire. Carries the record, mark or close that it announces.
inline void bell_ring(zbq_control_region *control) {
    __atomic_store_n(&control->broadcast_futex, bell_own(control) + 1, __ATOMIC_RELEASE);
}

// Acquire: pairs with bell_ring.
inline uint32_t bell_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->broadcast_futex, __ATOMIC_ACQUIRE);
}

// ---- parked: a consumer is asleep, or about to be ----

// Bits of it.
inline constexpr uint32_t parked_on_futex = 1;
inline constexpr uint32_t parked_on_event = 2;

// The consumer's: adds a bit, then a full fence, and gives what there was before. Pairs with
// quiet_publish: of "I park" and "you are left alone until then" the consumer misses none that came
// before its mark was taken off last. With the head it pairs by time alone: see wake.hpp.
inline uint32_t park_announce(zbq_parking *place, uint32_t how) {
    const uint32_t before = __atomic_fetch_or(&place->parked, how, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return before;
}

// The consumer's, when it is awake. Acquire: pairs with parked_take; carries the event for which a
// mark was taken off.
inline void park_leave(zbq_parking *place, uint32_t how) {
    __atomic_fetch_and(&place->parked, ~how, __ATOMIC_ACQUIRE);
}

// Relaxed. The value is the consumer's word, and a hint; parked_take decides.
inline uint32_t parked_seen(const zbq_parking *place) {
    return __atomic_load_n(&place->parked, __ATOMIC_RELAXED);
}

// The producer's: takes the mark off, and gives it. In one step, so that no mark of another kind is
// lost between a load and a store. Release: pairs with park_leave, and with the kernel's look at
// the word in FUTEX_WAIT, which comes under the lock that FUTEX_WAKE takes.
inline uint32_t parked_take(zbq_parking *place) {
    return __atomic_exchange_n(&place->parked, 0U, __ATOMIC_RELEASE);
}

// The producer's: puts a mark back whose wake-up failed. Relaxed: its own next look finds it.
inline void parked_return(zbq_parking *place, uint32_t how) {
    __atomic_fetch_or(&place->parked, how, __ATOMIC_RELAXED);
}

// ---- quiet_until: how long the producer leaves a sleeper alone ----

// The store, then a full fence, before parked_take: pairs with quiet_after_park. A consumer whose
// mark comes after that taking sees this time, and does not sleep past it.
inline void quiet_publish(zbq_consumer_metadata *page, uint64_t monotonic_ns) {
    __atomic_store_n(&page->quiet_until, monotonic_ns, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Relaxed: the fence of park_announce comes before it. Pairs with quiet_publish.
inline uint64_t quiet_after_park(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->quiet_until, __ATOMIC_RELAXED);
}

// ---- awaited: the producer sleeps until room is released ----

// Relaxed: it pairs with the load in zbq_window_release by time alone (see await.cpp). Carries
// nothing.
inline void awaited_tail_publish(zbq_control_region *control, uint64_t tail) {
    __atomic_store_n(&control->awaited_tail, tail, __ATOMIC_RELAXED);
}

// ---- the count of retained messages ----

// Relaxed: constant, unless the producer is hostile.
inline uint32_t count_seen(const uint32_t *count) {
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

// ---- lost: an observer's account for people ----

// Relaxed: carries nothing, decides nothing.
inline void lost_publish(zbq_consumer_metadata *page, uint64_t bytes) {
    __atomic_store_n(&page->lost_bytes, bytes, __ATOMIC_RELAXED);
}

// Relaxed. The value is the consumer's word.
inline uint64_t lost_seen(const zbq_consumer_metadata *page) {
    return __atomic_load_n(&page->lost_bytes, __ATOMIC_RELAXED);
}

// ---- the statistics: two copies of an account, with a sequence lock each ----

// The store of an odd number, then a release fence: pairs with account_stands. Words that are
// written after this call are seen only by readers who then see this number, or a later one.
inline void account_begin(account_copy *copy, uint64_t odd) {
    __atomic_store_n(&copy->sequence, odd, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Release: pairs with account_acquire; carries the words of the account.
inline void account_end(account_copy *copy, uint64_t even) {
    __atomic_store_n(&copy->sequence, even, __ATOMIC_RELEASE);
}

// Acquire: pairs with account_end.
inline uint64_t account_acquire(const account_copy *copy) {
    return __atomic_load_n(&copy->sequence, __ATOMIC_ACQUIRE);
}

// An acquire fence, then the load: pairs with account_begin. Whether what was read since the
// number was acquired is all of that account.
inline bool account_stands(const account_copy *copy, uint64_t acquired) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&copy->sequence, __ATOMIC_RELAXED) == acquired;
}

// Relaxed: ordered by the sequence.
inline void account_word_publish(account_copy *copy, uint64_t number, uint64_t value) {
    __atomic_store_n(reinterpret_cast<uint64_t *>(copy + 1) + number, value, __ATOMIC_RELAXED);
}

inline uint64_t account_word_seen(const account_copy *copy, uint64_t number) {
    return __atomic_load_n(reinterpret_cast<const uint64_t *>(copy + 1) + number, __ATOMIC_RELAXED);
}

// ---- closed: the head is final ----

// Release: pairs with closed_acquire. Carries the last head.
inline void closed_publish(zbq_control_region *control) {
    __atomic_store_n(&control->closed, 1U, __ATOMIC_RELEASE);
}

// Acquire: pairs with closed_publish. A head loaded after it is the last one.
inline bool closed_acquire(const zbq_control_region *control) {
    return __atomic_load_n(&control->closed, __ATOMIC_ACQUIRE) != 0;
}

} // namespace zbq::core

/* ---- src/ring.hpp ---- */

// The arithmetic of the ring: pure functions of offsets, with no memory and no system
// behind them. Both sides call it; the tests and fuzzers call it too.
//
// Offsets are logical and grow for ever (2^64 bytes are centuries at any memory's speed),
// so differences never wrap.

namespace zbq::core {

constexpr uint64_t round_up(uint64_t bytes) {
    return (bytes + (ZBQ_MSG_ALIGN - 1)) & ~uint64_t{ZBQ_MSG_ALIGN - 1};
}

constexpr bool is_aligned(uint64_t offset) {
    return offset % ZBQ_MSG_ALIGN == 0;
}

constexpr bool capacity_is_valid(uint64_t capacity, uint64_t page_size) {
    return capacity != 0 && capacity <= capacity_limit && capacity % capacity_unit == 0 &&
           capacity % page_size == 0;
}

// Bytes that the producer may write before it would reach what the slowest consumer still
// reads.
constexpr uint64_t free_bytes(uint64_t head, uint64_t slowest_tail, uint64_t capacity) {
    return capacity - (head - slowest_tail);
}

// The two bits of a mode.
constexpr bool pulls(uint32_t mode) {
    return (mode & ZBQ_WAKEUP_PULL) != 0;
}

constexpr bool observes(uint32_t mode) {
    return (mode & ZBQ_OBSERVE_PUSH) != 0;
}

// Whether a tail that a consumer published can be: it never falls below the last one seen,
// never passes the head, and stays on the grid of messages.
constexpr bool tail_is_valid(uint64_t tail, uint64_t last_seen, uint64_t head) {
    return is_aligned(tail) && tail >= last_seen && tail <= head;
}

} // namespace zbq::core

/* ---- src/probes.hpp ---- */

// Static probes (USDT) for bpftrace, perf, SystemTap and gdb, where ZBQ_PROBES is defined: each is
// a nop, and a note in the binary that says where its arguments lie. None is in the way of a
// message. docs/tracing.md lists them.

#if defined(ZBQ_PROBES)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define ZBQ_PROBE(name, ...) STAP_PROBEV(zbq, name, __VA_ARGS__)
#else
#define ZBQ_PROBE(name, ...) static_cast<void>(0)
#endif

/* ---- src/os.hpp ---- */

// The only door to the kernel. Each function wraps one system call and gives its value
// or -errno; those that can be interrupted start again. Nothing here knows the protocol.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <poll.h>
#include <sys/types.h>

namespace zbq::core {

// A descriptor's one owner. -1 is none.
class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) : fd_(fd) {}
    unique_fd(const unique_fd &) = delete;
    unique_fd &operator=(const unique_fd &) = delete;
    unique_fd(unique_fd &&other) noexcept : fd_(other.release()) {}
    unique_fd &operator=(unique_fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

// The public code for a failed system call; leaves the call's own number in errno.
int error_from(int negative_errno);

// ---- process and time ----
uint64_t page_size();
uint64_t physical_memory();
pid_t process_id();
uint64_t monotonic_ns();
uint64_t monotonic_coarse_ns(); // a few nanoseconds to read, exact to a clock tick
uint64_t thread_time_ns();      // that this thread ran: a system call
uint64_t descriptor_limit();    // RLIMIT_NOFILE

// A clock that is cheap to read and runs at one rate, on all processors.
inline uint64_t ticks_now() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}
void yield_processor(); // to whoever else wants it

uint64_t ticks_in(uint64_t nanoseconds); // so many or fewer; 0: there is no such clock

int random_bytes(void *out, size_t size);

// ---- memory ----
int memfd_sealable(const char *name);
int reserve_memory(int fd, uint64_t size); // sets the size and allocates every page
int add_seals(int fd, int seals);
int get_seals(int fd);
int file_size(int fd, uint64_t *size);
int is_memory_file(int fd); // 1: tmpfs, and not hugetlb; 0: another
int map_shared(int fd, uint64_t size, int protection, void *at, void **out); // at: or NULL
int map_reserve(uint64_t size, void **out); // address space without access
int unmap(void *base, uint64_t size);
int hide_from_children(void *base, uint64_t size);
int map_page(void **out);                        // of this process's own
int wipe_in_children(void *base, uint64_t size); // they read zeros there
int first_hole(int fd, uint64_t *offset);        // its size, where there is none

// ---- sockets ----
bool is_unix_socket(int fd, int *type);
uid_t own_user();
uid_t peer_user(int fd); // who connected it; the overflow id for one that it cannot be told of
int socket_pair_seqpacket(unique_fd *first, unique_fd *second);
int socket_set(int fd, int option, int value);

// A receiver pays for the last close of a descriptor that it was sent, even unread, and that
// can take as long as the sender likes (SO_LINGER, FUSE). From 6.16 it can refuse them all, with
// SO_PASSRIGHTS; before, this does nothing.
void socket_refuse_descriptors(int fd);

// Whoever sends to a socket runs the filter that its owner has put on it: none any more.
void socket_lock_filter(int fd);
int socket_send_room(int fd, uint32_t *bytes); // as socket_unread_by_peer counts
int socket_unread_by_peer(int fd, uint32_t *accounted_bytes);
bool descriptor_is_open(int fd);
int duplicate(int fd); // close-on-exec

// ---- descriptors that gather events ----
int epoll_make(unique_fd *out);
int epoll_add(int epoll, int fd, uint32_t events, uint32_t tag);
void epoll_change(int epoll, int fd, uint32_t events, uint32_t tag);
void epoll_remove(int epoll, int fd);
inline constexpr unsigned events_at_once = 16;
int epoll_ready(int epoll, uint32_t (&tags)[events_at_once]); // how many, without waiting
int timer_make(unique_fd *out);
void timer_set(int timer, uint64_t monotonic_ns); // readable from then on; 0: never

// ---- processes and waiting ----
int pidfd_of(pid_t pid);
bool is_pidfd(int fd);
int poll_now(pollfd *fds, nfds_t count);
int futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
int futex_wake_one(const uint32_t *word);

} // namespace zbq::core

/* ---- src/os.cpp ---- */

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <climits>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

// Newer than Debian 12's headers; include/uapi/linux/memfd.h.
#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif

// include/uapi/asm-generic/socket.h.
#if !defined(SO_PASSRIGHTS)
#define SO_PASSRIGHTS 83
#endif

namespace zbq::core {

namespace {

int value_or_errno(int value) {
    return value < 0 ? -errno : value;
}

timespec to_timespec(uint64_t nanoseconds) {
    return {static_cast<time_t>(nanoseconds / 1000000000U),
            static_cast<long>(nanoseconds % 1000000000U)};
}

uint64_t clock_ns(clockid_t clock) {
    timespec now = {};
    clock_gettime(clock, &now); // cannot fail for these clocks and a valid address
    return static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec);
}

} // namespace

void unique_fd::reset(int fd) {
    if (fd_ >= 0) {
        const int kept = errno;
        close(fd_); // Linux frees the descriptor whatever close() says; a retry would race
        errno = kept;
    }
    fd_ = fd;
}

int error_from(int negative_errno) {
    errno = -negative_errno;
    const bool memory = errno == ENOMEM || errno == ENOSPC || errno == EFBIG;
    return memory ? ZBQ_ERROR_NOMEM : ZBQ_ERROR_IO;
}

uint64_t page_size() {
    return static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t physical_memory() {
    return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page_size();
}

pid_t process_id() {
    return getpid();
}

uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t monotonic_coarse_ns() {
    return clock_ns(CLOCK_MONOTONIC_COARSE);
}

uint64_t thread_time_ns() {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t descriptor_limit() {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit); // cannot fail for it and a valid address
    return limit.rlim_cur;
}

int random_bytes(void *out, size_t size) {
    const ssize_t got = getrandom(out, size, 0); // so few come whole, or not at all
    return got < 0 ? -errno : 0;
}

void yield_processor() {
    sched_yield();
}

uint64_t ticks_in([[maybe_unused]] uint64_t nanoseconds) {
#if defined(__x86_64__)
    // The time stamp counter, where it runs at one rate through all states of all processors
    // ("invariant TSC", AMD64 Architecture Programmer's Manual volume 3, CPUID Fn8000_0007). Its
    // rate is not told; none is below 1 GHz.
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    const bool steady = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8U)) != 0;
    return steady ? nanoseconds : 0;
#elif defined(__aarch64__)
    uint64_t frequency = 0;
    asm("mrs %0, cntfrq_el0" : "=r"(frequency));
    return nanoseconds * frequency / 1000000000;
#else
    return 0;
#endif
}

int memfd_sealable(const char *name) {
    // From 6.3 a memfd should say whether it may be executed, and vm.memfd_noexec=2 refuses
    // those that do not; older kernels answer EINVAL to the flag.
    const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd >= 0 || errno != EINVAL) {
        return value_or_errno(fd);
    }
    return value_or_errno(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

namespace {

// A file that would be longer than RLIMIT_FSIZE gets its maker a SIGXFSZ (inode_newsize_ok in the
// kernel): asked first.
bool is_within_file_limit(uint64_t size) {
    rlimit limit = {};
    getrlimit(RLIMIT_FSIZE, &limit); // cannot fail for it and a valid address
    return size <= limit.rlim_cur;   // RLIM_INFINITY is the largest number
}

// Before Linux 6.0 a signal that arrives meanwhile makes fallocate of a tmpfs file undo all that it
// did ("tmpfs: don't interrupt fallocate with EINTR"): a profiler's timer would let a large piece
// never end.
constexpr uint64_t allocation_piece = 256U << 10U;

int allocate_piece(int fd, uint64_t begin, uint64_t size) {
    int result = 0;
    do {
        result =
            value_or_errno(fallocate(fd, 0, static_cast<off_t>(begin), static_cast<off_t>(size)));
    } while (result == -EINTR);
    return result;
}

} // namespace

int reserve_memory(int fd, uint64_t size) {
    if (!is_within_file_limit(size)) {
        return -EFBIG;
    }
    // Said here, since the kernel would first hand out all the memory that there is.
    if (size > physical_memory()) {
        return -ENOMEM;
    }
    if (ftruncate(fd, static_cast<off_t>(size)) < 0) {
        return errno == EINVAL ? -EFBIG : -errno;
    }
    for (uint64_t begin = 0; begin < size; begin += allocation_piece) {
        const uint64_t left = size - begin;
        const uint64_t piece = left < allocation_piece ? left : allocation_piece;
        const int result = allocate_piece(fd, begin, piece);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int add_seals(int fd, int seals) {
    return value_or_errno(fcntl(fd, F_ADD_SEALS, seals));
}

int get_seals(int fd) {
    return value_or_errno(fcntl(fd, F_GET_SEALS));
}

int file_size(int fd, uint64_t *size) {
    struct stat status = {};
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    *size = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
    return 0;
}

int first_hole(int fd, uint64_t *offset) {
    const off_t found = lseek(fd, 0, SEEK_HOLE);
    if (found < 0) {
        return -errno;
    }
    *offset = static_cast<uint64_t>(found);
    return 0;
}

int is_memory_file(int fd) {
    struct statfs status = {};
    if (fstatfs(fd, &status) < 0) {
        return -errno;
    }
    return status.f_type == TMPFS_MAGIC ? 1 : 0;
}

namespace {

// EAGAIN is what a process with mlockall(MCL_FUTURE) gets that has reached RLIMIT_MEMLOCK.
int map_memory(void *at, uint64_t size, int protection, int flags, int fd, void **out) {
    void *base = mmap(at, size, protection, flags, fd, 0);
    if (base == MAP_FAILED) {
        return errno == EAGAIN ? -ENOMEM : -errno;
    }
    *out = base;
    return 0;
}

} // namespace

int map_shared(int fd, uint64_t size, int protection, void *at, void **out) {
    // Populated: else each page's first access is a fault, here and in every other process, which
    // costs several times as much and comes in the middle of the stream.
    const int flags = MAP_SHARED | MAP_POPULATE | (at != nullptr ? MAP_FIXED : 0);
    return map_memory(at, size, protection, flags, fd, out);
}

int map_reserve(uint64_t size, void **out) {
    return map_memory(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                      out);
}

int map_page(void **out) {
    return map_memory(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      out);
}

int unmap(void *base, uint64_t size) {
    return value_or_errno(munmap(base, size));
}

int hide_from_children(void *base, uint64_t size) {
    return value_or_errno(madvise(base, size, MADV_DONTFORK));
}

int wipe_in_children(void *base, uint64_t size) {
    return value_or_errno(madvise(base, size, MADV_WIPEONFORK));
}

bool is_unix_socket(int fd, int *type) {
    int domain = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain != AF_UNIX) {
        return false;
    }
    length = sizeof *type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &length) == 0;
}

uid_t own_user() {
    return geteuid();
}

uid_t peer_user(int fd) {
    constexpr uid_t overflow = 65534; // DEFAULT_OVERFLOWUID, include/linux/highuid.h
    ucred peer = {};
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.uid : overflow;
}

int socket_pair_seqpacket(unique_fd *first, unique_fd *second) {
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    first->reset(ends[0]);
    second->reset(ends[1]);
    return 0;
}

int socket_set(int fd, int option, int value) {
    return value_or_errno(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}

void socket_refuse_descriptors(int fd) {
    socket_set(fd, SO_PASSRIGHTS, 0); // ENOPROTOOPT before 6.16
}

void socket_lock_filter(int fd) {
    socket_set(fd, SO_LOCK_FILTER, 1); // Linux 3.9
}

int socket_send_room(int fd, uint32_t *bytes) {
    int size = 0;
    socklen_t length = sizeof size;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0) {
        return -errno;
    }
    *bytes = static_cast<uint32_t>(size);
    return 0;
}

int socket_unread_by_peer(int fd, uint32_t *accounted_bytes) {
    // For Unix sockets this is the memory of what was sent and not yet received (unix_outq_len
    // in net/unix/af_unix.c), buffers' overhead included.
    int queued = 0;
    if (ioctl(fd, SIOCOUTQ, &queued) < 0) {
        return -errno;
    }
    *accounted_bytes = static_cast<uint32_t>(queued);
    return 0;
}

int duplicate(int fd) {
    return value_or_errno(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

bool descriptor_is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

int epoll_make(unique_fd *out) {
    const int fd = value_or_errno(epoll_create1(EPOLL_CLOEXEC));
    if (fd < 0) {
        return fd;
    }
    out->reset(fd);
    return 0;
}

int epoll_add(int epoll, int fd, uint32_t events, uint32_t tag) {
    epoll_event event = {};
    event.events = events;
    event.data.u32 = tag;
    return value_or_errno(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

void epoll_change(int epoll, int fd, uint32_t events, uint32_t tag) {
    epoll_event event = {};
    event.events = events;
    event.data.u32 = tag;
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event); // cannot fail for one that was added
}

void epoll_remove(int epoll, int fd) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr); // ENOENT: it never was there
}

int epoll_ready(int epoll, uint32_t (&tags)[events_at_once]) {
    epoll_event events[events_at_once];
    const int count = epoll_wait(epoll, events, events_at_once, 0);
    for (int i = 0; i < count; ++i) {
        tags[i] = events[i].data.u32;
    }
    return value_or_errno(count);
}

int timer_make(unique_fd *out) {
    const int fd = value_or_errno(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (fd < 0) {
        return fd;
    }
    out->reset(fd);
    return 0;
}

void timer_set(int timer, uint64_t monotonic_ns) {
    itimerspec when = {};
    when.it_value = to_timespec(monotonic_ns);
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr); // cannot fail for such a time
}

int pidfd_of(pid_t pid) {
    return value_or_errno(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool is_pidfd(int fd) {
    // Signal 0 delivers nothing. EBADF is the answer for any other kind of descriptor; ESRCH
    // (exited) and EPERM (another user's, or a seccomp filter) come only after that check or
    // tell nothing against it.
    return syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == 0 || errno != EBADF;
}

int poll_now(pollfd *fds, nfds_t count) {
    int result = 0;
    do {
        result = value_or_errno(poll(fds, count, 0));
    } while (result == -EINTR);
    return result;
}

// The futex calls are without FUTEX_PRIVATE_FLAG: the word is shared between processes.
int futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    const timespec timeout = to_timespec(timeout_ns);
    return value_or_errno(
        static_cast<int>(syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0)));
}

int futex_wake_one(const uint32_t *word) {
    return value_or_errno(
        static_cast<int>(syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0)));
}

} // namespace zbq::core

/* ---- src/region.hpp ---- */

// Shared memory objects: made, reserved, sealed and mapped by the producer; checked and
// mapped by the consumer.

namespace zbq::core {

enum class sharing {
    read_only, // consumers can only ever read: control region and ring
    writable   // a consumer's own page
};

// A mapping's one owner. Children of fork() do not have it.
class mapping {
public:
    mapping() = default;
    mapping(void *base, uint64_t size) : base_(base), size_(size) {}
    mapping(const mapping &) = delete;
    mapping &operator=(const mapping &) = delete;
    mapping(mapping &&other) noexcept { swap(other); }
    mapping &operator=(mapping &&other) noexcept {
        swap(other);
        return *this;
    }
    ~mapping() { reset(); }

    [[nodiscard]] void *get() const { return base_; }
    [[nodiscard]] uint64_t size() const { return size_; }
    void reset();
    void forget() { base_ = nullptr; } // in a forked child: nothing is mapped there

private:
    void swap(mapping &other);

    void *base_ = nullptr;
    uint64_t size_ = 0;
};

// Tells the process that made it from its children by fork, whatever namespaces they are in and
// whatever their process number: their copy of the page reads as zero (MADV_WIPEONFORK, Linux
// 4.14).
class birthmark {
public:
    int make(); // 0 or -errno
    [[nodiscard]] bool is_own() const;

private:
    mapping page_;
};

struct region {
    unique_fd fd;
    mapping memory; // twice the size where mirrored
};

// All give 0 or -errno.
int region_create(const char *name, uint64_t size, bool mirrored, sharing how, region *out);

// The size of an object that somebody else has made, where it is sealed memory; else -EPROTO. A
// file of another kind may take long to tell its size.
int region_size(int fd, sharing how, uint64_t *size);

// The consumer's half: -EPROTO where the object is not what the protocol says, and only there.
// Keeps the mapping alone.
int region_open(int fd, uint64_t size, bool mirrored, sharing how, mapping *out);

} // namespace zbq::core

/* ---- src/region.cpp ---- */

#include <fcntl.h>
#include <sys/mman.h>

namespace zbq::core {

void mapping::reset() {
    if (base_ != nullptr) {
        unmap(base_, size_);
    }
    base_ = nullptr;
}

void mapping::swap(mapping &other) {
    void *base = base_;
    const uint64_t size = size_;
    base_ = other.base_;
    size_ = other.size_;
    other.base_ = base;
    other.size_ = size;
}

int birthmark::make() {
    void *base = nullptr;
    int result = map_page(&base);
    if (result < 0 || base == nullptr) { // never without the other
        return result;
    }
    page_ = mapping(base, page_size());
    result = wipe_in_children(base, page_size());
    if (result == 0) {
        *static_cast<bool *>(base) = true;
    }
    return result;
}

bool birthmark::is_own() const {
    return page_.get() != nullptr && *static_cast<const bool *>(page_.get());
}

namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// F_SEAL_FUTURE_WRITE (Linux 5.1) refuses writes and new writable mappings, through any
// descriptor of the file however it is opened, and leaves existing mappings alone.
int seals_for(sharing how) {
    return how == sharing::read_only ? size_seals | F_SEAL_FUTURE_WRITE : size_seals;
}

// Address space for the file, twice where it is mirrored, so that a span across its end is linear.
// It is taken first: nothing else can come to lie in between.
int reserve(uint64_t size, bool mirrored, mapping *out) {
    const uint64_t length = mirrored ? 2 * size : size;
    void *base = nullptr;
    const int result = map_reserve(length, &base);
    if (result == 0) {
        *out = mapping(base, length);
    }
    return result;
}

// The file, as often as it fits.
int map_into(const mapping &space, int fd, uint64_t size, int protection) {
    for (uint64_t at = 0; at < space.size(); at += size) {
        void *mapped = nullptr;
        const int result =
            map_shared(fd, size, protection, static_cast<char *>(space.get()) + at, &mapped);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int map(int fd, uint64_t size, bool mirrored, mapping *out) {
    int result = reserve(size, mirrored, out);
    if (result == 0) {
        result = map_into(*out, fd, size, PROT_READ | PROT_WRITE);
    }
    return result == 0 ? hide_from_children(out->get(), out->size()) : result;
}

// The mapping has populated it, unless a signal has ended that, or an emulator never began: what
// was not written to yet is a hole to those who open it.
int write_to_all(int fd, const mapping &memory, uint64_t size) {
    uint64_t hole = 0;
    const int result = first_hole(fd, &hole);
    for (uint64_t at = hole; result == 0 && at < size; at += page_size()) {
        static_cast<char *>(memory.get())[at] = 0;
    }
    return result;
}

// Some kernels accept the seal for files whose mappings they do not check (hugetlb before
// 5.13): only a mapping that is refused for it proves it.
int prove_read_only(int fd, uint64_t size) {
    void *base = nullptr;
    const int result = map_shared(fd, size, PROT_READ | PROT_WRITE, nullptr, &base);
    if (result < 0) {
        return result == -EPERM ? 0 : result;
    }
    unmap(base, size);
    return -ENOTSUP;
}

// The checks of an object: -EPROTO where it is not what it should be; another error tells nothing
// of it.

int check_seals(int fd, sharing how) {
    const int seals = get_seals(fd);
    if (seals == -EINVAL || seals == -EBADF) { // no memfd, or opened as a path
        return -EPROTO;
    }
    const int wanted = seals_for(how);
    return seals < 0 || (seals & wanted) == wanted ? seals : -EPROTO;
}

// Of the size wanted, all of it there: an access to a hole would have to find memory, and he who
// makes it would pay. The blocks do not tell, since they may lie behind the end. After
// F_SEAL_FUTURE_WRITE no hole can be punched.
int check_reserved(int fd, uint64_t size) {
    uint64_t actual = 0;
    int result = file_size(fd, &actual);
    if (result < 0 || actual != size) {
        return result < 0 ? result : -EPROTO;
    }
    uint64_t hole = 0;
    result = first_hole(fd, &hole);
    return result < 0 || hole >= size ? result : -EPROTO;
}

int check_memory(int fd) {
    const int result = is_memory_file(fd);
    return result == 0 ? -EPROTO : result;
}

int check_kind(int fd, sharing how) {
    const int result = check_seals(fd, how);
    return result < 0 ? result : check_memory(fd);
}

int check_object(int fd, uint64_t size, sharing how) {
    const int result = check_kind(fd, how);
    return result < 0 ? result : check_reserved(fd, size);
}

// Not sealed yet, and mapped nowhere.
int create_memory(const char *name, uint64_t size, unique_fd *out) {
    const int fd = memfd_sealable(name);
    if (fd < 0) {
        return fd;
    }
    out->reset(fd);
    return reserve_memory(fd, size);
}

} // namespace

int region_create(const char *name, uint64_t size, bool mirrored, sharing how, region *out) {
    region made;
    int result = create_memory(name, size, &made.fd);
    if (result < 0) {
        return result;
    }
    const int fd = made.fd.get();
    result = map(fd, size, mirrored, &made.memory);
    if (result == 0) {
        result = write_to_all(fd, made.memory, size);
    }
    if (result < 0) {
        return result;
    }
    result = add_seals(fd, seals_for(how));
    if (result < 0) {
        return result;
    }
    if (how == sharing::read_only) {
        result = prove_read_only(fd, size);
        if (result < 0) {
            return result;
        }
    }
    out->fd = static_cast<unique_fd &&>(made.fd);
    out->memory = static_cast<mapping &&>(made.memory);
    return 0;
}

int region_size(int fd, sharing how, uint64_t *size) {
    const int result = check_kind(fd, how);
    return result < 0 ? result : file_size(fd, size);
}

int region_open(int fd, uint64_t size, bool mirrored, sharing how, mapping *out) {
    int result = check_object(fd, size, how);
    if (result < 0) {
        return result;
    }
    mapping opened;
    result = reserve(size, mirrored, &opened);
    if (result < 0) {
        return result;
    }
    const int protection = how == sharing::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    result = map_into(opened, fd, size, protection);
    if (result == -EACCES || result == -EPERM) { // opened, or sealed, against this mapping
        return -EPROTO;
    }
    if (result == 0) {
        result = hide_from_children(opened.get(), opened.size());
    }
    if (result == 0) {
        *out = static_cast<mapping &&>(opened);
    }
    return result;
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_memory_create(uint64_t size) {
    if (size == 0) {
        return ZBQ_ERROR_INVALID;
    }
    unique_fd made;
    const int result = create_memory("zbq-memory", size, &made);
    return result < 0 ? error_from(result) : made.release();
}

/* ---- src/fd_list.hpp ---- */

// Descriptors received, owned until they are taken out.

#include <cstring>

namespace zbq::core {

class fd_list {
public:
    fd_list() = default;
    fd_list(const fd_list &) = delete;
    fd_list &operator=(const fd_list &) = delete;
    ~fd_list() { close_all(); }

    [[nodiscard]] unsigned size() const { return count_; }
    [[nodiscard]] int at(unsigned index) const { return fds_[index]; }

    // Closes it when the list is full.
    void add(int fd) {
        if (count_ == ZBQ_MAX_FD_PER_MSG) {
            unique_fd(fd).reset();
            return;
        }
        fds_[count_++] = fd;
    }

    unique_fd take(unsigned index) {
        unique_fd taken(fds_[index]);
        fds_[index] = -1;
        return taken;
    }

    // Hands over all.
    void move_to(int *fds) {
        memcpy(fds, fds_, count_ * sizeof fds_[0]);
        count_ = 0;
    }

    void take_all(fd_list &other) {
        close_all();
        count_ = other.count_;
        other.move_to(fds_);
    }

    // As close_elsewhere of scm.hpp: without waiting for whoever made them.
    void close_all_elsewhere();

    void close_all() {
        while (count_ != 0) {
            unique_fd(fds_[--count_]).reset();
        }
    }

private:
    unsigned count_ = 0;
    int fds_[ZBQ_MAX_FD_PER_MSG] = {};
};

} // namespace zbq::core

/* ---- src/scm.hpp ---- */

// Records with descriptors (SCM_RIGHTS) over a Unix socket: send one, receive one. The
// join and the side sockets both use it. Never blocks on sending.

namespace zbq::core {

// What came with a record beside its bytes.
struct ancillary {
    fd_list fds;
    unique_fd sender_pidfd; // where the receiving socket has SO_PASSPIDFD
    pid_t sender_pid = 0;   // where it has SO_PASSCRED
    bool truncated = false; // bytes, descriptors or both did not fit
};

// Bytes sent, or -errno. Never blocks, never raises SIGPIPE.
ssize_t send_record(int socket, const void *bytes, size_t size, const int *fds, unsigned fd_count);

// Bytes received (0: the end), or -errno: -EAGAIN with MSG_DONTWAIT and nothing there.
ssize_t receive_record(int socket, void *bytes, size_t size, int flags, ancillary *with);

// Takes a record off and closes what came with it, without a place for it here. Whether there was
// one.
bool discard_record(int socket);

// Whether the first record that waits has descriptors; they stay where they are.
bool has_descriptors_waiting(int socket);

// Closes descriptors whose close may take as long as somebody else likes: a socket with many who
// watch its other end, one that lingers, or one in whose queue such a one waits. The kernel does it
// in a thread of its own: they are sent to a socket that is nobody's but its own
// queue's, which its garbage collector finds (net/unix/garbage.c; a thread of its own since Linux
// 6.9, before that it is the caller who waits). Where that fails they are closed here. Entries
// below 0 are passed over; all are -1 afterwards.
void close_elsewhere(int *fds, unsigned count);

} // namespace zbq::core

/* ---- src/scm.cpp ---- */

#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

// Linux 6.5, newer than Debian 12's headers; include/linux/socket.h of the kernel.
#if !defined(SCM_PIDFD)
#define SCM_PIDFD 0x04
#endif

namespace zbq::core {

namespace {

constexpr size_t rights_size = ZBQ_MAX_FD_PER_MSG * sizeof(int);

// Room for all that the kernel can attach: descriptors, credentials, a pidfd.
constexpr size_t control_room =
    CMSG_SPACE(rights_size) + CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int));

void take_descriptors(const cmsghdr *header, fd_list *fds) {
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        fds->add(fd);
    }
}

void take_ancillary(const cmsghdr *header, ancillary *with) {
    if (header->cmsg_level != SOL_SOCKET) {
        return;
    }
    if (header->cmsg_type == SCM_RIGHTS) {
        take_descriptors(header, &with->fds);
    } else if (header->cmsg_type == SCM_PIDFD) {
        int fd = -1; // negative where the kernel could not make one
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
        with->sender_pidfd.reset(fd);
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
        ucred credentials = {};
        memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
        with->sender_pid = credentials.pid;
    }
}

} // namespace

void fd_list::close_all_elsewhere() {
    close_elsewhere(fds_, count_);
    count_ = 0;
}

ssize_t send_record(int socket, const void *bytes, size_t size, const int *fds, unsigned fd_count) {
    iovec part = {const_cast<void *>(bytes), size}; // sendmsg only reads
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(rights_size)] = {};
    if (fd_count != 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    ssize_t sent = 0;
    do {
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t receive_record(int socket, void *bytes, size_t size, int flags, ancillary *with) {
    iovec part = {bytes, size};
    alignas(cmsghdr) char control[control_room];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t received = 0;
    do { // a call that may block tells its caller of a signal
        received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR && (flags & MSG_DONTWAIT) != 0);
    if (received < 0) {
        return -errno;
    }
    for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        take_ancillary(header, with);
    }
    with->truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return received;
}

bool discard_record(int socket) {
    char byte = 0;
    iovec part = {&byte, sizeof byte};
    msghdr message = {}; // no room for descriptors: the kernel lets go of them (MSG_CTRUNC)
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    ssize_t received = 0;
    do {
        received = recvmsg(socket, &message, MSG_DONTWAIT);
    } while (received < 0 && (errno == EINTR || errno == ECONNRESET));
    return received > 0;
}

bool has_descriptors_waiting(int socket) {
    char byte = 0;
    iovec part = {&byte, sizeof byte};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return recvmsg(socket, &message, MSG_DONTWAIT | MSG_PEEK) >= 0 &&
           (message.msg_flags & MSG_CTRUNC) != 0;
}

namespace {

// A socket in whose queue it lies itself, with what else is sent there: once it is closed, nobody
// can receive that.
class grave {
public:
    void take(const int *fds, unsigned count) {
        if (socket_pair_seqpacket(&from_, &nobody_) < 0) {
            return;
        }
        int sent[ZBQ_MAX_FD_PER_MSG];
        memcpy(sent, fds, count * sizeof fds[0]);
        sent[count] = nobody_.get();
        const char byte = 0;
        send_record(from_.get(), &byte, sizeof byte, sent, count + 1);
    }

private:
    unique_fd from_;
    unique_fd nobody_;
};

} // namespace

void close_elsewhere(int *fds, unsigned count) {
    int open[ZBQ_MAX_FD_PER_MSG];
    unsigned opened = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (fds[i] >= 0 && opened < ZBQ_MAX_FD_PER_MSG - 1) {
            open[opened++] = fds[i];
        }
    }
    grave where;
    if (opened != 0) {
        where.take(open, opened); // failed: who closes them below waits
    }
    for (unsigned i = 0; i < count; ++i) { // before the grave: what is in it is closed last
        unique_fd(fds[i]).reset();
        fds[i] = -1;
    }
}

} // namespace zbq::core

/* ---- src/side.hpp ---- */

// The side channel: a SOCK_SEQPACKET pair for each join. Towards the consumer go records
// of descriptors; towards the producer goes a single announcement. Formats and the count
// of what is in flight; who sends what when is in producer.cpp and consumer.cpp.

namespace zbq::core {

// One for each message with descriptors; they ride along as SCM_RIGHTS.
struct side_record {
    uint64_t seq_id;
    uint32_t fd_count;
    uint32_t reserved; // zero
};
static_assert(sizeof(side_record) == 16);

// The consumer's one record, to which the kernel attaches who sent it.
struct announcement {
    uint32_t magic;
    uint32_t slot_index;
    uint64_t reserved; // zero
};
static_assert(sizeof(announcement) == 16);
inline constexpr uint32_t announcement_magic = 0x3171627a; // "zbq1" in memory, little-endian

// What was sent to one consumer and not yet received, by the kernel's account: the consumer cannot
// falsify it. All records have one size, so they weigh the same in the socket's queue, and the
// weight of the queue is a number of records.
class flight {
public:
    // Weighs a record by sending one through the new, empty pair.
    int calibrate(int producer_end, int consumer_end);

    void sent(uint8_t fd_count);
    int refresh(int producer_end);

    // Whether a record with so many descriptors may be sent.
    [[nodiscard]] bool has_room(uint8_t fd_count) const;

    // The last one sent is of no message: it does not count against the consumer any more.
    void orphan_last();
    // Whether nothing else is in flight.
    [[nodiscard]] bool is_all_orphans() const { return fds_ != 0 && fds_ == orphaned_fds_; }

    [[nodiscard]] uint32_t fds() const { return fds_; }
    [[nodiscard]] bool holds_back() const { return fds_ != orphaned_fds_; }
    [[nodiscard]] uint64_t collected_fds() const { return collected_fds_; } // since the join
    void oldest_taken_back();
    void all_taken_back(); // the queue is empty

private:
    struct in_flight_record {
        uint8_t fd_count;
        bool orphaned;
    };
    void forget_oldest();

    uint64_t sent_ = 0;
    uint64_t collected_ = 0;
    uint64_t collected_fds_ = 0;
    uint32_t record_weight_ = 0;
    uint32_t most_records_ = 0; // that the socket's buffer takes
    uint32_t fds_ = 0;
    uint32_t orphaned_fds_ = 0;
    // Of the records in flight. Each has a descriptor at least, so the cap on descriptors
    // bounds them.
    in_flight_record records_[ZBQ_MAX_FD_IN_FLIGHT] = {};
};

// 0, or -errno of the send.
int side_send(int producer_end, flight *in_flight, uint64_t seq_id, const int *fds,
              uint8_t fd_count);

// Takes back what the consumer has not received, so much at a time that it is not dear. true:
// nothing is left.
bool side_take_back(int consumer_end, flight *in_flight);

// 0, -EAGAIN with nothing there, -EPIPE at the end, -EPROTO for a malformed record.
int side_receive(int consumer_end, uint64_t *seq_id, fd_list *fds);

} // namespace zbq::core

/* ---- src/side.cpp ---- */

#include <sys/socket.h>

namespace zbq::core {

int flight::calibrate(int producer_end, int consumer_end) {
    const side_record probe = {};
    ssize_t moved = send_record(producer_end, &probe, sizeof probe, nullptr, 0);
    if (moved < 0) {
        return static_cast<int>(moved);
    }
    const int result = socket_unread_by_peer(producer_end, &record_weight_);
    if (result < 0) {
        return result;
    }
    side_record back = {};
    ancillary with;
    moved = receive_record(consumer_end, &back, sizeof back, MSG_DONTWAIT, &with);
    if (moved < 0) {
        return static_cast<int>(moved);
    }
    uint32_t room = 0;
    const int known = socket_send_room(producer_end, &room);
    if (known < 0) {
        return known;
    }
    most_records_ = record_weight_ != 0 ? room / record_weight_ : 0;
    return most_records_ != 0 ? 0 : -ENOTSUP;
}

void flight::sent(uint8_t fd_count) {
    records_[sent_++ % ZBQ_MAX_FD_IN_FLIGHT] = {fd_count, false};
    fds_ += fd_count;
}

void flight::forget_oldest() {
    const in_flight_record &oldest = records_[collected_++ % ZBQ_MAX_FD_IN_FLIGHT];
    fds_ -= oldest.fd_count;
    orphaned_fds_ -= oldest.orphaned ? oldest.fd_count : 0;
    collected_fds_ += oldest.fd_count;
}

int flight::refresh(int producer_end) {
    uint32_t weight = 0;
    const int result = socket_unread_by_peer(producer_end, &weight);
    if (result < 0) {
        return result;
    }
    const uint64_t waiting = (uint64_t{weight} + record_weight_ - 1) / record_weight_;
    while (sent_ - collected_ > waiting) {
        forget_oldest();
    }
    return 0;
}

bool flight::has_room(uint8_t fd_count) const {
    return fds_ + fd_count <= ZBQ_MAX_FD_IN_FLIGHT && sent_ - collected_ < most_records_;
}

void flight::orphan_last() {
    if (sent_ == collected_) { // it was received
        return;
    }
    in_flight_record &last = records_[(sent_ - 1) % ZBQ_MAX_FD_IN_FLIGHT];
    orphaned_fds_ += last.fd_count;
    last.orphaned = true;
}

void flight::oldest_taken_back() {
    if (sent_ != collected_) {
        forget_oldest();
    }
}

void flight::all_taken_back() {
    while (sent_ != collected_) {
        forget_oldest();
    }
}

int side_send(int producer_end, flight *in_flight, uint64_t seq_id, const int *fds,
              uint8_t fd_count) {
    const side_record record = {seq_id, fd_count, 0};
    const ssize_t sent = send_record(producer_end, &record, sizeof record, fds, fd_count);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    in_flight->sent(fd_count);
    return 0;
}

bool side_take_back(int consumer_end, flight *in_flight) {
    for (uint32_t i = 0; i < most_taken_back; ++i) {
        if (!discard_record(consumer_end)) {
            in_flight->all_taken_back();
            return true;
        }
        in_flight->oldest_taken_back();
    }
    return false;
}

int side_receive(int consumer_end, uint64_t *seq_id, fd_list *fds) {
    side_record record = {};
    ancillary with;
    ssize_t received = receive_record(consumer_end, &record, sizeof record, MSG_DONTWAIT, &with);
    if (received == -ECONNRESET) {
        // The producer closed its end with our announcement unread. Told once, before what is
        // still queued (unix_release_sock and sock_error in the kernel).
        received = receive_record(consumer_end, &record, sizeof record, MSG_DONTWAIT, &with);
    }
    if (received < 0) {
        return received == -ECONNRESET ? -EPIPE : static_cast<int>(received);
    }
    if (received == 0 && with.fds.size() == 0) {
        return -EPIPE;
    }
    if (received != sizeof record || with.truncated || record.fd_count == 0 ||
        record.fd_count != with.fds.size()) {
        return -EPROTO;
    }
    *seq_id = record.seq_id;
    fds->take_all(with.fds);
    return 0;
}

} // namespace zbq::core

/* ---- src/retained.hpp ---- */

// Retained messages: a few, by key, that each newcomer gets before its first message. The producer
// keeps them as it hands them out: in a memory object, sealed, a new one for each change. Whoever
// is there already learns of a change by a message in the ring, whose header has the key.

namespace zbq::core {

// What the object is: this, then the entries, each of which starts on the grid.
struct retained_head {
    uint32_t count;
    uint32_t reserved[3]; // zero
};
static_assert(sizeof(retained_head) == ZBQ_MSG_ALIGN);

struct retained_entry {
    uint64_t offset;       // of the message in the stream
    uint64_t reserved;     // zero
    zbq_msg_header header; // with the key; the payload follows
};
static_assert(sizeof(retained_entry) == 32);

// In a header's `reserved`: a key, and whether it is retained no more.
inline constexpr uint16_t forgotten = 0x8000;

// The producer's.
struct retained_set {
    region memory; // none, where nothing is retained
    uint32_t count = 0;
    fd_list fds; // of all entries, in their order
};

// A message to be retained, in place of one with the same key; or with no payload to be forgotten.
struct retained_change {
    zbq_msg_header header;
    const void *payload; // nullptr: forget the key
    const int *fds;
    uint64_t offset;
};

bool retains(const retained_set &set, uint16_t key);
uint64_t newest_record_of(const retained_set &set); // its id; 0: there is none

// 0; -E2BIG beyond the limits; or -errno. The set is as it was then.
int change_retained(retained_set *set, const retained_change &change);

// Sends the descriptors, as the first records in a newcomer's side socket: 0, or -errno.
int send_retained(const retained_set &set, int producer_end, flight *in_flight);

// The consumer's: the entry with an index. ZBQ_OK, ZBQ_ERROR_NOENT: none, or ZBQ_ERROR_PROTOCOL.
int view_retained(const mapping &memory, uint32_t index, zbq_msg_view *out);

// Whether one of them has the record with that id.
bool has_retained_record(const mapping &memory, uint64_t seq_id);

} // namespace zbq::core

/* ---- src/producer.hpp ---- */

// The producer's state, shared by its parts: producer.cpp (the stream), account.cpp and wake.cpp
// (sleepers), descriptors.cpp (records), join.cpp (new consumers), stall.cpp and evict.cpp (lost
// ones), await.cpp (waiting), statistics.cpp and info.cpp (accounts). One thread at a time.

/* ---- src/history.hpp ---- */

// What of the past is kept for observers and for who comes late. All that lies below the floor may
// be overwritten at any time. The floor is where a message starts, and rises before room is
// granted, to the next of the marks that the producer keeps: starts of messages, one in each
// thirty-second of the ring. Since grants are of that size as well, or of one reservation, a
// sixteenth is all that is lost beside the reservation itself.

namespace zbq::core {

class history {
public:
    void set_capacity(uint64_t capacity) {
        capacity_ = capacity;
        step_ = capacity / history_parts;
        kept_until_ = capacity;
    }

    [[nodiscard]] uint64_t floor() const { return floor_; }
    [[nodiscard]] uint64_t step() const { return step_; }

    // Before the bytes from the head, where a message starts, to the limit are written: whether the
    // floor has risen for it.
    bool give_up_for(uint64_t head, uint64_t limit) {
        if (head >= next_mark_) {
            note(head);
        }
        if (limit <= kept_until_) {
            return false;
        }
        floor_ = first_from(limit - capacity_, head);
        kept_until_ = floor_ + capacity_;
        while (count_ != 0 && oldest() < floor_) {
            ++first_;
            --count_;
        }
        return true;
    }

    // The first start of a message that is known, at or past an offset. The head, where none is.
    [[nodiscard]] uint64_t first_from(uint64_t offset, uint64_t head) const {
        if (offset <= floor_) {
            return floor_;
        }
        for (uint32_t i = 0; i < count_; ++i) {
            if (mark(i) >= offset) {
                return mark(i);
            }
        }
        return head;
    }

    // The last one at or before an offset; the floor, where that is below.
    [[nodiscard]] uint64_t last_until(uint64_t offset) const {
        uint64_t last = floor_;
        for (uint32_t i = 0; i < count_ && mark(i) <= offset; ++i) {
            last = mark(i);
        }
        return last;
    }

private:
    static constexpr uint32_t most_marks_kept = 2 * history_parts; // one in each step, and some

    [[nodiscard]] uint64_t mark(uint32_t i) const { return marks_[(first_ + i) % most_marks_kept]; }
    [[nodiscard]] uint64_t oldest() const { return mark(0); }

    void note(uint64_t head) {
        marks_[(first_ + count_++) % most_marks_kept] = head;
        next_mark_ = head - head % step_ + step_;
    }

    uint64_t capacity_ = 0;
    uint64_t step_ = 0;
    uint64_t floor_ = 0;
    uint64_t kept_until_ = 0; // the floor and the capacity
    uint64_t next_mark_ = 0;
    uint64_t marks_[most_marks_kept] = {};
    uint32_t first_ = 0;
    uint32_t count_ = 0;
};

} // namespace zbq::core

/* ---- src/statistics.hpp ---- */

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

/* ---- src/wake.hpp ---- */

// Sleeping and waking. A consumer sleeps on a word of its own page, or on its event socket. It says
// so in that word, `parked`, and the producer makes a system call only for those that it finds
// parked. Nobody else maps the word: no consumer can keep another asleep, or make its waking dear.
//
// No wake-up is lost:
//
//   consumer                              producer
//   token = of head and bell              event (head; or record, mark, close with the bell)
//   looks: nothing                                                     (1)
//   parked |= 1                           parked?                      (2)
//   full fence                              yes: parked = 0            (3)
//   token as before? else return                 FUTEX_WAKE(parked)    (4)
//   FUTEX_WAIT(parked, 1)
//
// If (2) sees the mark, (3) changes the word that the consumer sleeps on: the kernel, which
// compares under its lock, either refuses to let it sleep or has it on the list at (4). A mark
// that is set after (3) stands.
//
// There is no fence between (1) and (2): at a commit it would wait, each time, for the head's cache
// line to come back from whoever polls it. So (2) may miss the mark while (1) is still in the store
// buffer, and the consumer falls asleep beside a message. Therefore its first sleep is a
// nap, longer than any store stays in a buffer, after which it looks again, with its mark set.
// (Morrison and Afek, "Temporally Bounding TSO for Fence-Free Asymmetric Synchronization", 2015.)
// One that polls its event socket has a timer for the nap.
//
// The nap is also what lets the producer leave a consumer alone. What a consumer's wake-ups cost is
// measured, and one that costs more than its share finds in `quiet_until` that it will not be
// woken before then: its nap lasts until then, and the nap after. See wake.cpp.

/* ---- src/event.hpp ---- */

// The event channel: a second socket pair for each join, apart from the side channel so that
// descriptors which wait there do not stop it. A record in either direction is a bell: look
// again. The consumer's end can be polled for what the producer rings, the producer's for what
// the consumer rings, and either for the other's death: each end has one holder. A socket, and no
// eventfd, because O_NONBLOCK is a flag that both owners of an eventfd could clear: MSG_DONTWAIT is
// not.

namespace zbq::core {

enum class event_state {
    quiet, // or it cannot be told
    rung,  // one bell was taken off; there may be more
    closed // by the other side
};

// A pair of which the consumer's end has a bell already: it is told to look first of all.
int event_make(unique_fd *producer_end, unique_fd *consumer_end);

// Whether the other side is told: false where memory was short. Full, it has bells enough; closed,
// it is gone.
bool event_ring(int end);

// Takes off one bell.
event_state event_take(int end);

} // namespace zbq::core

/* ---- src/wake.hpp ---- */

namespace zbq::core {

// Tells one state of the stream from a later one: it never falls, and rises with every commit and
// every bell.
inline uint32_t token_of(uint64_t head, uint32_t bell) {
    return static_cast<uint32_t>(head / ZBQ_MSG_ALIGN) + bell;
}

inline uint32_t token_now(const zbq_control_region *control) {
    const uint32_t bell = bell_acquire(control);
    return token_of(head_acquire(control), bell);
}

// How long one who has just parked may sleep before it has to look again by itself. After that it
// may sleep for long. No producer that is not hostile says more than a slice.
inline uint64_t nap_length(const zbq_consumer_metadata *page) {
    const uint64_t quiet_until = quiet_after_park(page);
    const uint64_t now = monotonic_ns();
    const uint64_t quiet = quiet_until > now ? quiet_until - now : 0;
    return (quiet < ZBQ_WAIT_SLICE_NS ? quiet : ZBQ_WAIT_SLICE_NS) + nap_ns;
}

// The consumer's side of its place.
struct parking {
    const zbq_consumer_metadata *page = nullptr;
    zbq_parking *place = nullptr; // in that page
};

// Sleeps if nothing has happened since the token: 0, or -errno of the wait.
inline int sleep_parked(const zbq_control_region *control, const parking *own, uint32_t mark,
                        uint32_t token, uint64_t timeout_ns) {
    return token_now(control) != token ? -EAGAIN
                                       : futex_wait(&own->place->parked, mark, timeout_ns);
}

// The consumer's half: sleeps until something has happened since the token, or the time is up.
// 0, or -errno of the wait: -EAGAIN (it has), -ETIMEDOUT, -EINTR.
inline int park(const zbq_control_region *control, const parking *own, uint32_t token,
                uint64_t timeout_ns) {
    const uint32_t mark = park_announce(own->place, parked_on_futex) | parked_on_futex;
    const uint64_t nap = nap_length(own->page);
    int result = sleep_parked(control, own, mark, token, nap < timeout_ns ? nap : timeout_ns);
    if (result == -ETIMEDOUT && nap < timeout_ns) {
        result = sleep_parked(control, own, mark, token, timeout_ns - nap);
    }
    park_leave(own->place, parked_on_futex);
    return result;
}

} // namespace zbq::core

/* ---- src/producer.hpp ---- */

namespace zbq::core {

// How long a consumer has been in the way of something, by looks at which the producer ran.
struct stall_clock {
    bool running = false;
    uint64_t elapsed = 0;  // since it last moved as far as it has to,
    uint64_t position = 0; // which was here
};

// What a producer will wait for one consumer: a bucket that leaks.
struct patience {
    bool limited = false;
    zbq_patience rate = {};
    uint64_t used = 0; // of it,
    uint64_t at = 0;   // by then
};

// What waking a consumer has cost, against its share.
struct wake_account {
    int64_t credit = 0; // nanoseconds of the producer's thread; below 0: owed
    uint64_t at = 0;    // when that was
    uint64_t quiet_until = 0;
    uint32_t dear = 0; // wake-ups in a row that cost too much
};

// A consumer, as the producer knows it.
struct slot {
    bool taken = false;
    bool side_blocked = false; // its descriptors could not be sent,
    bool side_watched = false; // and the producer is told when it collects some
    bool announced = false;    // its announcement was read, whatever it said
    bool rang = false;         // its bells are not listened to until the next wait
    bool holds_room = false;   // that the producer waited for, at the last look
    bool holds_record = false; // the same
    bool bell_failed = false;  // and is owed
    uint32_t index = 0;
    uint32_t mode = 0;
    pid_t pid = 0;
    uid_t uid = 0; // of who connected
    uint64_t join_number = 0;
    uint64_t nudged_at = UINT64_MAX; // the head at which it was last woken for being behind
    uint64_t joined_at = 0;
    uint64_t tail_seen = 0;     // the last valid tail
    uint64_t newest_record = 0; // newest descriptor record that it has, or is not to get
    uint64_t newest_sent = 0;   // newest that it has, but for those of retained messages
    uint64_t dropped = 0;       // an observer's records that it had no room for
    uint64_t times_slowest = 0; // looks of a producer that waited for room, with nobody behind it
    uint64_t held_ns = 0;       // that the producer waited with it in the way
    uint64_t lost_bytes = 0;    // an observer's word
    uint64_t told_tail = 0;     // in its last account,
    uint64_t moved_at = 0;      // and the time of the first with that one
    uint64_t evicted_at = 0;
    stall_clock ring_stall;
    stall_clock side_stall;
    patience waited;
    wake_account wakes;
    unique_fd side;
    unique_fd side_peer; // a copy of the consumer's end, to take back what it does not collect
    unique_fd event;
    unique_fd process; // pidfd, where the kernel gave one
    mapping page_memory;
    flight in_flight;
    zbq_consumer_info last = {}; // of the consumer last evicted from here

    [[nodiscard]] zbq_consumer_metadata *page() const {
        return static_cast<zbq_consumer_metadata *>(page_memory.get());
    }
    [[nodiscard]] zbq_parking *parking() const { return parking_of(page(), index); }
    [[nodiscard]] bool is_push() const { return !pulls(mode); }
    [[nodiscard]] bool observes() const { return zbq::core::observes(mode); }
    // Evicted, and what it has not collected is not all taken back.
    [[nodiscard]] bool is_leftover() const { return !taken && side_peer; }
    [[nodiscard]] bool is_in_the_way() const { return holds_room || holds_record; }
};

// A join whose consumer was evicted before it answered: its descriptors are in flight until whoever
// was sent it takes them, or goes.
struct unanswered_join {
    unique_fd side;
    uid_t uid = 0; // who connected, as the kernel says
};

} // namespace zbq::core

struct zbq_producer {
    // The fast path.
    zbq_commit_window window = {};
    zbq_control_region *control = nullptr;
    char *ring = nullptr;
    uint64_t capacity = 0;
    uint64_t slowest_tail = 0; // a lower bound of all tails, refreshed when it limits
    zbq::core::history history;

    // Room.
    uint64_t wanted = ZBQ_MSG_ALIGN;    // bytes that the producer waits for,
    uint64_t wanted_fds = 0;            // and of a record that it could not send
    uint64_t queried_head = UINT64_MAX; // where it last queried,
    uint64_t queried_room = 0;          // and what it got
    uint64_t failures = 0;              // failed attempts at room in a row
    uint64_t side_failures = 0;         // and at sending descriptors
    uint64_t looked_at = 0;             // for the stalled, last,
    uint64_t full_ns = 0;               // and for how long there was no room then

    // Waiting, once the application has asked for a descriptor to wait for.
    uint64_t awaited_room = 0;  // bytes: the least that was refused and is not there yet; 0: none
    uint64_t refused_room = 0;  // and the most that was
    uint64_t listened_tail = 0; // consumers may ring once for this one
    uint64_t awaited_since = 0; // by CLOCK_MONOTONIC
    bool awaits_fds = false;
    bool was_full = false; // at the last look
    bool has_ended = false;
    zbq::core::unique_fd watch; // epoll of event sockets, side sockets and timer
    zbq::core::unique_fd timer;

    // Descriptors.
    uint64_t next_seq = 0;
    uint64_t newest_seq = 0;  // newest id begun
    bool newest_whole = true; // it has gone to all
    uint32_t leftovers = 0;   // slots that are

    zbq::core::retained_set retained;

    // Consumers.
    zbq::core::slot *slots = nullptr;
    uint32_t max_consumers = 0;
    uint32_t *active = nullptr; // indices of the slots taken, dense
    uint32_t active_count = 0;
    zbq_parking **parking = nullptr; // of the push-mode ones, dense, but for those left alone
    uint32_t marks = 0;              // how many of them
    bool leaves_some_alone = false;
    uint64_t marks_seen_at = 0;   // all of them, in ticks
    uint64_t look_interval = 0;   // from one such look to the next; 0: each commit looks
    zbq::core::patience patience; // for those that join
    zbq::core::unanswered_join unanswered[zbq::core::most_unanswered];

    // The rest.
    uint64_t clog_threshold = 0;
    uint64_t first_minded = 0; // of failed attempts: the others are only counted
    uint64_t stall_timeout = 0;
    zbq_type type = {};
    char name[ZBQ_NAME_SIZE] = {};
    uint64_t created_at = 0;
    zbq::core::statistics_page statistics;
    zbq::core::birthmark birth;
    zbq::core::region control_region;
    zbq::core::region ring_region;
    zbq_producer_statistics counters = {};
};

namespace zbq::core {

// Bits of the window's `unusual`.
inline constexpr uint32_t waits_for_room = 1; // attempts have failed since the last success
inline constexpr uint32_t awaits_room = 2;    // the consumers were asked to ring for it
inline constexpr uint32_t looks_by_clock = 4; // not all that may be parked are looked at directly

inline bool is_owner(const zbq_producer *prod) {
    return prod->birth.is_own();
}

inline uint64_t known_free(const zbq_producer *prod) {
    return free_bytes(prod->window.head, prod->slowest_tail, prod->capacity);
}

// As zbq_producer_reserve, but exactly so much, and a wait for room goes on: room_was_got is the
// caller's to call, once it is used.
int reserve_quietly(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out);

// Counts a failed attempt; every so often one runs a scan. Whether this one did.
bool count_failure(zbq_producer *prod, uint64_t *failures);

// ---- account.cpp ----

void earn(const zbq_producer *prod, wake_account *account, uint64_t now);
uint64_t time_to_pay(const zbq_producer *prod, const wake_account &account); // of one that owes
void close_account(const zbq_producer *prod, slot *gone);
bool owes_much(const zbq_producer *prod, uid_t uid); // more than can be told of
void take_over_debt(const zbq_producer *prod, slot *fresh);

// ---- wake.cpp ----

// Wakes who is parked: a system call only for them, and never dear ones again and again.
void mind_sleepers(zbq_producer *prod);
void wake_if_behind(zbq_producer *prod, slot *consumer, uint64_t now); // by its tail seen last
void choose_marks(zbq_producer *prod); // those that commits look at, after a change
void wake_for_good(slot *consumer);    // nothing comes after this event

// ---- stall.cpp ----

// Reads the tails; charges who is in the way for the time, wakes who sleeps beside something to
// read, and evicts who is in the way and dead, or has used up its time.
void mind_obstacles(zbq_producer *prod);
void end_wait_for_room(zbq_producer *prod); // nobody holds the producer back
void end_wait_for_collection(zbq_producer *prod);
// The longest that the clocks leave until the next look.
uint64_t until_next_look(const zbq_producer *prod);

// ---- evict.cpp ----

// Reads every tail; evicts those that published one that cannot be.
void refresh_tails(zbq_producer *prod);

// Puts a prepared slot into service, or takes one out of it.
void activate(zbq_producer *prod, slot *joined);
void evict(zbq_producer *prod, slot *gone, uint32_t reason);

bool is_dead(slot *consumer);
void scan(zbq_producer *prod);

// What the evicted have not collected, some of each.
void take_back_leftovers(zbq_producer *prod);
bool take_back_some(slot *gone); // true: that was all

// Joins of a user, or with no_user of all, that are not answered; reads the answers.
inline constexpr uid_t no_user = UINT32_MAX;
uint32_t unanswered_joins(zbq_producer *prod, uid_t uid);
bool may_leave_unanswered(zbq_producer *prod, uid_t uid); // another one, of a user not our own
// What was sent is counted as such until the other end takes it, or goes.
void keep_unanswered(zbq_producer *prod, unique_fd *ours, uid_t uid);
void evict_unanswered(zbq_producer *prod); // those that had time enough

// ---- descriptors.cpp ----

// Whether there may be so many more in flight.
bool may_be_in_flight(zbq_producer *prod, uint64_t more);
void refresh_flights(zbq_producer *prod); // what all consumers have to collect

// ---- await.cpp ----

// Ask the consumers to ring, where the application has asked for a descriptor to wait for.
// true: look again, something may have changed. After a failed attempt.
bool await_room(zbq_producer *prod, uint64_t bytes);
bool await_collection(zbq_producer *prod);
void answer_rings(zbq_producer *prod);                // all that have rung up to now
void room_was_got(zbq_producer *prod, uint64_t told); // by the run that was granted
void head_has_moved(zbq_producer *prod);              // while room is awaited
void end_await_collection(zbq_producer *prod);

// Makes the descriptor readable if something is awaited: what should have made it so is gone,
// taken off by a scan or closed by an eviction.
void remind_of_wait(zbq_producer *prod);

int watch_consumer(const zbq_producer *prod, const slot *consumer);
void unwatch_consumer(const zbq_producer *prod, const slot *consumer);

// ---- statistics.cpp ----

// Each writes an account, where the page was asked for.
void tell(zbq_producer *prod);
void tell_of_failure(zbq_producer *prod); // unless one was written a moment ago
void note_use_of_slot(zbq_producer *prod, uint32_t index);

// ---- info.cpp ----

// What is known of a consumer, with the reason of its eviction if it has one.
zbq_consumer_info describe(const zbq_producer *prod, const slot *consumer, uint32_t eviction);

} // namespace zbq::core

/* ---- src/retained.cpp ---- */

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

/* ---- src/event.cpp ---- */

#include <sys/socket.h>

namespace zbq::core {

int event_make(unique_fd *producer_end, unique_fd *consumer_end) {
    const int result = socket_pair_seqpacket(producer_end, consumer_end);
    if (result < 0) {
        return result;
    }
    socket_refuse_descriptors(producer_end->get());
    socket_lock_filter(consumer_end->get());
    return event_ring(producer_end->get()) ? 0 : -ENOMEM;
}

bool event_ring(int end) {
    const char bell = 1; // of a byte: an empty record would read as the end
    const ssize_t sent = send_record(end, &bell, sizeof bell, nullptr, 0);
    return sent != -ENOBUFS && sent != -ENOMEM;
}

event_state event_take(int end) {
    char bell = 0;
    ancillary with; // a hostile peer may attach descriptors: closed here
    const ssize_t received = receive_record(end, &bell, sizeof bell, MSG_DONTWAIT, &with);
    if (received > 0) {
        return event_state::rung;
    }
    // Another error (memory) tells nothing of the other side.
    return received == 0 || received == -ECONNRESET ? event_state::closed : event_state::quiet;
}

} // namespace zbq::core

/* ---- src/producer.cpp ---- */

// The stream: creation, room, commit, end. The application's thread alone
// runs this. query, reserve and commit touch no system call but for a parked consumer or
// a scan.

#include <cstdlib>
#include <cstring>
#include <new>

namespace zbq::core {

namespace {

// ---- creation ----

void release(zbq_producer *prod) {
    for (uint32_t i = 0; prod->slots != nullptr && i < prod->max_consumers; ++i) {
        prod->slots[i].~slot();
    }
    free(prod->slots);
    free(prod->active);
    free(prod->parking);
    prod->~zbq_producer();
    free(prod);
}

bool allocate_slots(zbq_producer *prod, uint32_t count) {
    // As for the ring below: the kernel may promise memory that it does not have.
    if (uint64_t{count} * sizeof(slot) > physical_memory()) {
        return false;
    }
    prod->active = static_cast<uint32_t *>(calloc(count, sizeof(uint32_t)));
    prod->parking = static_cast<zbq_parking **>(calloc(count, sizeof(zbq_parking *)));
    void *slots = calloc(count, sizeof(slot));
    if (prod->active == nullptr || prod->parking == nullptr || slots == nullptr) {
        free(slots);
        return false;
    }
    prod->slots = static_cast<slot *>(slots);
    prod->max_consumers = count;
    for (uint32_t i = 0; i < count; ++i) {
        new (&prod->slots[i]) slot;
        prod->slots[i].index = i;
        prod->slots[i].last.slot_index = i;
    }
    return true;
}

int make_memory(zbq_producer *prod, uint64_t capacity) {
    const int result =
        region_create("zbq-ring", capacity, true, sharing::read_only, &prod->ring_region);
    if (result < 0) {
        return result;
    }
    return region_create("zbq-control", control_size, false, sharing::read_only,
                         &prod->control_region);
}

void set_up(zbq_producer *prod, const zbq_producer_params &params) {
    prod->control = static_cast<zbq_control_region *>(prod->control_region.memory.get());
    prod->ring = static_cast<char *>(prod->ring_region.memory.get());
    prod->window.control = prod->control;
    prod->window.next = prod->ring;
    prod->window.parking = prod->parking;
    prod->window.producer = prod;
    prod->look_interval = ticks_in(look_interval_ns);
    prod->created_at = monotonic_ns();
    prod->capacity = params.ring_capacity;
    prod->clog_threshold = prod->first_minded = params.clog_threshold;
    prod->stall_timeout = params.stall_timeout_ns;
    prod->history.set_capacity(params.ring_capacity);
    // Nobody else has the region yet: plain stores.
    prod->control->producer_pid = process_id();
    prod->control->ring_capacity = params.ring_capacity;
    prod->control->clog_threshold = params.clog_threshold;
    prod->control->stall_timeout_ns = params.stall_timeout_ns;
}

int create(zbq_producer *prod, const zbq_producer_params &params) {
    if (!allocate_slots(prod, params.max_consumers)) {
        return -ENOMEM;
    }
    int result = make_memory(prod, params.ring_capacity);
    if (result == 0) {
        result = prod->birth.make();
    }
    if (result == 0) {
        set_up(prod, params);
        result = random_bytes(prod->control->ring_id, sizeof prod->control->ring_id);
    }
    return result;
}

// ---- room ----

// Where the head lies in the ring, which is mapped twice.
uint64_t head_position(zbq_producer *prod) {
    if (prod->window.next >= prod->ring + prod->capacity) {
        prod->window.next -= prod->capacity;
    }
    return static_cast<uint64_t>(prod->window.next - prod->ring);
}

// Up to the physical end. Where the cached tail is what limits it, the tails are read.
uint64_t linear_room(zbq_producer *prod) {
    const uint64_t to_end = prod->capacity - head_position(prod);
    if (known_free(prod) < to_end) {
        refresh_tails(prod);
    }
    const uint64_t room = known_free(prod);
    return room < to_end ? room : to_end;
}

bool has_room_for(zbq_producer *prod, uint64_t bytes) {
    if (known_free(prod) >= bytes) {
        return true;
    }
    refresh_tails(prod);
    return known_free(prod) >= bytes;
}

// For one reservation: as much as history may lose at once.
uint64_t room_at_once(const zbq_producer *prod, uint64_t bytes) {
    const uint64_t step = prod->history.step();
    const uint64_t most = bytes > step ? bytes : step;
    return known_free(prod) < most ? known_free(prod) : most;
}

// A query says no size: what the producer waits for is more than it got, unless only the
// physical end stopped it.
void want_more_than(zbq_producer *prod, uint64_t room) {
    if (room == known_free(prod)) {
        prod->wanted = room + ZBQ_MSG_ALIGN;
    }
}

// Room that is known to be free. No observer is told any more that what lies there is whole.
zbq_contiguous_run grant(zbq_producer *prod, uint64_t bytes) {
    prod->window.limit = prod->window.head + bytes;
    if (prod->history.give_up_for(prod->window.head, prod->window.limit)) {
        floor_publish(prod->control, prod->history.floor());
    }
    head_position(prod);
    return {bytes != 0 ? prod->window.next : nullptr, bytes, prod->window.head};
}

uint64_t queried_again(zbq_producer *prod, uint64_t room) {
    prod->window.unusual |= waits_for_room;
    want_more_than(prod, room);
    return count_failure(prod, &prod->failures) ? linear_room(prod) : room;
}

// Where a tail is what limits a run, its user may want more, and wait for it.
uint64_t await_more(zbq_producer *prod, uint64_t room) {
    const bool limited_by_tail = room == known_free(prod) && room != prod->capacity;
    return limited_by_tail && await_room(prod, room + ZBQ_MSG_ALIGN) ? linear_room(prod) : room;
}

// Whether there is room after all, once all was done that a failed attempt does.
bool room_was_found(zbq_producer *prod, uint64_t bytes) {
    prod->window.unusual |= waits_for_room;
    prod->wanted = bytes;
    if (count_failure(prod, &prod->failures) && has_room_for(prod, bytes)) {
        return true;
    }
    return await_room(prod, bytes) && has_room_for(prod, bytes);
}

int find_room(zbq_producer *prod, uint64_t bytes) {
    if (bytes > prod->capacity) {
        return ZBQ_ERROR_OVERFLOW;
    }
    if (!has_room_for(prod, bytes) && !room_was_found(prod, bytes)) {
        return ZBQ_ERROR_AGAIN;
    }
    end_wait_for_room(prod);
    return ZBQ_OK;
}

} // namespace

int reserve_quietly(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out) {
    const int result = find_room(prod, bytes);
    *out = grant(prod, result == ZBQ_OK ? bytes : 0);
    return result;
}

namespace {

// Out of the way of those that are only counted.
[[gnu::noinline]] bool mind_failure(zbq_producer *prod, uint64_t *failures) {
    if (*failures < prod->clog_threshold) {
        tell_of_failure(prod);
        return false;
    }
    *failures = 0;
    scan(prod);
    return true;
}

} // namespace

bool count_failure(zbq_producer *prod, uint64_t *failures) {
    ++prod->counters.failures;
    return ++*failures >= prod->first_minded && mind_failure(prod, failures);
}

namespace {

// ---- the end ----

// One that sleeps is woken, one that polls sees the hang-up.
void say_goodbye(zbq_producer *prod) {
    closed_publish(prod->control);
    bell_ring(prod->control);
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        wake_for_good(consumer);
        int fds[] = {consumer->event.release(), consumer->side.release()};
        close_elsewhere(fds, sizeof fds / sizeof fds[0]);
    }
    prod->has_ended = true;
    tell(prod);
}

// In a forked child the addresses may be something else's by now.
void forget_mappings(zbq_producer *prod) {
    prod->control_region.memory.forget();
    prod->ring_region.memory.forget();
    prod->retained.memory.memory.forget();
    prod->statistics.memory.memory.forget();
    for (uint32_t i = 0; i < prod->max_consumers; ++i) {
        prod->slots[i].page_memory.forget();
    }
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_create(zbq_producer **out, const zbq_producer_params *params) {
    if (out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = nullptr;
    if (params == nullptr || params->max_consumers == 0 ||
        !capacity_is_valid(params->ring_capacity, page_size())) {
        return ZBQ_ERROR_INVALID;
    }
    void *memory = calloc(1, sizeof(zbq_producer));
    if (memory == nullptr) {
        return ZBQ_ERROR_NOMEM;
    }
    auto *prod = new (memory) zbq_producer;
    const int result = create(prod, *params);
    if (result < 0) {
        release(prod);
        return error_from(result);
    }
    *out = prod;
    return ZBQ_OK;
}

void zbq_producer_destroy(zbq_producer *prod) {
    if (prod == nullptr) {
        return;
    }
    if (is_owner(prod)) {
        say_goodbye(prod);
    } else {
        forget_mappings(prod);
    }
    release(prod);
}

zbq_contiguous_run zbq_producer_query(zbq_producer *prod) {
    if (prod == nullptr) {
        return {nullptr, 0, 0};
    }
    uint64_t room = linear_room(prod);
    const bool again = prod->queried_head == prod->window.head; // nothing was committed since
    if (room == 0 || (again && room <= prod->queried_room)) {
        room = queried_again(prod, room);
    } else {
        end_wait_for_room(prod);
        room_was_got(prod, room);
    }
    room = await_more(prod, room);
    prod->queried_head = prod->window.head;
    prod->queried_room = room;
    return grant(prod, room);
}

int zbq_producer_reserve(zbq_producer *prod, uint64_t bytes, zbq_contiguous_run *out) {
    if (prod == nullptr || out == nullptr || bytes == 0) {
        return ZBQ_ERROR_INVALID;
    }
    const int result = find_room(prod, bytes);
    if (result != ZBQ_OK) {
        *out = grant(prod, 0);
        return result;
    }
    const uint64_t granted = room_at_once(prod, bytes);
    room_was_got(prod, granted);
    *out = grant(prod, granted);
    return ZBQ_OK;
}

int zbq_producer_released(zbq_producer *prod, uint64_t offset) {
    if (prod == nullptr || offset > prod->window.head || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    // As much room as there is once the slowest tail is there.
    const uint64_t behind = prod->window.head - offset;
    if (behind >= prod->capacity) {
        return ZBQ_OK;
    }
    const uint64_t bytes = prod->capacity - behind;
    if (!has_room_for(prod, bytes) && !room_was_found(prod, bytes)) {
        return ZBQ_ERROR_AGAIN;
    }
    end_wait_for_room(prod);
    room_was_got(prod, bytes);
    return ZBQ_OK;
}

const zbq_control_region *zbq_producer_ctrl(const zbq_producer *prod) {
    return prod == nullptr ? nullptr : prod->control;
}

bool zbq_producer_commit(zbq_producer *prod, uint64_t written_bytes, zbq_commit_flags flags) {
    if (prod == nullptr || prod->window.limit == prod->window.head) {
        return false;
    }
    if (written_bytes == 0) {
        end_wait_for_room(prod);
    } else if (!zbq_window_commit(&prod->window, written_bytes)) {
        return false;
    }
    if ((flags & ZBQ_COMMIT_KEEP) == 0) {
        prod->window.limit = prod->window.head;
    }
    if ((flags & ZBQ_COMMIT_FORCE_SCAN) != 0 && is_owner(prod)) {
        scan(prod);
    }
    return true;
}

zbq_commit_window *zbq_producer_window(zbq_producer *prod) {
    return prod == nullptr ? nullptr : &prod->window;
}

int zbq_producer_set_type(zbq_producer *prod, const zbq_type *type) {
    if (prod == nullptr || type == nullptr || prod->counters.joined != 0) {
        return ZBQ_ERROR_INVALID;
    }
    prod->type = *type;
    return ZBQ_OK;
}

/* ---- src/account.cpp ---- */

// What waking costs each consumer, and what it leaves behind. A consumer can make its own waking
// dear: by asking for it with each commit, or by what it hangs on its event socket, whose waiters
// the kernel goes through in the sender's time. So all wake-ups of one consumer together get a
// share of the producer's time: 1/(4n) with n consumers, so that all together never get more than a
// quarter. Coming back is no way out of debts: who joins takes over the largest that a consumer of
// the same user has left, and nobody does while that is more than can be told of. But for our own
// user, whose processes can do worse.

namespace zbq::core {

namespace {

uint64_t share_of(const zbq_producer *prod) {
    return uint64_t{wake_parts} * prod->active_count;
}

} // namespace

void earn(const zbq_producer *prod, wake_account *account, uint64_t now) {
    const uint64_t earned = (now - account->at) / share_of(prod);
    account->at = now;
    account->credit = earned < uint64_t{1} << 32U ? account->credit + static_cast<int64_t>(earned)
                                                  : most_wake_credit_ns;
    account->credit = account->credit < most_wake_credit_ns ? account->credit : most_wake_credit_ns;
}

uint64_t time_to_pay(const zbq_producer *prod, const wake_account &account) {
    return static_cast<uint64_t>(-account.credit) * share_of(prod);
}

void close_account(const zbq_producer *prod, slot *gone) {
    if (gone->wakes.credit < 0) {
        gone->wakes.quiet_until = gone->wakes.at + time_to_pay(prod, gone->wakes);
    }
}

namespace {

// The largest that a consumer of this user has left. nullptr: none.
const wake_account *debt_of(const zbq_producer *prod, uid_t uid) {
    const wake_account *largest = nullptr;
    for (uint32_t i = 0; i < prod->max_consumers; ++i) {
        const slot &gone = prod->slots[i];
        if (!gone.taken && gone.uid == uid && gone.wakes.credit < 0 &&
            (largest == nullptr || gone.wakes.quiet_until > largest->quiet_until)) {
            largest = &gone.wakes;
        }
    }
    return largest;
}

} // namespace

bool owes_much(const zbq_producer *prod, uid_t uid) {
    const wake_account *debt = debt_of(prod, uid);
    return debt != nullptr && debt->quiet_until > monotonic_ns() + ZBQ_WAIT_SLICE_NS;
}

void take_over_debt(const zbq_producer *prod, slot *fresh) {
    const wake_account *debt = debt_of(prod, fresh->uid);
    if (debt != nullptr && fresh->uid != own_user()) {
        const uint64_t longest = monotonic_ns() + ZBQ_WAIT_SLICE_NS;
        const uint64_t until = debt->quiet_until < longest ? debt->quiet_until : longest;
        fresh->wakes = {debt->credit, debt->at, until, 0};
        fresh->page()->quiet_until = until; // nobody else has the page yet
    }
}

} // namespace zbq::core

/* ---- src/wake.cpp ---- */

// The producer's half of waking: who is parked. Commits look at the marks themselves
// (zbq_window_commit) and come here when they find one. Each wake-up is timed and charged
// (account.cpp). One that owes time is told until when it will be left alone, before its mark is
// taken off, and is not looked at until then; it looks by itself (wake.hpp). One whose wake-ups are
// dear again and again is evicted.

namespace zbq::core {

namespace {

void leave_alone_if_owing(const zbq_producer *prod, slot *consumer, uint64_t now) {
    if (consumer->wakes.credit < 0) {
        const uint64_t owed = time_to_pay(prod, consumer->wakes);
        consumer->wakes.quiet_until = now + (owed < ZBQ_WAIT_SLICE_NS ? owed : ZBQ_WAIT_SLICE_NS);
        quiet_publish(consumer->page(), consumer->wakes.quiet_until);
    }
}

void call(slot *consumer, uint32_t parked) {
    if ((parked & parked_on_futex) != 0) {
        futex_wake_one(&consumer->parking()->parked);
    }
    consumer->bell_failed = (parked & parked_on_event) != 0 && !event_ring(consumer->event.get());
    if (consumer->bell_failed) {
        parked_return(consumer->parking(), parked_on_event); // for want of memory: next time
    }
}

// What a call took. This thread may have been taken off its processor meanwhile, mostly by whom it
// woke: a call that took long is not believed, but the next one is measured by the thread's own
// clock, which takes a system call.
uint64_t timed_call(slot *consumer, uint32_t parked, uint64_t now) {
    wake_account *account = &consumer->wakes;
    if (account->dear == 0) {
        call(consumer, parked);
        const uint64_t took = monotonic_ns() - now;
        account->dear = took > suspicious_wake_ns ? 1 : 0;
        return took < suspicious_wake_ns ? took : suspicious_wake_ns;
    }
    const uint64_t before = thread_time_ns();
    call(consumer, parked);
    const uint64_t took = thread_time_ns() - before;
    account->dear = took > dear_wake_ns ? account->dear + 1 : took > suspicious_wake_ns ? 1 : 0;
    return took;
}

void wake(zbq_producer *prod, slot *consumer) {
    const uint64_t now = monotonic_ns();
    earn(prod, &consumer->wakes, now);
    leave_alone_if_owing(prod, consumer, now);
    const uint32_t parked = parked_take(consumer->parking());
    const uint64_t took = timed_call(consumer, parked, monotonic_ns());
    consumer->wakes.credit -= static_cast<int64_t>(took) + wake_overhead_ns;
    ++prod->counters.wakes;
    ZBQ_PROBE(wake, prod->name, consumer->index, parked, took);
    if (consumer->wakes.dear >= most_dear_wakes) {
        evict(prod, consumer, ZBQ_EVICTION_DEAR);
    }
}

bool may_be_woken(const slot *consumer, uint64_t now) {
    return consumer->is_push() && consumer->wakes.quiet_until <= now;
}

} // namespace

void choose_marks(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    uint32_t pushes = 0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot *consumer = &prod->slots[prod->active[i]];
        pushes += consumer->is_push() ? 1 : 0;
        if (may_be_woken(consumer, now)) {
            prod->parking[chosen++] = consumer->parking();
        }
    }
    prod->marks = chosen;
    prod->leaves_some_alone = chosen != pushes;
    const bool all_at_once = !prod->leaves_some_alone && pushes <= most_marks;
    prod->window.parking_count = pushes <= most_marks ? chosen : 0;
    prod->window.unusual = all_at_once ? prod->window.unusual & ~looks_by_clock
                                       : prod->window.unusual | looks_by_clock;
}

void mind_sleepers(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    prod->marks_seen_at = ticks_now();
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        if (may_be_woken(consumer, now) && parked_seen(consumer->parking()) != 0) {
            wake(prod, consumer);
        }
    }
    choose_marks(prod);
}

// Once for each head, or for a bell that failed. One in the way is woken whatever it owes:
// meanwhile the producer would only wait for it.
void wake_if_behind(zbq_producer *prod, slot *consumer, uint64_t now) {
    const bool behind = consumer->tail_seen != prod->window.head || consumer->holds_record;
    const bool has_news = behind && consumer->nudged_at != prod->window.head;
    const bool may_be = consumer->wakes.quiet_until <= now || consumer->is_in_the_way();
    if (consumer->is_push() && (has_news || consumer->bell_failed) && may_be &&
        parked_seen(consumer->parking()) != 0) {
        consumer->nudged_at = prod->window.head;
        wake(prod, consumer);
    }
}

void wake_for_good(slot *consumer) {
    if (consumer->is_push() && (parked_take(consumer->parking()) & parked_on_futex) != 0) {
        futex_wake_one(&consumer->parking()->parked);
    }
}

namespace {

// Those that a commit has looked at, or all of them where the time for that has come.
bool must_mind_sleepers(zbq_producer *prod) {
    const uint64_t now = ticks_now();
    const bool all = (prod->window.unusual & looks_by_clock) != 0 &&
                     now - prod->marks_seen_at >= prod->look_interval;
    const uint32_t count = all ? prod->marks : prod->window.parking_count;
    for (uint32_t i = 0; i < count; ++i) {
        if (parked_seen(prod->parking[i]) != 0) {
            return true;
        }
    }
    prod->marks_seen_at = all ? now : prod->marks_seen_at;
    return all && prod->leaves_some_alone;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

void zbq_producer_finish_commit(zbq_producer *prod) {
    if (prod == nullptr) {
        return;
    }
    if (must_mind_sleepers(prod)) {
        mind_sleepers(prod);
    }
    if ((prod->window.unusual & (waits_for_room | awaits_room)) != 0) {
        head_has_moved(prod);
    }
}

/* ---- src/descriptors.cpp ---- */

// Records of descriptors: to whom, in which turn, and how many may be on the way.
//
// The kernel counts the descriptors in flight of a whole user, and refuses more than
// RLIMIT_NOFILE (too_many_unix_fds in net/unix). So a record is begun only when every consumer has
// room for it and all that would be in flight is less than half of that, or this record alone. Then
// it goes to all; where that is too much at once, in turns. Whoever has some to collect
// meanwhile is in the way of the others.

#include <cerrno>

namespace zbq::core {

void refresh_flights(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->in_flight.fds() != 0) {
            consumer->in_flight.refresh(consumer->side.get()); // failed: the last number stands
        }
    }
}

namespace {

struct record_to_send {
    uint64_t seq_id;
    const int *fds;
    uint8_t fd_count;
    uint64_t limit; // of descriptors in flight, as the kernel has it
};

bool all_open(const int *fds, uint8_t fd_count) {
    for (unsigned i = 0; i < fd_count; ++i) {
        if (!descriptor_is_open(fds[i])) {
            return false;
        }
    }
    return true;
}

// Whether no record goes out without it.
bool must_have(const slot &consumer) {
    return consumer.is_push() && !consumer.observes();
}

bool misses(const slot &consumer, uint64_t seq_id) {
    return must_have(consumer) && consumer.newest_record < seq_id;
}

uint32_t how_many_miss(const zbq_producer *prod, uint64_t seq_id) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        count += misses(prod->slots[prod->active[i]], seq_id) ? 1 : 0;
    }
    return count;
}

// ---- what is in flight ----

uint64_t in_flight_to(const zbq_producer *prod, bool observers) {
    uint64_t fds = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot &consumer = prod->slots[prod->active[i]];
        fds += consumer.observes() == observers ? consumer.in_flight.fds() : 0;
    }
    return fds;
}

// But for the observers', which hold up nobody.
uint64_t all_in_flight(const zbq_producer *prod) {
    uint64_t fds = in_flight_to(prod, false);
    for (uint32_t i = 0; prod->leftovers != 0 && i < prod->max_consumers; ++i) {
        fds += prod->slots[i].is_leftover() ? prod->slots[i].in_flight.fds() : 0;
    }
    return fds;
}

// Whether there may be so many in flight where so many are now.
bool is_within(uint64_t limit, uint64_t now, uint64_t more) {
    constexpr uint64_t for_joins = uint64_t{most_unanswered} * join_descriptors;
    return now == 0 || now + more + for_joins <= limit;
}

// Whoever has any to collect may be the one that stops this record.
void blame_all_in_flight(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        consumer->side_blocked |= !consumer->observes() && consumer->in_flight.holds_back();
    }
}

// ---- a record that was given up ----

// It went to some: none of them is the worse for it.
void disown_unfinished(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->newest_sent == prod->newest_seq) {
            consumer->in_flight.orphan_last();
        }
    }
    prod->newest_whole = true;
}

// Once nothing lies before them.
void take_back_orphans(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->in_flight.is_all_orphans()) {
            side_take_back(consumer->side_peer.get(), &consumer->in_flight);
        }
    }
}

// ---- beginning ----

bool lacks_room(const slot &consumer, uint8_t fd_count) {
    return must_have(consumer) && !consumer.in_flight.has_room(fd_count);
}

bool has_everyone_room(const zbq_producer *prod, uint8_t fd_count) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        if (lacks_room(prod->slots[prod->active[i]], fd_count)) {
            return false;
        }
    }
    return true;
}

void blame_who_lacks_room(zbq_producer *prod, uint8_t fd_count) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        consumer->side_blocked |= lacks_room(*consumer, fd_count);
    }
}

bool can_begin(zbq_producer *prod, const record_to_send &record) {
    const uint64_t more = uint64_t{how_many_miss(prod, record.seq_id)} * record.fd_count;
    const auto fits = [&] {
        return is_within(record.limit / in_flight_parts, all_in_flight(prod), more);
    };
    if (fits() && has_everyone_room(prod, record.fd_count)) {
        return true;
    }
    refresh_flights(prod);
    take_back_orphans(prod);
    take_back_leftovers(prod);
    if (!fits()) {
        blame_all_in_flight(prod);
        return false;
    }
    blame_who_lacks_room(prod, record.fd_count);
    return has_everyone_room(prod, record.fd_count);
}

bool begin(zbq_producer *prod, const record_to_send &record) {
    if (!prod->newest_whole) {
        disown_unfinished(prod);
    }
    if (!can_begin(prod, record)) {
        return false;
    }
    prod->newest_seq = record.seq_id;
    prod->newest_whole = false;
    return true;
}

// ---- sending ----

enum class sending {
    done,
    later,  // for this one, or for all
    refused // the kernel would not send such descriptors at all
};

sending send_to(zbq_producer *prod, slot *consumer, const record_to_send &record) {
    const int result = side_send(consumer->side.get(), &consumer->in_flight, record.seq_id,
                                 record.fds, record.fd_count);
    switch (result) {
    case 0:
        consumer->newest_record = record.seq_id;
        consumer->newest_sent = record.seq_id;
        consumer->side_blocked = false;
        return sending::done;
    case -EAGAIN: // full
    case -ENOBUFS:
    case -ENOMEM:
        consumer->side_blocked = true;
        return sending::later;
    case -EBADF:  // closed by another thread since it was checked
    case -EINVAL: // of a kind that cannot be passed (io_uring)
        return sending::refused;
    case -ETOOMANYREFS:
        blame_all_in_flight(prod);
        return sending::later;
    default: // gone (EPIPE, ECONNRESET), or out of reach for good
        evict(prod, consumer, ZBQ_EVICTION_DEAD);
        return sending::done;
    }
}

// Whether this turn is over: those who have some are to collect them first.
bool is_turn_over(zbq_producer *prod, const record_to_send &record, uint64_t *in_flight) {
    if (!is_within(record.limit, *in_flight, record.fd_count)) {
        refresh_flights(prod);
        *in_flight = all_in_flight(prod);
        if (!is_within(record.limit, *in_flight, record.fd_count)) {
            blame_all_in_flight(prod);
            return true;
        }
    }
    *in_flight += record.fd_count;
    return false;
}

// To those that miss it. *any: whether it went to some.
sending send_to_all(zbq_producer *prod, const record_to_send &record, bool *any) {
    uint64_t in_flight = all_in_flight(prod);
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (!misses(*consumer, record.seq_id)) {
            continue;
        }
        if (is_turn_over(prod, record, &in_flight)) {
            return sending::later;
        }
        const sending sent = send_to(prod, consumer, record);
        if (sent != sending::done) {
            return sent;
        }
        *any = true;
    }
    return sending::done;
}

// ---- observers ----

// What they do not collect is dropped. They have a share of their own of what may be in flight, so
// that it is not the others' that they use up.
void offer_to(zbq_producer *prod, slot *observer, const record_to_send &record) {
    observer->in_flight.refresh(observer->side.get()); // failed: the last number stands
    const uint64_t after = in_flight_to(prod, true) + record.fd_count;
    const bool fits = after <= record.limit / observer_parts &&
                      all_in_flight(prod) + after <= record.limit &&
                      observer->in_flight.has_room(record.fd_count);
    observer->newest_record = record.seq_id;
    const int sent = fits ? side_send(observer->side.get(), &observer->in_flight, record.seq_id,
                                      record.fds, record.fd_count)
                          : -EAGAIN;
    observer->dropped += sent < 0 ? 1 : 0; // one that is gone is found by a scan
}

// Once for each record, which has gone to all that must have it.
bool offer_to_observers(zbq_producer *prod, const record_to_send &record) {
    bool any = false;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *observer = &prod->slots[prod->active[i]];
        if (observer->is_push() && observer->observes() &&
            observer->newest_record < record.seq_id) {
            offer_to(prod, observer, record);
            any = true;
        }
    }
    return any;
}

int broadcast_once(zbq_producer *prod, const record_to_send &record) {
    const uint64_t newest_before = prod->newest_seq;
    if (record.seq_id != prod->newest_seq && !begin(prod, record)) {
        return ZBQ_ERROR_AGAIN;
    }
    bool any = false;
    const sending sent = send_to_all(prod, record, &any);
    if (sent == sending::done) {
        any |= offer_to_observers(prod, record);
    }
    if (any) {
        bell_ring(prod->control); // consumers may sleep for a record as for a message
        mind_sleepers(prod);
    }
    prod->newest_whole = sent == sending::done;
    if (sent == sending::refused) {
        if (!any && record.seq_id != newest_before) { // it never was
            prod->newest_seq = newest_before;
            prod->newest_whole = true;
        }
        return ZBQ_ERROR_INVALID;
    }
    return sent == sending::done ? ZBQ_OK : ZBQ_ERROR_AGAIN;
}

int broadcast(zbq_producer *prod, const record_to_send &record) {
    int result = broadcast_once(prod, record);
    if (result == ZBQ_ERROR_AGAIN) {
        prod->wanted_fds = record.fd_count;
        const bool scanned = count_failure(prod, &prod->side_failures);
        if (await_collection(prod) || scanned) {
            result = broadcast_once(prod, record);
        }
    }
    if (result != ZBQ_ERROR_AGAIN) {
        end_wait_for_collection(prod);
        end_await_collection(prod);
    }
    return result;
}

} // namespace

bool may_be_in_flight(zbq_producer *prod, uint64_t more) {
    if (more == 0) {
        return true;
    }
    refresh_flights(prod);
    return is_within(descriptor_limit() / in_flight_parts,
                     all_in_flight(prod) + in_flight_to(prod, true), more);
}

} // namespace zbq::core

using namespace zbq::core;

uint64_t zbq_producer_next_seq_id(zbq_producer *prod) {
    return prod == nullptr ? 0 : ++prod->next_seq;
}

int zbq_producer_broadcast_fds(zbq_producer *prod, uint64_t seq_id, const int *fds,
                               uint8_t fd_count) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    if (fd_count == 0) {
        return ZBQ_OK;
    }
    if (fds == nullptr || fd_count > ZBQ_MAX_FD_PER_MSG || seq_id == 0 ||
        seq_id < prod->newest_seq || !all_open(fds, fd_count)) {
        return ZBQ_ERROR_INVALID;
    }
    return broadcast(prod, {seq_id, fds, fd_count, descriptor_limit()});
}

/* ---- src/join.cpp ---- */

// The join: both ends of one message. The producer prepares a slot and sends the payload
// with six descriptors; the consumer checks them as a stranger's and answers with an
// announcement on its new side socket.

/* ---- src/consumer.hpp ---- */

// The consumer's state: made by join.cpp, used by consumer.cpp. One thread at a time. All
// that is mapped or received here was written by a producer that may be hostile.

namespace zbq::core {

// A record received ahead of the one that was asked for.
struct held_record {
    uint64_t seq_id = 0; // 0: none
    fd_list fds;
};

} // namespace zbq::core

struct zbq_consumer {
    // The fast path, and what it knows: never read back from shared memory. Mutable: a look at the
    // head changes nothing that a caller has.
    mutable zbq_read_window window = {};
    zbq::core::parking parking; // in its page
    uint64_t floor = 0;         // an observer's: the last one seen
    zbq_seek_to resume = ZBQ_SEEK_OLDEST;
    zbq_loss lost = {};
    uint64_t passed_from = 0; // the last piece that was copied or skipped, and nobody looks at
    uint64_t passed_to = 0;
    uint64_t baseline = 0;
    uint64_t noted_tail = 0;    // the last one with a time in the page
    uint64_t spun_to = 0;       // the head that the last spin found
    unsigned looks = 0;         // of all spins
    bool producer_gone = false; // its process was found to have ended
    bool abandoned = false;     // the event socket was closed: nothing more will come

    // Descriptors.
    uint64_t newest_record = 0; // records up to this id were seen
    uint64_t record_floor = 0;  // those up to this id are not for us, but for the retained
    zbq::core::held_record held;

    // The rest.
    zbq_type type = {};
    bool push = false;
    zbq::core::birthmark birth;
    zbq::core::unique_fd side;
    zbq::core::unique_fd event;
    zbq::core::unique_fd producer; // pidfd
    zbq::core::unique_fd watch;    // epoll of event socket, pidfd and timer, once asked for
    zbq::core::unique_fd timer;    // to look again, though nobody rings
    uint64_t looks_again_at = 0;   // as it is set
    uint64_t nap_end = 0;          // of the mark in the page
    uint64_t told_head = 0;        // of messages that were told of again, with the timer
    uint64_t awaited_record = 0;   // that a look did not find
    zbq::core::mapping control_memory;
    zbq::core::mapping ring_memory;
    zbq::core::mapping page_memory;
    zbq::core::mapping retained; // none, where nothing was at the join

    [[nodiscard]] const zbq_control_region *control() const { return window.control; }
    [[nodiscard]] zbq_consumer_metadata *page() const { return window.page; }

    // The stream is, for good.
    [[nodiscard]] bool is_malformed() const { return window.unusual != 0; }
    [[nodiscard]] bool observes() const { return window.observes != 0; }
};

namespace zbq::core {

bool has_ended(const zbq_consumer *cons);   // as far as is known
void look_for_producer(zbq_consumer *cons); // a system call
void note_progress(zbq_consumer *cons);     // the time of a release, if there was one
bool is_evicted(const zbq_consumer *cons);

// A word of the read window: the tail or the cursor.
using position = uint64_t zbq_read_window::*;
void move_cursor(zbq_consumer *cons, uint64_t to);

// ---- observe.cpp ----

// Takes over head and floor; goes on elsewhere where it was lapped. ZBQ_OK, ZBQ_ERROR_PROTOCOL, or
// ZBQ_ERROR_AGAIN: no look was quick enough.
int observe(zbq_consumer *cons);
void release_until_cursor(zbq_consumer *cons); // whatever the producer awaits

} // namespace zbq::core

/* ---- src/join.cpp ---- */

#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/socket.h>

// Linux 6.5, newer than Debian 12's headers; include/uapi/asm-generic/socket.h.
#if !defined(SO_PASSPIDFD)
#define SO_PASSPIDFD 76
#endif

namespace zbq::core {

namespace {

// The order of the descriptors in the join message.
enum join_descriptor : unsigned {
    join_control,
    join_ring,
    join_page,
    join_side,
    join_pidfd,
    join_event,
    join_retained, // where something is
};
static_assert(join_event + 1 == join_descriptors);

bool mode_is_valid(zbq_wakeup_mode mode) {
    return mode >= ZBQ_WAKEUP_PUSH && mode <= ZBQ_OBSERVE_PULL;
}

// ---- the producer's end ----

// Many joins that nobody has answered would fill the kernel's account of descriptors in flight, and
// those of one user the place of others. Dear wake-ups are paid for before there are more. Our own
// user's processes can do worse to us.
bool may_join(zbq_producer *prod, uid_t uid) {
    take_back_leftovers(prod);
    return uid == own_user() || (!owes_much(prod, uid) && may_leave_unanswered(prod, uid));
}

// The better to be used, the less: what is to be taken back takes time, and a debt is forgotten.
uint32_t reluctance(const slot &of, uint64_t now) {
    return of.is_leftover() ? 2 : of.wakes.quiet_until > now ? 1 : 0;
}

slot *best_free_slot(const zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    slot *best = nullptr;
    for (uint32_t i = 0; i < prod->max_consumers; ++i) {
        slot *one = &prod->slots[i];
        if (!one->taken && (best == nullptr || reluctance(*one, now) < reluctance(*best, now))) {
            best = one;
        }
    }
    return best;
}

slot *find_free_slot(zbq_producer *prod) {
    if (prod->active_count == prod->max_consumers) {
        scan(prod); // some may be dead
        if (prod->active_count == prod->max_consumers) {
            evict_unanswered(prod);
        }
    }
    slot *free_slot = best_free_slot(prod);
    while (free_slot != nullptr && free_slot->is_leftover()) {
        prod->leftovers -= take_back_some(free_slot) ? 1 : 0;
    }
    return free_slot;
}

int make_side_channel(unique_fd *ours, unique_fd *theirs, flight *in_flight) {
    int result = socket_pair_seqpacket(ours, theirs);
    if (result < 0) {
        return result;
    }
    result = socket_set(ours->get(), SO_PASSCRED, 1);
    if (result < 0) {
        return result;
    }
    // Before 6.5 there is no such option (ENOPROTOOPT) and the announcement's pid has to do.
    socket_set(ours->get(), SO_PASSPIDFD, 1);
    socket_refuse_descriptors(ours->get());
    socket_lock_filter(theirs->get());
    return in_flight->calibrate(ours->get(), theirs->get());
}

// What the consumer gets beside the ring's own descriptors. Closed here once it is sent.
struct consumer_ends {
    unique_fd page;
    unique_fd pidfd; // of ours: each has its own, since epoll limits what one file is watched by
    unique_fd event;
};

int prepare_slot(const zbq_producer *prod, zbq_wakeup_mode mode, uint64_t start, slot *fresh,
                 consumer_ends *ends) {
    region page;
    int result = region_create("zbq-consumer", metadata_size, false, sharing::writable, &page);
    if (result < 0) {
        return result;
    }
    result = make_side_channel(&fresh->side, &fresh->side_peer, &fresh->in_flight);
    if (result < 0) {
        return result;
    }
    result = pidfd_of(process_id());
    if (result < 0) {
        return result;
    }
    ends->pidfd.reset(result);
    result = event_make(&fresh->event, &ends->event);
    if (result < 0) {
        return result;
    }
    fresh->mode = static_cast<uint32_t>(mode);
    fresh->tail_seen = start;
    fresh->newest_record = prod->newest_seq;
    fresh->joined_at = monotonic_ns();
    fresh->wakes.at = fresh->joined_at;
    fresh->waited = prod->patience;
    fresh->waited.at = fresh->joined_at;
    fresh->page_memory = static_cast<mapping &&>(page.memory);
    ends->page = static_cast<unique_fd &&>(page.fd);
    if (fresh->is_push()) {
        result = send_retained(prod->retained, fresh->side.get(), &fresh->in_flight);
        if (result < 0) {
            return result;
        }
    }
    // Nobody else has the page yet: plain stores.
    fresh->page()->tail_offset = start;
    fresh->page()->join_baseline = monotonic_coarse_ns();
    take_over_debt(prod, fresh);
    return 0;
}

// ---- where it starts ----

bool is_of(const zbq_producer *prod, const uint8_t (&ring_id)[16]) {
    const uint8_t whichever[16] = {};
    return memcmp(ring_id, whichever, sizeof ring_id) == 0 ||
           memcmp(ring_id, prod->control->ring_id, sizeof ring_id) == 0;
}

// What lies between the last mark and the offset is the consumer's to go through.
int start_at_offset(const zbq_producer *prod, const zbq_start &wanted, uint64_t *start) {
    const uint64_t head = prod->window.head;
    const uint64_t floor = prod->history.floor();
    if (!is_of(prod, wanted.ring_id)) {
        *start = floor;
        return 0;
    }
    *start = wanted.offset == head ? head : prod->history.last_until(wanted.offset);
    return wanted.offset <= head ? 0 : -EINVAL;
}

// A logical offset at which a message starts: 0, or -EINVAL.
int find_start(const zbq_producer *prod, const zbq_start &wanted, uint64_t *start) {
    const uint64_t head = prod->window.head;
    switch (wanted.at) {
    case ZBQ_START_HEAD:
        *start = head;
        return 0;
    case ZBQ_START_OLDEST:
        *start = prod->history.floor();
        return 0;
    case ZBQ_START_LAST:
        *start = wanted.offset == 0     ? head
                 : wanted.offset < head ? prod->history.last_until(head - wanted.offset)
                                        : prod->history.floor();
        return 0;
    case ZBQ_START_WITHIN:
        *start = prod->history.first_from(wanted.offset < head ? head - wanted.offset : 0, head);
        return 0;
    case ZBQ_START_OFFSET:
        return start_at_offset(prod, wanted, start);
    default:
        return -EINVAL;
    }
}

zbq_join_payload payload_for(const zbq_producer *prod, const slot &fresh) {
    zbq_join_payload payload = {};
    payload.ring_capacity = prod->capacity;
    payload.join_baseline = fresh.page()->join_baseline;
    payload.initial_head = fresh.tail_seen;
    payload.producer_pid = prod->control->producer_pid;
    payload.slot_index = fresh.index;
    payload.wakeup_mode = fresh.mode;
    payload.protocol_version = ZBQ_PROTOCOL_VERSION;
    payload.seq_floor = fresh.newest_record;
    payload.type_hash = prod->type.hash;
    payload.type_size = prod->type.size;
    payload.type_align = prod->type.align;
    return payload;
}

int send_join(const zbq_producer *prod, int socket, const slot &fresh, const consumer_ends &ends) {
    const zbq_join_payload payload = payload_for(prod, fresh);
    int fds[join_descriptors + 1];
    fds[join_control] = prod->control_region.fd.get();
    fds[join_ring] = prod->ring_region.fd.get();
    fds[join_page] = ends.page.get();
    fds[join_side] = fresh.side_peer.get();
    fds[join_pidfd] = ends.pidfd.get();
    fds[join_event] = ends.event.get();
    fds[join_retained] = prod->retained.memory.fd.get();
    const unsigned count = join_descriptors + (prod->retained.count != 0 ? 1 : 0);
    const ssize_t sent = send_record(socket, &payload, sizeof payload, fds, count);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    return sent == sizeof payload ? 0 : -EMSGSIZE;
}

void replace(slot *old, slot &&fresh) {
    const zbq_consumer_info last = old->last;
    *old = static_cast<slot &&>(fresh);
    old->last = last;
}

// ---- the consumer's end ----

struct join_message {
    zbq_join_payload payload = {};
    ancillary with;
};

int receive_join(int socket, join_message *message) {
    const ssize_t received =
        receive_record(socket, &message->payload, sizeof message->payload, 0, &message->with);
    if (received == -EAGAIN || received == -EINTR) {
        return ZBQ_ERROR_AGAIN;
    }
    if (received < 0) {
        return error_from(static_cast<int>(received));
    }
    if (received == 0 && message->with.fds.size() == 0) {
        return error_from(-ECONNRESET); // the peer is gone
    }
    if (message->with.truncated && message->with.fds.size() < join_descriptors) {
        return error_from(-EMFILE); // the kernel could install no more here
    }
    const unsigned count = message->with.fds.size();
    const bool whole = received == sizeof message->payload && !message->with.truncated &&
                       (count == join_descriptors || count == join_descriptors + 1);
    return whole ? ZBQ_OK : ZBQ_ERROR_PROTOCOL;
}

bool payload_is_valid(const zbq_join_payload &payload, zbq_wakeup_mode mode) {
    return payload.protocol_version == ZBQ_PROTOCOL_VERSION &&
           payload.wakeup_mode == static_cast<uint32_t>(mode) &&
           capacity_is_valid(payload.ring_capacity, page_size()) &&
           is_aligned(payload.initial_head);
}

bool is_channel(int fd) {
    int type = 0;
    return is_unix_socket(fd, &type) && type == SOCK_SEQPACKET;
}

// No descriptors through it from now on, where the kernel can refuse them; nor before.
bool has_none_waiting(int channel) {
    socket_refuse_descriptors(channel);
    return !has_descriptors_waiting(channel);
}

// Descriptors are for those alone who read with them: one that waits in a socket would be closed
// here, and that can take as long as its sender likes.
bool channels_are_valid(const fd_list &fds, bool push) {
    return is_channel(fds.at(join_side)) && is_channel(fds.at(join_event)) &&
           has_none_waiting(fds.at(join_event)) && (push || has_none_waiting(fds.at(join_side)));
}

int map_retained(int fd, zbq_consumer *cons) {
    uint64_t size = 0;
    const int result = region_size(fd, sharing::read_only, &size);
    const bool is_allowed = size != 0 && size % page_size() == 0 && size <= most_retained_bytes;
    if (result < 0 || !is_allowed) {
        return result < 0 ? result : -EPROTO;
    }
    return region_open(fd, size, false, sharing::read_only, &cons->retained);
}

int map_all(const join_message &message, zbq_consumer *cons) {
    const fd_list &fds = message.with.fds;
    int result = region_open(fds.at(join_control), control_size, false, sharing::read_only,
                             &cons->control_memory);
    if (result < 0) {
        return result;
    }
    result = region_open(fds.at(join_ring), message.payload.ring_capacity, true, sharing::read_only,
                         &cons->ring_memory);
    if (result < 0) {
        return result;
    }
    result =
        region_open(fds.at(join_page), metadata_size, false, sharing::writable, &cons->page_memory);
    return result == 0 && fds.size() > join_retained ? map_retained(fds.at(join_retained), cons)
                                                     : result;
}

void start_at(const zbq_join_payload &payload, zbq_consumer *cons) {
    const auto *ring = static_cast<const char *>(cons->ring_memory.get());
    const uint64_t start = payload.initial_head;
    cons->window = {start,
                    start,
                    start,
                    ring + start % payload.ring_capacity,
                    ring,
                    payload.ring_capacity,
                    static_cast<const zbq_control_region *>(cons->control_memory.get()),
                    static_cast<zbq_consumer_metadata *>(cons->page_memory.get()),
                    cons,
                    0,
                    observes(payload.wakeup_mode) ? 1U : 0U};
    cons->noted_tail = cons->spun_to = start;
    cons->parking.page = cons->page();
    cons->parking.place = parking_of(cons->page(), payload.slot_index);
    cons->baseline = payload.join_baseline;
    cons->record_floor = payload.seq_floor;
    cons->newest_record = cons->retained.get() == nullptr ? payload.seq_floor : 0;
    cons->push = !pulls(payload.wakeup_mode);
    cons->type = {payload.type_hash, payload.type_size, payload.type_align};
}

// A failure is no error: a producer that has ended the stream or evicted us since the
// handshake is told of by the shared memory, which may still hold messages to read.
void announce_to_producer(const zbq_consumer *cons, uint32_t slot_index) {
    const announcement record = {announcement_magic, slot_index, 0};
    send_record(cons->side.get(), &record, sizeof record, nullptr, 0);
}

int adopt(join_message *message, zbq_consumer *cons) {
    fd_list &fds = message->with.fds;
    if (!channels_are_valid(fds, !pulls(message->payload.wakeup_mode)) ||
        !is_pidfd(fds.at(join_pidfd))) {
        return ZBQ_ERROR_PROTOCOL;
    }
    const int mapped = map_all(*message, cons);
    if (mapped < 0) {
        return mapped == -EPROTO ? ZBQ_ERROR_PROTOCOL : error_from(mapped);
    }
    cons->side = fds.take(join_side);
    cons->producer = fds.take(join_pidfd);
    cons->event = fds.take(join_event);
    start_at(message->payload, cons);
    if (cons->control()->ring_capacity != message->payload.ring_capacity) {
        return ZBQ_ERROR_PROTOCOL;
    }
    announce_to_producer(cons, message->payload.slot_index);
    return ZBQ_OK;
}

int join(int socket, zbq_wakeup_mode mode, zbq_consumer *cons) {
    join_message message;
    const int received = receive_join(socket, &message);
    if (received != ZBQ_OK) {
        message.with.fds.close_all_elsewhere();
        return received;
    }
    const int result =
        payload_is_valid(message.payload, mode) ? adopt(&message, cons) : ZBQ_ERROR_PROTOCOL;
    if (result != ZBQ_OK) {
        message.with.fds.close_all_elsewhere();
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_handshake(zbq_producer *prod, int conn_fd, zbq_wakeup_mode mode,
                           uint32_t *out_slot_id) {
    return zbq_producer_admit(prod, conn_fd, mode, nullptr, out_slot_id);
}

int zbq_producer_find_start(const zbq_producer *prod, const zbq_start *start,
                            uint64_t *out_offset) {
    if (prod == nullptr || start == nullptr || out_offset == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    return find_start(prod, *start, out_offset) < 0 ? ZBQ_ERROR_INVALID : ZBQ_OK;
}

int zbq_producer_admit(zbq_producer *prod, int conn_fd, zbq_wakeup_mode mode,
                       const zbq_start *start, uint32_t *out_slot_id) {
    int type = 0;
    if (prod == nullptr || out_slot_id == nullptr || !mode_is_valid(mode) ||
        !is_unix_socket(conn_fd, &type) || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    uint64_t offset = prod->window.head;
    if (start != nullptr && find_start(prod, *start, &offset) < 0) {
        return ZBQ_ERROR_INVALID;
    }
    const uid_t uid = peer_user(conn_fd);
    const bool may = may_join(prod, uid) && (pulls(static_cast<uint32_t>(mode)) ||
                                             may_be_in_flight(prod, prod->retained.fds.size()));
    slot *free_slot = may ? find_free_slot(prod) : nullptr;
    if (free_slot == nullptr) {
        return ZBQ_ERROR_NOENT;
    }
    slot fresh;
    fresh.index = free_slot->index;
    fresh.uid = uid;
    consumer_ends ends;
    int result = prepare_slot(prod, mode, offset, &fresh, &ends);
    if (result == 0) {
        result = watch_consumer(prod, &fresh);
    }
    if (result == 0) {
        result = send_join(prod, conn_fd, fresh, ends);
    }
    if (result < 0) {
        unwatch_consumer(prod, &fresh); // a forked child may keep the sockets open
        return error_from(result);
    }
    replace(free_slot, static_cast<slot &&>(fresh));
    activate(prod, free_slot);
    if (!free_slot->observes() && offset < prod->slowest_tail) {
        prod->slowest_tail = offset;
    }
    ZBQ_PROBE(join, prod->name, free_slot->index, free_slot->mode, offset);
    tell(prod);
    *out_slot_id = free_slot->index;
    return ZBQ_OK;
}

int zbq_consumer_join(int rendezvous_fd, zbq_wakeup_mode mode, zbq_consumer **out) {
    if (out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = nullptr;
    int type = 0;
    if (!mode_is_valid(mode) || !is_unix_socket(rendezvous_fd, &type)) {
        return ZBQ_ERROR_INVALID;
    }
    void *memory = calloc(1, sizeof(zbq_consumer));
    if (memory == nullptr) {
        return ZBQ_ERROR_NOMEM;
    }
    auto *cons = new (memory) zbq_consumer;
    const int born = cons->birth.make();
    const int result = born < 0 ? error_from(born) : join(rendezvous_fd, mode, cons);
    if (result != ZBQ_OK) {
        zbq_consumer_destroy(cons);
        return result;
    }
    *out = cons;
    return ZBQ_OK;
}

/* ---- src/consumer.cpp ---- */

// Reading: messages, release, descriptors, sleep. The application's thread alone runs
// this. peek, next, valid and publish make no system call.

#include <cstdlib>
#include <cstring>
#include <sys/epoll.h>

namespace zbq::core {

// Before the head is loaded: a head loaded after the mark is the last one.
bool has_ended(const zbq_consumer *cons) {
    return closed_acquire(cons->control()) || cons->producer_gone || cons->abandoned;
}

// The producer's process has ended when its pidfd says so; one that has executed another program
// has closed its end of the event socket.
void look_for_producer(zbq_consumer *cons) {
    pollfd ends[] = {{cons->producer.get(), POLLIN, 0}, {cons->event.get(), 0, 0}};
    if (poll_now(ends, 2) > 0) {
        cons->producer_gone |= ends[0].revents != 0;
        cons->abandoned |= ends[1].revents != 0;
    }
}

// For people and tools, and not for each message: it decides nothing.
void note_progress(zbq_consumer *cons) {
    if (cons->noted_tail != cons->window.tail) {
        cons->noted_tail = cons->window.tail;
        const uint64_t now = monotonic_coarse_ns();
        progress_publish(cons->page(), now > cons->baseline ? now - cons->baseline : 0);
    }
}

bool is_evicted(const zbq_consumer *cons) {
    return eviction_seen(cons->page());
}

namespace {

// ---- head ----

// Loads the head; keeps it if it can be. A head that cannot be makes the stream malformed.
void refresh_head(const zbq_consumer *cons) {
    if (!zbq_window_accept(&cons->window, head_acquire(cons->control()))) {
        cons->window.unusual = 1; // for good
    }
}

// What there is at a place where the head last acquired shows no message: ZBQ_OK where
// the head has moved on since.
int look_past_known_head(zbq_consumer *cons, position at) {
    const bool ended = has_ended(cons);
    if (!cons->observes()) {
        refresh_head(cons);
    } else if (observe(cons) == ZBQ_ERROR_AGAIN) {
        return ZBQ_OK; // there is too much
    }
    if (is_evicted(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    if (cons->is_malformed()) {
        return ZBQ_ERROR_PROTOCOL;
    }
    if (cons->window.head != cons->window.*at) {
        return ZBQ_OK;
    }
    note_progress(cons);
    return ended ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
}

// ---- the event descriptor ----

// Readable from then on, by CLOCK_MONOTONIC; 0: not. 1 is long past.
void look_again_at(zbq_consumer *cons, uint64_t time) {
    if (cons->looks_again_at != time) {
        cons->looks_again_at = time;
        timer_set(cons->timer.get(), time);
    }
}

// Asks to be rung, and has the timer end the nap that goes with it. Once the mark has stood
// for a nap, there is nothing more to fear.
void park_on_event(zbq_consumer *cons) {
    const uint32_t before = park_announce(cons->parking.place, parked_on_event);
    const uint64_t now = monotonic_ns();
    if ((before & parked_on_event) == 0 || quiet_after_park(cons->page()) > now) {
        cons->nap_end = now + nap_length(cons->page());
    }
    look_again_at(cons, now < cons->nap_end ? cons->nap_end : 0);
}

// Clears it and asks to be rung: whoever finds nothing has to look again after this.
void rearm(zbq_consumer *cons) {
    pollfd watched[] = {{cons->event.get(), POLLIN, 0}, {cons->producer.get(), POLLIN, 0}};
    if (poll_now(watched, 2) > 0) {
        cons->producer_gone |= watched[1].revents != 0;
        cons->abandoned |=
            watched[0].revents != 0 && event_take(cons->event.get()) == event_state::closed;
    }
    park_on_event(cons);
}

// The bell that a look for messages took off may have been that of a record which is awaited.
void tell_of_record(zbq_consumer *cons) {
    pollfd side = {cons->side.get(), POLLIN, 0};
    // Where the poll failed: one look too many.
    if (cons->awaited_record != 0 && poll_now(&side, 1) != 0) {
        cons->awaited_record = 0; // it is told of once
        look_again_at(cons, 1);
    }
}

// And the other way round: that of messages which no look has seen.
void tell_of_messages(zbq_consumer *cons) {
    const uint64_t head = head_acquire(cons->control());
    if (head != cons->window.head && head != cons->told_head) {
        cons->told_head = head;
        look_again_at(cons, 1);
    }
}

// No look of an observer was quick enough: there is something all the same. Set again, the timer
// tells those too who are told but once of each change (EPOLLET).
int tell_to_look_again(zbq_consumer *cons) {
    if (cons->watch) {
        cons->looks_again_at = 0;
        look_again_at(cons, 1);
    }
    return ZBQ_ERROR_AGAIN;
}

int look_and_rearm(zbq_consumer *cons, position at) {
    int result = look_past_known_head(cons, at);
    if (result == ZBQ_ERROR_AGAIN && cons->watch) {
        rearm(cons);
        result = look_past_known_head(cons, at);
        tell_of_record(cons);
    }
    return result;
}

// ---- messages ----

// Where an offset between tail and head lies. The ring is mapped twice: the cursor may be in
// either.
const char *place_of(const zbq_consumer *cons, uint64_t offset) {
    const zbq_read_window &window = cons->window;
    const uint64_t behind = window.cursor - offset;
    const auto position = static_cast<uint64_t>(window.next - window.ring);
    return behind <= position ? window.next - behind : window.next + (window.capacity - behind);
}

// What of the ring is known to be committed.
int view_known(zbq_consumer *cons, uint64_t offset, zbq_msg_view *out) {
    const bool fits = zbq_window_view(&cons->window, place_of(cons, offset), offset, out);
    if (is_evicted(cons)) { // then the length read may not be one
        return ZBQ_ERROR_NOENT;
    }
    if (!fits) {
        cons->window.unusual = 1; // for good
        return ZBQ_ERROR_PROTOCOL;
    }
    return ZBQ_OK;
}

// Whether what lies there may be overwritten.
bool is_lapped(const zbq_consumer *cons, uint64_t offset) {
    return !zbq_window_valid_from(&cons->window, offset) || offset < cons->floor;
}

// ZBQ_ERROR_AGAIN: it was lapped, before or meanwhile. Before, its place may be none.
int view_observed(zbq_consumer *cons, uint64_t offset, zbq_msg_view *out) {
    const bool fits = !is_lapped(cons, offset) &&
                      zbq_window_view(&cons->window, place_of(cons, offset), offset, out);
    if (is_evicted(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    if (is_lapped(cons, offset)) {
        return ZBQ_ERROR_AGAIN;
    }
    if (!fits) {
        cons->window.unusual = 1; // for good
        return ZBQ_ERROR_PROTOCOL;
    }
    return ZBQ_OK;
}

// An observer that was lapped goes on elsewhere. Where that was between tail and cursor, all that
// is not released is void.
int catch_up(zbq_consumer *cons, position at) {
    const int result = observe(cons);
    if (result == ZBQ_OK && is_lapped(cons, cons->window.*at)) {
        release_until_cursor(cons);
    }
    return result;
}

// Whether there may be a message. ZBQ_OK, or why not.
int look_at(zbq_consumer *cons, position at) {
    const bool is_known = cons->window.*at != cons->window.head && !cons->is_malformed();
    return is_known ? ZBQ_OK : look_and_rearm(cons, at);
}

int observe_at(zbq_consumer *cons, position at, zbq_msg_view *out) {
    for (uint32_t i = 0; i < most_laps; ++i) {
        int result = look_at(cons, at);
        if (result != ZBQ_OK) {
            return result;
        }
        result = view_observed(cons, cons->window.*at, out);
        if (result != ZBQ_ERROR_AGAIN) {
            return result;
        }
        if (catch_up(cons, at) == ZBQ_ERROR_PROTOCOL) {
            return ZBQ_ERROR_PROTOCOL;
        }
    }
    return tell_to_look_again(cons);
}

int view_at(zbq_consumer *cons, position at, zbq_msg_view *out) {
    if (cons->observes()) {
        return observe_at(cons, at, out);
    }
    const int result = look_at(cons, at);
    return result == ZBQ_OK ? view_known(cons, cons->window.*at, out) : result;
}

} // namespace

void move_cursor(zbq_consumer *cons, uint64_t to) {
    cons->window.next += to - cons->window.cursor;
    cons->window.cursor = to;
}

namespace {

// ---- copies ----

// What nobody looks at: it is released with what comes before it.
void pass_by(zbq_consumer *cons, uint64_t to) {
    if (cons->window.cursor != cons->passed_to) {
        cons->passed_from = cons->window.cursor;
    }
    move_cursor(cons, to);
    cons->passed_to = to;
}

void release_passed(zbq_consumer *cons) {
    const uint64_t tail = cons->window.tail;
    if (tail >= cons->passed_from && tail < cons->passed_to) { // else somebody looks before it
        zbq_window_release(&cons->window, cons->passed_to);
    }
}

void copy_to(void *buffer, uint64_t size, const zbq_msg_view &view, zbq_msg_copy *out) {
    out->header = *view.header;
    out->header.payload_len = static_cast<uint32_t>(view.payload_len); // as it was checked
    out->logical_offset = view.logical_offset;
    if (view.payload_len <= size && view.payload_len != 0) {
        memcpy(buffer, view.payload, view.payload_len);
    }
}

int take_copied(zbq_consumer *cons, const zbq_msg_view &view, uint64_t size) {
    if (view.payload_len > size) {
        return ZBQ_ERROR_OVERFLOW;
    }
    pass_by(cons, round_up(view.logical_offset + view.total_len));
    release_passed(cons);
    return ZBQ_OK;
}

// ---- descriptors ----

// The next record, into the held one.
int receive_next(zbq_consumer *cons) {
    uint64_t seq_id = 0;
    const int result = side_receive(cons->side.get(), &seq_id, &cons->held.fds);
    if (result < 0) {
        return result;
    }
    if (seq_id <= cons->newest_record) { // ids rise
        cons->held.fds.close_all();
        return -EPROTO;
    }
    cons->newest_record = seq_id;
    cons->held.seq_id = seq_id;
    return 0;
}

int record_error(int negative_errno) {
    switch (negative_errno) {
    case -EAGAIN:
        return ZBQ_ERROR_AGAIN;
    case -EPIPE:
        return ZBQ_ERROR_NOENT;
    case -EPROTO:
        return ZBQ_ERROR_PROTOCOL;
    default:
        return error_from(negative_errno);
    }
}

// A record that is not gone by, nor from before the join.
bool may_come(const zbq_consumer *cons, uint64_t seq_id) {
    return seq_id > cons->newest_record &&
           (seq_id > cons->record_floor || has_retained_record(cons->retained, seq_id));
}

// Drops held and waiting records until one is not older than the expected.
int advance_to_record(zbq_consumer *cons, uint64_t expected_seq_id) {
    for (uint32_t i = 0; i < most_records_dropped; ++i) {
        if (cons->held.seq_id >= expected_seq_id && cons->held.seq_id != 0) {
            return cons->held.seq_id == expected_seq_id ? ZBQ_OK : ZBQ_ERROR_NOENT;
        }
        cons->held.fds.close_all();
        cons->held.seq_id = 0;
        if (!may_come(cons, expected_seq_id)) {
            return ZBQ_ERROR_NOENT;
        }
        const bool ended = has_ended(cons) || is_evicted(cons); // before the look
        const int result = receive_next(cons);
        if (result < 0) {
            return result == -EAGAIN && ended ? ZBQ_ERROR_NOENT : record_error(result);
        }
    }
    return ZBQ_ERROR_AGAIN;
}

// ---- sleep ----

bool is_at_end(const zbq_consumer *cons) {
    return has_ended(cons) && head_acquire(cons->control()) == cons->window.cursor;
}

// What a waiter has to know, without sleeping. ZBQ_ERROR_AGAIN: nothing has happened.
int event_since(const zbq_consumer *cons, uint32_t token) {
    const bool changed = token_now(cons->control()) != token;
    if (is_evicted(cons) || is_at_end(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    return changed || has_ended(cons) ? ZBQ_OK : ZBQ_ERROR_AGAIN;
}

int sleep_for_event(zbq_consumer *cons, uint32_t token, uint64_t timeout_ns) {
    const uint64_t slice = timeout_ns < ZBQ_WAIT_SLICE_NS ? timeout_ns : ZBQ_WAIT_SLICE_NS;
    const int result = park(cons->control(), &cons->parking, token, slice);
    if (result == -ETIMEDOUT) {
        look_for_producer(cons);
    } else if (result < 0 && result != -EAGAIN && result != -EINTR) {
        return error_from(result);
    }
    return event_since(cons, token);
}

int make_watch(zbq_consumer *cons) {
    unique_fd watch;
    unique_fd timer;
    int result = timer_make(&timer);
    const int fds[] = {cons->event.get(), cons->producer.get(), timer.get()};
    if (result == 0) {
        result = epoll_make(&watch);
    }
    for (const int fd : fds) {
        if (result == 0) {
            result = epoll_add(watch.get(), fd, EPOLLIN, 0);
        }
    }
    if (result == 0) {
        cons->watch = static_cast<unique_fd &&>(watch);
        cons->timer = static_cast<unique_fd &&>(timer);
        look_again_at(cons, 1); // nobody has been asked to ring yet
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

void zbq_consumer_destroy(zbq_consumer *cons) {
    if (cons == nullptr) {
        return;
    }
    if (!cons->birth.is_own()) { // a forked child: the addresses may be something else's
        cons->control_memory.forget();
        cons->ring_memory.forget();
        cons->page_memory.forget();
        cons->retained.forget();
    }
    cons->~zbq_consumer();
    free(cons);
}

bool zbq_consumer_is_producer_alive(zbq_consumer *cons) {
    if (cons == nullptr) {
        return false;
    }
    look_for_producer(cons);
    return !cons->producer_gone;
}

uint64_t zbq_consumer_acquire_head(const zbq_consumer *cons) {
    if (cons == nullptr) {
        return 0;
    }
    if (cons->observes()) { // of which nothing else is known before it looks
        return head_acquire(cons->control());
    }
    refresh_head(cons);
    return cons->window.head;
}

int zbq_consumer_peek(zbq_consumer *cons, zbq_msg_view *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    return view_at(cons, &zbq_read_window::tail, out);
}

int zbq_consumer_next(zbq_consumer *cons, zbq_msg_view *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    const int result = view_at(cons, &zbq_read_window::cursor, out);
    if (result == ZBQ_OK) {
        move_cursor(cons, round_up(out->logical_offset + out->total_len));
    }
    return result;
}

int zbq_consumer_look(zbq_consumer *cons) {
    if (cons == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    zbq_msg_view first = {};
    return view_at(cons, &zbq_read_window::cursor, &first);
}

int zbq_consumer_skip(zbq_consumer *cons, uint64_t offset) {
    if (cons == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    int result = ZBQ_OK;
    const uint64_t laps = cons->lost.times;
    uint64_t passed = 0; // a hostile producer could go on for ever
    while (result == ZBQ_OK && cons->window.cursor < offset) {
        zbq_msg_view view = {};
        result = passed < cons->window.capacity ? view_at(cons, &zbq_read_window::cursor, &view)
                                                : ZBQ_ERROR_AGAIN;
        if (result == ZBQ_OK && cons->window.cursor < offset) { // a lap may lead past it
            const uint64_t end = round_up(view.logical_offset + view.total_len);
            passed += end - view.logical_offset;
            pass_by(cons, end);
        }
    }
    release_passed(cons);
    const bool is_there = cons->window.cursor == offset || cons->lost.times != laps;
    return result == ZBQ_OK && !is_there ? ZBQ_ERROR_INVALID : result;
}

int zbq_consumer_copy(zbq_consumer *cons, void *buffer, uint64_t size, zbq_msg_copy *out) {
    if (cons == nullptr || out == nullptr || (buffer == nullptr && size != 0)) {
        return ZBQ_ERROR_INVALID;
    }
    for (uint32_t i = 0; i < most_laps; ++i) {
        zbq_msg_view view = {};
        const int result = view_at(cons, &zbq_read_window::cursor, &view);
        if (result != ZBQ_OK) {
            return result;
        }
        copy_to(buffer, size, view, out);
        if (zbq_window_valid_from(&cons->window, view.logical_offset)) {
            return take_copied(cons, view, size);
        }
        if (!cons->observes()) {
            return ZBQ_ERROR_NOENT;
        }
    }
    return tell_to_look_again(cons);
}

zbq_read_window *zbq_consumer_window(zbq_consumer *cons) {
    return cons == nullptr ? nullptr : &cons->window;
}

bool zbq_consumer_valid(const zbq_consumer *cons) {
    return cons != nullptr && zbq_window_valid(&cons->window);
}

void zbq_consumer_publish(zbq_consumer *cons, uint64_t new_tail) {
    if (cons == nullptr) {
        return;
    }
    const uint64_t tail = round_up(new_tail);
    if (new_tail > cons->window.head) { // which is on the grid; so that the tail has not wrapped
        return;
    }
    if (tail > cons->window.cursor) {
        move_cursor(cons, tail);
    }
    zbq_window_release(&cons->window, tail);
    release_passed(cons);
    note_progress(cons);
}

void zbq_consumer_ring(zbq_consumer *cons) {
    const bool may_be_awaited = cons != nullptr && !cons->observes();
    if (may_be_awaited && cons->birth.is_own()) {
        event_ring(cons->event.get());
    }
}

int zbq_consumer_recv_fds(zbq_consumer *cons, uint64_t expected_seq_id, int *out_fds,
                          uint8_t *out_fd_count) {
    if (out_fd_count != nullptr) {
        *out_fd_count = 0;
    }
    if (cons == nullptr || out_fds == nullptr || out_fd_count == nullptr || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    if (!cons->push) {
        return ZBQ_ERROR_NOENT;
    }
    int result = advance_to_record(cons, expected_seq_id);
    if (result == ZBQ_ERROR_AGAIN && cons->watch) {
        rearm(cons);
        result = advance_to_record(cons, expected_seq_id);
        cons->awaited_record = result == ZBQ_ERROR_AGAIN ? expected_seq_id : 0;
        tell_of_messages(cons);
    }
    if (result == ZBQ_OK) {
        *out_fd_count = static_cast<uint8_t>(cons->held.fds.size());
        cons->held.fds.move_to(out_fds);
        cons->held.seq_id = 0;
    }
    return result;
}

int zbq_consumer_retained(const zbq_consumer *cons, uint32_t index, zbq_msg_view *out) {
    return cons == nullptr || out == nullptr ? ZBQ_ERROR_INVALID
                                             : view_retained(cons->retained, index, out);
}

uint32_t zbq_consumer_get_futex_token(const zbq_consumer *cons) {
    return cons == nullptr ? 0 : token_now(cons->control());
}

int zbq_consumer_wait_broadcast(zbq_consumer *cons, uint32_t token) {
    return zbq_consumer_wait(cons, token, ZBQ_WAIT_SLICE_NS);
}

int zbq_consumer_wait(zbq_consumer *cons, uint32_t token, uint64_t timeout_ns) {
    if (cons == nullptr || !cons->push || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    const int now = event_since(cons, token);
    return now != ZBQ_ERROR_AGAIN || timeout_ns == 0 ? now
                                                     : sleep_for_event(cons, token, timeout_ns);
}

int zbq_consumer_event_fd(zbq_consumer *cons) {
    if (cons == nullptr || !cons->push || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    if (!cons->watch) {
        const int result = make_watch(cons);
        if (result < 0) {
            return error_from(result);
        }
    }
    return cons->watch.get();
}

zbq_ending zbq_consumer_ending(const zbq_consumer *cons, uint32_t *out_eviction) {
    if (out_eviction != nullptr) {
        *out_eviction = ZBQ_EVICTION_NONE;
    }
    if (cons == nullptr) {
        return ZBQ_ENDING_NONE;
    }
    const uint32_t eviction = eviction_reason(cons->page());
    if (eviction != ZBQ_EVICTION_NONE) {
        if (out_eviction != nullptr) {
            *out_eviction = eviction;
        }
        return ZBQ_ENDING_EVICTED;
    }
    if (cons->is_malformed()) {
        return ZBQ_ENDING_MALFORMED;
    }
    if (closed_acquire(cons->control())) {
        return ZBQ_ENDING_CLOSED;
    }
    return has_ended(cons) ? ZBQ_ENDING_PRODUCER_DIED : ZBQ_ENDING_NONE;
}

int zbq_consumer_type(const zbq_consumer *cons, zbq_type *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = cons->type;
    return ZBQ_OK;
}

uint64_t zbq_consumer_tail(const zbq_consumer *cons) {
    return cons == nullptr ? 0 : cons->window.tail;
}

const zbq_control_region *zbq_consumer_ctrl(const zbq_consumer *cons) {
    return cons == nullptr ? nullptr : cons->control();
}

zbq_consumer_metadata *zbq_consumer_meta(zbq_consumer *cons) {
    return cons == nullptr ? nullptr : cons->page();
}

/* ---- src/observe.cpp ---- */

// Observing: reading without ever holding the producer back. It overwrites what it likes, but only
// below the floor: an observer reads, then asks whether the floor is still below what it has read.
// A length may be torn until then, so none is used that leads past the head.
//
//   producer                              observer
//   floor = above what is overwritten     floor, head, floor                   (1)
//   release fence                         reads
//   writes                                acquire fence
//   head                                  floor: still at or below? whole
//
// Of (1) the first is at most the head, the second at least the head less the capacity: another
// pair is of a producer that breaks the protocol. Both hold though they are loaded one after the
// other, since the head is released after the floor that its bytes needed, and the floor after the
// head, which it never passes.

#include <cstring>

namespace zbq::core {

namespace {

bool can_be(const zbq_consumer *cons, uint64_t before, uint64_t head, uint64_t floor) {
    const bool rises = before >= cons->floor && floor >= before && head >= cons->window.head;
    const bool fits = before <= head && (floor > head || head - floor <= cons->window.capacity);
    return rises && fits && is_aligned(before | head | floor);
}

int malformed(zbq_consumer *cons) {
    cons->window.unusual = 1; // for good
    return ZBQ_ERROR_PROTOCOL;
}

void lose(zbq_consumer *cons, uint64_t bytes) {
    cons->lost.bytes += bytes;
    lost_publish(cons->page(), cons->lost.bytes);
}

const char *place_in_ring(const zbq_consumer *cons, uint64_t offset) {
    return cons->window.ring + offset % cons->window.capacity;
}

// What was read and not released is void: it stays so until it is released.
void go_on_at(zbq_consumer *cons, uint64_t offset) {
    const bool all_released = cons->window.tail == cons->window.cursor;
    cons->window.cursor = offset;
    cons->window.next = place_in_ring(cons, offset);
    if (all_released) {
        release_until_cursor(cons);
    }
}

// Takes over head and floor, the latter at most at the former, and never leaves the cursor below:
// what lies from it to the head is in the ring, whatever the producer says later.
int take_over(zbq_consumer *cons) {
    for (uint32_t i = 0; i < most_laps; ++i) {
        const uint64_t before = floor_acquire(cons->control());
        const uint64_t head = head_acquire(cons->control());
        const uint64_t floor = floor_acquire(cons->control());
        if (cons->is_malformed() || !can_be(cons, before, head, floor)) {
            return malformed(cons);
        }
        if (floor <= head) {
            cons->window.head = head;
            cons->floor = floor;
            if (cons->window.cursor < floor) { // lapped
                ZBQ_PROBE(lapped, floor - cons->window.cursor, floor);
                lose(cons, floor - cons->window.cursor);
                ++cons->lost.times;
                go_on_at(cons, floor);
            } else {
                cons->window.next = place_in_ring(cons, cons->window.cursor);
            }
            return ZBQ_OK;
        }
    }
    return ZBQ_ERROR_AGAIN;
}

// Where the last of the messages starts that begin at this offset and end at the head; or one of
// them, where there are very many.
int last_from(zbq_consumer *cons, uint64_t offset, uint64_t *last) {
    zbq_msg_view view = {};
    uint64_t at = offset;
    for (uint32_t i = 0; at != cons->window.head && i < most_walked; ++i) {
        const bool fits = zbq_window_view(&cons->window, place_in_ring(cons, at), at, &view);
        if (!zbq_window_valid_from(&cons->window, offset)) { // then the length may not be one
            return ZBQ_ERROR_AGAIN;
        }
        if (!fits) {
            return malformed(cons);
        }
        *last = at;
        at += round_up(view.total_len);
    }
    return ZBQ_OK;
}

// The newest message: the newest commit starts where the producer says. The head, where nothing was
// committed since.
int find_newest(zbq_consumer *cons, uint64_t *newest) {
    for (uint32_t i = 0; i < most_laps; ++i) {
        const uint64_t start = newest_seen(cons->control());
        const int result = take_over(cons);
        if (result != ZBQ_OK) {
            return result;
        }
        *newest = cons->window.head;
        if (!is_aligned(start)) {
            return malformed(cons);
        }
        const uint64_t from = start < cons->floor ? cons->floor : start; // or what is left of it
        const int found = from < *newest ? last_from(cons, from, newest) : ZBQ_OK;
        if (found != ZBQ_ERROR_AGAIN) {
            return found;
        }
    }
    return ZBQ_ERROR_AGAIN;
}

int find(zbq_consumer *cons, zbq_seek_to to, uint64_t *offset) {
    if (to == ZBQ_SEEK_NEWEST) {
        return find_newest(cons, offset);
    }
    const int result = take_over(cons);
    *offset = to == ZBQ_SEEK_HEAD ? cons->window.head : cons->floor;
    return result;
}

bool seek_is_valid(zbq_seek_to to) {
    return to >= ZBQ_SEEK_OLDEST && to <= ZBQ_SEEK_HEAD;
}

} // namespace

void release_until_cursor(zbq_consumer *cons) {
    cons->window.tail = cons->window.cursor;
    tail_note(cons->page(), cons->window.cursor);
}

int observe(zbq_consumer *cons) {
    const uint64_t laps = cons->lost.times;
    int result = take_over(cons);
    if (result == ZBQ_OK && laps != cons->lost.times && cons->resume != ZBQ_SEEK_OLDEST) {
        uint64_t offset = 0;
        result = find(cons, cons->resume, &offset);
        if (result == ZBQ_OK) {
            lose(cons, offset - cons->window.cursor); // skipped as well
            go_on_at(cons, offset);
        }
    }
    return result;
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_consumer_seek(zbq_consumer *cons, zbq_seek_to to) {
    if (cons == nullptr || !cons->observes() || !seek_is_valid(to)) {
        return ZBQ_ERROR_INVALID;
    }
    if (is_evicted(cons)) {
        return ZBQ_ERROR_NOENT;
    }
    uint64_t offset = 0;
    const int result = find(cons, to, &offset);
    if (result != ZBQ_OK) {
        return result;
    }
    const bool was_read = to == ZBQ_SEEK_NEWEST && offset < cons->window.cursor;
    go_on_at(cons, was_read ? cons->window.cursor : offset);
    release_until_cursor(cons);
    return ZBQ_OK;
}

int zbq_consumer_set_resume(zbq_consumer *cons, zbq_seek_to to) {
    if (cons == nullptr || !cons->observes() || !seek_is_valid(to)) {
        return ZBQ_ERROR_INVALID;
    }
    cons->resume = to;
    return ZBQ_OK;
}

int zbq_consumer_lost(const zbq_consumer *cons, zbq_loss *out) {
    if (cons == nullptr || out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = cons->lost;
    return ZBQ_OK;
}

/* ---- src/spin.cpp ---- */

// Waiting without sleep: for a reader that has a processor to itself.

namespace zbq::core {

namespace {

constexpr unsigned looks_between_clocks = 16;
constexpr unsigned looks_between_deaths = 4096; // a system call, each 0.1 ms or so

void pause_processor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Now and then somebody else may have this processor, who may be the one that is to bring the next
// message. Seldom, where spinning is all that is wanted: what comes during a yield waits for half a
// microsecond.
void pause_or_yield(unsigned looks, bool for_good) {
    const unsigned looks_between_yields = for_good ? 1024 : 32;
    if (looks % looks_between_yields != looks_between_yields - 1) {
        pause_processor();
    } else {
        yield_processor();
    }
}

// In a dense stream each look takes the head's cache line from the producer, who then waits for it
// to come back: fewer looks, that find more, let both go faster. It is dense where more was read
// since the last spin than that one had found.
void gather(const zbq_consumer *cons, uint64_t end) {
    if (cons->window.cursor <= cons->spun_to) {
        return;
    }
    const uint64_t gathered = monotonic_ns() + gather_ns;
    const uint64_t until = gathered < end ? gathered : end;
    while (monotonic_ns() < until) {
        pause_processor();
    }
}

bool is_over(uint64_t end) {
    return end != UINT64_MAX && monotonic_ns() >= end;
}

// Until there seems to be something to tell, or the time is up. Short spins are one long one as to
// how often the producer is looked for.
void look_until(zbq_consumer *cons, uint64_t end) {
    for (unsigned looks = 0; !zbq_window_seems_ready(&cons->window) && !has_ended(cons); ++looks) {
        if (++cons->looks % looks_between_deaths == 0) {
            look_for_producer(cons);
        }
        if (looks % looks_between_clocks == 0 && is_over(end)) {
            return;
        }
        pause_or_yield(looks, end == UINT64_MAX);
    }
}

// What seems to be there may be gone: a hostile producer's head, or mark of the end.
int spin(zbq_consumer *cons, uint64_t end) {
    int result = ZBQ_ERROR_AGAIN;
    do {
        look_until(cons, end);
        result = zbq_consumer_look(cons);
    } while (result == ZBQ_ERROR_AGAIN && !is_over(end));
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_consumer_spin(zbq_consumer *cons, uint64_t timeout_ns) {
    if (cons == nullptr || !cons->birth.is_own()) {
        return ZBQ_ERROR_INVALID;
    }
    if (cons->is_malformed() || cons->window.cursor != cons->window.head) {
        return zbq_consumer_look(cons);
    }
    const uint64_t now = timeout_ns != UINT64_MAX ? monotonic_ns() : 0;
    const uint64_t end = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    note_progress(cons);
    gather(cons, end);
    const int result = spin(cons, end);
    cons->spun_to = cons->window.head;
    return result;
}

/* ---- src/stall.cpp ---- */

// Who is in the producer's way, and for how long: the stall clocks, and patience. Only time counts
// in which the producer waited, ran and looked: after a time in which it was stopped, a consumer
// that was stopped with it is not to blame.

namespace zbq::core {

namespace {

constexpr uint64_t second_ns = 1000000000;
constexpr uint32_t not_lost = 0; // no reason for an eviction

// The most that the clocks grow from one look to the next.
uint64_t longest_step(const zbq_producer *prod) {
    const uint64_t timeout = prod->stall_timeout != 0 ? prod->stall_timeout : ZBQ_WAIT_SLICE_NS;
    return (timeout - 1) / stall_looks + 1;
}

bool holds_back(const zbq_producer *prod, uint64_t tail) {
    return free_bytes(prod->window.head, tail, prod->capacity) < prod->wanted;
}

constexpr uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// What is wanted of a consumer in one timeout at least.
uint64_t least_release(const zbq_producer *prod) {
    return least(prod->wanted, prod->capacity / stall_parts);
}

uint64_t least_collection(const zbq_producer *prod) {
    return least(prod->wanted_fds, ZBQ_MAX_FD_IN_FLIGHT / stall_parts);
}

void advance(stall_clock *clock, bool runs, uint64_t position, uint64_t enough, uint64_t step) {
    if (!runs || !clock->running || position - clock->position >= enough) {
        *clock = {runs, 0, position};
    } else {
        clock->elapsed += step;
    }
}

bool has_run_out(const zbq_producer *prod, const stall_clock &clock) {
    return clock.running && prod->stall_timeout != 0 && clock.elapsed >= prod->stall_timeout;
}

// While the producer waits for room, the clocks of all that have something to read run,
// not just the slowest's: else several hung consumers would be waited for in turn. Only
// those that are in the way are evicted.
void look_at_ring(const zbq_producer *prod, slot *consumer, bool waiting, uint64_t step) {
    const bool counts = waiting && !consumer->observes();
    const bool behind = counts && consumer->tail_seen != prod->window.head;
    advance(&consumer->ring_stall, behind, consumer->tail_seen, least_release(prod), step);
    consumer->holds_room = counts && holds_back(prod, consumer->tail_seen);
}

void look_at_side(const zbq_producer *prod, slot *consumer, uint64_t step) {
    if (consumer->side_blocked) {
        consumer->in_flight.refresh(consumer->side.get()); // failed: nothing known to have moved
    }
    consumer->holds_record = consumer->side_blocked && consumer->in_flight.holds_back();
    advance(&consumer->side_stall, consumer->holds_record, consumer->in_flight.collected_fds(),
            least_collection(prod), step);
}

// ---- patience ----

void leak(patience *of, uint64_t now) {
    const uint64_t passed = now - of->at;
    const uint64_t back = passed / second_ns * of->rate.per_second_ns +
                          passed % second_ns * of->rate.per_second_ns / second_ns;
    of->used -= least(back, of->used);
    of->at = now;
}

// For the time since the last look, in which those that were in the way at it stayed so.
void charge(slot *consumer, uint64_t step, uint64_t now) {
    consumer->held_ns += consumer->is_in_the_way() ? step : 0;
    patience *of = &consumer->waited;
    if (of->limited) {
        leak(of, now);
        of->used += consumer->is_in_the_way() ? step : 0;
    }
}

bool is_used_up(const patience &of) {
    return of.used > of.rate.at_once_ns;
}

// Why it is to be given up, if it is.
uint32_t lost_by(const zbq_producer *prod, slot *consumer) {
    if (consumer->is_in_the_way() && is_dead(consumer)) {
        return ZBQ_EVICTION_DEAD;
    }
    if (consumer->holds_room && has_run_out(prod, consumer->ring_stall)) {
        return ZBQ_EVICTION_STALLED;
    }
    if (has_run_out(prod, consumer->side_stall)) {
        return ZBQ_EVICTION_SIDE_STALLED;
    }
    if (is_used_up(consumer->waited)) {
        return ZBQ_EVICTION_SLOW;
    }
    return not_lost;
}

uint64_t step_to(zbq_producer *prod, uint64_t now) {
    const uint64_t passed = prod->looked_at != 0 ? now - prod->looked_at : 0;
    const uint64_t step = least(passed, longest_step(prod));
    prod->looked_at = now;
    prod->full_ns += prod->was_full ? step : 0;
    return step;
}

} // namespace

void mind_obstacles(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    const uint64_t step = step_to(prod, now);
    take_back_leftovers(prod);
    refresh_tails(prod);
    const bool waiting = holds_back(prod, prod->slowest_tail);
    const uint64_t slowest_tail = prod->slowest_tail;
    prod->was_full = waiting;
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        charge(consumer, step, now);
        look_at_ring(prod, consumer, waiting, step);
        look_at_side(prod, consumer, step);
        consumer->times_slowest += consumer->holds_room && consumer->tail_seen == slowest_tail;
        const uint32_t reason = lost_by(prod, consumer);
        if (reason != not_lost) {
            evict(prod, consumer, reason);
        } else {
            wake_if_behind(prod, consumer, now);
        }
    }
    refresh_tails(prod);
}

namespace {

// The wait is over: what it took since the last look is charged, and the clocks stop.
void end_wait(zbq_producer *prod, bool slot::*held, stall_clock slot::*clock) {
    const uint64_t now = monotonic_ns();
    const uint64_t step = step_to(prod, now);
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        charge(consumer, step, now);
        consumer->*held = false;
        consumer->*clock = {};
        if (is_used_up(consumer->waited)) {
            evict(prod, consumer, ZBQ_EVICTION_SLOW);
        }
    }
}

} // namespace

void end_wait_for_room(zbq_producer *prod) {
    if ((prod->window.unusual & waits_for_room) != 0) {
        ZBQ_PROBE(clogged, prod->name, prod->window.head, prod->slowest_tail, prod->wanted);
        prod->window.unusual &= ~waits_for_room;
        prod->failures = 0;
        prod->wanted = ZBQ_MSG_ALIGN;
        end_wait(prod, &slot::holds_room, &slot::ring_stall);
        prod->was_full = false;
    }
}

void end_wait_for_collection(zbq_producer *prod) {
    if (prod->wanted_fds != 0) {
        prod->wanted_fds = 0;
        prod->side_failures = 0;
        for (uint32_t i = 0; i < prod->active_count; ++i) {
            prod->slots[prod->active[i]].side_blocked = false;
        }
        end_wait(prod, &slot::holds_record, &slot::side_stall);
    }
}

uint64_t until_next_look(const zbq_producer *prod) {
    uint64_t next = longest_step(prod);
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot &consumer = prod->slots[prod->active[i]];
        const stall_clock *clocks[] = {&consumer.ring_stall, &consumer.side_stall};
        for (const stall_clock *clock : clocks) {
            if (clock->running && prod->stall_timeout > clock->elapsed) {
                next = least(next, prod->stall_timeout - clock->elapsed);
            }
        }
        const patience &of = consumer.waited;
        if (consumer.is_in_the_way() && of.rate.at_once_ns > of.used) {
            next = least(next - 1, of.rate.at_once_ns - of.used) + 1; // just over it
        }
    }
    return next;
}

namespace {

void limit(patience *of, const zbq_patience *rate) {
    *of = {};
    if (rate != nullptr) {
        of->limited = true;
        of->rate = {rate->at_once_ns, least(rate->per_second_ns, second_ns)};
        of->at = monotonic_ns();
    }
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_set_patience(zbq_producer *prod, uint32_t slot, const zbq_patience *patience) {
    if (prod == nullptr || (slot >= prod->max_consumers && slot != ZBQ_ALL_CONSUMERS)) {
        return ZBQ_ERROR_INVALID;
    }
    if (slot != ZBQ_ALL_CONSUMERS && !prod->slots[slot].taken) {
        return ZBQ_ERROR_NOENT;
    }
    if (slot != ZBQ_ALL_CONSUMERS) {
        limit(&prod->slots[slot].waited, patience);
        return ZBQ_OK;
    }
    limit(&prod->patience, patience);
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        limit(&prod->slots[prod->active[i]].waited, patience);
    }
    return ZBQ_OK;
}

/* ---- src/evict.cpp ---- */

// Losing consumers: who is dead or cheating, and the order in which a slot is given up. A
// consumer's page and sockets are its own to write: all that is read here is checked.

#include <sys/socket.h>

namespace zbq::core {

namespace {

void remove_from_list(zbq_producer *prod, uint32_t slot_index) {
    uint32_t i = 0;
    while (prod->active[i] != slot_index) {
        ++i;
    }
    prod->active[i] = prod->active[--prod->active_count];
}

} // namespace

void activate(zbq_producer *prod, slot *joined) {
    joined->taken = true;
    joined->join_number = ++prod->counters.joined;
    prod->active[prod->active_count++] = joined->index;
    joined->told_tail = joined->tail_seen;
    joined->moved_at = joined->joined_at;
    choose_marks(prod);
    note_use_of_slot(prod, joined->index);
}

namespace {

// Our ends have waiters that are the consumer's own doing: none of its cost is ours.
void close_channels(slot *gone) {
    int fds[] = {gone->side.release(), gone->event.release()};
    close_elsewhere(fds, sizeof fds / sizeof fds[0]);
}

} // namespace

void keep_unanswered(zbq_producer *prod, unique_fd *ours, uid_t uid) {
    for (unanswered_join &kept : prod->unanswered) {
        if (!kept.side) {
            kept.side = static_cast<unique_fd &&>(*ours);
            kept.uid = uid;
            return;
        }
    }
}

bool take_back_some(slot *gone) {
    const bool all = side_take_back(gone->side_peer.get(), &gone->in_flight);
    if (all) {
        gone->side_peer.reset();
    }
    return all;
}

void take_back_leftovers(zbq_producer *prod) {
    for (uint32_t i = 0; prod->leftovers != 0 && i < prod->max_consumers; ++i) {
        if (prod->slots[i].is_leftover() && take_back_some(&prod->slots[i])) {
            --prod->leftovers;
        }
    }
}

void evict(zbq_producer *prod, slot *gone, uint32_t reason) {
    // First of all the mark: only after it may anything that this consumer reads be overwritten.
    eviction_mark(gone->page(), reason);
    close_account(prod, gone);
    remove_from_list(prod, gone->index);
    choose_marks(prod);
    gone->last = describe(prod, gone, reason);
    gone->evicted_at = monotonic_ns();
    gone->lost_bytes = lost_seen(gone->page());
    ZBQ_PROBE(evict, prod->name, gone->index, gone->pid, reason, gone->last.tail, gone->last.lag);
    ++prod->counters.evicted[0];
    ++prod->counters.evicted[reason];
    bell_ring(prod->control);
    wake_for_good(gone); // on its event socket it is told by the hang-up
    unwatch_consumer(prod, gone);
    prod->leftovers += take_back_some(gone) ? 0 : 1;
    if (!gone->announced) { // its join lies where only the one who connected can take it from
        keep_unanswered(prod, &gone->side, gone->uid);
    }
    close_channels(gone);
    gone->process.reset();
    gone->page_memory.reset();
    gone->taken = false;
    remind_of_wait(prod);
    tell(prod);
}

void refresh_tails(zbq_producer *prod) {
    uint64_t slowest = prod->window.head;
    for (uint32_t i = prod->active_count; i-- > 0;) { // downwards: evict fills the gap from the end
        slot *consumer = &prod->slots[prod->active[i]];
        const uint64_t tail = tail_acquire(consumer->page());
        if (consumer->observes()) { // counts for nothing
            consumer->tail_seen = tail <= prod->window.head ? tail : consumer->tail_seen;
            continue;
        }
        if (!tail_is_valid(tail, consumer->tail_seen, prod->window.head)) {
            evict(prod, consumer, ZBQ_EVICTION_PROTOCOL);
            continue;
        }
        consumer->tail_seen = tail;
        slowest = tail < slowest ? tail : slowest;
    }
    prod->slowest_tail = slowest;
}

namespace {

// Who the kernel says that it is. One record is read in a consumer's life, so that a flood
// costs nothing; descriptors that come with it are closed.
void read_announcement(slot *consumer) {
    announcement record = {};
    ancillary with;
    if (receive_record(consumer->side.get(), &record, sizeof record, MSG_DONTWAIT, &with) < 0) {
        return;
    }
    consumer->announced = true; // also by an empty one: it is not looked at again
    if (record.magic != announcement_magic) {
        return;
    }
    consumer->pid = with.sender_pid;
    consumer->process = static_cast<unique_fd &&>(with.sender_pidfd);
    if (!consumer->process && with.sender_pid > 0) {
        // Before Linux 6.5. The process may have ended and its number be in use again: then
        // this witness watches a stranger and says "alive" too long; the socket and the
        // stall clock remain.
        const int fd = pidfd_of(with.sender_pid);
        consumer->process.reset(fd < 0 ? -1 : fd);
    }
}

bool has_exited(const slot *consumer) {
    pollfd witness = {consumer->process.get(), POLLIN, 0}; // poll ignores -1
    return poll_now(&witness, 1) > 0 && witness.revents != 0;
}

constexpr short hung_up = POLLHUP | POLLERR | POLLNVAL;

// Reads the announcement where it is there. Whether the consumer has left: it has closed its event
// socket, or shut down the side socket, of whose far end there is a copy here.
bool has_hung_up(slot *consumer) {
    const short awaited = consumer->announced ? 0 : POLLIN;
    pollfd ends[] = {{consumer->event.get(), 0, 0}, {consumer->side.get(), awaited, 0}};
    if (poll_now(ends, 2) > 0 && (ends[1].revents & awaited) != 0) {
        read_announcement(consumer);
    }
    return ((ends[0].revents | ends[1].revents) & hung_up) != 0;
}

// Whether the one who was sent the join has taken it, or is gone.
bool is_settled(const unanswered_join &kept) {
    pollfd side = {kept.side.get(), POLLIN, 0};
    return poll_now(&side, 1) > 0;
}

void forget_settled_joins(zbq_producer *prod) {
    for (unanswered_join &kept : prod->unanswered) {
        if (kept.side && is_settled(kept)) {
            kept.side.reset();
        }
    }
}

} // namespace

bool is_dead(slot *consumer) {
    return has_hung_up(consumer) || (consumer->process && has_exited(consumer));
}

uint32_t unanswered_joins(zbq_producer *prod, uid_t uid) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        const bool counts = !consumer->announced && (uid == no_user || uid == consumer->uid);
        count += counts && !has_hung_up(consumer) && !consumer->announced ? 1 : 0;
    }
    forget_settled_joins(prod);
    for (const unanswered_join &kept : prod->unanswered) {
        count += kept.side && (uid == no_user || uid == kept.uid) ? 1 : 0;
    }
    return count;
}

bool may_leave_unanswered(zbq_producer *prod, uid_t uid) {
    return unanswered_joins(prod, no_user) < most_unanswered &&
           unanswered_joins(prod, uid) < most_unanswered_of_one;
}

void evict_unanswered(zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (!consumer->announced && now - consumer->joined_at > time_to_answer_ns) {
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        }
    }
}

namespace {

void evict_dead(zbq_producer *prod) {
    for (uint32_t i = prod->active_count; i-- > 0;) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (is_dead(consumer)) {
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        }
    }
    forget_settled_joins(prod);
}

} // namespace

void scan(zbq_producer *prod) {
    ++prod->counters.scans;
    ZBQ_PROBE(scan, prod->name, prod->active_count, prod->window.head, prod->slowest_tail);
    prod->statistics.is_held = true;
    evict_dead(prod);
    mind_obstacles(prod);
    prod->statistics.is_held = false;
    tell(prod);
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_scan(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    answer_rings(prod);
    scan(prod);
    remind_of_wait(prod);
    return ZBQ_OK;
}

/* ---- src/await.cpp ---- */

// Waiting: what the producer does when it has no room and its application would rather sleep than
// spin. It writes down the tail that it awaits; the consumer that moves past it rings on its event
// socket. For descriptors the kernel rings: a socket's send side becomes writable when the
// receiver takes a record. An epoll instance gathers these with the hang-ups and a timer.
//
//   consumer                              producer
//   tail = new                            awaited_tail = wanted
//   awaited_tail reached? ring            tails: room? else the timer: a nap
//
// Neither makes a fence, so that both may miss each other while their stores are on the way: hence
// the nap, as in wake.hpp. After that the timer runs for as long again as the wait has
// lasted, but no longer than 2 ms: a consumer that releases and does not ring makes it twice as
// long at worst, and one that moves its tail to and fro is soon seen at it.
//
// What awaits is the least that was refused, and still is: who tries it again, or more, when the
// descriptor is readable, misses nothing, whatever smaller things went well in between.
// A consumer can make the descriptor readable once for each time that something else is awaited.

#include <sys/epoll.h>

namespace zbq::core {

namespace {

constexpr uint32_t timer_tag = UINT32_MAX;
constexpr uint32_t side_tag = uint32_t{1} << 31U; // beside the slot's index: its side socket

void listen_to(const zbq_producer *prod, slot *consumer, bool on) {
    consumer->rang = !on;
    epoll_change(prod->watch.get(), consumer->event.get(), on ? EPOLLIN : 0U, consumer->index);
}

void answer_ring(zbq_producer *prod, slot *consumer) {
    if (event_take(consumer->event.get()) == event_state::closed) {
        evict(prod, consumer, ZBQ_EVICTION_DEAD);
    } else if (!consumer->rang) {
        listen_to(prod, consumer, false);
    }
}

struct told {
    bool rings = false;
    bool collections = false;
};

// The timer is not read: setting it again clears it. Nor is a side socket: it is told of once
// (EPOLLET).
told answer_some_rings(zbq_producer *prod) {
    uint32_t ready[events_at_once] = {};
    const int count = epoll_ready(prod->watch.get(), ready);
    told what;
    for (int i = 0; i < count; ++i) {
        if (ready[i] == timer_tag) {
            continue;
        }
        slot *consumer = &prod->slots[ready[i] & ~side_tag];
        if (!consumer->taken) { // evicted for what was told before
            continue;
        }
        if ((ready[i] & side_tag) == 0) {
            answer_ring(prod, consumer);
            what.rings = true;
        } else if (is_dead(consumer)) { // its hang-up would be told for ever
            evict(prod, consumer, ZBQ_EVICTION_DEAD);
        } else {
            what.collections = true;
        }
    }
    return what;
}

// To all, when something else is awaited. Bells that came too late for the last one are taken off,
// as far as an honest consumer can have left any.
void listen_again(zbq_producer *prod) {
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->rang) {
            event_take(consumer->event.get());
            listen_to(prod, consumer, true);
        }
    }
}

bool awaits_anything(const zbq_producer *prod) {
    return prod->awaited_room != 0 || prod->awaits_fds;
}

void begin_wait(zbq_producer *prod) {
    if (!awaits_anything(prod)) {
        prod->awaited_since = monotonic_ns();
    }
}

// When to look again though nobody rings.
void set_timer(zbq_producer *prod, bool naps) {
    const uint64_t now = monotonic_ns();
    const uint64_t waited = now - prod->awaited_since;
    uint64_t time = naps || waited < nap_ns ? nap_ns : waited;
    time = time < longest_look_ns ? time : longest_look_ns;
    const uint64_t look = until_next_look(prod);
    timer_set(prod->timer.get(), now + (look < time ? look : time));
}

// Nothing is awaited any more: what rang for it shall not keep the descriptor readable.
void quieten(zbq_producer *prod) {
    if (!awaits_anything(prod)) {
        timer_set(prod->timer.get(), 0);
        answer_some_rings(prod);
    }
}

uint64_t tail_for(const zbq_producer *prod, uint64_t room) {
    return prod->window.head + room - prod->capacity;
}

// The least of what was refused and is not there yet.
uint64_t least_refused(const zbq_producer *prod, uint64_t bytes) {
    const uint64_t before = prod->awaited_room;
    return before > known_free(prod) && before < bytes ? before : bytes;
}

} // namespace

int watch_consumer(const zbq_producer *prod, const slot *consumer) {
    if (!prod->watch) {
        return 0;
    }
    const int result =
        epoll_add(prod->watch.get(), consumer->event.get(), EPOLLIN, consumer->index);
    return result < 0
               ? result
               : epoll_add(prod->watch.get(), consumer->side.get(), 0, consumer->index | side_tag);
}

void unwatch_consumer(const zbq_producer *prod, const slot *consumer) {
    if (prod->watch) {
        epoll_remove(prod->watch.get(), consumer->event.get());
        epoll_remove(prod->watch.get(), consumer->side.get());
    }
}

bool await_room(zbq_producer *prod, uint64_t bytes) {
    if (!prod->watch) {
        return false;
    }
    const uint64_t evicted = prod->counters.evicted[0];
    const told what = answer_some_rings(prod);
    begin_wait(prod);
    prod->awaited_room = least_refused(prod, bytes);
    prod->refused_room = bytes > prod->refused_room ? bytes : prod->refused_room;
    prod->window.unusual |= awaits_room;
    const uint64_t awaited_tail = tail_for(prod, prod->awaited_room);
    const bool naps = awaited_tail != prod->listened_tail;
    if (naps) {
        listen_again(prod);
        prod->listened_tail = awaited_tail;
    }
    awaited_tail_publish(prod->control, awaited_tail);
    mind_obstacles(prod);
    set_timer(prod, naps);
    if (evicted != prod->counters.evicted[0] || what.collections) {
        remind_of_wait(prod); // what else is awaited may be there
    }
    return true;
}

void head_has_moved(zbq_producer *prod) {
    end_wait_for_room(prod);
    if (prod->awaited_room != 0) {
        awaited_tail_publish(prod->control, tail_for(prod, prod->awaited_room));
    }
}

namespace {

void ask_no_more(zbq_producer *prod) {
    prod->listened_tail = 0;
    prod->window.unusual &= ~awaits_room;
    awaited_tail_publish(prod->control, 0);
}

// More was refused than a run has told of, and is there by now: the descriptor is readable until
// that is taken.
void tell_of_refused(zbq_producer *prod) {
    prod->awaited_room = prod->refused_room;
    ask_no_more(prod);
    remind_of_wait(prod);
}

} // namespace

void room_was_got(zbq_producer *prod, uint64_t told) {
    if (prod->awaited_room == 0 || told < prod->awaited_room) {
        return;
    }
    if (prod->refused_room > told && prod->refused_room <= known_free(prod)) {
        tell_of_refused(prod);
        return;
    }
    if (prod->refused_room > told) {
        // More was refused as well: the next that is not there.
        await_room(prod, known_free(prod) + ZBQ_MSG_ALIGN);
        if (known_free(prod) >= prod->awaited_room) {
            remind_of_wait(prod);
        }
        return;
    }
    prod->awaited_room = 0;
    prod->refused_room = 0;
    ask_no_more(prod);
    quieten(prod);
}

namespace {

// The kernel tells when a consumer takes a record (sock_wfree, unix_write_space), if less than a
// quarter of the socket's buffer is full then; else the timer does.
void watch_collection(zbq_producer *prod, slot *consumer, bool on) {
    consumer->side_watched = on;
    epoll_change(prod->watch.get(), consumer->side.get(), on ? EPOLLOUT | EPOLLET : 0U,
                 consumer->index | side_tag);
}

} // namespace

bool await_collection(zbq_producer *prod) {
    if (!prod->watch) {
        return false;
    }
    const uint64_t evicted = prod->counters.evicted[0];
    begin_wait(prod);
    const bool naps = !prod->awaits_fds;
    prod->awaits_fds = true;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->side_blocked && !consumer->side_watched) {
            watch_collection(prod, consumer, true);
        }
    }
    const told what = answer_some_rings(prod); // and what is writable now, which tells nothing
    mind_obstacles(prod);
    set_timer(prod, naps);
    if (evicted != prod->counters.evicted[0] || (what.rings && prod->awaited_room != 0)) {
        remind_of_wait(prod); // what else is awaited may be there
    }
    return true;
}

void end_await_collection(zbq_producer *prod) {
    if (!prod->awaits_fds) {
        return;
    }
    prod->awaits_fds = false;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        slot *consumer = &prod->slots[prod->active[i]];
        if (consumer->side_watched) {
            watch_collection(prod, consumer, false);
        }
    }
    quieten(prod);
}

void answer_rings(zbq_producer *prod) {
    if (!prod->watch) {
        return;
    }
    if (!awaits_anything(prod)) {
        timer_set(prod->timer.get(), 0);
    }
    // Each rings once; as many at a time as epoll_ready gives.
    for (uint32_t i = 0; i <= prod->max_consumers / events_at_once && answer_some_rings(prod).rings;
         ++i) {
    }
}

void remind_of_wait(zbq_producer *prod) {
    if (awaits_anything(prod)) {
        timer_set(prod->timer.get(), monotonic_ns());
    }
}

namespace {

int make_watch(zbq_producer *prod) {
    unique_fd watch;
    unique_fd timer;
    int result = epoll_make(&watch);
    if (result == 0) {
        result = timer_make(&timer);
    }
    if (result == 0) {
        result = epoll_add(watch.get(), timer.get(), EPOLLIN, timer_tag);
    }
    if (result < 0) {
        return result;
    }
    prod->watch = static_cast<unique_fd &&>(watch);
    prod->timer = static_cast<unique_fd &&>(timer);
    for (uint32_t i = 0; result == 0 && i < prod->active_count; ++i) {
        result = watch_consumer(prod, &prod->slots[prod->active[i]]);
    }
    if (result == 0) {
        timer_set(prod->timer.get(), monotonic_ns()); // what was refused before asked nobody
    } else {
        prod->watch.reset();
        prod->timer.reset();
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_event_fd(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    if (!prod->watch) {
        const int result = make_watch(prod);
        if (result < 0) {
            return error_from(result);
        }
    }
    return prod->watch.get();
}

/* ---- src/statistics.cpp ---- */

// Writing the statistics, and handing them out. Off the fast path: at joins, evictions, scans and
// failed attempts, and only once somebody has asked for the page.

#include <cstring>

namespace zbq::core {

namespace {

constexpr uint32_t waits_for_its_room = 1;
constexpr uint32_t waits_for_its_collection = 2;

// From a word on; the next one.
template <typename Line>
uint64_t put(account_copy *to, uint64_t number, const Line &line) {
    uint64_t words[sizeof line / sizeof(uint64_t)];
    static_assert(sizeof words == sizeof line);
    memcpy(words, &line, sizeof line);
    for (const uint64_t word : words) {
        account_word_publish(to, number++, word);
    }
    return number;
}

// Whoever is in the way, and furthest behind.
uint32_t slowest_of(const zbq_producer *prod) {
    uint32_t slowest = ZBQ_NO_SLOT;
    for (uint32_t i = 0; i < prod->active_count; ++i) {
        const slot &one = prod->slots[prod->active[i]];
        if (one.is_in_the_way() &&
            (slowest == ZBQ_NO_SLOT || one.tail_seen < prod->slots[slowest].tail_seen)) {
            slowest = one.index;
        }
    }
    return slowest;
}

zbq_ring_stats account_of_ring(const zbq_producer *prod, uint64_t now) {
    zbq_ring_stats line = {};
    memcpy(line.ring_id, prod->control->ring_id, sizeof line.ring_id);
    line.written_at = now;
    line.created_at = prod->created_at;
    line.capacity = prod->capacity;
    line.head = prod->window.head;
    line.slowest_tail = prod->slowest_tail;
    line.stall_timeout_ns = prod->stall_timeout;
    line.full_ns = prod->full_ns;
    line.joined = prod->counters.joined;
    line.failures = prod->counters.failures;
    line.scans = prod->counters.scans;
    line.wakes = prod->counters.wakes;
    memcpy(line.evicted, prod->counters.evicted, sizeof prod->counters.evicted);
    line.payload_type = prod->type;
    line.pid = prod->control->producer_pid;
    line.consumers = prod->active_count;
    line.max_consumers = prod->max_consumers;
    line.slots = prod->statistics.head.slots;
    line.slowest_slot = slowest_of(prod);
    line.closed = prod->has_ended ? 1 : 0;
    memcpy(line.name, prod->name, sizeof line.name);
    return line;
}

zbq_slot_stats account_of_slot(const zbq_producer *prod, slot *of, uint64_t now) {
    zbq_slot_stats line = {};
    if (of->told_tail != of->tail_seen) {
        of->told_tail = of->tail_seen;
        of->moved_at = now;
    }
    if (of->taken) {
        of->lost_bytes = lost_seen(of->page());
    }
    line.join_number = of->join_number;
    line.joined_at = of->joined_at;
    line.evicted_at = of->taken ? 0 : of->evicted_at;
    line.moved_at = of->moved_at;
    line.tail = of->tail_seen;
    line.lag = of->taken ? prod->window.head - of->tail_seen : of->last.lag;
    line.times_slowest = of->times_slowest;
    line.held_ns = of->held_ns;
    line.lost_bytes = of->lost_bytes;
    line.dropped_records = of->dropped;
    line.pid = of->pid;
    line.uid = of->uid;
    line.mode = of->mode;
    line.eviction = of->taken ? uint32_t{ZBQ_EVICTION_NONE} : of->last.eviction;
    line.fds_in_flight = of->in_flight.fds();
    line.in_the_way = of->taken ? (of->holds_room ? waits_for_its_room : 0U) |
                                      (of->holds_record ? waits_for_its_collection : 0U)
                                : 0U;
    return line;
}

} // namespace

void tell(zbq_producer *prod) {
    statistics_page *page = &prod->statistics;
    if (!page->exists() || page->is_held) {
        return;
    }
    const uint64_t now = monotonic_ns();
    const uint64_t number = ++page->accounts;
    account_copy *copy = copy_at(page->memory.memory, page->head, number);
    account_begin(copy, 2 * number - 1);
    uint64_t word = put(copy, 0, account_of_ring(prod, now));
    for (uint32_t i = 0; i < page->used_slots; ++i) {
        word = put(copy, word, account_of_slot(prod, &prod->slots[i], now));
    }
    account_end(copy, 2 * number);
    page->written_at = now;
}

void tell_of_failure(zbq_producer *prod) {
    if (monotonic_coarse_ns() >= prod->statistics.written_at + failure_interval_ns) {
        tell(prod);
    }
}

void note_use_of_slot(zbq_producer *prod, uint32_t index) {
    statistics_page *page = &prod->statistics;
    const uint32_t least = index < most_slots_told ? index + 1 : most_slots_told;
    page->used_slots = page->used_slots > least ? page->used_slots : least;
}

namespace {

int make_page(zbq_producer *prod) {
    const uint32_t slots =
        prod->max_consumers < most_slots_told ? prod->max_consumers : most_slots_told;
    statistics_page *page = &prod->statistics;
    page->head = {statistics_magic,
                  statistics_version,
                  sizeof(statistics_head),
                  sizeof(zbq_ring_stats),
                  sizeof(zbq_slot_stats),
                  slots,
                  {}};
    const uint64_t unit = page_size();
    const uint64_t size = (statistics_size(page->head) + unit - 1) / unit * unit;
    const int result =
        region_create("zbq-statistics", size, false, sharing::read_only, &page->memory);
    if (result == 0) {
        memcpy(page->memory.memory.get(), &page->head, sizeof page->head); // nobody else has it yet
        prod->first_minded = 1;
        tell(prod);
    }
    return result;
}

// Its descriptor, or -errno.
int page_of(zbq_producer *prod) {
    const int result = prod->statistics.exists() ? 0 : make_page(prod);
    return result < 0 ? result : prod->statistics.memory.fd.get();
}

void refresh(zbq_producer *prod) {
    if (!prod->statistics.exists()) {
        return;
    }
    prod->statistics.is_held = true;
    unanswered_joins(prod, no_user); // reads who has announced itself
    refresh_tails(prod);
    refresh_flights(prod);
    prod->statistics.is_held = false;
    tell(prod);
}

int send_page(const zbq_producer *prod, int socket) {
    const statistics_message message = {statistics_magic, statistics_version, 0};
    const int fd = prod->statistics.memory.fd.get();
    const ssize_t sent = send_record(socket, &message, sizeof message, &fd, 1);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    return sent == sizeof message ? 0 : -EMSGSIZE;
}

// To another user: its descriptor is in flight until that has taken it, as a join's are.
int send_page_to_stranger(zbq_producer *prod, int socket, uid_t uid) {
    const int copy = duplicate(socket);
    if (copy < 0) {
        return copy;
    }
    unique_fd kept(copy);
    const int result = send_page(prod, socket);
    if (result == 0) {
        keep_unanswered(prod, &kept, uid);
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_set_name(zbq_producer *prod, const char *name) {
    if (prod == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    const size_t length = name != nullptr ? strnlen(name, ZBQ_NAME_SIZE) : 0;
    if (length == ZBQ_NAME_SIZE) {
        return ZBQ_ERROR_OVERFLOW;
    }
    memset(prod->name, 0, sizeof prod->name);
    if (length != 0) {
        memcpy(prod->name, name, length);
    }
    return ZBQ_OK;
}

int zbq_producer_stats_fd(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    const int fd = page_of(prod);
    return fd < 0 ? error_from(fd) : fd;
}

int zbq_producer_refresh_stats(zbq_producer *prod) {
    if (prod == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    refresh(prod);
    return ZBQ_OK;
}

int zbq_producer_send_stats(zbq_producer *prod, int socket) {
    int type = 0;
    if (prod == nullptr || !is_unix_socket(socket, &type) || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    const uid_t uid = peer_user(socket);
    const bool is_own = uid == own_user();
    if (!is_own && !may_leave_unanswered(prod, uid)) {
        return ZBQ_ERROR_NOENT;
    }
    const int fd = page_of(prod);
    if (fd < 0) {
        return error_from(fd);
    }
    refresh(prod);
    const int result = is_own ? send_page(prod, socket) : send_page_to_stranger(prod, socket, uid);
    return result < 0 ? error_from(result) : ZBQ_OK;
}

/* ---- src/inspect.cpp ---- */

// Reading the statistics of a producer that may be hostile: it can write anything into the page, at
// any time. All sizes are checked once and used from the copy; an account is copied before it is
// looked at; and what has to hold of it is made to hold.

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

/* ---- src/info.cpp ---- */

// Accounts and words, for people and tools. Off the fast path.

namespace zbq::core {

zbq_consumer_info describe(const zbq_producer *prod, const slot *consumer, uint32_t eviction) {
    zbq_consumer_info info = {};
    info.lag = prod->window.head - consumer->tail_seen;
    info.join_number = consumer->join_number;
    info.pid = consumer->pid;
    info.slot_index = consumer->index;
    info.mode = consumer->mode;
    info.eviction = eviction;
    info.fds_in_flight = consumer->in_flight.fds();
    info.tail = consumer->tail_seen;
    info.dropped_records = consumer->dropped;
    return info;
}

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_stats(zbq_producer *prod, zbq_producer_statistics *out) {
    if (prod == nullptr || out == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    refresh_tails(prod);
    *out = prod->counters;
    out->head = prod->window.head;
    out->slowest_tail = prod->slowest_tail;
    out->consumers = prod->active_count;
    out->max_consumers = prod->max_consumers;
    return ZBQ_OK;
}

int zbq_producer_consumer_info(zbq_producer *prod, uint32_t slot, zbq_consumer_info *out) {
    if (prod == nullptr || out == nullptr || slot >= prod->max_consumers || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    refresh_tails(prod);
    zbq::core::slot *consumer = &prod->slots[slot];
    if (!consumer->taken) {
        *out = consumer->last;
        return ZBQ_ERROR_NOENT;
    }
    consumer->in_flight.refresh(consumer->side.get()); // failed: the last known number stands
    *out = describe(prod, consumer, ZBQ_EVICTION_NONE);
    return ZBQ_OK;
}

const char *zbq_strerror(int error) {
    switch (error) {
    case ZBQ_OK:
        return "success";
    case ZBQ_ERROR_INVALID:
        return "invalid argument";
    case ZBQ_ERROR_NOMEM:
        return "out of memory";
    case ZBQ_ERROR_AGAIN:
        return "not yet";
    case ZBQ_ERROR_IO:
        return "system call failed";
    case ZBQ_ERROR_PROTOCOL:
        return "protocol violated by the peer";
    case ZBQ_ERROR_OVERFLOW:
        return "larger than the ring";
    case ZBQ_ERROR_NOENT:
        return "nothing there";
    default:
        return "unknown error";
    }
}

const char *zbq_strevict(uint32_t eviction) {
    switch (eviction) {
    case ZBQ_EVICTION_NONE:
        return "not evicted";
    case ZBQ_EVICTION_DEAD:
        return "gone (left or died)";
    case ZBQ_EVICTION_STALLED:
        return "stalled";
    case ZBQ_EVICTION_SIDE_STALLED:
        return "did not collect its descriptors";
    case ZBQ_EVICTION_PROTOCOL:
        return "broke the protocol";
    case ZBQ_EVICTION_SLOW:
        return "slow beyond the producer's patience";
    case ZBQ_EVICTION_DEAR:
        return "too dear to wake";
    default:
        return "unknown reason";
    }
}

uint32_t zbq_version() {
    return (uint32_t{ZBQ_VERSION_MAJOR} << 16U) | (uint32_t{ZBQ_VERSION_MINOR} << 8U) |
           uint32_t{ZBQ_VERSION_PATCH};
}

#endif
#endif /* ZBQ_IMPLEMENTATION */
