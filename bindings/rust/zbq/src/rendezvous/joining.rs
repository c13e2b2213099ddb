// SPDX-License-Identifier: MIT
//! Joining a producer by its name, one step after the other.

use super::connect::ConnectOptions;
use super::greeting::{self, Received, Wish};
use super::identity::Nobody;
use super::place::{Directory, Place};
use super::socket;
use super::watch::{Epoll, Timer};
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::{Start, WHICHEVER_RING};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// From one look for the name to the next.
const RETRY: Duration = Duration::from_millis(20);
/// The listener's queue is full.
const RETRY_QUEUE: Duration = Duration::from_millis(1);

/// A join under way: looks for the producer at a name (see [`Listener`](crate::Listener)), says hello,
/// and takes a slot, one step after the other. No step blocks.
///
/// Its descriptor ([`AsFd`]) becomes readable when a [`step`](Self::step) may lead further: for `poll`
/// and the like; never read from it.
///
/// ```
/// use zbq::{ConnectOptions, Joining, Listener, ListenerOptions, Options, Producer};
/// let name = format!("@zbq-doc-joining-{}", std::process::id());
/// let mut joining = Joining::new(&name, &ConnectOptions::new())?;
/// assert!(joining.step()?.is_none()); // nobody is there
/// let mut listener = Listener::new(&name, ListenerOptions::new())?;
/// let mut producer = Producer::new(&Options::new())?;
/// let consumer = loop {
///     // As an event loop would: when one of the two descriptors is readable.
///     listener.serve(&mut producer);
///     if let Some(consumer) = joining.step()? {
///         break consumer;
///     }
/// };
/// producer.try_publish(b"hello")?;
/// assert_eq!(consumer.try_next()?.to_vec()?, b"hello");
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct Joining {
    name: OsString,
    options: ConnectOptions,
    place: Place,
    epoll: Epoll,
    timer: Timer,
    socket: Option<OwnedFd>, // that said hello
    welcomed: bool,
    is_full: bool, // the listener's queue is
}

impl Joining {
    /// Begins.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private), [`Error::Io`].
    pub fn new(name: impl AsRef<OsStr>, options: &ConnectOptions) -> Result<Self> {
        let name = name.as_ref();
        let joining = Self {
            name: name.to_owned(),
            options: options.clone(),
            place: Place::of(name, Directory::Look)?,
            epoll: Epoll::new()?,
            timer: Timer::new()?,
            socket: None,
            welcomed: false,
            is_full: false,
        };
        joining.epoll.add(&joining.timer)?;
        joining.timer.ring_at(Some(Instant::now())); // there is something to do from the start
        Ok(joining)
    }

    /// Goes on as far as it can: gives the consumer, after which this starts again; or nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::Refused`] (by the producer; or the name is somebody else's),
    /// [`Error::Protocol`], [`Error::Invalid`] (no message starts where to start),
    /// [`Error::NoMemory`], [`Error::Io`]. It can be tried again after each.
    pub fn step(&mut self) -> Result<Option<Consumer>> {
        self.timer.ring_at(None);
        let step = self.advance();
        if step.is_err() {
            self.start_over(Some(RETRY));
        }
        step
    }

    /// Whether a producer is there, who has not answered yet.
    pub fn has_met_producer(&self) -> bool {
        self.socket.is_some() || self.is_full
    }

    fn advance(&mut self) -> Result<Option<Consumer>> {
        if self.socket.is_none() && !self.open()? {
            return Ok(None);
        }
        if !self.welcomed && !self.hear_answer()? {
            return Ok(None);
        }
        self.take_slot()
    }

    fn start_over(&mut self, later: Option<Duration>) {
        if let Some(socket) = self.socket.take() {
            self.epoll.remove(&socket);
        }
        self.welcomed = false;
        self.is_full = false;
        self.timer
            .ring_at(later.map(|later| Instant::now() + later));
    }

