// SPDX-License-Identifier: MIT
//! A frame that is there.

use super::memory::FrameMemory;
use super::note::Note;
use crate::error::{Error, Result};
use crate::message::Message;
use crate::payload::Payload;
use std::fmt;
use std::sync::Arc;

/// A frame as it lies in its buffer, held until it goes. The buffer is filled anew when every lossless
/// reader has let go; an observer's may be at any time.
///
/// It borrows its [`Frames`](crate::Frames), and stays with its thread.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # use zbq::{Consumer, FramePool, FramePoolOptions, Frames, Options, Producer, Wakeup};
/// # let mut producer = Producer::new(&Options::new())?;
/// # let mut pool = FramePool::new(&mut producer, &FramePoolOptions::new(8), None)?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, Wakeup::Push)?;
/// # let frames = Frames::new(Consumer::join(&far, Wakeup::Push)?)?;
/// # let mut frame = pool.acquire(&mut producer, None)?;
/// # frame.bytes().copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
/// # frame.publish(&mut producer, 8, b"640x480", None)?;
/// let frame = frames.next(None)?;
/// let second = frame.read(|bytes| bytes.array(4).map(u32::from_le_bytes))?;
/// let format = frame.read_beside(|bytes| bytes.to_vec())?;
/// assert_eq!((second, &format[..]), (Some(2), &b"640x480"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped, it lets go of the frame"]
pub struct ReceivedFrame<'f> {
    message: Message<'f>,
    memory: Arc<FrameMemory>, // its buffer may be replaced meanwhile
    len: usize,               // it has so many, and more
}

impl<'f> ReceivedFrame<'f> {
    pub(super) fn new(message: Message<'f>, memory: Arc<FrameMemory>, len: usize) -> Self {
        Self {
            message,
            memory,
            len,
        }
    }

    /// Bytes of it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in the stream its message starts, in bytes since the ring was made.
    pub fn offset(&self) -> u64 {
        self.message.offset()
    }

    /// The bytes, in place, aligned to a page. Ask [`is_intact`](Self::is_intact) after reading.
    pub fn bytes(&self) -> Payload<'_> {
        self.memory.payload(self.len).expect("it has so many")
    }

    /// Asked after reading: `true` means that the bytes read were whole. An evicted consumer's stay as
    /// they are, since a new buffer takes the place. What lies [`beside`](Self::beside) them is
    /// another question.
    pub fn is_intact(&self) -> bool {
        self.memory.is_of(self.offset())
    }

    /// Reads in place and then asks whether that was whole.
    ///
    /// # Errors
    ///
    /// [`Error::Lapped`] (the buffer was filled anew, which may be for observers and for frames of
    /// history), [`Error::Evicted`]: what was read may have been torn, and is dropped.
    pub fn read<R>(&self, read: impl FnOnce(Payload<'_>) -> R) -> Result<R> {
        let result = read(self.bytes());
        if self.is_intact() {
            Ok(result)
        } else {
            Err(self.torn())
        }
    }

    /// A copy of the bytes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        self.read(|bytes| bytes.to_vec())
    }

    /// What the application has put beside it, which lies in the ring. It is overwritten where this
    /// consumer was evicted, or is an observer and was lapped: [`read_beside`](Self::read_beside)
    /// asks.
    pub fn beside(&self) -> Payload<'_> {
        let payload = self.message.payload();
        let len = payload.len() - Note::LEN;
        payload
            .slice(Note::LEN, len)
            .expect("it starts with a note")
    }

    /// Reads that in place and then asks whether it was whole.
    ///
    /// # Errors
    ///
    /// As [`Message::read`].
    pub fn read_beside<R>(&self, read: impl FnOnce(Payload<'_>) -> R) -> Result<R> {
        self.message.read(|_| read(self.beside()))
    }

    // One that was published before its reader joined nobody waits for.
    #[cold]
    fn torn(&self) -> Error {
        match self.message.consumer().torn() {
            error @ Error::Evicted(_) => error,
            _ => Error::Lapped,
        }
    }
}

impl fmt::Debug for ReceivedFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedFrame")
            .field("offset", &self.offset())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
