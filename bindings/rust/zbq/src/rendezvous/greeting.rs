// SPDX-License-Identifier: MIT
//! What two processes say to each other before the join: one packet each.

use super::socket;
use crate::options::{mode_of, split_mode, Start, Wakeup};
use std::convert::TryInto;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::AsFd;

const VERSION: u8 = 2;

/// From who listens: `z` `b` `q`, version, answer, zeros.
type Welcome = [u8; 8];

pub(super) const WELCOME: u8 = 0;
pub(super) const FULL: u8 = 1;
pub(super) const REFUSED: u8 = 2;
pub(super) const NO_SUCH_START: u8 = 3;
/// Who listens there is no producer, or no collector.
pub(super) const OTHER_SIDE: u8 = 4;

fn welcome(answer: u8) -> Welcome {
    [b'z', b'b', b'q', VERSION, answer, 0, 0, 0]
}

/// From who connects: `z` `b` `q`, version, mode, where to start, who it is of, zero; then of who
/// reads an offset and a ring's id, of who publishes its name.
type Packet = [u8; 32];

/// Of who publishes.
const PUBLISHES: u8 = 1;
/// Of who asks for the statistics alone: nothing else is said then.
const INQUIRY: Packet = {
    let mut packet = [0; 32];
    packet[0] = b'z';
    packet[1] = b'b';
    packet[2] = b'q';
    packet[3] = VERSION;
    packet[6] = 2;
    packet
};

/// Where the name begins.
const NAME: usize = 8;

/// What a hello asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hello {
    Wish(Wish),
    Call(Call),
    Inquiry,
}

impl Hello {
    fn to_packet(&self) -> Packet {
        match self {
            Self::Wish(wish) => wish.to_packet(),
            Self::Call(call) => call.to_packet(),
            Self::Inquiry => INQUIRY,
        }
    }

    // `None`: it is none.
    fn from_packet(packet: &Packet) -> Option<Self> {
        if packet[6] == PUBLISHES {
            Call::from_packet(packet).map(Self::Call)
        } else if *packet == INQUIRY {
            Some(Self::Inquiry)
        } else {
            Wish::from_packet(packet).map(Self::Wish)
        }
    }
}

/// Of one who reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) wakeup: Wakeup,
    pub(super) observes: bool,
    pub(super) from: Start,
}

impl Wish {
    fn to_packet(self) -> Packet {
        let mode = mode_of(self.wakeup, self.observes) as u8;
        let start = self.from.to_raw();
        let mut packet = [0; 32];
        packet[..8].copy_from_slice(&[b'z', b'b', b'q', VERSION, mode, start.at as u8, 0, 0]);
        packet[8..16].copy_from_slice(&start.offset.to_ne_bytes());
        packet[16..].copy_from_slice(&start.ring_id);
        packet
    }

    // Of an offset and an id that are not asked for any will do.
    fn from_packet(packet: &Packet) -> Option<Self> {
        let (wakeup, observes) = split_mode(packet[4].into())?;
        let offset = u64::from_ne_bytes(packet[8..16].try_into().ok()?);
        let from = Start::from_raw(packet[5], offset, packet[16..].try_into().ok()?)?;
        let wish = Self {
            wakeup,
            observes,
            from,
        };
        (packet[..8] == wish.to_packet()[..8]).then_some(wish)
    }
}

/// Of one who publishes. Whoever hears it need not believe its name, nor print it as it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Whether the collector is not to hold it back.
    pub(super) observed: bool,
    pub(super) name: OsString,
}

impl Call {
    // The name ends with its first zero, or where it is too long.
    fn to_packet(&self) -> Packet {
        let mode = mode_of(Wakeup::Push, self.observed) as u8;
        let mut packet = [0; 32];
        packet[..NAME].copy_from_slice(&[b'z', b'b', b'q', VERSION, mode, 0, PUBLISHES, 0]);
        let name = self.name.as_bytes().iter().take_while(|byte| **byte != 0);
        for (to, from) in packet[NAME..].iter_mut().zip(name) {
            *to = *from;
        }
        packet
    }

