// SPDX-License-Identifier: MIT
//! One who reads.

use crate::copied::Copied;
use crate::error::{check, from_code, Error, Eviction, Result};
use crate::header::Header;
use crate::iter::{Iter, TryIter};
use crate::load::load_byte;
use crate::message::Message;
use crate::message_batch::MessageBatch;
use crate::options::{mode_of, Flow, PayloadType, RingId, Wakeup};
use crate::payload::Payload;
use crate::process::Birthmark;
use crate::retained::Retained;
use crate::tail::Tail;
use crate::time::{Deadline, SLICE};
use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, addr_of, NonNull};
use std::thread;
use std::time::Duration;
use zbq_sys::{
    zbq_consumer, zbq_ending, zbq_error, zbq_loss, zbq_msg_view, zbq_read_window, zbq_seek_to,
    zbq_type, ZBQ_MAX_FD_PER_MSG,
};

/// One who reads. It starts with the next message that is committed after it was admitted, unless it
/// asked for history ([`Start`](crate::Start)).
///
/// It may be an observer ([`Flow`]), for whom the producer does not wait. An observer reads bytes
/// that may be written over meanwhile: [`try_copy`](Self::try_copy) copies and checks, and is the
/// shortest way; with messages in place ask [`Message::is_intact`] after reading, for each.
///
/// It can move to another thread, but is used by one at a time: it is `Send`, and not `Sync`.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || consumer.lag());
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0277
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| consumer.lag());
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer {
    handle: NonNull<zbq_consumer>,
    birth: Birthmark, // in a forked child nothing of the ring is mapped
    push: bool,
    flow: Flow,
    window: NonNull<zbq_read_window>, // the handle's
    tail: Tail,
    no_record: Cell<bool>, // there was none to collect, and no look for messages since
    discard_later: Cell<u64>, // up to this record, 0: none
    put_off: Cell<u64>,    // the newest record that goes once nothing is held, 0: none
    lost_since: Cell<Loss>, // what was overwritten after it was taken, and passed over here
}

// SAFETY: the handle may be used by any thread, one at a time; nothing in it is a thread's own.
unsafe impl Send for Consumer {}

const AGAIN: libc::c_int = zbq_error::ZBQ_ERROR_AGAIN as libc::c_int;
const NOENT: libc::c_int = zbq_error::ZBQ_ERROR_NOENT as libc::c_int;

/// Looks of an observer in a row that find that it was lapped meanwhile: as the library's own.
pub(crate) const MOST_LAPS: usize = 8;

/// How long one sleeps at most whom nobody wakes.
pub(crate) const PULL_SLEEP: Duration = Duration::from_millis(1);

impl Consumer {
    /// Joins through a Unix socket that is connected to one which the producer admits;
    /// [`connect`](crate::connect()) does all of that by name. Waits as the socket does: for ever,
    /// for its read time-out, or not at all. The socket stays the caller's.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no Unix socket), [`Error::Again`] (nothing there in time, or a signal
    /// came first), [`Error::Protocol`] (malformed, or another mode), [`Error::NoMemory`],
    /// [`Error::Io`] (the peer is gone).
    pub fn join(socket: impl AsFd, wakeup: Wakeup) -> Result<Self> {
        Self::join_with(socket, wakeup, Flow::Lossless)
    }

