// SPDX-License-Identifier: MIT
//! Rust at one end and C++ at the other: tests/rust/peer.cpp by a socket, and the command-line
//! tool by a name. Where they are the environment tells: ZBQ_CPP_PEER and ZBQ_TOOL.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use support::{assert_success, file, pattern, producer, LONG, PAGE};
use zbq::{
    connect, Channel, ConnectOptions, Consumer, Error, Listener, ListenerOptions, Options, Wakeup,
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
