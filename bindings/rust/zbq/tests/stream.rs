// SPDX-License-Identifier: MIT
//! Messages from one end to the other, in one process.

mod support;

use std::io::Read;
use std::os::unix::io::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::raw::{header, Raw};
use support::{both_ends, join, pattern, producer, LONG, PAGE};
use zbq::{Consumer, Error, Options, PayloadType, Producer, Wakeup};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn every_size_arrives_whole_across_the_rings_end() {
    let (mut producer, consumer) = both_ends(PAGE);
    for len in 0..2000 {
        producer.try_publish(&pattern(len, len)).unwrap();
        let message = consumer.try_next().unwrap();
        assert_eq!(message.len(), len);
        assert_eq!(message.is_empty(), len == 0);
        assert_eq!(message.payload().as_ptr() as usize % 16, 0);
        assert_eq!(message.to_vec().unwrap(), pattern(len, len));
    }
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
}

#[test]
fn each_consumer_gets_each_message() {
    let mut producer = producer(PAGE);
    let readers = [
        join(&mut producer, Wakeup::Push),
        join(&mut producer, Wakeup::Pull),
        join(&mut producer, Wakeup::Push),
    ];
    producer.try_publish(b"one").unwrap();
    producer.try_publish(b"two").unwrap();
    for reader in &readers {
        assert_eq!(reader.next(NOW).unwrap().to_vec().unwrap(), b"one");
        assert_eq!(reader.next(NOW).unwrap().to_vec().unwrap(), b"two");
    }
}

#[test]
fn a_reservation_is_filled_in_place_and_can_shrink() {
    let (mut producer, consumer) = both_ends(PAGE);
    let mut room = producer.try_reserve(100).unwrap();
    assert_eq!(room.payload().len(), 100);
    room.payload()[..3].copy_from_slice(b"abc");
    room.truncate(3);
    room.truncate(50); // not smaller
    assert_eq!(room.payload(), b"abc");
    room.commit();
    assert_eq!(consumer.try_next().unwrap().to_vec().unwrap(), b"abc");
    assert_eq!(producer.statistics().head, 32);
}

#[test]
fn a_dropped_reservation_never_was() {
    let (mut producer, consumer) = both_ends(PAGE);
    producer.try_reserve(100).unwrap().payload().fill(1);
    std::mem::forget(producer.try_reserve(200));
    drop(producer.try_batch(64).unwrap());
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
    producer.try_publish(b"after").unwrap();
    assert_eq!(consumer.try_next().unwrap().to_vec().unwrap(), b"after");
}

#[test]
fn a_batch_comes_at_once_and_in_order() {
    let (mut producer, consumer) = both_ends(PAGE);
    let mut batch = producer.try_batch(10 * 32).unwrap();
    for i in 0..10 {
        batch.add(9).unwrap().copy_from_slice(&pattern(i, 9));
    }
    assert_eq!((batch.len(), batch.is_empty()), (10, false));
    assert!(batch.add(0).is_none());
    assert!(batch.add(usize::MAX).is_none());
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
    batch.commit();
    for i in 0..10 {
        assert_eq!(
            consumer.try_next().unwrap().to_vec().unwrap(),
            pattern(i, 9)
        );
    }
    producer.try_batch(32).unwrap().commit(); // of nothing
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
}

#[test]
fn room_comes_back_when_the_oldest_message_goes() {
    let (mut producer, consumer) = both_ends(PAGE);
    for i in 0..4 {
        producer.try_publish(&pattern(i, 1000)).unwrap();
    }
    assert!(matches!(producer.try_reserve(1), Err(Error::Again)));
    let held: Vec<_> = consumer.try_iter().map(Result::unwrap).collect();
    assert_eq!(held.len(), 4);
    let mut held = held.into_iter();
    let first = held.next().unwrap();
    drop(held); // the later three
    assert_eq!(producer.statistics().slowest_tail, 0);
    assert_eq!(first.to_vec().unwrap(), pattern(0, 1000));
    drop(first);
    assert_eq!(producer.statistics().slowest_tail, 4 * 1024);
    producer.try_publish(&pattern(9, 4000)).unwrap();
}

// What is leaked stays held: the producer waits for it, and nothing is written over.
#[test]
fn a_leaked_message_holds_its_room() {
    let (mut producer, consumer) = both_ends(PAGE);
    producer.try_publish(b"leaked").unwrap();
    producer.try_publish(b"next").unwrap();
    std::mem::forget(consumer.try_next().unwrap());
    assert_eq!(consumer.try_next().unwrap().to_vec().unwrap(), b"next");
    assert_eq!(producer.statistics().slowest_tail, 0);
    drop(consumer);
}

