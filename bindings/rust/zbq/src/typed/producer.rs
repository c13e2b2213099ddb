// SPDX-License-Identifier: MIT
//! The one who publishes values.

use super::batch::TypedBatch;
use crate::error::{Error, Result};
use crate::message_size;
use crate::options::{Options, PayloadType};
use crate::pod::{bytes_of, Pod};
use crate::producer::Producer;
use std::fmt;
use std::marker::PhantomData;
use std::mem::size_of;
use std::time::Duration;

/// The producer of a [`Channel`](crate::Channel): one `T` for each message. Dropping it ends the
/// stream.
///
/// ```
/// # let channel = zbq::Channel::<u64>::new("number/1");
/// let mut producer = channel.producer(&zbq::Options::new())?;
/// producer.try_send(&1)?;
/// producer.send(&2, None)?;
/// producer.try_send_all(&[3, 4])?;
/// assert_eq!(producer.get_ref().statistics().head, 4 * zbq::message_size(8).unwrap());
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct TypedProducer<T> {
    untyped: Producer,
    payload: PhantomData<fn(T)>,
}

impl<T: Pod> TypedProducer<T> {
    pub(super) fn new(options: &Options, payload_type: PayloadType) -> Result<Self> {
        let mut untyped = Producer::new(options)?;
        untyped.set_type(payload_type)?;
        Ok(Self {
            untyped,
            payload: PhantomData,
        })
    }

    /// Publishes a copy. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_publish`].
    #[inline]
    pub fn try_send(&mut self, value: &T) -> Result<()> {
        self.untyped.try_publish(bytes_of(value))
    }

    /// Publishes a copy, waiting for room; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`Producer::publish`].
    pub fn send(&mut self, value: &T, timeout: Option<Duration>) -> Result<()> {
        self.untyped.publish(bytes_of(value), timeout)
    }

    /// Publishes copies of all, or of none, in one commit. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: no room now for all. [`Error::TooLarge`]: never.
    pub fn try_send_all(&mut self, values: &[T]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let mut batch = self.try_batch(values.len())?;
        for value in values {
            if let Some(place) = batch.add() {
                *place = *value;
            }
        }
        batch.commit();
        Ok(())
    }

    /// Room for so many, to be filled in place. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_batch`].
    #[inline]
    pub fn try_batch(&mut self, count: usize) -> Result<TypedBatch<'_, T>> {
        let size = message_size(size_of::<T>()).ok_or(Error::TooLarge)?;
        let bytes = size.checked_mul(count as u64).ok_or(Error::TooLarge)?;
        Ok(TypedBatch::new(self.untyped.try_batch(bytes)?))
    }

    /// The ring, for what changes nothing: statistics, descriptors to wait for.
    pub fn get_ref(&self) -> &Producer {
        &self.untyped
    }

    /// The ring, for all that has no type: admitting consumers, waiting. What is published there is
    /// not checked here; a consumer takes it for [`Error::Protocol`] where its size is another.
    pub fn get_mut(&mut self) -> &mut Producer {
        &mut self.untyped
    }

    /// The ring alone. It goes on saying what it sends.
    pub fn into_inner(self) -> Producer {
        self.untyped
    }
}

impl<T> fmt::Debug for TypedProducer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedProducer").field(&self.untyped).finish()
    }
}
