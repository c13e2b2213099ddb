// SPDX-License-Identifier: MIT
//! What a ring is like, and how it is joined.

use std::time::Duration;
use zbq_sys::{zbq_patience, zbq_producer_params, zbq_type, zbq_wakeup_mode};

/// What a ring is like.
///
/// ```
/// # use std::time::Duration;
/// let options = zbq::Options::new()
///     .capacity(4 << 20)
///     .stall_timeout(Some(Duration::from_millis(200)));
/// let producer = zbq::Producer::new(&options)?;
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "each of its methods gives a changed one"]
#[derive(Clone, Debug)]
pub struct Options {
    capacity: u64,
    stall_timeout: Option<Duration>,
    max_consumers: u32,
    clog_threshold: u64,
}

impl Options {
    /// A megabyte for 16 consumers, who may hold the producer back for a second.
    pub fn new() -> Self {
        Self {
            capacity: 1 << 20,
            stall_timeout: Some(Duration::from_secs(1)),
            max_consumers: 16,
            clog_threshold: 16,
        }
    }

    /// Bytes of the ring: a multiple of 4096 and of the page size. A message takes its payload and
    /// 16 bytes, rounded up to 16.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// How long a consumer may hold the producer back without moving; `None`: for ever.
    pub fn stall_timeout(mut self, time: Option<Duration>) -> Self {
        self.stall_timeout = time;
        self
    }

    /// Consumers at one time.
    pub fn max_consumers(mut self, count: u32) -> Self {
        self.max_consumers = count;
        self
    }

    /// Failed attempts at room in a row before the consumers are looked at.
    pub fn clog_threshold(mut self, attempts: u64) -> Self {
        self.clog_threshold = attempts;
        self
    }

    pub(crate) fn to_raw(&self) -> zbq_producer_params {
        zbq_producer_params {
            ring_capacity: self.capacity,
            clog_threshold: self.clog_threshold,
            // 0 is "for ever" there.
            stall_timeout_ns: self.stall_timeout.map_or(0, |time| {
                u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
            }),
            max_consumers: self.max_consumers,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// How much of a producer's time may be spent waiting for one consumer, however it moves: so much at
/// once, which comes back at so much a second. Who uses it up is evicted
/// ([`Eviction::Slow`](crate::Eviction::Slow)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// What there is at first, and at most.
    pub at_once: Duration,
    /// What comes back in each second.
    pub per_second: Duration,
}

impl Patience {
    pub(crate) fn to_raw(self) -> zbq_patience {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        zbq_patience {
            at_once_ns: nanoseconds(self.at_once),
            per_second_ns: nanoseconds(self.per_second),
        }
    }
}

/// How a consumer learns of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wakeup {
    /// It may sleep until the producer wakes it, and it gets descriptors.
    #[default]
    Push,
    /// It polls when it likes, is never woken and gets no descriptors.
    Pull,
}

impl Wakeup {
    pub(crate) fn to_raw(self) -> zbq_wakeup_mode {
        match self {
            Self::Push => zbq_wakeup_mode::ZBQ_WAKEUP_PUSH,
            Self::Pull => zbq_wakeup_mode::ZBQ_WAKEUP_PULL,
        }
    }

    pub(crate) fn from_raw(mode: u32) -> Option<Self> {
        [Self::Push, Self::Pull]
            .into_iter()
            .find(|wakeup| wakeup.to_raw() as u32 == mode)
    }
}

/// What the payloads of a ring are, in the application's own terms: told to every consumer at its
/// join. All zero: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PayloadType {
    /// Of a name or schema, as both sides agree.
    pub hash: u64,
    /// Bytes of each payload; 0: they vary.
    pub size: u32,
    /// At most 16.
    pub align: u32,
}

impl PayloadType {
    pub(crate) fn to_raw(self) -> zbq_type {
        zbq_type {
            hash: self.hash,
            size: self.size,
            align: self.align,
        }
    }

    pub(crate) fn from_raw(told: zbq_type) -> Self {
        Self {
            hash: told.hash,
            size: told.size,
            align: told.align,
        }
    }
}
