// SPDX-License-Identifier: MIT
//! What a consumer holds of the ring, and what it has let go.

use std::cell::Cell;

/// The tail passes only what nobody holds any more.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    published: Cell<u64>,
    held: Cell<usize>,
    // Of what was let go, the highest end.
    released_to: Cell<u64>,
    // One piece that was let go, but not what lies before it. Up to the tail: there is none.
    waiting_begin: Cell<u64>,
    waiting_end: Cell<u64>,
}

impl Tail {
    pub(crate) fn new(at: u64) -> Self {
        Self {
            published: Cell::new(at),
            released_to: Cell::new(at),
            ..Self::default()
        }
    }

    #[inline]
    pub(crate) fn published(&self) -> u64 {
        self.published.get()
    }

    /// Where an observer goes on that was lapped or has skipped something. What it still holds comes
    /// before that, and is let go first.
    pub(crate) fn go_on_at(&self, offset: u64) {
        if self.held.get() == 0 {
            self.published.set(offset);
            self.released_to.set(offset);
        }
    }

    /// Whether anything is held.
    #[inline]
    pub(crate) fn holds(&self) -> bool {
        self.held.get() != 0
    }

    #[inline]
    pub(crate) fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    /// Lets go of `[begin, end)`: the new tail, where that moves it. What is let go before
    /// something older waits for that, as far as it is one piece; the rest for all to be let go.
    #[inline]
    pub(crate) fn let_go(&self, begin: u64, end: u64) -> Option<u64> {
        self.released_to.set(self.released_to.get().max(end));
        self.held.set(self.held.get() - 1);
        if self.held.get() == 0 {
            return self.move_to(self.released_to.get());
        }
        if begin == self.published.get() {
            let waited = end == self.waiting_begin.get();
            return self.move_to(if waited { self.waiting_end.get() } else { end });
        }
        if begin == self.waiting_end.get() {
            self.waiting_end.set(end);
        } else if self.waiting_begin.get() <= self.published.get() {
            self.waiting_begin.set(begin);
            self.waiting_end.set(end);
        }
        None
    }

    #[inline]
    fn move_to(&self, tail: u64) -> Option<u64> {
        let moved = tail != self.published.replace(tail);
        moved.then_some(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(count: u64) -> Tail {
        let tail = Tail::new(0);
        (0..count).for_each(|_| tail.hold());
        tail
    }

    // Message i lies at [16 i, 16 i + 16).
    fn let_go(tail: &Tail, message: u64) -> Option<u64> {
        tail.let_go(16 * message, 16 * message + 16)
    }

    #[test]
    fn in_order_each_moves_the_tail() {
        let tail = holding(3);
        assert_eq!(let_go(&tail, 0), Some(16));
        assert_eq!(let_go(&tail, 1), Some(32));
        assert_eq!(let_go(&tail, 2), Some(48));
    }

    #[test]
    fn the_oldest_held_stops_the_tail() {
        let tail = holding(4);
        assert_eq!(let_go(&tail, 1), None);
        assert_eq!(let_go(&tail, 2), None);
        assert_eq!(let_go(&tail, 0), Some(48));
        assert_eq!(let_go(&tail, 3), Some(64));
    }

    #[test]
    fn goes_on_elsewhere_once_nothing_is_held() {
        let tail = holding(1);
        tail.go_on_at(320); // not yet
        assert_eq!(tail.published(), 0);
        assert_eq!(let_go(&tail, 0), Some(16));
        tail.go_on_at(320);
        assert_eq!(tail.published(), 320);
        tail.hold();
        tail.hold();
        assert_eq!(let_go(&tail, 20), Some(336));
        assert_eq!(let_go(&tail, 21), Some(352));
    }

    // In every order, with a reference that knows all that is held: the tail never passes what is
    // held, never falls, and is at the end when nothing is held.
    #[test]
    fn never_passes_what_is_held() {
        let mut order = [0, 1, 2, 3, 4, 5];
        each_order(&mut order, 0, &mut |order| {
            let tail = holding(6);
            let mut held: Vec<u64> = (0..6).collect();
            let mut last = 0;
            for &message in order {
                held.retain(|other| *other != message);
                if let Some(moved) = let_go(&tail, message) {
                    assert!(moved > last);
                    assert!(held.iter().all(|other| moved <= 16 * other));
                    last = moved;
                }
            }
            assert_eq!(last, 96);
        });
    }

    fn each_order(items: &mut [u64], from: usize, then: &mut dyn FnMut(&[u64])) {
        if from == items.len() {
            return then(items);
        }
        for other in from..items.len() {
            items.swap(from, other);
            each_order(items, from + 1, then);
            items.swap(from, other);
        }
    }
}
