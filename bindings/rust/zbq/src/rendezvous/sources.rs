// SPDX-License-Identifier: MIT
//! Who has dialed in to a collector: their coming and going, and whose turn is next.

use super::collector_options::CollectorOptions;
use super::doorway::Stranger;
use super::greeting::{self, Call, Hello, Received};
use super::identity::Nobody;
use super::socket;
use super::source::{Caller, Source};
use super::watch::Epoll;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::{Flow, Wakeup};
use std::collections::{BTreeMap, VecDeque};
use std::convert::TryInto;
use std::io::{self, ErrorKind};
use std::os::unix::io::OwnedFd;

/// One who was welcomed, and whose join is to come.
pub(super) type Affair = Option<Caller>;

/// Bytes of a join message; the capacity of the ring comes first.
const JOIN: usize = 64;

pub(super) struct Sources {
    pub(super) options: CollectorOptions,
    nobody: Nobody,
    all: BTreeMap<u64, Source>,
    ready: VecDeque<u64>, // each once; who comes first has the next turn
    last_number: u64,
}

impl Sources {
    pub(super) fn new(options: CollectorOptions) -> Self {
        Self {
            options,
            nobody: Nobody::ask(),
            all: BTreeMap::new(),
            ready: VecDeque::new(),
            last_number: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Messages that are given in order by one call: a turn for each.
    pub(super) fn most_in_order(&self) -> usize {
        self.options.turn.saturating_mul(self.len().max(1))
    }

    // ---- who comes ----

    /// Whether there is nothing more to expect of this one.
    pub(super) fn is_settled(&mut self, who: &mut Stranger<Affair>, epoll: &Epoll) -> bool {
        if who.affair.is_none() {
            match greeting::receive_hello(&who.socket) {
                Ok(Received::Said(Hello::Call(call))) => {
                    who.affair = self.welcome(&who.socket, call);
                }
                Ok(Received::Said(Hello::Wish(_) | Hello::Inquiry)) => {
                    refuse(&who.socket, greeting::OTHER_SIDE)
                }
                Ok(Received::Nonsense) => refuse(&who.socket, greeting::REFUSED),
                Ok(Received::End) => (),
                Err(error) => return !socket::is_not_yet(&error),
            }
        }
        match &who.affair {
            Some(caller) => self.join(&who.socket, caller, epoll),
            None => true,
        }
    }

    // `None`: it was not, or has gone.
    fn welcome(&mut self, socket: &OwnedFd, call: Call) -> Affair {
        let credentials = socket::peer_of(socket);
        let caller = Caller {
            name: call.name,
            pid: credentials.pid,
            uid: credentials.uid,
            gid: credentials.gid,
            waits: !call.observed,
        };
        if let Err(why) = self.decide(socket, &caller) {
            refuse(
                socket,
                match why {
                    Error::Full => greeting::FULL,
                    _ => greeting::REFUSED,
                },
            );
            self.options.tell_refusal(&caller, why);
            return None;
        }
        socket::let_descriptors_in(socket, true); // those of its join
        let told = greeting::send_answer(socket, greeting::WELCOME);
        told.is_ok().then(|| caller)
    }

    fn decide(&mut self, socket: &OwnedFd, who: &Caller) -> Result<()> {
        let is_own = self.nobody.is_own_user(who.uid);
        let listed = &self.options.listed;
        if !is_own && !listed.has(self.nobody, who.uid, who.gid, socket) {
            return Err(Error::Refused(format!("user {} is not listed", who.uid)));
        }
        if !self.options.is_accepted(who) {
            return Err(Error::Refused(format!("user {} is not accepted", who.uid)));
        }
        self.check_room()
    }

    fn check_room(&self) -> Result<()> {
        if self.all.len() < self.options.max_sources {
            Ok(())
        } else {
            Err(Error::Full)
        }
    }

    // Whether it has joined, or never will.
    fn join(&mut self, socket: &OwnedFd, who: &Caller, epoll: &Epoll) -> bool {
        match self.take_ring(socket, who, epoll) {
            Err(Error::Again) => return false,
            Err(why) => self.options.tell_refusal(who, why),
            Ok(source) => {
                let source = self.all.entry(source.number()).or_insert(source);
                self.options.tell_join(source);
            }
        }
        true
    }

    fn take_ring(&mut self, socket: &OwnedFd, who: &Caller, epoll: &Epoll) -> Result<Source> {
        if announced_capacity(socket)? > self.options.max_capacity {
            return Err(Error::TooLarge);
        }
        let flow = if who.waits {
            Flow::Lossless
        } else {
            Flow::Follow
        };
        let ring = Consumer::join_with(socket, Wakeup::Push, flow)?;
        self.check_room()?; // others came between welcome and join
        self.last_number += 1;
        let number = self.last_number;
        epoll.add_once(number, ring.event_fd()?)?;
        Ok(Source::new(who.clone(), number, ring))
    }

    // ---- turns ----

    /// It has something to read, says its descriptor.
    pub(super) fn note(&mut self, number: u64) {
        if self.all.contains_key(&number) {
            self.make_ready(number);
        }
    }

    pub(super) fn make_ready(&mut self, number: u64) {
        self.ready.push_back(number);
    }

    pub(super) fn count_ready(&self) -> usize {
        self.ready.len()
    }

    /// Whose turn it is; it stays the first.
    pub(super) fn first_ready(&self) -> Option<&Source> {
        self.all.get(self.ready.front()?)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Source> {
        self.all.get(&number)
    }

    /// Behind the others.
    pub(super) fn put_back(&mut self) {
        self.ready.rotate_left(usize::from(!self.ready.is_empty()));
    }

    /// The first has had its turn.
    pub(super) fn take_first(&mut self) {
        self.ready.pop_front();
    }

    /// The first gave nothing, and this is why: it waits for its descriptor, or has ended.
    pub(super) fn rest_first(&mut self, why: Error, epoll: &Epoll) {
        let number = match self.ready.pop_front() {
            Some(number) => number,
            None => return,
        };
        match (why, self.all.get(&number)) {
            (Error::Again, Some(source)) => {
                if let Ok(fd) = source.ring().event_fd() {
                    let _ = epoll.arm(number, fd); // it is there, and watched
                }
            }
            (Error::Lapped, Some(_)) => self.make_ready(number), // there may be more
            (why, _) => self.end(number, why, epoll),
        }
    }

    fn end(&mut self, number: u64, why: Error, epoll: &Epoll) {
        if let Some(source) = self.all.remove(&number) {
            if let Ok(fd) = source.ring().event_fd() {
                epoll.remove(fd);
            }
            let how = source.ring().ending().unwrap_or(why);
            self.options.tell_end(&source, how);
        }
    }
}

fn refuse(socket: &OwnedFd, answer: u8) {
    let _ = greeting::send_answer(socket, answer);
}

// Of the ring that is on its way, before it is mapped, which takes long for a large one; 0: it is no
// join. Error::Again: nothing has come yet. One who has gone with an answer unread shows that first,
// once.
fn announced_capacity(socket: &OwnedFd) -> Result<u64> {
    let mut payload = [0; JOIN];
    let has_gone = |error: &io::Error| error.kind() == ErrorKind::ConnectionReset;
    let mut size = socket::peek(socket, &mut payload);
    while matches!(&size, Err(error) if has_gone(error)) {
        size = socket::peek(socket, &mut payload);
    }
    match size {
        Ok(JOIN) => Ok(payload[..8].try_into().map_or(0, u64::from_ne_bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Err(Error::Again)
        }
        _ => Ok(0),
    }
}
