// SPDX-License-Identifier: MIT
//! Listening sockets that somebody else made.

use super::name::Named;
use super::socket;
use crate::error::{Error, Result};
use std::env;
use std::os::unix::io::{BorrowedFd, OwnedFd, RawFd};

pub(super) fn take_over(listening: OwnedFd) -> Result<Named> {
    let is =
        |option, value| matches!(socket::int_option(&listening, option), Ok(is) if is == value);
    if !is(libc::SO_DOMAIN, libc::AF_UNIX)
        || !is(libc::SO_TYPE, libc::SOCK_SEQPACKET)
        || !is(libc::SO_ACCEPTCONN, 1)
    {
        return Err(Error::Invalid);
    }
    socket::let_descriptors_in(&listening, false);
    socket::set_close_on_exec(&listening)?;
    socket::set_nonblocking(&listening)?;
    let (socket, file) = (listening, None);
    Ok(Named { socket, file })
}

// ---- systemd ----

/// A copy of the socket that was passed under a name; without a name, of the first.
pub(super) fn passed_socket(fd_name: &str) -> Result<Option<OwnedFd>> {
    let number = match passed_number(fd_name) {
        Some(number) => number,
        None => return Ok(None),
    };
    // SAFETY: the service manager has opened it, and nobody here owns it: it stays open. Were it
    // not, there would be an error.
    let passed = unsafe { BorrowedFd::borrow_raw(number) };
    socket::set_close_on_exec(passed)?;
    Ok(Some(passed.try_clone_to_owned()?))
}

fn passed_number(fd_name: &str) -> Option<RawFd> {
    const FIRST: RawFd = 3;
    if variable("LISTEN_PID") != std::process::id().to_string() {
        return None;
    }
    let count = variable("LISTEN_FDS").parse().unwrap_or(0);
    let names = variable("LISTEN_FDNAMES");
    let index = if fd_name.is_empty() {
        (count > 0).then_some(0)
    } else {
        names
            .split(':')
            .take(count)
            .position(|name| name == fd_name)
    };
    RawFd::try_from(index?).ok()?.checked_add(FIRST)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
