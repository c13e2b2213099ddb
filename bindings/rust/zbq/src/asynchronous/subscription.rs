// SPDX-License-Identifier: MIT
//! A subscription in tokio's event loop.

use super::events::{Events, PollFn};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::message_size;
use crate::rendezvous::{Gap, GapCause, Next, Subscription};
use std::os::unix::io::AsFd;
use std::task::{Context, Poll};

/// What comes next in an [`AsyncSubscription`].
///
/// ```
/// # use zbq::{Gap, NextVec};
/// fn missed(all: &[NextVec]) -> u64 {
///     let bytes = |next: &NextVec| match next {
///         NextVec::Message(_) => 0,
///         NextVec::Gap(gap) => gap.bytes,
///     };
///     all.iter().map(bytes).sum()
/// }
/// # assert_eq!(missed(&[NextVec::Message(b"hello".to_vec())]), 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextVec {
    /// A copy of a message, which was whole.
    Message(Vec<u8>),
    /// What was missed before the next message.
    Gap(Gap),
}

/// A [`Subscription`] whose waits are `await`ed: with the feature `tokio`.
///
/// ```
/// # use zbq::{Listener, ListenerOptions, Options, Producer};
/// use zbq::{AsyncSubscription, ConnectOptions, NextVec, Subscription};
/// # let name = format!("@zbq-doc-async-subscription-{}", std::process::id());
/// # let at = name.clone();
/// # let publisher = std::thread::spawn(move || {
/// #     let mut listener = Listener::new(&at, ListenerOptions::new())?;
/// #     let mut producer = Producer::new(&Options::new())?;
/// #     while producer.statistics().consumers == 0 {
/// #         listener.wait_and_serve(&mut producer, None)?;
/// #     }
/// #     producer.publish(b"hello", None)
/// # });
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// # runtime.block_on(async {
/// let stream = Subscription::new(&name, &ConnectOptions::new())?;
/// let mut stream = AsyncSubscription::new(stream)?;
/// match stream.next_vec().await? {
///     NextVec::Message(bytes) => assert_eq!(bytes, b"hello"),
///     NextVec::Gap(gap) => println!("{} bytes are missing: {}", gap.bytes, gap.cause),
/// }
/// # Ok::<(), zbq::Error>(())
/// # })?;
/// # publisher.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With the feature `stream` it is a `Stream` of what [`next_vec`](Self::next_vec) gives.
#[derive(Debug)]
pub struct AsyncSubscription {
    events: Events, // before the subscription, which closes the descriptor
    subscription: Subscription,
}

impl AsyncSubscription {
    /// Takes a subscription over, that joins with [`Wakeup::Push`](crate::Wakeup::Push).
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O.
    pub fn new(subscription: Subscription) -> Result<Self> {
        Ok(Self {
            events: Events::new(subscription.as_fd())?,
            subscription,
        })
    }

    /// What `read` makes of the next message in place, or of the gap before it. Dropped before that,
    /// it has changed nothing. Where there always is something, it lets other tasks run now and then
    /// all the same.
    ///
    /// ```
    /// # use zbq::{AsyncSubscription, ConnectOptions, Next, Subscription};
    /// async fn length_of_next(stream: &mut AsyncSubscription) -> zbq::Result<usize> {
    ///     stream.read(|next| match next {
    ///         Next::Message(message) => message.len(),
    ///         Next::Gap(_) => 0,
    ///     }).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Subscription::next`], but [`Error::Again`]; it can be tried again after each.
    /// [`Error::Invalid`] also: it polls.
    pub async fn read<R>(&mut self, mut read: impl FnMut(Next<'_>) -> R + Unpin) -> Result<R> {
        PollFn(|context: &mut Context<'_>| self.poll(context, &mut read)).await
    }

    /// A copy of the next message, or the gap before it. A message that was overwritten while it was
    /// copied is a gap of its size.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn next_vec(&mut self) -> Result<NextVec> {
        PollFn(|context: &mut Context<'_>| self.poll_next_vec(context)).await
    }

    pub(super) fn poll_next_vec(&mut self, context: &mut Context<'_>) -> Poll<Result<NextVec>> {
        let copied = self.poll(context, &mut |next| match next {
            Next::Message(message) => copy_of(&message),
            Next::Gap(gap) => Ok(NextVec::Gap(gap)),
        });
        copied.map(|copied| copied?)
    }

    /// For everything that does not wait.
    pub fn get_mut(&mut self) -> &mut Subscription {
        &mut self.subscription
    }

    /// The subscription, to be used without a runtime again.
    pub fn into_inner(self) -> Subscription {
        self.subscription
    }

    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        read: &mut impl FnMut(Next<'_>) -> R,
    ) -> Poll<Result<R>> {
        let subscription = &mut self.subscription;
        self.events.poll(context, || {
            let found = subscription.try_next().map(&mut *read);
            match found {
                Err(Error::Again) if polls(subscription) => Err(Error::Invalid),
                found => found,
            }
        })
    }
}

// Nothing would ring.
fn polls(subscription: &Subscription) -> bool {
    matches!(subscription.reader(), Some(reader) if !reader.pushes())
}

fn copy_of(message: &Message<'_>) -> Result<NextVec> {
    let cause = match message.to_vec() {
        Ok(bytes) => return Ok(NextVec::Message(bytes)),
        Err(Error::Lapped) => GapCause::Lapped,
        Err(Error::Evicted(_)) => GapCause::Evicted,
        Err(error) => return Err(error),
    };
    Ok(NextVec::Gap(Gap {
        cause,
        bytes: message_size(message.len()).unwrap_or_default(), // it lay in the ring
        at_least: false,
    }))
}

// Whatever the futures hold may move between threads.
const _: () = {
    fn is_send<T: Send>(_: T) {}
    #[allow(dead_code)]
    fn futures_are_send(subscription: &mut AsyncSubscription) {
        is_send(subscription.next_vec());
    }
};
