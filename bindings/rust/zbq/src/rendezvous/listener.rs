// SPDX-License-Identifier: MIT
//! Where consumers find a producer, and who may come in.

use super::greeting::{self, Received, Wish};
use super::identity::Nobody;
use super::name::{self, Named, SocketFile};
use super::place::{Directory, Place};
use super::socket;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::options::{Flow, Start, Wakeup};
use crate::process::Birthmark;
use crate::producer::Producer;
use crate::time::Deadline;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Connections that have not said what they want: the oldest makes way for a newer one.
const MAX_STRANGERS: usize = 16;
/// How long one may take to say it.
const PATIENCE: Duration = Duration::from_secs(5);
/// For which strangers are left alone, at most.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Who may join.
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
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    listed: List,
    observing: List,
    max_observers: u32,
}

#[derive(Clone, Debug, Default)]
struct List {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl List {
    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    fn has(&self, nobody: Nobody, who: &Peer, socket: &OwnedFd) -> bool {
        let is_listed = |group: &u32| nobody.lists_group(&self.groups, *group);
        nobody.lists_user(&self.users, who.uid)
            || is_listed(&who.gid)
            || (!self.groups.is_empty() && socket::peer_groups(socket).iter().any(is_listed))
    }
}

impl ListenerOptions {
    /// This process's own user (its effective one) alone.
    pub fn new() -> Self {
        Self {
            listed: List::default(),
            observing: List::default(),
            max_observers: u32::MAX,
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

    /// Users that may observe ([`Flow`]), and nothing else: they can harm nobody.
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

    fn admit(&self, nobody: Nobody, who: &Peer, socket: &OwnedFd) -> bool {
        nobody.is_own_user(who.uid)
            || self.listed.has(nobody, who, socket)
            || (who.observes && self.observing.has(nobody, who, socket))
    }

    // For users but the owner, connecting needs permission to write.
    fn mode(&self) -> u32 {
        if self.listed.is_empty() && self.observing.is_empty() {
            0o600
        } else {
            0o666
        }
    }
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self::new()
    }
}

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
}

/// What became of one who asked to be let in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Newcomer {
    /// Who it is.
    pub peer: Peer,
    /// Its slot; or why it has none.
    pub result: Result<u32>,
}

/// Listens at a name and admits consumers to a producer. Nothing that a stranger does blocks it:
/// all sockets are non-blocking, and each call of [`serve`](Self::serve) does a bounded amount, after
/// which strangers are left alone for four times as long as it took, but 100 ms at most.
///
/// A name is a path if it has a slash, an abstract name if it begins with `@`, and else a file in a
/// directory that only this user can enter. A socket in the file system can be connected to by its
/// owner alone (mode 600), or by anyone (666) where other users or groups are on the list; whoever
/// connects is checked by the list in any case. C++ programs and the command-line tool find it by
/// the same name.
///
/// Its descriptor ([`AsFd`]) becomes readable when [`serve`](Self::serve) has something to do. It
/// was made for `poll` and the like: never read from it.
///
/// It belongs to the process that made it: a forked child's copy serves nobody, and leaves the file.
///
/// ```
/// use zbq::{connect, ConnectOptions, Listener, ListenerOptions, Options, Producer};
/// let name = format!("@zbq-doc-{}", std::process::id());
/// let mut listener = Listener::new(&name, ListenerOptions::new())?;
/// let mut producer = Producer::new(&Options::new())?;
/// let reader = std::thread::spawn(move || {
///     let consumer = connect(name, None, &ConnectOptions::new())?;
///     let bytes = consumer.next(None)?.to_vec()?;
///     Ok::<_, zbq::Error>(bytes)
/// });
/// while producer.statistics().consumers == 0 {
///     listener.wait_and_serve(&mut producer, None)?;
/// }
/// producer.publish(b"hello", None)?;
/// assert_eq!(reader.join().unwrap()?, b"hello");
/// # Ok::<(), zbq::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    // Goes first. Were the socket closed before, another listener might take the name over
    // meanwhile, and its new file, that can have the old one's number, would be removed.
    _file: Option<SocketFile>,
    birth: Birthmark,
    options: ListenerOptions,
    nobody: Nobody,
    watch: Watch,
    listening: OwnedFd,
    strangers: VecDeque<Stranger>, // the oldest first
    resting_until: Option<Instant>,
}

