// SPDX-License-Identifier: MIT
//! Messages that are there.

use crate::consumer::Consumer;
use crate::error::Result;
use crate::header::Header;
use crate::payload::Payload;
use crate::piece::{Piece, Visited};
use std::fmt;
use std::iter::FusedIterator;
use std::os::unix::io::OwnedFd;
use std::time::Duration;

/// Messages that are there, in place, to go through once; another pass goes on where one stopped.
/// When it goes, the producer gets back the room of all that was visited, in one go, and descriptors
/// that were not taken are closed. See [`Consumer::take_batch`].
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// # producer.try_publish(b"one")?;
/// # producer.try_publish(b"two")?;
/// let batch = consumer.take_batch(100);
/// let mut letters = Vec::new();
/// for message in &batch {
///     message.payload().append_to(&mut letters);
/// }
/// batch.finish()?; // before the letters are used
/// assert_eq!(letters, b"onetwo");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped, it gives back the room of what was visited"]
pub struct MessageBatch<'c> {
    piece: Piece<'c>,
}

impl<'c> MessageBatch<'c> {
    #[inline]
    pub(crate) fn new(consumer: &'c Consumer, most: usize) -> Self {
        Self {
            piece: Piece::new(consumer, most),
        }
    }

    /// The messages, one after the other: from the first, or from where an earlier pass stopped.
    #[inline]
    pub fn iter(&self) -> Messages<'_> {
        Messages(self)
    }

    /// How many were visited.
    pub fn visited(&self) -> usize {
        self.piece.visited()
    }

    /// Asked after reading, as [`Message::is_intact`](crate::Message::is_intact): for all that was
    /// visited. Of an observer's batch, which goes on where it was lapped in its midst, rather ask
    /// for each: [`MessageView::is_intact`].
    #[inline]
    pub fn is_intact(&self) -> bool {
        self.piece.is_intact()
    }

    /// Asks whether all that was read was whole, and lets go of it. Gives how many were visited.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`](crate::Error::Evicted), [`Error::Lapped`](crate::Error::Lapped): what was
    /// read may have been torn. Else it was whole, and this is why there was no more: as
    /// [`Consumer::try_next`].
    #[inline]
    pub fn finish(self) -> Result<usize> {
        self.piece.finish()
    }

    #[inline]
    fn next(&self) -> Option<MessageView<'_>> {
        let visited = self.piece.next()?;
        // SAFETY: the piece's own.
        Some(unsafe { MessageView::new(self.piece.consumer(), visited) })
    }
}

impl<'b> IntoIterator for &'b MessageBatch<'_> {
    type Item = MessageView<'b>;
    type IntoIter = Messages<'b>;
    fn into_iter(self) -> Messages<'b> {
        self.iter()
    }
}

impl fmt::Debug for MessageBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageBatch").field(&self.piece).finish()
    }
}

/// Goes through a [`MessageBatch`].
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// # producer.try_publish(b"one")?;
/// # producer.try_publish(b"three")?;
/// let batch = consumer.take_batch(100);
/// let longest = batch.iter().map(|message| message.payload().len()).max();
/// batch.finish()?;
/// assert_eq!(longest, Some(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Messages<'b>(&'b MessageBatch<'b>);

impl<'b> Iterator for Messages<'b> {
    type Item = MessageView<'b>;
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl FusedIterator for Messages<'_> {}

/// A message of a [`MessageBatch`], where it lies. The batch holds its room. Or one that was not taken
/// yet, as [`Collector::serve_in_order`](crate::Collector::serve_in_order) shows it.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// use std::fs::File;
/// use std::os::unix::io::AsFd;
/// let file = File::open("/dev/null")?;
/// producer.publish_with(b"here it is", &[file.as_fd()], None)?;
/// for message in &consumer.take_batch(100) {
///     let files = message.take_fds(None)?;
///     assert_eq!((files.len(), message.offset(), message.key()), (1, 0, None));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is the batch's, and goes before that:
///
/// ```compile_fail,E0505
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// let batch = consumer.take_batch(1);
/// let message = batch.iter().next().unwrap();
/// batch.finish()?;
/// let bytes = message.payload().to_vec();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct MessageView<'b> {
    consumer: &'b Consumer,
    payload: Payload<'b>,
    offset: u64,
    header: Header,
}

impl<'b> MessageView<'b> {
    /// # Safety
    ///
    /// It is a message of this consumer's ring.
    #[inline]
    pub(crate) unsafe fn new(consumer: &'b Consumer, visited: Visited) -> Self {
        Self {
            consumer,
            // SAFETY: so many bytes lie there, in the ring, which is mapped while the consumer lives.
            payload: unsafe { Payload::new(visited.at.as_ptr(), visited.len as usize) },
            offset: visited.offset,
            header: visited.header,
        }
    }

    /// The bytes, in place. Ask afterwards whether they were whole: the batch, or
    /// [`is_intact`](Self::is_intact).
    #[inline]
    pub fn payload(&self) -> Payload<'b> {
        self.payload
    }

    /// Asked after reading: `true` means that what was read of this one was whole.
    #[inline]
    pub fn is_intact(&self) -> bool {
        self.consumer.is_valid_from(self.offset)
    }

    /// Where in the stream it starts, in bytes since the ring was made.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The application's own flags.
    pub fn flags(&self) -> u8 {
        self.header.flags()
    }

    /// The key of a message that is, or was, retained.
    pub fn key(&self) -> Option<u16> {
        self.header.key()
    }

    /// Whether it says that its key is retained no more; it is empty then.
    pub fn is_forgotten(&self) -> bool {
        self.header.is_forgotten()
    }

    /// How many descriptors it was sent with.
    pub fn fd_count(&self) -> u8 {
        self.header.fd_count()
    }

    /// Takes the descriptors, waiting for them; without a time-out for ever. Take those of an
    /// earlier message first: taking later ones closes them.
    ///
    /// # Errors
    ///
    /// As [`Message::take_fds`](crate::Message::take_fds).
    pub fn take_fds(&self, timeout: Option<Duration>) -> Result<Vec<OwnedFd>> {
        self.consumer.take_fds_of(self.header, self.offset, timeout)
    }
}

impl fmt::Debug for MessageView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageView")
            .field("offset", &self.offset)
            .field("len", &self.payload.len())
            .field("fd_count", &self.fd_count())
            .finish_non_exhaustive()
    }
}
