// SPDX-License-Identifier: MIT
//! Dialing in to a collector: for programs that publish to one who gathers from many.

use super::approach::{walk, Approach, Way};
use super::greeting::{Call, Hello};
use crate::attached::Service;
use crate::error::{Error, Result};
use crate::options::{Flow, Start, Wakeup};
use crate::producer::Producer;
use crate::time::{Deadline, SLICE};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

/// How to dial in.
///
/// ```
/// // A camera that must never wait.
/// let options = zbq::DialOptions::new().name("camera 2").flow(zbq::Flow::Follow);
/// ```
#[must_use = "each of its methods gives a changed one"]
#[derive(Clone, Debug)]
pub struct DialOptions {
    name: OsString,
    flow: Flow,
    from: Start,
    wait_for_collector: bool,
    collectors: Vec<u32>,
}

impl DialOptions {
    /// By the program's name, for a collector that holds the producer back and starts with all that
    /// the ring still has; waiting for one that is not there yet.
    pub fn new() -> Self {
        Self {
            name: OsString::new(),
            flow: Flow::Lossless,
            from: Start::Oldest,
            wait_for_collector: true,
            collectors: Vec::new(),
        }
    }

    /// How the collector is to call this source: the first 24 bytes count, to the first zero. Empty:
    /// the program's name.
    ///
    /// ```
    /// let options = zbq::DialOptions::new().name("camera 2");
    /// ```
    pub fn name(mut self, name: impl AsRef<OsStr>) -> Self {
        self.name = name.as_ref().to_owned();
        self
    }

    /// Whether the collector holds the producer back: [`Flow::Lossless`], or [`Flow::Follow`].
    ///
    /// ```
    /// let options = zbq::DialOptions::new().flow(zbq::Flow::Follow);
    /// ```
    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = flow;
        self
    }

    /// Where the collector starts: at first with [`Start::Oldest`], so that what was published before
    /// it came is not lost.
    ///
    /// ```
    /// let options = zbq::DialOptions::new().from(zbq::Start::Head);
    /// ```
    pub fn from(mut self, from: Start) -> Self {
        self.from = from;
        self
    }

    /// Whether [`dial`] waits for a collector that is not there yet.
    ///
    /// ```
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// let options = zbq::DialOptions::new().wait_for_collector(false);
    /// let dialed = zbq::dial(&mut producer, "@zbq-doc-nobody", None, &options);
    /// assert!(matches!(dialed, Err(zbq::Error::NoCollector)));
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn wait_for_collector(mut self, wait: bool) -> Self {
        self.wait_for_collector = wait;
        self
    }

    /// Users that may be at the other end: as
    /// [`ConnectOptions::producers`](crate::ConnectOptions::producers).
    ///
    /// ```
    /// # const LOGS: u32 = 1234;
    /// let options = zbq::DialOptions::new().collectors(&[LOGS]);
    /// ```
    pub fn collectors(mut self, users: &[u32]) -> Self {
        self.collectors = users.to_vec();
        self
    }

    fn to_hello(&self) -> Hello {
        let name = if self.name.is_empty() {
            name_of_program()
        } else {
            self.name.clone()
        };
        let observed = self.flow.observes();
        Hello::Call(Call { observed, name })
    }
}

impl Default for DialOptions {
    fn default() -> Self {
        Self::new()
    }
}

fn name_of_program() -> OsString {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_ref().and_then(|path| path.file_name());
    name.unwrap_or_default().to_owned()
}

/// A producer's line to the collector at a name: looks for it, says hello, and gives it a slot, one
/// step after the other; and again when that is gone. No step blocks. Attached to the producer
/// ([`Producer::attach`]) it does so by itself.
///
/// Its descriptor ([`AsFd`]) becomes readable when a [`step`](Self::step) may lead further: for `poll`
/// and the like; never read from it. In a forked child it leads nowhere.
///
/// ```
/// use zbq::{Collector, CollectorOptions, DialOptions, Dialing, Options, Producer};
/// let name = format!("@zbq-doc-dialing-{}", std::process::id());
/// let mut producer = Producer::new(&Options::new())?;
/// let mut line = Dialing::new(&name, &DialOptions::new())?;
/// assert!(line.step(&mut producer)?.is_none()); // nobody is there
/// let mut logs = Collector::new(&name, CollectorOptions::new())?;
/// while line.step(&mut producer)?.is_none() {
///     // As an event loop would: when one of the two descriptors is readable.
///     logs.serve(|_, _| ());
/// }
/// assert!(line.is_dialed_in(&producer));
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct Dialing {
    options: DialOptions,
    hello: Hello,
    approach: Approach,
    line: Option<Line>,
}

