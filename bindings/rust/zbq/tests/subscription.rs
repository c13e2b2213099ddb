// SPDX-License-Identifier: MIT
//! A stream through all that happens to it.

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;
use support::{is_readable, join, LONG};
use zbq::{
    ConnectOptions, Error, Flow, Gap, GapCause, Joining, Listener, ListenerOptions, Next, Options,
    Producer, Start, Subscription, Wakeup,
};

const MOMENT: Option<Duration> = Some(Duration::from_millis(1));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn name(of: &str) -> String {
    format!("@zbq-rust-{}-{of}", std::process::id())
}

/// One that comes and goes.
struct Publisher {
    ring: Producer,
    door: Listener,
}

impl Publisher {
    fn new(name: &str) -> Self {
        let options = Options::new()
            .capacity(1 << 16)
            .stall_timeout(Some(Duration::from_millis(1)));
        Self {
            ring: Producer::new(&options).unwrap(),
            door: Listener::new(name, ListenerOptions::new()).unwrap(),
        }
    }

    fn publish(&mut self, text: &str) {
        self.ring.publish(text.as_bytes(), LONG).unwrap();
    }

    fn publish_laps(&mut self) {
        for _ in 0..300 {
            self.publish(&".".repeat(1000));
        }
    }

    /// Serves until the stream has joined.
    fn join(&mut self, stream: &mut Subscription) {
        while stream.reader().is_none() {
            self.door.serve(&mut self.ring);
            match stream.wait(MOMENT) {
                Ok(()) | Err(Error::Again) => (),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Serves until there is something to take.
    fn next(&mut self, stream: &mut Subscription) -> Result<String, Gap> {
        loop {
            match stream.next(MOMENT) {
                Ok(Next::Message(message)) => {
                    return Ok(String::from_utf8(message.to_vec().unwrap()).unwrap())
                }
                Ok(Next::Gap(gap)) => return Err(gap),
                Err(Error::Again) => drop(self.door.serve(&mut self.ring)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Without a lap.
    fn evict(&mut self) {
        self.ring.wait_released(self.ring.head(), LONG).unwrap();
        assert_eq!(self.ring.statistics().evicted, 1);
    }
}

fn subscribe(name: &str) -> Subscription {
    Subscription::new(name, &ConnectOptions::new()).unwrap()
}

fn text(text: &str) -> Result<String, Gap> {
    Ok(text.to_owned())
}

#[test]
fn gives_messages() {
    let name = name("messages");
    let mut publisher = Publisher::new(&name);
    let mut stream = subscribe(&name);
    assert!(matches!(stream.try_next(), Err(Error::Again)));
    publisher.join(&mut stream);
    publisher.publish("one");
    publisher.publish("two");
    assert_eq!(publisher.next(&mut stream), text("one"));
    stream.wait(LONG).unwrap(); // takes nothing
    stream.wait(NOW).unwrap();
    let second = stream.try_next().unwrap();
    assert!(second.gap().is_none());
    let second = second.message().unwrap();
    assert_eq!(second.to_vec().unwrap(), b"two");
    drop(second);
    assert!(matches!(stream.try_next(), Err(Error::Again)));
    assert!(matches!(stream.next(NOW), Err(Error::Again)));
    assert!(matches!(stream.wait(MOMENT), Err(Error::Again)));
    assert_eq!(stream.joins(), 1);
    assert_eq!(stream.reader().unwrap().capacity(), 1 << 16);
}

#[test]
fn goes_on_where_it_was_evicted() {
    let name = name("evicted");
    let mut publisher = Publisher::new(&name);
    let mut stream = subscribe(&name);
    publisher.join(&mut stream);
    publisher.publish("one");
    assert_eq!(publisher.next(&mut stream), text("one"));
    let next = publisher.ring.head();
    publisher.publish("two");
    for _ in 0..4 {
        publisher.publish(&"x".repeat(20_000)); // four do not fit
    }
    assert_eq!(publisher.ring.statistics().evicted, 1);
    let gap = publisher.next(&mut stream).unwrap_err();
    assert_eq!((gap.cause, gap.at_least), (GapCause::Evicted, false));
    let from = stream.reader().unwrap().offset();
    assert_eq!(gap.bytes, from - next);
    assert_eq!(publisher.next(&mut stream).unwrap().len(), 20_000);
    assert_eq!(stream.joins(), 2);
}

#[test]
fn misses_nothing_where_history_has_it() {
    let name = name("history");
    let mut publisher = Publisher::new(&name);
    let mut stream = subscribe(&name);
    publisher.join(&mut stream);
    publisher.publish("one");
    assert_eq!(publisher.next(&mut stream), text("one"));
    publisher.publish("two");
    publisher.evict();
    publisher.publish("three");
    assert_eq!(publisher.next(&mut stream), text("two"));
    assert_eq!(publisher.next(&mut stream), text("three"));
    assert_eq!(stream.joins(), 2);
}

#[test]
fn reads_the_next_producers_ring_from_its_start() {
    let name = name("restarted");
    let mut publisher = Publisher::new(&name);
    let mut stream = subscribe(&name);
    publisher.join(&mut stream);
    publisher.publish("one");
    drop(publisher);
    let mut publisher = Publisher::new(&name);
    publisher.publish("before it comes back");
    assert_eq!(publisher.next(&mut stream), text("one"));
    let gap = publisher.next(&mut stream).unwrap_err();
    assert_eq!((gap.cause, gap.at_least), (GapCause::Restarted, false));
    assert_eq!(gap.bytes, 0);
    assert_eq!(gap.cause.to_string(), "producer restarted");
    assert_eq!(publisher.next(&mut stream), text("before it comes back"));
    publisher.publish("after");
    assert_eq!(publisher.next(&mut stream), text("after"));
}

// Of what it did not read of the old one nobody knows how much it was.
#[test]
fn who_was_evicted_before_the_end_knows_no_number() {
    let name = name("both");
    let mut publisher = Publisher::new(&name);
    let mut stream = subscribe(&name);
    publisher.join(&mut stream);
    publisher.publish("one");
    publisher.evict();
    drop(publisher);
    let mut publisher = Publisher::new(&name);
    let gap = publisher.next(&mut stream).unwrap_err();
    assert_eq!((gap.cause, gap.at_least), (GapCause::Restarted, true));
    publisher.publish("after");
    assert_eq!(publisher.next(&mut stream), text("after"));
}

#[test]
fn an_observer_is_told_of_laps() {
    let name = name("lapped");
    let mut publisher = Publisher::new(&name);
    let options = ConnectOptions::new().flow(Flow::Follow);
    let mut stream = Subscription::new(&name, &options).unwrap();
    publisher.join(&mut stream);
    publisher.publish_laps();
    stream.wait(LONG).unwrap();
    let gap = publisher.next(&mut stream).unwrap_err();
    assert_eq!((gap.cause, gap.at_least), (GapCause::Lapped, false));
    assert_eq!(gap.bytes, stream.reader().unwrap().lost().bytes);
    let mut count = 0;
    while let Ok(Next::Message(message)) = stream.try_next() {
        assert_eq!(message.offset(), gap.bytes + count * 1024);
        count += 1;
    }
    assert_eq!(gap.bytes + count * 1024, publisher.ring.head());
}

#[test]
fn one_that_wants_the_newest_is_not_told_of_what_it_skips() {
    let name = name("newest");
    let mut publisher = Publisher::new(&name);
    let options = ConnectOptions::new().flow(Flow::Newest);
    let mut stream = Subscription::new(&name, &options).unwrap();
    publisher.join(&mut stream);
    publisher.publish_laps();
    publisher.publish("newest");
    assert_eq!(publisher.next(&mut stream), text("newest"));
}

#[test]
fn is_told_of_history_that_is_gone() {
    let name = name("gone");
    let mut publisher = Publisher::new(&name);
    publisher.publish_laps();
    let from = |start| Subscription::new(&name, &ConnectOptions::new().from(start)).unwrap();
    for id in [publisher.ring.id(), [0; 16]] {
        let mut stream = from(Start::At(id, 1024));
        let gap = publisher.next(&mut stream).unwrap_err();
        assert_eq!((gap.cause, gap.at_least), (GapCause::History, false));
        let offset = stream.reader().unwrap().offset();
        assert_eq!(gap.bytes, offset - 1024);
        assert_eq!(publisher.next(&mut stream).unwrap().len(), 1000);

        let mut stream = from(Start::At(id, offset + 1024));
        assert!(publisher.next(&mut stream).is_ok());
    }
    let mut stream = from(Start::At([1; 16], 1024)); // of another ring
    let gap = publisher.next(&mut stream).unwrap_err();
    assert_eq!((gap.cause, gap.at_least), (GapCause::History, true));
}

// As an event loop would: nothing but what the descriptor tells leads to a step.
#[test]
fn its_descriptor_tells_of_all_of_it() {
    let name = name("descriptor");
    let mut publisher = Publisher::new(&name);
    let mut stream = subscribe(&name);
    let step = |publisher: &mut Publisher, stream: &mut Subscription| {
        while !is_readable(&*stream) {
            publisher.door.serve(&mut publisher.ring);
        }
        stream.wait(NOW)
    };
    while stream.reader().is_none() {
        let _ = step(&mut publisher, &mut stream);
    }
    publisher.publish("one");
    while step(&mut publisher, &mut stream).is_err() {}
    assert_eq!(publisher.next(&mut stream), text("one"));
    publisher.publish("two");
    publisher.evict();
    while stream.joins() != 2 {
        let _ = step(&mut publisher, &mut stream);
    }
    assert_eq!(publisher.next(&mut stream), text("two"));
}

#[test]
fn what_fails_can_be_tried_again() {
    let name = name("again");
    let mut ring = Producer::new(&Options::new().max_consumers(1)).unwrap();
    let mut door = Listener::new(&name, ListenerOptions::new()).unwrap();
    let other = join(&mut ring, Wakeup::Push);
    let mut stream = subscribe(&name);
    let failed = loop {
        match stream.wait(MOMENT) {
            Err(Error::Again) => drop(door.serve(&mut ring)),
            failed => break failed,
        }
    };
    assert!(matches!(failed, Err(Error::Full)), "{failed:?}");
    drop(other);
    while stream.reader().is_none() {
        door.serve(&mut ring);
        assert!(matches!(stream.wait(MOMENT), Err(Error::Again)));
    }
    ring.try_publish(b"x").unwrap();
    assert_eq!(stream.next(LONG).unwrap().message().unwrap().len(), 1);
}

// ---- a producer that is killed ----

#[test]
fn a_killed_producer_is_followed_by_the_next() {
    for wakeup in [Wakeup::Push, Wakeup::Pull] {
        let name = name(&format!("killed-{wakeup:?}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "publishes_one"])
            .env("ZBQ_TEST_NAME", &name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let options = ConnectOptions::new().wakeup(wakeup);
        let mut stream = Subscription::new(&name, &options).unwrap();
        let one = stream.next(LONG).unwrap().message().unwrap();
        assert_eq!(one.to_vec().unwrap(), b"one");
        drop(one);
        child.kill().unwrap();
        child.wait().unwrap();
        let mut publisher = Publisher::new(&name);
        publisher.publish("two");
        let gap = publisher.next(&mut stream).unwrap_err();
        assert_eq!((gap.cause, gap.at_least), (GapCause::Restarted, false));
        assert_eq!(publisher.next(&mut stream), text("two"));
    }
}

#[test]
#[ignore = "a process of another test"]
fn publishes_one() {
    let mut publisher = Publisher::new(&std::env::var("ZBQ_TEST_NAME").unwrap());
    while publisher.ring.statistics().consumers == 0 {
        let _ = publisher.door.wait_and_serve(&mut publisher.ring, LONG);
    }
    publisher.publish("one");
    support::wait_to_be_killed();
}

// ---- joining ----

#[test]
fn no_step_blocks() {
    let name = name("steps");
    let options = ConnectOptions::new().flow(Flow::Follow);
    let mut joining = Joining::new(&name, &options).unwrap();
    assert!(is_readable(&joining)); // there is something to do from the start
    assert!(joining.step().unwrap().is_none());
    assert!(!joining.has_met());
    let mut publisher = Publisher::new(&name);
    let mut steps = 0;
    let consumer = loop {
        while !is_readable(&joining) {
            publisher.door.serve(&mut publisher.ring);
        }
        steps += 1;
        if let Some(consumer) = joining.step().unwrap() {
            break consumer;
        }
    };
    assert!(steps < 10);
    assert_eq!(consumer.flow(), Flow::Follow);
    assert!(!joining.has_met());

    // It starts again.
    assert!(joining.step().unwrap().is_none());
    assert!(joining.has_met());
    drop(publisher);
    while joining.has_met() {
        assert!(joining.step().unwrap().is_none());
    }
    for name in ["", ".", "@", "dir/"] {
        let none = Joining::new(name, &ConnectOptions::new());
        assert!(matches!(none, Err(Error::Invalid)), "{name:?}");
        let none = Subscription::new(name, &ConnectOptions::new());
        assert!(matches!(none, Err(Error::Invalid)), "{name:?}");
    }
}