#[derive(Debug)]
struct Stranger {
    socket: OwnedFd,
    until: Instant,
}

impl Listener {
    /// Takes the name, which appears when it can be joined. A socket that nobody listens at any more
    /// is replaced. Waits while another process takes the same name, for two seconds at most.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private, or what is there is no socket), [`Error::Again`] (the name is
    /// locked), [`Error::Io`] (in use: [`ErrorKind::AddrInUse`]; or a system call failed).
    pub fn new(name: impl AsRef<OsStr>, options: ListenerOptions) -> Result<Self> {
        let place = Place::of(name.as_ref(), Directory::Create)?;
        Self::over(name::listen_at(&place, options.mode())?, options)
    }

    /// Takes over a Unix socket of packets (`SOCK_SEQPACKET`) that listens already, as a service
    /// manager passes one on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (another kind of descriptor, which is closed), [`Error::Io`].
    pub fn from_socket(listening: OwnedFd, options: ListenerOptions) -> Result<Self> {
        let is =
            |option, value| matches!(socket::int_option(&listening, option), Ok(is) if is == value);
        if !is(libc::SO_DOMAIN, libc::AF_UNIX)
            || !is(libc::SO_TYPE, libc::SOCK_SEQPACKET)
            || !is(libc::SO_ACCEPTCONN, 1)
        {
            return Err(Error::Invalid);
        }
        socket::refuse_descriptors(&listening);
        socket::set_nonblocking(&listening)?;
        let (socket, file) = (listening, None);
        Self::over(Named { socket, file }, options)
    }

    fn over(named: Named, options: ListenerOptions) -> Result<Self> {
        let watch = Watch::new()?;
        watch.add(&named.socket)?;
        Ok(Self {
            _file: named.file,
            birth: Birthmark::new()?,
            options,
            nobody: Nobody::ask(),
            watch,
            listening: named.socket,
            strangers: VecDeque::new(),
            resting_until: None,
        })
    }

    /// Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks. Gives
    /// what became of each who asked. Nothing in a forked child, and nothing while strangers are
    /// left alone.
    pub fn serve(&mut self, producer: &mut Producer) -> Vec<Newcomer> {
        let mut newcomers = Vec::new();
        let start = Instant::now();
        if !self.birth.is_here() || self.resting_until.map_or(false, |until| until > start) {
            return newcomers;
        }
        self.rest(None);
        let answered = self.hear_strangers(producer, &mut newcomers);
        let accepted = self.accept_some(producer, &mut newcomers);
        if answered || accepted {
            self.rest_from(start.elapsed());
        }
        let next_end = self.strangers.front().map(|who| who.until);
        self.watch.ring_at(self.resting_until.or(next_end));
        newcomers
    }

    /// Waits until there is something to do, and does it; without a time-out for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: nothing in time. [`Error::Io`]: it cannot wait.
    pub fn wait_and_serve(
        &mut self,
        producer: &mut Producer,
        timeout: Option<Duration>,
    ) -> Result<Vec<Newcomer>> {
        let end = Deadline::after(timeout);
        let most = Duration::from_secs(3600);
        while !crate::poll::readable(self.as_fd(), end.left(most).unwrap_or_default())? {
            end.left(most).ok_or(Error::Again)?;
        }
        Ok(self.serve(producer))
    }

    // Whether any of them has been answered.
    fn hear_strangers(&mut self, producer: &mut Producer, newcomers: &mut Vec<Newcomer>) -> bool {
        let before = self.strangers.len();
        let (door, watch) = (Door::of(&self.options, self.nobody), &self.watch);
        self.strangers.retain(|who| {
            let keep = !door.is_settled(&who.socket, producer, newcomers);
            if !keep {
                watch.remove(&who.socket);
            }
            keep
        });
        let answered = self.strangers.len() != before;
        let now = Instant::now();
        while self.strangers.front().map_or(false, |who| who.until <= now) {
            self.drop_oldest();
        }
        answered
    }

