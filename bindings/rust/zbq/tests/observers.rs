// SPDX-License-Identifier: MIT
//! Who is never waited for, and who starts in the past.

mod support;

use std::io::Read;
use std::os::unix::io::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{join, join_with, pattern, LONG, PAGE};
use zbq::{
    Channel, ConnectOptions, Consumer, Error, Flow, Listener, ListenerOptions, Options, Producer,
    Start, Wakeup,
};

const NOW: Option<Duration> = Some(Duration::ZERO);
const CAPACITY: u64 = 16 * PAGE;

fn producer() -> Producer {
    support::producer(CAPACITY)
}

fn observer(producer: &mut Producer, flow: Flow) -> Consumer {
    join_with(producer, Wakeup::Pull, flow, Start::Head)
}

/// More than goes into the ring.
fn publish_laps(producer: &mut Producer) {
    for i in 0..200 {
        producer.try_publish(&pattern(i, 1000)).unwrap();
    }
}

fn is_lapped<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Lapped))
}

fn is_again<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Again))
}

// ---- follow ----

#[test]
fn one_who_keeps_up_misses_nothing() {
    for wakeup in [Wakeup::Push, Wakeup::Pull] {
        let mut producer = producer();
        let reader = join_with(&mut producer, wakeup, Flow::Follow, Start::Head);
        assert_eq!(reader.flow(), Flow::Follow);
        for i in 0..500 {
            producer.try_publish(&pattern(i, i)).unwrap();
            reader.wait(LONG).unwrap();
            let message = reader.try_next().unwrap();
            assert_eq!(message.to_vec().unwrap(), pattern(i, i));
        }
        assert!(is_again(reader.wait(NOW)));
        assert!(is_again(reader.next(NOW)));
        assert!(is_again(reader.try_copy(&mut [0; 8])));
        assert_eq!(reader.lost(), Default::default());
        drop(producer);
        assert!(matches!(reader.next(LONG), Err(Error::Closed)));
    }
}

/// A message that tells its number, and is of it throughout.
fn numbered(number: u64) -> Vec<u8> {
    let len = 8 + number as usize * 37 % 900;
    let mut bytes = vec![number as u8; len];
    bytes[..8].copy_from_slice(&number.to_ne_bytes());
    bytes
}

fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, numbered(number));
    number
}

/// Takes what is there: how many. Each message is whole, and starts where the one before has ended,
/// or so far on as was told.
fn follow(reader: &Consumer, at: &mut u64, lost: &mut u64) -> u64 {
    let mut bytes = Vec::new();
    let mut count = 0;
    while let Ok(copied) = reader.try_copy_to(&mut bytes) {
        number_of(&bytes);
        assert_eq!(copied.len(), bytes.len());
        assert_eq!(copied.offset() - *at, reader.lost().bytes - *lost);
        *lost = reader.lost().bytes;
        *at = copied.offset() + zbq::message_size(copied.len()).unwrap();
        assert_eq!(reader.offset(), *at);
        count += 1;
    }
    count
}

#[test]
fn what_was_missed_is_told_exactly() {
    let mut producer = producer();
    let reader = observer(&mut producer, Flow::Follow);
    let (mut at, mut lost, mut number, mut laps) = (0, 0, 0, 0);
    for burst in 0..100 {
        let before = (number, lost);
        for _ in 0..burst * 5 {
            producer.try_publish(&numbered(number)).unwrap();
            number += 1;
        }
        let got = follow(&reader, &mut at, &mut lost);
        assert_eq!(at, producer.head());
        assert_eq!(got < number - before.0, lost != before.1);
        laps += u64::from(lost != before.1);
        assert_eq!(reader.lost().times, laps);
    }
    assert!(laps > 10);
}

