// SPDX-License-Identifier: MIT
//! Descriptors that travel with messages.

mod support;

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::io::{AsFd, BorrowedFd};
use std::time::Duration;
use support::{
    assert_success, both_ends, file, identity, join, join_by_stdin, open_fds, pattern,
    spawn_consumer, LONG, PAGE,
};
use zbq::{Error, Producer, Wakeup};

const NOW: Option<Duration> = Some(Duration::ZERO);

// In one test, since what it counts is the process's.
#[test]
fn descriptors() {
    let before = open_fds();
    arrive_and_are_owned();
    too_many_or_twice_are_refused();
    are_closed_when_nobody_takes_them();
    of_a_dropped_reservation_go_nowhere();
    wait_for_room_and_go_on();
    pull_mode_gets_none();
    cross_processes();
    assert_eq!(open_fds(), before);
}

fn arrive_and_are_owned() {
    let (mut producer, consumer) = both_ends(PAGE);
    let (one, two) = (file("one"), file("two"));
    producer
        .publish_with(b"both", &[one.as_fd(), two.as_fd()], LONG)
        .unwrap();
    producer.try_publish(b"none").unwrap();

    let message = consumer.try_next().unwrap();
    assert_eq!(message.fd_count(), 2);
    let fds = message.take_fds(LONG).unwrap();
    assert_eq!(identity(&fds[0]), identity(&one));
    assert_eq!(identity(&fds[1]), identity(&two));
    assert!(matches!(
        message.take_fds(LONG),
        Err(Error::DescriptorsLost)
    ));
    drop(message);
    let mut received = File::from(fds.into_iter().next().unwrap());
    let mut text = String::new();
    received.rewind().unwrap();
    received.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one");

    let message = consumer.try_next().unwrap();
    assert_eq!(message.take_fds(NOW).unwrap().len(), 0);
}

fn too_many_or_twice_are_refused() {
    let (mut producer, consumer) = both_ends(PAGE);
    let file = file("x");
    let many: Vec<BorrowedFd<'_>> = (0..254).map(|_| file.as_fd()).collect();
    let mut room = producer.try_reserve(1).unwrap();
    room.payload()[0] = 7;
    assert!(matches!(room.attach(&many), Err(Error::Invalid)));
    room.attach(&[]).unwrap();
    room.attach(&many[..253]).unwrap();
    assert!(matches!(room.attach(&many[..1]), Err(Error::Invalid)));
    room.commit();
    let message = consumer.try_next().unwrap();
    assert_eq!(message.to_vec().unwrap(), [7]);
    assert_eq!(message.take_fds(LONG).unwrap().len(), 253);
}

fn are_closed_when_nobody_takes_them() {
    let (mut producer, consumer) = both_ends(PAGE);
    let (ignored, taken) = (file("ignored"), file("taken"));
    let open = open_fds();
    for _ in 0..100 {
        producer
            .publish_with(b"", &[ignored.as_fd()], LONG)
            .unwrap();
        producer.publish_with(b"", &[taken.as_fd()], LONG).unwrap();
        drop(consumer.try_next().unwrap());
        let fds = consumer.try_next().unwrap().take_fds(LONG).unwrap();
        assert_eq!(identity(&fds[0]), identity(&taken));
    }
    assert_eq!(open_fds(), open);

    // A later message that goes leaves those of an earlier one.
    producer.publish_with(b"", &[taken.as_fd()], LONG).unwrap();
    producer
        .publish_with(b"", &[ignored.as_fd()], LONG)
        .unwrap();
    let early = consumer.try_next().unwrap();
    drop(consumer.try_next().unwrap());
    let fds = early.take_fds(LONG).unwrap();
    assert_eq!(identity(&fds[0]), identity(&taken));
    drop((early, fds));

    // Those of an earlier message are closed by taking later ones.
    producer
        .publish_with(b"", &[ignored.as_fd()], LONG)
        .unwrap();
    producer.publish_with(b"", &[taken.as_fd()], LONG).unwrap();
    let early = consumer.try_next().unwrap();
    let late = consumer.try_next().unwrap();
    assert_eq!(late.take_fds(LONG).unwrap().len(), 1);
    assert!(matches!(early.take_fds(LONG), Err(Error::DescriptorsLost)));
    assert_eq!(open_fds(), open);
}

