// SPDX-License-Identifier: MIT
//! Handles, and what calls take and give.

use crate::{
    zbq_consumer_metadata, zbq_control_region, zbq_msg_header, zbq_parking, ZBQ_NAME_SIZE,
};
use core::marker::{PhantomData, PhantomPinned};
use libc::{c_char, c_void};

// Neither Send nor Sync nor Unpin: what a handle may do is for whoever wraps it to say.
type Opaque = PhantomData<(*mut u8, PhantomPinned)>;

/// The one who publishes; made by `zbq_producer_create`.
#[repr(C)]
pub struct zbq_producer {
    _private: [u8; 0],
    _opaque: Opaque,
}

/// One who reads; made by `zbq_consumer_join`.
#[repr(C)]
pub struct zbq_consumer {
    _private: [u8; 0],
    _opaque: Opaque,
}

/// A ring's statistics page; made by `zbq_stats_open`.
#[repr(C)]
pub struct zbq_stats {
    _private: [u8; 0],
    _opaque: Opaque,
}

/// For `zbq_producer_create`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_producer_params {
    /// A multiple of 4096 and of the page size, not 0.
    pub ring_capacity: u64,
    /// Failed attempts in a row before a scan; 0 is as 1.
    pub clog_threshold: u64,
    /// How long a consumer may hold back; 0: for ever.
    pub stall_timeout_ns: u64,
    /// At one time; not 0.
    pub max_consumers: u32,
}

/// What the payloads of a ring are, in the application's own terms. All zero: not told.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_type {
    /// Of a name or schema, as both sides agree.
    pub hash: u64,
    /// Of each payload; 0: they vary.
    pub size: u32,
    /// At most [`ZBQ_MSG_ALIGN`](crate::ZBQ_MSG_ALIGN).
    pub align: u32,
}

/// Where a consumer starts to read, for `zbq_producer_admit`. (ring id, logical offset) names a
/// message for ever.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_start {
    /// A [`zbq_start_at`](crate::zbq_start_at).
    pub at: u32,
    /// Zero.
    pub reserved: u32,
    /// `ZBQ_START_OFFSET`: where a message starts, or the head; `ZBQ_START_LAST` and
    /// `ZBQ_START_WITHIN`: a number of bytes.
    pub offset: u64,
    /// `ZBQ_START_OFFSET`: of the ring that the offset is of; all zero: of whichever this is.
    pub ring_id: [u8; 16],
}

/// What an observer has missed, from `zbq_consumer_lost`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_loss {
    /// That were overwritten before it read them, and what it skipped then.
    pub bytes: u64,
    /// How often it was lapped.
    pub times: u64,
}

/// How much of a producer's time may be spent waiting for one consumer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_patience {
    /// What there is at first, and at most.
    pub at_once_ns: u64,
    /// What comes back in each second, up to `at_once_ns`.
    pub per_second_ns: u64,
}

/// A span of the ring that the producer may write.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_contiguous_run {
    /// What may be written.
    pub base: *mut c_void,
    /// 0: clogged, and `base` is null.
    pub max_bytes: u64,
    /// Logical offset of `base`: the producer's head.
    pub offset: u64,
}

/// The fast part of a producer, from `zbq_producer_window`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zbq_commit_window {
    /// All below it is committed.
    pub head: u64,
    /// Of the run that may be committed; `head`: there is none.
    pub limit: u64,
    /// Where the head is in the ring.
    pub next: *mut c_char,
    /// Where the head is published.
    pub control: *mut zbq_control_region,
    /// To look at with each commit.
    pub parking: *const *mut zbq_parking,
    /// How many there are.
    pub parking_count: u32,
    /// Not 0: a commit has more to do.
    pub unusual: u32,
    /// Whose it is.
    pub producer: *mut zbq_producer,
}

/// A message, in place.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_msg_view {
    /// In the ring.
    pub header: *const zbq_msg_header,
    /// In the ring.
    pub payload: *const c_void,
    /// As it was when it was checked.
    pub payload_len: u64,
    /// Of the header.
    pub logical_offset: u64,
    /// 16 + `payload_len`; publish rounds it up.
    pub total_len: u64,
}

/// What there is to know of a message that was copied.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_msg_copy {
    /// `payload_len` is that of the copy.
    pub header: zbq_msg_header,
    /// Of the header in the ring.
    pub logical_offset: u64,
}

/// The fast part of a consumer, from `zbq_consumer_window`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_read_window {
    /// Where `zbq_consumer_next` reads: up to here it was read.
    pub cursor: u64,
    /// Last acquired, and found valid.
    pub head: u64,
    /// All below it is released.
    pub tail: u64,
    /// Where the cursor is in the ring.
    pub next: *const c_char,
    /// Its bytes, twice in a row.
    pub ring: *const c_char,
    /// Of the ring.
    pub capacity: u64,
    /// As `zbq_consumer_ctrl`.
    pub control: *const zbq_control_region,
    /// As `zbq_consumer_meta`.
    pub page: *mut zbq_consumer_metadata,
    /// Whose it is.
    pub consumer: *mut zbq_consumer,
    /// Not 0: reading is for the calls.
    pub unusual: u32,
    /// Not 0: an observer's.
    pub observes: u32,
}

