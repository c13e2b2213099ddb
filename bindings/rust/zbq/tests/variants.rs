// SPDX-License-Identifier: MIT
//! Rings whose messages are of several types.

mod support;

use std::os::unix::net::UnixStream;
use support::{LONG, PAGE};
use zbq::{bytes_of, Channel, Consumer, Error, Flow, Options, Producer, Start};
use zbq::{VariantChannel, VariantConsumer, VariantProducer, Variants, Wakeup};

zbq::pod! {
    #[derive(Debug, PartialEq)]
    struct Trade {
        price: f64,
        volume: u64,
    }

    #[derive(Debug, PartialEq)]
    struct Quote {
        bid: f64,
        ask: f64,
        symbol: u64,
    }
}

zbq::variants! {
    #[derive(Debug, PartialEq)]
    enum Event {
        Trade(Trade),
        Quote(Quote),
        Closed(u32),
    }

    #[derive(Debug, PartialEq)]
    enum Larger {
        Trade(Trade),
        Quote([u64; 4]),
    }
}

const MARKET: VariantChannel<Event> = VariantChannel::new("market/1");

fn event(number: u32) -> Event {
    let (price, many) = (f64::from(number), u64::from(number));
    match number % 3 {
        0 => Event::Trade(Trade {
            price,
            volume: many,
        }),
        1 => Event::Quote(Quote {
            bid: price,
            ask: price + 0.5,
            symbol: many,
        }),
        _ => Event::Closed(number),
    }
}

fn join<V: Variants>(
    producer: &mut Producer,
    channel: VariantChannel<V>,
) -> zbq::Result<VariantConsumer<V>> {
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    channel.join(&far, Wakeup::Push)
}

fn both_ends() -> (VariantProducer<Event>, VariantConsumer<Event>) {
    let options = Options::new().capacity(PAGE).stall_timeout(None);
    let mut producer = MARKET.producer(&options).unwrap();
    let consumer = join(producer.get_mut(), MARKET).unwrap();
    (producer, consumer)
}

#[test]
fn each_arrives_as_what_it_was_across_the_rings_end() {
    let (mut producer, consumer) = both_ends();
    for number in 0..300 {
        producer.try_send(event(number)).unwrap();
        producer.send(number, LONG).unwrap();
        assert_eq!(consumer.try_next().unwrap(), event(number));
        assert_eq!(consumer.next(LONG).unwrap(), Event::Closed(number));
    }
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
    assert_eq!(consumer.get_ref().lag(), 0);
}

#[test]
fn many_go_at_once_or_none() {
    let (mut producer, consumer) = both_ends();
    let events: Vec<Event> = (0..90).map(event).collect(); // of 32, 48 and 32 bytes
    producer.try_send_all(&events).unwrap();
    let more = producer.try_send_all(&events[..30]);
    assert!(matches!(more, Err(Error::Again)));
    producer.try_send_all(&[]).unwrap();
    let too_large: Vec<Event> = (0..120).map(event).collect();
    let refused = producer.try_send_all(&too_large);
    assert!(matches!(refused, Err(Error::TooLarge)));
    drop(producer);
    let all: zbq::Result<Vec<Event>> = consumer.iter().collect();
    assert_eq!(all.unwrap(), events);
    assert!(matches!(consumer.next(LONG), Err(Error::Closed)));
}

#[test]
fn the_flags_say_which() {
    let (mut producer, consumer) = both_ends();
    producer
        .try_send_all(&[event(0), event(1), event(2)])
        .unwrap();
    producer.try_send(event(1)).unwrap();
    let batch = consumer.get_ref().take_batch(100);
    let said = |it: zbq::MessageView<'_>| (it.flags(), it.payload().len());
    let all: Vec<_> = batch.iter().map(said).collect();
    assert_eq!(all, [(1, 16), (2, 24), (3, 4), (2, 24)]);
    batch.finish().unwrap();
}

// ---- what is told at the join ----

// That the hash is the one of C++, tests/cpp.rs shows.
#[test]
fn the_join_tells_that_sizes_vary() {
    let told = MARKET.payload_type();
    assert_eq!((told.size, told.align), (0, 8));
    let other: VariantChannel<Larger> = VariantChannel::new("market/1");
    assert_ne!(told.hash, other.payload_type().hash);
}

#[test]
fn another_channel_is_refused() {
    let (mut producer, _consumer) = both_ends();
    let ring = producer.get_mut();
    let renamed: VariantChannel<Event> = VariantChannel::new("market/2");
    let larger: VariantChannel<Larger> = VariantChannel::new("market/1");
    let one: Channel<Trade> = Channel::new("market/1");
    for (refused, why) in [
        (join(ring, renamed).map(drop), "'market/2' of 3 types"),
        (join(ring, larger).map(drop), "'market/1' of 2 types"),
        (one.check(&support::join(ring, Wakeup::Push)), "16 bytes"),
    ] {
        match refused {
            Err(Error::TypeMismatch(how)) => assert!(how.contains(why), "{how}"),
            other => panic!("{other:?}"),
        }
    }
}

// ---- a producer that does not keep its word ----

#[test]
fn what_is_none_of_them_is_passed_over() {
    let (mut producer, consumer) = both_ends();
    let ring = producer.get_mut();
    let mut send = |flags, payload: &[u8]| {
        let mut room = ring.try_reserve(payload.len()).unwrap();
        room.set_flags(flags);
        room.payload().copy_from_slice(payload);
        room.commit();
    };
    for (flags, len) in [(0, 16), (4, 16), (255, 16), (1, 15), (1, 24), (3, 0)] {
        send(flags, &vec![1; len]);
        assert!(matches!(consumer.try_next(), Err(Error::Protocol)));
    }
    send(9, b"");
    send(3, bytes_of(&7_u32));
    drop(producer);
    let mut all = consumer.iter();
    assert!(matches!(all.next(), Some(Err(Error::Protocol))));
    assert_eq!(all.next().unwrap().unwrap(), Event::Closed(7));
    assert!(all.next().is_none());
}

// ---- observers ----

#[test]
fn an_observer_goes_on_where_it_was_lapped() {
    let options = Options::new().capacity(PAGE);
    let mut producer = MARKET.producer(&options).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let ring = producer.get_mut();
    ring.admit_with(&near, Wakeup::Pull, Flow::Follow, Start::Head)
        .unwrap();
    let observer = Consumer::join_with(&far, Wakeup::Pull, Flow::Follow).unwrap();
    let observer = MARKET.consumer(observer).unwrap();
    (0..1000).for_each(|number| producer.try_send(event(number)).unwrap());
    drop(producer);
    let all: zbq::Result<Vec<Event>> = observer.iter().collect();
    let all = all.unwrap();
    assert_eq!(all.last(), Some(&event(999)));
    assert!(all.len() < 1000 && observer.get_ref().lost().bytes > 0);
}
