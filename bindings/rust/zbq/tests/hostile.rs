// SPDX-License-Identifier: MIT
//! A producer that does not keep to the protocol. It is made of the raw calls.

mod support;

use std::io::Read;
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;
use support::{LONG, PAGE};
use zbq::{Consumer, Error, Wakeup};
use zbq_sys::{
    zbq_commit_flags, zbq_contiguous_run, zbq_msg_header, zbq_producer, zbq_producer_params,
    zbq_wakeup_mode,
};

struct Raw(*mut zbq_producer);

impl Raw {
    fn with_consumer() -> (Self, Consumer) {
        let params = zbq_producer_params {
            ring_capacity: PAGE,
            clog_threshold: 1,
            stall_timeout_ns: 0,
            max_consumers: 1,
        };
        let (near, far) = UnixStream::pair().unwrap();
        let mut handle = ptr::null_mut();
        let mut slot = 0;
        // SAFETY: all of it outlives the calls.
        unsafe {
            assert_eq!(zbq_sys::zbq_producer_create(&mut handle, &params), 0);
            let push = zbq_wakeup_mode::ZBQ_WAKEUP_PUSH;
            let fd = near.as_raw_fd();
            assert_eq!(
                zbq_sys::zbq_producer_handshake(handle, fd, push, &mut slot),
                0
            );
        }
        (Self(handle), Consumer::join(&far, Wakeup::Push).unwrap())
    }

    /// Publishes so many bytes that begin with this header; gives where that lies.
    fn publish(&self, bytes: u64, header: zbq_msg_header) -> *mut zbq_msg_header {
        let mut run = zbq_contiguous_run {
            base: ptr::null_mut(),
            max_bytes: 0,
            offset: 0,
        };
        // SAFETY: a live handle; the run holds so many bytes.
        unsafe {
            assert_eq!(zbq_sys::zbq_producer_reserve(self.0, bytes, &mut run), 0);
            let at = run.base.cast::<zbq_msg_header>();
            at.write(header);
            assert!(zbq_sys::zbq_producer_commit(
                self.0,
                bytes,
                zbq_commit_flags::ZBQ_COMMIT_NONE
            ));
            at
        }
    }

    /// Sends one end of a connection so many times, as one record; gives the other end.
    fn send(&self, seq_id: u64, count: usize) -> UnixStream {
        let (near, far) = UnixStream::pair().unwrap();
        let fds = vec![near.as_raw_fd(); count];
        // SAFETY: a live handle; so many descriptors.
        let code = unsafe {
            zbq_sys::zbq_producer_broadcast_fds(self.0, seq_id, fds.as_ptr(), count as u8)
        };
        assert_eq!(code, 0);
        far
    }
}

/// Whether no copy of the other end is open any more.
fn assert_closed(mut end: UnixStream) {
    end.set_read_timeout(LONG).unwrap();
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the last use.
        unsafe { zbq_sys::zbq_producer_destroy(self.0) };
    }
}

fn header(payload_len: u32, fd_count: u8, seq_id: u64) -> zbq_msg_header {
    zbq_msg_header {
        payload_len,
        fd_count,
        flags: 0,
        reserved: 0,
        seq_id,
    }
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
