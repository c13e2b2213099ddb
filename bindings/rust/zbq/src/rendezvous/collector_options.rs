// SPDX-License-Identifier: MIT
//! Who may dial in, and how much of what.

use super::doorway::StrangerLimits;
use super::identity::List;
use super::source::{Caller, Source};
use crate::error::Error;
use std::fmt;
use std::time::Duration;

type Accept = Box<dyn FnMut(&Caller) -> bool + Send>;
type OnJoin = Box<dyn FnMut(&Source) + Send>;
type OnEnd = Box<dyn FnMut(&Source, Error) + Send>;
type OnRefusal = Box<dyn FnMut(&Caller, Error) + Send>;

/// Who may dial in, how much of what, and who is told.
///
/// ```
/// use std::time::Duration;
/// let options = zbq::CollectorOptions::new()
///     .max_sources(1000)
///     .max_capacity(16 << 20)
///     .on_end(|source, how| eprintln!("{:?}: {}", source.who().name, how));
/// ```
///
/// Only numbers count that the kernel has for somebody, as in
/// [`ListenerOptions`](crate::ListenerOptions). Functions are called inside of
/// [`Collector::serve`](crate::Collector::serve), which they must not hold up.
#[must_use = "each of its methods gives a changed one"]
pub struct CollectorOptions {
    pub(super) listed: List,
    pub(super) accept: Option<Accept>,
    pub(super) max_sources: usize,
    pub(super) max_capacity: u64,
    pub(super) turn: usize,
    pub(super) hold: Duration,
    pub(super) strangers: StrangerLimits,
    pub(super) on_join: Option<OnJoin>,
    pub(super) on_end: Option<OnEnd>,
    pub(super) on_refusal: Option<OnRefusal>,
}

impl CollectorOptions {
    /// This process's own user (its effective one) alone; 200 sources with rings of a gibibyte at
    /// most; turns of 1,024 messages.
    pub fn new() -> Self {
        Self {
            listed: List::default(),
            accept: None,
            max_sources: 200,
            max_capacity: 1 << 30,
            turn: 1024,
            hold: Duration::from_millis(10),
            strangers: StrangerLimits::default(),
            on_join: None,
            on_end: None,
            on_refusal: None,
        }
    }

    /// Users that may dial in, too.
    ///
    /// ```
    /// # const APPS: u32 = 1234;
    /// let options = zbq::CollectorOptions::new().users(&[APPS]);
    /// ```
    pub fn users(mut self, users: &[u32]) -> Self {
        self.listed.users = users.to_vec();
        self
    }

    /// Groups whose members may, too: by their effective or a supplementary group.
    ///
    /// ```
    /// # const APPS: u32 = 1234;
    /// let options = zbq::CollectorOptions::new().groups(&[APPS]);
    /// ```
    pub fn groups(mut self, groups: &[u32]) -> Self {
        self.listed.groups = groups.to_vec();
        self
    }

    /// Asked last: `false` refuses.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().accept(|caller| caller.name == "camera");
    /// ```
    pub fn accept(mut self, accept: impl FnMut(&Caller) -> bool + Send + 'static) -> Self {
        self.accept = Some(Box::new(accept));
        self
    }

    /// Sources at one time. Each takes five descriptors of this process, and the address space of its
    /// ring twice.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().max_sources(20);
    /// ```
    pub fn max_sources(mut self, count: usize) -> Self {
        self.max_sources = count;
        self
    }

    /// Bytes of the largest ring that a source may have.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().max_capacity(16 << 20);
    /// ```
    pub fn max_capacity(mut self, bytes: u64) -> Self {
        self.max_capacity = bytes;
        self
    }

    /// Messages that one source may have at a turn; 0 is as 1.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().turn(16);
    /// ```
    pub fn turn(mut self, messages: usize) -> Self {
        self.turn = messages.max(1);
        self
    }

    /// How long messages that are given in order wait for those of silent sources. 10 ms at first.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().hold(std::time::Duration::from_millis(100));
    /// ```
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// Callers that are not settled: the oldest makes way for a newer one. 16 at first; 0 is as 1.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().max_strangers(4);
    /// ```
    pub fn max_strangers(mut self, count: usize) -> Self {
        self.strangers.most = count;
        self
    }

    /// How long one may take to be settled. 5 seconds at first.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new().patience(std::time::Duration::from_secs(1));
    /// ```
    pub fn patience(mut self, time: Duration) -> Self {
        self.strangers.patience = time;
        self
    }

    /// Told of each source that comes, before its first message.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new()
    ///     .on_join(|source| eprintln!("{:?} came", source.who().name));
    /// ```
    pub fn on_join(mut self, tell: impl FnMut(&Source) + Send + 'static) -> Self {
        self.on_join = Some(Box::new(tell));
        self
    }

    /// Told of each that goes, after its last message, and how: [`Error::Closed`],
    /// [`Error::ProducerDied`], [`Error::Protocol`] (it broke that), [`Error::Evicted`] (this collector
    /// was too slow for it).
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new()
    ///     .on_end(|source, how| eprintln!("{:?}: {}", source.who().name, how));
    /// ```
    pub fn on_end(mut self, tell: impl FnMut(&Source, Error) + Send + 'static) -> Self {
        self.on_end = Some(Box::new(tell));
        self
    }

    /// Told of each that was not let in: [`Error::Full`], [`Error::Refused`], [`Error::TooLarge`] (its
    /// ring), or why its join failed.
    ///
    /// ```
    /// let options = zbq::CollectorOptions::new()
    ///     .on_refusal(|caller, why| eprintln!("process {}: {}", caller.pid, why));
    /// ```
    pub fn on_refusal(mut self, tell: impl FnMut(&Caller, Error) + Send + 'static) -> Self {
        self.on_refusal = Some(Box::new(tell));
        self
    }

    pub(super) fn is_accepted(&mut self, who: &Caller) -> bool {
        self.accept.as_mut().map_or(true, |accept| accept(who))
    }

    pub(super) fn tell_join(&mut self, source: &Source) {
        if let Some(tell) = &mut self.on_join {
            tell(source);
        }
    }

    pub(super) fn tell_end(&mut self, source: &Source, how: Error) {
        if let Some(tell) = &mut self.on_end {
            tell(source, how);
        }
    }

    pub(super) fn tell_refusal(&mut self, who: &Caller, why: Error) {
        if let Some(tell) = &mut self.on_refusal {
            tell(who, why);
        }
    }
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CollectorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorOptions")
            .field("listed", &self.listed)
            .field("max_sources", &self.max_sources)
            .field("max_capacity", &self.max_capacity)
            .field("turn", &self.turn)
            .field("hold", &self.hold)
            .field("strangers", &self.strangers)
            .finish_non_exhaustive()
    }
}
