// SPDX-License-Identifier: MIT
//! Joining a producer by its name.

use super::greeting::{self, Received, Wish};
use super::identity::Nobody;
use super::place::{Directory, Place};
use super::socket;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::{Flow, Start, Wakeup};
use crate::poll;
use crate::time::Deadline;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::io::{AsFd, OwnedFd};
use std::time::Duration;

/// How to connect.
///
/// ```no_run
/// use zbq::{connect, ConnectOptions, Flow, Start};
/// let options = ConnectOptions::new().flow(Flow::Follow).from(Start::Oldest);
/// let monitor = connect("feed", None, &options)?;
/// let mut bytes = Vec::new();
/// while monitor.wait(None).is_ok() {
///     while monitor.try_copy_to(&mut bytes).is_ok() { // whole, whatever the producer does meanwhile
///         println!("{}", String::from_utf8_lossy(&bytes));
///     }
/// }
/// # Ok::<(), zbq::Error>(())
/// ```
#[must_use = "each of its methods gives a changed one"]
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    wakeup: Wakeup,
    flow: Flow,
    from: Start,
    wait_for_producer: bool,
    producers: Vec<u32>,
}

impl ConnectOptions {
    /// As [`Wakeup::Push`] and [`Flow::Lossless`], from the next message on, waiting for a producer
    /// that is not there yet.
    pub fn new() -> Self {
        Self {
            wakeup: Wakeup::Push,
            flow: Flow::Lossless,
            from: Start::Head,
            wait_for_producer: true,
            producers: Vec::new(),
        }
    }

    /// What to join as.
    pub fn wakeup(mut self, wakeup: Wakeup) -> Self {
        self.wakeup = wakeup;
        self
    }

