// SPDX-License-Identifier: MIT
//! A consumer in tokio's event loop.

use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::message::Message;
use std::future::Future;
use std::os::unix::io::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// A consumer whose waits are `await`ed: with the feature `tokio`.
///
/// Its futures can move between threads, as a runtime with several wants; a [`Message`] stays
/// where it was taken, so it must go before the next `await`. [`next_vec`](Self::next_vec) gives a
/// copy, that may stay. [`Message::take_fds`] is not `await`ed, and stops the thread while it
/// waits: with a time-out of zero it takes what is there, which with producers of this crate is
/// all.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// # producer.try_publish(b"hello")?;
/// # runtime.block_on(async {
/// let mut consumer = zbq::AsyncConsumer::new(consumer)?;
/// let message = consumer.next().await?;
/// assert_eq!(message.to_vec()?, b"hello");
/// # Ok::<(), zbq::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncConsumer {
    events: AsyncFd<EventFd>, // before the consumer, which closes the descriptor
    consumer: Consumer,
    calls: u8, // since other tasks had their turn
}

/// So many messages in a row, as from tokio's own sources.
const TURN: u8 = 128;

// The consumer's, which outlives it.
#[derive(Debug)]
struct EventFd(RawFd);

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl AsyncConsumer {
    /// Takes a consumer over, that was joined with [`Wakeup::Push`](crate::Wakeup::Push).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] (it polls), [`Error::NoMemory`], [`Error::Io`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O.
    pub fn new(consumer: Consumer) -> Result<Self> {
        let event_fd = EventFd(consumer.event_fd()?.as_raw_fd());
        Ok(Self {
            events: AsyncFd::with_interest(event_fd, Interest::READABLE)?,
            consumer,
            calls: 0,
        })
    }

    /// Waits until there is something to read. Dropped before that, it has changed nothing. Where
    /// there always is something, it lets other tasks run now and then all the same.
    ///
    /// # Errors
    ///
    /// As [`Consumer::next`], but [`Error::Again`].
    pub async fn readable(&mut self) -> Result<()> {
        self.take_turns().await;
        let mut found = self.consumer.look(); // the descriptor may have told of it before
        while let Err(Error::Again) = found {
            // First the readiness, then the look: what comes after the look makes it ready anew.
            let mut ready = self.events.readable().await?;
            found = self.consumer.look();
            if let Err(Error::Again) = found {
                ready.clear_ready();
            }
        }
        found
    }

    /// The next message, in place.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub async fn next(&mut self) -> Result<Message<'_>> {
        let taken = loop {
            self.readable().await?;
            match self.consumer.take() {
                Err(Error::Again | Error::Lapped) => (), // an observer, in between
                taken => break taken?,
            }
        };
        Ok(self.consumer.message(&taken))
    }

    /// A copy of the next message, whose room is given back. Its descriptors, if it has any, are
    /// closed.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub async fn next_vec(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            self.readable().await?;
            match self.consumer.try_copy_to(&mut bytes) {
                Err(Error::Again | Error::Lapped) => (), // as above
                copied => return copied.map(|_| bytes),
            }
        }
    }

    /// For everything that does not wait.
    pub fn get_ref(&self) -> &Consumer {
        &self.consumer
    }

    /// The consumer, to be used without a runtime again.
    pub fn into_inner(self) -> Consumer {
        self.consumer
    }

    // Who never has to wait would else keep the thread.
    async fn take_turns(&mut self) {
        self.calls += 1;
        if self.calls == TURN {
            self.calls = 0;
            YieldNow(false).await;
        }
    }
}

/// Not ready once, so that others run. tokio's own wants its feature `rt`.
struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

// Whatever the futures hold may move between threads.
const _: () = {
    fn is_send<T: Send>(_: T) {}
    #[allow(dead_code)]
    fn futures_are_send(consumer: &mut AsyncConsumer) {
        is_send(consumer.readable());
    }
    #[allow(dead_code)]
    fn next_vec_is_send(consumer: &mut AsyncConsumer) {
        is_send(consumer.next_vec());
    }
};
