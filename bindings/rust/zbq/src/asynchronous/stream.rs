// SPDX-License-Identifier: MIT
//! Both as streams of copies: a message in place cannot leave who lends it.

use super::consumer::AsyncConsumer;
use super::subscription::{AsyncSubscription, NextVec};
use crate::error::{Error, Result};
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// As [`next_vec`](AsyncConsumer::next_vec), to the end of the stream or the first error: with the
/// feature `stream`.
///
/// ```
/// # use std::{future::Future, os::unix::net::UnixStream, pin::Pin, task::{Context, Poll}};
/// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// # producer.admit(&near, zbq::Wakeup::Push)?;
/// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// # struct Next<'s, S>(&'s mut S);
/// # impl<S: Stream + Unpin> Future for Next<'_, S> {
/// #     type Output = Option<S::Item>;
/// #     fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
/// #         Pin::new(&mut *self.0).poll_next(context)
/// #     }
/// # }
/// # trait StreamExt: Stream + Unpin + Sized {
/// #     fn next(&mut self) -> Next<'_, Self> { Next(self) }
/// # }
/// # impl<S: Stream + Unpin> StreamExt for S {}
/// use futures_core::Stream;
/// async fn concat(mut stream: impl Stream<Item = zbq::Result<Vec<u8>>> + Unpin) -> zbq::Result<Vec<u8>> {
///     let mut all = Vec::new();
///     while let Some(bytes) = stream.next().await { // StreamExt's
///         all.extend_from_slice(&bytes?);
///     }
///     Ok(all)
/// }
/// # producer.try_publish(b"one")?;
/// # producer.try_publish(b"two")?;
/// # drop(producer);
/// # let all = runtime.block_on(async {
/// let all = concat(zbq::AsyncConsumer::new(consumer)?).await?;
/// # Ok::<_, zbq::Error>(all)
/// # })?;
/// # assert_eq!(all, b"onetwo");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Stream for AsyncConsumer {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.has_ended {
            return Poll::Ready(None);
        }
        this.poll_next_vec(context).map(|next| {
            this.has_ended = next.is_err();
            match next {
                Err(Error::Closed) => None,
                next => Some(next),
            }
        })
    }
}

/// As [`next_vec`](AsyncSubscription::next_vec). It has no end: after an error it can be tried again.
/// With the feature `stream`.
impl Stream for AsyncSubscription {
    type Item = Result<NextVec>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_vec(context).map(Some)
    }
}
