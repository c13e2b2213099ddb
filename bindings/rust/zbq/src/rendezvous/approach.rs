// SPDX-License-Identifier: MIT
//! Towards whoever listens at a name, without ever blocking.

use super::directory::Arrivals;
use super::greeting::{self, Hello, Received};
use super::identity::Nobody;
use super::name::directory_of;
use super::place::{Directory, Place};
use super::socket;
use super::watch::{Epoll, Timer};
use crate::error::{Error, Result};
use crate::poll;
use crate::process::Birthmark;
use crate::time::{Deadline, LONGEST_WAIT};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// From one look for the name to the next, where nobody tells of its return.
pub(super) const RETRY: Duration = Duration::from_millis(20);
/// Where inotify does, for what it cannot tell.
const RETRY_WATCHED: Duration = Duration::from_secs(1);
/// The queue of who listens is full.
const RETRY_QUEUE: Duration = Duration::from_millis(1);

/// Looks for whoever listens at a name, says hello, and hears the answer, one step after the other.
/// In a forked child it leads nowhere.
pub(super) struct Approach {
    birth: Birthmark,
    name: OsString,
    expected: Vec<u32>, // users; none: own and root, for an abstract name
    place: Place,
    watch: ApproachWatch,
    socket: Option<OwnedFd>, // that said hello
    is_welcome: bool,
    queue_is_full: bool,
}

impl Approach {
    pub(super) fn new(name: &OsStr, expected: &[u32]) -> Result<Self> {
        let approach = Self {
            birth: Birthmark::new()?,
            name: name.to_owned(),
            expected: expected.to_vec(),
            place: Place::of(name, Directory::Look)?,
            watch: ApproachWatch::new()?,
            socket: None,
            is_welcome: false,
            queue_is_full: false,
        };
        approach.watch.ring_after(Some(Duration::ZERO)); // there is something to do from the start
        Ok(approach)
    }

    /// Somebody is there, who has not answered yet.
    pub(super) fn has_met(&self) -> bool {
        self.socket.is_some() || self.queue_is_full
    }

    /// Where it looks, for people.
    pub(super) fn place(&self) -> String {
        self.place.name()
    }

    /// Goes on; what fails can be tried again.
    pub(super) fn attempt<R>(&mut self, advance: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let done = advance(self);
        if done.is_err() {
            self.start_over(Some(RETRY));
        }
        done
    }

    /// The line to who has welcomed this hello, until it starts over; nothing yet.
    pub(super) fn step(&mut self, hello: &Hello) -> Result<Option<&OwnedFd>> {
        if !self.birth.is_here() {
            return Ok(None);
        }
        self.watch.clear();
        if self.socket.is_some() || self.open(hello)? {
            self.is_welcome = self.is_welcome || self.hear_answer(hello)?;
        }
        Ok(self.socket.as_ref().filter(|_| self.is_welcome))
    }

    /// `None`: there is nothing to do later.
    pub(super) fn start_over(&mut self, later: Option<Duration>) {
        if let Some(socket) = self.socket.take() {
            self.watch.epoll.remove(&socket);
        }
        self.is_welcome = false;
        self.watch.ring_after(later);
    }

    // Whether somebody is there, and hello was said.
    fn open(&mut self, hello: &Hello) -> Result<bool> {
        let later = self.watch_name()?;
        let socket = socket::new()?;
        if let Err(error) = socket::connect(&socket, &self.place) {
            self.queue_is_full = error.kind() == ErrorKind::WouldBlock; // somebody is there
            if self.queue_is_full {
                self.start_over(Some(RETRY_QUEUE));
                return Ok(false);
            }
            return self.try_later(error, later);
        }
        self.queue_is_full = false;
        self.check_listener(&socket)?;
        if let Err(error) = greeting::send_hello(&socket, hello) {
            return self.try_later(error, later);
        }
        self.watch.epoll.add(&socket)?;
        self.socket = Some(socket);
        Ok(true)
    }

    // Before the look: what comes after it is told. When to look again all the same.
    fn watch_name(&mut self) -> Result<Duration> {
        self.place = Place::of(&self.name, Directory::Look)?; // it may be there now
        let is_told = !self.place.is_abstract() && {
            let directory = directory_of(self.place.path());
            self.watch.watch_directory(directory)
        };
        Ok(if is_told { RETRY_WATCHED } else { RETRY })
    }

