// SPDX-License-Identifier: MIT
//! One who reads.

use crate::error::{check, from_code, Error, Eviction, Result};
use crate::iter::{Iter, TryIter};
use crate::message::Message;
use crate::options::{PayloadType, Wakeup};
use crate::process::Birthmark;
use crate::tail::Tail;
use crate::time::{Deadline, SLICE};
use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::thread;
use std::time::Duration;
use zbq_sys::{
    zbq_consumer, zbq_ending, zbq_error, zbq_msg_view, zbq_read_window, zbq_type,
    ZBQ_MAX_FD_PER_MSG,
};

/// One who reads. It starts with the next message that is committed after it was admitted.
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
    window: NonNull<zbq_read_window>, // the handle's
    tail: Tail,
    no_record: Cell<bool>, // there was none to collect, and no look for messages since
    discard_later: Cell<u64>, // up to this record, 0: none
}

// SAFETY: the handle may be used by any thread, one at a time; nothing in it is a thread's own.
unsafe impl Send for Consumer {}

const AGAIN: libc::c_int = zbq_error::ZBQ_ERROR_AGAIN as libc::c_int;
const NOENT: libc::c_int = zbq_error::ZBQ_ERROR_NOENT as libc::c_int;

/// How long one sleeps at most whom nobody wakes.
const PULL_SLEEP: Duration = Duration::from_millis(1);

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
        let birth = Birthmark::new()?;
        let mut handle = ptr::null_mut();
        // SAFETY: an open descriptor, and a place for the handle.
        check(unsafe {
            let fd = socket.as_fd().as_raw_fd();
            zbq_sys::zbq_consumer_join(fd, wakeup.to_raw(), &mut handle)
        })?;
        let handle = NonNull::new(handle).ok_or(Error::Invalid)?;
        // SAFETY: a live handle, and its window.
        let (window, tail) = unsafe {
            let window = zbq_sys::zbq_consumer_window(handle.as_ptr());
            (NonNull::new(window).ok_or(Error::Invalid)?, (*window).tail)
        };
        Ok(Self {
            handle,
            birth,
            push: wakeup == Wakeup::Push,
            window,
            tail: Tail::new(tail),
            no_record: Cell::new(false),
            discard_later: Cell::new(0),
        })
    }

    // ---- messages ----

    /// The next message. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: none now. For good: [`Error::Closed`], [`Error::ProducerDied`] (both only
    /// when all was read), [`Error::Evicted`], [`Error::Protocol`] (the stream is malformed).
    #[inline]
    pub fn try_next(&self) -> Result<Message<'_>> {
        match self.try_take() {
            Some(view) => Ok(self.message(&view)),
            None => self.take_by_call().map(|view| self.message(&view)),
        }
    }

    /// The next message, waiting for it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next), and [`Error::Io`]: it cannot sleep.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Message<'_>> {
        self.wait(timeout)?;
        self.try_next()
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
        unsafe {
            let head = zbq_sys::zbq_consumer_acquire_head(self.raw());
            head - zbq_sys::zbq_consumer_tail(self.raw())
        }
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

    #[inline]
    pub(crate) fn is_valid(&self) -> bool {
        // SAFETY: a live handle's window.
        unsafe { zbq_sys::zbq_window_valid(self.window.as_ptr()) }
    }

    /// Why there is nothing more.
    pub(crate) fn end(&self) -> Error {
        self.ending().unwrap_or(Error::Closed)
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
        if let Some(tail) = self.tail.let_go(begin, end) {
            // SAFETY: a live handle's window.
            unsafe { zbq_sys::zbq_window_release(self.window.as_ptr(), tail) };
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
            NOENT if !self.is_valid() => Err(self.end()),
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
    fn raw(&self) -> *mut zbq_consumer {
        self.handle.as_ptr()
    }

    // Whether there is a message to take, as far as that shows without taking it.
    pub(crate) fn look(&self) -> Result<()> {
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
        if self.is_valid() {
            Ok(())
        } else {
            Err(self.end())
        }
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
    fn message(&self, view: &zbq_msg_view) -> Message<'_> {
        self.hold();
        // SAFETY: it was just taken, and holds its room.
        unsafe { Message::new(self, view) }
    }

    /// The next message, which the caller [holds](Self::hold) at once; `None`: what
    /// [`take_by_call`](Self::take_by_call) says.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<zbq_msg_view> {
        if !self.knows_more() {
            self.discard_what_was_put_off();
        }
        // SAFETY: a live handle's window.
        unsafe { zbq_sys::zbq_window_take(self.window.as_ptr()) }
    }

    /// The next message, or why there is none. The caller holds it, too.
    #[cold]
    pub(crate) fn take_by_call(&self) -> Result<zbq_msg_view> {
        let mut view = zbq_msg_view {
            header: ptr::null(),
            payload: ptr::null(),
            payload_len: 0,
            logical_offset: 0,
            total_len: 0,
        };
        // SAFETY: a live handle, and a place for the view.
        let code = unsafe { zbq_sys::zbq_consumer_next(self.raw(), &mut view) };
        self.result_of(code).map(|()| view)
    }

    fn result_of(&self, code: libc::c_int) -> Result<()> {
        match code {
            0 => Ok(()),
            NOENT => Err(self.end()),
            code => Err(from_code(code)),
        }
    }

    /// What it means that something read is nonsense: of an evicted consumer's it may have been
    /// whole.
    pub(crate) fn malformed(&self) -> Error {
        if self.is_valid() {
            Error::Protocol
        } else {
            self.end()
        }
    }

    // ---- sleeping ----

    fn token(&self) -> u32 {
        // SAFETY: a live handle.
        unsafe { zbq_sys::zbq_consumer_get_futex_token(self.raw()) }
    }

    fn wait_until(&self, end: Deadline) -> Result<()> {
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
            .finish_non_exhaustive()
    }
}
