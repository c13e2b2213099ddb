/* SPDX-License-Identifier: MIT */
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
