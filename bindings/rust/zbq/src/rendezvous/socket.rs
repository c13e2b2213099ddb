// SPDX-License-Identifier: MIT
//! The system calls that the standard library has no name for: sockets of packets.

use super::place::Place;
use std::ffi::CString;
use std::io;
use std::mem::{size_of, size_of_val};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// The number of a call that did not fail.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

pub(super) fn new() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: a new descriptor is owned by nobody yet.
    unsafe {
        Ok(OwnedFd::from_raw_fd(check(libc::socket(
            libc::AF_UNIX,
            kind,
            0,
        ))?))
    }
}

pub(super) fn connect(socket: &OwnedFd, place: &Place) -> io::Result<()> {
    let (address, size) = place.address();
    // SAFETY: an address of that size.
    check(unsafe { libc::connect(socket.as_raw_fd(), address, size) }).map(drop)
}

pub(super) fn bind(socket: &OwnedFd, place: &Place) -> io::Result<()> {
    let (address, size) = place.address();
    // SAFETY: an address of that size.
    check(unsafe { libc::bind(socket.as_raw_fd(), address, size) }).map(drop)
}

pub(super) fn listen(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: numbers.
    check(unsafe { libc::listen(socket.as_raw_fd(), libc::SOMAXCONN) }).map(drop)
}

pub(super) fn accept(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no address is wanted; a new descriptor is owned by nobody yet.
    unsafe {
        let none = std::ptr::null_mut();
        let fd = libc::accept4(socket.as_raw_fd(), none, none.cast(), flags);
        Ok(OwnedFd::from_raw_fd(check(fd)?))
    }
}

/// One packet, whole or not at all. Never waits.
pub(super) fn send(socket: impl AsFd, packet: &[u8]) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: so many bytes are there.
    match unsafe { libc::send(fd, packet.as_ptr().cast(), packet.len(), flags) } {
        sent if sent < 0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The size of the next packet, which may be more than there is room for; 0 at the end. Never
/// waits.
pub(super) fn receive(socket: impl AsFd, packet: &mut [u8]) -> io::Result<usize> {
    receive_with(socket, packet, libc::MSG_TRUNC)
}

/// The first bytes of the next packet, which stays; how many those are. Never waits.
pub(super) fn peek(socket: impl AsFd, packet: &mut [u8]) -> io::Result<usize> {
    receive_with(socket, packet, libc::MSG_PEEK)
}

fn receive_with(socket: impl AsFd, packet: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: room for so many bytes.
    let size = unsafe { libc::recv(fd, packet.as_mut_ptr().cast(), packet.len(), flags) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}

/// Of whoever made the other end: for listen, or connect. Pid 0 when the kernel does not tell, or
/// this process's pid namespace does not have it.
pub(super) fn peer_of(socket: &OwnedFd) -> libc::ucred {
    let mut peer = libc::ucred {
        pid: 0,
        uid: libc::uid_t::MAX,
        gid: libc::gid_t::MAX,
    };
    let mut size = size_of_val(&peer) as libc::socklen_t;
    let out = (&mut peer as *mut libc::ucred).cast();
    // SAFETY: a place of that size.
    unsafe {
        let fd = socket.as_raw_fd();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, out, &mut size);
    }
    peer
}

/// The supplementary groups of whoever connected; none when the kernel does not tell.
pub(super) fn peer_groups(socket: &OwnedFd) -> Vec<libc::gid_t> {
    const SO_PEERGROUPS: libc::c_int = 59; // include/uapi/asm-generic/socket.h
    let mut groups: Vec<libc::gid_t> = vec![0; 1 << 16]; // the most that a process can have
    let mut size = (groups.len() * size_of::<libc::gid_t>()) as libc::socklen_t;
    // SAFETY: a place of that size.
    let got = unsafe {
        let (fd, out) = (socket.as_raw_fd(), groups.as_mut_ptr().cast());
        libc::getsockopt(fd, libc::SOL_SOCKET, SO_PEERGROUPS, out, &mut size)
    };
    let count = if got == 0 {
        size as usize / size_of::<libc::gid_t>()
    } else {
        0
    };
    groups.truncate(count);
    groups
}

pub(super) fn int_option(socket: &OwnedFd, option: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = size_of_val(&value) as libc::socklen_t;
    let out = (&mut value as *mut libc::c_int).cast();
    let fd = socket.as_raw_fd();
    // SAFETY: a place of that size.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, out, &mut size) };
    check(got).map(|_| value)
}

/// Whether descriptors can be received. A stranger's are not, where the kernel (6.16) can refuse
/// them. Connections inherit it.
pub(super) fn let_descriptors_in(socket: &OwnedFd, are_let_in: bool) {
    const SO_PASSRIGHTS: libc::c_int = 83; // include/uapi/asm-generic/socket.h
    let value = libc::c_int::from(are_let_in);
    let size = size_of_val(&value) as libc::socklen_t;
    let first = (&value as *const libc::c_int).cast();
    let fd = socket.as_raw_fd();
    // SAFETY: a value of that size.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, SO_PASSRIGHTS, first, size) };
}

/// Before it is bound: its file gets this mode, less the umask.
pub(super) fn set_mode(socket: &OwnedFd, mode: libc::mode_t) {
    // SAFETY: numbers.
    unsafe { libc::fchmod(socket.as_raw_fd(), mode) };
}

pub(super) fn set_nonblocking(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: numbers.
    check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).map(drop)
}

pub(super) fn set_close_on_exec(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: numbers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Where nothing has that name yet.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let from = CString::new(from.as_os_str().as_bytes())?;
    let to = CString::new(to.as_os_str().as_bytes())?;
    // SAFETY: two texts that end with a zero.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    check(result as libc::c_int).map(drop)
}

/// Whether a call that never waits is to be tried again.
pub(super) fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Whether this process has the lock now.
pub(super) fn try_lock(file: &std::fs::File) -> io::Result<bool> {
    // SAFETY: numbers.
    match check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// This process's effective user.
pub(super) fn user() -> u32 {
    // SAFETY: it cannot fail.
    unsafe { libc::geteuid() }
}
