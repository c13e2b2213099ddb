// SPDX-License-Identifier: MIT
//! Where consumers find a producer.

use super::admission::{ListenerOptions, Peer, Terms};
use super::doorway::Doorway;
use super::greeting::{self, Hello, Received, Wish};
use super::identity::{mode_for, Nobody};
use super::name::{self, Named};
use super::passed;
use super::place::{Directory, Place};
use super::socket;
use crate::attached::Service;
use crate::error::{Error, Result};
use crate::options::{Flow, Start, Wakeup, WHICHEVER_RING};
use crate::poll;
use crate::producer::Producer;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

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
/// Who asks for the producer's statistics ([`inspect`](crate::inspect)) gets them where it could join
/// as an observer: they take no slot, and are not reported.
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
pub struct Listener {
    keeper: Doorkeeper,
    door: Doorway<()>,
}

impl Listener {
    /// Takes the name, which appears when it can be joined. A socket that nobody listens at any more
    /// is replaced. Waits while another process takes the same name, for two seconds at most.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private, or what is there is no socket), [`Error::Again`] (the name is
    /// locked), [`Error::Io`] (in use: [`ErrorKind::AddrInUse`](std::io::ErrorKind::AddrInUse); or a system call failed).
    pub fn new(name: impl AsRef<OsStr>, options: ListenerOptions) -> Result<Self> {
        let place = Place::of(name.as_ref(), Directory::Create)?;
        let named = name::listen_at(&place, mode_for(options.is_for_others()))?;
        let mut listener = Self::over(named, options)?;
        listener.keeper.name = name.as_ref().to_owned();
        Ok(listener)
    }

    /// Takes over a Unix socket of packets (`SOCK_SEQPACKET`) that listens already, as a service
    /// manager passes one on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (another kind of descriptor, which is closed), [`Error::Io`].
    pub fn from_socket(listening: OwnedFd, options: ListenerOptions) -> Result<Self> {
        Self::over(passed::take_over(listening)?, options)
    }

    /// Takes over the socket that systemd listens at (`ListenSequentialPacket=`), as
    /// `sd_listen_fds(3)` describes: by its `FileDescriptorName=`, or without a name the first one.
    /// `None`: none was passed to this process. What was passed stays open, close-on-exec; this
    /// listener has a copy.
    ///
    /// ```
    /// use zbq::{Listener, ListenerOptions};
    /// # let name = format!("@zbq-doc-systemd-{}", std::process::id());
    /// let listener = match Listener::from_systemd("", ListenerOptions::new())? {
    ///     Some(listener) => listener, // readers could connect before this program ran
    ///     None => Listener::new(&name, ListenerOptions::new())?,
    /// };
    /// # Ok::<(), zbq::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_socket`](Self::from_socket).
    pub fn from_systemd(fd_name: &str, options: ListenerOptions) -> Result<Option<Self>> {
        passed::passed_socket(fd_name)?
            .map(|listening| Self::from_socket(listening, options))
            .transpose()
    }

    fn over(named: Named, options: ListenerOptions) -> Result<Self> {
        let door = Doorway::new(named, options.strangers)?;
        let keeper = Doorkeeper {
            name: OsString::new(),
            options,
            nobody: Nobody::ask(),
        };
        Ok(Self { keeper, door })
    }

    /// Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks. Gives
    /// what became of each who asked. Nothing in a forked child, and nothing while strangers are
    /// left alone.
    pub fn serve(&mut self, producer: &mut Producer) -> Vec<Newcomer> {
        let mut newcomers = Vec::new();
        let keeper = &self.keeper;
        self.door
            .serve(|who| keeper.is_settled(&who.socket, producer, &mut newcomers));
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
        poll::wait(self.as_fd(), timeout)?;
        Ok(self.serve(producer))
    }
}

impl Service for Listener {
    fn serve(&mut self, ring: &mut Producer) -> Result<()> {
        Self::serve(self, ring);
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.door.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("options", &self.keeper.options)
            .finish_non_exhaustive()
    }
}

// ---- one who connected ----

/// Who decides.
struct Doorkeeper {
    name: OsString, // empty: it was not given
    options: ListenerOptions,
    nobody: Nobody,
}

