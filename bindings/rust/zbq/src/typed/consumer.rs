// SPDX-License-Identifier: MIT
//! One who reads values.

use super::received::ReceivedBatch;
use crate::consumer::{Consumer, MOST_LAPS};
use crate::error::{Error, Result};
use crate::iter::values;
use crate::pod::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A consumer of a [`Channel`](crate::Channel).
///
/// A message of another size, from a producer that does not keep its word, is
/// [`Error::Protocol`] and passed over; what comes after it can be read.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let channel = zbq::Channel::<u64>::new("number/1");
/// # let mut producer = channel.producer(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
/// producer.try_send_all(&[1, 2, 3])?;
/// assert_eq!(consumer.try_next()?, 1);
/// assert_eq!(consumer.next(None)?, 2);
/// for number in &consumer.take_batch(10) {
///     assert_eq!(number.get(), 3);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedConsumer<T> {
    untyped: Consumer,
    payload: PhantomData<fn() -> T>,
}

impl<T: Pod> TypedConsumer<T> {
    pub(super) fn new(untyped: Consumer) -> Self {
        Self {
            untyped,
            payload: PhantomData,
        }
    }

    /// A copy of the next one, which was whole. Its room is given back, and descriptors that it was
    /// sent with are closed. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Consumer::try_next`]. [`Error::Evicted`] also if the copy may have been torn;
    /// [`Error::Protocol`] also at a message of another size, unless this consumer was evicted. An
    /// observer goes on after one that was overwritten meanwhile.
    #[inline]
    pub fn try_next(&self) -> Result<T> {
        for _ in 0..MOST_LAPS {
            let batch = self.take_batch(1);
            let value = batch.iter().next().map(|place| place.get());
            match value {
                Some(value) if batch.is_intact() => return Ok(value),
                _ => batch.go_on_if_lapped()?,
            }
        }
        Err(Error::Lapped)
    }

    /// The same, waiting for it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next), and [`Error::Io`]: it cannot sleep.
    pub fn next(&self, timeout: Option<Duration>) -> Result<T> {
        self.untyped.wait_and(timeout, || self.try_next())
    }

    /// Copies of all to the end of the stream, waiting for each: see [`Consumer::iter`].
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let channel = zbq::Channel::<u64>::new("number/1");
    /// # let mut producer = channel.producer(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
    /// producer.try_send_all(&[1, 2, 3])?;
    /// drop(producer);
    /// let sum: Result<u64, zbq::Error> = consumer.iter().sum();
    /// assert_eq!(sum?, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<T>> + '_ {
        values(&self.untyped, move || self.next(None))
    }

    /// Those that are there, in place: at most so many, and no more than what takes a sixteenth of
    /// the ring (but one at least), so that the producer gets room back while a long backlog is
    /// read. It ends where another call takes a message meanwhile. Never waits.
    #[inline]
    pub fn take_batch(&self, most: usize) -> ReceivedBatch<'_, T> {
        ReceivedBatch::new(&self.untyped, most)
    }

    /// Waits as [`Consumer::wait`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        self.untyped.wait(timeout)
    }

    /// Waits as [`Consumer::wait_spinning`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait_spinning(&self, timeout: Option<Duration>, spin: Duration) -> Result<()> {
        self.untyped.wait_spinning(timeout, spin)
    }

    /// The ring, for all that has no type: other ways to wait, descriptors, how it stands.
    pub fn get_ref(&self) -> &Consumer {
        &self.untyped
    }

    /// The consumer, to be used without a type.
    pub fn into_inner(self) -> Consumer {
        self.untyped
    }
}

impl<T> fmt::Debug for TypedConsumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedConsumer").field(&self.untyped).finish()
    }
}
