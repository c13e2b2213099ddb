// SPDX-License-Identifier: MIT
//! Rings whose messages are all of one type.

mod support;

use std::io::Read;
use std::mem::{align_of, size_of};
use std::os::unix::io::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::{LONG, PAGE};
use zbq::{Channel, Consumer, Error, Options, Pod, Producer, TypedConsumer, TypedProducer, Wakeup};

zbq::pod! {
    #[derive(Debug, PartialEq)]
    struct Quote {
        bid: f64,
        ask: f64,
        symbol: u32,
        reserved: u32,
    }

    #[derive(Debug, PartialEq)]
    struct Larger {
        inner: Quote,
        more: [u8; 8],
    }
}

const QUOTES: Channel<Quote> = Channel::new("quote/1");
const LATER_QUOTES: Channel<Quote> = Channel::new("quote/2");
const LARGER_QUOTES: Channel<Larger> = Channel::new("quote/1");

const MESSAGE: u64 = 48; // of a quote, with its header

fn quote(symbol: u32) -> Quote {
    Quote {
        bid: f64::from(symbol),
        ask: f64::from(symbol) + 0.5,
        symbol,
        reserved: 0,
    }
}

fn quotes(range: std::ops::Range<u32>) -> Vec<Quote> {
    range.map(quote).collect()
}

fn options() -> Options {
    Options::new().capacity(PAGE).stall_timeout(None)
}

fn join<T: Pod>(producer: &mut Producer, channel: Channel<T>) -> zbq::Result<TypedConsumer<T>> {
    let (near, far) = UnixStream::pair().unwrap();
    producer.admit(&near, Wakeup::Push).unwrap();
    channel.join(&far, Wakeup::Push)
}

fn both_ends() -> (TypedProducer<Quote>, TypedConsumer<Quote>) {
    let mut producer = QUOTES.producer(&options()).unwrap();
    let consumer = join(producer.get_mut(), QUOTES).unwrap();
    (producer, consumer)
}

/// Copies of all that a batch gives, which were whole.
fn batch(consumer: &TypedConsumer<Quote>, most: usize) -> zbq::Result<Vec<Quote>> {
    let batch = consumer.take_batch(most);
    let all: Vec<Quote> = batch.iter().map(|place| place.get()).collect();
    assert_eq!(batch.visited(), all.len());
    batch.finish().map(|_| all)
}

// ---- one for each message ----

#[test]
fn values_arrive_as_they_were_across_the_rings_end() {
    let (mut producer, consumer) = both_ends();
    for symbol in 0..300 {
        producer.try_send(&quote(symbol)).unwrap();
        producer.send(&quote(symbol + 1), LONG).unwrap();
        assert_eq!(consumer.try_next().unwrap(), quote(symbol));
        assert_eq!(consumer.next(LONG).unwrap(), quote(symbol + 1));
    }
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
    assert!(matches!(
        consumer.wait(Some(Duration::ZERO)),
        Err(Error::Again)
    ));
    assert_eq!(consumer.get_ref().lag(), 0);
}

#[test]
fn many_go_at_once_or_none() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&quotes(0..85)).unwrap();
    assert!(matches!(
        producer.try_send_all(&quotes(0..1)),
        Err(Error::Again)
    ));
    producer.try_send_all(&[]).unwrap();
    assert!(matches!(
        producer.try_send_all(&quotes(0..86)),
        Err(Error::TooLarge)
    ));
    drop(producer);
    let all: zbq::Result<Vec<Quote>> = consumer.iter().collect();
    assert_eq!(all.unwrap(), quotes(0..85));
    assert!(matches!(consumer.next(LONG), Err(Error::Closed)));
}

#[test]
fn an_untyped_message_gives_a_value_too() {
    let (mut producer, consumer) = both_ends();
    producer.try_send(&quote(7)).unwrap();
    let consumer = consumer.into_inner();
    QUOTES.check(&consumer).unwrap();
    let message = consumer.try_next().unwrap();
    assert_eq!(message.value::<Quote>().unwrap(), quote(7));
    assert!(matches!(message.value::<u64>(), Err(Error::Protocol)));
    let mut producer = producer.into_inner();
    producer.try_publish(&1234_u64.to_ne_bytes()).unwrap();
    let message = consumer.try_next().unwrap();
    assert_eq!(message.value::<u64>().unwrap(), 1234);
}

// ---- batches ----

#[test]
fn a_batch_is_filled_in_place_and_comes_at_once() {
    let (mut producer, consumer) = both_ends();
    let mut room = producer.try_batch(3).unwrap();
    assert!(room.is_empty());
    for symbol in 1..=3 {
        let place = room.add().unwrap();
        assert_eq!(place as *const Quote as usize % 16, 0);
        *place = quote(symbol);
    }
    assert_eq!(room.len(), 3);
    assert!(room.add().is_none());
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
    room.commit();
    assert_eq!(batch(&consumer, 10).unwrap(), quotes(1..4));

    producer.try_batch(1).unwrap().commit(); // of nothing
    let mut dropped = producer.try_batch(1).unwrap();
    *dropped.add().unwrap() = quote(4);
    drop(dropped);
    assert!(matches!(consumer.try_next(), Err(Error::Again)));
}

