// SPDX-License-Identifier: MIT
//! A zero-copy broadcast queue for Linux: one process publishes a stream of messages, with or
//! without open file descriptors, and many processes on the same machine read it in place, from
//! shared memory that the kernel lets them map read-only. There is no daemon, no copy, and no
//! system call on the fast path. A consumer that dies, hangs or cheats is evicted; the others read
//! on.
//!
//! Programs that use this crate, C++ programs, C programs and the command-line tool `zbq` speak to
//! each other.
//!
//! ```
//! use zbq::{connect, ConnectOptions, Listener, ListenerOptions, Options, Producer};
//! # let name = format!("@zbq-doc-crate-{}", std::process::id());
//! # let name_of_reader = name.clone();
//!
//! // One process:
//! # let publisher = std::thread::spawn(move || {
//! let mut ring = Producer::new(&Options::new())?;
//! let mut door = Listener::new(&name, ListenerOptions::new())?;
//! while ring.statistics().consumers == 0 {
//!     door.wait_and_serve(&mut ring, None)?;
//! }
//! let mut room = ring.reserve(5, None)?;
//! room.payload().copy_from_slice(b"hello"); // into the ring itself
//! room.commit();
//! # Ok::<(), zbq::Error>(())
//! # });
//! # let name = name_of_reader;
//!
//! // Another one:
//! let reader = connect(&name, None, &ConnectOptions::new())?;
//! for message in &reader {
//!     println!("{}", String::from_utf8_lossy(&message?.to_vec()?));
//! }
//! # publisher.join().unwrap()?;
//! # Ok::<(), zbq::Error>(())
//! ```
//!
//! Where all messages are of one type, a [`Channel`] makes producers and consumers of that, and a join
//! checks that both ends mean the same; where they are of a few, a [`VariantChannel`]. What is large, and
//! of one size, goes into the buffers of a [`FramePool`].
//!
//! # Who finds whom
//!
//! Consumers [connect](connect()) to the name at which a producer's [`Listener`] listens. One who gathers
//! from many listens instead: producers [dial](dial()) in at the name of a [`Collector`], which reads all of
//! their rings, in turns or in the order of a key. [`Joining`] and [`Dialing`] do the same one step after
//! the other, for event loops. What is [attached](Producer::attach) to a producer it serves while it
//! waits, and [`ThreadProducers`] has one for each thread.
//!
//! # Who waits for whom
//!
//! A consumer is [`Lossless`](Flow::Lossless) unless it chooses otherwise: the producer waits for it, for
//! a time, and then evicts it. An observer holds up nobody: it [follows](Flow::Follow) the stream and is
//! told what it has missed ([`Consumer::lost`]), or sees the [newest](Flow::Newest) message at each look.
//! Any of them may [start](Start) in what is still whole of the past. What every newcomer has to know the
//! producer [retains](Producer::retain). A [`Subscription`] joins again by itself, goes on where it left
//! off, and tells each gap.
//!
//! # What the compiler sees to
//!
//! - A [`Reservation`] borrows its [`Producer`], and its commit takes it: no two at once, no second
//!   commit, no use afterwards.
//! - A [`Message`] borrows its [`Consumer`], and its [`Payload`] borrows the message: no use after
//!   the room was given back, or after the consumer has gone.
//! - Descriptors are [`OwnedFd`](std::os::unix::io::OwnedFd) and
//!   [`BorrowedFd`](std::os::unix::io::BorrowedFd): none leaks, none is closed twice.
//! - Producers and consumers are [`Send`], and not [`Sync`]: one thread at a time. A message stays
//!   with its thread.
//!
//! Leaking one of these ([`std::mem::forget`]) is safe, too: a leaked message holds its room in the
//! ring, so that nothing is written over it; a leaked reservation is given up.
//!
//! # Bytes that another process can change
//!
//! A `&[u8]` promises that its bytes stay as they are while it lives. No consumer can promise
//! that: its memory is read-only for itself, not for the producer. A hostile producer may rewrite
//! a message that it has published. An honest one writes over a message that a consumer still
//! holds, once that consumer was evicted for holding it too long; the consumer may be in the
//! middle of reading. And it writes whenever it likes over what an observer reads: that is what one
//! is. To have that happen under a `&[u8]` is undefined behaviour, in whatever process the writer is.
//! So:
//!
//! - This crate never gives a `&[u8]` of shared memory to one who reads. It gives a [`Payload`],
//!   which loads bytes when it is asked for them, and says nothing of what they will be the next
//!   time.
//! - Its loads are relaxed atomic loads, of a byte or an aligned word. In the language's memory
//!   model a plain load that races with a write is undefined; an atomic one gives one of the values
//!   that the place had, if the writes are atomic, too. The writer here is another process, whose
//!   stores the model does not describe: what is relied on is that the machine gives a load some
//!   mixture of the bytes that were ever stored there, and nothing worse. Nothing that a compiler
//!   sees races with these loads. `memcpy` is a plain load, and is not used. A volatile load would
//!   do no better, for it does not count as atomic.
//! - Relaxed loads up to the size of a pointer are what the standard library allows of memory that
//!   is mapped read-only. References to atomics are not handed out: safe code could store through
//!   them, which would be a fault. For the same reason nothing here loads with another order.
//! - What was read may have been torn. [`Message::to_vec`] and all that copies from a message asks
//!   afterwards whether this consumer still had its slot, and gives [`Error::Evicted`] otherwise.
//!   The producer marks an evicted consumer before it writes over anything that one may be reading;
//!   the two sides' fences make that a sequence lock, whose argument is in the library's
//!   `docs/memory-order.md`. An observer asks whether the ring's *floor*, below which anything may be
//!   written over, is still below the message, and gives [`Error::Lapped`] otherwise: the producer
//!   raises the floor before it writes, which is the same lock once more. Until it says that they were
//!   whole, bytes that were torn are wrong and nothing else. Against a producer that breaks the protocol this cannot help: what was
//!   read is then some bytes, and no more is said of them. Lengths are safe from it in any case:
//!   each is loaded once, checked against the memory that is mapped, and kept. An observer never
//!   looks further back than a ring below the head that it knows, whatever the floor says later. Of a
//!   header that may have been torn nothing is kept.
//! - A typed consumer gives copies, which it has checked, or a [`Place`], which loads a value or a
//!   part of one when it is asked. Any bytes are a value of a type that is [`Pod`](trait@Pod): one
//!   that was torn, or made up by a hostile producer, is wrong and not undefined.
//! - Who writes it to a descriptor needs no copy: [`Message::write_to`] lets the kernel read the
//!   ring.
//! - Who wants a slice all the same, of a producer that is trusted in a ring that evicts nobody for
//!   being slow, makes it with [`Payload::as_ptr`] in `unsafe` code of its own; there it says under
//!   which conditions.
//!
//! [`Reservation::payload`] does give a `&mut [u8]` of the ring, [`TypedBatch::add`] a `&mut T`, and
//! they may: no other process can write there. The ring is a memfd that was sealed with
//! `F_SEAL_FUTURE_WRITE` when the producer had mapped it: the kernel refuses every other writable
//! mapping, and every write. Other processes can read it, which no promise of `&mut` is about: they
//! see nothing of a message before its commit but what a cheat reads, and what they read is not this
//! process's to define. A reservation is at most as long as the ring, so that the two mappings in a
//! row, which make a message linear across the ring's end, never show one byte twice. A consumer of
//! the same ring in the same process has a mapping of its own, at another address, that it loads
//! from atomically. All of that holds for the buffers of a [`FramePool`], too: [`Frame::bytes`] gives
//! the only way to write to one, and its readers look at it through a [`Payload`]; the word before it that
//! tells them whether it is filled anew is atomic on both sides.
//!
//! What is outside of any of this: another process that writes into this one's memory by a
//! debugger's means (`/proc/PID/mem`, ptrace).
//!
//! # Processes
//!
//! After a `fork` without `exec` the child has the handles and not the memory: reading or writing a
//! message there ends it with a signal; to drop what it has is fine, and changes nothing for its
//! parent. `fork` is `unsafe` in Rust, and that is a reason.
//! Everything is close-on-exec, so [`std::process::Command`] is fine.
//!
//! # Features
//!
//! - `tokio`: `AsyncConsumer` and `AsyncSubscription`, whose waits are `await`ed.
//! - `stream`: that, and both are a `Stream` of futures-core.
//! - `system`: links an installed libzbq instead of building the library from its single header,
//!   which takes a C++20 compiler and no C++ run-time library.
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("zbq is for Linux on 64-bit processors");

