// SPDX-License-Identifier: MIT
//! Descriptors that travel with messages.

mod support;

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::io::{AsFd, BorrowedFd};
use std::time::Duration;
use support::{
    assert_success, both_ends, file, identity, join, join_by_stdin, join_with, open_fds, pattern,
    spawn_consumer, LONG, PAGE,
};
use zbq::{Error, Flow, FramePool, FramePoolOptions, Frames, Producer, Start, Wakeup};

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
    of_retained_messages_come_first();
    of_observers_are_dropped_when_they_do_not_take_them();
    of_what_was_copied_are_closed();
    of_what_goes_out_of_order_are_closed();
    of_lapped_messages_stay_with_the_others();
    of_a_batch_are_taken_or_closed();
    of_frames_go_with_their_buffers();
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

fn of_retained_messages_come_first() {
    let mut producer = support::producer(16 * PAGE);
    let files = [file("0"), file("1"), file("2"), file("3")];
    let fd = |i: usize| files[i].as_fd();
    let same = |fds: Vec<_>, of: &[usize]| {
        let got: Vec<_> = fds.iter().map(identity).collect();
        let expected: Vec<_> = of.iter().map(|i| identity(&files[*i])).collect();
        assert_eq!(got, expected);
    };
    let here = join(&mut producer, Wakeup::Push);
    producer
        .retain_with(1, b"one", &[fd(0), fd(1)], LONG)
        .unwrap();
    producer.publish_with(b"not", &[fd(3)], LONG).unwrap();
    producer.retain_with(2, b"two", &[fd(2)], LONG).unwrap();
    for flow in [Flow::Lossless, Flow::Follow] {
        let late = join_with(&mut producer, Wakeup::Push, flow, Start::Head);
        producer.publish_with(b"after", &[fd(3)], LONG).unwrap();
        for (message, of) in late.retained().zip([&[0, 1][..], &[2]]) {
            assert_eq!(usize::from(message.fd_count()), of.len());
            same(message.take_fds().unwrap(), of);
            assert!(matches!(message.take_fds(), Err(Error::DescriptorsLost)));
        }
        same(late.try_next().unwrap().take_fds(LONG).unwrap(), &[3]);
    }
    // Who does not take them loses them to what it takes; who polls has none.
    let careless = join(&mut producer, Wakeup::Push);
    producer.publish_with(b"after", &[fd(3)], LONG).unwrap();
    same(careless.try_next().unwrap().take_fds(LONG).unwrap(), &[3]);
    let first = careless.retained().next().unwrap();
    assert!(matches!(first.take_fds(), Err(Error::DescriptorsLost)));
    let polls = join(&mut producer, Wakeup::Pull);
    let first = polls.retained().next().unwrap();
    assert!(matches!(first.take_fds(), Err(Error::DescriptorsLost)));
    // Who was there has them with the message.
    let first = here.try_next().unwrap();
    assert_eq!(first.key(), Some(1));
    same(first.take_fds(LONG).unwrap(), &[0, 1]);
}

fn of_observers_are_dropped_when_they_do_not_take_them() {
    let mut producer = support::producer(16 * PAGE);
    let reader = join_with(&mut producer, Wakeup::Push, Flow::Follow, Start::Head);
    let file = file("x");
    let many = vec![file.as_fd(); 100];
    for i in 0..20 {
        producer.publish_with(&[i], &many, NOW).unwrap(); // nobody waits
    }
    let info = producer.consumer_info(0).unwrap();
    let dropped = info.dropped_records as usize;
    assert!(dropped > 0 && dropped < 20);
    assert_eq!(info.fds_in_flight as usize, 100 * (20 - dropped));
    for (i, message) in reader.try_iter().map(Result::unwrap).enumerate() {
        match message.take_fds(NOW) {
            Ok(fds) => assert_eq!(fds.len(), 100),
            Err(Error::Again | Error::DescriptorsLost) => assert!(i >= 20 - dropped),
            Err(error) => panic!("{error}"),
        }
    }
    producer.publish_with(b"again", &many, NOW).unwrap();
    let message = reader.try_next().unwrap();
    assert_eq!(message.take_fds(NOW).unwrap().len(), 100);
}

