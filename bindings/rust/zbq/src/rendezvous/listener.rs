// SPDX-License-Identifier: MIT
//! Where consumers find a producer, and who may come in.

use super::greeting::{self, Received};
use super::place::{Directory, Place};
use super::socket;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::options::Wakeup;
use crate::producer::Producer;
use crate::time::Deadline;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Connections that have not said what they want: the oldest makes way for a newer one.
const MAX_STRANGERS: usize = 16;
/// How long one may take to say it.
const PATIENCE: Duration = Duration::from_secs(5);
/// After running out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Who may join.
#[must_use = "each of its methods gives a changed one"]
#[derive(Clone, Debug, Default)]
pub struct ListenerOptions {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl ListenerOptions {
    /// This process's own user (its effective one) alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Users that may join, too.
    pub fn users(mut self, users: &[u32]) -> Self {
        self.users = users.to_vec();
        self
    }

    /// Groups whose members may join, too: by their effective or a supplementary group.
    pub fn groups(mut self, groups: &[u32]) -> Self {
        self.groups = groups.to_vec();
        self
    }

    fn admit(&self, who: &Peer, socket: &OwnedFd) -> bool {
        let is_listed = |group: &u32| self.groups.contains(group);
        who.uid == socket::user()
            || self.users.contains(&who.uid)
            || is_listed(&who.gid)
            || (!self.groups.is_empty() && socket::peer_groups(socket).iter().any(is_listed))
    }

    // For users but the owner, connecting needs permission to write.
    fn mode(&self) -> u32 {
        if self.users.is_empty() && self.groups.is_empty() {
            0o600
        } else {
            0o666
        }
    }
}

/// Who has connected, by the kernel's account of who called connect. What it hands on, it answers
/// for: the one who reads may be another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// In this process's pid namespace; 0: in none that it sees.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// What it asks for.
    pub wakeup: Wakeup,
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
/// all sockets are non-blocking, and each call of [`serve`](Self::serve) does a bounded amount.
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
    options: ListenerOptions,
    watch: Watch,
    listening: OwnedFd,
    strangers: VecDeque<Stranger>, // the oldest first
    paused_until: Option<Instant>,
}

#[derive(Debug)]
struct Stranger {
    socket: OwnedFd,
    until: Instant,
}

impl Listener {
    /// Takes the name. A socket that nobody listens at any more is replaced. Waits while another
    /// process does that in the same directory, for two seconds at most.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (no name), [`Error::TooLarge`] (its length), [`Error::Refused`] (the
    /// directory is not private, or what is there is no socket), [`Error::Again`] (the directory
    /// is locked), [`Error::Io`] (in use: [`ErrorKind::AddrInUse`]; or a system call failed).
    pub fn new(name: impl AsRef<OsStr>, options: ListenerOptions) -> Result<Self> {
        let place = Place::of(name.as_ref(), Directory::Create)?;
        if place.is_abstract() {
            let bound = bind(&place, options.mode())?;
            socket::listen(&bound)?;
            return Self::over(bound, options, None);
        }
        let _lock = lock_directory(place.path())?;
        remove_stale(&place)?;
        let bound = bind(&place, options.mode())?;
        let file = SocketFile::new(place.path())?;
        if options.mode() != 0o600 {
            // What the umask took away from others is given back.
            fs::set_permissions(place.path(), Permissions::from_mode(options.mode()))?;
        }
        socket::listen(&bound)?;
        Self::over(bound, options, Some(file))
    }

    /// Takes over a Unix socket of packets (`SOCK_SEQPACKET`) that listens already, as a service
    /// manager passes one on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (another kind of descriptor, which is closed), [`Error::Io`].
    pub fn from_socket(listening: OwnedFd, options: ListenerOptions) -> Result<Self> {
        Self::over(listening, options, None)
    }

    fn over(
        listening: OwnedFd,
        options: ListenerOptions,
        file: Option<SocketFile>,
    ) -> Result<Self> {
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
        let watch = Watch::new()?;
        watch.add(&listening)?;
        Ok(Self {
            _file: file,
            options,
            watch,
            listening,
            strangers: VecDeque::new(),
            paused_until: None,
        })
    }

