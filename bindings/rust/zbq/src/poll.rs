// SPDX-License-Identifier: MIT
//! Sleeping until a descriptor has something.

use crate::error::{Error, Result};
use crate::time::{Deadline, LONGEST_WAIT};
use std::io;
use std::os::unix::io::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Whether it became readable, or hung up, within the time. A signal ends it early.
pub(crate) fn readable(fd: BorrowedFd<'_>, time: Duration) -> Result<bool> {
    let mut polled = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // Rounded up, so that nothing spins through the last millisecond.
    let milliseconds = (time.as_nanos() + 999_999) / 1_000_000;
    let timeout = milliseconds.try_into().unwrap_or(libc::c_int::MAX);
    // SAFETY: one pollfd, which outlives the call.
    match unsafe { libc::poll(&mut polled, 1, timeout) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error.into()),
        },
        ready => Ok(ready > 0),
    }
}

/// Waits for that; without a time-out for ever.
pub(crate) fn wait(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<()> {
    let end = Deadline::after(timeout);
    while !readable(fd, end.left(LONGEST_WAIT).unwrap_or_default())? {
        end.left(LONGEST_WAIT).ok_or(Error::Again)?;
    }
    Ok(())
}
