// SPDX-License-Identifier: MIT
//! How a ring and its consumers stand, for who does not read it.

use crate::error::{check, Eviction, Result};
use crate::options::{split_mode, PayloadType, RingId, Wakeup};
use std::fmt;
use std::mem::{size_of, MaybeUninit};
use std::os::unix::io::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::time::Duration;
use zbq_sys::{zbq_ring_stats, zbq_slot_stats, zbq_stats, ZBQ_NO_SLOT};

/// The statistics page of a ring: read-only memory in which its producer keeps an account of the ring
/// and of each slot. It can be read while the producer is busy, stopped or gone; the producer does
/// nothing for it. What is in it is the producer's word: a hostile one can say anything, and do nothing
/// to who reads.
///
/// ```
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// use zbq::StatisticsPage;
/// let mut page = StatisticsPage::open(producer.statistics_fd()?)?; // of another process, as a rule
/// producer.publish(b"hello", None)?;
/// producer.refresh_statistics();
/// page.update()?;
/// assert_eq!(page.ring().head, 32);
/// for (number, reader) in page.slots() {
///     println!("{number}: process {}, {} bytes behind", reader.pid, reader.lag);
/// }
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// In a forked child it is not updated.
pub struct StatisticsPage {
    handle: NonNull<zbq_stats>,
    ring: RingAccount,
}

// SAFETY: the handle may be used by any thread, one at a time; nothing in it is a thread's own.
unsafe impl Send for StatisticsPage {}

impl StatisticsPage {
    /// Maps a page by its descriptor ([`Producer::statistics_fd`](crate::Producer::statistics_fd)), and
    /// takes its account.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) (it is no such page),
    /// [`Error::Again`](crate::Error::Again) (no account is whole),
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Io`](crate::Error::Io).
    pub fn open(fd: impl AsFd) -> Result<Self> {
        let fd = fd.as_fd().as_raw_fd();
        Self::from_call(|out| {
            // SAFETY: a place for the handle.
            unsafe { zbq_sys::zbq_stats_open(fd, out) }
        })
    }

    /// Receives what [`Producer::send_statistics`](crate::Producer::send_statistics) sent. Blocks as the
    /// socket does.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::Again`](crate::Error::Again): not there yet.
    pub fn receive(socket: impl AsFd) -> Result<Self> {
        let socket = socket.as_fd().as_raw_fd();
        Self::from_call(|out| {
            // SAFETY: a place for the handle.
            unsafe { zbq_sys::zbq_stats_receive(socket, out) }
        })
    }

    fn from_call(call: impl FnOnce(*mut *mut zbq_stats) -> libc::c_int) -> Result<Self> {
        let mut handle = ptr::null_mut();
        check(call(&mut handle))?;
        let handle = NonNull::new(handle).expect("a handle, where it went well");
        // Owned from here on.
        let mut page = Self {
            handle,
            ring: RingAccount::default(),
        };
        page.update()?;
        Ok(page)
    }

    /// Takes the newest account.
    ///
    /// # Errors
    ///
    /// [`Error::Again`](crate::Error::Again): none was whole, the last one stands.
    /// [`Error::Invalid`](crate::Error::Invalid): in a forked child.
    pub fn update(&mut self) -> Result<()> {
        let mut line = MaybeUninit::<zbq_ring_stats>::uninit();
        let size = size_of::<zbq_ring_stats>() as u64;
        // SAFETY: a live handle, and a place of that size, which is filled where it goes well.
        self.ring = unsafe {
            let handle = self.handle.as_ptr();
            check(zbq_sys::zbq_stats_read(handle, line.as_mut_ptr(), size))?;
            RingAccount::from_raw(&line.assume_init())
        };
        Ok(())
    }

    /// The account of the ring.
    pub fn ring(&self) -> &RingAccount {
        &self.ring
    }

    /// The account of the consumer in a slot, or of the one that was last there; `None`: nobody ever was.
    pub fn slot(&self, number: u32) -> Option<SlotAccount> {
        let mut line = MaybeUninit::<zbq_slot_stats>::uninit();
        let size = size_of::<zbq_slot_stats>() as u64;
        // SAFETY: a live handle, and a place of that size, which is filled where it goes well.
        unsafe {
            let handle = self.handle.as_ptr();
            let code = zbq_sys::zbq_stats_slot(handle, number, line.as_mut_ptr(), size);
            (code == 0).then(|| SlotAccount::from_raw(&line.assume_init()))
        }
    }

    /// The accounts of all slots that anybody ever had, with their numbers.
    pub fn slots(&self) -> impl Iterator<Item = (u32, SlotAccount)> + '_ {
        (0..self.ring.slots).filter_map(move |number| Some((number, self.slot(number)?)))
    }
}

impl Drop for StatisticsPage {
    fn drop(&mut self) {
        // SAFETY: the last use of the handle.
        unsafe { zbq_sys::zbq_stats_close(self.handle.as_ptr()) };
    }
}

impl fmt::Debug for StatisticsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatisticsPage")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