#[test]
fn so_it_is_while_the_producer_goes_on() {
    let mut producer = producer();
    let read_to_the_end = |reader: Consumer| {
        let (mut at, mut lost) = (0, 0);
        while reader.wait(LONG).is_ok() {
            follow(&reader, &mut at, &mut lost);
        }
        assert!(matches!(reader.ending(), Some(Error::Closed)));
        (at, lost)
    };
    let reads: Vec<_> = [Wakeup::Push, Wakeup::Pull]
        .iter()
        .map(|wakeup| join_with(&mut producer, *wakeup, Flow::Follow, Start::Head))
        .map(|reader| thread::spawn(move || read_to_the_end(reader)))
        .collect();
    for number in 0..100_000 {
        producer.try_publish(&numbered(number)).unwrap();
    }
    let head = producer.head();
    drop(producer);
    for read in reads {
        let (at, lost) = read.join().unwrap();
        assert_eq!(at, head);
        assert!(lost < head);
    }
}

#[test]
fn each_way_to_read_tells_that_it_was_lapped() {
    let mut producer = producer();
    let reader = observer(&mut producer, Flow::Follow);
    producer.try_publish(&pattern(1, 100)).unwrap();
    let message = reader.try_next().unwrap();
    assert!(message.is_intact());
    assert_eq!(message.to_vec().unwrap(), pattern(1, 100));
    publish_laps(&mut producer);

    let mut bytes = [0; 10];
    assert!(!message.is_intact());
    assert!(is_lapped(message.to_vec()));
    assert!(is_lapped(message.read_at(0, &mut bytes)));
    assert!(is_lapped(message.read(|payload| payload.get(0))));
    assert!(is_lapped(message.value::<u64>()));
    assert!(is_lapped(message.value::<[u8; 100]>()));
    assert!(is_lapped(message.take_fds(NOW)));
    let null = std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .unwrap();
    assert!(is_lapped(message.write_to(&null)));
    let error = message.reader().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(matches!(Error::from(error), Error::Lapped));

    // Each message for itself.
    let later = reader.try_next().unwrap();
    assert!(later.is_intact());
    assert!(!message.is_intact());
    drop(message);
    assert!(later.is_intact());
}

// The producer writes over what is being read, while it is read again and again. Whatever is given
// out as whole is that message's own bytes.
#[test]
fn torn_bytes_are_never_given_out() {
    for round in 0..50 {
        let mut producer = support::producer(PAGE);
        let reader = observer(&mut producer, Flow::Follow);
        producer.try_publish(&[round; 4000]).unwrap();
        let message = reader.try_next().unwrap();
        let reading = AtomicBool::new(false);
        thread::scope(|scope| {
            let reading = &reading;
            scope.spawn(move || {
                while !reading.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                for other in 100..150 {
                    producer.try_publish(&[other; 4000]).unwrap();
                }
            });
            loop {
                match message.to_vec() {
                    Ok(bytes) => assert_eq!(bytes, [round; 4000]),
                    Err(Error::Lapped) => break,
                    Err(error) => panic!("{error}"),
                }
                reading.store(true, Ordering::Release);
            }
        });
    }
}

// What is there is what was copied, or taken, or read.
#[test]
fn copies_are_of_what_fits() {
    for flow in [Flow::Lossless, Flow::Follow, Flow::Newest] {
        let mut producer = producer();
        let reader = observer(&mut producer, flow);
        producer.try_publish(b"hello").unwrap();
        let mut room = [0; 5];
        for _ in 0..2 {
            let small = reader.try_copy(&mut room[..4]);
            assert!(matches!(small, Err(Error::TooSmall(5))), "{small:?}");
        }
        let copied = reader.try_copy(&mut room).unwrap();
        assert_eq!((copied.len(), copied.offset()), (5, 0));
        assert_eq!((copied.flags(), copied.key()), (0, None));
        assert!(!copied.is_empty() && !copied.is_forgotten());
        assert_eq!(&room, b"hello");
        assert!(is_again(reader.try_copy(&mut room)));
        let mut bytes = vec![1];
        assert!(is_again(reader.try_copy_to(&mut bytes)));
        assert!(bytes.is_empty());
        producer.try_publish(b"").unwrap();
        assert!(reader.try_copy(&mut []).unwrap().is_empty());
        assert_eq!(reader.lag(), 0);
        drop(producer);
        assert!(matches!(reader.try_copy(&mut room), Err(Error::Closed)));
    }
}

