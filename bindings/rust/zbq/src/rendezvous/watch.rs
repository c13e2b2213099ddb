// SPDX-License-Identifier: MIT
//! Descriptors for everything that somebody waits for, and what a doorway waits with: an epoll of a
//! timer, and of another one with the sockets, that can be left out.

use super::socket::check;
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

const READABLE: u32 = libc::EPOLLIN as u32;
const ONCE: u32 = READABLE | libc::EPOLLONESHOT as u32;

/// The kernel gives the others next.
const MOST_TOLD: usize = 64;

/// Becomes readable when one of those that it watches is.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a new descriptor is owned by nobody yet.
        unsafe {
            let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    pub(super) fn add(&self, fd: impl AsFd) -> io::Result<()> {
        self.add_as(0, fd)
    }

    /// With a number, that [`told`](Self::told) gives.
    pub(super) fn add_as(&self, number: u64, fd: impl AsFd) -> io::Result<()> {
        self.control(fd, libc::EPOLL_CTL_ADD, READABLE, number)
    }

    /// The same, to be told once, until it is armed again.
    pub(super) fn add_once(&self, number: u64, fd: impl AsFd) -> io::Result<()> {
        self.control(fd, libc::EPOLL_CTL_ADD, ONCE, number)
    }

    pub(super) fn arm(&self, number: u64, fd: impl AsFd) -> io::Result<()> {
        self.control(fd, libc::EPOLL_CTL_MOD, ONCE, number)
    }

    /// Before it is closed: a forked child may have a copy, and the entry would outlive it here.
    pub(super) fn remove(&self, fd: impl AsFd) {
        let _ = self.control(fd, libc::EPOLL_CTL_DEL, 0, 0);
    }

    /// The numbers of those that are readable now.
    pub(super) fn told(&self) -> impl Iterator<Item = u64> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST_TOLD];
        // SAFETY: places for so many events.
        let count = unsafe {
            let (fd, first) = (self.0.as_raw_fd(), events.as_mut_ptr());
            libc::epoll_wait(fd, first, MOST_TOLD as libc::c_int, 0)
        };
        let count = usize::try_from(count).unwrap_or(0); // a failure tells of none
        events.into_iter().take(count).map(|event| event.u64)
    }

    fn control(
        &self,
        fd: impl AsFd,
        operation: libc::c_int,
        events: u32,
        number: u64,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events,
            u64: number,
        };
        let (epoll, fd) = (self.0.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: an event that outlives the call.
        check(unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) }).map(drop)
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Becomes readable at a time.
#[derive(Debug)]
pub(super) struct Timer(OwnedFd);

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: a new descriptor is owned by nobody yet.
        unsafe {
            let fd = check(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?;
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// `None`: not at all, and not any more.
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
            let fd = self.0.as_raw_fd();
            libc::timerfd_settime(fd, 0, &setting, std::ptr::null_mut());
        }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Readable while it rings.
#[derive(Debug)]
pub(super) struct Bell {
    fd: OwnedFd,
    rings: bool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a new descriptor is owned by nobody yet.
        let fd = unsafe {
            let flags = libc::EFD_NONBLOCK | libc::EFD_CLOEXEC;
            OwnedFd::from_raw_fd(check(libc::eventfd(0, flags))?)
        };
        Ok(Self { fd, rings: false })
    }

    pub(super) fn ring(&mut self, rings: bool) {
        if rings == self.rings {
            return;
        }
        let mut count = 1_u64.to_ne_bytes();
        let (fd, bytes) = (self.fd.as_raw_fd(), count.as_mut_ptr().cast());
        // SAFETY: eight bytes.
        let done = unsafe {
            if rings {
                libc::write(fd, bytes, count.len())
            } else {
                libc::read(fd, bytes, count.len())
            }
        };
        if done > 0 {
            self.rings = rings;
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    all: Epoll,
    sockets: Epoll,
    timer: Timer,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let watch = Self {
            all: Epoll::new()?,
            sockets: Epoll::new()?,
            timer: Timer::new()?,
        };
        watch.all.add(&watch.timer)?;
        watch.all.add(&watch.sockets)?;
        Ok(watch)
    }

    pub(super) fn add(&self, socket: &OwnedFd) -> io::Result<()> {
        self.sockets.add(socket)
    }

    /// Before it is closed.
    pub(super) fn remove(&self, socket: &OwnedFd) {
        self.sockets.remove(socket);
    }

    /// Of the sockets.
    pub(super) fn leave_out(&self, out: bool) -> io::Result<()> {
        let events = if out { 0 } else { READABLE };
        let sockets = self.sockets.as_fd();
        self.all.control(sockets, libc::EPOLL_CTL_MOD, events, 0)
    }

    /// Becomes readable then, too; `None`: only with what it watches.
    pub(super) fn ring_at(&self, when: Option<Instant>) {
        self.timer.ring_at(when);
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }
}
