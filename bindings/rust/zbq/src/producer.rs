// SPDX-License-Identifier: MIT
//! The one who publishes.

use crate::attached::Attachments;
use crate::batch::Batch;
use crate::error::{check, Error, Result};
use crate::message_size;
use crate::options::{mode_of, Flow, Options, Patience, PayloadType, RingId, Start, Wakeup};
use crate::reservation::Reservation;
use crate::statistics::{ConsumerInfo, Statistics};
use crate::time::{Deadline, SLICE};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::{self, addr_of, NonNull};
use std::time::Duration;
use zbq_sys::{
    zbq_commit_flags, zbq_contiguous_run, zbq_error, zbq_msg_header, zbq_producer,
    zbq_producer_statistics, ZBQ_MAX_FD_PER_MSG,
};

/// The one who publishes. Dropping it ends the stream; consumers read on to its end.
///
/// It can move to another thread, but is used by one at a time: what publishes takes `&mut self`.
pub struct Producer {
    handle: NonNull<zbq_producer>,
    // What is left of the run that the library gave. It stays the library's run: nothing else asks
    // for one, and every commit keeps the rest open.
    next: *mut u8,
    left: u64,
    pub(crate) attachments: Attachments,
    is_named: bool,
}

// SAFETY: the handle may be used by any thread, one at a time; nothing in it is a thread's own. What
// is attached is `Send`.
unsafe impl Send for Producer {}

const NOENT: libc::c_int = zbq_error::ZBQ_ERROR_NOENT as libc::c_int;

