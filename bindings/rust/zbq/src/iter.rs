// SPDX-License-Identifier: MIT
//! A stream as iterators.

use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::message::Message;
use std::iter::{self, FusedIterator};

/// All messages to the end of the stream: see [`Consumer::iter`].
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Iter<'c> {
    consumer: &'c Consumer,
    done: bool,
}

impl<'c> Iter<'c> {
    pub(crate) fn new(consumer: &'c Consumer) -> Self {
        Self {
            consumer,
            done: false,
        }
    }
}

impl<'c> Iterator for Iter<'c> {
    type Item = Result<Message<'c>>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.consumer.next(None);
        self.done = next.is_err();
        match next {
            Err(Error::Closed) => None,
            next => Some(next),
        }
    }
}

impl FusedIterator for Iter<'_> {}

/// The messages that are there: see [`Consumer::try_iter`].
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct TryIter<'c> {
    consumer: &'c Consumer,
    done: bool,
}

impl<'c> TryIter<'c> {
    pub(crate) fn new(consumer: &'c Consumer) -> Self {
        Self {
            consumer,
            done: false,
        }
    }
}

impl<'c> Iterator for TryIter<'c> {
    type Item = Result<Message<'c>>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.consumer.try_next();
        self.done = next.is_err();
        match next {
            Err(Error::Again | Error::Closed) => None,
            next => Some(next),
        }
    }
}

impl FusedIterator for TryIter<'_> {}

/// What `next` makes of the messages, to the end of the stream. One of which it makes nothing
/// ([`Error::Protocol`]) does not end that, unless the stream itself is malformed.
pub(crate) fn values<'c, T: 'c>(
    consumer: &'c Consumer,
    next: impl Fn() -> Result<T> + 'c,
) -> impl Iterator<Item = Result<T>> + 'c {
    let mut done = false;
    iter::from_fn(move || {
        if done {
            return None;
        }
        let next = next();
        let is_of_message = matches!(next, Err(Error::Protocol))
            && !matches!(consumer.ending(), Some(Error::Protocol));
        done = next.is_err() && !is_of_message;
        match next {
            Err(Error::Closed) => None,
            next => Some(next),
        }
    })
}
