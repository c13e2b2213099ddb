// SPDX-License-Identifier: MIT
//! Asking a producer for its statistics by its name.

use super::approach::{walk, Approach, Way};
use super::connect::ConnectOptions;
use super::greeting::Hello;
use crate::error::{Error, Result};
use crate::statistics_page::StatisticsPage;
use crate::time::Deadline;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Asking the producer at a name (see [`Listener`](crate::Listener)) for its statistics, one step after
/// the other. No step blocks.
///
/// Its descriptor ([`AsFd`]) becomes readable when a [`step`](Self::step) may lead further: for `poll`
/// and the like; never read from it.
///
/// ```
/// use zbq::{ConnectOptions, Inspecting, Listener, ListenerOptions, Options, Producer};
/// let name = format!("@zbq-doc-inspecting-{}", std::process::id());
/// let mut listener = Listener::new(&name, ListenerOptions::new())?;
/// let mut producer = Producer::new(&Options::new())?;
/// let mut inspecting = Inspecting::new(&name, &ConnectOptions::new())?;
/// let page = loop {
///     // As an event loop would: when one of the two descriptors is readable.
///     if let Some(page) = inspecting.step()? {
///         break page;
///     }
///     listener.serve(&mut producer);
/// };
/// assert_eq!(page.ring().name, name.as_bytes());
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct Inspecting {
    approach: Approach,
}

impl Inspecting {
    /// Begins. Of the options, [`ConnectOptions::producers`] counts.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private), [`Error::Io`].
    pub fn new(name: impl AsRef<OsStr>, options: &ConnectOptions) -> Result<Self> {
        Ok(Self {
            approach: Approach::new(name.as_ref(), &options.producers)?,
        })
    }

    /// Goes on as far as it can: gives the page with an account of now, after which this starts again;
    /// or nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] (by the producer, or one that has no statistics; or the name is somebody
    /// else's; or a collector listens there), [`Error::Protocol`], [`Error::NoMemory`], [`Error::Io`].
    /// It can be tried again after each.
    pub fn step(&mut self) -> Result<Option<StatisticsPage>> {
        self.approach.attempt(|approach| {
            let socket = match approach.step(&Hello::Inquiry)? {
                Some(socket) => socket,
                None => return Ok(None),
            };
            match StatisticsPage::receive(socket) {
                Err(Error::Again) => Ok(None),
                Err(error) => Err(error),
                Ok(page) => {
                    approach.start_over(None);
                    Ok(Some(page))
                }
            }
        })
    }

    /// Whether a producer is there, who has not answered yet.
    pub fn has_met(&self) -> bool {
        self.approach.has_met()
    }

    /// Where it looks, in words.
    pub fn place(&self) -> String {
        self.approach.place()
    }
}

impl Way for Inspecting {
    fn has_met(&self) -> bool {
        self.has_met()
    }
}

impl AsFd for Inspecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.approach.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Inspecting {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Inspecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspecting")
            .field("place", &self.place())
            .field("has_met", &self.has_met())
            .finish_non_exhaustive()
    }
}

/// Asks the producer at a name (see [`Listener`](crate::Listener)) for its statistics. Waits for it to
/// appear and to answer, which one that is stopped does not; without a time-out for ever. Of the
/// options, [`ConnectOptions::producers`] and [`ConnectOptions::wait_for_producer`] count.
///
/// ```no_run
/// let a_second = std::time::Duration::from_secs(1);
/// let camera = zbq::inspect("camera", Some(a_second), &zbq::ConnectOptions::new())?;
/// for (number, reader) in camera.slots() {
///     println!("{number}: process {}, {} bytes behind", reader.pid, reader.lag);
/// }
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NoProducer`], [`Error::Again`] (no answer in time), and as [`Inspecting::step`].
pub fn inspect(
    name: impl AsRef<OsStr>,
    timeout: Option<Duration>,
    options: &ConnectOptions,
) -> Result<StatisticsPage> {
    let end = Deadline::after(timeout);
    let waits = options.waits_for_producer();
    let mut inspecting = Inspecting::new(name, options)?;
    walk(&mut inspecting, Inspecting::step, end, waits, || {
        Error::NoProducer
    })
}
