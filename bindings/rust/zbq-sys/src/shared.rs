// SPDX-License-Identifier: MIT
//! What lies in shared memory, or is sent between processes.
//!
//! Such memory changes under whoever reads it. Use these types behind raw pointers, read the words
//! with atomic loads, and never make a reference to one.

use crate::ZBQ_PARKING_PLACES;

/// The producer writes, consumers only read.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct zbq_control_region {
    /// All below it is readable.
    pub producer_head: u64,
    /// All below it may be overwritten at any time; a message starts there.
    pub floor: u64,
    /// The newest commit, or the one before, starts there.
    pub newest: u64,
    _pad0: [u8; 40],
    /// Counts wake-ups, records, evictions and the end.
    pub broadcast_futex: u32,
    _pad1: [u8; 60],
    /// As its own pid namespace numbers it; for people.
    pub producer_pid: i32,
    _pad2: [u8; 60],
    /// Constant, as are the next two.
    pub ring_capacity: u64,
    /// As given to `zbq_producer_create`.
    pub clog_threshold: u64,
    /// As given to `zbq_producer_create`.
    pub stall_timeout_ns: u64,
    /// Not 0 once the producer was destroyed: the head is final.
    pub closed: u32,
    _pad3: u32,
    /// A tail that reaches this is awaited; 0: none is.
    pub awaited_tail: u64,
    /// Zero.
    pub reserved: [u8; 8],
    /// Constant: random, of this ring alone.
    pub ring_id: [u8; 16],
}

/// Where a consumer says that it sleeps, and the futex word that it sleeps on.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct zbq_parking {
    /// Set when it goes to sleep; bit 0: on this word, bit 1: it polls.
    pub parked: u32,
    _pad: [u8; 60],
}

/// One page for each consumer and join, shared with the producer alone.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
pub struct zbq_consumer_metadata {
    /// Consumer: all below it is released.
    pub tail_offset: u64,
    /// Consumer: time of its last publish, after `join_baseline`.
    pub progress_timestamp: u64,
    /// Producer, once: CLOCK_MONOTONIC at the join.
    pub join_baseline: u64,
    /// Consumer: what an observer has lost so far; for people.
    pub lost_bytes: u64,
    _pad0: [u8; 32],
    /// Producer: a [`zbq_eviction`](crate::zbq_eviction).
    pub eviction: u32,
    _pad1: u32,
    /// Producer: it will not wake it before then, by CLOCK_MONOTONIC.
    pub quiet_until: u64,
    _pad2: [u8; 48],
    /// Slot `i` uses `i % ZBQ_PARKING_PLACES`.
    pub parking: [zbq_parking; ZBQ_PARKING_PLACES],
}

/// What every message in the ring starts with; the payload follows.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_msg_header {
    /// Bytes of the payload.
    pub payload_len: u32,
    /// Descriptors that belong to it, 0 to 253.
    pub fd_count: u8,
    /// The application's own.
    pub flags: u8,
    /// Zero; of a retained message its key: [`zbq_msg_key`](crate::zbq_msg_key).
    pub reserved: u16,
    /// Of its descriptors' record; 0 with none.
    pub seq_id: u64,
}

/// Sent by the producer with the descriptors of a join.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_join_payload {
    /// As in the control region.
    pub ring_capacity: u64,
    /// As in the consumer's page.
    pub join_baseline: u64,
    /// The consumer's first message starts here.
    pub initial_head: u64,
    /// As in the control region.
    pub producer_pid: i32,
    /// The consumer has it until it leaves or is evicted.
    pub slot_index: u32,
    /// A [`zbq_wakeup_mode`](crate::zbq_wakeup_mode).
    pub wakeup_mode: u32,
    /// [`ZBQ_PROTOCOL_VERSION`](crate::ZBQ_PROTOCOL_VERSION).
    pub protocol_version: u32,
    /// Records up to this id went out before the join.
    pub seq_floor: u64,
    /// A [`zbq_type`](crate::zbq_type), as are the next two.
    pub type_hash: u64,
    /// Its size.
    pub type_size: u32,
    /// Its alignment.
    pub type_align: u32,
}
