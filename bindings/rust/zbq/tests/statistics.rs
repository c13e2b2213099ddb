// SPDX-License-Identifier: MIT
//! How a ring stands, seen from outside.

mod support;

use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::others::in_forked_child;
use support::{abstract_name, join, join_with, producer, LONG, PAGE};
use zbq::{
    inspect, ConnectOptions, Error, Eviction, Flow, Inspecting, Listener, ListenerOptions,
    PayloadType, Producer, Start, StatisticsPage, Wakeup,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn page_of(producer: &Producer) -> StatisticsPage {
    StatisticsPage::open(producer.statistics_fd().unwrap()).unwrap()
}

// By its name, while the listener serves in this thread.
fn ask(
    name: &str,
    listener: &mut Listener,
    producer: &mut Producer,
) -> Result<StatisticsPage, Error> {
    let name = name.to_owned();
    let asking = std::thread::spawn(move || inspect(name, LONG, &ConnectOptions::new()));
    while !asking.is_finished() {
        match listener.wait_and_serve(producer, Some(Duration::from_millis(10))) {
            Ok(newcomers) => assert!(newcomers.is_empty()),
            Err(error) => assert!(matches!(error, Error::Again)),
        }
    }
    asking.join().unwrap()
}

#[test]
fn tell_of_the_ring_and_of_each_slot() {
    let mut ring = producer(PAGE);
    let told = PayloadType {
        hash: 7,
        size: 8,
        align: 4,
    };
    ring.set_type(told).unwrap();
    ring.set_name("camera").unwrap();
    let reader = join(&mut ring, Wakeup::Push);
    let watcher = join_with(&mut ring, Wakeup::Pull, Flow::Follow, Start::Head);
    ring.publish(b"hello", NOW).unwrap();
    assert_eq!(watcher.try_next().unwrap().to_vec().unwrap(), b"hello");
    let mut page = page_of(&ring);
    ring.scan();
    page.update().unwrap();
    let account = page.ring();
    assert_eq!(account.id, ring.id());
    assert_eq!(account.name, b"camera");
    assert_eq!(account.pid, std::process::id() as i32);
    assert_eq!(account.payload_type, told);
    assert_eq!(account.capacity, PAGE);
    assert_eq!((account.head, account.slowest_tail), (32, 0));
    assert_eq!((account.joined, account.consumers), (2, 2));
    assert!(account.created_at <= account.written_at);
    assert!(!account.closed && account.slowest_slot.is_none());
    let slots: Vec<_> = page.slots().collect();
    assert_eq!(slots.len(), 2);
    let (number, first) = &slots[0];
    assert_eq!((*number, first.join_number, first.lag), (0, 1, 32));
    assert_eq!((first.wakeup, first.observes), (Wakeup::Push, false));
    assert_eq!(first.pid, std::process::id() as i32);
    assert!(first.evicted.is_none());
    assert_eq!(slots[1].1.lag, 0);
    assert!(slots[1].1.observes);
    drop(reader);
    ring.scan();
    page.update().unwrap();
    assert_eq!(page.ring().evicted_for(Eviction::Dead), 1);
    assert_eq!(page.ring().evicted_for(Eviction::Stalled), 0);
    let (reason, when) = page.slot(0).unwrap().evicted.unwrap();
    assert_eq!(reason, Eviction::Dead);
    assert!(when <= page.ring().written_at);
    drop(ring);
    page.update().unwrap();
    assert!(page.ring().closed);
}

#[test]
fn tell_who_holds_the_stream_back() {
    let mut ring = producer(PAGE);
    let mut page = page_of(&ring);
    let reader = join(&mut ring, Wakeup::Push);
    while ring.try_publish(b"").is_ok() {}
    ring.scan();
    page.update().unwrap();
    assert_eq!(page.ring().slowest_slot, Some(0));
    let slot = page.slot(0).unwrap();
    assert!(slot.holds_room && !slot.holds_descriptors);
    assert!(slot.times_slowest > 0);
    drop(reader);
}

#[test]
fn by_name() {
    let mut ring = producer(PAGE);
    let name = abstract_name("by-name");
    let mut door = Listener::new(&name, ListenerOptions::new()).unwrap();
    let page = ask(&name, &mut door, &mut ring).unwrap();
    assert_eq!(page.ring().name, name.as_bytes());
    assert_eq!(page.ring().joined, 0);
    ring.set_name("another").unwrap();
    let page = ask(&name, &mut door, &mut ring).unwrap();
    assert_eq!(page.ring().name, b"another");
    assert!(matches!(ring.set_name([b'x'; 112]), Err(Error::TooLarge)));
}

#[test]
fn by_who_is_let_in() {
    let mut ring = producer(PAGE);
    let name = abstract_name("refused");
    let options = ListenerOptions::new().accept(|who, _| !(who.inspects && who.observes));
    let mut door = Listener::new(&name, options).unwrap();
    let refused = ask(&name, &mut door, &mut ring);
    assert!(matches!(refused, Err(Error::Refused(_))));
}

#[test]
fn nobody_there() {
    let name = abstract_name("nobody");
    let options = ConnectOptions::new().wait_for_producer(false);
    let nobody = inspect(&name, NOW, &options);
    assert!(matches!(nobody, Err(Error::NoProducer)));
    let mut door = Listener::new(&name, ListenerOptions::new()).unwrap();
    let mut asking = Inspecting::new(&name, &options).unwrap();
    assert!(asking.step().unwrap().is_none());
    assert!(asking.has_met());
    assert_eq!(asking.place(), name);
    let mut ring = producer(PAGE);
    door.wait_and_serve(&mut ring, LONG).unwrap();
    assert!(asking.step().unwrap().is_some());
}

#[test]
fn what_is_no_page() {
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(StatisticsPage::open(&file), Err(Error::Protocol)));
    let (near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    assert!(matches!(StatisticsPage::receive(&far), Err(Error::Again)));
    drop(near);
    assert!(matches!(StatisticsPage::receive(&far), Err(Error::Io(_))));
}

#[test]
fn a_forked_child_is_told_nothing() {
    let ring = producer(PAGE);
    let mut page = page_of(&ring);
    in_forked_child(|| {
        matches!(page.update(), Err(Error::Invalid))
            && matches!(ring.statistics_fd(), Err(Error::Invalid))
    });
    page.update().unwrap();
}