// Though what comes after it was copied meanwhile.
#[test]
fn what_is_held_is_not_released_by_a_copy() {
    let (mut producer, reader) = support::both_ends(PAGE);
    producer.try_publish(b"held").unwrap();
    producer.try_publish(b"copied").unwrap();
    let held = reader.try_next().unwrap();
    let mut bytes = Vec::new();
    reader.try_copy_to(&mut bytes).unwrap();
    assert_eq!(bytes, b"copied");
    assert_eq!(producer.statistics().slowest_tail, 0);
    assert!(is_again(producer.try_reserve(4064)));
    assert_eq!(held.to_vec().unwrap(), b"held");
    drop(held);
    assert_eq!(producer.statistics().slowest_tail, producer.head());
}

#[test]
fn what_may_be_torn_is_read_again() {
    let mut producer = producer();
    let reader = observer(&mut producer, Flow::Follow);
    producer.try_publish(b"old").unwrap();
    let mut calls = 0;
    let read = reader.try_read(|payload| {
        calls += 1;
        if calls == 1 {
            publish_laps(&mut producer); // while it reads
        }
        payload.to_vec()
    });
    assert_eq!(calls, 2);
    assert_eq!(read.unwrap().len(), 1000);
    assert_eq!(reader.lost().times, 1);

    // For ever, it gives up.
    let read = reader.try_read(|_| publish_laps(&mut producer));
    assert!(is_lapped(read));
}

// Whoever reads may take that message, and others, meanwhile.
#[test]
fn what_reads_may_take_more() {
    for flow in [Flow::Lossless, Flow::Follow, Flow::Newest] {
        let mut producer = producer();
        let reader = observer(&mut producer, flow);
        for i in 0..3 {
            producer.try_publish(&[i; 100]).unwrap();
        }
        let read = reader.try_read(|payload| {
            let mut taken = 0;
            while let Ok(message) = reader.try_next() {
                assert_eq!(message.len(), 100);
                taken += 1;
            }
            (payload.get(0).unwrap(), taken)
        });
        let expected = match flow {
            Flow::Lossless => (0, 2),
            Flow::Follow => (0, 3),
            Flow::Newest => (2, 1),
        };
        assert_eq!(read.unwrap(), expected);
        assert_eq!(reader.offset(), producer.head());
        assert_eq!(reader.lag(), 0);
        assert!(is_again(reader.try_next()));
        producer.try_publish(b"more").unwrap();
        assert_eq!(reader.try_read(|payload| payload.len()).unwrap(), 4);
    }
}

// ---- newest ----

#[test]
fn the_newest_is_all_that_is_seen() {
    for wakeup in [Wakeup::Push, Wakeup::Pull] {
        let mut producer = producer();
        let reader = join_with(&mut producer, wakeup, Flow::Newest, Start::Head);
        assert!(is_again(reader.try_next()));
        producer.try_publish(b"one").unwrap();
        producer.try_publish(b"two").unwrap();
        assert_eq!(reader.next(LONG).unwrap().to_vec().unwrap(), b"two");
        assert!(is_again(reader.try_next()));
        publish_laps(&mut producer);
        producer.try_publish(b"three").unwrap();
        reader.wait(LONG).unwrap();
        producer.try_publish(b"four").unwrap();
        assert_eq!(reader.try_next().unwrap().to_vec().unwrap(), b"four");
        producer.try_publish(b"five").unwrap();
        producer.try_publish(b"six").unwrap();
        let mut bytes = Vec::new();
        reader.try_copy_to(&mut bytes).unwrap();
        assert_eq!(bytes, b"six");
        // The last of several that one commit has published.
        let size = zbq::message_size(1).unwrap();
        let mut batch = producer.try_batch(3 * size).unwrap();
        for byte in 7..10 {
            batch.add(1).unwrap()[0] = byte;
        }
        batch.commit();
        assert_eq!(reader.try_next().unwrap().to_vec().unwrap(), [9]);
        // Those that are there now: one.
        producer.try_publish(b"ten").unwrap();
        producer.try_publish(b"eleven").unwrap();
        let all: Vec<_> = reader.try_iter().map(|each| each.unwrap().len()).collect();
        assert_eq!(all, [6]);
        producer.try_publish(b"last").unwrap();
        drop(producer);
        let all: Vec<_> = reader.iter().map(|each| each.unwrap().len()).collect();
        assert_eq!(all, [4]);
    }
}

