// SPDX-License-Identifier: MIT
//! Values that are there.

use super::place::Place;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::piece::Piece;
use crate::pod::Pod;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::mem::size_of;

/// Values that are there, in place, to go through once; another pass goes on where one stopped.
/// When it goes, the producer gets back the room of all that was visited, in one go, and
/// descriptors that it was sent with are closed. It ends at a message of another size, which is
/// passed over.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let channel = zbq::Channel::<u64>::new("number/1");
/// # let mut producer = channel.producer(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
/// # producer.try_send_all(&[1, 2, 3])?;
/// let batch = consumer.take_batch(100);
/// let mut sum = 0;
/// for number in &batch {
///     sum += number.get();
/// }
/// batch.finish()?; // before the sum is used
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped, it gives back the room of what was visited"]
pub struct ReceivedBatch<'c, T> {
    piece: Piece<'c>,
    payload: PhantomData<fn() -> T>,
}

impl<'c, T: Pod> ReceivedBatch<'c, T> {
    #[inline]
    pub(super) fn new(consumer: &'c Consumer, most: usize) -> Self {
        Self {
            piece: Piece::new(consumer, most),
            payload: PhantomData,
        }
    }

    /// The values, one after the other: from the first, or from where an earlier pass stopped.
    #[inline]
    pub fn iter(&self) -> Places<'_, T> {
        Places(self)
    }

    /// How many were visited.
    pub fn visited(&self) -> usize {
        self.piece.visited()
    }

    /// Asked after reading, as [`Message::is_intact`](crate::Message::is_intact): for all that was
    /// visited. Of an observer's batch, which goes on where it was lapped in its midst, rather ask
    /// for each: [`is_intact_at`](Self::is_intact_at).
    #[inline]
    pub fn is_intact(&self) -> bool {
        self.piece.is_intact()
    }

    /// The same for one that was visited.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let channel = zbq::Channel::<u64>::new("number/1");
    /// # let mut producer = channel.producer(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # use zbq::{Flow, Start, Wakeup};
    /// # producer.get_mut().admit_with(&near, Wakeup::Pull, Flow::Follow, Start::Head)?;
    /// # let observer = zbq::Consumer::join_with(&far, Wakeup::Pull, Flow::Follow)?;
    /// # let observer = channel.consumer(observer)?;
    /// # producer.try_send_all(&[1, 2, 3])?;
    /// let batch = observer.take_batch(100);
    /// let mut sum = 0;
    /// for number in &batch {
    ///     let value = number.get();
    ///     if batch.is_intact_at(number) {
    ///         sum += value;
    ///     }
    /// }
    /// # assert_eq!(sum, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn is_intact_at(&self, one: Place<'_, T>) -> bool {
        self.piece.consumer().is_valid_from(one.offset())
    }

    /// Asks whether all that was read was whole, and lets go of it. Gives how many were visited.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`], [`Error::Lapped`]: what was read may have been torn. Else it was whole, and this is why
    /// there was no more: [`Error::Again`], [`Error::Closed`], [`Error::ProducerDied`] (nothing was
    /// there), [`Error::Protocol`] (a message of another size, or the stream is malformed).
    #[inline]
    pub fn finish(self) -> Result<usize> {
        self.piece.finish()
    }

    /// Of one of which no value was got: why; or it was that of an observer, and was overwritten
    /// meanwhile.
    #[cold]
    pub(super) fn go_on_if_lapped(&self) -> Result<()> {
        match self.piece.take_error() {
            Some(Error::Lapped) if !self.is_intact() => {
                self.piece.count_as_lost();
                Ok(())
            }
            error => Err(error.unwrap_or(Error::Again)),
        }
    }

    #[inline]
    fn next(&self) -> Option<Place<'_, T>> {
        let visited = self.piece.next()?;
        if visited.len != size_of::<T>() as u64 {
            self.piece.refuse_last(Error::Protocol); // unless it was evicted
            return None;
        }
        // SAFETY: of this size. The ring is mapped while the consumer lives, which the batch
        // borrows.
        Some(unsafe { Place::new(visited.at, visited.offset) })
    }
}

impl<'b, T: Pod> IntoIterator for &'b ReceivedBatch<'_, T> {
    type Item = Place<'b, T>;
    type IntoIter = Places<'b, T>;
    fn into_iter(self) -> Places<'b, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for ReceivedBatch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceivedBatch").field(&self.piece).finish()
    }
}

/// Goes through a [`ReceivedBatch`].
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let channel = zbq::Channel::<u64>::new("number/1");
/// # let mut producer = channel.producer(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
/// producer.try_send_all(&[1, 2, 3])?;
/// let batch = consumer.take_batch(100);
/// let largest = batch.iter().map(|number| number.get()).max();
/// batch.finish()?;
/// assert_eq!(largest, Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Places<'b, T>(&'b ReceivedBatch<'b, T>);

impl<'b, T: Pod> Iterator for Places<'b, T> {
    type Item = Place<'b, T>;
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl<T: Pod> FusedIterator for Places<'_, T> {}
