// SPDX-License-Identifier: MIT
//! A value where it lies.

use crate::load::{load_value, unit_of};
use crate::payload::Payload;
use crate::pod::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{size_of, MaybeUninit};
use std::ptr::NonNull;

/// A value where it lies in shared memory: to read from, and never a reference.
///
/// What it gives is what was there at that moment, as with a [`Payload`]: two reads may differ, and
/// whether they were whole the batch tells afterwards.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let channel = zbq::Channel::<u64>::new("number/1");
/// # let mut producer = channel.producer(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
/// producer.try_send(&7)?;
/// let batch = consumer.take_batch(1);
/// let place = batch.iter().next().unwrap();
/// assert_eq!(place.get(), 7);
/// assert_eq!(place.payload().to_vec(), 7_u64.to_ne_bytes());
/// batch.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is the batch's, and goes before that:
///
/// ```compile_fail,E0505
/// # use std::os::unix::net::UnixStream;
/// # let channel = zbq::Channel::<u64>::new("number/1");
/// # let mut producer = channel.producer(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
/// let batch = consumer.take_batch(1);
/// let place = batch.iter().next().unwrap();
/// batch.finish()?;
/// let number = place.get();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Place<'b, T> {
    at: NonNull<u8>, // a message's payload of a T's size, mapped for 'b
    offset: u64,     // where in the stream the message starts
    value: PhantomData<&'b T>,
}

impl<'b, T: Pod> Place<'b, T> {
    /// # Safety
    ///
    /// It is a message's payload, of a `T`'s size, that stays mapped for `'b`.
    #[inline]
    pub(super) unsafe fn new(at: NonNull<u8>, offset: u64) -> Self {
        Self {
            at,
            offset,
            value: PhantomData,
        }
    }

    /// A copy.
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: such a payload, which is aligned to 16.
        unsafe { load_value(self.at.as_ptr(), 0) }
    }

    /// A copy of a part alone: of the one that `part` finds in the value that it is given, which is
    /// all zeros.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # zbq::pod! { struct Quote { bid: f64, ask: f64, volumes: [u32; 4] } }
    /// # let channel = zbq::Channel::<Quote>::new("quote/1");
    /// # let mut producer = channel.producer(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
    /// # producer.try_send(&Quote { bid: 1.0, ask: 2.0, volumes: [1, 2, 3, 4] })?;
    /// let batch = consumer.take_batch(100);
    /// for quote in &batch {
    ///     let ask = quote.field(|quote| &quote.ask);
    ///     let volume = quote.field(|quote| &quote.volumes[1]);
    ///     # assert_eq!((ask, volume), (2.0, 2));
    /// }
    /// batch.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// What it finds is no part of that value.
    #[inline(always)]
    pub fn field<U: Pod>(&self, part: impl FnOnce(&T) -> &U) -> U {
        // SAFETY: any bytes are a value.
        let zeros = unsafe { MaybeUninit::<T>::zeroed().assume_init() };
        let begin = &zeros as *const T as usize;
        let offset = (part(&zeros) as *const U as usize).wrapping_sub(begin);
        let last = size_of::<T>().checked_sub(size_of::<U>());
        assert!(
            last.map_or(false, |last| offset <= last) && offset % unit_of::<U>() == 0,
            "no part of the value"
        );
        // SAFETY: it lies in the payload, at an offset that is aligned.
        unsafe { load_value(self.at.as_ptr(), offset) }
    }

    /// Where in the stream its message starts, in bytes since the ring was made.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes, in place.
    pub fn payload(&self) -> Payload<'b> {
        // SAFETY: so many are mapped for 'b.
        unsafe { Payload::new(self.at.as_ptr(), size_of::<T>()) }
    }
}

impl<T> Clone for Place<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<'_, T> {}

impl<T: Pod + fmt::Debug> fmt::Debug for Place<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