/// The collector's slot, and which of those who had it this one is.
#[derive(Clone, Copy)]
struct Line {
    slot: u32,
    join_number: u64,
}

impl Line {
    fn holds(self, ring: &Producer) -> bool {
        let info = ring.consumer_info(self.slot);
        info.map_or(false, |info| {
            info.present && info.join_number == self.join_number
        })
    }
}

impl Dialing {
    /// Begins.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private), [`Error::Io`].
    pub fn new(name: impl AsRef<OsStr>, options: &DialOptions) -> Result<Self> {
        Ok(Self {
            approach: Approach::new(name.as_ref(), &options.collectors)?,
            hello: options.to_hello(),
            options: options.clone(),
            line: None,
        })
    }

    /// Goes on as far as it can, with the same ring each time: gives the collector's slot; or nothing
    /// yet. Where the collector has its slot this looks whether it still lives, for which the descriptor
    /// becomes readable some ten times a second.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] (the collector has sources enough, or the ring no free slot),
    /// [`Error::Refused`] (by the collector; or the name is somebody else's; or a producer listens
    /// there), [`Error::Protocol`], [`Error::Invalid`] (no message starts where to start),
    /// [`Error::NoMemory`], [`Error::Io`]. It can be tried again after each.
    pub fn step(&mut self, ring: &mut Producer) -> Result<Option<u32>> {
        if self.line.is_some() {
            ring.scan();
        }
        if self.is_dialed_in(ring) {
            self.approach.start_over(Some(SLICE));
        } else {
            self.line = None;
            let Self { options, hello, .. } = self;
            let dialed = |approach: &mut Approach| dial_in(approach, hello, options, ring);
            self.line = self.approach.attempt(dialed)?;
        }
        Ok(self.line.map(|line| line.slot))
    }

    /// Whether the collector has its slot.
    pub fn is_dialed_in(&self, ring: &Producer) -> bool {
        self.line.map_or(false, |line| line.holds(ring))
    }

    /// Whether a collector is there, who has not answered yet.
    pub fn has_met(&self) -> bool {
        self.approach.has_met()
    }

    /// Where it looks, in words.
    ///
    /// ```
    /// let line = zbq::Dialing::new("@trace", &zbq::DialOptions::new())?;
    /// assert_eq!(line.place(), "@trace");
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn place(&self) -> String {
        self.approach.place()
    }
}

fn dial_in(
    approach: &mut Approach,
    hello: &Hello,
    options: &DialOptions,
    ring: &mut Producer,
) -> Result<Option<Line>> {
    let socket = match approach.step(hello)? {
        Some(socket) => socket,
        None => return Ok(None),
    };
    match ring.admit_with(socket, Wakeup::Push, options.flow, options.from) {
        Err(Error::Io(_)) => {
            approach.start_over(Some(super::approach::RETRY)); // it went away meanwhile
            Ok(None)
        }
        Err(error) => Err(error),
        Ok(slot) => {
            approach.start_over(Some(SLICE));
            let join_number = ring.consumer_info(slot)?.join_number;
            Ok(Some(Line { slot, join_number }))
        }
    }
}

impl Service for Dialing {
    fn serve(&mut self, ring: &mut Producer) -> Result<()> {
        self.step(ring).map(drop)
    }
}

impl Way for Dialing {
    fn has_met(&self) -> bool {
        self.has_met()
    }
}

impl AsFd for Dialing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.approach.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Dialing {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Dialing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialing")
            .field("place", &self.place())
            .field("has_met", &self.has_met())
            .field("slot", &self.line.map(|line| line.slot))
            .finish_non_exhaustive()
    }
}

/// Gives the collector at a name (see [`Collector`](crate::Collector)) a slot of a producer's ring,
/// once, and gives its number: from then on it reads all that is published, also when this process is
/// killed. Waits for it to appear and to answer; without a time-out for ever.
///
/// ```no_run
/// let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// zbq::dial(&mut producer, "@trace", None, &zbq::DialOptions::new())?;
/// producer.publish(b"hello", None)?;
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NoCollector`], [`Error::Again`] (no answer in time), [`Error::Invalid`] (no name),
/// [`Error::TooLarge`] (its length), and as [`Dialing::step`].
pub fn dial(
    ring: &mut Producer,
    name: impl AsRef<OsStr>,
    timeout: Option<Duration>,
    options: &DialOptions,
) -> Result<u32> {
    let end = Deadline::after(timeout);
    let waits = options.wait_for_collector;
    let mut line = Dialing::new(name, options)?;
    walk(
        &mut line,
        |line| line.step(ring),
        end,
        waits,
        || Error::NoCollector,
    )
}