impl Producer {
    /// Makes a ring.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (an option), [`Error::NoMemory`], [`Error::Io`].
    pub fn new(options: &Options) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: both outlive the call.
        check(unsafe { zbq_sys::zbq_producer_create(&mut handle, &options.to_raw()) })?;
        Ok(Self {
            handle: NonNull::new(handle).ok_or(Error::Invalid)?,
            next: ptr::null_mut(),
            left: 0,
            attachments: Attachments::default(),
            is_named: false,
        })
    }

    // ---- messages ----

    /// Room for a message with a payload of this size; 0 is fine. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: no room now. [`Error::TooLarge`]: never.
    #[inline]
    pub fn try_reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        self.find_room(message_size(len).ok_or(Error::TooLarge)?)?;
        Ok(Reservation::new(self, len))
    }

    /// The same, waiting for room; without a time-out for ever. Consumers that hold it back for
    /// the stall time-out are evicted meanwhile.
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve), and [`Error::Io`]: it cannot wait.
    pub fn reserve(&mut self, len: usize, timeout: Option<Duration>) -> Result<Reservation<'_>> {
        let bytes = message_size(len).ok_or(Error::TooLarge)?;
        let end = Deadline::after(timeout);
        self.until_done(end, |this| this.find_room(bytes))?;
        Ok(Reservation::new(self, len))
    }

    /// Room for several messages, that one commit publishes: so many bytes in all, each message
    /// counted by [`message_size`]. Never waits.
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve), and [`Error::Invalid`]: 0 bytes.
    #[inline]
    pub fn try_batch(&mut self, bytes: u64) -> Result<Batch<'_>> {
        self.find_room(bytes)?;
        Ok(Batch::new(self, bytes))
    }

    /// Publishes a copy of these bytes. Never waits.
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve).
    #[inline]
    pub fn try_publish(&mut self, payload: &[u8]) -> Result<()> {
        let mut room = self.try_reserve(payload.len())?;
        room.payload().copy_from_slice(payload);
        room.commit();
        Ok(())
    }

    /// Publishes a copy of these bytes, waiting for room; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn publish(&mut self, payload: &[u8], timeout: Option<Duration>) -> Result<()> {
        let mut room = self.reserve(payload.len(), timeout)?;
        room.payload().copy_from_slice(payload);
        room.commit();
        Ok(())
    }

    /// Publishes a copy of these bytes with descriptors. Waits for room in the ring and for
    /// consumers to collect earlier descriptors.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Invalid`]: more than 253 descriptors, or one of
    /// a kind that cannot be sent. After [`Error::Again`] some consumers may have been sent
    /// descriptors of a message that never comes; they drop them. To try again without waiting here
    /// use [`Reservation::attach`].
    pub fn publish_with(
        &mut self,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> Result<()> {
        let bytes = message_size(payload.len()).ok_or(Error::TooLarge)?;
        let mut seq_id = 0;
        // No room is held while it waits: what is attached may publish then.
        self.until_done(Deadline::after(timeout), |this| {
            this.find_room(bytes)?;
            let mut room = Reservation::resume(this, payload.len(), seq_id);
            let attached = room.attach(fds);
            seq_id = room.seq_id();
            attached?;
            room.payload().copy_from_slice(payload);
            room.commit();
            Ok(())
        })
    }

    // ---- retained messages ----

    /// Publishes a copy of these bytes that is kept under a key (1 to 32,767), in place of an earlier
    /// one of that key: each newcomer has it before its first message
    /// ([`Consumer::retained`](crate::Consumer::retained)), those who are there read it in the stream.
    /// For what changes seldom: formats, snapshots, pools of buffers. Waits for room; without a
    /// time-out for ever.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// producer.retain(1, b"640x480", None)?;
    /// producer.retain(1, b"1024x768", None)?; // instead
    /// producer.admit(&near, zbq::Wakeup::Push)?;
    /// let late = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// let format = late.retained().next().unwrap();
    /// assert_eq!(format.payload().to_vec(), b"1024x768");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Invalid`]: no such key. [`Error::TooLarge`] also:
    /// more than 64 keys, a megabyte or 253 descriptors would be retained in all.
    /// [`Error::NoMemory`], [`Error::Io`].
    pub fn retain(&mut self, key: u16, payload: &[u8], timeout: Option<Duration>) -> Result<()> {
        self.retain_with(key, payload, &[], timeout)
    }

    /// The same, with descriptors, of which copies are kept. Waits also for consumers to collect
    /// earlier descriptors.
    ///
    /// # Errors
    ///
    /// As [`retain`](Self::retain) and [`publish_with`](Self::publish_with).
    pub fn retain_with(
        &mut self,
        key: u16,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> Result<()> {
        const LAST_KEY: u16 = 0x7fff;
        if key == 0 || key > LAST_KEY || fds.len() > usize::from(ZBQ_MAX_FD_PER_MSG) {
            return Err(Error::Invalid);
        }
        message_size(payload.len()).ok_or(Error::TooLarge)?;
        let end = Deadline::after(timeout);
        let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let fd_count = numbers.len() as u8;
        let mut header = zbq_msg_header {
            payload_len: payload.len() as u32,
            fd_count,
            flags: 0,
            reserved: 0,
            seq_id: 0,
        };
        if fd_count != 0 {
            // SAFETY: a live handle.
            header.seq_id = unsafe { zbq_sys::zbq_producer_next_seq_id(self.raw()) };
            self.until_done(end, |this| {
                // SAFETY: a live handle; so many numbers, of descriptors that are open.
                check(unsafe {
                    let first = numbers.as_ptr();
                    zbq_sys::zbq_producer_broadcast_fds(this.raw(), header.seq_id, first, fd_count)
                })
                .map(drop)
            })?;
        }
        self.until_done(end, |this| {
            this.left = 0; // the library has another run then
                           // SAFETY: a live handle; header, bytes and numbers outlive the call.
            check(unsafe {
                let (bytes, first) = (payload.as_ptr().cast(), numbers.as_ptr());
                zbq_sys::zbq_producer_retain(this.raw(), key, &header, bytes, first)
            })
            .map(drop)
        })
    }

    /// Retains no more what is under a key, and says so in the stream
    /// ([`Message::is_forgotten`](crate::Message::is_forgotten)). Gives whether something was. Waits
    /// for room; without a time-out for ever.
    ///
    /// ```
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// producer.retain(1, b"640x480", None)?;
    /// assert!(producer.forget(1, None)?);
    /// assert!(!producer.forget(1, None)?);
    /// # Ok::<(), zbq::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`retain`](Self::retain).
    pub fn forget(&mut self, key: u16, timeout: Option<Duration>) -> Result<bool> {
        let mut found = true;
        self.until_done(Deadline::after(timeout), |this| {
            this.left = 0; // as above
                           // SAFETY: a live handle.
            match unsafe { zbq_sys::zbq_producer_forget(this.raw(), key) } {
                NOENT => {
                    found = false;
                    Ok(())
                }
                code => check(code).map(drop),
            }
        })?;
        Ok(found)
    }

    // ---- waiting ----

    /// A descriptor that becomes readable when it is worth while to try again what gave
    /// [`Error::Again`]. For `poll` and the like, level- or edge-triggered; never read from it.
    /// `zbq_producer_event_fd` of the C interface tells all about it.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], [`Error::Io`].
    pub fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: a live handle. The producer keeps the descriptor open for as long as that lives.
        unsafe {
            let fd = check(zbq_sys::zbq_producer_event_fd(self.raw()))?;
            Ok(BorrowedFd::borrow_raw(fd))
        }
    }

    /// Sleeps until it is worth while to try again what gave [`Error::Again`]. Serves what is
    /// [attached](Self::attach) meanwhile. It may also return for nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: not within the time. [`Error::NoMemory`], [`Error::Io`]: it cannot wait.
    pub fn wait_for_room(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.sleep(Deadline::after(timeout))
    }

    // ---- consumers ----

    /// Gives the process at the other end of a connected Unix socket a slot, and gives its number.
    /// The socket stays the caller's. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no Unix socket), [`Error::Full`], [`Error::NoMemory`], [`Error::Io`] (it
    /// is gone).
    pub fn admit(&mut self, socket: impl AsFd, wakeup: Wakeup) -> Result<u32> {
        self.admit_with(socket, wakeup, Flow::Lossless, Start::Head)
    }

    /// The same, for an observer, or one that starts in the past: with the last message at or before
    /// its start that the producer knows. [`Consumer::skip_to`](crate::Consumer::skip_to) goes on from
    /// there, as [`connect`](crate::connect()) does.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// use zbq::{Consumer, Flow, Start, Wakeup};
    /// producer.try_publish(b"before it came")?;
    /// producer.admit_with(&near, Wakeup::Push, Flow::Follow, Start::Oldest)?;
    /// let observer = Consumer::join_with(&far, Wakeup::Push, Flow::Follow)?;
    /// assert_eq!(observer.try_next()?.to_vec()?, b"before it came");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit), and [`Error::Invalid`]: an offset past the head.
    pub fn admit_with(
        &mut self,
        socket: impl AsFd,
        wakeup: Wakeup,
        flow: Flow,
        from: Start,
    ) -> Result<u32> {
        let mut slot = 0;
        let start = from.to_raw();
        // SAFETY: a live handle, an open descriptor, and places that outlive the call.
        let code = unsafe {
            let fd = socket.as_fd().as_raw_fd();
            let mode = mode_of(wakeup, flow.observes());
            zbq_sys::zbq_producer_admit(self.raw(), fd, mode, &start, &mut slot)
        };
        match code {
            NOENT => Err(Error::Full),
            code => check(code).map(|_| slot),
        }
    }

    /// Where one would start that asks for this.
    pub(crate) fn find_start(&self, from: Start) -> Result<u64> {
        let mut offset = 0;
        let start = from.to_raw();
        // SAFETY: a live handle, and places that outlive the call.
        check(unsafe { zbq_sys::zbq_producer_find_start(self.raw(), &start, &mut offset) })?;
        Ok(offset)
    }

    // ---- what was let go ----

    /// Whether every consumer but the observers has released all below an offset: what travelled with
    /// those messages, a buffer in other memory say, may be used again. One that was evicted may
    /// still look at it: [`ConsumerInfo::tail`]. Asked in vain this is a failed attempt, as one for
    /// room: who is in the way for too long is evicted, and [`event_fd`](Self::event_fd) tells when to
    /// ask again.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(b"look at buffer 3")?;
    /// let end = producer.head();
    /// assert!(matches!(producer.released(end), Err(zbq::Error::Again)));
    /// drop(consumer.try_next()?);
    /// producer.released(end)?; // buffer 3 is free
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: not yet. [`Error::Invalid`]: the offset is past the head.
    pub fn released(&mut self, offset: u64) -> Result<()> {
        // SAFETY: a live handle.
        check(unsafe { zbq_sys::zbq_producer_released(self.raw(), offset) }).map(drop)
    }

    /// The same, waiting for it; without a time-out for ever. Consumers that are in the way for the
    /// stall time-out are evicted meanwhile.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(b"look at buffer 3")?;
    /// let end = producer.head();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || consumer.next(None).map(drop));
    ///     producer.wait_released(end, None) // buffer 3 is free then
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`released`](Self::released), and [`Error::Io`]: it cannot wait.
    pub fn wait_released(&mut self, offset: u64, timeout: Option<Duration>) -> Result<()> {
        self.until_done(Deadline::after(timeout), |this| this.released(offset))
    }

    /// Where the next message starts, in bytes since the ring was made.
    #[inline]
    pub fn head(&self) -> u64 {
        // SAFETY: a live handle, and its window.
        unsafe { (*zbq_sys::zbq_producer_window(self.raw())).head }
    }

    /// Tells this ring from all others: see [`Start::At`].
    pub fn id(&self) -> RingId {
        // SAFETY: a live handle, whose control region is mapped; nobody writes there but its owner,
        // and the id never.
        unsafe { addr_of!((*zbq_sys::zbq_producer_ctrl(self.raw())).ring_id).read() }
    }

    // ---- more of consumers ----

    /// Says what the payloads are, to consumers that join from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: a consumer has joined already.
    pub fn set_type(&mut self, payload_type: PayloadType) -> Result<()> {
        // SAFETY: a live handle; the argument outlives the call.
        check(unsafe { zbq_sys::zbq_producer_set_type(self.raw(), &payload_type.to_raw()) })?;
        Ok(())
    }

    /// Limits how long this producer waits for a consumer, by its slot, or with `None` for each of
    /// them, those that join later included. No patience takes the limit away, as at the start.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: there is no such slot, or nobody in it.
    pub fn set_patience(&mut self, slot: Option<u32>, patience: Option<Patience>) -> Result<()> {
        let raw = patience.map(Patience::to_raw);
        let given = raw.as_ref().map_or(ptr::null(), |given| given as *const _);
        let whose = slot.unwrap_or(zbq_sys::ZBQ_ALL_CONSUMERS);
        // SAFETY: a live handle; the argument outlives the call.
        match unsafe { zbq_sys::zbq_producer_set_patience(self.raw(), whose, given) } {
            0 => Ok(()),
            _ => Err(Error::Invalid),
        }
    }

    /// Evicts consumers that are dead or hung. Never waits.
    pub fn scan(&mut self) {
        // SAFETY: a live handle. It fails for null alone.
        unsafe { zbq_sys::zbq_producer_scan(self.raw()) };
    }

    /// Counters. Reads every consumer's page.
    pub fn statistics(&self) -> Statistics {
        let mut counters = MaybeUninit::<zbq_producer_statistics>::zeroed();
        // SAFETY: a live handle. The call fails for null alone, and else fills all of it in.
        Statistics::from_raw(unsafe {
            zbq_sys::zbq_producer_stats(self.raw(), counters.as_mut_ptr());
            &counters.assume_init()
        })
    }

    /// What is known of the consumer in a slot.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: there is no such slot.
    pub fn consumer_info(&self, slot: u32) -> Result<ConsumerInfo> {
        let mut info = MaybeUninit::zeroed();
        let out = info.as_mut_ptr();
        // SAFETY: a live handle, and a place for the answer.
        let code = unsafe { zbq_sys::zbq_producer_consumer_info(self.raw(), slot, out) };
        if code != NOENT {
            check(code)?;
        }
        // SAFETY: numbers, which may all be zero.
        let info = unsafe { info.assume_init() };
        Ok(ConsumerInfo::from_raw(&info, code != NOENT))
    }

    // ---- statistics for others ----

    /// What people call this ring, in its statistics ([`StatisticsPage`](crate::StatisticsPage)); without
    /// it, the name of the listener that hands them out. It ends with its first zero; empty: none.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]: more than 111 bytes.
    pub fn set_name(&mut self, name: impl AsRef<[u8]>) -> Result<()> {
        let mut text: Vec<u8> = name.as_ref().to_vec();
        text.push(0);
        // SAFETY: a live handle, and a text with a zero.
        check(unsafe { zbq_sys::zbq_producer_set_name(self.raw(), text.as_ptr().cast()) })?;
        self.is_named = true;
        Ok(())
    }

    pub(crate) fn name_if_nameless(&mut self, name: &[u8]) {
        if !self.is_named && !name.is_empty() {
            let _ = self.set_name(name); // one that is too long is none
        }
    }

    /// The descriptor of the statistics page, which others can read
    /// ([`StatisticsPage::open`](crate::StatisticsPage::open)): made by the first call.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], [`Error::Io`].
    pub fn statistics_fd(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: a live handle, whose descriptor lives as long.
        unsafe {
            let fd = check(zbq_sys::zbq_producer_stats_fd(self.raw()))?;
            Ok(BorrowedFd::borrow_raw(fd))
        }
    }

    /// Writes an account there now. It is also written at joins, evictions, scans and failed attempts,
    /// and for each [`inspect`](crate::inspect). Nothing before somebody has asked for the page.
    pub fn refresh_statistics(&mut self) {
        // SAFETY: a live handle. It fails in a forked child alone, where there is nothing to write.
        unsafe { zbq_sys::zbq_producer_refresh_stats(self.raw()) };
    }

    /// Sends the page to the process at the other end of a connected Unix socket, which takes no
    /// slot. A [`Listener`](crate::Listener) does. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] (too many are on their way to that user), [`Error::Invalid`] (no Unix socket),
    /// [`Error::NoMemory`], [`Error::Io`].
    pub fn send_statistics(&mut self, socket: impl AsFd) -> Result<()> {
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: a live handle.
        match unsafe { zbq_sys::zbq_producer_send_stats(self.raw(), socket) } {
            NOENT => Err(Error::Full),
            code => check(code).map(drop),
        }
    }

    // ---- for reservations ----

    #[inline]
    pub(crate) fn raw(&self) -> *mut zbq_producer {
        self.handle.as_ptr()
    }

    /// Where the room begins that [`find_room`](Self::find_room) found.
    #[inline]
    pub(crate) fn room(&self) -> *mut u8 {
        self.next
    }

    // Room for so many bytes at `next`. The library is asked when its run is used up, not for each
    // message.
    #[inline]
    fn find_room(&mut self, bytes: u64) -> Result<()> {
        if bytes != 0 && bytes <= self.left {
            return Ok(());
        }
        let mut run = zbq_contiguous_run {
            base: ptr::null_mut(),
            max_bytes: 0,
            offset: 0,
        };
        // Asking makes an earlier run void.
        self.left = 0;
        // SAFETY: a live handle, and a place for the run.
        check(unsafe { zbq_sys::zbq_producer_reserve(self.raw(), bytes, &mut run) })?;
        self.next = run.base.cast();
        self.left = run.max_bytes;
        Ok(())
    }

    /// Publishes whole messages, that lie at `next`: not more than the room that was found.
    #[inline]
    pub(crate) fn commit(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.left && bytes % zbq_sys::ZBQ_MSG_ALIGN as u64 == 0);
        // SAFETY: a live handle.
        let done = unsafe {
            zbq_sys::zbq_producer_commit(self.raw(), bytes, zbq_commit_flags::ZBQ_COMMIT_KEEP)
        };
        debug_assert!(done);
        // SAFETY: within the run, or its end.
        self.next = unsafe { self.next.add(bytes as usize) };
        self.left -= bytes;
    }

    pub(crate) fn until_done(
        &mut self,
        end: Deadline,
        mut attempt: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.serve_now_and_then();
        loop {
            match attempt(self) {
                Err(Error::Again) => self.sleep(end)?,
                done => return done,
            }
        }
    }

    fn sleep(&mut self, end: Deadline) -> Result<()> {
        let fd = self.event_fd()?.as_raw_fd();
        let left = end.left(SLICE);
        let ready = self.wait_and_serve(Some(fd), left.unwrap_or_default())?;
        if ready || left.is_some() {
            Ok(())
        } else {
            Err(Error::Again)
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: the last use: nothing that refers to it outlives it.
        unsafe { zbq_sys::zbq_producer_destroy(self.raw()) };
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.statistics();
        f.debug_struct("Producer")
            .field("head", &counters.head)
            .field("consumers", &counters.consumers)
            .finish_non_exhaustive()
    }
}
