// SPDX-License-Identifier: MIT
//! Messages that are taken one after the other, and let go as one piece of the stream.

use crate::consumer::{Consumer, Found};
use crate::error::{Error, Result};
use crate::header::Header;
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;

/// What one look finds, but no more than a sixteenth of the ring (and one message at least).
pub(crate) struct Piece<'c> {
    consumer: &'c Consumer,
    most: usize,
    visited: Cell<usize>,
    begin: Cell<u64>,
    end: Cell<u64>,    // of what was taken; `begin`: nothing was
    stop: Cell<u64>,   // it takes no message that starts here or further on
    seq_id: Cell<u64>, // of the last record of descriptors, 0: none
    ended: Cell<bool>,
    error: Cell<Option<Error>>,
}

/// Of a message that is there: its header, its payload, and where it starts.
#[derive(Clone, Copy)]
pub(crate) struct Visited {
    pub(crate) header: Header,
    pub(crate) at: NonNull<u8>,
    pub(crate) len: u64,
    pub(crate) offset: u64,
}

impl Visited {
    #[inline]
    pub(crate) fn of(found: &Found) -> Self {
        Self {
            header: found.header,
            // SAFETY: in the ring.
            at: unsafe { NonNull::new_unchecked(found.view.payload as *mut u8) },
            len: found.view.payload_len,
            offset: found.view.logical_offset,
        }
    }
}

impl<'c> Piece<'c> {
    #[inline]
    pub(crate) fn new(consumer: &'c Consumer, most: usize) -> Self {
        consumer.skip();
        Self {
            consumer,
            most,
            visited: Cell::new(0),
            begin: Cell::new(0),
            end: Cell::new(0),
            stop: Cell::new(0),
            seq_id: Cell::new(0),
            ended: Cell::new(false),
            error: Cell::new(None),
        }
    }

    /// The next one's payload, whose room is held until the piece goes.
    #[inline]
    pub(crate) fn next(&self) -> Option<Visited> {
        if self.is_done() {
            return None;
        }
        match self.consumer.try_take() {
            Some(found) => Some(self.visit(&found)),
            None => self.next_by_call(),
        }
    }

    #[cold]
    fn next_by_call(&self) -> Option<Visited> {
        match self.consumer.take_by_call() {
            Ok(found) => Some(self.visit(&found)),
            Err(why) => {
                self.ended.set(true);
                let is_for_now = matches!(why, Error::Again | Error::Lapped);
                if !is_for_now || self.visited.get() == 0 {
                    self.error.set(Some(why));
                }
                None
            }
        }
    }

    /// The last one does not count: it is why there is no more.
    #[cold]
    pub(crate) fn refuse_last(&self, why: Error) {
        self.visited.set(self.visited.get() - 1);
        self.ended.set(true);
        self.error.set(Some(why));
    }

    pub(crate) fn visited(&self) -> usize {
        self.visited.get()
    }

    #[inline]
    pub(crate) fn consumer(&self) -> &'c Consumer {
        self.consumer
    }

    /// Asked after reading, for all that was visited.
    #[inline]
    pub(crate) fn is_intact(&self) -> bool {
        if self.visited.get() == 0 {
            self.consumer.has_slot()
        } else {
            self.consumer.is_valid_from(self.begin.get())
        }
    }

    /// All that was taken.
    pub(crate) fn count_as_lost(&self) {
        let bytes = self.end.get() - self.begin.get();
        self.consumer.count_as_lost(bytes);
    }

    /// Whether all that was read was whole, and why it ended, unless it gave what was there, or as
    /// many as it may.
    pub(crate) fn take_error(&self) -> Option<Error> {
        if self.is_intact() {
            self.error.take()
        } else {
            Some(self.consumer.torn())
        }
    }

    /// The same, or how many were visited.
    #[inline]
    pub(crate) fn finish(&self) -> Result<usize> {
        match self.take_error() {
            Some(error) => Err(error),
            None => Ok(self.visited()),
        }
    }

    // It is one piece: where another call took a message meanwhile, who may hold it, it ends.
    #[inline]
    fn is_done(&self) -> bool {
        let visited = self.visited.get();
        let end = self.end.get();
        self.ended.get()
            || visited == self.most
            || visited != 0 && (end >= self.stop.get() || end != self.consumer.cursor())
    }

    #[inline]
    fn visit(&self, found: &Found) -> Visited {
        if self.visited.get() == 0 {
            self.consumer.hold();
            let begin = found.view.logical_offset;
            // What one look found: each look at the head takes its cache line from the producer.
            let most = begin + self.consumer.capacity() / 16;
            self.begin.set(begin);
            self.stop.set(most.min(self.consumer.known_head()));
        }
        self.end.set(self.consumer.cursor());
        self.visited.set(self.visited.get() + 1);
        let record = found.header.record();
        if record != 0 {
            self.seq_id.set(record);
        }
        Visited::of(found)
    }
}

impl Drop for Piece<'_> {
    #[inline]
    fn drop(&mut self) {
        let (begin, end) = (self.begin.get(), self.end.get());
        if begin == end || !self.consumer.is_here() {
            return;
        }
        if self.seq_id.get() != 0 {
            self.consumer.let_go_of_fds(self.seq_id.get(), begin);
        }
        self.consumer.let_go(begin, end);
    }
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece")
            .field("begin", &self.begin.get())
            .field("end", &self.end.get())
            .field("visited", &self.visited.get())
            .finish_non_exhaustive()
    }
}
