// SPDX-License-Identifier: MIT
//! Producer and consumers in processes of their own, and their ends.

mod support;

use std::io::Read;
use std::os::unix::net::UnixStream;
use support::{
    assert_success, join_by_stdin, pattern, producer, say_by_stdin, spawn, spawn_consumer,
    wait_to_be_killed, LONG, PAGE,
};
use zbq::{Consumer, Error, Wakeup};

const MESSAGES: usize = 3000;

fn size_of(message: usize) -> usize {
    message * 37 % 1500
}

#[test]
fn a_stream_reaches_each_consumer_whole() {
    let mut producer = producer(4 * PAGE);
    let children = [
        spawn_consumer(&mut producer, "reads_to_the_end"),
        spawn_consumer(&mut producer, "reads_to_the_end"),
    ];
    for i in 0..MESSAGES {
        let mut room = producer.reserve(size_of(i), LONG).unwrap();
        room.payload().copy_from_slice(&pattern(i, size_of(i)));
        room.commit();
    }
    drop(producer);
    children.into_iter().for_each(assert_success);
}

#[test]
#[ignore = "a process of another test"]
fn reads_to_the_end() {
    let consumer = join_by_stdin();
    let mut count = 0;
    for message in &consumer {
        let message = message.unwrap();
        assert_eq!(message.to_vec().unwrap(), pattern(count, size_of(count)));
        count += 1;
    }
    assert_eq!(count, MESSAGES);
}

#[test]
fn a_killed_producer_is_noticed_and_its_messages_are_read() {
    for wakeup in [Wakeup::Push, Wakeup::Pull] {
        let (near, far) = UnixStream::pair().unwrap();
        let role = match wakeup {
            Wakeup::Push => "publishes_and_waits",
            Wakeup::Pull => "publishes_and_waits_for_one_who_polls",
        };
        let mut child = spawn(role, near);
        let consumer = Consumer::join(&far, wakeup).unwrap();
        assert_eq!(consumer.next(LONG).unwrap().to_vec().unwrap(), b"one");
        assert!(consumer.producer_is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = consumer.iter();
        assert_eq!(rest.next().unwrap().unwrap().to_vec().unwrap(), b"two");
        assert!(matches!(rest.next(), Some(Err(Error::ProducerDied))));
        assert!(rest.next().is_none());
        assert!(!consumer.producer_is_alive());
        assert!(matches!(consumer.try_next(), Err(Error::ProducerDied)));
    }
}

fn publish_and_wait(wakeup: Wakeup) {
    let mut producer = producer(PAGE);
    producer.admit(std::io::stdin(), wakeup).unwrap();
    // At once: who has read the first may end this process.
    let mut both = producer
        .try_batch(2 * zbq::message_size(3).unwrap())
        .unwrap();
    both.add(3).unwrap().copy_from_slice(b"one");
    both.add(3).unwrap().copy_from_slice(b"two");
    both.commit();
    wait_to_be_killed();
}

#[test]
#[ignore = "a process of another test"]
fn publishes_and_waits() {
    publish_and_wait(Wakeup::Push);
}

#[test]
#[ignore = "a process of another test"]
fn publishes_and_waits_for_one_who_polls() {
    publish_and_wait(Wakeup::Pull);
}

#[test]
fn a_killed_consumer_loses_its_slot() {
    let mut producer = producer(PAGE);
    let (mut near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    let mut child = spawn("joins_and_waits", far);
    near.read_exact(&mut [0]).unwrap(); // it has joined
    child.kill().unwrap();
    child.wait().unwrap();
    producer.try_publish(&[0; 4000]).unwrap();
    producer.publish(&[0; 4000], LONG).unwrap(); // nobody holds it back any more
    assert_eq!(producer.statistics().evicted_for(zbq::Eviction::Dead), 1);
}

#[test]
#[ignore = "a process of another test"]
fn joins_and_waits() {
    let _consumer = join_by_stdin();
    say_by_stdin();
    wait_to_be_killed();
}

#[test]
fn a_producer_may_be_the_child() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = spawn("publishes_three", near);
    let consumer = Consumer::join(&far, Wakeup::Push).unwrap();
    let all: Vec<_> = consumer
        .iter()
        .map(|message| message.unwrap().to_vec().unwrap())
        .collect();
    assert_eq!(all, [b"1", b"2", b"3"]);
    assert_success(child);
}

#[test]
#[ignore = "a process of another test"]
fn publishes_three() {
    let mut producer = producer(PAGE);
    producer.admit(std::io::stdin(), Wakeup::Push).unwrap();
    for text in [b"1", b"2", b"3"] {
        producer.try_publish(text).unwrap();
    }
}
