// SPDX-License-Identifier: MIT
//! Room for one message.

use crate::error::{check, Error, Result};
use crate::producer::Producer;
use crate::{message_size, HEADER};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::unix::io::{AsRawFd, BorrowedFd, RawFd};
use zbq_sys::{zbq_msg_header, ZBQ_MAX_FD_PER_MSG};

/// Room for one message, to be filled in place. Dropped without a [`commit`](Self::commit), the
/// message never was.
///
/// It borrows the producer, so that there is one at a time, and a commit takes it, so that there
/// is one of these for each:
///
/// ```
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// let mut first = producer.try_reserve(5)?;
/// first.payload().copy_from_slice(b"hello");
/// first.commit();
/// let second = producer.try_reserve(5)?;
/// second.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// Two at once:
///
/// ```compile_fail,E0499
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// let mut first = producer.try_reserve(5)?;
/// let second = producer.try_reserve(5)?;
/// first.commit();
/// second.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// A second commit, and a use afterwards:
///
/// ```compile_fail,E0382
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// let first = producer.try_reserve(5)?;
/// first.commit();
/// first.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// ```compile_fail,E0505
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// let mut first = producer.try_reserve(5)?;
/// let payload = first.payload();
/// first.commit();
/// payload[0] = 1;
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// The end of the stream while it is being filled:
///
/// ```compile_fail,E0505
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// let first = producer.try_reserve(5)?;
/// drop(producer);
/// first.commit();
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "dropped without a commit, the message never was"]
pub struct Reservation<'p> {
    producer: &'p mut Producer,
    len: usize,
    flags: u8,
    fd_count: u8, // attached
    seq_id: u64,  // once descriptors were sent for it
}

impl<'p> Reservation<'p> {
    // The header goes first: to come back to its cache line after the payload would take it from a
    // reader of the message before, which lies there too.
    #[inline]
    pub(crate) fn new(producer: &'p mut Producer, len: usize) -> Self {
        Self::resume(producer, len, 0)
    }

    /// Of a message for which descriptors were sent already, or some, under this id; 0: none were.
    #[inline]
    pub(crate) fn resume(producer: &'p mut Producer, len: usize, seq_id: u64) -> Self {
        let reservation = Self {
            producer,
            len,
            flags: 0,
            fd_count: 0,
            seq_id,
        };
        reservation.write_header();
        reservation
    }

    /// The payload to fill, of the size asked for, aligned to 16. It holds whatever was there
    /// before: fill in all of it.
    #[inline]
    pub fn payload(&mut self) -> &mut [u8] {
        // SAFETY: the room was found to hold the header and so many bytes, one after the other even
        // where they lie across the ring's end. All of it is initialized memory, and no other
        // process can write there: the kernel refuses a writable mapping to each of them. Within
        // this one, the borrow of the producer is the only way there.
        unsafe { std::slice::from_raw_parts_mut(self.producer.room().add(HEADER), self.len) }
    }

    /// Where in the stream the message will start, in bytes since the ring was made.
    ///
    /// ```
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// producer.try_publish(b"one")?;
    /// let second = producer.try_reserve(3)?;
    /// assert_eq!(second.offset(), zbq::message_size(3).unwrap());
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn offset(&self) -> u64 {
        self.producer.head()
    }

    /// Shortens the payload to its first bytes. A size that is not smaller changes nothing.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.write_header();
        }
    }

    /// The application's own flags, which readers see ([`Message::flags`](crate::Message::flags)). 0
    /// unless this says otherwise.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// let mut room = producer.try_reserve(0)?;
    /// room.set_flags(3);
    /// room.commit();
    /// assert_eq!(consumer.try_next()?.flags(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_flags(&mut self, flags: u8) {
        self.flags = flags;
        self.write_header();
    }

    /// Sends these descriptors, which become the message's. They stay the caller's, too, who may
    /// close them at once. They go before the message, so that no consumer that sees it can miss
    /// them. None at all is fine. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: a consumer has no room for them yet; call again with the same
    /// descriptors, which goes on where this stopped, or drop the reservation.
    /// [`Error::Invalid`]: more than 253, one of a kind that cannot be sent, or some are attached
    /// already.
    pub fn attach(&mut self, fds: &[BorrowedFd<'_>]) -> Result<()> {
        if fds.is_empty() {
            return Ok(());
        }
        if fds.len() > usize::from(ZBQ_MAX_FD_PER_MSG) || self.fd_count != 0 {
            return Err(Error::Invalid);
        }
        let mut numbers = [MaybeUninit::<RawFd>::uninit(); ZBQ_MAX_FD_PER_MSG as usize];
        for (number, fd) in numbers.iter_mut().zip(fds) {
            number.write(fd.as_raw_fd());
        }
        let handle = self.producer.raw();
        let fd_count = fds.len() as u8;
        // SAFETY: a live handle; so many numbers were written, of descriptors that are open.
        unsafe {
            if self.seq_id == 0 {
                self.seq_id = zbq_sys::zbq_producer_next_seq_id(handle);
            }
            let first = numbers.as_ptr().cast();
            let seq_id = self.seq_id;
            check(zbq_sys::zbq_producer_broadcast_fds(
                handle, seq_id, first, fd_count,
            ))?;
        }
        self.fd_count = fd_count;
        self.write_header();
        Ok(())
    }

    pub(crate) fn seq_id(&self) -> u64 {
        self.seq_id
    }

    /// Publishes the message.
    #[inline]
    pub fn commit(self) {
        // It had room for no less.
        let bytes = message_size(self.len).unwrap_or_default();
        self.producer.commit(bytes);
    }

    #[inline]
    fn write_header(&self) {
        let header = zbq_msg_header {
            payload_len: self.len as u32, // no more, as it was given room
            fd_count: self.fd_count,
            flags: self.flags,
            reserved: 0,
            seq_id: if self.fd_count != 0 { self.seq_id } else { 0 },
        };
        // SAFETY: as for the payload; messages start where a header is aligned.
        unsafe { self.producer.room().cast::<zbq_msg_header>().write(header) };
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("len", &self.len)
            .field("fd_count", &self.fd_count)
            .finish_non_exhaustive()
    }
}
