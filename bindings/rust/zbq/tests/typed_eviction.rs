// SPDX-License-Identifier: MIT
//! One who reads values too slowly: told so, before anything else is said of them, and never given
//! torn ones.

mod support;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::{impatient, LONG};
use zbq::{Channel, Error, Eviction, TypedConsumer, TypedProducer, Wakeup};

type Words = [u64; 60];
const WORDS: Channel<Words> = Channel::new("words/1");
const HALF: usize = 4; // of a ring full of them

fn both_ends() -> (TypedProducer<Words>, TypedConsumer<Words>) {
    let mut producer = WORDS.producer(&impatient()).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    producer.get_mut().admit(&near, Wakeup::Push).unwrap();
    let consumer = WORDS.join(&far, Wakeup::Push).unwrap();
    (producer, consumer)
}

/// Writes over all of the ring, whoever reads it.
fn overwrite(producer: &mut TypedProducer<Words>, with: u64) {
    for _ in 0..3 * HALF {
        producer.send(&[with; 60], LONG).unwrap();
    }
}

fn is_stalled<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Evicted(Eviction::Stalled)))
}

#[test]
fn a_value_that_was_known_is_not_given_out() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&[[1; 60]; HALF]).unwrap();
    assert_eq!(consumer.try_next().unwrap(), [1; 60]);
    overwrite(&mut producer, u64::MAX);
    assert!(is_stalled(consumer.try_next()));
    assert!(is_stalled(consumer.next(LONG)));
    let mut all = consumer.iter();
    assert!(is_stalled(all.next().unwrap()));
    assert!(all.next().is_none());
}

#[test]
fn a_batch_ends_with_it() {
    for with in [0, 7, u64::MAX] {
        let (mut producer, consumer) = both_ends();
        producer.try_send_all(&[[1; 60]; HALF]).unwrap();
        consumer.try_next().unwrap();
        overwrite(&mut producer, with);
        let batch = consumer.take_batch(10);
        assert!(batch.iter().next().is_none());
        assert_eq!(batch.visited(), 0);
        assert!(!batch.is_intact());
        assert!(is_stalled(batch.finish()));
        assert!(is_stalled(consumer.take_batch(10).finish()));
    }
}

#[test]
fn what_was_visited_is_not_whole() {
    let (mut producer, consumer) = both_ends();
    producer.try_send(&[1; 60]).unwrap();
    let batch = consumer.take_batch(10);
    let place = batch.iter().next().unwrap();
    overwrite(&mut producer, 7);
    assert_ne!(place.get(), [1; 60]); // some bytes, and no more is said of them
    assert_ne!(place.field(|words| &words[59]), 1);
    assert!(!batch.is_intact());
    assert!(is_stalled(batch.finish()));
}

// Of an evicted consumer's the size may be nonsense, too.
#[test]
fn it_comes_before_another_size() {
    let (mut producer, consumer) = both_ends();
    producer.get_mut().try_publish(b"short").unwrap();
    let batch = consumer.take_batch(10);
    assert!(batch.iter().next().is_none());
    overwrite(&mut producer, 7);
    assert!(is_stalled(batch.finish()));

    let (mut producer, consumer) = both_ends();
    producer.get_mut().try_publish(b"short").unwrap();
    let message = consumer.get_ref().try_next().unwrap();
    assert!(matches!(message.value::<Words>(), Err(Error::Protocol)));
    overwrite(&mut producer, 7);
    assert!(is_stalled(message.value::<Words>()));
    assert!(is_stalled(message.value::<[u8; 5]>()));
}

// Headers of ones, where this one looks for the next message.
#[test]
fn nonsense_is_not_the_producers_fault() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&[[u64::MAX; 60]; HALF]).unwrap();
    consumer.try_next().unwrap();
    while producer.get_ref().statistics().evicted == 0 {
        producer.get_mut().publish(&[255; 100], LONG).unwrap();
    }
    for _ in 0..100 {
        producer.get_mut().publish(&[255; 333], LONG).unwrap();
        assert!(is_stalled(consumer.try_next()));
        let batch = consumer.take_batch(1);
        assert!(batch.iter().next().is_none());
        assert!(is_stalled(batch.finish()));
    }
}

// The producer writes over what is being read, while it is read again and again. Whatever is given
// out as whole is what was sent.
#[test]
fn torn_values_are_never_given_out() {
    for round in 0..100 {
        let (mut producer, consumer) = both_ends();
        producer.try_send_all(&[[round; 60]; HALF]).unwrap();
        let batch = consumer.take_batch(1);
        let place = batch.iter().next().unwrap();
        let reading = AtomicBool::new(false);
        thread::scope(|scope| {
            let reading = &reading;
            scope.spawn(move || {
                while !reading.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                for other in 100..110 {
                    overwrite(&mut producer, other);
                }
            });
            loop {
                let value = place.get();
                let part = place.field(|words| &words[30]);
                if !batch.is_intact() {
                    break;
                }
                assert_eq!((value, part), ([round; 60], round));
                reading.store(true, Ordering::Release);
            }
        });
        assert!(is_stalled(batch.finish()));
    }
}

// As that, with values that are taken while it happens.
#[test]
fn a_copy_is_whole_or_an_error() {
    for round in 0..100 {
        let (mut producer, consumer) = both_ends();
        producer.try_send_all(&[[round; 60]; HALF]).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || overwrite(&mut producer, round + 1000));
            let mut last = round;
            loop {
                match consumer.next(LONG) {
                    Ok(value) => {
                        assert!(value[0] == round || value[0] == round + 1000);
                        assert!(value[0] >= last);
                        assert_eq!(value, [value[0]; 60]);
                        last = value[0];
                    }
                    Err(Error::Closed | Error::Evicted(_)) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
}
