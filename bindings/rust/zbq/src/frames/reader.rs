// SPDX-License-Identifier: MIT
//! The reader of a pool of frames.

use super::memory::FrameMemory;
use super::note::Note;
use super::pool::MOST_BUFFERS;
use super::received::ReceivedFrame;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::time::{Deadline, SLICE};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::unix::io::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// The reader of a pool of frames ([`FramePool`](crate::FramePool), or `zbq::frame_pool` of C++): a
/// consumer in push mode. One that wants the newest frame alone follows, and takes the last:
/// [`Flow::Newest`](crate::Flow::Newest) would skip the messages that tell of new buffers.
///
/// What other keys retain, and messages that are no frames, are for others: take what is retained
/// before, from the consumer.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # use zbq::{Consumer, FramePool, FramePoolOptions, Flow, Frames, Options, Producer, Start, Wakeup};
/// # let mut producer = Producer::new(&Options::new())?;
/// # let mut pool = FramePool::new(&mut producer, &FramePoolOptions::new(4), None)?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit_with(&near, Wakeup::Push, Flow::Follow, Start::Head)?;
/// # let observer = Consumer::join_with(&far, Wakeup::Push, Flow::Follow)?;
/// # for number in 1..=3 {
/// #     let mut frame = pool.acquire(&mut producer, None)?;
/// #     frame.bytes().fill(number);
/// #     frame.publish(&mut producer, 4, b"", None)?;
/// # }
/// let frames = Frames::new(observer)?;
/// frames.wait(None)?;
/// let mut newest = None;
/// while let Ok(frame) = frames.try_next() {
///     newest = Some(frame);
/// }
/// # assert_eq!(newest.as_ref().unwrap().to_vec()?, [3; 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frames {
    consumer: Consumer,
    buffers: RefCell<Vec<Known>>,
    skipped: Cell<u64>,
}

struct Known {
    note: Note,
    memory: Arc<FrameMemory>,
}

impl Frames {
    /// Takes over a consumer that has just joined, and maps the buffers.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (it polls), [`Error::Protocol`] (a buffer that is none),
    /// [`Error::NoMemory`], [`Error::Io`].
    pub fn new(consumer: Consumer) -> Result<Self> {
        if !consumer.pushes() {
            return Err(Error::Invalid);
        }
        let frames = Self {
            consumer,
            buffers: RefCell::new(Vec::new()),
            skipped: Cell::new(0),
        };
        for retained in frames.consumer.retained() {
            let note = Note::of(retained.payload());
            frames.learn(note, retained.key(), || retained.take_fds())?;
        }
        Ok(frames)
    }

    /// The next frame, in place. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Consumer::try_next`]. [`Error::Protocol`] also: a message that names no buffer, or a
    /// buffer that is none; it was passed over, and what comes after it can be read.
    /// [`Error::NoMemory`], [`Error::Io`]: a new buffer cannot be mapped.
    pub fn try_next(&self) -> Result<ReceivedFrame<'_>> {
        loop {
            let message = self.consumer.try_next()?;
            let note = Note::of(message.payload());
            if !message.is_intact() {
                continue; // it was overwritten meanwhile, and is no frame and no buffer
            }
            if message.key().is_some() {
                let now = Some(Duration::ZERO);
                self.learn(note, message.key(), || message.take_fds(now))?;
                continue;
            }
            match self.find(note)? {
                Some((memory, len)) => return Ok(ReceivedFrame::new(message, memory, len)),
                None => self.skipped.set(self.skipped.get() + 1),
            }
        }
    }

    /// The same, waiting for it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next), and [`Error::Io`]: it cannot sleep.
    pub fn next(&self, timeout: Option<Duration>) -> Result<ReceivedFrame<'_>> {
        let end = Deadline::after(timeout);
        loop {
            self.consumer.wait_until(end)?;
            match self.try_next() {
                Err(Error::Again | Error::Lapped) if end.left(SLICE).is_some() => (),
                next => return next,
            }
        }
    }

    /// Waits as [`Consumer::wait`]. Afterwards there may be no frame all the same, but a new buffer.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        self.consumer.wait(timeout)
    }

    /// How many frames were skipped since their buffer is not known: those of history whose buffer
    /// was replaced since; and those of an observer that was lapped where a new buffer took the
    /// place of another. To join again gives it all buffers.
    pub fn skipped(&self) -> u64 {
        self.skipped.get()
    }

    /// The consumer, for all else. Take no messages from it.
    pub fn get_ref(&self) -> &Consumer {
        &self.consumer
    }

    /// The consumer, to be used without frames.
    pub fn into_inner(self) -> Consumer {
        self.consumer
    }

    // Where it is a buffer's: any that is retained may be another thing.
    fn learn(
        &self,
        note: Option<Note>,
        key: Option<u16>,
        take_fds: impl FnOnce() -> Result<Vec<OwnedFd>>,
    ) -> Result<()> {
        let note = match note {
            Some(note) if Some(note.key) == key.map(u32::from) => note,
            _ => return Ok(()),
        };
        let mut fds = match take_fds() {
            Err(error @ (Error::NoMemory | Error::Io(_))) => return Err(error),
            fds => fds.unwrap_or_default(), // there are none: whatever names it tells
        };
        let fd = match fds.pop() {
            Some(fd) if fds.is_empty() => fd,
            _ => return Ok(()),
        };
        let memory = Arc::new(FrameMemory::open(fd, note.size)?);
        self.keep(Known { note, memory });
        Ok(())
    }

    // What names the one before has come already.
    fn keep(&self, fresh: Known) {
        let mut buffers = self.buffers.borrow_mut();
        let is_full = buffers.len() >= MOST_BUFFERS; // a hostile producer's are more
        match buffers
            .iter_mut()
            .find(|one| one.note.key == fresh.note.key)
        {
            Some(same) => *same = fresh,
            None if is_full => (),
            None => buffers.push(fresh),
        }
    }

    // `None`: its buffer is one that this reader need not know.
    fn find(&self, note: Option<Note>) -> Result<Option<(Arc<FrameMemory>, usize)>> {
        let buffers = self.buffers.borrow();
        let named = note.and_then(|note| {
            let one = buffers.iter().find(|one| one.note.key == note.key)?;
            Some((note, one))
        });
        match named {
            Some((note, one)) if note.is_in(one.note) => {
                Ok(Some((one.memory.clone(), note.size as usize)))
            }
            Some((note, one)) if note.generation < one.note.generation => Ok(None),
            // It misses what names buffers where it was lapped, or their descriptors.
            _ if self.consumer.observes() => Ok(None),
            _ => Err(Error::Protocol),
        }
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("consumer", &self.consumer)
            .field("buffers", &self.buffers.borrow().len())
            .field("skipped", &self.skipped.get())
            .finish()
    }
}
