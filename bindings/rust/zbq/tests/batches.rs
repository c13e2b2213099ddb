// SPDX-License-Identifier: MIT
//! Several messages at a time, in place; and waits that spin first.

mod support;

use std::time::Duration;
use support::{both_ends, impatient, join, join_with, pattern, producer, LONG, PAGE};
use zbq::{message_size, Consumer, Error, Eviction, Flow, MessageView, Producer};
use zbq::{Start, Wakeup};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn publish(producer: &mut Producer, messages: std::ops::Range<usize>) {
    for message in messages {
        producer.try_publish(&pattern(message, 20)).unwrap();
    }
}

/// Copies of all that a batch gives, which were whole.
fn batch(consumer: &Consumer, most: usize) -> zbq::Result<Vec<Vec<u8>>> {
    let batch = consumer.take_batch(most);
    let all: Vec<Vec<u8>> = batch.iter().map(|it| it.payload().to_vec()).collect();
    assert_eq!(batch.visited(), all.len());
    batch.finish().map(|_| all)
}

#[test]
fn messages_arrive_as_they_were_across_the_rings_end() {
    let (mut producer, consumer) = both_ends(PAGE);
    for round in 0..100 {
        publish(&mut producer, round..round + 5);
        let expected: Vec<_> = (round..round + 5)
            .map(|message| pattern(message, 20))
            .collect();
        assert_eq!(batch(&consumer, 3).unwrap(), expected[..3]);
        assert_eq!(batch(&consumer, usize::MAX).unwrap(), expected[3..]);
    }
    assert_eq!(consumer.lag(), 0);
}

#[test]
fn a_batch_gives_back_its_room_at_once() {
    let (mut producer, consumer) = both_ends(PAGE);
    publish(&mut producer, 0..5);
    let size = message_size(20).unwrap();
    let batch = consumer.take_batch(3);
    let first = batch.iter().next().unwrap();
    let second = batch.iter().next().unwrap(); // where the other one stopped
    assert_eq!(second.offset(), size);
    assert_eq!(first.payload().to_vec(), pattern(0, 20));
    assert_eq!(producer.statistics().slowest_tail, 0);
    assert_eq!(batch.finish().unwrap(), 2);
    assert_eq!(producer.statistics().slowest_tail, 2 * size);
}

#[test]
fn it_ends_where_another_call_takes_a_message() {
    let (mut producer, consumer) = both_ends(PAGE);
    publish(&mut producer, 0..5);
    let batch = consumer.take_batch(100);
    let mut all = batch.iter();
    all.next().unwrap();
    let between = consumer.try_next().unwrap();
    assert!(all.next().is_none());
    assert_eq!(batch.finish().unwrap(), 1);
    assert_eq!(between.to_vec().unwrap(), pattern(1, 20));
    drop(between);
    assert_eq!(
        consumer.try_next().unwrap().to_vec().unwrap(),
        pattern(2, 20)
    );
}

#[test]
fn one_of_nothing_says_why() {
    let (mut producer, consumer) = both_ends(PAGE);
    assert!(matches!(batch(&consumer, 10), Err(Error::Again)));
    publish(&mut producer, 0..1);
    assert!(batch(&consumer, 0).unwrap().is_empty());
    drop(producer);
    assert_eq!(batch(&consumer, 10).unwrap(), [pattern(0, 20)]);
    assert!(matches!(batch(&consumer, 10), Err(Error::Closed)));
}

#[test]
fn each_says_what_its_header_does() {
    let (mut producer, consumer) = both_ends(PAGE);
    let mut room = producer.try_reserve(8).unwrap();
    room.set_flags(7);
    room.truncate(4);
    room.commit();
    producer.retain(9, b"nine", NOW).unwrap();
    producer.forget(9, NOW).unwrap();
    let mut several = producer.try_batch(2 * message_size(0).unwrap()).unwrap();
    several.add_with_flags(0, 255).unwrap();
    several.add(0).unwrap();
    several.commit();
    let batch = consumer.take_batch(100);
    let said = |it: MessageView<'_>| (it.payload().len(), it.flags(), it.key(), it.is_forgotten());
    let all: Vec<_> = batch.iter().map(said).collect();
    assert_eq!(
        all,
        [
            (4, 7, None, false),
            (4, 0, Some(9), false),
            (0, 0, Some(9), true),
            (0, 255, None, false),
            (0, 0, None, false),
        ]
    );
    assert_eq!(batch.finish().unwrap(), 5);
}

#[test]
fn an_evicted_reader_is_told() {
    let mut producer = Producer::new(&impatient()).unwrap();
    let consumer = join(&mut producer, Wakeup::Push);
    publish(&mut producer, 0..2);
    let batch = consumer.take_batch(100);
    let first = batch.iter().next().unwrap();
    assert!(first.is_intact() && batch.is_intact());
    producer.publish(&[0; 4000], LONG).unwrap();
    assert!(!first.is_intact() && !batch.is_intact());
    assert!(batch.iter().next().is_none());
    let stalled = batch.finish();
    assert!(matches!(stalled, Err(Error::Evicted(Eviction::Stalled))));
}

#[test]
fn an_observer_asks_for_each() {
    let mut producer = producer(PAGE);
    let observer = join_with(&mut producer, Wakeup::Pull, Flow::Follow, Start::Head);
    publish(&mut producer, 0..2);
    let batch = observer.take_batch(100);
    let lapped = batch.iter().next().unwrap();
    publish(&mut producer, 2..200);
    let whole = batch.iter().next().unwrap();
    assert!(!lapped.is_intact() && whole.is_intact());
    assert!(observer.lost().bytes > 0);
    assert!(matches!(batch.finish(), Err(Error::Lapped)));
}

// ---- waiting ----

#[test]
fn a_wait_that_spins_first_is_woken_all_the_same() {
    for wakeup in [Wakeup::Push, Wakeup::Pull] {
        for spin in [Duration::ZERO, Duration::from_micros(1), Duration::MAX] {
            let mut producer = producer(PAGE);
            let consumer = join(&mut producer, wakeup);
            assert!(matches!(
                consumer.wait_spinning(NOW, spin),
                Err(Error::Again)
            ));
            let publisher = std::thread::spawn(move || {
                for message in 0..200 {
                    producer.publish(&pattern(message, 20), LONG).unwrap();
                    std::thread::yield_now();
                }
            });
            let mut count = 0;
            while consumer.wait_spinning(None, spin).is_ok() {
                count += batch(&consumer, usize::MAX).unwrap().len();
            }
            assert!(matches!(consumer.ending(), Some(Error::Closed)));
            assert_eq!(count, 200);
            publisher.join().unwrap();
        }
    }
}
