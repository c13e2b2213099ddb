// SPDX-License-Identifier: MIT
//! Names, and who may come in.

mod support;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Duration;
use support::others::{as_user, group_of_stranger, in_forked_child, test_name, NOBODY, STRANGER};
use support::strangers::{answer, call, hello, hung_up, listening_at, packet_socket_to, say};
use support::{abstract_name, alone, producer, LONG, PAGE};
use zbq::{
    connect, ConnectOptions, Consumer, Error, Eviction, Flow, Listener, ListenerOptions, Options,
    Patience, Producer, Start, Wakeup,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// What must not be there yet when a socket begins to listen, and how often that was looked at; a
/// hundred times as much where it was there.
static NOT_YET: Mutex<Option<PathBuf>> = Mutex::new(None);
static LOOKS: AtomicUsize = AtomicUsize::new(0);

/// The dynamic linker takes this one for libc's.
#[export_name = "listen"]
extern "C" fn look_and_listen(fd: libc::c_int, backlog: libc::c_int) -> libc::c_int {
    if let Some(path) = &*NOT_YET.lock().unwrap() {
        LOOKS.fetch_add(1 + usize::from(path.exists()) * 100, Ordering::Relaxed);
    }
    // SAFETY: numbers.
    unsafe { libc::syscall(libc::SYS_listen, fd, backlog) as libc::c_int }
}

fn listen(name: impl AsRef<std::ffi::OsStr>) -> Result<Listener, Error> {
    Listener::new(name, ListenerOptions::new())
}

fn connect_now(name: impl AsRef<std::ffi::OsStr>) -> Result<Consumer, Error> {
    let options = ConnectOptions::new().wait_for_producer(false);
    connect(name, NOW, &options)
}

/// A consumer by name, while the listener serves in this thread.
fn join_by_name(
    name: &str,
    listener: &mut Listener,
    producer: &mut Producer,
) -> Result<Consumer, Error> {
    let name = name.to_owned();
    let joining = std::thread::spawn(move || connect(name, LONG, &ConnectOptions::new()));
    let newcomers = loop {
        let newcomers = listener.wait_and_serve(producer, LONG).unwrap();
        if !newcomers.is_empty() {
            break newcomers;
        }
    };
    assert_eq!(newcomers.len(), 1);
    assert_eq!(newcomers[0].peer.pid, std::process::id() as i32);
    let joined = joining.join().unwrap();
    assert_eq!(joined.is_ok(), newcomers[0].result.is_ok());
    joined
}

/// A directory that goes with this.
struct TempDir(PathBuf);

impl TempDir {
    fn new(of: &str) -> Self {
        let path = std::env::temp_dir().join(format!("zbq-rust-{}-{of}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_full_ring_says_so() {
    let _alone = alone();
    let name = abstract_name("full");
    let mut listener = listen(&name).unwrap();
    let mut ring = Producer::new(&Options::new().capacity(PAGE).max_consumers(1)).unwrap();
    let first = join_by_name(&name, &mut listener, &mut ring).unwrap();
    let second = join_by_name(&name, &mut listener, &mut ring);
    assert!(matches!(second, Err(Error::Full)), "{second:?}");
    ring.try_publish(b"x").unwrap();
    assert_eq!(first.try_next().unwrap().to_vec().unwrap(), b"x");
    drop(first);
    join_by_name(&name, &mut listener, &mut ring).unwrap(); // the dead make room
}

#[test]
fn observers_have_slots_of_their_own() {
    let _alone = alone();
    let name = abstract_name("slots");
    let options = ListenerOptions::new().max_observers(1);
    let mut listener = Listener::new(&name, options).unwrap();
    let mut ring = producer(PAGE);
    let mut join = |ring: &mut Producer, flow| {
        support::connect_to(&name, &mut listener, ring, ConnectOptions::new().flow(flow))
    };
    let first = join(&mut ring, Flow::Follow).unwrap();
    let second = join(&mut ring, Flow::Newest);
    assert!(matches!(second, Err(Error::Full)), "{second:?}");
    join(&mut ring, Flow::Lossless).unwrap();
    drop(first);
    join(&mut ring, Flow::Newest).unwrap(); // the dead make room
}

#[test]
fn a_newcomer_tells_what_it_wants() {
    let _alone = alone();
    let name = abstract_name("wishes");
    let mut listener = listen(&name).unwrap();
    let mut ring = producer(PAGE);
    ring.try_publish(b"x").unwrap();
    let from = Start::At(ring.id(), 32);
    let options = ConnectOptions::new()
        .wakeup(Wakeup::Pull)
        .flow(Flow::Newest)
        .from(from);
    let joining = std::thread::spawn(move || connect(name, LONG, &options));
    let newcomer = loop {
        if let Some(newcomer) = listener.wait_and_serve(&mut ring, LONG).unwrap().pop() {
            break newcomer;
        }
    };
    let reader = joining.join().unwrap().unwrap();
    assert_eq!((reader.flow(), reader.offset()), (Flow::Newest, 32));
    assert_eq!(
        (newcomer.peer.wakeup, newcomer.peer.observes),
        (Wakeup::Pull, true)
    );
    assert_eq!(newcomer.peer.from, from);
    assert_eq!(newcomer.result.unwrap(), 0);
}

#[test]
fn the_application_may_refuse() {
    let _alone = alone();
    let name = abstract_name("accept");
    let options = ListenerOptions::new().accept(|peer, _| peer.wakeup == Wakeup::Pull);
    let mut listener = Listener::new(&name, options).unwrap();
    let mut ring = producer(PAGE);
    let mut join = |options| support::connect_to(&name, &mut listener, &mut ring, options);
    let refused = join(ConnectOptions::new());
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    join(ConnectOptions::new().wakeup(Wakeup::Pull)).unwrap();
    assert_eq!(ring.statistics().joined, 1);
}

#[test]
fn the_application_may_limit_history() {
    let _alone = alone();
    const KIB: u64 = 1024; // what each message takes
    const ALLOWED: u64 = 200_000;
    const STEP: u64 = (1 << 20) / 32;
    let name = abstract_name("history");
    let options = ListenerOptions::new().accept(|_, terms| {
        terms.history = ALLOWED;
        true
    });
    let mut listener = Listener::new(&name, options).unwrap();
    let mut ring = producer(1 << 20);
    for _ in 0..600 {
        ring.try_publish(&[0; 1000]).unwrap();
    }
    let (head, id) = (ring.head(), ring.id());
    let mut offset_from = |from| {
        let options = ConnectOptions::new().flow(Flow::Follow).from(from);
        let reader = support::connect_to(&name, &mut listener, &mut ring, options);
        reader.unwrap().offset()
    };
    for from in [Start::Oldest, Start::At(id, KIB), Start::Last(u64::MAX)] {
        let offset = offset_from(from);
        let most = head - ALLOWED;
        assert!((most..=most + 2 * STEP).contains(&offset), "{from:?}");
    }
    assert_eq!(offset_from(Start::Head), head);
    let near = head - 10 * KIB;
    assert_eq!(offset_from(Start::At(id, near)), near);
    assert_eq!(offset_from(Start::Last(10 * KIB)), near);
    assert_eq!(offset_from(Start::Last(10 * KIB + 1023)), near);
    assert_eq!(offset_from(Start::Last(10 * KIB - 1)), head - 9 * KIB);
}

#[test]
fn the_application_may_limit_patience() {
    let _alone = alone();
    let name = abstract_name("limit");
    let options = ListenerOptions::new().accept(|_, terms| {
        terms.limit = Some(Patience {
            at_once: Duration::from_millis(1),
            per_second: Duration::ZERO,
        });
        true
    });
    let mut listener = Listener::new(&name, options).unwrap();
    let mut ring = producer(PAGE);
    let slow = join_by_name(&name, &mut listener, &mut ring).unwrap();
    while slow.ending().is_none() {
        ring.publish(&[0; 1000], LONG).unwrap();
    }
    let ending = slow.ending();
    assert!(
        matches!(ending, Some(Error::Evicted(Eviction::Slow))),
        "{ending:?}"
    );
}

#[test]
fn nobody_is_there() {
    let _alone = alone();
    let name = abstract_name("nobody");
    assert!(matches!(connect_now(&name), Err(Error::NoProducer)));
    let short = Some(Duration::from_millis(20));
    let waited = connect(&name, short, &ConnectOptions::new());
    assert!(matches!(waited, Err(Error::NoProducer)));
    let _silent = listen(&name).unwrap(); // which nobody serves
    let unanswered = connect(&name, short, &ConnectOptions::new());
    assert!(matches!(unanswered, Err(Error::Again)));
}

#[test]
fn names_are_checked() {
    let _alone = alone();
    for name in ["", ".", "..", "@", "dir/", "nul\0"] {
        assert!(matches!(listen(name), Err(Error::Invalid)), "{name:?}");
        assert!(matches!(connect_now(name), Err(Error::Invalid)), "{name:?}");
    }
    for (name, fits) in [(107, true), (108, true), (109, false)] {
        let name = format!("@{}", "x".repeat(name - 1));
        assert_eq!(!matches!(connect_now(&name), Err(Error::TooLarge)), fits);
    }
    for (name, fits) in [(107, true), (108, false)] {
        let name = format!("/{}", "x".repeat(name - 1));
        assert_eq!(!matches!(connect_now(&name), Err(Error::TooLarge)), fits);
    }
}

#[test]
fn a_path_is_taken_and_given_back() {
    let _alone = alone();
    let dir = TempDir::new("path");
    let path = dir.join("socket");
    let listener = listen(&path).unwrap();
    assert_eq!(mode_of(&path), 0o600);
    match listen(&path) {
        Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
        other => panic!("{other:?}"),
    }
    drop(listener);
    assert!(!path.exists());

    // Left behind by one who died.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let open_to_others = ListenerOptions::new().users(&[12345]);
    drop(Listener::new(&path, open_to_others).unwrap());
    let open_to_others = ListenerOptions::new().observing_groups(&[12345]);
    let listener = Listener::new(&path, open_to_others).unwrap();
    assert_eq!(mode_of(&path), 0o666);

    // Replaced by somebody else's, who keeps it.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "a file").unwrap();
    drop(listener);
    assert!(path.exists());
    assert!(matches!(listen(&path), Err(Error::Refused(_))));
}

// One listener after the other, the next one waiting for the name: who has it keeps it.
#[test]
fn a_name_that_was_taken_over_stays() {
    let _alone = alone();
    let dir = TempDir::new("handover");
    let path = dir.join("socket");
    let listen_at_last = |path: &Path| loop {
        if let Ok(listener) = listen(path) {
            break listener;
        }
    };
    let mut listener = listen(&path).unwrap();
    for _ in 0..300 {
        listener = std::thread::scope(|scope| {
            let next = scope.spawn(|| listen_at_last(&path));
            drop(listener);
            next.join().unwrap()
        });
        assert!(path.exists());
    }
}

fn names_in(dir: &TempDir) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(&dir.0).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_name_appears_when_it_can_be_joined() {
    let _alone = alone();
    let dir = TempDir::new("appears");
    let path = dir.join("socket");
    *NOT_YET.lock().unwrap() = Some(path.clone());
    LOOKS.store(0, Ordering::Relaxed);
    let _listener = listen(&path).unwrap();
    *NOT_YET.lock().unwrap() = None;
    assert_eq!(LOOKS.load(Ordering::Relaxed), 1);
    assert_eq!(names_in(&dir), ["socket"]);
}

#[test]
fn what_a_crash_leaves_is_in_nobodys_way() {
    let _alone = alone();
    let dir = TempDir::new("crash");
    for left in ["socket", ".socket.new"] {
        drop(std::os::unix::net::UnixListener::bind(dir.join(left)).unwrap());
    }
    fs::write(dir.join(".socket.lock"), "").unwrap();
    let _listener = listen(dir.join("socket")).unwrap();
    assert_eq!(names_in(&dir), ["socket"]);
}

#[test]
fn the_longest_name_can_be_listened_at() {
    let _alone = alone();
    let dir = TempDir::new("long");
    let rest = 107 - dir.0.as_os_str().len() - 1;
    let path = dir.join(&"n".repeat(rest));
    let _listener = listen(&path).unwrap();
    assert_eq!(names_in(&dir), ["n".repeat(rest).as_str()]);
    assert!(matches!(connect_now(&path), Err(Error::Again))); // it is not served
    assert!(matches!(
        listen(dir.join(&"n".repeat(rest + 1))),
        Err(Error::TooLarge)
    ));
}

// Anyone who can read it could hold a lock on the directory.
#[test]
fn a_locked_directory_stops_nobody() {
    let _alone = alone();
    let dir = TempDir::new("lock");
    let directory = fs::File::open(&dir.0).unwrap();
    // SAFETY: numbers.
    assert_eq!(
        unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX) },
        0
    );
    listen(dir.join("socket")).unwrap();

    let lock = dir.join(".socket.lock");
    let lock = fs::File::create(lock).unwrap();
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
    assert!(matches!(listen(dir.join("socket")), Err(Error::Again)));
}

#[test]
fn a_forked_child_only_loses_its_copies() {
    let _alone = alone();
    let dir = TempDir::new("fork");
    let path = dir.join("socket");
    let listener = listen(&path).unwrap();
    let (mut ring, reader) = support::both_ends(PAGE);
    ring.try_publish(b"x").unwrap();
    let message = reader.try_next().unwrap();
    // SAFETY: these are dropped in the child alone, and what they are of in this process.
    let copies = unsafe { (std::ptr::read(&listener), std::ptr::read(&message)) };
    let copies = ManuallyDrop::new(copies);
    in_forked_child(|| {
        drop(ManuallyDrop::into_inner(copies));
        path.exists()
    });
    assert_eq!(names_in(&dir), ["socket"]);
    assert_eq!(message.to_vec().unwrap(), b"x");
    assert_ne!(reader.lag(), 0);
    drop(message);
    assert_eq!(reader.lag(), 0);
}

#[test]
fn nor_does_it_give_back_a_batch() {
    let _alone = alone();
    let numbers: zbq::Channel<u64> = zbq::Channel::new("number/1");
    let mut ring = numbers.producer(&zbq::Options::new()).unwrap();
    let reader = support::join(ring.get_mut(), zbq::Wakeup::Push);
    let reader = numbers.consumer(reader).unwrap();
    ring.try_send_all(&[1, 2]).unwrap();
    let batch = reader.take_batch(10);
    let second = batch.iter().nth(1).unwrap();
    // SAFETY: dropped in the child alone, and what it is of in this process.
    let copy = ManuallyDrop::new(unsafe { std::ptr::read(&batch) });
    in_forked_child(|| {
        drop(ManuallyDrop::into_inner(copy));
        true
    });
    assert_eq!(second.get(), 2);
    assert_ne!(reader.get_ref().lag(), 0);
    drop(batch);
    assert_eq!(reader.get_ref().lag(), 0);
}

#[test]
fn another_kind_of_socket_is_refused() {
    let _alone = alone();
    let dir = TempDir::new("kind");
    let path = dir.join("socket");
    let stream = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(connect_now(&path), Err(Error::Refused(_))));
    let taken = Listener::from_socket(stream.into(), ListenerOptions::new());
    assert!(matches!(taken, Err(Error::Invalid)));
}

// ---- systemd ----

#[test]
fn a_socket_that_systemd_passes_is_taken_over() {
    let _alone = alone();
    let name = abstract_name("systemd");
    let listening = listening_at(&name);
    let number = listening.as_raw_fd();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "--nocapture", "is_activated"])
        .env("ZBQ_TEST_NAME", &name);
    // SAFETY: system calls, between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::dup2(number, 3) {
            3 => {
                libc::fcntl(3, libc::F_SETFD, 0); // it may be the same
                Ok(())
            }
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = command.spawn().unwrap();
    drop(listening);
    support::assert_success(child);
}