#[test]
fn a_batch_has_so_much_room_or_none() {
    let (mut producer, _consumer) = both_ends();
    let wraps = usize::MAX / MESSAGE as usize + 2;
    for count in [86, wraps, usize::MAX] {
        assert!(matches!(producer.try_batch(count), Err(Error::TooLarge)));
    }
    assert!(matches!(producer.try_batch(0), Err(Error::Invalid)));
    producer.send(&quote(0), LONG).unwrap();
    assert!(matches!(producer.try_batch(85), Err(Error::Again)));
}

#[test]
fn a_batch_is_read_in_place_and_gives_back_its_room_at_once() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&quotes(0..5)).unwrap();
    let batch = consumer.take_batch(3);
    let mut places = batch.iter();
    let first = places.next().unwrap();
    let second = batch.iter().next().unwrap(); // where the other one stopped
    assert_eq!(batch.visited(), 2);
    assert_eq!(places.next().unwrap().field(|quote| &quote.symbol), 2);
    assert!(places.next().is_none());
    assert!(batch.iter().next().is_none());
    assert_eq!(first.get(), quote(0));
    assert_eq!(second.field(|quote| &quote.ask), 1.5);
    assert_eq!(format!("{second:?}"), format!("{:?}", quote(1)));
    assert!(batch.is_intact());
    assert_eq!(producer.get_ref().statistics().slowest_tail, 0);
    assert_eq!(batch.finish().unwrap(), 3);
    assert_eq!(producer.get_ref().statistics().slowest_tail, 3 * MESSAGE);
    for place in &consumer.take_batch(usize::MAX) {
        assert!(place.field(|quote| &quote.symbol) >= 3);
    }
    assert_eq!(producer.get_ref().statistics().slowest_tail, 5 * MESSAGE);
}

#[test]
fn a_batch_of_nothing_says_why() {
    let (mut producer, consumer) = both_ends();
    assert!(matches!(batch(&consumer, 10), Err(Error::Again)));
    producer.try_send(&quote(1)).unwrap();
    assert_eq!(consumer.take_batch(10).finish().unwrap(), 0); // nothing was asked of it
    assert!(batch(&consumer, 0).unwrap().is_empty());
    drop(producer);
    assert_eq!(batch(&consumer, 10).unwrap(), [quote(1)]);
    assert!(matches!(batch(&consumer, 10), Err(Error::Closed)));
}

// It has ended then, whatever comes.
#[test]
fn a_batch_of_nothing_stays_so() {
    let (mut producer, consumer) = both_ends();
    let nothing = consumer.take_batch(10);
    assert!(nothing.iter().next().is_none());
    producer.try_send(&quote(1)).unwrap();
    assert!(nothing.iter().next().is_none());
    assert!(matches!(nothing.finish(), Err(Error::Again)));
    assert_eq!(batch(&consumer, 10).unwrap(), [quote(1)]);
}

#[test]
fn a_batch_takes_a_sixteenth_of_the_ring_and_one_at_least() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&quotes(0..20)).unwrap();
    assert_eq!(batch(&consumer, usize::MAX).unwrap(), quotes(0..6)); // which start below 256
    assert_eq!(batch(&consumer, usize::MAX).unwrap(), quotes(6..12));

    const PAGES: Channel<[u8; 1000]> = Channel::new("page/1");
    let mut producer = PAGES.producer(&options()).unwrap();
    let consumer = join(producer.get_mut(), PAGES).unwrap();
    producer.try_send_all(&[[1; 1000], [2; 1000]]).unwrap();
    for number in 1..=2 {
        let batch = consumer.take_batch(usize::MAX);
        let all: Vec<_> = batch.iter().map(|place| place.get()).collect();
        assert_eq!(all, [[number; 1000]]);
    }
}

#[test]
fn a_batch_is_what_one_look_found() {
    let (mut producer, consumer) = both_ends();
    producer.try_send(&quote(0)).unwrap();
    let batch = consumer.take_batch(10);
    assert!(batch.iter().next().is_some());
    producer.try_send(&quote(1)).unwrap();
    assert!(batch.iter().next().is_none());
    assert_eq!(batch.finish().unwrap(), 1);
    assert_eq!(consumer.try_next().unwrap(), quote(1));
}