    /// Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks. Gives
    /// what became of each who asked.
    pub fn serve(&mut self, producer: &mut Producer) -> Vec<Newcomer> {
        let mut newcomers = Vec::new();
        let options = &self.options;
        self.strangers
            .retain(|who| !is_settled(options, &who.socket, producer, &mut newcomers));
        let now = Instant::now();
        while self.strangers.front().map_or(false, |who| who.until <= now) {
            self.strangers.pop_front();
        }
        if self.paused_until.map_or(true, |until| until <= now) {
            self.pause(None);
            self.accept_some(producer, &mut newcomers);
        }
        let next_end = self.strangers.front().map(|who| who.until);
        let next = [next_end, self.paused_until];
        self.watch.ring_at(next.into_iter().flatten().min());
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

    fn accept_some(&mut self, producer: &mut Producer, newcomers: &mut Vec<Newcomer>) {
        for _ in 0..MAX_STRANGERS {
            let socket = match socket::accept(&self.listening) {
                Ok(socket) => socket,
                Err(error) => return self.stop_accepting(&error),
            };
            if is_settled(&self.options, &socket, producer, newcomers) {
                continue;
            }
            if self.strangers.len() >= MAX_STRANGERS {
                self.strangers.pop_front();
            }
            if self.watch.add(&socket).is_ok() {
                let until = Instant::now() + PATIENCE;
                self.strangers.push_back(Stranger { socket, until });
            }
        }
    }

    fn stop_accepting(&mut self, error: &io::Error) {
        let expected = matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
        );
        if !expected {
            self.pause(Some(Instant::now() + PAUSE));
            self.strangers.clear();
        }
    }

    // Out of descriptors or memory: the queue would keep the descriptor readable all the while.
    fn pause(&mut self, until: Option<Instant>) {
        if until.is_some() != self.paused_until.is_some() {
            // Were it to fail: a wait that ends too early.
            let _ = self.watch.pause(&self.listening, until.is_some());
        }
        self.paused_until = until;
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

// Whether there is nothing more to expect of this one. A greeting is one packet: whole, or not a
// greeting.
fn is_settled(
    options: &ListenerOptions,
    socket: &OwnedFd,
    producer: &mut Producer,
    newcomers: &mut Vec<Newcomer>,
) -> bool {
    let code = match greeting::receive(socket) {
        Ok(Received::Code(code)) => code,
        Ok(Received::End) => return true,
        Ok(Received::Nonsense) => u8::MAX,
        Err(error) => {
            let not_yet = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
            return !not_yet;
        }
    };
    match Wakeup::from_raw(u32::from(code)) {
        Some(wakeup) => newcomers.push(answer(options, socket, wakeup, producer)),
        None => drop(greeting::send(socket, greeting::REFUSED)),
    }
    true
}

fn answer(
    options: &ListenerOptions,
    socket: &OwnedFd,
    wakeup: Wakeup,
    producer: &mut Producer,
) -> Newcomer {
    let credentials = socket::peer_of(socket);
    let peer = Peer {
        pid: credentials.pid,
        uid: credentials.uid,
        gid: credentials.gid,
        wakeup,
    };
    let result = if !options.admit(&peer, socket) {
        let _ = greeting::send(socket, greeting::REFUSED);
        Err(Error::Refused(format!("user {} is not listed", peer.uid)))
    } else if is_full_after_scan(producer) {
        let _ = greeting::send(socket, greeting::FULL);
        Err(Error::Full)
    } else {
        greeting::send(socket, greeting::WELCOME)
            .map_err(Error::from)
            .and_then(|()| producer.admit(socket, wakeup))
    };
    Newcomer { peer, result }
}

fn is_full_after_scan(producer: &mut Producer) -> bool {
    let is_full = |producer: &Producer| {
        let counters = producer.statistics();
        counters.consumers >= counters.max_consumers
    };
    if is_full(producer) {
        producer.scan(); // some may be gone
    }
    is_full(producer)
}

// ---- taking a name ----

/// The socket's file, removed with its last owner if it is still this one.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: Self::identity_of(path)?,
        })
    }

    fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
        let metadata = fs::symlink_metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if matches!(Self::identity_of(&self.path), Ok(now) if now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

// Two listeners that find the same stale socket shall not remove each other's new one.
fn lock_directory(path: &Path) -> Result<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Not a FIFO, for one, where opening waits for somebody who writes.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(directory)?;
    let end = Deadline::after(Some(Duration::from_secs(2)));
    while !socket::try_lock(&file)? {
        let a_moment = end.left(Duration::from_millis(20)).ok_or(Error::Again)?;
        std::thread::sleep(a_moment);
    }
    Ok(file)
}

fn bind(place: &Place, mode: u32) -> Result<OwnedFd> {
    let listening = socket::new()?;
    socket::set_mode(&listening, mode);
    socket::bind(&listening, place)?;
    Ok(listening)
}

fn remove_stale(place: &Place) -> Result<()> {
    let found = match fs::symlink_metadata(place.path()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let why = format!("{} exists and is not a socket", place.name());
        return Err(Error::Refused(why));
    }
    check_stale(place)?;
    match fs::remove_file(place.path()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

// An error unless nobody listens there.
fn check_stale(place: &Place) -> Result<()> {
    let error = match socket::connect(&socket::new()?, place) {
        Ok(()) => io::Error::from_raw_os_error(libc::EADDRINUSE),
        Err(error) => error,
    };
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED | libc::ENOENT) => Ok(()),
        // Its queue is full.
        Some(libc::EAGAIN) => Err(io::Error::from_raw_os_error(libc::EADDRINUSE).into()),
        _ => Err(error.into()), // EPROTOTYPE: of another program
    }
}
