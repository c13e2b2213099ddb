// SPDX-License-Identifier: MIT
//! Who connects to a name without the crate, and says what it likes.

use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};

pub fn packet_socket_to(name: &str) -> OwnedFd {
    packet_socket(name, libc::connect)
}

pub fn listening_at(name: &str) -> OwnedFd {
    let socket = packet_socket(name, libc::bind);
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::listen(socket.as_raw_fd(), 5) }, 0);
    socket
}

type Use = unsafe extern "C" fn(libc::c_int, *const libc::sockaddr, libc::socklen_t) -> libc::c_int;

fn packet_socket(name: &str, what: Use) -> OwnedFd {
    // SAFETY: numbers, and an address of that size.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        let socket = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in address.sun_path.iter_mut().zip(name.bytes()).skip(1) {
            *to = from as libc::c_char;
        }
        let size = (2 + name.len()) as libc::socklen_t;
        let address = (&address as *const libc::sockaddr_un).cast();
        assert_eq!(what(socket.as_raw_fd(), address, size), 0);
        socket
    }
}

pub fn say(socket: &OwnedFd, packet: &[u8]) {
    // SAFETY: so many bytes.
    let sent = unsafe { libc::send(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0) };
    assert_eq!(sent, packet.len() as isize);
}

pub fn answer(socket: &OwnedFd) -> Vec<u8> {
    let mut packet = vec![0; 16];
    // SAFETY: room for so many bytes.
    let size = unsafe {
        let into = packet.as_mut_ptr().cast();
        libc::recv(socket.as_raw_fd(), into, packet.len(), libc::MSG_DONTWAIT)
    };
    packet.truncate(usize::try_from(size).expect("no answer"));
    packet
}

pub fn hello(version: u8, mode: u8, start: u8) -> [u8; 32] {
    let mut hello = [0; 32];
    hello[..6].copy_from_slice(&[b'z', b'b', b'q', version, mode, start]);
    hello
}

/// Of one who publishes.
pub fn call(mode: u8, name: &str) -> [u8; 32] {
    let mut call = hello(2, mode, 0);
    call[6] = 1;
    call[8..8 + name.len()].copy_from_slice(name.as_bytes());
    call
}

pub fn hung_up(socket: &OwnedFd) -> bool {
    let mut polled = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: one of them.
    unsafe { libc::poll(&mut polled, 1, 0) == 1 }
}