fn of_a_dropped_reservation_go_nowhere() {
    let (mut producer, consumer) = both_ends(PAGE);
    let (never, sent) = (file("never"), file("sent"));
    let mut room = producer.try_reserve(1).unwrap();
    room.attach(&[never.as_fd()]).unwrap();
    drop(room);
    producer.publish_with(b"x", &[sent.as_fd()], LONG).unwrap();
    let message = consumer.try_next().unwrap();
    let fds = message.take_fds(LONG).unwrap();
    assert_eq!(fds.len(), 1);
    assert_eq!(identity(&fds[0]), identity(&sent));
}

// A consumer may have 512 to collect, and no more.
fn wait_for_room_and_go_on() {
    let (mut producer, consumer) = both_ends(PAGE);
    let file = file("x");
    let many: Vec<BorrowedFd<'_>> = (0..253).map(|_| file.as_fd()).collect();
    producer.publish_with(b"1", &many, LONG).unwrap();
    producer.publish_with(b"2", &many, LONG).unwrap();
    let _late = join(&mut producer, Wakeup::Push); // who has room
    let in_flight = |producer: &Producer| producer.consumer_info(1).unwrap().fds_in_flight;
    assert!(matches!(
        producer.publish_with(b"no", &many, NOW),
        Err(Error::Again)
    ));
    let before = in_flight(&producer);
    let mut room = producer.try_reserve(1).unwrap();
    assert!(matches!(room.attach(&many[..9]), Err(Error::Again)));
    assert_eq!(
        consumer.try_next().unwrap().take_fds(LONG).unwrap().len(),
        253
    );
    room.attach(&many[..9]).unwrap();
    room.payload()[0] = b'3';
    room.commit();
    assert_eq!(in_flight(&producer), before + 9); // once
    for (text, count) in [(b"2", 253), (b"3", 9)] {
        let message = consumer.try_next().unwrap();
        assert_eq!(message.to_vec().unwrap(), text);
        assert_eq!(message.take_fds(LONG).unwrap().len(), count);
    }
}

fn pull_mode_gets_none() {
    let mut producer = support::producer(PAGE);
    let consumer = join(&mut producer, Wakeup::Pull);
    let file = file("x");
    producer.publish_with(b"x", &[file.as_fd()], LONG).unwrap();
    let message = consumer.try_next().unwrap();
    assert_eq!(message.fd_count(), 1);
    assert!(matches!(
        message.take_fds(LONG),
        Err(Error::DescriptorsLost)
    ));
}

fn cross_processes() {
    let (mut producer, role) = (support::producer(PAGE), "reads_files");
    let children = [
        spawn_consumer(&mut producer, role),
        spawn_consumer(&mut producer, role),
    ];
    for i in 0..50 {
        let files: Vec<File> = (0..i % 4).map(|j| file(&format!("{i}/{j}"))).collect();
        let fds: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        producer
            .publish_with(&pattern(i, 20 * i), &fds, LONG)
            .unwrap();
    }
    drop(producer);
    children.into_iter().for_each(assert_success);
}

#[test]
#[ignore = "a process of another test"]
fn reads_files() {
    let consumer = join_by_stdin();
    let before = open_fds();
    let mut i = 0;
    for message in &consumer {
        let message = message.unwrap();
        assert_eq!(message.to_vec().unwrap(), pattern(i, 20 * i));
        let fds = message.take_fds(LONG).unwrap();
        assert_eq!(fds.len(), i % 4);
        for (j, fd) in fds.into_iter().enumerate() {
            use std::os::unix::fs::FileExt;
            let mut text = [0; 8];
            let len = File::from(fd).read_at(&mut text, 0).unwrap();
            assert_eq!(text[..len], *format!("{i}/{j}").as_bytes());
        }
        i += 1;
    }
    assert_eq!(i, 50);
    assert_eq!(open_fds(), before);
}