    fn from_packet(packet: &Packet) -> Option<Self> {
        let (_, observed) = split_mode(packet[4].into())?;
        let name = packet[NAME..].split(|byte| *byte == 0).next()?;
        let name = OsStr::from_bytes(name).to_owned();
        let call = Self { observed, name };
        (*packet == call.to_packet()).then_some(call)
    }
}

pub(super) enum Received<T> {
    Said(T),
    /// Something that is no greeting.
    Nonsense,
    /// The other side has gone.
    End,
}

pub(super) fn send_hello(socket: impl AsFd, hello: &Hello) -> io::Result<()> {
    socket::send(socket, &hello.to_packet())
}

pub(super) fn send_answer(socket: impl AsFd, answer: u8) -> io::Result<()> {
    socket::send(socket, &welcome(answer))
}

pub(super) fn receive_hello(socket: impl AsFd) -> io::Result<Received<Hello>> {
    receive(socket, [0; 32], Hello::from_packet)
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
                let packet = wish.to_packet();
                assert_eq!(packet[..8], [b'z', b'b', b'q', 2, mode, i as u8, 0, 0]);
                assert_eq!(Hello::from_packet(&packet), Some(Hello::Wish(wish)));
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
        for (at, value) in [(0, b'Z'), (3, 1), (3, 3), (4, 4), (5, 4), (6, 2), (7, 1)] {
            let mut packet = wish.to_packet();
            packet[at] = value;
            assert_eq!(Hello::from_packet(&packet), None, "{at}");
        }
        // What is not asked for may be anything.
        let mut packet = wish.to_packet();
        packet[5] = 1;
        packet[31] = 1;
        let oldest = Wish {
            from: Start::Oldest,
            ..wish
        };
        assert_eq!(Hello::from_packet(&packet), Some(Hello::Wish(oldest)));
    }

    #[test]
    fn an_inquiry_says_nothing_else() {
        let packet = Hello::Inquiry.to_packet();
        assert_eq!(packet[..8], [b'z', b'b', b'q', 2, 0, 0, 2, 0]);
        assert_eq!(packet[8..], [0; 24]);
        assert_eq!(Hello::from_packet(&packet), Some(Hello::Inquiry));
        for at in 0..packet.len() {
            let mut other = packet;
            other[at] ^= 4;
            assert_eq!(Hello::from_packet(&other), None, "{at}");
        }
    }

    fn call(name: &str, observed: bool) -> Call {
        let name = name.into();
        Call { observed, name }
    }

    #[test]
    fn a_call_says_who_it_is() {
        for (mode, observed) in [(0, false), (2, true)] {
            let packet = call("camera", observed).to_packet();
            assert_eq!(packet[..8], [b'z', b'b', b'q', 2, mode, 0, 1, 0]);
            assert_eq!(&packet[8..], b"camera\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
            let heard = Hello::from_packet(&packet);
            assert_eq!(heard, Some(Hello::Call(call("camera", observed))));
        }
        for (name, told) in [
            ("", ""),
            ("twenty-four bytes it has.", "twenty-four bytes it has"),
            ("a\0b", "a"),
        ] {
            let heard = Hello::from_packet(&call(name, false).to_packet());
            assert_eq!(heard, Some(Hello::Call(call(told, false))));
        }
    }

    #[test]
    fn a_call_that_is_none_is_told() {
        for (at, value) in [
            (0, b'Z'),
            (3, 1),
            (4, 1), // it cannot be polled
            (4, 3),
            (4, 4),
            (5, 1),
            (6, 2),
            (7, 1),
            (11, b'x'), // a name has no zero within
            (31, b'x'),
        ] {
            let mut packet = call("ab", false).to_packet();
            packet[at] = value;
            assert_eq!(Hello::from_packet(&packet), None, "{at}");
        }
    }
}
