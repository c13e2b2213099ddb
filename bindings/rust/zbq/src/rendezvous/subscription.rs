// SPDX-License-Identifier: MIT
//! Reading a stream through all that happens to it.

use super::connect::ConnectOptions;
use super::joining::Joining;
use super::watch::Epoll;
use crate::consumer::{self, Consumer, Loss, PULL_SLEEP};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::options::{Flow, RingId, Start, Wakeup, WHICHEVER_RING};
use crate::poll;
use crate::time::{Deadline, SLICE};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// Why a [`Subscription`] has missed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapCause {
    /// It observes, and was slower than the producer.
    Lapped,
    /// It was not fast enough for a producer that waits.
    Evicted,
    /// Another producer has the name now, whose ring starts at its own beginning.
    Restarted,
    /// Where it was to start was gone already.
    History,
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lapped => "lapped",
            Self::Evicted => "evicted",
            Self::Restarted => "producer restarted",
            Self::History => "history gone",
        })
    }
}

/// What a [`Subscription`] has missed, between the message before and the one after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Why.
    pub cause: GapCause,
    /// Of the ring, headers included.
    pub bytes: u64,
    /// Whether there can be more: what a producer has published that was gone before it could be
    /// read, nobody knows.
    pub at_least: bool,
}

/// What comes next in a [`Subscription`].
#[derive(Debug)]
pub enum Next<'s> {
    /// A message.
    Message(Message<'s>),
    /// What was missed before the next message.
    Gap(Gap),
}

impl<'s> Next<'s> {
    /// The message, if it is one.
    pub fn message(self) -> Option<Message<'s>> {
        match self {
            Self::Message(message) => Some(message),
            Self::Gap(_) => None,
        }
    }

    /// The gap, if it is one.
    pub fn gap(&self) -> Option<Gap> {
        match self {
            Self::Message(_) => None,
            Self::Gap(gap) => Some(*gap),
        }
    }
}

/// A stream by its name, whoever publishes it: joins, reads, and joins again when it was evicted or
/// the producer was replaced, where it left off. What it has missed is told as a [`Gap`], before the
/// message after it: it is either given a message, or told of its bytes.
///
/// ```
/// # use zbq::{Listener, ListenerOptions, Options, Producer};
/// # use std::time::Duration;
/// use zbq::{ConnectOptions, Next, Subscription};
/// # let name = format!("@zbq-doc-subscription-{}", std::process::id());
/// # let mut listener = Listener::new(&name, ListenerOptions::new())?;
/// # let mut producer = Producer::new(&Options::new())?;
/// # let mut texts = Vec::new();
/// let mut stream = Subscription::new(&name, &ConnectOptions::new())?;
/// # while stream.reader().is_none() {
/// #     listener.serve(&mut producer);
/// #     let _ = stream.wait(Some(Duration::from_millis(1)));
/// # }
/// # producer.try_publish(b"hello")?;
/// loop {
///     match stream.next(None)? {
///         Next::Gap(gap) => println!("{} bytes are missing: {}", gap.bytes, gap.cause),
///         Next::Message(message) => println!("{} bytes", message.to_vec()?.len()),
///     }
/// #   texts.push(());
/// #   break;
/// }
/// # assert_eq!(texts.len(), 1);
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// Its descriptor ([`AsFd`]) becomes readable when there is something to take, or to be done by trying:
/// for `poll` and the like; never read from it. With [`Wakeup::Pull`] nothing rings: look by a timer as
/// well.
///
/// One message at a time: it borrows the subscription.
///
/// ```compile_fail,E0499
/// # let mut stream = zbq::Subscription::new("@nobody", &zbq::ConnectOptions::new())?;
/// let first = stream.try_next()?;
/// let second = stream.try_next()?;
/// drop(first);
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct Subscription {
    name: OsString,
    options: ConnectOptions,
    epoll: Epoll,
    joining: Option<Joining>,
    reader: Option<Consumer>,
    gap: Option<Gap>,
    ring: RingId,
    next: u64, // where it goes on
    lost: Loss,
    was_evicted: bool,
    next_check: Instant,
    joins: u64,
}

// What lies there is the reader's, and not taken yet.
enum Found {
    Message(consumer::Found),
    Gap(Gap),
}

impl Subscription {
    /// Joins when it is first waited for or read.
    ///
    /// # Errors
    ///
    /// As [`Joining::new`].
    pub fn new(name: impl AsRef<OsStr>, options: &ConnectOptions) -> Result<Self> {
        let mut subscription = Self {
            name: name.as_ref().to_owned(),
            options: options.clone(),
            epoll: Epoll::new()?,
            joining: None,
            reader: None,
            gap: None,
            ring: WHICHEVER_RING,
            next: 0,
            lost: Loss::default(),
            was_evicted: false,
            next_check: Instant::now(),
            joins: 0,
        };
        subscription.begin_to_join()?;
        Ok(subscription)
    }

