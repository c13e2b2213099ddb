// SPDX-License-Identifier: MIT
//! Buffers that are filled and sent again and again.

use super::frame::{Buffer, Frame};
use super::memory::FrameMemory;
use super::note::Note;
use crate::error::{Error, Eviction, Result};
use crate::options::RingId;
use crate::producer::Producer;
use crate::time::Deadline;
use std::fmt;
use std::os::unix::io::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// As many as a ring can retain.
pub(super) const MOST_BUFFERS: usize = 64;

const LARGEST: usize = 1 << 62;

/// What a pool of frames is like.
///
/// ```
/// let options = zbq::FramePoolOptions::new(640 * 480 * 4).frames(4).first_key(100);
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # zbq::FramePool::new(&mut producer, &options, None)?;
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "each of its methods gives a changed one"]
#[derive(Clone, Debug)]
pub struct FramePoolOptions {
    frame_size: usize,
    frames: usize,
    first_key: u16,
}

impl FramePoolOptions {
    /// Eight buffers of so many bytes each, which are retained under the keys from 1 on.
    pub fn new(frame_size: usize) -> Self {
        Self {
            frame_size,
            frames: 8,
            first_key: 1,
        }
    }

    /// Buffers: 1 to 64, with what else is retained.
    pub fn frames(mut self, count: usize) -> Self {
        self.frames = count;
        self
    }

    /// The buffers are retained under this key and the next ones: up to 32,767.
    pub fn first_key(mut self, key: u16) -> Self {
        self.first_key = key;
        self
    }

    fn check(&self) -> Result<()> {
        if self.frames == 0 || self.frame_size == 0 {
            return Err(Error::Invalid);
        }
        if self.frames > MOST_BUFFERS || self.frame_size > LARGEST {
            return Err(Error::TooLarge);
        }
        Ok(())
    }
}

/// A few buffers of one size that are sealed, and retained by a ring: each reader ([`Frames`]) maps
/// them once, read-only, and a frame is a message that names one. A buffer is used again when every
/// consumer has released its frame's message; one that an evicted consumer may still look at is
/// replaced by a new one.
///
/// `zbq::frames` of C++ reads what this publishes, and [`Frames`] what `zbq::frame_pool` does. It
/// belongs to the producer that it was made with, and takes no other.
///
/// [`Frames`]: crate::Frames
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// use zbq::{Consumer, FramePool, FramePoolOptions, Frames, Options, Producer, Wakeup};
/// let mut producer = Producer::new(&Options::new())?;
/// let mut pool = FramePool::new(&mut producer, &FramePoolOptions::new(640 * 480), None)?;
/// # let (near, far) = UnixStream::pair()?;
/// producer.admit(&near, Wakeup::Push)?; // or with a listener
/// let reader = Frames::new(Consumer::join(&far, Wakeup::Push)?)?; // or with connect
///
/// let mut frame = pool.acquire(&mut producer, None)?;
/// frame.bytes().fill(7);
/// frame.publish(&mut producer, 640 * 480, b"of sevens", None)?;
///
/// let frame = reader.next(None)?;
/// let sevens = frame.read(|bytes| bytes.bytes().filter(|byte| *byte == 7).count())?;
/// assert_eq!(sevens, 640 * 480);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FramePool {
    ring: RingId,
    options: FramePoolOptions,
    slots: Vec<Slot>,
    joined: Vec<u64>, // join numbers of the evicted that were seen, by slot of the ring
    evicted: u64,
    replaced: u64,
}

struct Slot {
    buffer: Arc<Buffer>,
    may_be_looked_at: bool, // by one who was evicted
}

impl FramePool {
    /// Makes the buffers and retains them. Waits for room in the ring; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (an option), [`Error::TooLarge`] (more buffers than the ring can retain,
    /// or larger than there can be), [`Error::Again`] (no room in time), [`Error::NoMemory`],
    /// [`Error::Io`]. What was retained until then stays so.
    pub fn new(
        producer: &mut Producer,
        options: &FramePoolOptions,
        timeout: Option<Duration>,
    ) -> Result<Self> {
        options.check()?;
        let mut pool = Self {
            ring: producer.id(),
            options: options.clone(),
            slots: Vec::with_capacity(options.frames),
            joined: Vec::new(),
            evicted: 0,
            replaced: 0,
        };
        pool.note_evictions(producer); // of before, which are nothing to it
        let end = Deadline::after(timeout);
        for index in 0..options.frames {
            let slot = pool.make(producer, index, 1, end)?;
            pool.slots.push(slot);
        }
        Ok(pool)
    }