fn of_what_goes_out_of_order_are_closed() {
    let (mut producer, reader) = both_ends(PAGE);
    let file = file("x");
    for _ in 0..4 {
        producer.publish_with(b"x", &[file.as_fd()], LONG).unwrap();
    }
    let oldest = reader.try_next().unwrap();
    drop(reader.try_next().unwrap());
    reader.try_copy(&mut [0]).unwrap();
    drop(reader.try_next().unwrap());
    assert_eq!(oldest.take_fds(LONG).unwrap().len(), 1);
    assert_eq!(producer.consumer_info(0).unwrap().fds_in_flight, 3);
    drop(oldest);
    assert_eq!(producer.consumer_info(0).unwrap().fds_in_flight, 0);
}

fn of_what_was_copied_are_closed() {
    let (mut producer, reader) = both_ends(PAGE);
    let file = file("x");
    let before = open_fds();
    for _ in 0..1000 {
        producer.publish_with(b"x", &[file.as_fd()], LONG).unwrap();
        reader.try_copy(&mut [0]).unwrap();
    }
    assert_eq!(producer.consumer_info(0).unwrap().fds_in_flight, 0);
    assert_eq!(open_fds(), before);
}

// Its header is bytes of other messages by now: of its record nothing may be drawn from them.
fn of_lapped_messages_stay_with_the_others() {
    let mut producer = support::producer(16 * PAGE);
    let reader = join_with(&mut producer, Wakeup::Push, Flow::Follow, Start::Head);
    let file = file("x");
    producer.try_publish(b"lapped").unwrap();
    let lapped = reader.try_next().unwrap();
    for _ in 0..200 {
        producer.try_publish(&[0xff; 1000]).unwrap();
    }
    producer
        .publish_with(b"later", &[file.as_fd()], LONG)
        .unwrap();
    assert!(matches!(lapped.take_fds(NOW), Err(Error::Lapped)));
    drop(lapped);
    let last = reader.try_iter().map(Result::unwrap).last().unwrap();
    assert_eq!(last.take_fds(NOW).unwrap().len(), 1);
}

fn of_a_batch_are_taken_or_closed() {
    let (mut producer, consumer) = both_ends(PAGE);
    let (taken, ignored) = (file("taken"), file("ignored"));
    let open = open_fds();
    for fd in [&ignored, &taken, &ignored] {
        producer.publish_with(b"", &[fd.as_fd()], LONG).unwrap();
    }
    producer.try_publish(b"none").unwrap();
    let batch = consumer.take_batch(100);
    let mut messages = batch.iter();
    assert_eq!(messages.next().unwrap().fd_count(), 1);
    let fds = messages.next().unwrap().take_fds(LONG).unwrap();
    assert_eq!(identity(&fds[0]), identity(&taken));
    drop(fds);
    assert_eq!(messages.next().unwrap().fd_count(), 1);
    assert!(messages.next().unwrap().take_fds(NOW).unwrap().is_empty());
    assert_eq!(batch.finish().unwrap(), 4);
    assert_eq!(open_fds(), open);
}

fn of_frames_go_with_their_buffers() {
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.matches("memfd:zbq-memory").count()
    };
    {
        let (mut producer, _consumer) = both_ends(PAGE);
        let options = FramePoolOptions::new(PAGE as usize).frames(3);
        let mut pool = FramePool::new(&mut producer, &options, NOW).unwrap();
        let reader = Frames::new(join(&mut producer, Wakeup::Push)).unwrap();
        let frame = pool.acquire(&mut producer, NOW).unwrap();
        frame.publish(&mut producer, 1, b"", NOW).unwrap();
        drop(reader.try_next().unwrap());
        assert_eq!(mapped(), 6);
        drop(reader);
        assert_eq!(mapped(), 3);
        drop(pool.acquire(&mut producer, NOW).unwrap());
    }
    assert_eq!(mapped(), 0);
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