#[cfg(feature = "tokio")]
mod asynchronous;
mod attached;
mod batch;
mod consumer;
mod copied;
mod error;
mod frames;
mod header;
mod iter;
mod load;
mod message;
mod message_batch;
mod options;
mod payload;
mod piece;
mod pod;
mod poll;
mod process;
mod producer;
mod rendezvous;
mod reservation;
mod retained;
mod statistics;
mod statistics_page;
mod tail;
mod time;
mod topology;
mod typed;
mod variant;

#[cfg(feature = "tokio")]
pub use asynchronous::{AsyncConsumer, AsyncSubscription, NextVec};
pub use attached::{Attached, Service};
pub use batch::Batch;
pub use consumer::{Consumer, Loss};
pub use copied::Copied;
pub use error::{Error, Eviction, Result};
pub use frames::{Frame, FramePool, FramePoolOptions, Frames, NotPublished, ReceivedFrame};
pub use iter::{Iter, TryIter};
pub use message::{Message, Reader};
pub use message_batch::{MessageBatch, MessageView, Messages};
pub use options::{Flow, Options, Patience, PayloadType, RingId, Start, Wakeup, WHICHEVER_RING};
pub use payload::Payload;
pub use pod::{bytes_of, Pod};
pub use producer::Producer;
pub use rendezvous::{
    connect, dial, inspect, Caller, Collector, CollectorOptions, ConnectOptions, DialOptions,
    Dialing, Gap, GapCause, Inspecting, Joining, Listener, ListenerOptions, Mine, Newcomer, Next,
    Peer, Source, Subscription, Terms, ThreadProducers,
};
pub use reservation::Reservation;
pub use retained::{Retained, RetainedMessage};
pub use statistics::{ConsumerInfo, Statistics};
pub use statistics_page::{RingAccount, SlotAccount, StatisticsPage};
pub use typed::{
    type_hash, Channel, Place, Places, ReceivedBatch, TypedBatch, TypedConsumer, TypedProducer,
};
pub use variant::{VariantChannel, VariantConsumer, VariantProducer, Variants};

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
    is_send::<Listener>();
    is_send::<attached::Attachments>();
    is_send::<Joining>();
    is_send::<Inspecting>();
    is_send::<StatisticsPage>();
    is_send::<Dialing>();
    is_send::<Collector>();
    is_send::<ThreadProducers>();
    is_send::<Subscription>();
    is_send::<TypedProducer<u64>>();
    is_send::<TypedConsumer<u64>>();
    is_send::<FramePool>();
    is_send::<Frame>();
    is_send::<Frames>();
    is_send::<Error>();
    const fn is_sync<T: Sync>() {}
    is_sync::<Error>();
    is_sync::<ThreadProducers>();
};

// Were it so, there would be two answers to which one is meant.
macro_rules! must_not_be {
    ($marker:ident: $($kind:ty),*) => {$(
        const _: fn() = || {
            trait Ambiguous<Which> {
                fn name() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $marker> Ambiguous<u8> for T {}
            <$kind as Ambiguous<_>>::name();
        };
    )*};
}
must_not_be!(
    Sync: Producer,
    StatisticsPage,
    Consumer,
    Collector,
    Source,
    Subscription,
    TypedProducer<u64>,
    TypedConsumer<u64>,
    ReceivedBatch<'static, u64>,
    Place<'static, u64>,
    Frames,
    ReceivedFrame<'static>,
    Message<'static>,
    MessageView<'static>,
    MessageBatch<'static>,
    RetainedMessage<'static>,
    Payload<'static>,
    Reader<'static>
);
must_not_be!(
    Send: Mine<'static>,
    Message<'static>,
    MessageView<'static>,
    MessageBatch<'static>,
    ReceivedFrame<'static>,
    RetainedMessage<'static>,
    ReceivedBatch<'static, u64>,
    Place<'static, u64>,
    Payload<'static>,
    Reader<'static>,
    Iter<'static>
);