    /// A buffer to fill: one that never was used, or the one that was published first and that all
    /// have let go of. Waits for that, without a time-out for ever; who is in the way for the stall
    /// time-out is evicted meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: none came back in time; or all are being filled, at once. [`Error::Invalid`]:
    /// the producer is another one. What replacing a buffer meets: as [`new`](Self::new).
    pub fn acquire(&mut self, producer: &mut Producer, timeout: Option<Duration>) -> Result<Frame> {
        if producer.id() != self.ring {
            return Err(Error::Invalid);
        }
        let end = Deadline::after(timeout);
        let index = self.oldest_idle().ok_or(Error::Again)?;
        let published = self.slots[index].buffer.end();
        producer.until_done(end, |producer| producer.released(published))?;
        if producer.id() != self.ring {
            return Err(Error::Invalid); // what it serves meanwhile has put another in its place
        }
        self.note_evictions(producer);
        if self.slots[index].may_be_looked_at {
            self.replace(producer, index, end)?;
        }
        Ok(Frame::new(self.slots[index].buffer.clone(), self.ring))
    }

    /// How often a buffer was replaced since an evicted consumer might still look at it.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    // A frame that is filled has its buffer, too; what was written through one that went is seen by
    // who finds that it has.
    fn oldest_idle(&mut self) -> Option<usize> {
        let idle = |slot: &mut Slot| Arc::get_mut(&mut slot.buffer).map(|buffer| buffer.end());
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(index, slot)| Some((idle(slot)?, index)))
            .min()
            .map(|(_, index)| index)
    }

    // ---- who may still look ----

    // Of those that left or died nobody looks any more. Where it is not sure which frames one had,
    // all are.
    fn note_evictions(&mut self, producer: &Producer) {
        let now_is = producer.statistics();
        let mut unseen = now_is.evicted - self.evicted;
        if unseen == 0 {
            return;
        }
        self.evicted = now_is.evicted;
        self.joined.resize(now_is.max_consumers as usize, 0);
        for slot in 0..now_is.max_consumers {
            let gone = match producer.consumer_info(slot) {
                Ok(info) if !info.present => info,
                _ => continue,
            };
            let joined = &mut self.joined[slot as usize];
            if gone.join_number > *joined {
                *joined = gone.join_number;
                unseen = unseen.saturating_sub(1);
                if gone.eviction != Some(Eviction::Dead) {
                    self.mark_from(gone.tail);
                }
            }
        }
        if unseen != 0 {
            self.mark_from(0);
        }
    }

    fn mark_from(&mut self, tail: u64) {
        for slot in &mut self.slots {
            slot.may_be_looked_at |= slot.buffer.end() != 0 && slot.buffer.start() >= tail;
        }
    }

    // ---- buffers ----

    fn replace(&mut self, producer: &mut Producer, index: usize, end: Deadline) -> Result<()> {
        let generation = self.slots[index].buffer.note.generation.wrapping_add(1);
        self.slots[index] = self.make(producer, index, generation, end)?;
        self.replaced += 1;
        Ok(())
    }

    // Makes a new one, and says so.
    fn make(
        &self,
        producer: &mut Producer,
        index: usize,
        generation: u32,
        end: Deadline,
    ) -> Result<Slot> {
        let key = u16::try_from(usize::from(self.options.first_key) + index);
        let key = key.map_err(|_| Error::Invalid)?;
        let (memory, fd) = FrameMemory::create(self.options.frame_size)?;
        let note = Note {
            size: self.options.frame_size as u64,
            key: key.into(),
            generation,
        };
        producer.retain_with(key, &note.to_bytes(), &[fd.as_fd()], end.timeout())?;
        Ok(Slot {
            buffer: Arc::new(Buffer::new(memory, note)),
            may_be_looked_at: false,
        })
    }
}

impl fmt::Debug for FramePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramePool")
            .field("options", &self.options)
            .field("replaced", &self.replaced)
            .finish_non_exhaustive()
    }
}
