// SPDX-License-Identifier: MIT
//! What the tests share.
#![allow(dead_code)] // not each of them uses all

pub mod others;
pub mod raw;
pub mod strangers;

use std::fs::File;
use std::io::Write;
use std::os::unix::io::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zbq::{
    connect, ConnectOptions, Consumer, Error, Flow, Listener, Options, Producer, Start, Wakeup,
};

pub const PAGE: u64 = 4096;

/// One test at a time: a process that another one is about to start has, for a moment, copies of all
/// sockets here, so that one which is closed does not look so.
pub fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn abstract_name(of: &str) -> String {
    format!("@zbq-rust-{}-{of}", std::process::id())
}

/// Long enough that whoever waits for it has hung.
pub const LONG: Option<Duration> = Some(Duration::from_secs(60));

pub fn producer(capacity: u64) -> Producer {
    Producer::new(&Options::new().capacity(capacity).stall_timeout(None)).unwrap()
}

/// A ring of a page, whose producer evicts at once who is in its way.
pub fn impatient() -> Options {
    Options::new()
        .capacity(PAGE)
        .stall_timeout(Some(Duration::from_nanos(1)))
        .clog_threshold(1)
}

/// A consumer of it in this process.
pub fn join(producer: &mut Producer, wakeup: Wakeup) -> Consumer {
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, wakeup).unwrap();
    Consumer::join(&far, wakeup).unwrap()
}

/// One that need not be lossless, and may start in the past.
pub fn join_with(producer: &mut Producer, wakeup: Wakeup, flow: Flow, from: Start) -> Consumer {
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit_with(&near, wakeup, flow, from).unwrap();
    Consumer::join_with(&far, wakeup, flow).unwrap()
}

/// One that asks by the name, while the listener serves in this thread.
pub fn connect_to(
    name: &str,
    listener: &mut Listener,
    producer: &mut Producer,
    options: ConnectOptions,
) -> Result<Consumer, Error> {
    let name = name.to_owned();
    let joining = std::thread::spawn(move || connect(name, LONG, &options));
    while !joining.is_finished() {
        let _ = listener.wait_and_serve(producer, Some(Duration::from_millis(1)));
    }
    joining.join().unwrap()
}

pub fn both_ends(capacity: u64) -> (Producer, Consumer) {
    let mut producer = producer(capacity);
    let consumer = join(&mut producer, Wakeup::Push);
    (producer, consumer)
}

/// A payload that tells which message it is of: any two differ, at each place.
pub fn pattern(message: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (message * 31 + i * 7) as u8).collect()
}

/// Says why a test does nothing, past the test runner, which keeps what those that pass print.
pub fn skip(why: &str) {
    let text = format!("skipped: {why}\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

// ---- other processes ----

/// Runs one of this program's ignored tests as a process, with the socket as its standard input.
pub fn spawn(role: &str, socket: UnixStream) -> Child {
    spawn_with_name(role, "", socket)
}

/// The same, for one that asks for a name.
pub fn spawn_with_name(role: &str, name: &str, socket: UnixStream) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", role])
        .env("ZBQ_TEST_NAME", name)
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Such a process that reads.
pub fn spawn_consumer(producer: &mut Producer, role: &str) -> Child {
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    spawn(role, far)
}

/// For the process itself: joins by its standard input.
pub fn join_by_stdin() -> Consumer {
    Consumer::join(std::io::stdin(), Wakeup::Push).unwrap()
}

/// Tells whoever started this process that it is so far.
pub fn say_by_stdin() {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    UnixStream::from(socket).write_all(b"!").unwrap();
}

/// For a process that is to be killed: it also ends with whoever started it.
pub fn wait_to_be_killed() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

pub fn assert_success(mut child: Child) {
    let status: ExitStatus = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

// ---- descriptors ----

pub fn is_readable(fd: impl AsFd) -> bool {
    let mut polled = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&mut polled, 1, 0) == 1 }
}

pub fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Device and inode: the same file, whatever its number.
pub fn identity(fd: impl AsFd) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let file = File::from(fd.as_fd().try_clone_to_owned().unwrap());
    let metadata = file.metadata().unwrap();
    (metadata.dev(), metadata.ino())
}

/// A file that has no name.
pub fn file(text: &str) -> File {
    let path = std::env::temp_dir().join(format!(
        "zbq-rust-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Memory as a file of so many bytes, with these seals.
pub fn memfd(size: u64, seals: libc::c_int) -> OwnedFd {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a text with its zero; a new descriptor, which nobody else owns.
    let file = unsafe {
        let fd = libc::memfd_create(b"zbq-rust\0".as_ptr().cast(), flags);
        assert!(fd >= 0);
        File::from_raw_fd(fd)
    };
    file.set_len(size).unwrap();
    // SAFETY: an open descriptor, and a number.
    assert_eq!(
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) },
        0
    );
    file.into()
}
