// SPDX-License-Identifier: MIT
//! Room for several values.

use crate::batch::Batch;
use crate::pod::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::mem::size_of;

/// Room for several values that one commit publishes. Dropped without, they never were.
///
/// ```
/// # let mut producer = zbq::Channel::<[f64; 2]>::new("point/1").producer(&zbq::Options::new())?;
/// let mut batch = producer.try_batch(2)?;
/// *batch.add().unwrap() = [1.0, 2.0];
/// batch.add().unwrap()[1] = 4.0; // beside what was there before
/// assert!(batch.add().is_none());
/// batch.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// Two at once, and a place that is used after the commit:
///
/// ```compile_fail,E0499
/// # let mut producer = zbq::Channel::<u64>::new("number/1").producer(&zbq::Options::new())?;
/// let batch = producer.try_batch(1)?;
/// let second = producer.try_batch(1)?;
/// batch.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// ```compile_fail,E0505
/// # let mut producer = zbq::Channel::<u64>::new("number/1").producer(&zbq::Options::new())?;
/// let mut batch = producer.try_batch(1)?;
/// let place = batch.add().unwrap();
/// batch.commit();
/// *place = 1;
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "dropped without a commit, its values never were"]
pub struct TypedBatch<'p, T> {
    untyped: Batch<'p>,
    payload: PhantomData<fn(T)>,
}

impl<'p, T: Pod> TypedBatch<'p, T> {
    pub(super) fn new(untyped: Batch<'p>) -> Self {
        Self {
            untyped,
            payload: PhantomData,
        }
    }

    /// Adds one and gives its place in the ring, to be filled: it holds what was there before.
    /// `None` when there is no room left for it.
    #[inline]
    pub fn add(&mut self) -> Option<&mut T> {
        let bytes = self.untyped.add(size_of::<T>())?;
        // SAFETY: so many bytes, which nobody else has, aligned to 16: a channel's type is to no
        // more. They are initialized, and any bytes are a `T`.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast::<T>() })
    }

    /// Values added so far.
    pub fn len(&self) -> usize {
        self.untyped.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.untyped.is_empty()
    }

    /// Publishes all that was added; none is fine.
    pub fn commit(self) {
        self.untyped.commit();
    }
}

impl<T> fmt::Debug for TypedBatch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedBatch").field(&self.untyped).finish()
    }
}
