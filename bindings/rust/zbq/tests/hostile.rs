// SPDX-License-Identifier: MIT
//! A producer that does not keep to the protocol.

mod support;

use std::io::Read;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use support::raw::{header, Raw};
use support::{LONG, PAGE};
use zbq::{connect, ConnectOptions, Error, Flow, Start, WHICHEVER_RING};
use zbq_sys::zbq_wakeup_mode;

/// Whether no copy of the other end is open any more.
fn assert_closed(mut end: UnixStream) {
    end.set_read_timeout(LONG).unwrap();
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_length_past_the_head_ends_the_stream_once() {
    let (raw, consumer) = Raw::with_consumer();
    raw.publish(32, header(16, 0, 0));
    raw.publish(32, header(u32::MAX, 0, 0));
    let mut all = consumer.iter();
    assert_eq!(all.next().unwrap().unwrap().len(), 16);
    assert!(matches!(all.next(), Some(Err(Error::Protocol))));
    assert!(all.next().is_none());
    assert!(matches!(consumer.try_next(), Err(Error::Protocol)));
    assert!(matches!(consumer.ending(), Some(Error::Protocol)));
}

#[test]
fn a_length_that_changes_later_changes_nothing() {
    let (raw, consumer) = Raw::with_consumer();
    let place = raw.publish(64, header(48, 0, 0));
    let message = consumer.try_next().unwrap();
    // SAFETY: the ring of this process's producer.
    unsafe { place.write(header(u32::MAX, 9, 9)) };
    assert_eq!((message.len(), message.fd_count()), (48, 0));
    assert_eq!(message.to_vec().unwrap().len(), 48);
    assert_eq!(message.payload().get(48), None);
    drop(message);
    raw.publish(32, header(1, 0, 0));
    assert_eq!(consumer.try_next().unwrap().offset(), 64);
}

#[test]
fn another_number_of_descriptors_is_no_gift() {
    let (raw, consumer) = Raw::with_consumer();
    for (seq_id, said, sent) in [(1, 3, 2), (2, 1, 2)] {
        raw.publish(16, header(0, said, seq_id));
        let end = raw.send(seq_id, sent);
        let message = consumer.try_next().unwrap();
        assert!(matches!(message.take_fds(LONG), Err(Error::Protocol)));
        assert_closed(end);
    }
}

#[test]
fn descriptors_without_a_record_are_malformed() {
    let (raw, consumer) = Raw::with_consumer();
    raw.publish(16, header(0, 1, 0));
    let message = consumer.try_next().unwrap();
    assert_eq!(message.fd_count(), 1);
    assert!(matches!(message.take_fds(LONG), Err(Error::Protocol)));
}

// Late as they are, and though nobody takes them.
#[test]
fn records_that_come_after_their_messages_went_are_closed() {
    let (raw, consumer) = Raw::with_consumer();
    for seq_id in 1..=3 {
        raw.publish(16, header(0, 1, seq_id));
    }
    let mut all = consumer.try_iter().map(Result::unwrap);
    drop(all.next());
    let ends = [1, 2, 3].map(|seq_id| raw.send(seq_id, 1));
    all.for_each(drop);
    ends.into_iter().for_each(assert_closed);
}

#[test]
fn a_record_that_never_comes_is_told() {
    let (raw, consumer) = Raw::with_consumer();
    raw.publish(16, header(0, 1, 3));
    let end = raw.send(4, 1); // and never 3
    let message = consumer.try_next().unwrap();
    assert!(matches!(
        message.take_fds(LONG),
        Err(Error::DescriptorsLost)
    ));
    drop(message);
    drop(consumer);
    assert_closed(end);
}

// ---- to observers ----

#[test]
fn a_floor_that_is_taken_back_ends_the_stream() {
    for flow in [Flow::Follow, Flow::Newest] {
        let (raw, consumer) = Raw::with_observer(flow);
        for _ in 0..100 {
            raw.publish(1024, header(1008, 0, 0));
        }
        assert_eq!(consumer.try_next().unwrap().len(), 1008);
        raw.control().floor.store(0, Relaxed);
        raw.publish(64, header(u32::MAX, 0, 0));
        while let Ok(message) = consumer.try_next() {
            assert_eq!(message.len(), 1008);
        }
        assert!(matches!(consumer.try_next(), Err(Error::Protocol)));
        assert!(matches!(consumer.ending(), Some(Error::Protocol)));
    }
}

// It stands where it lost its place, and no length leads out of the ring.
#[test]
fn nor_does_it_give_more_than_the_ring_has() {
    let (raw, consumer) = Raw::with_observer(Flow::Newest);
    let first = raw.publish(1024, header(1008, 0, 0));
    for _ in 0..100 {
        raw.publish(1024, header(1008, 0, 0));
    }
    raw.control().newest.store(0, Relaxed);
    let _ = consumer.wait(Some(Duration::ZERO));
    raw.control().floor.store(0, Relaxed);
    // SAFETY: the ring of this process's producer.
    unsafe { first.write(header(50 * PAGE as u32, 0, 0)) };
    for _ in 0..3 {
        for message in consumer.try_iter().flatten() {
            assert!(message.len() < PAGE as usize);
            assert!(message.payload().to_vec().len() < PAGE as usize);
        }
    }
}

#[test]
fn heads_and_floors_that_cannot_be_end_it_too() {
    type Change = fn(&support::raw::Control<'_>);
    let changes: [Change; 6] = [
        |control| control.floor.store(7, Relaxed),
        |control| control.floor.store(1 << 40, Relaxed), // past the head
        |control| control.head.store(8, Relaxed),
        |control| control.head.store(16, Relaxed), // it was further on
        |control| control.head.store(1 << 40, Relaxed),
        |control| control.newest.store(1, Relaxed),
    ];
    for change in changes {
        let (raw, consumer) = Raw::with_observer(Flow::Newest);
        raw.publish(64, header(48, 0, 0));
        assert_eq!(consumer.try_next().unwrap().len(), 48);
        change(&raw.control());
        assert!(matches!(consumer.try_next(), Err(Error::Protocol)));
        assert!(matches!(consumer.wait(LONG), Err(Error::Protocol)));
    }
}

#[test]
fn flags_and_keys_are_what_the_header_said() {
    let (raw, consumer) = Raw::with_consumer();
    let mut said = header(0, 0, 0);
    said.flags = 5;
    said.reserved = 0x8003;
    let place = raw.publish(16, said);
    let message = consumer.try_next().unwrap();
    // SAFETY: as above.
    unsafe { place.write(header(0, 0, 0)) };
    assert_eq!((message.flags(), message.key()), (5, Some(3)));
    assert!(message.is_forgotten());
    raw.publish(16, said);
    drop(message);
    let copied = consumer.try_copy(&mut []).unwrap();
    assert_eq!((copied.flags(), copied.key()), (5, Some(3)));
    assert!(copied.is_forgotten());
}

// ---- to who joins ----

fn checked(result: isize) -> isize {
    assert!(result >= 0, "{}", std::io::Error::last_os_error());
    result
}

/// A socket of packets that listens at an abstract name.
fn listen_at(name: &str) -> OwnedFd {
    // SAFETY: numbers, and an address of that size; a new descriptor is owned by nobody yet.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        let fd = checked(libc::socket(libc::AF_UNIX, kind, 0) as isize) as i32;
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in address.sun_path.iter_mut().zip(name.bytes()).skip(1) {
            *to = from as libc::c_char;
        }
        let size = (2 + name.len()) as libc::socklen_t;
        let address = (&address as *const libc::sockaddr_un).cast();
        checked(libc::bind(fd, address, size) as isize);
        checked(libc::listen(fd, 1) as isize);
        OwnedFd::from_raw_fd(fd)
    }
}

// It welcomes one who wants to start where there is nothing, with what is to be passed over on the
// way, and more of it, and more.
#[test]
fn nobody_is_led_on_for_ever() {
    for offset in [1 << 40, u64::MAX] {
        let from = Start::At(WHICHEVER_RING, offset);
        let name = format!("@zbq-rust-{}-{offset}", std::process::id());
        let listening = listen_at(&name);
        let joining = std::thread::spawn(move || {
            let options = ConnectOptions::new().from(from);
            connect(name, LONG, &options)
        });
        // SAFETY: numbers, and room for so many bytes; a new descriptor is owned by nobody yet.
        let socket = unsafe {
            let none = std::ptr::null_mut();
            let fd = libc::accept(listening.as_raw_fd(), none, none.cast());
            let socket = OwnedFd::from_raw_fd(checked(fd as isize) as i32);
            let mut hello = [0_u8; 64];
            let size = libc::recv(socket.as_raw_fd(), hello.as_mut_ptr().cast(), 64, 0);
            assert_eq!(checked(size), 32);
            let welcome = b"zbq\x02\0\0\0\0";
            let size = libc::send(socket.as_raw_fd(), welcome.as_ptr().cast(), 8, 0);
            assert_eq!(checked(size), 8);
            socket
        };
        let raw = Raw::new();
        raw.admit(&socket, zbq_wakeup_mode::ZBQ_WAKEUP_PUSH);
        while !joining.is_finished() {
            raw.try_publish();
        }
        let joined = joining.join().unwrap();
        assert!(matches!(joined, Err(Error::Protocol)), "{joined:?}");
    }
}
