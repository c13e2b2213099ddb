// SPDX-License-Identifier: MIT
//! What two processes say to each other before the join: one packet each.

use super::socket;
use crate::options::{mode_of, split_mode, Start, Wakeup};
use std::convert::TryInto;
use std::io;
use std::os::unix::io::AsFd;

const VERSION: u8 = 2;

/// From the listener: `z` `b` `q`, version, answer, zeros.
type Welcome = [u8; 8];

pub(super) const WELCOME: u8 = 0;
pub(super) const FULL: u8 = 1;
pub(super) const REFUSED: u8 = 2;
pub(super) const NO_SUCH_START: u8 = 3;

fn welcome(answer: u8) -> Welcome {
    [b'z', b'b', b'q', VERSION, answer, 0, 0, 0]
}

/// From who connects: `z` `b` `q`, version, mode, where to start, zeros; an offset; a ring's id.
type Hello = [u8; 32];

/// What a hello asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) wakeup: Wakeup,
    pub(super) observes: bool,
    pub(super) from: Start,
}

impl Wish {
    fn to_hello(self) -> Hello {
        let mode = mode_of(self.wakeup, self.observes) as u8;
        let start = self.from.to_raw();
        let mut hello = [0; 32];
        hello[..8].copy_from_slice(&[b'z', b'b', b'q', VERSION, mode, start.at as u8, 0, 0]);
        hello[8..16].copy_from_slice(&start.offset.to_ne_bytes());
        hello[16..].copy_from_slice(&start.ring_id);
        hello
    }

    // `None`: it is none. Of an offset and an id that are not asked for any will do.
    fn from_hello(hello: &Hello) -> Option<Self> {
        let (wakeup, observes) = split_mode(hello[4].into())?;
        let offset = u64::from_ne_bytes(hello[8..16].try_into().ok()?);
        let from = Start::from_raw(hello[5], offset, hello[16..].try_into().ok()?)?;
        let wish = Self {
            wakeup,
            observes,
            from,
        };
        (hello[..8] == wish.to_hello()[..8]).then_some(wish)
    }
}

pub(super) enum Received<T> {
    Said(T),
    /// Something that is no greeting.
    Nonsense,
    /// The other side has gone.
    End,
}

pub(super) fn send_hello(socket: impl AsFd, wish: Wish) -> io::Result<()> {
    socket::send(socket, &wish.to_hello())
}

pub(super) fn send_answer(socket: impl AsFd, answer: u8) -> io::Result<()> {
    socket::send(socket, &welcome(answer))
}

pub(super) fn receive_hello(socket: impl AsFd) -> io::Result<Received<Wish>> {
    receive(socket, [0; 32], Wish::from_hello)
}

pub(super) fn receive_answer(socket: impl AsFd) -> io::Result<Received<u8>> {
    receive(socket, [0; 8], |packet: &Welcome| {
        let answer = packet[4];
        (*packet == welcome(answer)).then_some(answer)
    })
}

fn receive<T, const N: usize>(
    socket: impl AsFd,
    mut packet: [u8; N],
    understand: impl FnOnce(&[u8; N]) -> Option<T>,
) -> io::Result<Received<T>> {
    Ok(match socket::receive(socket, &mut packet)? {
        0 => Received::End,
        size if size == N => understand(&packet).map_or(Received::Nonsense, Received::Said),
        _ => Received::Nonsense,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_says_all_that_is_wished() {
        let starts = [
            Start::Head,
            Start::Oldest,
            Start::Last(7),
            Start::At([9; 16], u64::MAX - 15),
        ];
        for (i, from) in starts.into_iter().enumerate() {
            for (mode, wakeup, observes) in [
                (0, Wakeup::Push, false),
                (1, Wakeup::Pull, false),
                (2, Wakeup::Push, true),
                (3, Wakeup::Pull, true),
            ] {
                let wish = Wish {
                    wakeup,
                    observes,
                    from,
                };
                let hello = wish.to_hello();
                assert_eq!(hello[..8], [b'z', b'b', b'q', 2, mode, i as u8, 0, 0]);
                assert_eq!(Wish::from_hello(&hello), Some(wish));
            }
        }
    }

    #[test]
    fn what_is_none_is_told() {
        let wish = Wish {
            wakeup: Wakeup::Push,
            observes: false,
            from: Start::Last(1),
        };
        for (at, value) in [(0, b'Z'), (3, 1), (3, 3), (4, 4), (5, 4), (6, 1), (7, 1)] {
            let mut hello = wish.to_hello();
            hello[at] = value;
            assert_eq!(Wish::from_hello(&hello), None, "{at}");
        }
        // What is not asked for may be anything.
        let mut hello = wish.to_hello();
        hello[5] = 1;
        hello[31] = 1;
        assert_eq!(Wish::from_hello(&hello).unwrap().from, Start::Oldest);
    }
}