    // Whether there was anybody.
    fn accept_some(&mut self, producer: &mut Producer, newcomers: &mut Vec<Newcomer>) -> bool {
        for i in 0..MAX_STRANGERS {
            let socket = match socket::accept(&self.listening) {
                Ok(socket) => socket,
                Err(error) => {
                    self.stop_accepting(&error);
                    return i != 0;
                }
            };
            let door = Door::of(&self.options, self.nobody);
            if !door.is_settled(&socket, producer, newcomers) {
                self.keep(socket);
            }
        }
        true
    }

    fn keep(&mut self, socket: OwnedFd) {
        if self.strangers.len() >= MAX_STRANGERS {
            self.drop_oldest();
        }
        if self.watch.add(&socket).is_ok() {
            let until = Instant::now() + PATIENCE;
            self.strangers.push_back(Stranger { socket, until });
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

    // Whoever comes, the producer has four fifths of its time to itself.
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

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

// ---- one who connected ----

/// Who decides.
struct Door<'l> {
    options: &'l ListenerOptions,
    nobody: Nobody,
}

impl<'l> Door<'l> {
    fn of(options: &'l ListenerOptions, nobody: Nobody) -> Self {
        Self { options, nobody }
    }

    // Whether there is nothing more to expect of this one. A greeting is one packet: whole, or not
    // a greeting.
    fn is_settled(
        &self,
        socket: &OwnedFd,
        producer: &mut Producer,
        newcomers: &mut Vec<Newcomer>,
    ) -> bool {
        match greeting::receive_hello(socket) {
            Ok(Received::Said(wish)) => newcomers.push(self.answer(socket, wish, producer)),
            Ok(Received::Nonsense) => drop(greeting::send_answer(socket, greeting::REFUSED)),
            Ok(Received::End) => (),
            Err(error) => {
                let not_yet =
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
                return !not_yet;
            }
        }
        true
    }

    fn answer(&self, socket: &OwnedFd, wish: Wish, producer: &mut Producer) -> Newcomer {
        let credentials = socket::peer_of(socket);
        let peer = Peer {
            pid: credentials.pid,
            uid: credentials.uid,
            gid: credentials.gid,
            wakeup: wish.wakeup,
            observes: wish.observes,
            from: wish.from,
        };
        let decided = self.decide(socket, &peer, producer);
        let answer = match &decided {
            Ok(()) => greeting::WELCOME,
            Err(Error::Full) => greeting::FULL,
            Err(Error::Invalid) => greeting::NO_SUCH_START,
            Err(_) => greeting::REFUSED,
        };
        let told = greeting::send_answer(socket, answer);
        let result = decided
            .and_then(|()| told.map_err(Error::from))
            .and_then(|()| {
                let flow = if peer.observes {
                    Flow::Follow
                } else {
                    Flow::Lossless
                };
                producer.admit_with(socket, peer.wakeup, flow, peer.from)
            });
        Newcomer { peer, result }
    }

    fn decide(&self, socket: &OwnedFd, peer: &Peer, producer: &mut Producer) -> Result<()> {
        if !self.options.admit(self.nobody, peer, socket) {
            return Err(Error::Refused(format!("user {} is not listed", peer.uid)));
        }
        producer.check_start(peer.from)?;
        if self.is_full(peer, producer) {
            producer.scan(); // some may be gone
        }
        if self.is_full(peer, producer) {
            return Err(Error::Full);
        }
        Ok(())
    }

    fn is_full(&self, peer: &Peer, producer: &Producer) -> bool {
        let counters = producer.statistics();
        let most = self.options.max_observers;
        counters.consumers >= counters.max_consumers
            || (peer.observes
                && most < counters.max_consumers
                && observers_of(producer, counters.max_consumers) >= most)
    }
}

/// How many slots observers have.
fn observers_of(producer: &Producer, slots: u32) -> u32 {
    let observes = |slot: &u32| {
        let info = producer.consumer_info(*slot);
        info.map_or(false, |info| info.present && info.observes)
    };
    (0..slots).filter(observes).count() as u32
}
