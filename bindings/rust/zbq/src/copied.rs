// SPDX-License-Identifier: MIT
//! What there is to know of a message that was copied.

use crate::consumer::Found;
use crate::header::Header;

/// What there is to know of a message that was copied: see [`Consumer::try_copy`].
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// producer.try_publish(b"one")?;
/// producer.retain(7, b"seven", None)?;
/// let mut bytes = [0; 8];
/// let first = consumer.try_copy(&mut bytes)?;
/// assert_eq!((first.len(), first.offset(), first.key()), (3, 0, None));
/// let second = consumer.try_copy(&mut bytes)?;
/// assert_eq!((second.len(), second.offset(), second.key()), (5, 32, Some(7)));
/// assert!(!second.is_forgotten());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Consumer::try_copy`]: crate::Consumer::try_copy
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    len: usize,
    offset: u64,
    header: Header,
}

impl Copied {
    #[inline]
    pub(crate) fn new(found: &Found) -> Self {
        Self {
            len: found.view.payload_len as usize, // it lay in memory that is mapped
            offset: found.view.logical_offset,
            header: found.header,
        }
    }

    /// Bytes of the payload.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it had none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in the stream it started, in bytes since the ring was made.
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

    /// Whether it said that its key is retained no more; it was empty then.
    pub fn is_forgotten(&self) -> bool {
        self.header.is_forgotten()
    }
}