#[test]
fn the_newest_is_newer_each_time() {
    let mut producer = producer();
    let reader = observer(&mut producer, Flow::Newest);
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..50_000 {
                producer.try_publish(&numbered(number)).unwrap();
            }
        });
        let mut last = None;
        let mut bytes = Vec::new();
        loop {
            match reader.wait(LONG) {
                Ok(()) => (),
                Err(Error::Closed) => break,
                Err(error) => panic!("{error}"),
            }
            if reader.try_copy_to(&mut bytes).is_ok() {
                let number = Some(number_of(&bytes));
                assert!(number > last);
                last = number;
            }
        }
        assert_eq!(last, Some(49_999));
    });
}

// ---- of one type ----

const NUMBERS: Channel<u64> = Channel::new("number/1");

#[test]
fn batches_go_on_where_they_are_lapped() {
    let mut producer = NUMBERS
        .producer(&Options::new().capacity(CAPACITY))
        .unwrap();
    let reader = observer(producer.get_mut(), Flow::Follow);
    let reader = NUMBERS.consumer(reader).unwrap();
    producer.try_send_all(&[1, 2]).unwrap();
    let batch = reader.take_batch(usize::MAX);
    let mut all = batch.iter();
    let first = all.next().unwrap();
    assert_eq!((first.get(), first.offset()), (1, 0));
    assert!(batch.is_intact_at(first) && batch.is_intact());
    for number in 10..5000 {
        producer.try_send(&number).unwrap();
    }
    assert!(!batch.is_intact_at(first));
    let later = all.next().unwrap();
    assert!(later.get() > 10 && batch.is_intact_at(later));
    assert!(!batch.is_intact());
    assert!(is_lapped(batch.finish()));

    // All that is left, one by one.
    let mut last = 0;
    while let Ok(number) = reader.try_next() {
        assert!(number > last);
        last = number;
    }
    assert_eq!(last, 4999);
    let none = reader.take_batch(1);
    assert!(none.iter().next().is_none());
    assert!(none.is_intact());
    assert!(is_again(none.finish()));
    assert_eq!(reader.get_ref().lost().times, 1);
}

#[test]
fn values_are_whole_or_passed_over() {
    let mut producer = NUMBERS
        .producer(&Options::new().capacity(CAPACITY))
        .unwrap();
    let reader = observer(producer.get_mut(), Flow::Follow);
    let reader = NUMBERS.consumer(reader).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 1..100_000 {
                producer.try_send(&(number << 32 | number)).unwrap();
            }
            producer.get_mut().try_publish(b"short").unwrap();
            producer.try_send(&u64::MAX).unwrap();
        });
        let (mut last, mut refused, mut count) = (0, 0, 0);
        for number in reader.iter() {
            count += 1;
            match number {
                Ok(u64::MAX) => last = u64::MAX,
                Ok(number) => {
                    assert_eq!(number >> 32, number & 0xffff_ffff);
                    assert!(number > last);
                    last = number;
                }
                Err(Error::Protocol) => refused += 1, // of another size
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((last, refused), (u64::MAX, 1));
        let lost = reader.get_ref().lost();
        assert_eq!(count * 32 + lost.bytes, 100_001 * 32);
    });
}

