// SPDX-License-Identifier: MIT
//! One who reads values of several types.

use super::variants::Variants;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::iter::values;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A consumer of a [`VariantChannel`](crate::VariantChannel).
///
/// A message that is none of the types, from a producer that does not keep its word, is
/// [`Error::Protocol`] and passed over; what comes after it can be read. For batches and descriptors
/// read messages ([`get_ref`](Self::get_ref)) with [`Variants::read`].
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// zbq::variants! { #[derive(Debug, PartialEq)] enum Number { Whole(u64), Half(u32) } }
/// # let channel = zbq::VariantChannel::<Number>::new("number/1");
/// # let mut producer = channel.producer(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
/// producer.try_send(1_u64)?;
/// producer.try_send(2_u32)?;
/// assert_eq!(consumer.try_next()?, Number::Whole(1));
/// assert_eq!(consumer.next(None)?, Number::Half(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VariantConsumer<V> {
    untyped: Consumer,
    payload: PhantomData<fn() -> V>,
}

impl<V: Variants> VariantConsumer<V> {
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
    /// [`Error::Protocol`] also at a message that is none of the types.
    #[inline]
    pub fn try_next(&self) -> Result<V> {
        let (_, value) = self
            .untyped
            .extract_next(|header, payload| Ok(V::read(header.flags(), payload)))?;
        value.ok_or(Error::Protocol)
    }

    /// The same, waiting for it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next), and [`Error::Io`]: it cannot sleep.
    pub fn next(&self, timeout: Option<Duration>) -> Result<V> {
        self.untyped.wait_and(timeout, || self.try_next())
    }

    /// Copies of all to the end of the stream, waiting for each: see [`Consumer::iter`].
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # zbq::variants! { enum Number { Whole(u64), Half(u32) } }
    /// # let channel = zbq::VariantChannel::<Number>::new("number/1");
    /// # let mut producer = channel.producer(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
    /// producer.try_send(1_u64)?;
    /// producer.try_send(4_u32)?;
    /// drop(producer);
    /// let mut sum = 0.0;
    /// for number in consumer.iter() {
    ///     sum += match number? {
    ///         Number::Whole(number) => number as f64,
    ///         Number::Half(number) => f64::from(number) / 2.0,
    ///     };
    /// }
    /// assert_eq!(sum, 3.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<V>> + '_ {
        values(&self.untyped, move || self.next(None))
    }

    /// Waits as [`Consumer::wait`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        self.untyped.wait(timeout)
    }

    /// The ring, for all that has no type: other ways to wait, batches, descriptors, how it stands.
    pub fn get_ref(&self) -> &Consumer {
        &self.untyped
    }

    /// The consumer, to be used without types.
    pub fn into_inner(self) -> Consumer {
        self.untyped
    }
}

impl<V> fmt::Debug for VariantConsumer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VariantConsumer")
            .field(&self.untyped)
            .finish()
    }
}
