// SPDX-License-Identifier: MIT
//! One message.

use crate::consumer::{Consumer, Found};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::load::load_value;
use crate::message_size;
use crate::payload::Payload;
use crate::pod::Pod;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem::size_of;
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// A message, where it lies in the ring. Dropping it gives its room back.
///
/// Several may be held at a time; the producer gets room back in the order of the stream. So drop
/// them in that order where always some are held: of those dropped before an older one, one piece of
/// the stream is kept in mind, and what lies apart from it only comes back when none is held.
/// Whoever holds one for longer than the ring's stall time-out, while the producer needs the room,
/// is evicted. An [observer](crate::Flow)'s message holds no room: to hold on to it only makes it less
/// likely to stay whole.
///
/// It borrows the consumer: it ends before that, and stays with its thread.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// producer.try_publish(b"hello")?;
/// let message = consumer.try_next()?;
/// let bytes = message.payload().to_vec();
/// assert!(message.is_intact());
/// drop(message);
/// drop(consumer);
/// assert_eq!(bytes, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A use after its release:
///
/// ```compile_fail,E0505
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// producer.try_publish(b"hello")?;
/// let message = consumer.try_next()?;
/// let payload = message.payload();
/// drop(message);
/// let bytes = payload.to_vec();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One that outlives its consumer:
///
/// ```compile_fail,E0505
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// producer.try_publish(b"hello")?;
/// let message = consumer.try_next()?;
/// drop(consumer);
/// let bytes = message.to_vec();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In another thread; its copy may go there:
///
/// ```compile_fail,E0277
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// producer.try_publish(b"hello")?;
/// let message = consumer.try_next()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || message.len());
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// producer.try_publish(b"hello")?;
/// let message = consumer.try_next()?.to_vec()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || message.len());
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped, it gives its room back"]
pub struct Message<'c> {
    consumer: &'c Consumer,
    at: *const u8, // the payload
    len: usize,
    offset: u64,
    header: Header,
    collected: Cell<bool>,
}

impl<'c> Message<'c> {
    /// # Safety
    ///
    /// It is the consumer's, and the tail does not pass it before this goes.
    #[inline]
    pub(crate) unsafe fn new(consumer: &'c Consumer, found: &Found) -> Self {
        Self {
            consumer,
            at: found.view.payload.cast(),
            len: found.view.payload_len as usize, // it lies in memory that is mapped
            offset: found.view.logical_offset,
            header: found.header,
            collected: Cell::new(false),
        }
    }

