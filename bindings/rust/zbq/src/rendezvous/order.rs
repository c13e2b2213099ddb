// SPDX-License-Identifier: MIT
//! Messages of several sources, that wait for their turn by a key.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// That a source has a message, which stays in its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    key: u64,
    turn: u64, // of those with one key the first comes first
    since: Instant,
    /// The source.
    pub(super) number: u64,
    /// Where its message starts.
    pub(super) offset: u64,
}

#[derive(Debug, Default)]
pub(super) struct Order {
    held: BinaryHeap<Reverse<Held>>, // one of each source, at most
    last_turn: u64,
}

impl Order {
    pub(super) fn hold(&mut self, key: u64, number: u64, offset: u64) {
        self.last_turn += 1;
        self.held.push(Reverse(Held {
            key,
            turn: self.last_turn,
            since: Instant::now(),
            number,
            offset,
        }));
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn first_key(&self) -> Option<u64> {
        self.held.peek().map(|Reverse(first)| first.key)
    }

    pub(super) fn take_first(&mut self) -> Option<Held> {
        self.held.pop().map(|Reverse(first)| first)
    }

    /// The highest key of those that have waited for so long: with it all below are due.
    pub(super) fn due_key(&self, hold: Duration) -> Option<u64> {
        let is_due = |held: &&Reverse<Held>| held.0.since.elapsed() >= hold;
        self.held.iter().filter(is_due).map(|held| held.0.key).max()
    }

    /// When the next is due; `None`: none ever.
    pub(super) fn next_due(&self, hold: Duration) -> Option<Instant> {
        let due = |held: &Reverse<Held>| held.0.since.checked_add(hold);
        self.held.iter().filter_map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(mut order: Order) -> Vec<u64> {
        std::iter::from_fn(|| order.take_first())
            .map(|held| held.number)
            .collect()
    }

    #[test]
    fn the_lowest_key_is_first_and_the_oldest_of_equals() {
        let mut order = Order::default();
        for (key, number) in [(5, 1), (3, 2), (5, 3), (3, 4), (4, 5)] {
            order.hold(key, number, 0);
        }
        assert_eq!((order.len(), order.first_key()), (5, Some(3)));
        assert_eq!(numbers(order), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn what_has_waited_takes_all_below_with_it() {
        let mut order = Order::default();
        assert_eq!(order.due_key(Duration::ZERO), None);
        assert_eq!(order.next_due(Duration::ZERO), None);
        order.hold(7, 1, 0);
        order.hold(9, 2, 0);
        order.hold(8, 3, 0);
        assert_eq!(order.due_key(Duration::ZERO), Some(9));
        assert_eq!(order.due_key(Duration::MAX), None);
        let oldest = order.held.iter().map(|held| held.0.since).min();
        assert_eq!(order.next_due(Duration::ZERO), oldest);
        assert_eq!(order.next_due(Duration::MAX), None);
    }
}
