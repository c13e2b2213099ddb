// SPDX-License-Identifier: MIT
//! What two processes say to each other before the join: one packet each.

use super::socket;
use std::io;
use std::os::unix::io::AsFd;

/// `z` `b` `q`, version, code, zeros. A hello's code is the mode, that of a welcome the answer.
type Greeting = [u8; 8];

pub(super) const WELCOME: u8 = 0;
pub(super) const FULL: u8 = 1;
pub(super) const REFUSED: u8 = 2;

fn of(code: u8) -> Greeting {
    [b'z', b'b', b'q', 1, code, 0, 0, 0]
}

pub(super) fn send(socket: impl AsFd, code: u8) -> io::Result<()> {
    socket::send(socket, &of(code))
}

pub(super) enum Received {
    Code(u8),
    /// Something that is no greeting.
    Nonsense,
    /// The other side has gone.
    End,
}

pub(super) fn receive(socket: impl AsFd) -> io::Result<Received> {
    let mut packet = Greeting::default();
    Ok(match socket::receive(socket, &mut packet)? {
        0 => Received::End,
        size if size == packet.len() && packet == of(packet[4]) => Received::Code(packet[4]),
        _ => Received::Nonsense,
    })
}