#[test]
fn a_batch_of_the_newest_is_one() {
    let mut producer = NUMBERS.producer(&Options::new()).unwrap();
    let reader = observer(producer.get_mut(), Flow::Newest);
    let reader = NUMBERS.consumer(reader).unwrap();
    producer.try_send_all(&[1, 2, 3]).unwrap();
    let batch = reader.take_batch(usize::MAX);
    let all: Vec<u64> = batch.iter().map(|number| number.get()).collect();
    assert_eq!(batch.finish().unwrap(), 1);
    assert_eq!(all, [3]);
    producer.try_send_all(&[4, 5]).unwrap();
    assert_eq!(reader.next(LONG).unwrap(), 5);
}

// ---- history ----

fn texts(reader: &Consumer) -> Vec<String> {
    let text = |message: Result<zbq::Message<'_>, Error>| {
        String::from_utf8(message.unwrap().to_vec().unwrap()).unwrap()
    };
    reader.try_iter().map(text).collect()
}

/// One who asks by a name.
struct Door {
    name: String,
    listener: Listener,
}

impl Door {
    fn new(of: &str) -> Self {
        let name = format!("@zbq-rust-{}-{of}", std::process::id());
        let listener = Listener::new(&name, ListenerOptions::new()).unwrap();
        Self { name, listener }
    }

    fn connect(
        &mut self,
        producer: &mut Producer,
        options: ConnectOptions,
    ) -> Result<Consumer, Error> {
        let joined = support::connect_to(&self.name, &mut self.listener, producer, options);
        producer.scan(); // what is not used any more
        joined
    }
}

#[test]
fn each_start_is_where_it_says() {
    let mut door = Door::new("starts");
    let mut producer = producer();
    let mut offsets = Vec::new();
    for i in 0..10 {
        offsets.push(producer.head());
        producer.try_publish(i.to_string().as_bytes()).unwrap();
    }
    let id = producer.id();
    assert_ne!(id, [0; 16]);
    assert_ne!(id, support::producer(PAGE).id());
    let mut other = id;
    other[3] ^= 1;
    let head = producer.head();
    for (from, offset, first) in [
        (Start::Head, head, 10),
        (Start::Oldest, 0, 0),
        (Start::Last(u64::MAX), 0, 0),
        (Start::Last(0), head, 10),
        (Start::Last(64), head - 64, 8),
        (Start::Last(65), head - 64, 8),
        (Start::At(id, offsets[4]), offsets[4], 4),
        (Start::At([0; 16], offsets[4]), offsets[4], 4),
        (Start::At(id, head), head, 10),
        (Start::At(other, offsets[4]), 0, 0),
    ] {
        let expected: Vec<_> = (first..10).map(|i| i.to_string()).collect();
        for (wakeup, flow) in [
            (Wakeup::Push, Flow::Lossless),
            (Wakeup::Push, Flow::Follow),
            (Wakeup::Pull, Flow::Lossless),
            (Wakeup::Pull, Flow::Follow),
        ] {
            let options = ConnectOptions::new().wakeup(wakeup).flow(flow).from(from);
            let reader = door.connect(&mut producer, options).unwrap();
            assert_eq!(reader.offset(), offset, "{from:?}");
            assert_eq!(reader.id(), id);
            assert_eq!(reader.lag(), head - offset, "{from:?}");
            assert_eq!(texts(&reader), expected, "{from:?}");
        }
        // By a socket, from some message before it on.
        let reader = join_with(&mut producer, Wakeup::Push, Flow::Lossless, from);
        assert!(reader.offset() <= offset, "{from:?}");
        reader.skip_to(offset).unwrap();
        assert_eq!(texts(&reader), expected, "{from:?}");
        drop(reader);
        producer.scan();
    }
    let newest = join_with(&mut producer, Wakeup::Pull, Flow::Newest, Start::Oldest);
    assert_eq!(texts(&newest), ["9"]);
}