impl Doorkeeper {
    // Whether there is nothing more to expect of this one. A greeting is one packet: whole, or not
    // a greeting.
    fn is_settled(
        &self,
        socket: &OwnedFd,
        producer: &mut Producer,
        newcomers: &mut Vec<Newcomer>,
    ) -> bool {
        let answer = match greeting::receive_hello(socket) {
            Ok(Received::Said(Hello::Wish(wish))) => {
                newcomers.push(self.answer(socket, wish, producer));
                return true;
            }
            Ok(Received::Said(Hello::Inquiry)) => {
                self.answer_inquiry(socket, producer);
                return true;
            }
            Ok(Received::Said(Hello::Call(_))) => greeting::OTHER_SIDE,
            Ok(Received::Nonsense) => greeting::REFUSED,
            Ok(Received::End) => return true,
            Err(error) => return !socket::is_not_yet(&error),
        };
        let _ = greeting::send_answer(socket, answer);
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
            inspects: false,
        };
        let decided = self.decide(socket, &peer, producer);
        let answer = match &decided {
            Ok(_) => greeting::WELCOME,
            Err(Error::Full) => greeting::FULL,
            Err(Error::Invalid) => greeting::NO_SUCH_START,
            Err(_) => greeting::REFUSED,
        };
        let told = greeting::send_answer(socket, answer).map_err(Error::from);
        let result = decided
            .and_then(|terms| told.map(|()| terms))
            .and_then(|terms| admit(socket, &peer, terms, producer));
        Newcomer { peer, result }
    }

    // To whom an observer's place would be given.
    fn answer_inquiry(&self, socket: &OwnedFd, producer: &mut Producer) {
        let credentials = socket::peer_of(socket);
        let peer = Peer {
            pid: credentials.pid,
            uid: credentials.uid,
            gid: credentials.gid,
            wakeup: Wakeup::Pull,
            observes: true,
            from: Start::Head,
            inspects: true,
        };
        let may =
            self.is_listed(socket, &peer) && self.options.is_accepted(&peer, &mut Terms::new());
        let answer = if may {
            greeting::WELCOME
        } else {
            greeting::REFUSED
        };
        if greeting::send_answer(socket, answer).is_ok() && may {
            producer.name_if_nameless(self.name.as_bytes());
            let _ = producer.send_statistics(socket); // else it finds the line closed
        }
    }

    fn decide(&self, socket: &OwnedFd, peer: &Peer, producer: &mut Producer) -> Result<Terms> {
        if !self.is_listed(socket, peer) {
            return Err(Error::Refused(format!("user {} is not listed", peer.uid)));
        }
        let mut terms = Terms::new();
        if !self.options.is_accepted(peer, &mut terms) {
            return Err(Error::Refused(format!("user {} is not accepted", peer.uid)));
        }
        producer.find_start(peer.from)?;
        if self.is_full(peer, producer) {
            producer.scan(); // some may be gone
        }
        if self.is_full(peer, producer) {
            return Err(Error::Full);
        }
        Ok(terms)
    }

    fn is_listed(&self, socket: &OwnedFd, peer: &Peer) -> bool {
        let Self {
            options, nobody, ..
        } = self;
        nobody.is_own_user(peer.uid)
            || options.listed.has(*nobody, peer.uid, peer.gid, socket)
            || (peer.observes && options.observing.has(*nobody, peer.uid, peer.gid, socket))
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

fn admit(socket: &OwnedFd, peer: &Peer, terms: Terms, producer: &mut Producer) -> Result<u32> {
    let flow = if peer.observes {
        Flow::Follow
    } else {
        Flow::Lossless
    };
    let from = within(peer.from, terms.history, producer)?;
    let slot = producer.admit_with(socket, peer.wakeup, flow, from)?;
    if terms.limit.is_some() {
        producer.set_patience(Some(slot), terms.limit)?;
    }
    Ok(slot)
}

// Where one starts that may not start further back.
fn within(wanted: Start, history: u64, producer: &Producer) -> Result<Start> {
    // What is asked for, and not the message before it that the producer knows.
    let back = match wanted {
        Start::Last(bytes) => bytes,
        Start::At(ring, offset) if ring == WHICHEVER_RING || ring == producer.id() => {
            producer.head() - offset // which is not past it
        }
        _ => u64::MAX,
    };
    let most = Start::Within(history);
    if back <= history || producer.find_start(wanted)? >= producer.find_start(most)? {
        Ok(wanted)
    } else {
        Ok(most)
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
