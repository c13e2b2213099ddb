// SPDX-License-Identifier: MIT
//! What is read in an event loop, as streams of futures-core.
#![cfg(feature = "stream")]

mod support;

use futures_core::Stream;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use support::{both_ends, impatient, join, pattern, LONG, PAGE};
use tokio::runtime::Builder;
use zbq::{AsyncConsumer, AsyncSubscription, ConnectOptions, Error, Eviction, Listener};
use zbq::{ListenerOptions, NextVec, Options, Producer, Subscription, Wakeup};

/// The next item of a stream, as futures-util has it.
struct Next<'s, S>(&'s mut S);

impl<S: Stream + Unpin> Future for Next<'_, S> {
    type Output = Option<S::Item>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut *self.0).poll_next(context)
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let hung = Duration::from_secs(60);
        tokio::time::timeout(hung, future).await.unwrap()
    })
}

#[test]
fn a_stream_gives_all_to_the_end_once() {
    let (mut producer, consumer) = both_ends(PAGE);
    let publisher = std::thread::spawn(move || {
        for i in 0..1000 {
            producer.publish(&pattern(i, i), LONG).unwrap();
        }
    });
    block_on(async {
        let mut stream = AsyncConsumer::new(consumer).unwrap();
        for i in 0..1000 {
            let bytes = Next(&mut stream).await.unwrap().unwrap();
            assert_eq!(bytes, pattern(i, i));
        }
        assert!(Next(&mut stream).await.is_none());
        assert!(Next(&mut stream).await.is_none());
    });
    publisher.join().unwrap();
}

#[test]
fn a_stream_ends_with_its_error_once() {
    let mut producer = Producer::new(&impatient()).unwrap();
    let consumer = join(&mut producer, Wakeup::Push);
    for _ in 0..2 {
        producer.publish(&[0; 3000], LONG).unwrap(); // the second evicts it
    }
    block_on(async {
        let mut stream = AsyncConsumer::new(consumer).unwrap();
        let end = Next(&mut stream).await;
        assert!(matches!(end, Some(Err(Error::Evicted(Eviction::Stalled)))));
        assert!(Next(&mut stream).await.is_none());
    });
}

#[test]
fn a_subscription_is_one_too() {
    let name = format!("@zbq-rust-futures-{}", std::process::id());
    let mut listener = Listener::new(&name, ListenerOptions::new()).unwrap();
    let publisher = std::thread::spawn(move || {
        let mut producer = Producer::new(&Options::new()).unwrap();
        while producer.statistics().consumers == 0 {
            listener.wait_and_serve(&mut producer, LONG).unwrap();
        }
        producer.publish(b"hello", LONG).unwrap();
        producer
    });
    block_on(async {
        let stream = Subscription::new(&name, &ConnectOptions::new()).unwrap();
        let mut stream = AsyncSubscription::new(stream).unwrap();
        let next = Next(&mut stream).await.unwrap().unwrap();
        assert_eq!(next, NextVec::Message(b"hello".to_vec()));
    });
    drop(publisher.join().unwrap());
}
