// SPDX-License-Identifier: MIT
//! A descriptor in the loop, and what is tried when it rings.

use crate::error::{Error, Result};
use std::future::Future;
use std::os::unix::io::{AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// So many tries in a row, as from tokio's own sources.
const TURN: u8 = 128;

#[derive(Debug)]
pub(super) struct Events {
    fd: AsyncFd<EventFd>,
    tries: u8, // since other tasks had their turn
}

// Of another one, which outlives it.
#[derive(Debug)]
struct EventFd(RawFd);

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Events {
    /// The descriptor stays open for as long as this lives.
    pub(super) fn new(fd: BorrowedFd<'_>) -> Result<Self> {
        let event_fd = EventFd(fd.as_raw_fd());
        Ok(Self {
            fd: AsyncFd::with_interest(event_fd, Interest::READABLE)?,
            tries: 0,
        })
    }

    /// Tries until it gives anything but [`Error::Again`] or [`Error::Lapped`]. Where it always does,
    /// other tasks run now and then all the same.
    pub(super) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut() -> Result<R>,
    ) -> Poll<Result<R>> {
        self.tries += 1;
        if self.tries == TURN {
            self.tries = 0;
            return come_back(context);
        }
        let mut attempted = attempt(); // the descriptor may have told of it before
        while let Err(Error::Again) = attempted {
            // First the readiness, then the look: what comes after the look makes it ready anew.
            let mut ready = match self.fd.poll_read_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Poll::Pending,
            };
            attempted = attempt();
            if let Err(Error::Again) = attempted {
                ready.clear_ready();
            }
        }
        match attempted {
            Err(Error::Lapped) => come_back(context), // an observer, in between
            attempted => Poll::Ready(attempted),
        }
    }
}

fn come_back<T>(context: &mut Context<'_>) -> Poll<T> {
    context.waker().wake_by_ref();
    Poll::Pending
}

/// A future of what is polled: the standard library has one from Rust 1.64 on.
pub(super) struct PollFn<F>(pub(super) F);

impl<T, F: FnMut(&mut Context<'_>) -> Poll<T> + Unpin> Future for PollFn<F> {
    type Output = T;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        (self.0)(context)
    }
}
