// SPDX-License-Identifier: MIT
//! A frame to fill.

use super::memory::FrameMemory;
use super::note::Note;
use crate::error::{Error, Result};
use crate::options::RingId;
use crate::producer::Producer;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

/// A buffer of a pool. Whoever has it with the pool fills it.
pub(super) struct Buffer {
    pub(super) memory: FrameMemory,
    pub(super) note: Note,
    // Of the message that it was last published with. Written and read by who has the producer to
    // himself.
    start: AtomicU64,
    end: AtomicU64, // 0: never
}

impl Buffer {
    pub(super) fn new(memory: FrameMemory, note: Note) -> Self {
        Self {
            memory,
            note,
            start: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start.load(Relaxed)
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }
}

/// A buffer to fill, of a [`FramePool`](crate::FramePool). Dropped without being published, it is
/// free again; leaked, it never is.
///
/// It can be filled in any thread, also while others of its pool are.
///
/// ```
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let options = zbq::FramePoolOptions::new(4).frames(2);
/// # let mut pool = zbq::FramePool::new(&mut producer, &options, None)?;
/// let mut left = pool.acquire(&mut producer, None)?;
/// let mut right = pool.acquire(&mut producer, None)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| left.bytes().fill(1));
///     scope.spawn(|| right.bytes().fill(2));
/// });
/// left.publish(&mut producer, 4, b"left", None)?;
/// right.publish(&mut producer, 4, b"right", None)?;
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// Once it is published, others look at it:
///
/// ```compile_fail,E0382
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let options = zbq::FramePoolOptions::new(4);
/// # let mut pool = zbq::FramePool::new(&mut producer, &options, None)?;
/// let mut frame = pool.acquire(&mut producer, None)?;
/// frame.publish(&mut producer, 4, b"", None)?;
/// frame.bytes().fill(1);
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// ```compile_fail,E0505
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let options = zbq::FramePoolOptions::new(4);
/// # let mut pool = zbq::FramePool::new(&mut producer, &options, None)?;
/// let mut frame = pool.acquire(&mut producer, None)?;
/// let bytes = frame.bytes();
/// frame.publish(&mut producer, 4, b"", None)?;
/// bytes.fill(1);
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "dropped without being published, it never was"]
pub struct Frame {
    buffer: Arc<Buffer>,
    ring: RingId,
}

impl Frame {
    /// Nobody but the pool has this buffer.
    pub(super) fn new(buffer: Arc<Buffer>, ring: RingId) -> Self {
        buffer.memory.begin();
        Self { buffer, ring }
    }

    /// Its bytes, as many as each of the pool has, aligned to a page. They hold what was there
    /// before: fill in all that is published.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: made here; there is one frame of a buffer, which is borrowed for as long, and the
        // pool touches no more than the page before it. Readers in this process have mappings of
        // their own, at other addresses, that they load from atomically.
        unsafe { self.buffer.memory.bytes_mut() }
    }

    /// Publishes the first `used` bytes, with a payload of the application's own beside them. Waits
    /// for room in the ring; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: so many bytes it does not have, or the producer is not the pool's. Else as
    /// [`Producer::publish`]. The frame is in what is given: see [`NotPublished`].
    pub fn publish(
        self,
        producer: &mut Producer,
        used: usize,
        beside: &[u8],
        timeout: Option<Duration>,
    ) -> std::result::Result<(), NotPublished> {
        match self.try_to_publish(producer, used, beside, timeout) {
            Ok(()) => Ok(()),
            Err(error) => Err(NotPublished { error, frame: self }),
        }
    }

    fn try_to_publish(
        &self,
        producer: &mut Producer,
        used: usize,
        beside: &[u8],
        timeout: Option<Duration>,
    ) -> Result<()> {
        if used > self.buffer.memory.size() || producer.id() != self.ring {
            return Err(Error::Invalid);
        }
        let note = Note {
            size: used as u64,
            ..self.buffer.note
        };
        let len = Note::LEN.saturating_add(beside.len());
        let mut room = producer.reserve(len, timeout)?;
        let (first, second) = room.payload().split_at_mut(Note::LEN);
        first.copy_from_slice(&note.to_bytes());
        second.copy_from_slice(beside);
        let start = room.offset();
        self.buffer.memory.end(start);
        room.commit();
        self.buffer.start.store(start, Relaxed);
        self.buffer.end.store(producer.head(), Relaxed);
        Ok(())
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("key", &self.buffer.note.key)
            .field("size", &self.buffer.memory.size())
            .finish_non_exhaustive()
    }
}

/// A frame that was not published, and why. It becomes that [`Error`] where it is not looked at.
///
/// ```
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let options = zbq::FramePoolOptions::new(4);
/// # let mut pool = zbq::FramePool::new(&mut producer, &options, None)?;
/// let frame = pool.acquire(&mut producer, None)?;
/// let refused = frame.publish(&mut producer, 5, b"", None).unwrap_err();
/// assert!(matches!(refused.error(), zbq::Error::Invalid)); // it has 4
/// refused.into_frame().publish(&mut producer, 4, b"", None)?;
/// # Ok::<(), zbq::Error>(())
/// ```
#[derive(Debug)]
pub struct NotPublished {
    error: Error,
    frame: Frame,
}

impl NotPublished {
    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The frame, as it was filled: to try again with.
    pub fn into_frame(self) -> Frame {
        self.frame
    }
}

impl fmt::Display for NotPublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for NotPublished {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<NotPublished> for Error {
    fn from(it: NotPublished) -> Self {
        it.error
    }
}
