// SPDX-License-Identifier: MIT
//! One descriptor for everything that a listener waits for: an epoll of a timer, and of another one
//! with the sockets, that can be left out.

use super::socket::check;
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Watch {
    all: OwnedFd,
    sockets: OwnedFd,
    timer: OwnedFd,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: new descriptors are owned by nobody yet.
        let watch = unsafe {
            let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
            Self {
                all: OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?),
                sockets: OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?),
                timer: OwnedFd::from_raw_fd(check(libc::timerfd_create(
                    libc::CLOCK_MONOTONIC,
                    flags,
                ))?),
            }
        };
        control(&watch.all, &watch.timer, libc::EPOLL_CTL_ADD, READABLE)?;
        control(&watch.all, &watch.sockets, libc::EPOLL_CTL_ADD, READABLE)?;
        Ok(watch)
    }

    pub(super) fn add(&self, socket: &OwnedFd) -> io::Result<()> {
        control(&self.sockets, socket, libc::EPOLL_CTL_ADD, READABLE)
    }

    /// Before it is closed: a forked child may have a copy, and the entry would outlive it here.
    pub(super) fn remove(&self, socket: &OwnedFd) {
        let _ = control(&self.sockets, socket, libc::EPOLL_CTL_DEL, 0);
    }

    /// Of the sockets.
    pub(super) fn leave_out(&self, out: bool) -> io::Result<()> {
        let events = if out { 0 } else { READABLE };
        control(&self.all, &self.sockets, libc::EPOLL_CTL_MOD, events)
    }

    /// Becomes readable then, too; `None`: only with what it watches.
    pub(super) fn ring_at(&self, when: Option<Instant>) {
        // SAFETY: a time may be all zero, which is never.
        let mut setting: libc::itimerspec = unsafe { std::mem::zeroed() };
        if let Some(when) = when {
            let left = when.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_nanos(1));
            setting.it_value.tv_sec = left.as_secs() as libc::time_t;
            setting.it_value.tv_nsec = left.subsec_nanos() as libc::c_long;
        }
        // SAFETY: a time that outlives the call. It fails for wrong times alone.
        unsafe {
            let fd = self.timer.as_raw_fd();
            libc::timerfd_settime(fd, 0, &setting, std::ptr::null_mut());
        }
    }
}

const READABLE: u32 = libc::EPOLLIN as u32;

fn control(epoll: &OwnedFd, fd: &OwnedFd, operation: libc::c_int, events: u32) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: 0 };
    // SAFETY: an event that outlives the call.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) })
        .map(drop)
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }
}