#[test]
fn a_batch_is_one_piece_of_the_stream() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&quotes(0..5)).unwrap();
    let held = consumer.take_batch(10);
    let place = held.iter().next().unwrap();
    assert_eq!(consumer.try_next().unwrap(), quote(1));
    assert!(held.iter().next().is_none()); // another call took one
    assert_eq!(batch(&consumer, 1).unwrap(), [quote(2)]);
    assert_eq!(producer.get_ref().statistics().slowest_tail, 0);
    assert_eq!(place.get(), quote(0));
    drop(held);
    assert_eq!(producer.get_ref().statistics().slowest_tail, 3 * MESSAGE);
}

#[test]
fn a_leaked_batch_holds_its_room() {
    let (mut producer, consumer) = both_ends();
    producer.try_send_all(&quotes(0..3)).unwrap();
    let leaked = consumer.take_batch(1);
    assert!(leaked.iter().next().is_some());
    std::mem::forget(leaked);
    assert_eq!(batch(&consumer, 10).unwrap(), quotes(1..3));
    assert_eq!(producer.get_ref().statistics().slowest_tail, 0);
}

// ---- parts ----

zbq::pod! {
    #[derive(Debug, PartialEq)]
    struct Parts {
        byte: u8,
        bytes: [u8; 11],
        quote: [u32; 3],
        short: u16,
        shorts: [i16; 3],
        last: [f64; 2],
    }
}

#[test]
fn parts_are_read_alone() {
    const PARTS: Channel<Parts> = Channel::new("parts/1");
    let mut producer = PARTS.producer(&options()).unwrap();
    let consumer = join(producer.get_mut(), PARTS).unwrap();
    let sent = Parts {
        byte: 1,
        bytes: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        quote: [13, 14, 0x1718_1920],
        short: 0x2122,
        shorts: [-23, -24, -25],
        last: [26.5, -27.5],
    };
    producer.try_send(&sent).unwrap();
    let batch = consumer.take_batch(1);
    let place = batch.iter().next().unwrap();
    assert_eq!(place.get(), sent);
    assert_eq!(place.field(|all| all), sent);
    assert_eq!(place.field(|all| &all.byte), sent.byte);
    assert_eq!(place.field(|all| &all.bytes), sent.bytes);
    assert_eq!(place.field(|all| &all.bytes[10]), 12);
    assert_eq!(place.field(|all| &all.quote), sent.quote);
    assert_eq!(place.field(|all| &all.quote[2]), sent.quote[2]);
    assert_eq!(place.field(|all| &all.short), sent.short);
    assert_eq!(place.field(|all| &all.shorts), sent.shorts);
    assert_eq!(place.field(|all| &all.last[1]), sent.last[1]);
    assert_eq!(place.payload().len(), size_of::<Parts>());
    assert_eq!(place.payload().get(11), Some(12));
}

fn field_elsewhere<U: Pod>(part: &'static U) {
    let (mut producer, consumer) = both_ends();
    producer.try_send(&quote(1)).unwrap();
    let batch = consumer.take_batch(1);
    batch.iter().next().unwrap().field(|_| part);
}

#[test]
#[should_panic(expected = "no part of the value")]
fn a_part_of_something_else_is_none() {
    static OTHER: u32 = 5;
    field_elsewhere(&OTHER);
}

#[test]
#[should_panic(expected = "no part of the value")]
fn nor_is_what_is_larger() {
    static OTHER: [u64; 100] = [0; 100];
    field_elsewhere(&OTHER);
}

// ---- types ----

