// SPDX-License-Identifier: MIT
//! A producer made of the raw calls, that does what the safe one does not.

use super::PAGE;
use std::os::unix::io::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::ptr::{self, addr_of};
use std::sync::atomic::AtomicU64;
use zbq::{Consumer, Flow, Wakeup};
use zbq_sys::{
    zbq_commit_flags, zbq_contiguous_run, zbq_msg_header, zbq_producer, zbq_producer_params,
    zbq_wakeup_mode,
};

pub struct Raw(*mut zbq_producer);

impl Raw {
    pub fn with_consumer() -> (Self, Consumer) {
        Self::with(zbq_wakeup_mode::ZBQ_WAKEUP_PUSH, Flow::Lossless)
    }

    pub fn with_observer(flow: Flow) -> (Self, Consumer) {
        Self::with(zbq_wakeup_mode::ZBQ_OBSERVE_PUSH, flow)
    }

    fn with(mode: zbq_wakeup_mode, flow: Flow) -> (Self, Consumer) {
        let raw = Self::new();
        let (near, far) = UnixStream::pair().unwrap();
        raw.admit(&near, mode);
        (raw, Consumer::join_with(&far, Wakeup::Push, flow).unwrap())
    }

    pub fn new() -> Self {
        let params = zbq_producer_params {
            ring_capacity: PAGE,
            clog_threshold: 1,
            stall_timeout_ns: 0,
            max_consumers: 1,
        };
        let mut handle = ptr::null_mut();
        // SAFETY: both outlive the call.
        assert_eq!(
            unsafe { zbq_sys::zbq_producer_create(&mut handle, &params) },
            0
        );
        Self(handle)
    }

    /// With the next message, whatever it asked for.
    pub fn admit(&self, socket: impl AsFd, mode: zbq_wakeup_mode) {
        let (fd, mut slot) = (socket.as_fd().as_raw_fd(), 0);
        // SAFETY: a live handle, and a place for the slot.
        let code = unsafe { zbq_sys::zbq_producer_handshake(self.0, fd, mode, &mut slot) };
        assert_eq!(code, 0);
    }

    /// Publishes a message of 16 bytes, if there is room.
    pub fn try_publish(&self) -> bool {
        let mut run = zbq_contiguous_run {
            base: ptr::null_mut(),
            max_bytes: 0,
            offset: 0,
        };
        // SAFETY: a live handle; the run holds so many bytes.
        unsafe {
            if zbq_sys::zbq_producer_reserve(self.0, 16, &mut run) != 0 {
                return false;
            }
            run.base.cast::<zbq_msg_header>().write(header(0, 0, 0));
            zbq_sys::zbq_producer_commit(self.0, 16, zbq_commit_flags::ZBQ_COMMIT_NONE)
        }
    }

    /// What the producer has said, to be said otherwise.
    pub fn control(&self) -> Control<'_> {
        // SAFETY: a live handle, whose control region this process may write. Nobody else refers to
        // these words but by atomic accesses.
        unsafe {
            let region = zbq_sys::zbq_producer_ctrl(self.0);
            Control {
                head: &*addr_of!((*region).producer_head).cast(),
                floor: &*addr_of!((*region).floor).cast(),
                newest: &*addr_of!((*region).newest).cast(),
            }
        }
    }

    /// Publishes so many bytes that begin with this header; gives where that lies.
    pub fn publish(&self, bytes: u64, header: zbq_msg_header) -> *mut zbq_msg_header {
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
    pub fn send(&self, seq_id: u64, count: usize) -> UnixStream {
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

pub struct Control<'r> {
    pub head: &'r AtomicU64,
    pub floor: &'r AtomicU64,
    pub newest: &'r AtomicU64,
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the last use.
        unsafe { zbq_sys::zbq_producer_destroy(self.0) };
    }
}

pub fn header(payload_len: u32, fd_count: u8, seq_id: u64) -> zbq_msg_header {
    zbq_msg_header {
        payload_len,
        fd_count,
        flags: 0,
        reserved: 0,
        seq_id,
    }
}
