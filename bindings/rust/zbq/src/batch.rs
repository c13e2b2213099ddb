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
        self.add_with_flags(len, 0)
    }

    /// The same, with the application's own flags, which readers see
    /// ([`Message::flags`](crate::Message::flags)).
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// let mut batch = producer.try_batch(zbq::message_size(3).unwrap())?;
    /// batch.add_with_flags(3, 7).unwrap().copy_from_slice(b"one");
    /// batch.commit();
    /// assert_eq!(consumer.try_next()?.flags(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn add_with_flags(&mut self, len: usize, flags: u8) -> Option<&mut [u8]> {
        let bytes = message_size(len).filter(|bytes| *bytes <= self.bytes - self.used)?;
        let header = zbq_msg_header {
            payload_len: len as u32,
            fd_count: 0,
            flags,
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
