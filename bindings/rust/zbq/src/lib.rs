// SPDX-License-Identifier: MIT
//! A zero-copy broadcast queue for Linux.
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![cfg(target_os = "linux")]

#[cfg(feature = "tokio")]
mod async_consumer;
mod batch;
mod consumer;
mod error;
mod iter;
mod message;
mod options;
mod payload;
mod poll;
mod producer;
mod rendezvous;
mod reservation;
mod statistics;
mod tail;
mod time;

#[cfg(feature = "tokio")]
pub use async_consumer::AsyncConsumer;
pub use batch::Batch;
pub use consumer::Consumer;
pub use error::{Error, Eviction, Result};
pub use iter::{Iter, TryIter};
pub use message::{Message, Reader};
pub use options::{Options, PayloadType, Wakeup};
pub use payload::Payload;
pub use producer::Producer;
pub use rendezvous::{connect, ConnectOptions, Listener, ListenerOptions, Newcomer, Peer};
pub use reservation::Reservation;
pub use statistics::{ConsumerInfo, Statistics};

/// Bytes before a message's payload.
const HEADER: usize = std::mem::size_of::<zbq_sys::zbq_msg_header>();

/// Bytes of the ring that a message with such a payload takes; `None`: none can be so large.
///
/// ```
/// assert_eq!(zbq::message_size(0), Some(16));
/// assert_eq!(zbq::message_size(17), Some(48));
/// ```
#[inline]
pub const fn message_size(payload_len: usize) -> Option<u64> {
    const MASK: u64 = zbq_sys::ZBQ_MSG_ALIGN as u64 - 1;
    if payload_len > u32::MAX as usize {
        return None;
    }
    Some((HEADER as u64 + payload_len as u64 + MASK) & !MASK)
}

// What moves between threads, and what must not.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Producer>();
    is_send::<Consumer>();
    is_send::<Error>();
    const fn is_sync<T: Sync>() {}
    is_sync::<Error>();
};
