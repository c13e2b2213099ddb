// SPDX-License-Identifier: MIT
//! Strangers at a named socket, and how little they may cost.

use super::name::{Named, SocketFile};
use super::socket;
use super::watch::Watch;
use crate::error::Result;
use crate::process::Birthmark;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// For which strangers are left alone, at most.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// How much strangers may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct StrangerLimits {
    /// Waiting: the oldest makes way for a newer one.
    pub(super) most: usize,
    pub(super) patience: Duration,
}

impl Default for StrangerLimits {
    fn default() -> Self {
        Self {
            most: 16,
            patience: Duration::from_secs(5),
        }
    }
}

/// One who is not settled, and what is known of the affair.
pub(super) struct Stranger<Affair> {
    pub(super) socket: OwnedFd,
    pub(super) affair: Affair,
    until: Option<Instant>, // `None`: for ever
}

/// Accepts who connects, and hears each until it is settled. Nothing that a stranger does blocks it:
/// all sockets are non-blocking, and each call of [`serve`](Self::serve) does a bounded amount, after
/// which strangers are left alone for four times as long as it took, but 100 ms at most.
pub(super) struct Doorway<Affair> {
    // Goes first. Were the socket closed before, another listener might take the name over
    // meanwhile, and its new file, that can have the old one's number, would be removed.
    _file: Option<SocketFile>,
    birth: Birthmark,
    limits: StrangerLimits,
    watch: Watch,
    listening: OwnedFd,
    strangers: VecDeque<Stranger<Affair>>, // the oldest first
    resting_until: Option<Instant>,
}

impl<Affair: Default> Doorway<Affair> {
    pub(super) fn new(named: Named, limits: StrangerLimits) -> Result<Self> {
        let watch = Watch::new()?;
        watch.add(&named.socket)?;
        Ok(Self {
            _file: named.file,
            birth: Birthmark::new()?,
            limits,
            watch,
            listening: named.socket,
            strangers: VecDeque::new(),
            resting_until: None,
        })
    }

    /// Whether this process made it.
    pub(super) fn is_here(&self) -> bool {
        self.birth.is_here()
    }

    /// `hear` says of a stranger whether there is nothing more to expect of it. Nothing in a forked
    /// child, and while strangers are left alone.
    pub(super) fn serve(&mut self, mut hear: impl FnMut(&mut Stranger<Affair>) -> bool) {
        let start = Instant::now();
        if !self.is_here() || self.resting_until.map_or(false, |until| until > start) {
            return;
        }
        self.rest(None);
        let settled = self.hear_strangers(&mut hear);
        let accepted = self.accept_some(&mut hear);
        if settled || accepted {
            self.rest_from(start.elapsed());
        }
        let next_end = self.strangers.front().and_then(|who| who.until);
        self.watch.ring_at(self.resting_until.or(next_end));
    }

    // Whether any of them has been settled.
    fn hear_strangers(&mut self, hear: &mut impl FnMut(&mut Stranger<Affair>) -> bool) -> bool {
        let before = self.strangers.len();
        let watch = &self.watch;
        self.strangers.retain_mut(|who| {
            let keep = !hear(who);
            if !keep {
                watch.remove(&who.socket);
            }
            keep
        });
        let settled = self.strangers.len() != before;
        let now = Instant::now();
        let is_late = |who: &Stranger<Affair>| who.until.map_or(false, |until| until <= now);
        while self.strangers.front().map_or(false, is_late) {
            self.drop_oldest();
        }
        settled
    }

    // Whether there was anybody.
    fn accept_some(&mut self, hear: &mut impl FnMut(&mut Stranger<Affair>) -> bool) -> bool {
        for i in 0..self.limits.most.max(1) {
            let mut who = match socket::accept(&self.listening) {
                Ok(socket) => Stranger {
                    socket,
                    affair: Affair::default(),
                    until: Instant::now().checked_add(self.limits.patience),
                },
                Err(error) => {
                    self.stop_accepting(&error);
                    return i != 0;
                }
            };
            if !hear(&mut who) {
                self.keep(who);
            }
        }
        true
    }

    fn keep(&mut self, who: Stranger<Affair>) {
        if self.strangers.len() >= self.limits.most {
            self.drop_oldest();
        }
        if self.watch.add(&who.socket).is_ok() {
            self.strangers.push_back(who);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(who) = self.strangers.pop_front() {
            self.watch.remove(&who.socket);
        }
    }

    // Out of descriptors or memory: the queue would keep the descriptor readable all the while.
    fn stop_accepting(&mut self, error: &io::Error) {
        let expected = matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
        );
        if !expected {
            self.rest(Some(Instant::now() + LONGEST_REST));
            while !self.strangers.is_empty() {
                self.drop_oldest();
            }
        }
    }

    // Whoever comes, the program has four fifths of its time to itself.
    fn rest_from(&mut self, work: Duration) {
        let until = Instant::now() + LONGEST_REST.min(work * 4);
        self.rest(self.resting_until.max(Some(until)));
    }

    // Nothing of what strangers do makes the descriptor readable until then.
    fn rest(&mut self, until: Option<Instant>) {
        if until.is_some() != self.resting_until.is_some() {
            // Were it to fail: a wait that ends too early.
            let _ = self.watch.leave_out(until.is_some());
        }
        self.resting_until = until;
    }
}

/// Readable when it has something to do.
impl<Affair> AsFd for Doorway<Affair> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