/// Of a ring, from `zbq_producer_stats`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_producer_statistics {
    /// Bytes committed since the start.
    pub head: u64,
    /// The least of the tails, read now; `head` with no consumer.
    pub slowest_tail: u64,
    /// Consumers that ever got a slot.
    pub joined: u64,
    /// By [`zbq_eviction`](crate::zbq_eviction); `[0]` is their sum.
    pub evicted: [u64; 7],
    /// Failed attempts to get room or to send descriptors.
    pub failures: u64,
    /// Of all consumers.
    pub scans: u64,
    /// Wake-up calls made.
    pub wakes: u64,
    /// Slots taken now.
    pub consumers: u32,
    /// Slots.
    pub max_consumers: u32,
}

/// Of a slot, from `zbq_producer_consumer_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_consumer_info {
    /// Bytes committed that it has not released.
    pub lag: u64,
    /// 1 for the first join of this ring, then 2, and so on.
    pub join_number: u64,
    /// As the kernel told at a scan; 0 while unknown.
    pub pid: i32,
    /// Also the one asked for.
    pub slot_index: u32,
    /// A [`zbq_wakeup_mode`](crate::zbq_wakeup_mode).
    pub mode: u32,
    /// A [`zbq_eviction`](crate::zbq_eviction).
    pub eviction: u32,
    /// Descriptors sent to it and not collected.
    pub fds_in_flight: u32,
    /// Zero.
    pub reserved: u32,
    /// Up to here it has released; one that was evicted may still look at what lies past it.
    pub tail: u64,
    /// Of descriptors: an observer had no room for them.
    pub dropped_records: u64,
}

/// Of a ring, from `zbq_stats_read`. Times are nanoseconds of the producer's `CLOCK_MONOTONIC`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_ring_stats {
    /// As in the control region.
    pub ring_id: [u8; 16],
    /// When this account was written.
    pub written_at: u64,
    /// When the ring was made.
    pub created_at: u64,
    /// Of the ring.
    pub capacity: u64,
    /// Bytes committed since the start.
    pub head: u64,
    /// The least of the tails; head with no consumer to wait for.
    pub slowest_tail: u64,
    /// As given to `zbq_producer_create`.
    pub stall_timeout_ns: u64,
    /// How long the producer has waited for room, by its looks at it.
    pub full_ns: u64,
    /// Consumers that ever got a slot.
    pub joined: u64,
    /// As in `zbq_producer_statistics`, as are the next three.
    pub failures: u64,
    /// Of all consumers.
    pub scans: u64,
    /// Wake-ups made.
    pub wakes: u64,
    /// By `zbq_eviction`; [0] is their sum.
    pub evicted: [u64; 8],
    /// All zero: not told.
    pub payload_type: zbq_type,
    /// As the producer's own pid namespace numbers it.
    pub pid: i32,
    /// Slots taken.
    pub consumers: u32,
    /// Slots.
    pub max_consumers: u32,
    /// Those that `zbq_stats_slot` knows: the first of them.
    pub slots: u32,
    /// Who is furthest behind of those that hold the stream back, or hold descriptors back;
    /// `ZBQ_NO_SLOT`: nobody does.
    pub slowest_slot: u32,
    /// Not 0 once the producer was destroyed: the last account.
    pub closed: u32,
    /// What the producer calls the ring (`zbq_producer_set_name`): any bytes, with a zero at the
    /// end; not to be printed unseen.
    pub name: [c_char; ZBQ_NAME_SIZE],
    /// Zero.
    pub reserved: [u8; 32],
}

/// Of a slot, from `zbq_stats_slot`: of the consumer that has it, or had it last.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_slot_stats {
    /// 1 for the first join of this ring; 0: nobody ever had the slot.
    pub join_number: u64,
    /// When; times as in `zbq_ring_stats`.
    pub joined_at: u64,
    /// When it lost the slot; 0: it has it.
    pub evicted_at: u64,
    /// The first account with this tail: since then it has not moved.
    pub moved_at: u64,
    /// Up to here it has released.
    pub tail: u64,
    /// Bytes committed that it has not released.
    pub lag: u64,
    /// How often a look found the producer waiting for room, and nobody further behind than this
    /// one.
    pub times_slowest: u64,
    /// How long the producer has waited, by its looks, with this one in the way: as
    /// `zbq_producer_set_patience` counts.
    pub held_ns: u64,
    /// By an observer's own word: what was overwritten before it read it.
    pub lost_bytes: u64,
    /// Of descriptors: an observer had no room for them.
    pub dropped_records: u64,
    /// As the kernel told the producer; 0 while unknown.
    pub pid: i32,
    /// Of who connected, as the producer's user namespace has it.
    pub uid: u32,
    /// A `zbq_wakeup_mode`.
    pub mode: u32,
    /// A `zbq_eviction`: why it lost the slot; 0: it has it.
    pub eviction: u32,
    /// Descriptors sent to it and not collected, when last asked.
    pub fds_in_flight: u32,
    /// Bit 0: the producer waits for its room; bit 1: for it to collect descriptors.
    pub in_the_way: u32,
    /// Zero.
    pub reserved: [u8; 24],
}
