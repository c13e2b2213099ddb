// SPDX-License-Identifier: MIT
//! What can go wrong.

use std::fmt;
use std::io;
use zbq_sys::{zbq_error, zbq_eviction};

/// What a call of this crate gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Not now, or not within the time given. Nothing is wrong.
    Again,
    /// The producer ended the stream, and all of it was read.
    Closed,
    /// As [`Closed`](Error::Closed), but the producer was killed or crashed.
    ProducerDied,
    /// This consumer lost its slot. What it was reading may have been overwritten meanwhile.
    Evicted(Eviction),
    /// This observer was lapped: what it was reading may have been overwritten meanwhile, or it was
    /// too slow for a look, again and again. It goes on with the next one.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new().capacity(4096))?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # use zbq::{Flow, Start, Wakeup};
    /// # producer.admit_with(&near, Wakeup::Pull, Flow::Follow, Start::Head)?;
    /// # let observer = zbq::Consumer::join_with(&far, Wakeup::Pull, Flow::Follow)?;
    /// producer.try_publish(b"old")?;
    /// let message = observer.try_next()?;
    /// for _ in 0..1000 {
    ///     producer.try_publish(b"newer")?;
    /// }
    /// assert!(matches!(message.to_vec(), Err(zbq::Error::Lapped)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Lapped,
    /// There is less room than the message has bytes, which are so many. It stays where it is.
    TooSmall(usize),
    /// The other side broke the protocol.
    Protocol,
    /// A bad argument, or a call that is out of place.
    Invalid,
    /// Larger than the ring, or than a message can be; or a name longer than an address.
    TooLarge,
    /// Memory could not be had.
    NoMemory,
    /// No slot is free for another consumer; or a collector has sources enough.
    Full,
    /// The descriptors of this message never come: this consumer polls ([`Wakeup::Pull`]), those of
    /// a later message were taken before, an observer had no room for them, or the stream has ended.
    ///
    /// [`Wakeup::Pull`]: crate::Wakeup::Pull
    DescriptorsLost,
    /// Nobody publishes under this name.
    NoProducer,
    /// Nobody collects under this name.
    NoCollector,
    /// The other side does not admit this process, or is not who it should be. The text says which.
    Refused(String),
    /// The payloads are not of the type expected. The text says of which they are.
    TypeMismatch(String),
    /// A system call failed.
    Io(io::Error),
}

/// Why a consumer lost its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eviction {
    /// Its process ended, or it left.
    Dead,
    /// It held the ring back for the stall time-out.
    Stalled,
    /// It did not collect descriptors for as long.
    SideStalled,
    /// It published a tail that cannot be.
    Protocol,
    /// It used up the patience that the producer had for it.
    Slow,
    /// Waking it cost the producer too much, again and again.
    Dear,
    /// The producer gave a reason that is none.
    Unknown,
}

impl Eviction {
    /// `None`: it was not evicted.
    pub(crate) fn from_raw(reason: u32) -> Option<Self> {
        match zbq_eviction(reason as libc::c_int) {
            zbq_eviction::ZBQ_EVICTION_NONE => None,
            zbq_eviction::ZBQ_EVICTION_DEAD => Some(Self::Dead),
            zbq_eviction::ZBQ_EVICTION_STALLED => Some(Self::Stalled),
            zbq_eviction::ZBQ_EVICTION_SIDE_STALLED => Some(Self::SideStalled),
            zbq_eviction::ZBQ_EVICTION_PROTOCOL => Some(Self::Protocol),
            zbq_eviction::ZBQ_EVICTION_SLOW => Some(Self::Slow),
            zbq_eviction::ZBQ_EVICTION_DEAR => Some(Self::Dear),
            _ => Some(Self::Unknown),
        }
    }
}