/// How a ring stands. Times are of the producer's `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingAccount {
    /// Tells this ring from all others.
    pub id: RingId,
    /// What the producer calls it: any bytes, not to be printed unseen.
    pub name: Vec<u8>,
    /// The producer's process, as its own pid namespace numbers it.
    pub pid: i32,
    /// What the payloads are; all zero: not told.
    pub payload_type: PayloadType,
    /// Bytes of the ring.
    pub capacity: u64,
    /// When this account was written.
    pub written_at: Duration,
    /// When the ring was made.
    pub created_at: Duration,
    /// Bytes committed since the start.
    pub head: u64,
    /// The least of the tails; `head` with no consumer to wait for.
    pub slowest_tail: u64,
    /// Who is furthest behind of those that hold the stream back, or hold descriptors back.
    pub slowest_slot: Option<u32>,
    /// How long a consumer may hold back; zero: for ever.
    pub stall_timeout: Duration,
    /// How long the producer has waited for room.
    pub full: Duration,
    /// Consumers that ever got a slot.
    pub joined: u64,
    /// Consumers that lost it.
    pub evicted: u64,
    /// Failed attempts to get room or to send descriptors.
    pub failures: u64,
    /// Scans of all consumers.
    pub scans: u64,
    /// Wake-ups made.
    pub wakes: u64,
    /// Slots taken.
    pub consumers: u32,
    /// Slots.
    pub max_consumers: u32,
    /// Those that have an account: the first of them.
    pub slots: u32,
    /// Whether the stream has ended: the last account.
    pub closed: bool,
    by_reason: [u64; 8],
}

impl RingAccount {
    /// Consumers evicted for this reason.
    pub fn evicted_for(&self, reason: Eviction) -> u64 {
        (1..self.by_reason.len())
            .find(|number| Eviction::from_raw(*number as u32) == Some(reason))
            .map_or(0, |number| self.by_reason[number])
    }

    fn from_raw(line: &zbq_ring_stats) -> Self {
        let name = line.name.iter().map(|byte| *byte as u8);
        Self {
            id: line.ring_id,
            name: name.take_while(|byte| *byte != 0).collect(),
            pid: line.pid,
            payload_type: PayloadType::from_raw(line.payload_type),
            capacity: line.capacity,
            written_at: Duration::from_nanos(line.written_at),
            created_at: Duration::from_nanos(line.created_at),
            head: line.head,
            slowest_tail: line.slowest_tail,
            slowest_slot: (line.slowest_slot != ZBQ_NO_SLOT).then_some(line.slowest_slot),
            stall_timeout: Duration::from_nanos(line.stall_timeout_ns),
            full: Duration::from_nanos(line.full_ns),
            joined: line.joined,
            evicted: line.evicted[0],
            failures: line.failures,
            scans: line.scans,
            wakes: line.wakes,
            consumers: line.consumers,
            max_consumers: line.max_consumers,
            slots: line.slots,
            closed: line.closed != 0,
            by_reason: line.evicted,
        }
    }
}

/// How a consumer stands. Times are of the producer's `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotAccount {
    /// 1 for the first join of this ring, then 2, and so on.
    pub join_number: u64,
    /// Its process, as the kernel told the producer; 0 while unknown.
    pub pid: i32,
    /// The user who connected.
    pub uid: u32,
    /// How it learns of messages.
    pub wakeup: Wakeup,
    /// Whether it is an observer, for whom nobody waits.
    pub observes: bool,
    /// When it joined.
    pub joined_at: Duration,
    /// Why it was evicted, and when; `None`: it has its slot.
    pub evicted: Option<(Eviction, Duration)>,
    /// Up to here it has released.
    pub tail: u64,
    /// Bytes committed that it has not released.
    pub lag: u64,
    /// Since when it has not moved.
    pub moved_at: Duration,
    /// How often a look found the producer waiting for room, and nobody further behind.
    pub times_slowest: u64,
    /// How long the producer has waited with this one in the way.
    pub held: Duration,
    /// Whether the producer waits for its room.
    pub holds_room: bool,
    /// Whether the producer waits for it to collect descriptors.
    pub holds_descriptors: bool,
    /// By an observer's own word: what was overwritten before it read it.
    pub lost_bytes: u64,
    /// Records of descriptors that an observer had no room for.
    pub dropped_records: u64,
    /// Descriptors sent to it and not collected.
    pub fds_in_flight: u32,
}

impl SlotAccount {
    fn from_raw(line: &zbq_slot_stats) -> Self {
        let (wakeup, observes) = split_mode(line.mode).unwrap_or_default();
        let evicted_at = Duration::from_nanos(line.evicted_at);
        Self {
            join_number: line.join_number,
            pid: line.pid,
            uid: line.uid,
            wakeup,
            observes,
            joined_at: Duration::from_nanos(line.joined_at),
            evicted: Eviction::from_raw(line.eviction).map(|reason| (reason, evicted_at)),
            tail: line.tail,
            lag: line.lag,
            moved_at: Duration::from_nanos(line.moved_at),
            times_slowest: line.times_slowest,
            held: Duration::from_nanos(line.held_ns),
            holds_room: line.in_the_way & 1 != 0,
            holds_descriptors: line.in_the_way & 2 != 0,
            lost_bytes: line.lost_bytes,
            dropped_records: line.dropped_records,
            fds_in_flight: line.fds_in_flight,
        }
    }
}