    pub(crate) fn consumer(&self) -> &'c Consumer {
        self.consumer
    }

    /// Bytes of the payload.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in the stream it starts, in bytes since the ring was made.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many descriptors it was sent with.
    pub fn fd_count(&self) -> u8 {
        self.header.fd_count()
    }

    /// The application's own flags.
    pub fn flags(&self) -> u8 {
        self.header.flags()
    }

    /// The key of a message that is, or was, retained.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.retain(1, b"640x480", None)?;
    /// producer.forget(1, None)?;
    /// let kept = consumer.try_next()?;
    /// assert_eq!((kept.key(), kept.is_forgotten()), (Some(1), false));
    /// let forgotten = consumer.try_next()?;
    /// assert_eq!((forgotten.key(), forgotten.is_forgotten()), (Some(1), true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self) -> Option<u16> {
        self.header.key()
    }

    /// Whether it says that its key is retained no more; it is empty then.
    pub fn is_forgotten(&self) -> bool {
        self.header.is_forgotten()
    }

    // ---- its bytes ----

    /// The bytes, in place. Ask [`is_intact`](Self::is_intact) after reading.
    #[inline]
    pub fn payload(&self) -> Payload<'_> {
        // SAFETY: these bytes lie in the ring, which is mapped while the consumer lives; the
        // message borrows that.
        unsafe { Payload::new(self.at, self.len) }
    }

    /// Asked after reading: `true` means that what was read was whole. `false`: the consumer was
    /// evicted, or is an observer that was lapped, and it may have been overwritten meanwhile.
    #[inline]
    pub fn is_intact(&self) -> bool {
        self.consumer.is_valid_from(self.offset)
    }

    /// Reads in place and then asks whether that was whole.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`], [`Error::Lapped`]: what was read may have been torn, and is dropped.
    pub fn read<R>(&self, read: impl FnOnce(Payload<'_>) -> R) -> Result<R> {
        let result = read(self.payload());
        if self.is_intact() {
            Ok(result)
        } else {
            Err(self.consumer.torn())
        }
    }

    /// A copy of the bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`], [`Error::Lapped`]: they may have been torn.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        self.read(|payload| payload.to_vec())
    }

    /// Copies from `offset` on, as much as there is and `into` holds. Gives how much that was.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`], [`Error::Lapped`]: the bytes may have been torn; `into` holds them all the
    /// same.
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<usize> {
        self.read(|payload| payload.read_at(offset, into))
    }

    /// A copy of the bytes as a value of this type.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(&7_u64.to_ne_bytes())?;
    /// let number: u64 = consumer.try_next()?.value()?;
    /// assert_eq!(number, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`], [`Error::Lapped`]: they may have been torn. [`Error::Protocol`]: they are
    /// not as many.
    #[inline]
    pub fn value<T: Pod>(&self) -> Result<T> {
        if self.len != size_of::<T>() {
            return Err(self.consumer.malformed(self.offset));
        }
        self.read(|_| {
            // SAFETY: so many bytes, in the ring, aligned to 16.
            unsafe { load_value(self.at, 0) }
        })
    }

    /// Reads the bytes from the first to the last, for all that takes an [`io::Read`].
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            message: self,
            next: 0,
        }
    }

    /// Writes the bytes to a descriptor from where they lie, without a copy in this process. Waits
    /// as that descriptor does. Gives how much was written: less than all where it would block.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: the write failed. [`Error::Evicted`], [`Error::Lapped`]: what was written may
    /// have been torn.
    pub fn write_to(&self, fd: impl AsFd) -> Result<usize> {
        let mut written = 0;
        while written < self.len {
            // SAFETY: the bytes are mapped. The kernel reads them, and takes any value.
            let count = unsafe {
                let from = self.at.add(written).cast();
                libc::write(fd.as_fd().as_raw_fd(), from, self.len - written)
            };
            if count > 0 {
                written += count as usize;
                continue;
            }
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into()); // it would for ever
            }
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => (),
                error if error.kind() == io::ErrorKind::WouldBlock && written != 0 => break,
                error => return Err(error.into()),
            }
        }
        self.read(|_| written)
    }

    // ---- its descriptors ----

    /// Takes the descriptors, waiting for them; without a time-out for ever. Take those of an
    /// earlier message first: taking later ones closes them. What is never taken is closed. Those that
    /// an observer had no room for do not come: with producers of this crate and of C++ all are there
    /// when the message is.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// use std::fs::File;
    /// use std::os::unix::io::AsFd;
    /// let file = File::open("/dev/null")?;
    /// producer.publish_with(b"here it is", &[file.as_fd()], None)?;
    /// for fd in consumer.next(None)?.take_fds(None)? {
    ///     let same_file = File::from(fd);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: not there yet. [`Error::DescriptorsLost`]: they never come, or were taken
    /// already. [`Error::Protocol`]: the producer sent another number of them, or a record that is
    /// none; all of it was closed. [`Error::Lapped`]: an observer that was too late to see how many
    /// there are. [`Error::Evicted`], [`Error::NoMemory`], [`Error::Io`].
    pub fn take_fds(&self, timeout: Option<Duration>) -> Result<Vec<OwnedFd>> {
        let taken = self.consumer.take_fds_of(self.header, self.offset, timeout);
        self.collected.set(!matches!(taken, Err(Error::Again)));
        taken
    }
}

impl Drop for Message<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.consumer.is_here() {
            return;
        }
        let record = self.header.record();
        if record != 0 && !self.collected.get() {
            self.consumer.let_go_of_fds(record, self.offset);
        }
        let size = message_size(self.len).unwrap_or_default(); // it lies in the ring
        self.consumer.let_go(self.offset, self.offset + size);
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("offset", &self.offset)
            .field("len", &self.len)
            .field("fd_count", &self.fd_count())
            .finish_non_exhaustive()
    }
}

/// Reads a message from the first byte to the last: see [`Message::reader`]. Bytes that may have
/// been torn, because the consumer was evicted or lapped, are an error.
#[derive(Debug)]
pub struct Reader<'m> {
    message: &'m Message<'m>,
    next: usize,
}

impl io::Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.message.read_at(self.next, into)?;
        self.next += count;
        Ok(count)
    }
}