#[test]
fn starts_that_are_none_are_refused() {
    let mut door = Door::new("refused");
    let mut producer = producer();
    for i in 0..10 {
        producer.try_publish(&pattern(i, 100)).unwrap();
    }
    let head = producer.head();
    for offset in [1, 16, 100, head - 16, head + 16, u64::MAX, u64::MAX - 15] {
        for id in [producer.id(), [0; 16]] {
            let from = Start::At(id, offset);
            for flow in [Flow::Lossless, Flow::Follow] {
                let options = ConnectOptions::new().flow(flow).from(from);
                let refused = door.connect(&mut producer, options);
                assert!(
                    matches!(refused, Err(Error::Invalid)),
                    "{offset}: {refused:?}"
                );
            }
            let (near, _far) = UnixStream::pair().unwrap();
            let admitted = producer.admit_with(&near, Wakeup::Push, Flow::Lossless, from);
            assert_eq!(admitted.is_err(), offset > head, "{offset}: {admitted:?}");
            producer.scan();
        }
    }
}

#[test]
fn skipping_ends_where_it_should() {
    let (mut producer, reader) = support::both_ends(PAGE);
    for i in 0..4 {
        producer.try_publish(&[i; 16]).unwrap();
    }
    reader.skip_to(0).unwrap();
    assert!(matches!(reader.skip_to(33), Err(Error::Invalid)));
    assert_eq!(reader.offset(), 64);
    reader.skip_to(32).unwrap(); // past it already
    let held = reader.try_next().unwrap();
    reader.skip_to(128).unwrap();
    assert_eq!(producer.statistics().slowest_tail, 64); // it is held
    assert_eq!(held.to_vec().unwrap(), [2; 16]);
    drop(held);
    assert_eq!(producer.statistics().slowest_tail, 128);
    assert!(is_again(reader.skip_to(160)));
    drop(producer);
    assert!(matches!(reader.skip_to(160), Err(Error::Closed)));

    // An observer may be lapped on its way.
    let mut producer = self::producer();
    let reader = observer(&mut producer, Flow::Follow);
    producer.try_publish(b"x").unwrap();
    publish_laps(&mut producer);
    reader.skip_to(17).unwrap();
    assert_eq!(
        (reader.lost().times, reader.offset()),
        (1, reader.lost().bytes + 1024)
    );
}

