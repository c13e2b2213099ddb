// SPDX-License-Identifier: MIT
//! The one who publishes values of several types.

use super::variants::Variants;
use crate::error::{Error, Result};
use crate::message_size;
use crate::options::{Options, PayloadType};
use crate::producer::Producer;
use crate::reservation::Reservation;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// The producer of a [`VariantChannel`](crate::VariantChannel): one value for each message. Dropping
/// it ends the stream.
///
/// ```
/// zbq::variants! { enum Number { Whole(u64), Half(u32) } }
/// # let channel = zbq::VariantChannel::<Number>::new("number/1");
/// let mut producer = channel.producer(&zbq::Options::new())?;
/// producer.try_send(1_u64)?;
/// producer.send(Number::Half(2), None)?;
/// producer.try_send_all(&[Number::Whole(3), Number::Half(4)])?;
/// # assert_eq!(producer.get_ref().head(), 4 * zbq::message_size(8).unwrap());
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct VariantProducer<V> {
    untyped: Producer,
    payload: PhantomData<fn(V)>,
}

impl<V: Variants> VariantProducer<V> {
    pub(super) fn new(options: &Options, payload_type: PayloadType) -> Result<Self> {
        let mut untyped = Producer::new(options)?;
        untyped.set_type(payload_type)?;
        Ok(Self {
            untyped,
            payload: PhantomData,
        })
    }

    /// Publishes a copy of one of the types, or of the enum. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_publish`].
    #[inline]
    pub fn try_send(&mut self, value: impl Into<V>) -> Result<()> {
        let value = value.into();
        publish(self.untyped.try_reserve(value.bytes().len())?, &value);
        Ok(())
    }

    /// The same, waiting for room; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`Producer::publish`].
    pub fn send(&mut self, value: impl Into<V>, timeout: Option<Duration>) -> Result<()> {
        let value = value.into();
        publish(self.untyped.reserve(value.bytes().len(), timeout)?, &value);
        Ok(())
    }

    /// Publishes copies of all, or of none, in one commit. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: no room now for all. [`Error::TooLarge`]: never.
    pub fn try_send_all(&mut self, values: &[V]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let mut bytes = 0_u64;
        for value in values {
            let size = message_size(value.bytes().len()).ok_or(Error::TooLarge)?;
            bytes = bytes.saturating_add(size);
        }
        let mut batch = self.untyped.try_batch(bytes)?;
        for value in values {
            if let Some(place) = batch.add_with_flags(value.bytes().len(), value.flags()) {
                place.copy_from_slice(value.bytes());
            }
        }
        batch.commit();
        Ok(())
    }

    /// The ring, for what changes nothing: statistics, descriptors to wait for.
    pub fn get_ref(&self) -> &Producer {
        &self.untyped
    }

    /// The ring, for all that has no type: admitting consumers, waiting. What is published there is
    /// not checked here; a consumer takes it for [`Error::Protocol`] where it is none of the types.
    pub fn get_mut(&mut self) -> &mut Producer {
        &mut self.untyped
    }

    /// The ring alone. It goes on saying what it sends.
    pub fn into_inner(self) -> Producer {
        self.untyped
    }
}

fn publish(mut room: Reservation<'_>, value: &impl Variants) {
    room.set_flags(value.flags());
    room.payload().copy_from_slice(value.bytes());
    room.commit();
}

impl<V> fmt::Debug for VariantProducer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VariantProducer")
            .field(&self.untyped)
            .finish()
    }
}
