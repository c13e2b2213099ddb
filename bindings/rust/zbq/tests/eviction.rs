// SPDX-License-Identifier: MIT
//! One who reads too slowly: told so, and never given torn bytes.

mod support;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{impatient, join, pattern, LONG};
use zbq::{Consumer, Error, Eviction, Message, Producer, Wakeup};

/// A consumer that was evicted, with a message that it still holds and that was written over.
fn with_evicted(check: impl FnOnce(&Consumer, Message<'_>)) {
    let mut producer = Producer::new(&impatient()).unwrap();
    let consumer = join(&mut producer, Wakeup::Push);
    producer.try_publish(&pattern(1, 3000)).unwrap();
    let message = consumer.try_next().unwrap();
    assert!(message.is_intact());
    producer.publish(&pattern(2, 3000), LONG).unwrap();
    assert_eq!(producer.statistics().evicted_for(Eviction::Stalled), 1);
    check(&consumer, message);
}

fn is_stalled<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Evicted(Eviction::Stalled)))
}

#[test]
fn each_way_to_read_tells() {
    with_evicted(|_, message| {
        let mut bytes = [0; 10];
        assert!(!message.is_intact());
        assert!(is_stalled(message.to_vec()));
        assert!(is_stalled(message.read_at(0, &mut bytes)));
        assert!(is_stalled(message.read(|payload| payload.get(0))));
        let null = std::fs::File::options()
            .write(true)
            .open("/dev/null")
            .unwrap();
        assert!(is_stalled(message.write_to(&null)));
        let error = message.reader().read(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
        let inner = error.into_inner().unwrap();
        assert!(matches!(
            inner.downcast_ref(),
            Some(Error::Evicted(Eviction::Stalled))
        ));
    });
}

#[test]
fn the_stream_ends_with_it_once() {
    with_evicted(|consumer, message| {
        drop(message);
        assert!(is_stalled(consumer.try_next()));
        assert!(is_stalled(consumer.next(None)));
        assert!(is_stalled(consumer.wait(LONG)));
        let mut all = consumer.iter();
        assert!(is_stalled(all.next().unwrap()));
        assert!(all.next().is_none());
        let mut those_there = consumer.try_iter();
        assert!(is_stalled(those_there.next().unwrap()));
        assert!(those_there.next().is_none());
        assert!(matches!(consumer.ending(), Some(Error::Evicted(_))));
    });
}

// It knows of a second message, which it has not taken.
#[test]
fn what_was_known_does_not_hide_it() {
    let mut producer = Producer::new(&impatient()).unwrap();
    let consumer = join(&mut producer, Wakeup::Push);
    producer.try_publish(b"x").unwrap();
    producer.try_publish(b"y").unwrap();
    drop(consumer.try_next().unwrap());
    consumer.wait(LONG).unwrap();
    for _ in 0..2 {
        producer.publish(&pattern(2, 3000), LONG).unwrap();
    }
    assert!(is_stalled(consumer.wait(LONG)));
    assert!(is_stalled(consumer.next(LONG)));
}

// Bytes of ones where its header was, and where its record's id was.
#[test]
fn nonsense_is_not_the_producers_fault() {
    use std::os::unix::io::AsFd;
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut producer = Producer::new(&impatient()).unwrap();
    let consumer = join(&mut producer, Wakeup::Push);
    for _ in 0..20 {
        let fds = [file.as_fd()];
        producer.publish_with(&[0; 32], &fds, LONG).unwrap();
    }
    drop(consumer.try_next().unwrap());
    while producer.statistics().evicted_for(Eviction::Stalled) == 0 {
        producer.publish(&[255; 3000], LONG).unwrap();
    }
    producer.publish(&[255; 3000], LONG).unwrap();
    for _ in 0..100 {
        match consumer.try_next() {
            Ok(message) => {
                assert!(is_stalled(message.to_vec()));
                let taken = message.take_fds(Some(Duration::ZERO));
                assert!(!matches!(taken, Err(Error::Protocol)), "{taken:?}");
            }
            error => assert!(is_stalled(error)),
        }
    }
}

#[test]
fn descriptors_end_too() {
    use std::os::unix::io::AsFd;
    let mut producer = Producer::new(&impatient()).unwrap();
    let consumer = join(&mut producer, Wakeup::Push);
    let file = std::fs::File::open("/dev/null").unwrap();
    producer
        .publish_with(&[0; 3000], &[file.as_fd()], LONG)
        .unwrap();
    let message = consumer.try_next().unwrap();
    producer.publish(&[0; 3000], LONG).unwrap();
    // They were sent before it was evicted; once taken, there are none.
    let _ = message.take_fds(LONG);
    assert!(is_stalled(message.take_fds(LONG)));
}

// The producer writes over what is being read, while it is read again and again. Whatever is given
// out as whole is that message's own bytes.
#[test]
fn torn_bytes_are_never_given_out() {
    for round in 0..100 {
        let mut producer = Producer::new(&impatient()).unwrap();
        let consumer = join(&mut producer, Wakeup::Push);
        producer.try_publish(&[round; 4000]).unwrap();
        let message = consumer.try_next().unwrap();
        let reading = AtomicBool::new(false);
        thread::scope(|scope| {
            let reading = &reading;
            scope.spawn(move || {
                while !reading.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                for other in 100..150 {
                    producer.publish(&[other; 4000], LONG).unwrap();
                }
            });
            while read_once(&message, round) {
                reading.store(true, Ordering::Release);
            }
        });
    }
}

// The same with the reader in another process.
#[test]
fn nor_to_another_process() {
    let mut producer = Producer::new(&impatient()).unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    let child = support::spawn("holds_and_reads", far);
    producer.try_publish(&[7; 4000]).unwrap();
    near.read_exact(&mut [0]).unwrap(); // it has read once
    for other in 100..150 {
        producer.publish(&[other; 4000], LONG).unwrap();
    }
    support::assert_success(child);
}

#[test]
#[ignore = "a process of another test"]
fn holds_and_reads() {
    let consumer = support::join_by_stdin();
    let message = consumer.next(LONG).unwrap();
    assert!(read_once(&message, 7));
    support::say_by_stdin();
    while read_once(&message, 7) {}
}

// Whether the message is still there.
fn read_once(message: &Message<'_>, filled_with: u8) -> bool {
    match message.to_vec() {
        Ok(bytes) => {
            assert_eq!(bytes, [filled_with; 4000]);
            true
        }
        Err(Error::Evicted(Eviction::Stalled)) => false,
        Err(error) => panic!("{error}"),
    }
}