#[test]
fn what_is_gone_is_told_by_the_offset() {
    let mut door = Door::new("gone");
    let mut producer = producer();
    publish_laps(&mut producer);
    let from = Start::At(producer.id(), 1024);
    let options = ConnectOptions::new().from(from);
    let reader = door.connect(&mut producer, options).unwrap();
    assert!(reader.offset() > 1024);
    let number = (reader.offset() / 1024) as usize;
    let first = reader.try_next().unwrap();
    assert_eq!(first.to_vec().unwrap(), pattern(number, 1000));
    drop(first);
    assert_eq!(reader.try_iter().count(), 200 - number - 1);
    // As many bytes as were asked for, to within a message; or no more, to within some.
    for bytes in (0..60_000).step_by(10_000) {
        let options = ConnectOptions::new().from(Start::Last(bytes));
        let reader = door.connect(&mut producer, options).unwrap();
        let history = producer.head() - reader.offset();
        assert!(history <= bytes && history + 1024 > bytes);
        assert_eq!(reader.try_iter().count() as u64, history / 1024);
        let from = Start::Within(bytes);
        let reader = join_with(&mut producer, Wakeup::Pull, Flow::Follow, from);
        let history = producer.head() - reader.offset();
        assert!(history <= bytes && history + CAPACITY / 16 > bytes);
    }
    let options = ConnectOptions::new().from(Start::Within(1024)); // is not one's own to ask for
    let refused = door.connect(&mut producer, options);
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

// The producer waits for one who reads the past as for any.
#[test]
fn history_is_kept_for_who_is_lossless() {
    let mut producer = producer();
    publish_laps(&mut producer);
    let reader = join_with(&mut producer, Wakeup::Push, Flow::Lossless, Start::Oldest);
    let begin = reader.offset();
    let first = (begin / 1024) as usize;
    let mut last = 199;
    while producer.try_publish(&pattern(last + 1, 1000)).is_ok() {
        last += 1;
    }
    for i in first..=last {
        assert_eq!(
            reader.try_next().unwrap().to_vec().unwrap(),
            pattern(i, 1000)
        );
    }
    assert!(is_again(reader.try_next()));
    assert_eq!(begin + (last - first + 1) as u64 * 1024, producer.head());
}

#[test]
fn accounts_tell_observers_from_others() {
    let mut producer = producer();
    let _lossless = join(&mut producer, Wakeup::Push);
    let reader = observer(&mut producer, Flow::Follow);
    let info = producer.consumer_info(0).unwrap();
    assert_eq!((info.wakeup, info.observes), (Wakeup::Push, false));
    producer.try_publish(b"x").unwrap();
    let info = producer.consumer_info(1).unwrap();
    assert_eq!((info.wakeup, info.observes), (Wakeup::Pull, true));
    assert_eq!((info.lag, info.tail), (32, 0));
    drop(reader.try_next().unwrap());
    let info = producer.consumer_info(1).unwrap();
    assert_eq!((info.lag, info.tail), (0, 32));
}

// ---- what was let go ----

#[test]
fn the_producer_learns_what_was_let_go() {
    let mut producer = producer();
    let reader = join(&mut producer, Wakeup::Push);
    let _observer = observer(&mut producer, Flow::Follow);
    assert_eq!(producer.head(), 0);
    producer.released(0).unwrap();
    let room = producer.try_reserve(5).unwrap();
    let offset = room.offset();
    room.commit();
    let end = offset + zbq::message_size(5).unwrap();
    assert_eq!(producer.head(), end);
    assert!(is_again(producer.released(end)));
    assert!(is_again(producer.wait_released(end, NOW)));
    assert!(matches!(producer.released(end + 16), Err(Error::Invalid)));
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = reader.next(LONG).unwrap();
            thread::sleep(Duration::from_millis(2));
            drop(message);
            reader
        });
        producer.wait_released(end, LONG).unwrap();
    });
    producer.released(end).unwrap();
    // What goes on is not disturbed.
    producer.try_publish(b"after").unwrap();
}

#[test]
fn who_lets_nothing_go_is_given_up() {
    let options = Options::new().stall_timeout(Some(Duration::from_millis(1)));
    let mut producer = Producer::new(&options).unwrap();
    let reader = join(&mut producer, Wakeup::Push);
    producer.try_publish(b"x").unwrap();
    producer.wait_released(producer.head(), LONG).unwrap();
    assert!(matches!(reader.ending(), Some(Error::Evicted(_))));
    let info = producer.consumer_info(0).unwrap();
    assert_eq!((info.present, info.tail), (false, 0));
}

// ---- retained ----