    /// Whether to hold the producer back.
    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = flow;
        self
    }

    /// Where to start.
    pub fn from(mut self, from: Start) -> Self {
        self.from = from;
        self
    }

    /// Whether to wait for a producer that is not there yet.
    pub fn wait_for_producer(mut self, wait: bool) -> Self {
        self.wait_for_producer = wait;
        self
    }

    /// Users that may be at the other end. Without any: for an abstract name this process's own
    /// (its effective user) and root, for a path whoever could make it. 65534 is nobody's number, as
    /// in [`ListenerOptions`](crate::ListenerOptions).
    pub fn producers(mut self, users: &[u32]) -> Self {
        self.producers = users.to_vec();
        self
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Joins the producer at a name: see [`Listener`](crate::Listener). Waits for it to appear and to
/// answer; without a time-out for ever.
///
/// ```no_run
/// let consumer = zbq::connect("greetings", None, &zbq::ConnectOptions::new())?;
/// for message in &consumer {
///     println!("{}", String::from_utf8_lossy(&message?.to_vec()?));
/// }
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NoProducer`], [`Error::Again`] (no answer in time), [`Error::Full`],
/// [`Error::Refused`] (by the producer; or the name is somebody else's), [`Error::Protocol`],
/// [`Error::Invalid`] (no name; or no message starts where to start), [`Error::TooLarge`] (its
/// length), [`Error::NoMemory`], [`Error::Io`].
pub fn connect(
    name: impl AsRef<OsStr>,
    timeout: Option<Duration>,
    options: &ConnectOptions,
) -> Result<Consumer> {
    let attempt = Attempt {
        end: Deadline::after(timeout),
        options,
    };
    loop {
        // Each time anew: its directory may be there now.
        let place = Place::of(name.as_ref(), Directory::Look)?;
        if let Some(socket) = attempt.open(&place)? {
            if attempt.greet(&place, &socket)? {
                return attempt.take_slot(&socket);
            }
        }
        match attempt.end.left(STEP) {
            Some(left) if options.wait_for_producer => std::thread::sleep(left),
            _ => return Err(Error::NoProducer),
        }
    }
}

/// From one attempt to the next.
const STEP: Duration = Duration::from_millis(50);

struct Attempt<'a> {
    end: Deadline,
    options: &'a ConnectOptions,
}

impl Attempt<'_> {
    // None when the producer is not there.
    fn open(&self, place: &Place) -> Result<Option<OwnedFd>> {
        let socket = socket::new()?;
        while let Err(error) = socket::connect(&socket, place) {
            if error.kind() != ErrorKind::WouldBlock {
                return may_come_back(place, error).map(|()| None);
            }
            match self.end.left(STEP) {
                Some(left) => std::thread::sleep(left), // its queue is full
                None => return Err(Error::Again),
            }
        }
        self.check_producer(place, &socket)?;
        Ok(Some(socket))
    }

    fn check_producer(&self, place: &Place, socket: &OwnedFd) -> Result<()> {
        let listed = &self.options.producers;
        if listed.is_empty() && !place.is_abstract() {
            return Ok(());
        }
        let uid = socket::peer_of(socket).uid;
        let nobody = Nobody::ask();
        let own = listed.is_empty() && (nobody.is_own_user(uid) || uid == 0);
        if own || nobody.lists_user(listed, uid) {
            Ok(())
        } else {
            Err(Error::Refused(format!(
                "{} belongs to user {uid}",
                place.name()
            )))
        }
    }

    // Whether it was welcomed; false when the producer went away meanwhile.
    fn greet(&self, place: &Place, socket: &OwnedFd) -> Result<bool> {
        let wish = Wish {
            wakeup: self.options.wakeup,
            observes: self.options.flow.observes(),
            from: self.options.from,
        };
        if let Err(error) = greeting::send_hello(socket, wish) {
            return may_come_back(place, error).map(|()| false);
        }
        loop {
            match greeting::receive_answer(socket) {
                Ok(Received::Said(greeting::WELCOME)) => return Ok(true),
                Ok(Received::Said(greeting::FULL)) => return Err(Error::Full),
                Ok(Received::Said(greeting::NO_SUCH_START)) => return Err(Error::Invalid),
                Ok(Received::Said(_)) => return Err(Error::Refused(place.name())),
                Ok(Received::Nonsense) => return Err(Error::Protocol),
                Ok(Received::End) => return Ok(false),
                Err(error) if is_not_yet(&error) => self.wait_for_answer(socket)?,
                Err(error) => return may_come_back(place, error).map(|()| false),
            }
        }
    }

    fn take_slot(&self, socket: &OwnedFd) -> Result<Consumer> {
        loop {
            match Consumer::join_with(socket, self.options.wakeup, self.options.flow) {
                Err(Error::Again) => self.wait_for_answer(socket)?,
                Ok(consumer) => {
                    self.go_to_start(&consumer)?;
                    return Ok(consumer);
                }
                Err(error) => return Err(error),
            }
        }
    }

    // From the last start before it that the producer knows. What else ends the stream meanwhile,
    // reading tells.
    fn go_to_start(&self, consumer: &Consumer) -> Result<()> {
        let found = match self.options.from {
            Start::At(ring, offset) if ring == consumer.id() || ring == [0; 16] => {
                consumer.skip_to(offset)
            }
            Start::Last(bytes) => match consumer.skip_to(consumer.head().saturating_sub(bytes)) {
                Err(Error::Invalid) => Ok(()), // a little less than so many
                other => other,
            },
            _ => Ok(()),
        };
        match found {
            Err(Error::Invalid) => found,
            _ => Ok(()),
        }
    }

    fn wait_for_answer(&self, socket: &OwnedFd) -> Result<()> {
        let left = self.end.left(STEP).ok_or(Error::Again)?;
        poll::readable(socket.as_fd(), left)?;
        Ok(())
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

// After a failed call: an error when there cannot be a producer.
fn may_come_back(place: &Place, error: io::Error) -> Result<()> {
    match error.raw_os_error() {
        Some(
            libc::ENOENT | libc::ENOTDIR | libc::ECONNREFUSED | libc::ECONNRESET | libc::EPIPE,
        ) => Ok(()),
        Some(libc::EPROTOTYPE) => {
            let why = format!("{} is a socket of another kind", place.name());
            Err(Error::Refused(why))
        }
        _ => Err(error.into()),
    }
}