    // Whether the producer is there, and hello was said.
    fn open(&mut self) -> Result<bool> {
        // Each time anew: its directory may be there now.
        self.place = Place::of(&self.name, Directory::Look)?;
        let socket = socket::new()?;
        if let Err(error) = socket::connect(&socket, &self.place) {
            if error.kind() == ErrorKind::WouldBlock {
                self.start_over(Some(RETRY_QUEUE));
                self.is_full = true;
                return Ok(false);
            }
            return self.try_later(error);
        }
        self.check_producer(&socket)?;
        let wish = Wish {
            wakeup: self.options.wakeup,
            observes: self.options.flow.observes(),
            from: self.options.from,
        };
        if let Err(error) = greeting::send_hello(&socket, wish) {
            return self.try_later(error);
        }
        self.epoll.add(&socket)?;
        self.socket = Some(socket);
        Ok(true)
    }

    // After a failed call: an error when there cannot be a producer.
    fn try_later(&mut self, error: io::Error) -> Result<bool> {
        match error.raw_os_error() {
            Some(
                libc::ENOENT | libc::ENOTDIR | libc::ECONNREFUSED | libc::ECONNRESET | libc::EPIPE,
            ) => {
                self.start_over(Some(RETRY));
                Ok(false)
            }
            Some(libc::EPROTOTYPE) => {
                let why = format!("{} is a socket of another kind", self.place.name());
                Err(Error::Refused(why))
            }
            _ => Err(error.into()),
        }
    }

    fn check_producer(&self, socket: &OwnedFd) -> Result<()> {
        let listed = &self.options.producers;
        if listed.is_empty() && !self.place.is_abstract() {
            return Ok(());
        }
        let uid = socket::peer_of(socket).uid;
        let nobody = Nobody::ask();
        let own = listed.is_empty() && (nobody.is_own_user(uid) || uid == 0);
        if own || nobody.lists_user(listed, uid) {
            Ok(())
        } else {
            let place = self.place.name();
            Err(Error::Refused(format!("{place} belongs to user {uid}")))
        }
    }

    // Whether it was welcomed.
    fn hear_answer(&mut self) -> Result<bool> {
        let heard = match &self.socket {
            Some(socket) => greeting::receive_answer(socket),
            None => return Ok(false),
        };
        match heard {
            Ok(Received::Said(greeting::WELCOME)) => {
                self.welcomed = true;
                Ok(true)
            }
            Ok(Received::Said(greeting::FULL)) => Err(Error::Full),
            Ok(Received::Said(greeting::NO_SUCH_START)) => Err(Error::Invalid),
            Ok(Received::Said(_)) => Err(Error::Refused(self.place.name())),
            Ok(Received::Nonsense) => Err(Error::Protocol),
            Ok(Received::End) => {
                self.start_over(Some(RETRY)); // it went away meanwhile
                Ok(false)
            }
            Err(error) if is_not_yet(&error) => Ok(false),
            Err(error) => self.try_later(error),
        }
    }

    fn take_slot(&mut self) -> Result<Option<Consumer>> {
        let joined = match &self.socket {
            Some(socket) => Consumer::join_with(socket, self.options.wakeup, self.options.flow),
            None => return Ok(None),
        };
        match joined {
            Err(Error::Again) => Ok(None),
            Err(error) => Err(error),
            Ok(consumer) => {
                self.start_over(None);
                self.go_to_start(&consumer)?;
                Ok(Some(consumer))
            }
        }
    }

    // From the last start before it that the producer knows, which is no further away than its ring
    // is long: none keeps it here. What else ends the stream meanwhile, reading tells.
    fn go_to_start(&self, consumer: &Consumer) -> Result<()> {
        let (start, is_exact) = match self.options.from {
            Start::At(ring, offset) if ring == consumer.id() || ring == WHICHEVER_RING => {
                (offset, true)
            }
            Start::Last(bytes) => (consumer.head().saturating_sub(bytes), false),
            _ => return Ok(()),
        };
        match consumer.skip_at_most(start, consumer.capacity()) {
            Err(Error::Invalid) if is_exact => Err(Error::Invalid),
            Err(Error::Protocol) => Err(Error::Protocol),
            // It has welcomed a start that is past its head.
            Err(Error::Again) if is_exact && !consumer.observes() => Err(Error::Protocol),
            _ => Ok(()),
        }
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl AsFd for Joining {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Joining {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joining")
            .field("place", &self.place.name())
            .field("has_met_producer", &self.has_met_producer())
            .field("welcomed", &self.welcomed)
            .finish_non_exhaustive()
    }
}
