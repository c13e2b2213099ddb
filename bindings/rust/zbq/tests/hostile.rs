// SPDX-License-Identifier: MIT
//! A producer that does not keep to the protocol.

mod support;

use std::io::Read;
use std::os::unix::net::UnixStream;
use support::raw::{header, Raw};
use support::LONG;
use zbq::Error;

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