#[test]
fn reading_takes_many_ways() {
    let (mut producer, consumer) = both_ends(PAGE);
    let bytes = pattern(5, 777);
    producer.try_publish(&bytes).unwrap();
    let message = consumer.try_next().unwrap();

    let mut by_reader = Vec::new();
    message.reader().read_to_end(&mut by_reader).unwrap();
    assert_eq!(by_reader, bytes);

    let mut part = [0; 100];
    assert_eq!(message.read_at(700, &mut part).unwrap(), 77);
    assert_eq!(part[..77], bytes[700..]);

    let sum = |payload: zbq::Payload<'_>| payload.bytes().map(u64::from).sum::<u64>();
    let expected = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    assert_eq!(message.read(sum).unwrap(), expected);

    let mut all = b"before".to_vec();
    message.payload().append_to(&mut all);
    assert_eq!(all, [b"before", &bytes[..]].concat());

    let (near, mut far) = UnixStream::pair().unwrap();
    assert_eq!(message.write_to(&near).unwrap(), bytes.len());
    drop(near);
    let mut by_socket = Vec::new();
    far.read_to_end(&mut by_socket).unwrap();
    assert_eq!(by_socket, bytes);
}

#[test]
fn write_to_stops_where_it_would_block() {
    let (mut producer, consumer) = both_ends(1 << 22);
    producer.try_publish(&pattern(1, 3 << 20)).unwrap();
    let message = consumer.try_next().unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let written = message.write_to(&near).unwrap();
    assert!(0 < written && written < message.len());
    let error = std::io::Error::from(message.write_to(&near).unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

// The memory of a process that has ended takes nothing, and does not say why.
#[test]
fn write_to_ends_where_nothing_is_taken() {
    let (mut producer, consumer) = both_ends(PAGE);
    producer.try_publish(b"x").unwrap();
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let memory = std::fs::File::options()
        .write(true)
        .open(format!("/proc/{}/mem", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    match memory {
        Ok(memory) => {
            let written = consumer.try_next().unwrap().write_to(&memory);
            let error = std::io::Error::from(written.unwrap_err());
            assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
        }
        Err(error) => support::skip(&format!("no memory of another process: {error}")),
    }
}

#[test]
fn the_stream_ends_for_iterators() {
    let (mut producer, consumer) = both_ends(PAGE);
    producer.try_publish(b"last").unwrap();
    assert!(consumer.ending().is_none());
    drop(producer);
    let mut all = consumer.iter();
    assert_eq!(all.next().unwrap().unwrap().to_vec().unwrap(), b"last");
    assert!(all.next().is_none());
    assert!(all.next().is_none());
    assert_eq!(consumer.try_iter().count(), 0);
    assert!(matches!(consumer.next(LONG), Err(Error::Closed)));
    assert!(matches!(consumer.ending(), Some(Error::Closed)));
    assert!(consumer.producer_is_alive());
}

#[test]
fn nothing_in_time() {
    let (mut producer, consumer) = both_ends(PAGE);
    let short = Some(Duration::from_millis(3));
    assert!(matches!(consumer.next(NOW), Err(Error::Again)));
    assert!(matches!(consumer.wait(short), Err(Error::Again)));
    producer.try_publish(&[0; 4000]).unwrap();
    assert!(matches!(producer.reserve(100, NOW), Err(Error::Again)));
    assert!(matches!(
        producer.publish(&[0; 100], short),
        Err(Error::Again)
    ));
}

#[test]
fn a_sleeper_is_woken_on_either_side() {
    let (mut producer, consumer) = both_ends(PAGE);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for i in 0..200 {
                let message = consumer.next(LONG).unwrap();
                assert_eq!(message.to_vec().unwrap(), pattern(i, 1500));
            }
        });
        for i in 0..200 {
            producer.publish(&pattern(i, 1500), LONG).unwrap();
        }
    });
}

