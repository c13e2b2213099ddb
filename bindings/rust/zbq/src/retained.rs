// SPDX-License-Identifier: MIT
//! What every newcomer has.

use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::header::Header;
use crate::payload::Payload;
use std::fmt;
use std::iter::FusedIterator;
use std::os::unix::io::OwnedFd;
use std::ptr;
use std::time::Duration;
use zbq_sys::zbq_msg_view;

/// The messages that were retained when a consumer joined: see [`Consumer::retained`].
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// producer.retain(1, b"640x480", None)?;
/// producer.retain(2, b"", None)?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// let keys: Vec<u16> = consumer.retained().filter_map(|message| message.key()).collect();
/// assert_eq!(keys, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Retained<'c> {
    consumer: &'c Consumer,
    next: u32,
}

impl<'c> Retained<'c> {
    pub(crate) fn new(consumer: &'c Consumer) -> Self {
        Self { consumer, next: 0 }
    }
}

impl<'c> Iterator for Retained<'c> {
    type Item = RetainedMessage<'c>;
    fn next(&mut self) -> Option<Self::Item> {
        let mut view = zbq_msg_view {
            header: ptr::null(),
            payload: ptr::null(),
            payload_len: 0,
            logical_offset: 0,
            total_len: 0,
        };
        let handle = self.consumer.raw();
        // SAFETY: a live handle, and a place for the view.
        let code = unsafe { zbq_sys::zbq_consumer_retained(handle, self.next, &mut view) };
        if code != 0 {
            return None; // or what a hostile producer has left there is no message
        }
        self.next += 1;
        // SAFETY: mapped for as long as the consumer lives.
        Some(unsafe { RetainedMessage::new(self.consumer, &view) })
    }
}

impl FusedIterator for Retained<'_> {}

/// A message that was retained when a consumer joined. It lies beside the ring: it holds no room, and
/// is not overwritten.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// use std::fs::File;
/// use std::os::unix::io::AsFd;
/// let pool = File::open("/dev/null")?; // a buffer that all readers map, say
/// producer.retain_with(7, b"pool", &[pool.as_fd()], None)?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// for message in consumer.retained() {
///     if message.key() == Some(7) {
///         let mine: Vec<File> = message.take_fds()?.into_iter().map(File::from).collect();
///         # assert_eq!(mine.len(), 1);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct RetainedMessage<'c> {
    consumer: &'c Consumer,
    payload: Payload<'c>,
    offset: u64,
    header: Header,
}

impl<'c> RetainedMessage<'c> {
    /// # Safety
    ///
    /// A message, that stays mapped while the consumer lives.
    unsafe fn new(consumer: &'c Consumer, view: &zbq_msg_view) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            Self {
                consumer,
                payload: Payload::new(view.payload.cast(), view.payload_len as usize),
                offset: view.logical_offset,
                header: Header::load(view.header),
            }
        }
    }

    /// The bytes, in place. They stay as they are, unless the producer is hostile.
    pub fn payload(&self) -> Payload<'c> {
        self.payload
    }

    /// The key under which it was retained; `None` from a hostile producer alone.
    pub fn key(&self) -> Option<u16> {
        self.header.key()
    }

    /// The application's own flags.
    pub fn flags(&self) -> u8 {
        self.header.flags()
    }

    /// Where in the stream it was.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many descriptors it was sent with.
    pub fn fd_count(&self) -> u8 {
        self.header.fd_count()
    }

    /// Takes the descriptors, which are there from the start. Take those of an earlier one first, and
    /// all before those of messages in the stream: taking later ones closes them. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Message::take_fds`](crate::Message::take_fds).
    pub fn take_fds(&self) -> Result<Vec<OwnedFd>> {
        if self.fd_count() == 0 {
            return Ok(Vec::new());
        }
        if self.header.record() == 0 {
            return Err(Error::Protocol); // some, but no record
        }
        let now = Some(Duration::ZERO);
        match self.consumer.take_fds(self.header.record(), now) {
            Ok(fds) if fds.len() != usize::from(self.fd_count()) => Err(Error::Protocol),
            other => other,
        }
    }
}

impl fmt::Debug for RetainedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainedMessage")
            .field("key", &self.key())
            .field("offset", &self.offset)
            .field("len", &self.payload.len())
            .field("fd_count", &self.fd_count())
            .finish_non_exhaustive()
    }
}
