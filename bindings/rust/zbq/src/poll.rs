// SPDX-License-Identifier: MIT
//! Sleeping until a descriptor has something.

use crate::error::{Error, Result};
use crate::time::{Deadline, LONGEST_WAIT};
use std::io;
use std::os::unix::io::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Whether it became readable, or hung up, within the time. A signal ends it early.
pub(crate) fn readable(fd: BorrowedFd<'_>, time: Duration) -> Result<bool> {
    any(&mut [entry(fd.as_raw_fd())], time)
}

/// Waits for that; without a time-out for ever.
pub(crate) fn wait(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<()> {
    let end = Deadline::after(timeout);
    while !readable(fd, end.left(LONGEST_WAIT).unwrap_or_default())? {
        end.left(LONGEST_WAIT).ok_or(Error::Again)?;
    }
    Ok(())
}

/// For one of several. A number below 0 is none.
pub(crate) fn entry(fd: RawFd) -> libc::pollfd {
    libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }
}

/// Whether any of them became readable, or hung up, within the time. A signal ends it early.
pub(crate) fn any(polled: &mut [libc::pollfd], time: Duration) -> Result<bool> {
    // Rounded up, so that nothing spins through the last millisecond.
    let milliseconds = (time.as_nanos() + 999_999) / 1_000_000;
    let timeout = milliseconds.try_into().unwrap_or(libc::c_int::MAX);
    // SAFETY: so many of them, which outlive the call.
    match unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error.into()),
        },
        ready => Ok(ready > 0),
    }
}