#[test]
fn errors_are_told_apart() {
    let mut producer = Producer::new(&Options::new().capacity(PAGE).max_consumers(1)).unwrap();
    assert!(matches!(
        producer.try_reserve(PAGE as usize),
        Err(Error::TooLarge)
    ));
    assert!(matches!(
        producer.try_reserve(1 << 40),
        Err(Error::TooLarge)
    ));
    assert!(matches!(producer.try_batch(0), Err(Error::Invalid)));
    assert!(matches!(producer.consumer_info(1), Err(Error::Invalid)));
    assert!(matches!(
        Producer::new(&Options::new().capacity(100)),
        Err(Error::Invalid)
    ));
    assert!(matches!(
        Producer::new(&Options::new().capacity(1 << 46)),
        Err(Error::NoMemory)
    ));

    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(
        producer.admit(&file, Wakeup::Push),
        Err(Error::Invalid)
    ));
    assert!(matches!(
        Consumer::join(&file, Wakeup::Push),
        Err(Error::Invalid)
    ));
    let (near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    assert!(matches!(
        Consumer::join(&far, Wakeup::Push),
        Err(Error::Again)
    ));
    assert_eq!(producer.admit(&near, Wakeup::Pull).unwrap(), 0);
    assert!(matches!(
        producer.admit(&near, Wakeup::Pull),
        Err(Error::Full)
    ));
    assert!(matches!(
        Consumer::join(&far, Wakeup::Push),
        Err(Error::Protocol)
    ));
    drop(near);
    match Consumer::join(&far, Wakeup::Push) {
        Err(Error::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_become_those_of_the_standard_library() {
    use std::io::ErrorKind;
    let kind = |error: Error| std::io::Error::from(error).kind();
    assert_eq!(kind(Error::Again), ErrorKind::WouldBlock);
    assert_eq!(kind(Error::Closed), ErrorKind::UnexpectedEof);
    assert_eq!(
        kind(Error::Evicted(zbq::Eviction::Stalled)),
        ErrorKind::ConnectionAborted
    );
    let system = std::io::Error::from_raw_os_error(libc::EPIPE);
    let back = std::io::Error::from(Error::from(system));
    assert_eq!(back.raw_os_error(), Some(libc::EPIPE));
    let inner = std::io::Error::from(Error::Protocol).into_inner().unwrap();
    assert!(matches!(inner.downcast_ref(), Some(Error::Protocol)));
    let back = Error::from(std::io::Error::from(Error::Evicted(zbq::Eviction::Dead)));
    assert!(matches!(back, Error::Evicted(zbq::Eviction::Dead)));
    let others = std::io::Error::new(ErrorKind::Other, "another's");
    assert!(matches!(Error::from(others), Error::Io(_)));
}

#[test]
fn accounts_tell_who_is_there() {
    let mut producer = producer(PAGE);
    let told = PayloadType {
        hash: 7,
        size: 8,
        align: 8,
    };
    producer.set_type(told).unwrap();
    let consumer = join(&mut producer, Wakeup::Pull);
    assert!(matches!(producer.set_type(told), Err(Error::Invalid)));
    assert_eq!(consumer.payload_type(), told);
    assert_eq!(consumer.capacity(), PAGE);
    producer.try_publish(b"x").unwrap();
    assert_eq!(consumer.lag(), 32);

    let info = producer.consumer_info(0).unwrap();
    assert!(info.present);
    assert_eq!((info.lag, info.join_number), (32, 1));
    assert_eq!((info.wakeup, info.eviction), (Wakeup::Pull, None));
    drop(consumer);
    producer.scan();
    let info = producer.consumer_info(0).unwrap();
    assert!(!info.present);
    assert_eq!(info.eviction, Some(zbq::Eviction::Dead));
    let counters = producer.statistics();
    assert_eq!((counters.joined, counters.consumers), (1, 0));
    assert_eq!(counters.evicted, 1);
    assert_eq!(counters.evicted_for(zbq::Eviction::Dead), 1);
    assert_eq!(counters.evicted_for(zbq::Eviction::Stalled), 0);
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut polled = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&mut polled, 1, 0) == 1 }
}

// After a look that finds nothing it may be readable once more for nothing: see event_fd.
fn has_settled(consumer: &Consumer) -> bool {
    (0..1000).any(|_| {
        assert!(matches!(consumer.try_next(), Err(Error::Again)));
        !readable(consumer.event_fd().unwrap())
    })
}

#[test]
fn event_descriptors_serve_poll() {
    let (mut producer, consumer) = both_ends(PAGE);
    assert!(readable(consumer.event_fd().unwrap()));
    assert!(has_settled(&consumer));
    producer.try_publish(&[0; 4000]).unwrap();
    assert!(readable(consumer.event_fd().unwrap()));

    producer.event_fd().unwrap();
    assert!(matches!(producer.try_reserve(2000), Err(Error::Again)));
    drop(consumer.try_next().unwrap());
    assert!(readable(producer.event_fd().unwrap()));
    assert!(producer.try_reserve(2000).is_ok());

    let mut other = support::producer(PAGE);
    let poller = join(&mut other, Wakeup::Pull);
    assert!(matches!(poller.event_fd(), Err(Error::Invalid)));
}

// A message that goes looks for its descriptors, whose record may come later than it.
#[test]
fn messages_that_go_do_not_silence_the_event_descriptor() {
    let (raw, consumer) = Raw::with_consumer();
    let event_fd = consumer.event_fd().unwrap();
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
    for taken_before in [false, true] {
        for seq_id in 1..=3 {
            raw.publish(16, header(0, 1, seq_id));
        }
        let held: Vec<_> = consumer.try_iter().map(Result::unwrap).collect();
        // Once more for nothing, at the end of its nap; a look in vain ends that.
        std::thread::sleep(Duration::from_millis(1));
        assert!(matches!(consumer.try_next(), Err(Error::Again)));
        raw.publish(16, header(0, 0, 0));
        if taken_before {
            assert!(matches!(held[0].take_fds(NOW), Err(Error::Again)));
        }
        drop(held);
        assert!(readable(event_fd));
        assert_eq!(consumer.try_iter().count(), 1);
    }
}