#[test]
fn newcomers_have_what_is_retained() {
    let mut producer = producer();
    let before = join(&mut producer, Wakeup::Push);
    producer.try_publish(b"one").unwrap();
    let offset = producer.head();
    producer.retain(3, b"three", LONG).unwrap();
    producer.retain(4, b"", LONG).unwrap();
    producer.retain(5, &pattern(5, 5000), LONG).unwrap();
    producer.try_publish(b"two").unwrap();
    assert!(producer.forget(4, LONG).unwrap());
    assert!(!producer.forget(4, LONG).unwrap());
    for flow in [Flow::Lossless, Flow::Follow, Flow::Newest] {
        for wakeup in [Wakeup::Push, Wakeup::Pull] {
            let late = join_with(&mut producer, wakeup, flow, Start::Head);
            let all: Vec<_> = late.retained().collect();
            assert_eq!(all.len(), 2);
            assert_eq!((all[0].key(), all[1].key()), (Some(3), Some(5)));
            assert_eq!((all[0].offset(), all[0].flags()), (offset, 0));
            assert_eq!(all[0].payload().to_vec(), b"three");
            assert_eq!(all[1].payload().to_vec(), pattern(5, 5000));
            assert_eq!(all[0].fd_count(), 0);
            assert!(all[0].take_fds().unwrap().is_empty());
            assert!(is_again(late.try_next()));
        }
    }
    assert_eq!(before.retained().count(), 0);
    let told: Vec<_> = before
        .try_iter()
        .map(Result::unwrap)
        .map(|message| (message.key(), message.is_forgotten(), message.len()))
        .collect();
    let some = |key, len| (Some(key), false, len);
    assert_eq!(
        told,
        [
            (None, false, 3),
            some(3, 5),
            some(4, 0),
            some(5, 5000),
            (None, false, 3),
            (Some(4), true, 0)
        ]
    );
    // By copies, too.
    producer.retain(6, b"six", LONG).unwrap();
    assert_eq!(before.try_copy(&mut [0; 8]).unwrap().key(), Some(6));
    producer.forget(6, LONG).unwrap();
    assert!(before.try_copy(&mut []).unwrap().is_forgotten());
}

#[test]
fn what_cannot_be_retained_is_told() {
    let mut producer = Producer::new(&Options::new().capacity(2 << 20)).unwrap();
    for key in [0, 0x8000, u16::MAX] {
        assert!(matches!(
            producer.retain(key, b"", NOW),
            Err(Error::Invalid)
        ));
    }
    assert!(matches!(producer.forget(0, NOW), Err(Error::Invalid)));
    let null = std::fs::File::open("/dev/null").unwrap();
    let many = vec![null.as_fd(); 254];
    let refused = producer.retain_with(1, b"", &many, NOW);
    assert!(matches!(refused, Err(Error::Invalid)));
    producer.retain_with(1, b"", &many[..253], NOW).unwrap();
    let refused = producer.retain_with(2, b"", &many[..1], NOW);
    assert!(matches!(refused, Err(Error::TooLarge)));
    let large = vec![0; 1 << 20];
    assert!(matches!(
        producer.retain(2, &large, NOW),
        Err(Error::TooLarge)
    ));
    for key in 2..=64 {
        producer.retain(key, b"x", NOW).unwrap();
    }
    assert!(matches!(
        producer.retain(65, b"x", NOW),
        Err(Error::TooLarge)
    ));
    producer.retain(64, b"y", NOW).unwrap();
    // A reservation after it has room of its own.
    producer.try_publish(&pattern(1, 100)).unwrap();
    let late = join_with(&mut producer, Wakeup::Pull, Flow::Lossless, Start::Oldest);
    assert_eq!(late.retained().count(), 64);
    let last = late
        .try_iter()
        .map(|each| each.unwrap().to_vec().unwrap())
        .last();
    assert_eq!(last.unwrap(), pattern(1, 100));
}

#[test]
fn retaining_waits_for_room() {
    let (mut producer, reader) = support::both_ends(PAGE);
    producer.try_publish(&[0; 4000]).unwrap();
    assert!(is_again(producer.retain(1, &[0; 100], NOW)));
    assert!(!producer.forget(1, NOW).unwrap()); // there is nothing to be told
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(reader.next(LONG).unwrap());
            assert_eq!(reader.next(LONG).unwrap().key(), Some(1));
            reader
        });
        producer.retain(1, &[0; 100], LONG).unwrap();
    });
}