impl fmt::Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dead => "its process ended, or it left",
            Self::Stalled => "it held the ring back for the stall time-out",
            Self::SideStalled => "it did not collect descriptors for the stall time-out",
            Self::Protocol => "it published a tail that cannot be",
            Self::Slow => "it was slow beyond the producer's patience",
            Self::Dear => "waking it cost the producer too much",
            Self::Unknown => "the producer gave no reason that is known",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again => f.write_str("not yet"),
            Self::Closed => f.write_str("the producer ended the stream"),
            Self::ProducerDied => f.write_str("the producer died"),
            Self::Evicted(reason) => write!(f, "this consumer was evicted: {reason}"),
            Self::Lapped => f.write_str("it was overwritten while it was read"),
            Self::TooSmall(len) => write!(f, "no room for a message of {len} bytes"),
            Self::Protocol => f.write_str("the other side broke the protocol"),
            Self::Invalid => f.write_str("a bad argument, or a call that is out of place"),
            Self::TooLarge => f.write_str("too large"),
            Self::NoMemory => f.write_str("no memory"),
            Self::Full => f.write_str("there is no slot for another one"),
            Self::DescriptorsLost => f.write_str("the message's descriptors never come"),
            Self::NoProducer => f.write_str("nobody publishes under this name"),
            Self::NoCollector => f.write_str("nobody collects under this name"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::TypeMismatch(how) => write!(f, "{how}: the payloads are of another type"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    /// One that was made from this crate's own, as a [`Reader`](crate::Reader) does, is that again.
    fn from(error: io::Error) -> Self {
        if !matches!(error.get_ref(), Some(inner) if inner.is::<Self>()) {
            return Self::Io(error);
        }
        let kind = error.kind();
        match error.into_inner().map(|inner| inner.downcast()) {
            Some(Ok(own)) => *own,
            _ => Self::Io(kind.into()),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Again => io::ErrorKind::WouldBlock,
            Error::Closed => io::ErrorKind::UnexpectedEof,
            Error::ProducerDied => io::ErrorKind::ConnectionReset,
            Error::Evicted(_) => io::ErrorKind::ConnectionAborted,
            Error::Protocol | Error::TypeMismatch(_) | Error::Lapped => io::ErrorKind::InvalidData,
            Error::Invalid | Error::TooLarge | Error::TooSmall(_) => io::ErrorKind::InvalidInput,
            Error::NoMemory => io::ErrorKind::OutOfMemory,
            Error::Full => io::ErrorKind::ConnectionRefused,
            Error::NoProducer | Error::NoCollector | Error::DescriptorsLost => {
                io::ErrorKind::NotFound
            }
            Error::Refused(_) => io::ErrorKind::PermissionDenied,
            Error::Io(_) => io::ErrorKind::Other,
        };
        match error {
            Error::Io(error) => error, // with its errno
            other => Self::new(kind, other),
        }
    }
}

// From a number of the C interface that is no success: to be asked before anything else sets errno.
pub(crate) fn from_code(code: libc::c_int) -> Error {
    const INVALID: libc::c_int = zbq_error::ZBQ_ERROR_INVALID as libc::c_int;
    const NOMEM: libc::c_int = zbq_error::ZBQ_ERROR_NOMEM as libc::c_int;
    const AGAIN: libc::c_int = zbq_error::ZBQ_ERROR_AGAIN as libc::c_int;
    const PROTOCOL: libc::c_int = zbq_error::ZBQ_ERROR_PROTOCOL as libc::c_int;
    const OVERFLOW: libc::c_int = zbq_error::ZBQ_ERROR_OVERFLOW as libc::c_int;
    match code {
        INVALID => Error::Invalid,
        NOMEM => Error::NoMemory,
        AGAIN => Error::Again,
        PROTOCOL => Error::Protocol,
        OVERFLOW => Error::TooLarge,
        _ => Error::Io(io::Error::last_os_error()),
    }
}

/// Of a call of the C interface: its number where that is not negative.
pub(crate) fn check(code: libc::c_int) -> Result<libc::c_int> {
    if code >= 0 {
        Ok(code)
    } else {
        Err(from_code(code))
    }
}
