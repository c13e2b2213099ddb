// SPDX-License-Identifier: MIT
//! Joining a producer by its name.

use super::approach::walk;
use super::joining::Joining;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::{Flow, Start, Wakeup};
use crate::time::Deadline;
use std::ffi::OsStr;
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
    pub(super) wakeup: Wakeup,
    pub(super) flow: Flow,
    pub(super) from: Start,
    wait_for_producer: bool,
    pub(super) producers: Vec<u32>,
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

    pub(super) fn waits_for_producer(&self) -> bool {
        self.wait_for_producer
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
    let end = Deadline::after(timeout);
    let waits = options.wait_for_producer;
    let mut joining = Joining::new(name, options)?;
    walk(&mut joining, Joining::step, end, waits, || {
        Error::NoProducer
    })
}
