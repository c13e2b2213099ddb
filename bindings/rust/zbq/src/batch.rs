// SPDX-License-Identifier: MIT
//! Room for several messages.

use crate::producer::Producer;
use crate::{message_size, HEADER};
use std::fmt;
use zbq_sys::zbq_msg_header;

/// Room for several messages that one commit publishes. Dropped without, they never were.
///
/// ```
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// let size = zbq::message_size(3).unwrap();
/// let mut batch = producer.try_batch(2 * size)?;
/// batch.add(3).unwrap().copy_from_slice(b"one");
/// batch.add(3).unwrap().copy_from_slice(b"two");
/// assert!(batch.add(3).is_none());
/// batch.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "dropped without a commit, its messages never were"]
pub struct Batch<'p> {
    producer: &'p mut Producer,
    bytes: u64, // of room
    used: u64,
    len: usize,
}

impl<'p> Batch<'p> {
    #[inline]
    pub(crate) fn new(producer: &'p mut Producer, bytes: u64) -> Self {
        Self {
            producer,
            bytes,
            used: 0,
            len: 0,
        }
    }

    /// Adds a message and gives its payload to fill, aligned to 16; `None` when there is no room
    /// left for it.
    #[inline]
    pub fn add(&mut self, len: usize) -> Option<&mut [u8]> {
        let bytes = message_size(len).filter(|bytes| *bytes <= self.bytes - self.used)?;
        let header = zbq_msg_header {
            payload_len: len as u32,
            fd_count: 0,
            flags: 0,
            reserved: 0,
            seq_id: 0,
        };
        // SAFETY: as for the payload of a reservation: the room was found to hold `bytes` more
        // past those used, and each message's is given out once.
        let payload = unsafe {
            let at = self.producer.room().add(self.used as usize);
            at.cast::<zbq_msg_header>().write(header);
            std::slice::from_raw_parts_mut(at.add(HEADER), len)
        };
        self.used += bytes;
        self.len += 1;
        Some(payload)
    }

    /// Messages added so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Publishes all that was added; none is fine.
    pub fn commit(self) {
        if self.used != 0 {
            self.producer.commit(self.used);
        }
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len)
            .field("used", &self.used)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