#[test]
#[ignore = "a process of another test"]
fn is_activated() {
    let from_systemd = |name| Listener::from_systemd(name, ListenerOptions::new()).unwrap();
    std::env::set_var("LISTEN_FDS", "1");
    std::env::set_var("LISTEN_FDNAMES", "zbq");
    assert!(from_systemd("").is_none()); // it is not said for whom
    std::env::set_var("LISTEN_PID", "1");
    assert!(from_systemd("").is_none()); // another one
    std::env::set_var("LISTEN_PID", std::process::id().to_string());
    assert!(from_systemd("other").is_none());
    for name in ["zbq", ""] {
        let mut listener = from_systemd(name).unwrap();
        // SAFETY: numbers.
        let flags = unsafe { libc::fcntl(3, libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        join_by_name(&test_name(), &mut listener, &mut producer(PAGE)).unwrap();
    } // it is systemd's, and stays
    std::env::set_var("LISTEN_FDS", "0");
    assert!(from_systemd("zbq").is_none());
    assert!(from_systemd("").is_none());
    std::env::set_var("LISTEN_FDS", "2");
    std::env::set_var("LISTEN_FDNAMES", "other:zbq");
    // SAFETY: numbers; whatever is there is not needed.
    assert_eq!(unsafe { libc::dup2(0, 4) }, 4);
    let other_kind = Listener::from_systemd("zbq", ListenerOptions::new());
    assert!(matches!(other_kind, Err(Error::Invalid)), "{other_kind:?}");
}

#[test]
fn a_place_below_what_is_no_directory_is_refused() {
    let _alone = alone();
    let dir = TempDir::new("fifo");
    let fifo = dir.join("fifo");
    let path = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: text that ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    match listen(fifo.join("socket")) {
        Err(Error::Io(error)) => assert_eq!(error.raw_os_error(), Some(libc::ENOTDIR)),
        other => panic!("{other:?}"),
    }
}

// ---- strangers ----

#[test]
fn nonsense_is_refused_and_silence_costs_nobody() {
    let _alone = alone();
    let name = abstract_name("strangers");
    let mut listener = listen(&name).unwrap();
    let mut ring = producer(PAGE);
    let silent: Vec<OwnedFd> = (0..20).map(|_| packet_socket_to(&name)).collect();
    let mut hellos = vec![
        b"zbq\x01\0\0\0\0".to_vec(),          // the first version's
        [&hello(2, 0, 0)[..], &[0]].concat(), // too long
        hello(2, 0, 0)[..31].to_vec(),
        hello(1, 0, 0).to_vec(), // no such version
        hello(3, 0, 0).to_vec(),
        hello(2, 4, 0).to_vec(), // no such mode
        hello(2, 0, 4).to_vec(), // no such start
    ];
    for (place, value) in [(6, 3), (7, 1)] {
        let mut hello = hello(2, 0, 0);
        hello[place] = value;
        hellos.push(hello.to_vec());
    }
    for hello in hellos {
        let stranger = packet_socket_to(&name);
        say(&stranger, &hello);
        while !hung_up(&stranger) {
            assert!(listener.wait_and_serve(&mut ring, LONG).unwrap().is_empty());
        }
        assert_eq!(answer(&stranger), b"zbq\x02\x02\0\0\0");
        assert_eq!(answer(&stranger), b""); // hung up
    }
    assert_eq!(answer(&silent[0]), b""); // 16 may wait, so the first made way
    join_by_name(&name, &mut listener, &mut ring).unwrap();
}

#[test]
fn who_dials_a_listener_is_at_the_wrong_place() {
    let _alone = alone();
    let name = abstract_name("wrong-place");
    let mut listener = listen(&name).unwrap();
    let mut ring = producer(PAGE);
    let caller = packet_socket_to(&name);
    say(&caller, &call(0, "camera"));
    while !hung_up(&caller) {
        assert!(listener.wait_and_serve(&mut ring, LONG).unwrap().is_empty());
    }
    assert_eq!(answer(&caller), b"zbq\x02\x04\0\0\0");
}

#[test]
fn so_many_strangers_may_wait() {
    let _alone = alone();
    let name = abstract_name("so-many");
    let options = ListenerOptions::new().max_strangers(2);
    let mut listener = Listener::new(&name, options).unwrap();
    let mut ring = producer(PAGE);
    let silent: Vec<OwnedFd> = (0..5).map(|_| packet_socket_to(&name)).collect();
    while !hung_up(&silent[2]) {
        listener.wait_and_serve(&mut ring, LONG).unwrap();
    }
    let gone: Vec<bool> = silent.iter().map(hung_up).collect();
    assert_eq!(gone, [true, true, true, false, false]);
}

#[test]
fn who_says_nothing_is_dropped() {
    let _alone = alone();
    let name = abstract_name("patience");
    let options = ListenerOptions::new().patience(Duration::from_millis(1));
    let mut listener = Listener::new(&name, options).unwrap();
    let mut ring = producer(PAGE);
    let silent = packet_socket_to(&name);
    while !hung_up(&silent) {
        listener.wait_and_serve(&mut ring, LONG).unwrap();
    }
    assert_eq!(answer(&silent), b"");
}

// Whoever is busy elsewhere for long enough misses it: one time has to be seen, of many.
#[test]
fn strangers_are_left_alone_for_longer_than_they_took() {
    let _alone = alone();
    let name = abstract_name("rest");
    let mut listener = listen(&name).unwrap();
    let mut ring = producer(PAGE);
    let mut rested = 0;
    for _ in 0..200 {
        let crowd: Vec<OwnedFd> = (0..15).map(|_| packet_socket_to(&name)).collect();
        crowd.iter().for_each(|stranger| say(stranger, b"nonsense"));
        listener.wait_and_serve(&mut ring, LONG).unwrap();
        let next = packet_socket_to(&name);
        say(&next, b"nonsense");
        rested += usize::from(listener.wait_and_serve(&mut ring, NOW).is_err());
        while !hung_up(&next) {
            listener.wait_and_serve(&mut ring, LONG).unwrap();
        }
    }
    assert_ne!(rested, 0);
}

// ---- the private directory, in processes of their own for the environment's sake ----

fn run_with_runtime_dir(role: &str, runtime: &Path) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", role])
        .env("XDG_RUNTIME_DIR", runtime)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn plain_names_lie_in_a_private_directory() {
    let _alone = alone();
    let dir = TempDir::new("runtime");
    run_with_runtime_dir("uses_a_plain_name", &dir.0);
    assert_eq!(mode_of(&dir.join("zbq")), 0o700);
    assert!(!dir.join("zbq/plain").exists());
}

#[test]
#[ignore = "a process of another test"]
fn uses_a_plain_name() {
    assert!(matches!(connect_now("plain"), Err(Error::NoProducer)));
    let mut listener = listen("plain").unwrap();
    join_by_name("plain", &mut listener, &mut producer(PAGE)).unwrap();
}

#[test]
fn a_directory_of_others_is_refused() {
    let _alone = alone();
    let dir = TempDir::new("open");
    let zbq = dir.join("zbq");
    fs::create_dir(&zbq).unwrap();
    fs::set_permissions(&zbq, Permissions::from_mode(0o750)).unwrap();
    run_with_runtime_dir("is_refused", &dir.0);
    fs::remove_dir(&zbq).unwrap();
    std::os::unix::fs::symlink(&dir.0, &zbq).unwrap();
    run_with_runtime_dir("fails", &dir.0);
    fs::remove_file(&zbq).unwrap();
    fs::set_permissions(&dir.0, Permissions::from_mode(0o777)).unwrap();
    run_with_runtime_dir("is_refused", &dir.0);
    run_with_runtime_dir("is_refused", Path::new("relative"));
}

#[test]
#[ignore = "a process of another test"]
fn is_refused() {
    assert!(matches!(listen("plain"), Err(Error::Refused(_))));
    assert!(matches!(connect_now("plain"), Err(Error::Refused(_))));
}

#[test]
#[ignore = "a process of another test"]
fn fails() {
    assert!(listen("plain").is_err());
    assert!(matches!(
        connect_now("plain"),
        Err(Error::Io(_) | Error::Refused(_))
    ));
}

// ---- other users ----

fn serve_until_asked(listener: &mut Listener, uid: u32) -> Result<u32, Error> {
    let mut ring = producer(PAGE);
    loop {
        if let Some(newcomer) = listener.wait_and_serve(&mut ring, LONG).unwrap().pop() {
            assert_eq!(newcomer.peer.uid, uid);
            return newcomer.result;
        }
    }
}

#[test]
fn users_are_let_in_by_the_list() {
    let _alone = alone();
    let name = abstract_name("users");
    let mut strict = listen(&name).unwrap();
    let child = match as_user(STRANGER, "is_refused_by_the_listener", &name) {
        Some(child) => child,
        None => return,
    };
    assert!(matches!(
        serve_until_asked(&mut strict, STRANGER),
        Err(Error::Refused(_))
    ));
    support::assert_success(child);
    drop(strict);

    for lenient in [
        ListenerOptions::new().users(&[STRANGER]),
        ListenerOptions::new().groups(&[group_of_stranger()]),
    ] {
        let mut lenient = Listener::new(&name, lenient).unwrap();
        let child = as_user(STRANGER, "is_admitted", &name).unwrap();
        serve_until_asked(&mut lenient, STRANGER).unwrap();
        support::assert_success(child);
    }
}

#[test]
fn some_may_only_observe() {
    let _alone = alone();
    let name = abstract_name("observing");
    for options in [
        ListenerOptions::new().observing_users(&[STRANGER]),
        ListenerOptions::new().observing_groups(&[group_of_stranger()]),
    ] {
        let mut listener = Listener::new(&name, options).unwrap();
        let child = match as_user(STRANGER, "is_an_observer_or_nothing", &name) {
            Some(child) => child,
            None => return,
        };
        let mut ring = producer(PAGE);
        let mut newcomers = Vec::new();
        while newcomers.len() < 2 {
            newcomers.extend(listener.wait_and_serve(&mut ring, LONG).unwrap());
        }
        for newcomer in newcomers {
            assert_eq!(newcomer.peer.uid, STRANGER);
            let is_refused = matches!(newcomer.result, Err(Error::Refused(_)));
            assert_eq!(is_refused, !newcomer.peer.observes, "{newcomer:?}");
        }
        support::assert_success(child);
    }
}

#[test]
fn nobody_is_on_no_list() {
    let _alone = alone();
    let name = abstract_name("nobody");
    let options = ListenerOptions::new()
        .users(&[NOBODY])
        .groups(&[NOBODY])
        .observing_users(&[NOBODY])
        .observing_groups(&[NOBODY]);
    let mut listener = Listener::new(&name, options).unwrap();
    let child = match as_user(NOBODY, "is_refused_by_the_listener", &name) {
        Some(child) => child,
        None => return,
    };
    let refused = serve_until_asked(&mut listener, NOBODY);
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    support::assert_success(child);
}

// In a user namespace without a map everyone has the same number, this process too.
#[test]
fn nobody_is_not_itself() {
    let _alone = alone();
    let dir = TempDir::new("unmapped");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "--nocapture", "is_unmapped"])
        .env("ZBQ_TEST_NAME", abstract_name("unmapped"))
        .env("XDG_RUNTIME_DIR", &dir.0);
    // SAFETY: one system call, between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::unshare(libc::CLONE_NEWUSER) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    match command.spawn() {
        Ok(child) => support::assert_success(child),
        Err(error) => support::skip(&format!("no user namespace: {error}")),
    }
}

