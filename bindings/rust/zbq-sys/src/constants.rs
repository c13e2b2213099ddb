// SPDX-License-Identifier: MIT
//! Numbers.
//!
//! An enumeration of C may hold any number of its type, one of Rust only those that are listed: any
//! other would be undefined behaviour. So what C hands out is a number here (`c_int`, `u32`), or a
//! struct around one, and a Rust `enum` is only what goes into a call, or names such a number.

use libc::c_int;

/// Of the header that these declarations follow; compare with [`zbq_version`](crate::zbq_version).
pub const ZBQ_VERSION_MAJOR: u32 = 1;
/// As above.
pub const ZBQ_VERSION_MINOR: u32 = 0;
/// As above.
pub const ZBQ_VERSION_PATCH: u32 = 0;

/// The most descriptors that one message can carry.
pub const ZBQ_MAX_FD_PER_MSG: u8 = 253;
/// Messages start, and commits end, at multiples of this.
pub const ZBQ_MSG_ALIGN: usize = 16;
/// The most descriptors that may wait, sent but not collected, for one consumer.
pub const ZBQ_MAX_FD_IN_FLIGHT: usize = 512;
/// The longest that one wait sleeps, in nanoseconds.
pub const ZBQ_WAIT_SLICE_NS: u64 = 100_000_000;
/// How many places to park at a consumer's page has.
pub const ZBQ_PARKING_PLACES: usize = 62;
/// Of the memory and the messages on sockets.
pub const ZBQ_PROTOCOL_VERSION: u32 = 2;

/// For `zbq_producer_set_patience`: every consumer, those that join later included.
pub const ZBQ_ALL_CONSUMERS: u32 = u32::MAX;
/// Bytes of a name in the statistics, the zero at its end included.
pub const ZBQ_NAME_SIZE: usize = 112;
/// For [`zbq_ring_stats`](crate::zbq_ring_stats): no slot.
pub const ZBQ_NO_SLOT: u32 = u32::MAX;

/// Names of what a call gives that returns `c_int`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum zbq_error {
    /// Done.
    ZBQ_OK = 0,
    /// A bad argument, or a call that is out of place.
    ZBQ_ERROR_INVALID = -1,
    /// Memory could not be had.
    ZBQ_ERROR_NOMEM = -2,
    /// Not yet; nothing is wrong.
    ZBQ_ERROR_AGAIN = -3,
    /// A system call failed; errno is left as it set it.
    ZBQ_ERROR_IO = -4,
    /// The other side broke the protocol.
    ZBQ_ERROR_PROTOCOL = -5,
    /// Larger than the ring.
    ZBQ_ERROR_OVERFLOW = -6,
    /// Nothing there: no slot, no record, the end.
    ZBQ_ERROR_NOENT = -7,
}

/// How a consumer learns of messages.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum zbq_wakeup_mode {
    /// May sleep until the producer wakes it; gets descriptors.
    ZBQ_WAKEUP_PUSH = 0,
    /// Polls when it likes; never woken; gets no descriptors.
    ZBQ_WAKEUP_PULL = 1,
    /// As push, but an observer: the producer never waits for it.
    ZBQ_OBSERVE_PUSH = 2,
    /// As pull, but an observer.
    ZBQ_OBSERVE_PULL = 3,
}

/// Where a consumer starts to read: for [`zbq_start`](crate::zbq_start).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum zbq_start_at {
    /// With the next message committed.
    ZBQ_START_HEAD = 0,
    /// With the oldest message that is still whole.
    ZBQ_START_OLDEST = 1,
    /// With so many bytes of history at least, if there are so many.
    ZBQ_START_LAST = 2,
    /// With the message at a logical offset.
    ZBQ_START_OFFSET = 3,
    /// With so many bytes of history at most.
    ZBQ_START_WITHIN = 4,
}

/// Where an observer goes on when it moves without reading.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum zbq_seek_to {
    /// The oldest message that is still whole.
    ZBQ_SEEK_OLDEST = 0,
    /// The newest message, or past it where it was read already; of a commit of more than 4,096
    /// messages one of them.
    ZBQ_SEEK_NEWEST = 1,
    /// The next message committed.
    ZBQ_SEEK_HEAD = 2,
}

/// For [`zbq_producer_commit`](crate::zbq_producer_commit). They can be combined, so this is no
/// `enum`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_commit_flags(pub c_int);

impl zbq_commit_flags {
    /// Nothing beside publishing.
    pub const ZBQ_COMMIT_NONE: Self = Self(0);
    /// Run a scan after publishing.
    pub const ZBQ_COMMIT_FORCE_SCAN: Self = Self(1);
    /// What is left of the run stays open, for the next commit.
    pub const ZBQ_COMMIT_KEEP: Self = Self(2);
}

impl core::ops::BitOr for zbq_commit_flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why a consumer lost its slot.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_eviction(pub c_int);

impl zbq_eviction {
    /// It still has it.
    pub const ZBQ_EVICTION_NONE: Self = Self(0);
    /// Its process ended, or it left.
    pub const ZBQ_EVICTION_DEAD: Self = Self(1);
    /// It held the ring back for the stall time-out.
    pub const ZBQ_EVICTION_STALLED: Self = Self(2);
    /// It did not collect descriptors for as long.
    pub const ZBQ_EVICTION_SIDE_STALLED: Self = Self(3);
    /// It published a tail that cannot be.
    pub const ZBQ_EVICTION_PROTOCOL: Self = Self(4);
    /// It used up the patience that the producer had for it.
    pub const ZBQ_EVICTION_SLOW: Self = Self(5);
    /// Waking it cost the producer too much, again and again.
    pub const ZBQ_EVICTION_DEAR: Self = Self(6);
}

/// How a stream stands, for one consumer.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct zbq_ending(pub c_int);

impl zbq_ending {
    /// It goes on.
    pub const ZBQ_ENDING_NONE: Self = Self(0);
    /// The producer ended it; what it committed can be read.
    pub const ZBQ_ENDING_CLOSED: Self = Self(1);
    /// As that, but it was killed or crashed.
    pub const ZBQ_ENDING_PRODUCER_DIED: Self = Self(2);
    /// This consumer lost its slot: nothing more to read.
    pub const ZBQ_ENDING_EVICTED: Self = Self(3);
    /// The producer broke the protocol: the same.
    pub const ZBQ_ENDING_MALFORMED: Self = Self(4);
}