    // After a failed call: an error when nobody can be there.
    fn try_later(&mut self, error: io::Error, later: Duration) -> Result<bool> {
        match error.raw_os_error() {
            Some(
                libc::ENOENT | libc::ENOTDIR | libc::ECONNREFUSED | libc::ECONNRESET | libc::EPIPE,
            ) => {
                self.start_over(Some(later));
                Ok(false)
            }
            Some(libc::EPROTOTYPE) => Err(self.refused(" is a socket of another kind")),
            _ => Err(error.into()),
        }
    }

    fn check_listener(&self, socket: &OwnedFd) -> Result<()> {
        let listed = &self.expected;
        if listed.is_empty() && !self.place.is_abstract() {
            return Ok(());
        }
        let uid = socket::peer_of(socket).uid;
        let nobody = Nobody::ask();
        let own = listed.is_empty() && (nobody.is_own_user(uid) || uid == 0);
        if own || nobody.lists_user(listed, uid) {
            Ok(())
        } else {
            Err(self.refused(&format!(" belongs to user {uid}")))
        }
    }

    // Whether it is a welcome; nothing yet.
    fn hear_answer(&mut self, hello: &Hello) -> Result<bool> {
        let heard = match &self.socket {
            Some(socket) => greeting::receive_answer(socket),
            None => return Ok(false),
        };
        match heard {
            Ok(Received::Said(greeting::WELCOME)) => Ok(true),
            Ok(Received::Said(greeting::FULL)) => Err(Error::Full),
            Ok(Received::Said(greeting::NO_SUCH_START)) => Err(Error::Invalid),
            Ok(Received::Said(greeting::OTHER_SIDE)) => Err(self.refused(other_side_of(hello))),
            Ok(Received::Said(_)) => Err(self.refused("")),
            Ok(Received::Nonsense) => Err(Error::Protocol),
            Ok(Received::End) => {
                self.start_over(Some(RETRY)); // it went away meanwhile
                Ok(false)
            }
            Err(error) if socket::is_not_yet(&error) => Ok(false),
            Err(error) => self.try_later(error, RETRY),
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::Refused(self.place() + why)
    }
}

impl AsFd for Approach {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.epoll.as_fd()
    }
}

fn other_side_of(hello: &Hello) -> &'static str {
    match hello {
        Hello::Wish(_) | Hello::Inquiry => " collects: nobody publishes there",
        Hello::Call(_) => " publishes: nobody collects there",
    }
}

/// What there is to wait for: one descriptor over a socket, a timer and a directory.
struct ApproachWatch {
    epoll: Epoll,
    timer: Timer,
    arrivals: Option<Arrivals>,
}

impl ApproachWatch {
    fn new() -> io::Result<Self> {
        let watch = Self {
            epoll: Epoll::new()?,
            timer: Timer::new()?,
            arrivals: None,
        };
        watch.epoll.add(&watch.timer)?;
        Ok(watch)
    }

    // A time too long for the clock is never.
    fn ring_after(&self, time: Option<Duration>) {
        let when = time.and_then(|time| Instant::now().checked_add(time));
        self.timer.ring_at(when);
    }

    // Whether it is told when a file comes into it. Where it is not there, or there are no means
    // (inotify(7) has limits for each user), only the timer is left.
    fn watch_directory(&mut self, directory: &Path) -> bool {
        if self.arrivals.is_none() {
            self.arrivals = Arrivals::new()
                .and_then(|arrivals| self.epoll.add(&arrivals).map(|()| arrivals))
                .ok();
        }
        let is_watched = |arrivals: &Arrivals| arrivals.watch(directory).is_ok();
        self.arrivals.as_ref().map_or(false, is_watched)
    }

    // What was told is not told again.
    fn clear(&self) {
        self.ring_after(None);
        if let Some(arrivals) = &self.arrivals {
            arrivals.clear();
        }
    }
}

/// What leads to somebody by steps.
pub(super) trait Way: AsFd {
    /// Somebody is there, who has not answered yet.
    fn has_met(&self) -> bool;
}

/// One step after the other, until they have led somewhere; `waits`: for somebody to appear.
pub(super) fn walk<W: Way, R>(
    way: &mut W,
    mut step: impl FnMut(&mut W) -> Result<Option<R>>,
    end: Deadline,
    waits: bool,
    nobody: fn() -> Error,
) -> Result<R> {
    loop {
        if let Some(reached) = step(way)? {
            return Ok(reached);
        }
        let has_met = way.has_met();
        if !has_met && !waits {
            return Err(nobody());
        }
        match end.left(LONGEST_WAIT) {
            Some(left) => poll::readable(way.as_fd(), left)?,
            None if has_met => return Err(Error::Again),
            None => return Err(nobody()),
        };
    }
}
