// SPDX-License-Identifier: MIT
//! Time-outs.

use std::time::{Duration, Instant};

/// When a call that waits gives up.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// `None`: never. So is a time too long for the clock.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|time| Instant::now().checked_add(time)))
    }

    /// What is left, but `most` at most; `None` when nothing is.
    pub(crate) fn left(self, most: Duration) -> Option<Duration> {
        match self.0 {
            None => Some(most),
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                (!left.is_zero()).then(|| left.min(most))
            }
        }
    }

    /// The same, as a time-out.
    pub(crate) fn timeout(self) -> Option<Duration> {
        self.0
            .map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// One poll, at most.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// One sleep, at most: as the library's own.
pub(crate) const SLICE: Duration = Duration::from_nanos(zbq_sys::ZBQ_WAIT_SLICE_NS);