    /// The next message, or what was missed before it. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: neither now. [`Error::Lapped`]: as [`Consumer::try_next`]. Else as
    /// [`Joining::step`]. It can be tried again after each.
    pub fn try_next(&mut self) -> Result<Next<'_>> {
        let found = self.find()?;
        self.take(found)
    }

    /// The same, waiting for it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next); [`Error::Again`]: not within the time.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Next<'_>> {
        let end = Deadline::after(timeout);
        let found = loop {
            match self.find() {
                Err(Error::Again | Error::Lapped) => self.sleep(end)?,
                found => break found?,
            }
        };
        self.take(found)
    }

    /// Waits until there is a message or a gap to take; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        let end = Deadline::after(timeout);
        loop {
            match self.find() {
                Err(Error::Again | Error::Lapped) => self.sleep(end)?,
                Ok(Found::Gap(gap)) => {
                    self.gap = Some(gap); // it is still to be taken
                    return Ok(());
                }
                found => return found.map(drop),
            }
        }
    }

    /// The consumer that reads now: for its capacity, its type, retained messages. `None` while there
    /// is none. Take no messages from it.
    pub fn reader(&self) -> Option<&Consumer> {
        self.reader.as_ref()
    }

    /// How often it has joined.
    pub fn joins(&self) -> u64 {
        self.joins
    }

    // ---- joining ----

    fn begin_to_join(&mut self) -> Result<()> {
        let mut options = self.options.clone();
        if self.joins != 0 {
            options = options.from(Start::At(self.ring, self.next));
        }
        let joining = Joining::new(&self.name, &options)?;
        self.epoll.add(&joining)?;
        self.joining = Some(joining);
        Ok(())
    }

    // The reader, if there is one by now.
    fn join(&mut self) -> Result<()> {
        if self.reader.is_some() {
            return Ok(());
        }
        if self.joining.is_none() {
            self.begin_to_join()?;
        }
        let joined = match &mut self.joining {
            Some(joining) => joining.step()?,
            None => None,
        };
        match joined {
            Some(reader) => self.begin_to_read(reader),
            None => Ok(()),
        }
    }

    fn begin_to_read(&mut self, reader: Consumer) -> Result<()> {
        if self.options.wakeup == Wakeup::Push {
            self.epoll.add(reader.event_fd()?)?;
        }
        if let Some(joining) = self.joining.take() {
            self.epoll.remove(&joining);
        }
        self.note_join(&reader);
        self.joins += 1;
        self.ring = reader.id();
        self.next = reader.offset();
        self.lost = reader.lost();
        self.reader = Some(reader);
        Ok(())
    }

    // What lies between where it left off and where it goes on.
    fn note_join(&mut self, reader: &Consumer) {
        let (id, offset) = (reader.id(), reader.offset());
        if self.joins == 0 {
            if let Start::At(ring, wanted) = self.options.from {
                let is_same = ring == id || ring == WHICHEVER_RING;
                let missed = offset.saturating_sub(if is_same { wanted } else { 0 });
                self.note(GapCause::History, missed, !is_same);
            }
        } else if id == self.ring {
            self.note(GapCause::Evicted, offset.saturating_sub(self.next), false);
        } else {
            // The old ring was read to its end, unless it was lost before.
            self.gap = Some(Gap {
                cause: GapCause::Restarted,
                bytes: offset,
                at_least: self.was_evicted,
            });
        }
    }

    fn note(&mut self, cause: GapCause, bytes: u64, at_least: bool) {
        if bytes != 0 || at_least {
            self.gap = Some(Gap {
                cause,
                bytes,
                at_least,
            });
        }
    }

    // This reader gives no more: another one is to.
    fn join_again(&mut self) {
        if let Some(reader) = self.reader.take() {
            let ending = reader.ending();
            self.was_evicted = !matches!(ending, Some(Error::Closed | Error::ProducerDied));
            if let (Wakeup::Push, Ok(event_fd)) = (self.options.wakeup, reader.event_fd()) {
                self.epoll.remove(event_fd);
            }
        }
    }

    // ---- reading ----

    // The first thing that is there. A message stays where it is.
    fn find(&mut self) -> Result<Found> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Ok(Found::Gap(gap));
            }
            self.join()?;
            let found = match &self.reader {
                Some(reader) if self.gap.is_none() => reader.peek_at_next(),
                Some(_) => continue,
                None => return Err(Error::Again),
            };
            self.note_lap();
            match found {
                Ok(_) | Err(Error::Again | Error::Lapped) if self.gap.is_some() => (), // after it
                Ok(found) => return Ok(Found::Message(found)),
                Err(Error::Closed | Error::ProducerDied | Error::Evicted(_) | Error::Protocol) => {
                    self.join_again()
                }
                Err(error) => {
                    self.look_for_producer();
                    return Err(error);
                }
            }
        }
    }

    // With `Wakeup::Pull` nothing tells of a producer that was killed, but a system call now and then.
    fn look_for_producer(&mut self) {
        if self.options.wakeup == Wakeup::Pull && Instant::now() >= self.next_check {
            if let Some(reader) = &self.reader {
                reader.producer_is_alive(); // what it finds, the next look tells
            }
            self.next_check = Instant::now() + PULL_SLEEP;
        }
    }

    // Where messages are skipped on purpose there is none.
    fn note_lap(&mut self) {
        let lost = match &self.reader {
            Some(reader) if self.options.flow != Flow::Newest => reader.lost(),
            _ => return,
        };
        if lost.times != self.lost.times {
            self.note(GapCause::Lapped, lost.bytes - self.lost.bytes, false);
            self.lost = lost;
        }
    }

    fn take(&mut self, found: Found) -> Result<Next<'_>> {
        match (found, &self.reader) {
            (Found::Gap(gap), _) => Ok(Next::Gap(gap)),
            (Found::Message(found), Some(reader)) => {
                let message = reader.take_peeked(&found);
                self.next = reader.offset();
                Ok(Next::Message(message))
            }
            (Found::Message(_), None) => Err(Error::Again),
        }
    }

    // With `Wakeup::Pull` nothing rings.
    fn sleep(&self, end: Deadline) -> Result<()> {
        let polls = self.options.wakeup == Wakeup::Pull;
        let left = end.left(if polls { PULL_SLEEP } else { SLICE });
        poll::readable(self.as_fd(), left.ok_or(Error::Again)?).map(drop)
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Subscription {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .field("reader", &self.reader)
            .field("next", &self.next)
            .field("gap", &self.gap)
            .field("joins", &self.joins)
            .finish_non_exhaustive()
    }
}
