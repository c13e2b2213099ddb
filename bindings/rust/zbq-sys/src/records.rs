// SPDX-License-Identifier: MIT
//! Handles, and what calls take and give.

use crate::{zbq_consumer_metadata, zbq_control_region, zbq_msg_header, zbq_parking};
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