fn refusal<T: Pod>(producer: &mut Producer, channel: Channel<T>) -> String {
    match join(producer, channel) {
        Ok(_) => "accepted".to_string(),
        Err(error @ Error::TypeMismatch(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

// In the words of C++.
#[test]
fn another_type_is_refused_with_the_reason() {
    let mut producer = QUOTES.producer(&options()).unwrap();
    assert_eq!(refusal(producer.get_mut(), QUOTES), "accepted");
    assert_eq!(
        refusal(producer.get_mut(), LATER_QUOTES),
        "expected 'quote/2' of 24 bytes, aligned to 8; the producer sends another name, 24 bytes, \
         aligned to 8: the payloads are of another type"
    );
    assert_eq!(
        refusal(producer.get_mut(), LARGER_QUOTES),
        "expected 'quote/1' of 32 bytes, aligned to 8; the producer sends that name, 24 bytes, \
         aligned to 8: the payloads are of another type"
    );
    let narrow: Channel<[u32; 6]> = Channel::new("quote/1");
    assert_eq!(
        refusal(producer.get_mut(), narrow),
        "expected 'quote/1' of 24 bytes, aligned to 4; the producer sends that name, 24 bytes, \
         aligned to 8: the payloads are of another type"
    );
    let mut untyped = Producer::new(&options()).unwrap();
    assert_eq!(
        refusal(&mut untyped, QUOTES),
        "expected 'quote/1' of 24 bytes, aligned to 8; the producer does not say what it sends: \
         the payloads are of another type"
    );
    let error = std::io::Error::from(join(&mut untyped, QUOTES).unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_type_is_told_by_name_size_and_alignment() {
    let told = QUOTES.payload_type();
    assert_ne!(told.hash, LATER_QUOTES.payload_type().hash);
    assert_eq!(told.hash, LARGER_QUOTES.payload_type().hash);
    assert_eq!(told.size as usize, size_of::<Quote>());
    assert_eq!(told.align as usize, align_of::<Quote>());
    assert_eq!(format!("{QUOTES:?}"), "Channel(\"quote/1\")");
}

// ---- messages of another size ----

// The type was right and the size is not: a producer that does not keep its word.
#[test]
fn a_message_of_another_size_is_passed_over() {
    let (mut producer, consumer) = both_ends();
    for wrong in [0, 5, 23, 25, 48] {
        producer.get_mut().try_publish(&vec![1; wrong]).unwrap();
        producer.try_send(&quote(7)).unwrap();
        assert!(matches!(consumer.try_next(), Err(Error::Protocol)));
        assert_eq!(consumer.try_next().unwrap(), quote(7));
    }
    assert_eq!(consumer.get_ref().lag(), 0);
    assert!(consumer.get_ref().ending().is_none());

    producer.get_mut().try_publish(b"short").unwrap();
    producer.try_send(&quote(8)).unwrap();
    drop(producer);
    let mut all = consumer.iter();
    assert!(matches!(all.next(), Some(Err(Error::Protocol))));
    assert_eq!(all.next().unwrap().unwrap(), quote(8));
    assert!(all.next().is_none());
}

#[test]
fn a_batch_ends_at_a_message_of_another_size() {
    let (mut producer, consumer) = both_ends();
    producer.try_send(&quote(3)).unwrap();
    producer.get_mut().try_publish(b"short").unwrap();
    producer.try_send(&quote(6)).unwrap();
    let ended = consumer.take_batch(10);
    assert_eq!(ended.iter().count(), 1);
    assert!(ended.iter().next().is_none());
    assert_eq!(ended.visited(), 1);
    assert!(matches!(ended.finish(), Err(Error::Protocol)));
    assert_eq!(batch(&consumer, 10).unwrap(), [quote(6)]);

    producer.get_mut().try_publish(b"short").unwrap();
    assert!(matches!(batch(&consumer, 10), Err(Error::Protocol)));
    assert_eq!(consumer.get_ref().lag(), 0);
}

// ---- descriptors ----

// Nobody takes them from a typed consumer, and they are no less closed.
#[test]
fn descriptors_are_closed_with_what_they_came_with() {
    let (mut producer, consumer) = both_ends();
    let (near, mut far) = UnixStream::pair().unwrap();
    let bytes = [0; size_of::<Quote>()];
    for _ in 0..3 {
        let fds = [near.as_fd()];
        producer.get_mut().publish_with(&bytes, &fds, LONG).unwrap();
    }
    drop(near);
    assert_eq!(batch(&consumer, 2).unwrap().len(), 2);
    far.set_nonblocking(true).unwrap();
    let open = far.read(&mut [0]).unwrap_err();
    assert_eq!(open.kind(), std::io::ErrorKind::WouldBlock);
    consumer.try_next().unwrap();
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
    assert_eq!(
        producer.get_ref().consumer_info(0).unwrap().fds_in_flight,
        0
    );
}

#[test]
fn a_batch_that_goes_leaves_those_of_an_earlier_message() {
    let (mut producer, consumer) = both_ends();
    let (near, _far) = UnixStream::pair().unwrap();
    let bytes = [0; size_of::<Quote>()];
    for _ in 0..2 {
        let fds = [near.as_fd()];
        producer.get_mut().publish_with(&bytes, &fds, LONG).unwrap();
    }
    let held = consumer.get_ref().try_next().unwrap();
    assert_eq!(batch(&consumer, 1).unwrap().len(), 1);
    assert_eq!(held.take_fds(LONG).unwrap().len(), 1);
}

#[test]
fn a_consumer_is_untyped_or_typed_as_it_likes() {
    let mut producer = QUOTES.producer(&options()).unwrap();
    let consumer = support::join(producer.get_mut(), Wakeup::Pull);
    producer.try_send(&quote(1)).unwrap();
    assert_eq!(consumer.try_next().unwrap().len(), size_of::<Quote>());
    producer.try_send(&quote(2)).unwrap();
    let consumer: TypedConsumer<Quote> = QUOTES.consumer(consumer).unwrap();
    assert_eq!(consumer.try_next().unwrap(), quote(2));
    let consumer: Consumer = consumer.into_inner();
    assert!(matches!(
        LATER_QUOTES.consumer(consumer),
        Err(Error::TypeMismatch(_))
    ));
}
