// SPDX-License-Identifier: MIT
//! Being told of files that come into a directory: inotify(7).

use super::socket::check;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Becomes readable when one comes.
#[derive(Debug)]
pub(super) struct Arrivals(OwnedFd);

impl Arrivals {
    pub(super) fn new() -> io::Result<Self> {
        let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
        // SAFETY: a new descriptor is owned by nobody yet.
        unsafe {
            let fd = check(libc::inotify_init1(flags))?;
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Once more changes nothing.
    pub(super) fn watch(&self, directory: &Path) -> io::Result<()> {
        let path = CString::new(directory.as_os_str().as_bytes())?;
        let comes = libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_ONLYDIR;
        // SAFETY: a text that ends with a zero.
        let watch = unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), comes) };
        check(watch).map(drop)
    }

    /// What was told is not told again.
    pub(super) fn clear(&self) {
        let mut events = [0_u8; 4096];
        let (fd, into) = (self.0.as_raw_fd(), events.as_mut_ptr().cast());
        // SAFETY: room for so many bytes, of which nothing is made.
        while unsafe { libc::read(fd, into, events.len()) } > 0 {}
    }
}

impl AsFd for Arrivals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn tells_of_a_file_once() {
        let path = std::env::temp_dir().join(format!("zbq-arrivals-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let arrivals = Arrivals::new().unwrap();
        let is_told = || poll::readable(arrivals.as_fd(), Duration::ZERO).unwrap();
        arrivals.watch(&path).unwrap();
        arrivals.watch(&path).unwrap();
        assert!(!is_told());
        fs::write(path.join("one"), "").unwrap();
        assert!(is_told());
        arrivals.clear();
        assert!(!is_told());
        fs::rename(path.join("one"), path.join("other")).unwrap();
        assert!(is_told());
        assert!(arrivals.watch(&path.join("other")).is_err()); // no directory
        fs::remove_dir_all(path).unwrap();
    }
}
