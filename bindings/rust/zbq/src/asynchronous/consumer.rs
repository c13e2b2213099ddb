// SPDX-License-Identifier: MIT
//! A consumer in tokio's event loop.

use super::events::{Events, PollFn};
use crate::consumer::Consumer;
use crate::error::Result;
use crate::message::Message;
use std::task::{Context, Poll};

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
///
/// With the feature `stream` it is a `Stream` of such copies, to the end of the zbq stream. One that the
/// producer did not end as it should ends with that error.
#[derive(Debug)]
pub struct AsyncConsumer {
    events: Events, // before the consumer, which closes the descriptor
    consumer: Consumer,
    #[cfg(feature = "stream")]
    pub(super) has_ended: bool, // as a stream
}

impl AsyncConsumer {
    /// Takes a consumer over, that was joined with [`Wakeup::Push`](crate::Wakeup::Push).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) (it polls), [`Error::NoMemory`](crate::Error::NoMemory),
    /// [`Error::Io`](crate::Error::Io).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O.
    pub fn new(consumer: Consumer) -> Result<Self> {
        Ok(Self {
            events: Events::new(consumer.event_fd()?)?,
            consumer,
            #[cfg(feature = "stream")]
            has_ended: false,
        })
    }

    /// Waits until there is something to read. Dropped before that, it has changed nothing. Where
    /// there always is something, it lets other tasks run now and then all the same.
    ///
    /// # Errors
    ///
    /// As [`Consumer::next`], but [`Error::Again`](crate::Error::Again).
    pub async fn readable(&mut self) -> Result<()> {
        PollFn(|context: &mut Context<'_>| self.poll(context, Consumer::look)).await
    }

    /// The next message, in place.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub async fn next(&mut self) -> Result<Message<'_>> {
        let taken = PollFn(|context: &mut Context<'_>| self.poll(context, Consumer::take)).await?;
        Ok(self.consumer.message(&taken))
    }

    /// A copy of the next message, whose room is given back. Its descriptors, if it has any, are
    /// closed.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub async fn next_vec(&mut self) -> Result<Vec<u8>> {
        PollFn(|context: &mut Context<'_>| self.poll_next_vec(context)).await
    }

    pub(super) fn poll_next_vec(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>>> {
        self.poll(context, |consumer| {
            let mut bytes = Vec::new();
            consumer.try_copy_to(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// For everything that does not wait.
    pub fn get_ref(&self) -> &Consumer {
        &self.consumer
    }

    /// The consumer, to be used without a runtime again.
    pub fn into_inner(self) -> Consumer {
        self.consumer
    }

    // Of the whole, which may move between threads while it waits; a reference to the consumer may
    // not.
    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&Consumer) -> Result<R>,
    ) -> Poll<Result<R>> {
        let consumer = &self.consumer;
        self.events.poll(context, || attempt(consumer))
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
