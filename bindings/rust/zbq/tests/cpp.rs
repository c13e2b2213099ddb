// SPDX-License-Identifier: MIT
//! Rust at one end and C++ at the other: tests/rust/peer.cpp by a socket, and the command-line
//! tool by a name. Where they are the environment tells: ZBQ_CPP_PEER and ZBQ_TOOL.

mod support;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use support::{assert_success, file, pattern, producer, LONG, PAGE};
use zbq::{
    connect, dial, Channel, Collector, CollectorOptions, ConnectOptions, Consumer, DialOptions,
    Error, Flow, FramePool, FramePoolOptions, Frames, Listener, ListenerOptions, Options, Producer,
    Start, VariantChannel, Wakeup,
};

// As the peer has them.
const MESSAGES: usize = 500;

fn payload_of(message: usize) -> Vec<u8> {
    pattern(message, message * 37 % 1500)
}

/// The program that a variable of the environment names, or a word why the test is skipped.
fn program(variable: &str) -> Option<Command> {
    let path = std::env::var_os(variable);
    if path.is_none() {
        support::skip(&format!("{variable} names no program"));
    }
    path.map(Command::new)
}

fn peer(role: &str, socket: UnixStream) -> Option<Child> {
    let mut command = program("ZBQ_CPP_PEER")?;
    let stdin = Stdio::from(OwnedFd::from(socket));
    Some(command.arg(role).stdin(stdin).spawn().unwrap())
}

#[test]
fn what_rust_writes_cpp_reads() {
    let mut producer = producer(4 * PAGE);
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    let child = match peer("read", far) {
        Some(child) => child,
        None => return,
    };
    for i in 0..MESSAGES {
        let files: Vec<File> = (0..i % 3).map(|j| file(&format!("{i}/{j}"))).collect();
        let fds: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        producer.publish_with(&payload_of(i), &fds, LONG).unwrap();
    }
    drop(producer);
    assert_success(child);
}

#[test]
fn what_cpp_writes_rust_reads() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = match peer("write", near) {
        Some(child) => child,
        None => return,
    };
    let consumer = Consumer::join(&far, Wakeup::Push).unwrap();
    let mut count = 0;
    for message in &consumer {
        let message = message.unwrap();
        assert_eq!(message.to_vec().unwrap(), payload_of(count));
        let fds = message.take_fds(LONG).unwrap();
        assert_eq!(fds.len(), count % 3);
        for (j, fd) in fds.into_iter().enumerate() {
            let mut text = [0; 16];
            let len = File::from(fd).read_at(&mut text, 0).unwrap();
            assert_eq!(text[..len], *format!("{count}/{j}").as_bytes());
        }
        count += 1;
    }
    assert_eq!(count, MESSAGES);
    assert_success(child);
}

// ---- history, observers, what is retained ----

// As the peer has them.
const FORMAT_KEY: u16 = 7;
const FORMAT: &str = "numbers and bytes";

/// Its number, and bytes of it.
fn numbered(message: usize) -> Vec<u8> {
    [&(message as u64).to_ne_bytes()[..], &payload_of(message)].concat()
}

#[test]
fn what_rust_keeps_cpp_follows() {
    let mut producer = producer(16 * PAGE);
    let file = file(FORMAT);
    producer
        .retain_with(FORMAT_KEY, FORMAT.as_bytes(), &[file.as_fd()], LONG)
        .unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    for i in 0..2 * MESSAGES {
        if i == MESSAGES {
            producer
                .admit_with(&near, Wakeup::Push, Flow::Follow, Start::Oldest)
                .unwrap();
        }
        producer.try_publish(&numbered(i)).unwrap();
    }
    let child = match peer("follow", far) {
        Some(child) => child,
        None => return,
    };
    drop(producer);
    assert_success(child);
}

#[test]
fn what_cpp_keeps_rust_follows() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = match peer("write-history", near) {
        Some(child) => child,
        None => return,
    };
    let observer = Consumer::join_with(&far, Wakeup::Push, Flow::Follow).unwrap();
    let retained: Vec<_> = observer.retained().collect();
    assert_eq!(retained.len(), 1);
    assert_eq!(retained[0].key(), Some(FORMAT_KEY));
    assert_eq!(retained[0].payload().to_vec(), FORMAT.as_bytes());
    let fds = retained[0].take_fds().unwrap();
    let mut text = [0; FORMAT.len()];
    let fd = fds.into_iter().next().unwrap();
    File::from(fd).read_at(&mut text, 0).unwrap();
    assert_eq!(text, FORMAT.as_bytes());

    let mut next = observer.offset();
    assert_ne!(next, 0); // more than went into the ring
    let (mut lost, mut numbers) = (0, Vec::new());
    let mut bytes = Vec::new();
    while observer.wait(LONG).is_ok() {
        while let Ok(copied) = observer.try_copy_to(&mut bytes) {
            assert_eq!(copied.offset() - next, observer.lost().bytes - lost);
            lost = observer.lost().bytes;
            next = copied.offset() + zbq::message_size(copied.len()).unwrap();
            let number = usize::from_ne_bytes(bytes[..8].try_into().unwrap());
            assert_eq!(bytes, numbered(number));
            numbers.push(number);
        }
    }
    assert!(matches!(observer.ending(), Some(Error::Closed)));
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(numbers.last(), Some(&(2 * MESSAGES - 1)));
    assert_success(child);
}

