// SPDX-License-Identifier: MIT
//! What a ring is like, and how it is joined.

use crate::topology;
use std::time::Duration;
use zbq_sys::{
    zbq_patience, zbq_producer_params, zbq_start, zbq_start_at, zbq_type, zbq_wakeup_mode,
};

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
    /// For 16 consumers, who may hold the producer back for a second; of a megabyte where all
    /// processors share a cache, as far as the kernel says, and of 64 where they do not.
    pub fn new() -> Self {
        Self {
            capacity: topology::suitable_capacity(),
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

/// Whether a consumer holds the producer back.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// use zbq::{Consumer, Flow, Start, Wakeup};
/// producer.admit_with(&near, Wakeup::Pull, Flow::Newest, Start::Head)?;
/// let display = Consumer::join_with(&far, Wakeup::Pull, Flow::Newest)?;
/// producer.try_publish(b"old")?;
/// producer.try_publish(b"new")?;
/// assert_eq!(display.try_next()?.to_vec()?, b"new");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flow {
    /// It reads every message; who is too slow is evicted.
    #[default]
    Lossless,
    /// An observer: nobody waits for it, and it is told what it has missed.
    Follow,
    /// An observer, each of whose looks gives the newest message and skips the rest.
    Newest,
}

impl Flow {
    #[inline]
    pub(crate) fn observes(self) -> bool {
        self != Self::Lossless
    }
}

/// The two bits of a mode.
const PULLS: u32 = zbq_wakeup_mode::ZBQ_WAKEUP_PULL as u32;
const OBSERVES: u32 = zbq_wakeup_mode::ZBQ_OBSERVE_PUSH as u32;

/// How a consumer joins, as one number.
pub(crate) fn mode_of(wakeup: Wakeup, observes: bool) -> zbq_wakeup_mode {
    match (wakeup, observes) {
        (Wakeup::Push, false) => zbq_wakeup_mode::ZBQ_WAKEUP_PUSH,
        (Wakeup::Pull, false) => zbq_wakeup_mode::ZBQ_WAKEUP_PULL,
        (Wakeup::Push, true) => zbq_wakeup_mode::ZBQ_OBSERVE_PUSH,
        (Wakeup::Pull, true) => zbq_wakeup_mode::ZBQ_OBSERVE_PULL,
    }
}

/// And back: how it is woken, and whether it observes. `None`: there is no such mode.
pub(crate) fn split_mode(mode: u32) -> Option<(Wakeup, bool)> {
    let wakeup = if mode & PULLS != 0 {
        Wakeup::Pull
    } else {
        Wakeup::Push
    };
    (mode <= (PULLS | OBSERVES)).then_some((wakeup, mode & OBSERVES != 0))
}

/// Tells a ring from all others, for ever: with a message's offset it names that message.
pub type RingId = [u8; 16];

/// In the place of a ring's id: of whichever it is.
///
/// ```
/// let in_its_past = zbq::Start::At(zbq::WHICHEVER_RING, 4096);
/// # assert_eq!(zbq::WHICHEVER_RING, [0; 16]);
/// ```
pub const WHICHEVER_RING: RingId = [0; 16];

/// Where a consumer starts to read: with what comes next, or in what is still whole of the ring. The
/// last fifteen sixteenths of its capacity are, less the largest message (twice that, where it was a
/// batch). [`connect`](crate::connect()) starts exactly there; a consumer that was admitted in another
/// way with the last message at or before it that the producer knows.
///
/// ```
/// use zbq::{connect, ConnectOptions, Listener, ListenerOptions, Options, Producer, Start};
/// # let name = format!("@zbq-doc-start-{}", std::process::id());
/// # let at = name.clone();
/// let mut producer = Producer::new(&Options::new())?;
/// let mut door = Listener::new(&name, ListenerOptions::new())?;
/// producer.try_publish(b"one")?;
/// let (ring, second) = (producer.id(), producer.head()); // to be written down
/// producer.try_publish(b"two")?;
///
/// # let reader = std::thread::spawn(move || {
/// # let name = at;
/// let options = ConnectOptions::new().from(Start::At(ring, second));
/// let consumer = connect(&name, None, &options)?;
/// assert_eq!((consumer.id(), consumer.offset()), (ring, second));
/// assert_eq!(consumer.try_next()?.to_vec()?, b"two");
/// # Ok::<(), zbq::Error>(())
/// # });
/// # while !reader.is_finished() {
/// #     let _ = door.wait_and_serve(&mut producer, Some(std::time::Duration::from_millis(1)));
/// # }
/// # reader.join().unwrap()?;
/// # Ok::<(), zbq::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Start {
    /// With the next message committed.
    #[default]
    Head,
    /// With the oldest message that is whole.
    Oldest,
    /// With so many bytes of history, if there are so many.
    Last(u64),
    /// With so many bytes of history at most: for who [admits](crate::Producer::admit_with), and may
    /// not want to show more. To a listener it is no start.
    Within(u64),
    /// With the message at an offset of a ring (or of [`WHICHEVER_RING`] it is), or the oldest where
    /// that is gone or of another ring: [`Consumer::id`](crate::Consumer::id) and
    /// [`Consumer::offset`](crate::Consumer::offset) tell.
    At(RingId, u64),
}

impl Start {
    pub(crate) fn to_raw(self) -> zbq_start {
        let (at, offset, ring_id) = match self {
            Self::Head => (zbq_start_at::ZBQ_START_HEAD, 0, WHICHEVER_RING),
            Self::Oldest => (zbq_start_at::ZBQ_START_OLDEST, 0, WHICHEVER_RING),
            Self::Last(bytes) => (zbq_start_at::ZBQ_START_LAST, bytes, WHICHEVER_RING),
            Self::Within(bytes) => (zbq_start_at::ZBQ_START_WITHIN, bytes, WHICHEVER_RING),
            Self::At(ring, offset) => (zbq_start_at::ZBQ_START_OFFSET, offset, ring),
        };
        zbq_start {
            at: at as u32,
            reserved: 0,
            offset,
            ring_id,
        }
    }

    /// `None`: there is no such start to ask for.
    pub(crate) fn from_raw(at: u8, offset: u64, ring: RingId) -> Option<Self> {
        [
            Self::Head,
            Self::Oldest,
            Self::Last(offset),
            Self::At(ring, offset),
        ]
        .into_iter()
        .find(|start| start.to_raw().at == u32::from(at))
    }
}

/// What the payloads of a ring are, in the application's own terms: told to every consumer at its
/// join. All zero: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PayloadType {
    /// Of a name or schema, as both sides agree: [`type_hash`](crate::type_hash) for instance.
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
