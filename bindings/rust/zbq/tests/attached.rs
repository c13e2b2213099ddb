// SPDX-License-Identifier: MIT
//! What a producer serves while it waits.

mod support;

use std::os::unix::io::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{abstract_name, both_ends, is_readable, producer, LONG, PAGE};
use zbq::{
    connect, ConnectOptions, Consumer, Error, Flow, Listener, ListenerOptions, Producer, Service,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn listener(of: &str) -> (String, Listener) {
    let name = abstract_name(of);
    let listener = Listener::new(&name, ListenerOptions::new()).unwrap();
    (name, listener)
}

/// One that always has something to do, and does what a test wants.
struct Busy<F> {
    ready: UnixStream, // at its end
    what: F,
    served: Arc<AtomicUsize>,
}

fn busy<F: FnMut(&mut Producer) -> Result<(), Error> + Send>(
    what: F,
) -> (Busy<F>, Arc<AtomicUsize>) {
    let served = Arc::new(AtomicUsize::new(0));
    let (ready, _) = UnixStream::pair().unwrap();
    let count = Arc::clone(&served);
    let busy = Busy {
        ready,
        what,
        served,
    };
    (busy, count)
}

impl<F> AsFd for Busy<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl<F: FnMut(&mut Producer) -> Result<(), Error> + Send> Service for Busy<F> {
    fn serve(&mut self, ring: &mut Producer) -> Result<(), Error> {
        self.served.fetch_add(1, Relaxed);
        (self.what)(ring)
    }
}

#[test]
fn newcomers_come_in_while_it_waits_for_room() {
    let (mut ring, slow) = both_ends(PAGE);
    let (name, door) = listener("room");
    ring.attach(door);
    while ring.try_publish(&[0; 1000]).is_ok() {}
    let newcomer = std::thread::spawn(move || {
        let reader = connect(name, LONG, &ConnectOptions::new()).unwrap();
        while slow.try_next().is_ok() {} // now there is room
        let text = reader.next(LONG).unwrap().to_vec();
        text.unwrap()
    });
    ring.publish(b"at last", LONG).unwrap();
    assert_eq!(newcomer.join().unwrap(), b"at last");
}

#[test]
fn and_while_it_need_not_wait() {
    let mut ring = producer(PAGE);
    let (name, door) = listener("busy");
    ring.attach(door);
    let options = ConnectOptions::new().flow(Flow::Follow); // it never waits
    let joining = std::thread::spawn(move || connect(name, LONG, &options));
    while !joining.is_finished() {
        ring.publish(b"x", LONG).unwrap();
    }
    joining.join().unwrap().unwrap();
}

#[test]
fn serves_until_it_is_enough() {
    let mut ring = producer(PAGE);
    let (name, door) = listener("enough");
    ring.attach(door);
    let waited = ring.serve_until(NOW, |ring| ring.statistics().consumers != 0);
    assert!(matches!(waited, Err(Error::Again)), "{waited:?}");
    let joining = std::thread::spawn(move || connect(name, LONG, &ConnectOptions::new()));
    ring.serve_until(LONG, |ring| ring.statistics().consumers != 0)
        .unwrap();
    joining.join().unwrap().unwrap();
}

#[test]
fn what_is_detached_is_served_no_more() {
    let mut ring = producer(PAGE);
    let (busy, served) = busy(|_| Ok(()));
    let which = ring.attach(busy);
    let (_, door) = listener("other");
    let door = ring.attach(door);
    ring.serve().unwrap();
    assert_eq!(served.load(Relaxed), 1);
    assert!(is_readable(ring.attached(&which).unwrap()));
    let busy = ring.detach(which).unwrap();
    ring.serve().unwrap();
    assert_eq!(served.load(Relaxed), 1);
    assert!(ring.attached(&door).is_some());
    let which = ring.attach(busy);
    let mut other = producer(PAGE);
    assert!(other.attached(&which).is_none());
    assert!(other.detach(which).is_none()); // and it stays where it is
    ring.serve().unwrap();
    assert_eq!(served.load(Relaxed), 2);
}

#[test]
fn a_failure_is_told_later() {
    let mut ring = producer(PAGE);
    let (failing, served) = busy(|_| Err(Error::Refused("on purpose".to_owned())));
    let which = ring.attach(failing);
    while served.load(Relaxed) == 0 {
        ring.publish(b"x", LONG).unwrap(); // that goes on
    }
    ring.detach(which).unwrap();
    assert!(matches!(ring.serve(), Err(Error::Refused(why)) if why == "on purpose"));
    ring.serve().unwrap();
}

// Neither itself nor another one: it is not known there.
#[test]
fn serving_from_inside_serves_nothing() {
    let mut ring = producer(PAGE);
    let (outer, outer_served) = busy(|ring| {
        ring.serve()?;
        ring.publish(b"from inside", NOW)?;
        Ok(())
    });
    let (other, other_served) = busy(|_| Ok(()));
    ring.attach(outer);
    ring.attach(other);
    ring.serve().unwrap();
    assert_eq!(
        (outer_served.load(Relaxed), other_served.load(Relaxed)),
        (1, 1)
    );
}

#[test]
fn what_is_attached_from_inside_is_served_the_next_time() {
    let mut ring = producer(PAGE);
    let (inner, inner_served) = busy(|_| Ok(()));
    let mut inner = Some(inner);
    let (outer, outer_served) = busy(move |ring| {
        if let Some(inner) = inner.take() {
            ring.attach(inner);
        }
        Ok(())
    });
    ring.attach(outer);
    ring.serve().unwrap();
    assert_eq!(
        (outer_served.load(Relaxed), inner_served.load(Relaxed)),
        (1, 0)
    );
    ring.serve().unwrap();
    assert_eq!(
        (outer_served.load(Relaxed), inner_served.load(Relaxed)),
        (2, 1)
    );
}

#[test]
fn one_that_panics_stays_attached() {
    let mut ring = producer(PAGE);
    let (panicking, served) = busy(|_| panic!("on purpose"));
    let which = ring.attach(panicking);
    assert!(catch_unwind(AssertUnwindSafe(|| ring.serve())).is_err());
    assert_eq!(served.load(Relaxed), 1);
    assert!(ring.attached(&which).is_some());
}

/// A producer, and a consumer that has so many descriptors to collect that there is no room for more.
fn full_of_descriptors() -> (Producer, Consumer, usize) {
    let (mut ring, consumer) = both_ends(16 * PAGE);
    let file = support::file("one");
    let fds = vec![file.as_fd(); 253];
    let mut sent = 0;
    while ring.publish_with(b"full", &fds, NOW).is_ok() {
        sent += 1;
    }
    (ring, consumer, sent)
}

// While a message waits for its descriptors to be sent, no room is held that another could write over.
#[test]
fn a_service_may_publish_while_descriptors_are_waited_for() {
    let (mut ring, consumer, sent) = full_of_descriptors();
    let mut left = 3;
    let (publishing, served) = busy(move |ring| {
        if left != 0 {
            left -= 1;
            ring.try_publish(&[left; 100])?;
        }
        Ok(())
    });
    ring.attach(publishing);
    let reader = std::thread::spawn(move || {
        let end = Instant::now() + LONG.unwrap();
        while served.load(Relaxed) < 3 {
            assert!(Instant::now() < end);
            std::thread::yield_now();
        }
        let texts: Result<Vec<_>, _> = (0..sent + 4)
            .map(|_| consumer.next(LONG)?.to_vec()) // its descriptors are let go of, too
            .collect();
        texts.unwrap()
    });
    let file = support::file("two");
    let fds = vec![file.as_fd(); 253];
    ring.publish_with(b"with more", &fds, LONG).unwrap();
    let texts = reader.join().unwrap();
    let mut expected = vec![b"full".to_vec(); sent];
    expected.extend([2, 1, 0].map(|left| vec![left; 100]));
    expected.push(b"with more".to_vec());
    assert_eq!(texts, expected);
}

#[test]
fn a_service_may_take_the_producer_itself() {
    let (mut ring, consumer, _) = full_of_descriptors();
    let (other, elsewhere) = both_ends(PAGE);
    let mut other = Some(other);
    let (swapping, _) = busy(move |ring| {
        if let Some(other) = other.take() {
            drop(std::mem::replace(ring, other));
        }
        Ok(())
    });
    ring.attach(swapping);
    let file = support::file("two");
    let fds = vec![file.as_fd(); 253];
    ring.publish_with(b"elsewhere", &fds, LONG).unwrap();
    let message = elsewhere.next(LONG).unwrap();
    assert_eq!(message.to_vec().unwrap(), b"elsewhere");
    assert_eq!(message.take_fds(LONG).unwrap().len(), 253);
    drop(message);
    assert!(matches!(consumer.ending(), Some(Error::Closed)));
}

#[test]
fn it_goes_with_its_producer() {
    let mut ring = producer(PAGE);
    let (attached, door) = listener("goes");
    ring.attach(door);
    let (detached, door) = listener("stays");
    let door = ring.attach(door);
    let door = ring.detach(door).unwrap();
    drop(ring);
    let is_free = |name| Listener::new(name, ListenerOptions::new()).is_ok();
    assert!(is_free(&attached));
    assert!(!is_free(&detached));
    drop(door);
    assert!(is_free(&detached));
}