// ---- of one type ----

zbq::pod! {
    #[derive(Debug, PartialEq)]
    struct Quote {
        bid: f64,
        ask: f64,
        symbol: u64,
    }
}

// As the peer has it, with its name.
const QUOTES: Channel<Quote> = Channel::new("quote/1");
const BATCH: usize = 7; // which does not divide their number

fn quote_of(message: usize) -> Quote {
    Quote {
        bid: message as f64 / 2.0,
        ask: message as f64 * 2.0,
        symbol: message as u64,
    }
}

#[test]
fn what_rust_sends_cpp_receives() {
    let options = Options::new().capacity(PAGE).stall_timeout(None);
    let mut producer = QUOTES.producer(&options).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    producer.get_mut().admit(&near, Wakeup::Push).unwrap();
    let child = match peer("read-quotes", far) {
        Some(child) => child,
        None => return,
    };
    let quotes: Vec<Quote> = (0..MESSAGES).map(quote_of).collect();
    for some in quotes.chunks(BATCH + 1) {
        producer.send(&some[0], LONG).unwrap();
        while let Err(error) = producer.try_send_all(&some[1..]) {
            assert!(matches!(error, Error::Again), "{error}");
            producer.get_mut().wait_for_room(LONG).unwrap();
        }
    }
    drop(producer);
    assert_success(child);
}

#[test]
fn what_cpp_sends_rust_receives() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = match peer("write-quotes", near) {
        Some(child) => child,
        None => return,
    };
    let consumer = QUOTES.join(&far, Wakeup::Push).unwrap();
    let mut got = Vec::new();
    while consumer.wait(LONG).is_ok() {
        got.push(consumer.try_next().unwrap());
        let batch = consumer.take_batch(BATCH);
        got.extend(batch.iter().map(|place| place.get()));
        match batch.finish() {
            Ok(_) | Err(Error::Again | Error::Closed) => (),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(consumer.get_ref().ending(), Some(Error::Closed)));
    assert!(got.into_iter().eq((0..MESSAGES).map(quote_of)));
    assert_success(child);
}

#[test]
fn what_cpp_sends_is_no_other_type() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut child = match peer("write-quotes", near) {
        Some(child) => child,
        None => return,
    };
    let other: Channel<Quote> = Channel::new("quote/2");
    match other.join(&far, Wakeup::Push) {
        Err(Error::TypeMismatch(how)) => assert!(how.contains("another name"), "{how}"),
        other => panic!("{other:?}"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

// ---- of several types ----

zbq::variants! {
    #[derive(Debug, PartialEq)]
    enum Event {
        Quote(Quote),
        Volume(u32),
    }
}

// As the peer has it.
const FEED: VariantChannel<Event> = VariantChannel::new("feed/1");

fn event_of(message: usize) -> Event {
    if message % 3 == 0 {
        Event::Volume(message as u32)
    } else {
        Event::Quote(quote_of(message))
    }
}

#[test]
fn what_rust_sends_of_several_types_cpp_visits() {
    let options = Options::new().capacity(PAGE).stall_timeout(None);
    let mut producer = FEED.producer(&options).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    producer.get_mut().admit(&near, Wakeup::Push).unwrap();
    let child = match peer("read-events", far) {
        Some(child) => child,
        None => return,
    };
    for i in 0..MESSAGES {
        producer.send(event_of(i), LONG).unwrap();
    }
    drop(producer);
    assert_success(child);
}

#[test]
fn what_cpp_sends_of_several_types_rust_matches() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = match peer("write-events", near) {
        Some(child) => child,
        None => return,
    };
    let consumer = FEED.join(&far, Wakeup::Push).unwrap();
    let got: zbq::Result<Vec<Event>> = consumer.iter().collect();
    assert!(got.unwrap().into_iter().eq((0..MESSAGES).map(event_of)));
    assert_success(child);
}

// ---- frames ----

// As the peer has it.
const FRAME_SIZE: usize = 20_000;

fn frame_of(message: usize) -> Vec<u8> {
    pattern(message, FRAME_SIZE - message)
}

#[test]
fn what_rust_paints_cpp_looks_at() {
    let mut producer = Producer::new(&Options::new().stall_timeout(None)).unwrap();
    let options = FramePoolOptions::new(FRAME_SIZE).frames(3).first_key(100);
    let mut pool = FramePool::new(&mut producer, &options, LONG).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    let child = match peer("read-frames", far) {
        Some(child) => child,
        None => return,
    };
    for i in 0..MESSAGES {
        let mut frame = pool.acquire(&mut producer, LONG).unwrap();
        let bytes = frame_of(i);
        frame.bytes()[..bytes.len()].copy_from_slice(&bytes);
        frame
            .publish(&mut producer, bytes.len(), &payload_of(i), LONG)
            .unwrap();
    }
    drop(producer);
    assert_success(child);
}

#[test]
fn what_cpp_paints_rust_looks_at() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = match peer("write-frames", near) {
        Some(child) => child,
        None => return,
    };
    let frames = Frames::new(Consumer::join(&far, Wakeup::Push).unwrap()).unwrap();
    for i in 0..MESSAGES {
        let frame = frames.next(LONG).unwrap();
        assert_eq!(frame.to_vec().unwrap(), frame_of(i));
        let beside = frame.read_beside(|bytes| bytes.to_vec()).unwrap();
        assert_eq!(beside, payload_of(i));
    }
    assert!(matches!(frames.next(LONG), Err(Error::Closed)));
    assert_success(child);
}

