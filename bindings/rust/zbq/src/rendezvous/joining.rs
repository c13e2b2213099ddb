// SPDX-License-Identifier: MIT
//! Joining a producer by its name, one step after the other.

use super::approach::{Approach, Way};
use super::connect::ConnectOptions;
use super::greeting::{Hello, Wish};
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::{Start, WHICHEVER_RING};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};

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
    options: ConnectOptions,
    approach: Approach,
}

impl Joining {
    /// Begins.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private), [`Error::Io`].
    pub fn new(name: impl AsRef<OsStr>, options: &ConnectOptions) -> Result<Self> {
        Ok(Self {
            options: options.clone(),
            approach: Approach::new(name.as_ref(), &options.producers)?,
        })
    }

    /// Goes on as far as it can: gives the consumer, after which this starts again; or nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::Refused`] (by the producer; or the name is somebody else's; or a
    /// collector listens there), [`Error::Protocol`], [`Error::Invalid`] (no message starts where to
    /// start), [`Error::NoMemory`], [`Error::Io`]. It can be tried again after each.
    pub fn step(&mut self) -> Result<Option<Consumer>> {
        let options = &self.options;
        self.approach.attempt(|approach| {
            let joined = take_slot(approach, options)?;
            if let Some(consumer) = &joined {
                go_to_start(consumer, options.from)?;
            }
            Ok(joined)
        })
    }

    /// Whether a producer is there, who has not answered yet.
    pub fn has_met(&self) -> bool {
        self.approach.has_met()
    }

    /// Where it looks, in words.
    ///
    /// ```
    /// let joining = zbq::Joining::new("@camera", &zbq::ConnectOptions::new())?;
    /// assert_eq!(joining.place(), "@camera");
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn place(&self) -> String {
        self.approach.place()
    }
}

fn take_slot(approach: &mut Approach, options: &ConnectOptions) -> Result<Option<Consumer>> {
    let wish = Wish {
        wakeup: options.wakeup,
        observes: options.flow.observes(),
        from: options.from,
    };
    let socket = match approach.step(&Hello::Wish(wish))? {
        Some(socket) => socket,
        None => return Ok(None),
    };
    match Consumer::join_with(socket, options.wakeup, options.flow) {
        Err(Error::Again) => Ok(None),
        Err(error) => Err(error),
        Ok(consumer) => {
            approach.start_over(None);
            Ok(Some(consumer))
        }
    }
}

// From the last start before it that the producer knows, which is no further away than its ring is
// long: none keeps it here. What else ends the stream meanwhile, reading tells.
fn go_to_start(consumer: &Consumer, from: Start) -> Result<()> {
    let (start, is_exact) = match from {
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

impl Way for Joining {
    fn has_met(&self) -> bool {
        self.has_met()
    }
}

impl AsFd for Joining {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.approach.as_fd()
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
            .field("place", &self.place())
            .field("has_met", &self.has_met())
            .finish_non_exhaustive()
    }
}