#[test]
#[ignore = "a process of another test"]
fn is_unmapped() {
    let name = test_name();
    let listener = listen(&name).unwrap();
    // The name may be anyone's;
    let options = ConnectOptions::new().wait_for_producer(false);
    let refused = connect(&name, NOW, &options);
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(matches!(listen("plain"), Err(Error::Refused(_))));
    assert!(matches!(connect_now("plain"), Err(Error::Refused(_))));
    drop(listener);
    // and so may who connects to it.
    let path = Path::new(&std::env::var_os("XDG_RUNTIME_DIR").unwrap()).join("socket");
    let mut listener = Listener::new(&path, ListenerOptions::new().users(&[NOBODY])).unwrap();
    let joining = std::thread::spawn(move || connect(path, LONG, &ConnectOptions::new()));
    let refused = serve_until_asked(&mut listener, NOBODY);
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(matches!(joining.join().unwrap(), Err(Error::Refused(_))));
}

#[test]
#[ignore = "a process of another test"]
fn is_refused_by_the_listener() {
    let refused = connect(test_name(), LONG, &ConnectOptions::new());
    assert!(matches!(refused, Err(Error::Refused(_))));
}

#[test]
#[ignore = "a process of another test"]
fn is_admitted() {
    connect(test_name(), LONG, &ConnectOptions::new()).unwrap();
}

#[test]
#[ignore = "a process of another test"]
fn is_an_observer_or_nothing() {
    let refused = connect(test_name(), LONG, &ConnectOptions::new());
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let options = ConnectOptions::new().flow(Flow::Follow);
    connect(test_name(), LONG, &options).unwrap();
}

// Anyone may take an abstract name.
#[test]
fn somebody_elses_abstract_name_is_refused() {
    let _alone = alone();
    let name = abstract_name("theirs");
    let mut child = match as_user(STRANGER, "listens", &name) {
        Some(child) => child,
        None => return,
    };
    let refused = connect(&name, LONG, &ConnectOptions::new());
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let trusting = ConnectOptions::new().producers(&[STRANGER]);
    // It is not served there; what matters is that the owner is no reason any more.
    let short = Some(Duration::from_millis(20));
    assert!(matches!(
        connect(&name, short, &trusting),
        Err(Error::Again)
    ));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "a process of another test"]
fn listens() {
    let _listener = listen(test_name()).unwrap();
    support::wait_to_be_killed();
}