    /// The same, as an observer if it likes: as the producer admits it.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// use zbq::{Consumer, Flow, Start, Wakeup};
    /// producer.admit_with(&near, Wakeup::Push, Flow::Follow, Start::Head)?;
    /// let observer = Consumer::join_with(&far, Wakeup::Push, Flow::Follow)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn join_with(socket: impl AsFd, wakeup: Wakeup, flow: Flow) -> Result<Self> {
        let birth = Birthmark::new()?;
        let mut handle = ptr::null_mut();
        // SAFETY: an open descriptor, and a place for the handle.
        check(unsafe {
            let fd = socket.as_fd().as_raw_fd();
            let mode = mode_of(wakeup, flow.observes());
            zbq_sys::zbq_consumer_join(fd, mode, &mut handle)
        })?;
        let handle = NonNull::new(handle).ok_or(Error::Invalid)?;
        // SAFETY: a live handle, and its window.
        let (window, tail) = unsafe {
            if flow == Flow::Newest {
                let newest = zbq_seek_to::ZBQ_SEEK_NEWEST;
                zbq_sys::zbq_consumer_set_resume(handle.as_ptr(), newest);
            }
            let window = zbq_sys::zbq_consumer_window(handle.as_ptr());
            (NonNull::new(window).ok_or(Error::Invalid)?, (*window).tail)
        };
        Ok(Self {
            handle,
            birth,
            push: wakeup == Wakeup::Push,
            flow,
            window,
            tail: Tail::new(tail),
            no_record: Cell::new(false),
            discard_later: Cell::new(0),
            put_off: Cell::new(0),
            lost_since: Cell::default(),
        })
    }

    // ---- messages ----

    /// The next message. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: none now. [`Error::Lapped`]: this observer was lapped again and again, and
    /// there may be more. For good: [`Error::Closed`], [`Error::ProducerDied`] (both only when all was
    /// read), [`Error::Evicted`], [`Error::Protocol`] (the stream is malformed).
    #[inline]
    pub fn try_next(&self) -> Result<Message<'_>> {
        self.skip();
        match self.try_take() {
            Some(taken) => Ok(self.message(&taken)),
            None => self.take_by_call().map(|taken| self.message(&taken)),
        }
    }

    /// The next message, waiting for it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next), and [`Error::Io`]: it cannot sleep.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Message<'_>> {
        self.wait_and(timeout, || self.try_next())
    }

    /// All messages to the end of the stream, waiting for each. A stream that the producer did not
    /// end as it should (it died, it broke the protocol, this consumer was evicted) ends with that
    /// error.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(b"one")?;
    /// producer.try_publish(b"two")?;
    /// drop(producer);
    /// let mut lengths = 0;
    /// for message in &consumer {
    ///     lengths += message?.len();
    /// }
    /// assert_eq!(lengths, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self)
    }

    /// The messages that are there now. Never waits.
    pub fn try_iter(&self) -> TryIter<'_> {
        TryIter::new(self)
    }

    /// The messages that are there, in place: at most so many, and no more than what takes a sixteenth
    /// of the ring (but one at least), so that the producer gets room back while a long backlog is
    /// read. It ends where another call takes a message meanwhile. Never waits.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(b"one")?;
    /// producer.try_publish(b"three")?;
    /// let batch = consumer.take_batch(100);
    /// let bytes: usize = batch.iter().map(|message| message.payload().len()).sum();
    /// assert_eq!(batch.finish()?, 2);
    /// assert_eq!(bytes, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn take_batch(&self, most: usize) -> MessageBatch<'_> {
        MessageBatch::new(self, most)
    }

    // ---- copies ----

    /// Copies the payload of the next message, and lets go of it: what was copied was whole. The
    /// shortest way to read safely. An observer that is lapped meanwhile goes on. Descriptors that it
    /// was sent with are closed. Never waits.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(b"hello")?;
    /// let mut bytes = [0; 8];
    /// let copied = consumer.try_copy(&mut bytes)?;
    /// assert_eq!(&bytes[..copied.len()], b"hello");
    ///
    /// producer.try_publish(b"too long for it")?;
    /// assert!(matches!(consumer.try_copy(&mut bytes), Err(zbq::Error::TooSmall(15))));
    /// assert_eq!(consumer.try_next()?.len(), 15); // it stayed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next), and [`Error::TooSmall`]: it does not fit, and stays where it
    /// is. After an error `into` may hold anything.
    pub fn try_copy(&self, into: &mut [u8]) -> Result<Copied> {
        let (copied, ()) = self.extract_next(|_, payload| {
            if payload.len() > into.len() {
                return Err(Error::TooSmall(payload.len()));
            }
            payload.read_at(0, into);
            Ok(())
        })?;
        Ok(copied)
    }

    /// The same, into a vector that becomes as long as the message.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// # producer.try_publish(b"one")?;
    /// # producer.try_publish(b"two")?;
    /// # let mut all = Vec::new();
    /// let mut bytes = Vec::new();
    /// while consumer.try_copy_to(&mut bytes).is_ok() {
    ///     all.extend_from_slice(&bytes);
    /// }
    /// # assert_eq!(all, b"onetwo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next). Then the vector is empty.
    pub fn try_copy_to(&self, into: &mut Vec<u8>) -> Result<Copied> {
        let copied = self.extract_next(|_, payload| {
            into.clear();
            payload.append_to(into);
            Ok(())
        });
        match copied {
            Ok((copied, ())) => Ok(copied),
            Err(error) => {
                into.clear();
                Err(error)
            }
        }
    }

    /// Reads the next message in place, and lets go of it: `read` is given its payload, which may be
    /// torn, and what it makes of that is given once it is sure that the payload was whole. An
    /// observer that is lapped meanwhile goes on, so that `read` may be called several times.
    /// Descriptors that the message was sent with are closed. Never waits.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(&[1, 0, 0, 0, 7])?;
    /// let number = consumer.try_read(|payload| payload.array(0).map(u32::from_le_bytes))?;
    /// assert_eq!(number, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next).
    pub fn try_read<R>(&self, mut read: impl FnMut(Payload<'_>) -> R) -> Result<R> {
        if !self.observes() {
            return self.try_next()?.read(read); // it holds its room, whatever `read` takes
        }
        let (_, result) = self.extract_next(|_, payload| Ok(read(payload)))?;
        Ok(result)
    }

    /// Goes on to the message at an offset, or past it: takes all before and lets go of it, without a
    /// look at more than the headers. Where it is past that already, nothing changes. From the start
    /// that a producer knows to the one that is wanted: see [`Start`](crate::Start).
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(b"one")?;
    /// producer.try_publish(b"two")?;
    /// let second = producer.head();
    /// producer.try_publish(b"three")?;
    /// consumer.skip_to(second)?;
    /// assert_eq!(consumer.try_next()?.to_vec()?, b"three");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: no message starts there; the next one is the first after it. An observer
    /// that was lapped on the way is told by [`lost`](Self::lost) alone. Else as
    /// [`try_next`](Self::try_next); [`Error::Again`]: so much is not committed yet.
    pub fn skip_to(&self, offset: u64) -> Result<()> {
        self.skip_at_most(offset, u64::MAX)
    }

    /// The same; [`Error::Protocol`] where more bytes lie on the way than there can be.
    pub(crate) fn skip_at_most(&self, offset: u64, mut bytes: u64) -> Result<()> {
        let laps = self.lost().times;
        if self.cursor() > offset {
            return Ok(());
        }
        while self.cursor() < offset {
            let taken = match self.try_take() {
                Some(taken) => taken,
                None => self.take_by_call()?,
            };
            drop(self.message(&taken));
            bytes = bytes
                .checked_sub(taken.view.total_len)
                .ok_or(Error::Protocol)?;
        }
        if self.cursor() == offset || self.lost().times != laps {
            Ok(())
        } else {
            Err(Error::Invalid)
        }
    }

    // ---- what every newcomer has ----

    /// What was retained when this consumer joined ([`Producer::retain`](crate::Producer::retain)),
    /// in the order in which it was. What changed since comes in the stream.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// producer.retain(1, b"640x480", None)?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// for message in consumer.retained() {
    ///     assert_eq!(message.key(), Some(1));
    ///     assert_eq!(message.payload().to_vec(), b"640x480");
    /// }
    /// # assert_eq!(consumer.retained().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retained(&self) -> Retained<'_> {
        Retained::new(self)
    }

    // ---- waiting ----

    /// Waits until there is something to read; without a time-out for ever. A consumer that pushes
    /// is woken; one that polls looks every millisecond.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: not within the time. Else as [`next`](Self::next).
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        match self.look() {
            Err(Error::Again) => self.wait_until(Deadline::after(timeout)),
            found => found,
        }
    }

    /// Waits as [`wait`](Self::wait) does, and looks all the while instead of sleeping: for a thread
    /// that has a processor to itself. While messages come faster than it looks, it leaves two
    /// microseconds between looks, which lets both sides go faster.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    #[inline]
    pub fn spin(&self, timeout: Option<Duration>) -> Result<()> {
        if self.knows_more() {
            return self.look();
        }
        self.discard_what_was_put_off();
        let most = timeout.map_or(u64::MAX, |time| {
            time.as_nanos().try_into().unwrap_or(u64::MAX)
        });
        // SAFETY: a live handle.
        self.result_of(unsafe { zbq_sys::zbq_consumer_spin(self.raw(), most) })
    }

    /// Waits as [`wait`](Self::wait) does, but first [spins](Self::spin) for so long at most: for about
    /// as long as a message usually takes to come. With [`Duration::MAX`] it never sleeps.
    ///
    /// ```
    /// # use std::{os::unix::net::UnixStream, time::Duration};
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| producer.try_publish(b"hello"));
    ///     consumer.wait_spinning(None, Duration::from_micros(50))
    /// })?;
    /// assert_eq!(consumer.try_next()?.to_vec()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_spinning(&self, timeout: Option<Duration>, spin: Duration) -> Result<()> {
        let end = Deadline::after(timeout);
        let most = timeout.map_or(spin, |time| spin.min(time));
        match self.spin(Some(most)) {
            Err(Error::Again) => self.wait_until(end),
            found => found,
        }
    }

    /// A descriptor that becomes readable when there is something to do: a message, descriptors,
    /// the end of the stream. For `poll` and the like, level- or edge-triggered; never read from
    /// it. Read messages until [`Error::Again`], which clears it, then wait for it. To look for
    /// descriptors that are not there clears it, too: before you wait for messages again, look for
    /// some. At the end of the stream it stays readable.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (this consumer polls), [`Error::NoMemory`], [`Error::Io`].
    pub fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: a live handle. The consumer keeps the descriptor open for as long as that lives.
        unsafe {
            let fd = check(zbq_sys::zbq_consumer_event_fd(self.raw()))?;
            Ok(BorrowedFd::borrow_raw(fd))
        }
    }

    // ---- how it stands ----

    /// Why the stream has ended, or `None` while it goes on. There may still be messages to read,
    /// unless this consumer was evicted or the stream is malformed. A producer that was killed is
    /// noticed by waiting.
    pub fn ending(&self) -> Option<Error> {
        let mut reason = 0;
        // SAFETY: a live handle, and a place for the reason.
        match unsafe { zbq_sys::zbq_consumer_ending(self.raw(), &mut reason) } {
            zbq_ending::ZBQ_ENDING_CLOSED => Some(Error::Closed),
            zbq_ending::ZBQ_ENDING_PRODUCER_DIED => Some(Error::ProducerDied),
            zbq_ending::ZBQ_ENDING_EVICTED => {
                let reason = Eviction::from_raw(reason).unwrap_or(Eviction::Unknown);
                Some(Error::Evicted(reason))
            }
            zbq_ending::ZBQ_ENDING_MALFORMED => Some(Error::Protocol),
            _ => None,
        }
    }

    /// Whether the producer's process runs: also after it ended the stream. Makes a system call.
    pub fn producer_is_alive(&self) -> bool {
        // SAFETY: a live handle.
        unsafe { zbq_sys::zbq_consumer_is_producer_alive(self.raw()) }
    }

    /// Bytes committed and not yet released here.
    pub fn lag(&self) -> u64 {
        // SAFETY: a live handle.
        let tail = unsafe { zbq_sys::zbq_consumer_tail(self.raw()) };
        self.head().saturating_sub(tail) // an observer's is any
    }

    pub(crate) fn head(&self) -> u64 {
        // SAFETY: a live handle.
        unsafe { zbq_sys::zbq_consumer_acquire_head(self.raw()) }
    }

    /// Where the next message starts that it has not taken; for a new one, where its history does.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// use zbq::{Consumer, Flow, Start, Wakeup};
    /// producer.try_publish(b"one")?;
    /// producer.admit_with(&near, Wakeup::Push, Flow::Lossless, Start::Oldest)?;
    /// let consumer = Consumer::join(&far, Wakeup::Push)?;
    /// assert_eq!((consumer.id(), consumer.offset()), (producer.id(), 0));
    /// drop(consumer.try_next()?);
    /// assert_eq!(consumer.offset(), producer.head());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offset(&self) -> u64 {
        self.cursor()
    }

    /// Tells this ring from all others. With [`offset`](Self::offset), or a message's, it names that
    /// message: see [`Start::At`](crate::Start::At).
    pub fn id(&self) -> RingId {
        let mut id = [0; 16];
        // SAFETY: a live handle, whose control region is mapped. It is read by the byte, since a
        // hostile producer may change it.
        unsafe {
            let region = zbq_sys::zbq_consumer_ctrl(self.raw());
            let first = addr_of!((*region).ring_id).cast::<u8>();
            for (i, byte) in id.iter_mut().enumerate() {
                *byte = load_byte(first.add(i));
            }
        }
        id
    }

    /// What it has missed, as an observer. Where, the offsets of messages tell: one does not start
    /// where the one before has ended.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new().capacity(4096))?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # use zbq::{Flow, Start, Wakeup};
    /// # producer.admit_with(&near, Wakeup::Pull, Flow::Follow, Start::Head)?;
    /// # let observer = zbq::Consumer::join_with(&far, Wakeup::Pull, Flow::Follow)?;
    /// for _ in 0..1000 {
    ///     producer.try_publish(b"a tick")?; // nobody waits for the observer
    /// }
    /// let first = observer.try_next()?;
    /// assert_eq!(observer.lost().bytes, first.offset());
    /// assert_eq!(observer.lost().times, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lost(&self) -> Loss {
        let mut lost = zbq_loss { bytes: 0, times: 0 };
        // SAFETY: a live handle, and a place for the answer. It fails for null alone.
        unsafe { zbq_sys::zbq_consumer_lost(self.raw(), &mut lost) };
        let since = self.lost_since.get();
        Loss {
            bytes: lost.bytes + since.bytes,
            times: lost.times + since.times,
        }
    }

    /// What it joined as.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Bytes of the ring.
    pub fn capacity(&self) -> u64 {
        // SAFETY: a live handle's window.
        unsafe { (*self.window.as_ptr()).capacity }
    }

    /// What the producer said that its payloads are. Its word: check each message all the same.
    pub fn payload_type(&self) -> PayloadType {
        let mut told = MaybeUninit::<zbq_type>::zeroed();
        // SAFETY: a live handle. Numbers, which may all be zero.
        PayloadType::from_raw(unsafe {
            zbq_sys::zbq_consumer_type(self.raw(), told.as_mut_ptr());
            told.assume_init()
        })
    }

    // ---- for messages ----

    /// Whether this is the process that joined.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.birth.is_here()
    }

    /// Whether it may sleep until it is woken, and gets descriptors.
    pub(crate) fn pushes(&self) -> bool {
        self.push
    }

    #[inline]
    pub(crate) fn observes(&self) -> bool {
        self.flow.observes()
    }

    /// Whether all was whole that was read from this offset on.
    #[inline]
    pub(crate) fn is_valid_from(&self, offset: u64) -> bool {
        // SAFETY: a live handle's window.
        unsafe { zbq_sys::zbq_window_valid_from(self.window.as_ptr(), offset) }
    }

    /// Whether it was not evicted.
    #[inline]
    pub(crate) fn has_slot(&self) -> bool {
        if self.observes() {
            !matches!(self.ending(), Some(Error::Evicted(_)))
        } else {
            self.is_valid_from(0) // whatever the offset
        }
    }

    /// Why there is nothing more.
    pub(crate) fn end(&self) -> Error {
        self.ending().unwrap_or(Error::Closed)
    }

    /// Why what was read was not whole.
    #[cold]
    pub(crate) fn torn(&self) -> Error {
        match self.ending() {
            Some(error @ Error::Evicted(_)) => error,
            _ if self.observes() => Error::Lapped,
            other => other.unwrap_or(Error::Closed),
        }
    }

    /// The next message's header, and what is made of its payload, which was whole. With an error of
    /// `extract` nothing is taken.
    pub(crate) fn extract_next<R>(
        &self,
        mut extract: impl FnMut(Header, Payload<'_>) -> Result<R>,
    ) -> Result<(Copied, R)> {
        self.skip();
        for _ in 0..MOST_LAPS {
            let found = self.peek()?;
            let offset = found.view.logical_offset;
            let (at, len) = (found.view.payload.cast(), found.view.payload_len as usize);
            // SAFETY: so many bytes are mapped while the consumer lives.
            let payload = unsafe { Payload::new(at, len) };
            let extracted = extract(found.header, payload);
            if self.is_valid_from(offset) {
                let extracted = extracted?;
                if self.cursor() == offset {
                    self.pass(&found);
                } // else `extract` has taken it, or more
                return Ok((Copied::new(&found), extracted));
            }
            if !self.observes() {
                return Err(self.torn());
            }
        }
        Err(Error::Lapped)
    }

    /// What was taken, and nobody was given.
    pub(crate) fn count_as_lost(&self, bytes: u64) {
        let before = self.lost_since.get();
        self.lost_since.set(Loss {
            bytes: before.bytes + bytes,
            times: before.times + 1,
        });
    }

    /// Waits and takes: again, where an observer was lapped in between.
    #[inline]
    pub(crate) fn wait_and<R>(
        &self,
        timeout: Option<Duration>,
        take: impl Fn() -> Result<R>,
    ) -> Result<R> {
        if !self.observes() {
            self.wait(timeout)?;
            return take();
        }
        let end = Deadline::after(timeout);
        loop {
            self.wait_until(end)?;
            match take() {
                Err(Error::Again | Error::Lapped) if end.left(SLICE).is_some() => (),
                taken => return taken,
            }
        }
    }

    /// Of the messages held, by the offset.
    #[inline]
    pub(crate) fn is_oldest(&self, offset: u64) -> bool {
        offset == self.tail.published()
    }

    /// Of a message or a piece, that was just taken.
    #[inline]
    pub(crate) fn hold(&self) {
        self.tail.hold();
    }

    #[inline]
    pub(crate) fn let_go(&self, begin: u64, end: u64) {
        let moved = self.tail.let_go(begin, end);
        if self.put_off.get() != 0 && !self.tail.holds() {
            self.discard_fds(self.put_off.take());
        }
        if let Some(tail) = moved {
            // SAFETY: a live handle's window.
            unsafe { zbq_sys::zbq_window_release(self.window.as_ptr(), tail) };
        }
    }

    /// Of a message that starts there. Waits for them.
    pub(crate) fn take_fds_of(
        &self,
        header: Header,
        offset: u64,
        timeout: Option<Duration>,
    ) -> Result<Vec<OwnedFd>> {
        if header.fd_count() == 0 {
            return if self.observes() && !self.is_valid_from(offset) {
                Err(self.torn())
            } else {
                Ok(Vec::new())
            };
        }
        if header.record() == 0 {
            return Err(self.malformed(offset)); // some, but no record
        }
        match self.take_fds(header.record(), timeout) {
            Ok(fds) if fds.len() != usize::from(header.fd_count()) => Err(self.malformed(offset)),
            taken => taken,
        }
    }

    /// Waits for the record, and owns what it brings.
    pub(crate) fn take_fds(&self, seq_id: u64, timeout: Option<Duration>) -> Result<Vec<OwnedFd>> {
        let end = Deadline::after(timeout);
        loop {
            let token = self.token();
            let got = self.collect(seq_id);
            let left = match (&got, end.left(SLICE)) {
                (Err(Error::Again), Some(left)) => left,
                _ => return got,
            };
            self.sleep(token, left)?;
            // The end of the stream shows in what collecting gives, unless a forked child of the
            // producer keeps the socket.
            if self.ending().is_some() {
                return match self.collect(seq_id) {
                    Err(Error::Again) => Err(Error::DescriptorsLost),
                    got => got,
                };
            }
        }
    }

    /// Of what goes, which starts there. Collecting a later record would close those of an earlier
    /// message that is still held: it waits until nothing is.
    pub(crate) fn let_go_of_fds(&self, seq_id: u64, begin: u64) {
        if self.is_oldest(begin) {
            self.discard_fds(seq_id);
        } else {
            self.put_off.set(self.put_off.get().max(seq_id));
        }
    }

    /// Closes the record's descriptors if they are there already. Else the next to collect does.
    ///
    /// To find none clears the event descriptor, which the library makes ring again once for
    /// messages that no look has seen. Whoever drops a message does not know that. So this does not
    /// look for records twice in a row: the second time is put off to the next look for messages.
    pub(crate) fn discard_fds(&self, seq_id: u64) {
        if self.no_record.get() {
            self.discard_later.set(seq_id);
        } else if self.push {
            let _ = self.collect(seq_id);
        }
    }

    fn discard_what_was_put_off(&self) {
        let seq_id = self.discard_later.take();
        if seq_id != 0 {
            let _ = self.collect(seq_id);
        }
        self.no_record.set(false);
    }

    fn collect(&self, seq_id: u64) -> Result<Vec<OwnedFd>> {
        let mut numbers = [MaybeUninit::<RawFd>::uninit(); ZBQ_MAX_FD_PER_MSG as usize];
        let mut count = 0;
        // SAFETY: a live handle, room for as many as there can be, and a place for their number.
        let code = unsafe {
            let first = numbers.as_mut_ptr().cast();
            zbq_sys::zbq_consumer_recv_fds(self.raw(), seq_id, first, &mut count)
        };
        self.no_record.set(code == AGAIN);
        match code {
            NOENT if !self.has_slot() => Err(self.end()),
            NOENT => Err(Error::DescriptorsLost),
            code => {
                check(code)?;
                let own = |number: &MaybeUninit<RawFd>| {
                    // SAFETY: so many were written: open, and ours alone.
                    unsafe { OwnedFd::from_raw_fd(number.assume_init()) }
                };
                Ok(numbers[..usize::from(count)].iter().map(own).collect())
            }
        }
    }

    // ---- looking ----

    #[inline]
    pub(crate) fn raw(&self) -> *mut zbq_consumer {
        self.handle.as_ptr()
    }

    // Whether there is a message to take, as far as that shows without taking it.
    pub(crate) fn look(&self) -> Result<()> {
        if self.observes() {
            return self.look_by_call(); // what it knows of may be gone
        }
        if !self.knows_more() {
            self.discard_what_was_put_off();
            // SAFETY: a live handle, and its window.
            let code = unsafe {
                if zbq_sys::zbq_window_look(self.window.as_ptr()) {
                    0
                } else {
                    zbq_sys::zbq_consumer_look(self.raw())
                }
            };
            self.result_of(code)?;
        }
        if self.has_slot() {
            Ok(())
        } else {
            Err(self.end())
        }
    }

    // By which an observer that was lapped goes on elsewhere.
    fn look_by_call(&self) -> Result<()> {
        if !self.knows_more() {
            self.discard_what_was_put_off();
        }
        // SAFETY: a live handle.
        self.result_of(unsafe { zbq_sys::zbq_consumer_look(self.raw()) })?;
        if self.observes() {
            self.tail.go_on_at(self.cursor());
        }
        Ok(())
    }

    /// To the newest message, where that is all that is wanted. What it says, the look that follows
    /// says too.
    #[inline]
    pub(crate) fn skip(&self) {
        if self.flow == Flow::Newest {
            self.skip_to_newest();
        }
    }

    #[cold]
    fn skip_to_newest(&self) {
        // SAFETY: a live handle.
        unsafe { zbq_sys::zbq_consumer_seek(self.raw(), zbq_seek_to::ZBQ_SEEK_NEWEST) };
        self.tail.go_on_at(self.cursor());
    }

    /// All below it was taken.
    #[inline]
    pub(crate) fn cursor(&self) -> u64 {
        // SAFETY: a live handle's window.
        unsafe { (*self.window.as_ptr()).cursor }
    }

    /// All below it was found by a look.
    #[inline]
    pub(crate) fn known_head(&self) -> u64 {
        // SAFETY: a live handle's window.
        unsafe { (*self.window.as_ptr()).head }
    }

    /// Whether there are messages that a look has found, and that were not taken yet.
    #[inline]
    fn knows_more(&self) -> bool {
        let window = self.window.as_ptr();
        // SAFETY: a live handle's window.
        unsafe { (*window).cursor != (*window).head && (*window).unusual == 0 }
    }

    // Of what was just taken.
    #[inline]
    pub(crate) fn message(&self, taken: &Found) -> Message<'_> {
        self.hold();
        // SAFETY: it was just taken, and holds its room.
        unsafe { Message::new(self, taken) }
    }

    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn take(&self) -> Result<Found> {
        self.skip();
        match self.try_take() {
            Some(taken) => Ok(taken),
            None => self.take_by_call(),
        }
    }

    /// The next message, which the caller [holds](Self::hold) at once; `None`: what
    /// [`take_by_call`](Self::take_by_call) says.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<Found> {
        if !self.knows_more() {
            self.discard_what_was_put_off();
        }
        let found = self.peek_at_known()?;
        self.step_over(&found.view);
        Some(found)
    }

    #[inline]
    fn peek_at_known(&self) -> Option<Found> {
        // SAFETY: a live handle's window.
        let (view, words) = unsafe { zbq_sys::zbq_window_peek(self.window.as_ptr()) }?;
        let header = Header::of(words);
        Some(Found { view, header })
    }

    /// The next message, or why there is none. The caller holds it, too.
    #[cold]
    pub(crate) fn take_by_call(&self) -> Result<Found> {
        if self.observes() {
            let found = self.find()?;
            self.step_over(&found.view);
            return Ok(found);
        }
        let mut view = zbq_msg_view {
            header: ptr::null(),
            payload: ptr::null(),
            payload_len: 0,
            logical_offset: 0,
            total_len: 0,
        };
        // SAFETY: a live handle, and a place for the view.
        let code = unsafe { zbq_sys::zbq_consumer_next(self.raw(), &mut view) };
        self.result_of(code)?;
        // SAFETY: a message's header.
        let header = unsafe { Header::load(view.header) };
        Ok(Found { view, header })
    }

    // By looks, as often as an observer is lapped in between. It is not taken.
    fn find(&self) -> Result<Found> {
        for _ in 0..MOST_LAPS {
            self.look_by_call()?;
            if let Some(found) = self.peek_at_known() {
                return Ok(found);
            }
        }
        Err(Error::Lapped)
    }

    fn peek(&self) -> Result<Found> {
        if self.knows_more() {
            if let Some(found) = self.peek_at_known() {
                return Ok(found);
            }
        }
        self.find()
    }

    /// The next message, which is not taken: by [`take_peeked`](Self::take_peeked).
    pub(crate) fn peek_at_next(&self) -> Result<Found> {
        self.skip();
        self.peek()
    }

    pub(crate) fn take_peeked(&self, found: &Found) -> Message<'_> {
        self.step_over(&found.view);
        self.message(found)
    }

    // The message that was peeked at.
    #[inline]
    fn step_over(&self, view: &zbq_msg_view) {
        // SAFETY: a live handle's window, and nothing was taken since.
        unsafe { zbq_sys::zbq_window_pass(self.window.as_ptr(), view) };
    }

    // Takes the message that was peeked at, and lets go of it.
    fn pass(&self, found: &Found) {
        let begin = found.view.logical_offset;
        self.step_over(&found.view);
        self.hold();
        let record = found.header.record();
        if record != 0 {
            self.let_go_of_fds(record, begin);
        }
        self.let_go(begin, self.cursor());
    }

    fn result_of(&self, code: libc::c_int) -> Result<()> {
        match code {
            0 => Ok(()),
            NOENT => Err(self.end()),
            code => Err(from_code(code)),
        }
    }

    /// What it means that something is nonsense that was read at this offset, or past it: it may not
    /// have been whole.
    pub(crate) fn malformed(&self, offset: u64) -> Error {
        if self.is_valid_from(offset) {
            Error::Protocol
        } else {
            self.torn()
        }
    }

    // ---- sleeping ----

    fn token(&self) -> u32 {
        // SAFETY: a live handle.
        unsafe { zbq_sys::zbq_consumer_get_futex_token(self.raw()) }
    }

    pub(crate) fn wait_until(&self, end: Deadline) -> Result<()> {
        loop {
            let token = self.token();
            let found = self.look();
            let left = match (&found, end.left(SLICE)) {
                (Err(Error::Again), Some(left)) => left,
                _ => return found,
            };
            self.sleep(token, left)?;
        }
    }

    // Until something happens, or for nothing. What it is the next look tells.
    fn sleep(&self, token: u32, most: Duration) -> Result<()> {
        if !self.push {
            thread::sleep(most.min(PULL_SLEEP));
            self.producer_is_alive();
            return Ok(());
        }
        // A slice at most.
        let nanoseconds = most.as_nanos() as u64;
        // SAFETY: a live handle.
        match unsafe { zbq_sys::zbq_consumer_wait(self.raw(), token, nanoseconds) } {
            code if code == zbq_error::ZBQ_ERROR_IO as libc::c_int => Err(from_code(code)),
            _ => Ok(()),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: the last use: nothing that refers to it outlives it.
        unsafe { zbq_sys::zbq_consumer_destroy(self.raw()) };
    }
}

impl<'c> IntoIterator for &'c Consumer {
    type Item = Result<Message<'c>>;
    type IntoIter = Iter<'c>;
    fn into_iter(self) -> Iter<'c> {
        self.iter()
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("next", &self.cursor())
            .field("push", &self.push)
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}

/// What an observer has missed: see [`Consumer::lost`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// Bytes of the ring, headers included, that were overwritten before it read them, and what it
    /// skipped then ([`Flow::Newest`]).
    pub bytes: u64,
    /// How often it was lapped.
    pub times: u64,
}

/// A message that is there, and what its header says. Of an observer's both were whole.
pub(crate) struct Found {
    pub(crate) view: zbq_msg_view,
    pub(crate) header: Header,
}