// ---- by name ----

fn name(of: &str) -> String {
    format!("@zbq-rust-{}-{of}", std::process::id())
}

#[test]
fn the_tool_subscribes_to_rust() {
    let name = name("sub");
    let mut command = match program("ZBQ_TOOL") {
        Some(command) => command,
        None => return,
    };
    let mut listener = Listener::new(&name, ListenerOptions::new()).unwrap();
    let mut child = command
        .args(["sub", &name, "--wait", "--lines"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut producer = producer(PAGE);
    while producer.statistics().consumers == 0 {
        let newcomers = listener.wait_and_serve(&mut producer, LONG).unwrap();
        for newcomer in newcomers {
            assert_eq!(newcomer.peer.pid, child.id() as i32);
            assert_eq!(newcomer.result.unwrap(), 0);
        }
    }
    let mut expected = String::new();
    for i in 0..1000 {
        let line = format!("line {i}");
        producer.publish(line.as_bytes(), LONG).unwrap();
        expected += &(line + "\n");
    }
    drop(producer);
    let mut got = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut got)
        .unwrap();
    assert_eq!(got, expected);
    assert_success(child);
}

#[test]
fn rust_subscribes_to_the_tool() {
    let name = name("pub");
    let mut command = match program("ZBQ_TOOL") {
        Some(command) => command,
        None => return,
    };
    let mut child = command
        .args(["pub", &name, "--lines", "--wait-for", "2"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let readers: Vec<_> = [Wakeup::Push, Wakeup::Pull]
        .iter()
        .map(|wakeup| {
            let options = ConnectOptions::new().wakeup(*wakeup);
            let consumer = connect(&name, LONG, &options).unwrap();
            std::thread::spawn(move || {
                let read = |message: Result<zbq::Message<'_>, Error>| message?.to_vec();
                let lines: Result<Vec<_>, _> = consumer.iter().map(read).collect();
                lines.unwrap()
            })
        })
        .collect();
    let lines: Vec<String> = (0..1000).map(|i| format!("line {i}\n")).collect();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.concat().as_bytes()).unwrap();
    drop(input);
    for reader in readers {
        let got = reader.join().unwrap();
        assert!(got.iter().eq(lines.iter().map(String::as_bytes)));
    }
    assert_success(child);
}

// By what the two say to each other before the join.
#[test]
fn the_tool_follows_rust_from_the_start() {
    let name = name("follow");
    let mut listener = Listener::new(&name, ListenerOptions::new()).unwrap();
    let mut producer = producer(16 * PAGE);
    let mut expected = String::new();
    for i in 0..100 {
        let line = format!("line {i}\n");
        producer.try_publish(line.as_bytes()).unwrap();
        expected += &line;
    }
    let from = (producer.head() - 64).to_string();
    for (from, skipped) in [("oldest", 0), (&from[..], 98)] {
        let mut command = match program("ZBQ_TOOL") {
            Some(command) => command,
            None => return,
        };
        let mut child = command
            .args(["sub", &name, "--wait", "--follow", "--from", from])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let newcomer = loop {
            if let Some(newcomer) = listener.wait_and_serve(&mut producer, LONG).unwrap().pop() {
                break newcomer;
            }
        };
        assert!(newcomer.peer.observes);
        newcomer.result.unwrap();
        let lines: String = expected.split_inclusive('\n').skip(skipped).collect();
        let mut got = vec![0; lines.len()];
        child.stdout.take().unwrap().read_exact(&mut got).unwrap();
        assert_eq!(got, lines.as_bytes());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn rust_follows_the_tool_from_the_start() {
    let name = name("history");
    let mut command = match program("ZBQ_TOOL") {
        Some(command) => command,
        None => return,
    };
    let mut child = command
        .args(["pub", &name, "--lines", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"one\ntwo\n").unwrap();
    let options = ConnectOptions::new().flow(Flow::Follow).from(Start::Oldest);
    let observer = connect(&name, LONG, &options).unwrap();
    let mut bytes = Vec::new();
    let mut all = Vec::new();
    while all.len() < 8 {
        observer.wait(LONG).unwrap();
        if observer.try_copy_to(&mut bytes).is_ok() {
            all.extend_from_slice(&bytes);
        }
    }
    assert_eq!(all, b"one\ntwo\n");

    // Another one, that knows where the second line is.
    let second = Start::At(observer.id(), zbq::message_size(4).unwrap());
    let reader = connect(&name, LONG, &ConnectOptions::new().from(second)).unwrap();
    assert_eq!(reader.next(LONG).unwrap().to_vec().unwrap(), b"two\n");
    let none = ConnectOptions::new().from(Start::At(observer.id(), 16));
    let refused = connect(&name, LONG, &none);
    assert!(matches!(refused, Err(Error::Invalid)), "{refused:?}");
    let later = ConnectOptions::new().from(Start::At(observer.id(), 1 << 20));
    let refused = connect(&name, LONG, &later);
    assert!(matches!(refused, Err(Error::Invalid)), "{refused:?}");
    drop(input);
    assert!(matches!(observer.next(LONG), Err(Error::Closed)));
    assert_success(child);
}

// ---- the other way round: producers dial in ----

#[test]
fn the_tool_dials_in_to_rust() {
    let name = name("collect");
    let mut ends = Vec::new();
    let (tell, told) = std::sync::mpsc::channel();
    let options = CollectorOptions::new().on_end(move |source, how| {
        let _ = tell.send((source.who().clone(), how));
    });
    let mut logs = Collector::new(&name, options).unwrap();
    let lines: Vec<String> = (0..1000).map(|i| format!("line {i}\n")).collect();
    let mut children = Vec::new();
    for source in ["one", "two"] {
        let mut command = match program("ZBQ_TOOL") {
            Some(command) => command,
            None => return,
        };
        let mut child = command
            .args(["pub", "--dial", "--source", source, "--lines", &name])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = lines.concat();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        children.push((child, writer));
    }
    let mut got: HashMap<OsString, Vec<u8>> = HashMap::new();
    while ends.len() < 2 {
        logs.wait(LONG).unwrap();
        logs.serve(|source, batch| {
            let text = got.entry(source.who().name.clone()).or_default();
            for message in &batch {
                text.extend(message.payload().bytes());
            }
            assert!(batch.is_intact());
        });
        ends.extend(told.try_iter());
    }
    for (who, how) in ends {
        assert!(matches!(how, Error::Closed), "{how}");
        assert!(children
            .iter()
            .any(|(child, _)| child.id() as i32 == who.pid));
        assert_eq!(got[&who.name], lines.concat().as_bytes());
    }
    assert_eq!(got.len(), 2);
    for (child, writer) in children {
        writer.join().unwrap().unwrap();
        assert_success(child);
    }
}

#[test]
fn rust_dials_in_to_the_tool() {
    let name = name("dial");
    let mut command = match program("ZBQ_TOOL") {
        Some(command) => command,
        None => return,
    };
    let mut child = command
        .args(["collect", "--until-last", &name])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut producer = producer(PAGE);
    producer.try_publish(b"before").unwrap();
    let options = DialOptions::new().name("rust");
    dial(&mut producer, &name, LONG, &options).unwrap();
    let source = format!("rust[{}]: ", std::process::id());
    let mut expected = source.clone() + "before\n";
    for i in 0..1000 {
        let line = format!("line {i}");
        producer.publish(line.as_bytes(), LONG).unwrap();
        expected += &(source.clone() + &line + "\n");
    }
    drop(producer);
    let mut got = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut got).unwrap();
    assert_eq!(got, expected);
    assert_success(child);
}
