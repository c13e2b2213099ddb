// SPDX-License-Identifier: MIT
//! Consumers in an event loop.
#![cfg(feature = "tokio")]

mod support;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;
use support::raw::{header, Raw};
use support::{both_ends, join, join_with, pattern, producer, spawn_consumer, LONG, PAGE};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use zbq::{
    connect, AsyncConsumer, AsyncSubscription, ConnectOptions, Consumer, Error, Flow, GapCause,
    Listener, ListenerOptions, Next, NextVec, Producer, Start, Subscription, Wakeup,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn block_on<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let hung = Duration::from_secs(60);
            tokio::time::timeout(hung, future).await.unwrap()
        })
}

async fn read_to_the_end(mut consumer: AsyncConsumer) -> Result<usize, Error> {
    let mut count = 0;
    loop {
        match consumer.next_vec().await {
            Ok(bytes) => assert_eq!(bytes, pattern(count, count)),
            Err(Error::Closed) => return Ok(count),
            Err(error) => return Err(error),
        }
        count += 1;
    }
}

fn publish(mut producer: Producer, count: usize) {
    for i in 0..count {
        producer.publish(&pattern(i, i), LONG).unwrap();
        if i % 64 == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn values_are_awaited_too() {
    let numbers: zbq::Channel<u64> = zbq::Channel::new("number/1");
    let mut producer = numbers.producer(&zbq::Options::new()).unwrap();
    let consumer = join(producer.get_mut(), Wakeup::Push);
    block_on(async {
        let mut consumer = AsyncConsumer::new(consumer).unwrap();
        numbers.check(consumer.get_ref()).unwrap();
        producer.try_send(&7).unwrap();
        assert_eq!(consumer.next().await?.value::<u64>()?, 7);
        Ok::<(), Error>(())
    })
    .unwrap();
}

#[test]
fn several_read_one_stream_to_its_end() {
    let mut producer = producer(PAGE);
    let consumers: Vec<Consumer> = (0..3).map(|_| join(&mut producer, Wakeup::Push)).collect();
    let publisher = std::thread::spawn(move || publish(producer, 1000));
    let counts = block_on(async {
        let tasks: Vec<_> = consumers
            .into_iter()
            .map(|consumer| tokio::spawn(read_to_the_end(AsyncConsumer::new(consumer).unwrap())))
            .collect();
        let mut counts = Vec::new();
        for task in tasks {
            counts.push(task.await.unwrap().unwrap());
        }
        counts
    });
    publisher.join().unwrap();
    assert_eq!(counts, [1000; 3]);
}

#[test]
fn what_is_there_is_taken_in_place() {
    let (mut producer, consumer) = both_ends(PAGE);
    block_on(async {
        let mut consumer = AsyncConsumer::new(consumer).unwrap();
        producer.try_publish(b"one").unwrap();
        producer.try_publish(b"two").unwrap();
        assert_eq!(consumer.next().await.unwrap().to_vec().unwrap(), b"one");
        assert_eq!(
            consumer.get_ref().try_next().unwrap().to_vec().unwrap(),
            b"two"
        );
        assert!(matches!(consumer.get_ref().try_next(), Err(Error::Again)));
        producer.try_publish(b"three").unwrap();
        assert_eq!(consumer.next().await.unwrap().to_vec().unwrap(), b"three");
        let consumer = consumer.into_inner();
        producer.try_publish(b"four").unwrap();
        assert_eq!(consumer.try_next().unwrap().to_vec().unwrap(), b"four");
    });
}

#[test]
fn a_wait_that_was_dropped_loses_nothing() {
    let (mut producer, consumer) = both_ends(PAGE);
    block_on(async {
        let mut consumer = AsyncConsumer::new(consumer).unwrap();
        for i in 0..10 {
            let moment = Duration::from_millis(2);
            let nothing = tokio::time::timeout(moment, consumer.readable()).await;
            assert!(nothing.is_err());
            producer.try_publish(&pattern(i, 10)).unwrap();
            assert_eq!(consumer.next_vec().await.unwrap(), pattern(i, 10));
        }
    });
}

#[test]
fn a_long_backlog_leaves_other_tasks_their_turn() {
    let (mut producer, consumer) = both_ends(1 << 20);
    (0..5000).for_each(|_| producer.try_publish(b"x").unwrap());
    block_on(async {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        let reader = tokio::spawn(async move {
            let mut consumer = AsyncConsumer::new(consumer).unwrap();
            for _ in 0..5000 {
                consumer.next_vec().await.unwrap();
                counter.fetch_add(1, Relaxed);
            }
        });
        let other = tokio::spawn(async move {
            while taken.load(Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            taken.load(Relaxed)
        });
        let other_ran_after = other.await.unwrap();
        assert!(other_ran_after < 5000, "{other_ran_after}");
        reader.await.unwrap();
    });
}

// Looking for a record that is not there yet takes the bell of the messages, too.
#[test]
fn messages_that_are_there_are_not_waited_for() {
    let (raw, consumer) = Raw::with_consumer();
    raw.publish(16, header(0, 1, 1));
    raw.publish(16, header(0, 0, 0));
    block_on(async {
        let mut consumer = AsyncConsumer::new(consumer).unwrap();
        let first = consumer.get_ref().try_next().unwrap();
        assert!(matches!(first.take_fds(NOW), Err(Error::Again)));
        drop(first);
        assert_eq!(consumer.next().await.unwrap().offset(), 16);
    });
}

#[test]
fn observers_see_the_stream_to_its_end() {
    for flow in [Flow::Follow, Flow::Newest] {
        let mut producer = producer(PAGE);
        let consumer = join_with(&mut producer, Wakeup::Push, flow, Start::Head);
        let publisher = std::thread::spawn(move || {
            for i in 0..20_000_u32 {
                producer.try_publish(&i.to_ne_bytes()).unwrap();
                if i % 1000 == 0 {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
        let last = block_on(async {
            let mut consumer = AsyncConsumer::new(consumer).unwrap();
            let mut last = None;
            loop {
                let in_place = last.map_or(false, |last| last % 2 == 0);
                let next = if in_place {
                    consumer.next().await.and_then(|next| next.to_vec())
                } else {
                    consumer.next_vec().await
                };
                match next {
                    Ok(bytes) => {
                        let number = u32::from_ne_bytes(bytes.try_into().unwrap());
                        assert!(Some(number) > last);
                        last = Some(number);
                    }
                    Err(Error::Lapped) => assert!(in_place),
                    Err(Error::Closed) => break last,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        publisher.join().unwrap();
        assert_eq!(last, Some(19_999));
    }
}

// All of the ring is to be written over: what it was told of is gone before it could read that.
#[test]
fn an_observer_that_finds_nothing_left_is_told_of_what_comes() {
    for flow in [Flow::Follow, Flow::Newest] {
        let mut producer = producer(PAGE);
        let consumer = join_with(&mut producer, Wakeup::Push, flow, Start::Head);
        block_on(async {
            let mut consumer = AsyncConsumer::new(consumer).unwrap();
            let moment = Duration::from_millis(2);
            for i in 0..10 {
                let waits = tokio::time::timeout(moment, consumer.readable()).await;
                assert!(waits.is_err());
                producer.try_publish(b"gone").unwrap();
                let mut room = producer.try_reserve(PAGE as usize - 16).unwrap();
                let waits = tokio::time::timeout(moment, consumer.readable()).await;
                assert!(waits.is_err(), "{waits:?}");
                room.payload()[..4].copy_from_slice(&[i; 4]);
                room.truncate(4);
                room.commit();
                assert_eq!(consumer.next_vec().await.unwrap(), [i; 4]);
            }
        });
    }
}

#[test]
fn one_who_polls_is_refused() {
    let mut producer = producer(PAGE);
    let consumer = join(&mut producer, Wakeup::Pull);
    block_on(async {
        assert!(matches!(AsyncConsumer::new(consumer), Err(Error::Invalid)));
    });
}

#[test]
fn a_listener_serves_in_the_loop() {
    use std::os::unix::io::AsRawFd;
    let name = format!("@zbq-rust-tokio-{}", std::process::id());
    let listener = Listener::new(&name, ListenerOptions::new()).unwrap();
    let joining = std::thread::spawn(move || connect(name, LONG, &ConnectOptions::new()));
    block_on(async {
        let mut listener = AsyncFd::new(listener).unwrap();
        assert_eq!(listener.as_raw_fd(), listener.get_ref().as_raw_fd());
        let mut producer = producer(PAGE);
        while producer.statistics().consumers == 0 {
            let mut ready = listener.readable_mut().await.unwrap();
            ready.get_inner_mut().serve(&mut producer);
            ready.clear_ready();
        }
    });
    joining.join().unwrap().unwrap();
}

// ---- subscriptions ----

fn name(of: &str) -> String {
    format!("@zbq-rust-tokio-{}-{of}", std::process::id())
}

/// Serves a newcomer, and lets it have these.
fn serve_one(name: &str, payloads: &[&[u8]]) -> Producer {
    let mut listener = Listener::new(name, ListenerOptions::new()).unwrap();
    let mut producer = producer(PAGE);
    while producer.statistics().consumers == 0 {
        listener.wait_and_serve(&mut producer, LONG).unwrap();
    }
    for payload in payloads {
        producer.publish(payload, LONG).unwrap();
    }
    producer
}

fn subscribe(name: &str, options: ConnectOptions) -> AsyncSubscription {
    AsyncSubscription::new(Subscription::new(name, &options).unwrap()).unwrap()
}

// One producer after the other, which it finds by itself.
#[test]
fn a_subscription_goes_on_with_the_next_producer() {
    let name = name("restarts");
    let at = name.clone();
    let publisher = std::thread::spawn(move || {
        drop(serve_one(&at, &[b"one", b"two"]));
        drop(serve_one(&at, &[b"three"]));
    });
    block_on(async {
        let mut stream = subscribe(&name, ConnectOptions::new());
        let mut got = Vec::new();
        while got.len() < 4 {
            got.push(stream.next_vec().await.unwrap());
        }
        let message = |text: &str| NextVec::Message(text.as_bytes().to_vec());
        assert_eq!(got[..2], [message("one"), message("two")]);
        match got[2] {
            NextVec::Gap(gap) => assert_eq!((gap.cause, gap.bytes), (GapCause::Restarted, 0)),
            NextVec::Message(_) => panic!("{:?}", got[2]),
        }
        assert_eq!(got[3], message("three"));
        assert_eq!(stream.get_mut().joins(), 2);
    });
    publisher.join().unwrap();
}

#[test]
fn a_subscription_is_read_in_place() {
    let name = name("in-place");
    let at = name.clone();
    let publisher = std::thread::spawn(move || serve_one(&at, &[b"hello"]));
    let length = block_on(async {
        let mut stream = subscribe(&name, ConnectOptions::new());
        let read = |next: Next<'_>| next.message().map(|message| message.len());
        let moment = Duration::from_millis(2);
        let nothing = tokio::time::timeout(moment, stream.read(read)).await; // or it was quick
        match nothing {
            Ok(length) => length.unwrap(),
            Err(_) => stream.read(read).await.unwrap(),
        }
    });
    assert_eq!(length, Some(5));
    drop(publisher.join().unwrap());
}

// Whatever it could not copy in time it tells.
#[test]
fn an_observing_subscription_accounts_for_all() {
    let name = name("observes");
    let at = name.clone();
    let publisher = std::thread::spawn(move || {
        let mut producer = serve_one(&at, &[]);
        for i in 0..20_000 {
            producer.try_publish(&pattern(i, 16)).unwrap();
        }
        producer.publish(b"last", LONG).unwrap();
        producer
    });
    let (messages, missed) = block_on(async {
        let mut stream = subscribe(&name, ConnectOptions::new().flow(Flow::Follow));
        let (mut messages, mut missed) = (0, 0);
        loop {
            match stream.next_vec().await.unwrap() {
                NextVec::Message(bytes) if bytes == b"last" => break (messages, missed),
                NextVec::Message(_) => messages += 1,
                NextVec::Gap(gap) => missed += gap.bytes,
            }
        }
    });
    assert_eq!(messages * 32 + missed, 20_000 * 32);
    drop(publisher.join().unwrap());
}

#[test]
fn a_subscription_that_polls_is_refused() {
    let name = name("polls");
    let at = name.clone();
    let publisher = std::thread::spawn(move || serve_one(&at, &[]));
    block_on(async {
        let mut stream = subscribe(&name, ConnectOptions::new().wakeup(Wakeup::Pull));
        assert!(matches!(stream.next_vec().await, Err(Error::Invalid)));
    });
    drop(publisher.join().unwrap());
}

// ---- other processes ----

#[test]
fn reaches_another_process() {
    let mut producer = producer(PAGE);
    let child = spawn_consumer(&mut producer, "reads_in_its_loop");
    publish(producer, 500);
    support::assert_success(child);
}

#[test]
#[ignore = "a process of another test"]
fn reads_in_its_loop() {
    let consumer = support::join_by_stdin();
    let count = block_on(async {
        read_to_the_end(AsyncConsumer::new(consumer).unwrap())
            .await
            .unwrap()
    });
    assert_eq!(count, 500);
}
