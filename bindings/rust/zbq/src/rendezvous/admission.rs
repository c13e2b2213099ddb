// SPDX-License-Identifier: MIT
//! Who may join a producer, and on what terms.

use super::doorway::StrangerLimits;
use super::identity::List;
use crate::options::{Patience, Start, Wakeup};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who has connected, by the kernel's account of who called connect. What it hands on, it answers
/// for: the one who reads may be another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// In this process's pid namespace; 0: nobody there.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// How it wants to learn of messages.
    pub wakeup: Wakeup,
    /// Whether it wants to be an observer, for whom nobody waits.
    pub observes: bool,
    /// Where it wants to start.
    pub from: Start,
    /// Whether it asks for the statistics alone, and takes no slot.
    pub inspects: bool,
}

/// On what terms one is let in, as [`ListenerOptions::accept`] decides.
///
/// ```
/// use std::time::Duration;
/// use zbq::{ListenerOptions, Patience};
/// // No more of the past than that, and no slow readers.
/// let options = ListenerOptions::new().accept(|peer, terms| {
///     terms.history = 1 << 16;
///     terms.limit = Some(Patience {
///         at_once: Duration::from_millis(10),
///         per_second: Duration::from_millis(1),
///     });
///     peer.pid != 0
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Bytes that it may start back, at most. At first: as many as there are.
    pub history: u64,
    /// How long the producer waits for it, if not as for all.
    pub limit: Option<Patience>,
}

impl Terms {
    pub(super) fn new() -> Self {
        Self {
            history: u64::MAX,
            limit: None,
        }
    }
}

/// What decides.
type Accept = dyn Fn(&Peer, &mut Terms) -> bool + Send + Sync;

/// Who may join, and how much strangers may cost.
///
/// ```
/// # const OPERATORS: u32 = 1234;
/// // Whoever is in that group may watch, and can hold up nobody; half of the slots are for others.
/// let options = zbq::ListenerOptions::new().observing_groups(&[OPERATORS]).max_observers(8);
/// ```
///
/// Only numbers count that the kernel has for somebody. 65534, or what `overflowuid` and
/// `overflowgid` in `/proc/sys/kernel` say, stands for all whom this process's user namespace has no
/// number for, so it admits nobody: not on a list, and not as this process's own.
#[must_use = "each of its methods gives a changed one"]
#[derive(Clone)]
pub struct ListenerOptions {
    pub(super) listed: List,
    pub(super) observing: List,
    pub(super) max_observers: u32,
    accept: Option<Arc<Accept>>,
    pub(super) strangers: StrangerLimits,
}

impl ListenerOptions {
    /// This process's own user (its effective one) alone.
    pub fn new() -> Self {
        Self {
            listed: List::default(),
            observing: List::default(),
            max_observers: u32::MAX,
            accept: None,
            strangers: StrangerLimits::default(),
        }
    }

    /// Users that may join, too.
    pub fn users(mut self, users: &[u32]) -> Self {
        self.listed.users = users.to_vec();
        self
    }

    /// Groups whose members may join, too: by their effective or a supplementary group.
    pub fn groups(mut self, groups: &[u32]) -> Self {
        self.listed.groups = groups.to_vec();
        self
    }

    /// Users that may observe ([`Flow`](crate::Flow)), and nothing else: they can harm nobody.
    pub fn observing_users(mut self, users: &[u32]) -> Self {
        self.observing.users = users.to_vec();
        self
    }

    /// Groups whose members may observe, and nothing else.
    pub fn observing_groups(mut self, groups: &[u32]) -> Self {
        self.observing.groups = groups.to_vec();
        self
    }

    /// Slots of the ring that observers may have, at one time.
    pub fn max_observers(mut self, count: u32) -> Self {
        self.max_observers = count;
        self
    }

    /// Asked last: `false` refuses. It may change the terms. Runs inside of
    /// [`serve`](crate::Listener::serve).
    ///
    /// ```
    /// // Only those that poll: they never need to be woken.
    /// let options = zbq::ListenerOptions::new().accept(|peer, _| peer.wakeup == zbq::Wakeup::Pull);
    /// ```
    pub fn accept(
        mut self,
        accept: impl Fn(&Peer, &mut Terms) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.accept = Some(Arc::new(accept));
        self
    }

    /// Connections that have not said what they want: the oldest makes way for a newer one. 16 at
    /// first; 0 is as 1.
    ///
    /// ```
    /// let options = zbq::ListenerOptions::new().max_strangers(4);
    /// ```
    pub fn max_strangers(mut self, count: usize) -> Self {
        self.strangers.most = count;
        self
    }

    /// How long one may take to say it. 5 seconds at first.
    ///
    /// ```
    /// let options = zbq::ListenerOptions::new().patience(std::time::Duration::from_secs(1));
    /// ```
    pub fn patience(mut self, time: Duration) -> Self {
        self.strangers.patience = time;
        self
    }

    pub(super) fn is_for_others(&self) -> bool {
        !self.listed.is_empty() || !self.observing.is_empty()
    }

    pub(super) fn is_accepted(&self, who: &Peer, terms: &mut Terms) -> bool {
        self.accept
            .as_ref()
            .map_or(true, |accept| accept(who, terms))
    }
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ListenerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerOptions")
            .field("listed", &self.listed)
            .field("observing", &self.observing)
            .field("max_observers", &self.max_observers)
            .field("strangers", &self.strangers)
            .finish_non_exhaustive()
    }
}
