// SPDX-License-Identifier: MIT
//! What belongs to one process.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const MADV_WIPEONFORK: libc::c_int = 18; // include/uapi/asm-generic/mman-common.h

/// Tells the process that made it from a forked child, which has copies of all that its parent has,
/// and must leave alone what lies outside of both: names, and what open files share. A number
/// proves nothing, since a child in a pid namespace of its own can have its parent's; so this is a
/// page that the kernel gives to children as zeros (`MADV_WIPEONFORK`, Linux 4.14).
#[derive(Debug)]
pub(crate) struct Birthmark(NonNull<AtomicU32>);

// SAFETY: a page that any thread may read.
unsafe impl Send for Birthmark {}

impl Birthmark {
    pub(crate) fn new() -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, wherever there is room.
        let page = unsafe { libc::mmap(ptr::null_mut(), page_size(), protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mark = Self(NonNull::new(page).expect("an address").cast());
        // SAFETY: the page that was just mapped.
        if unsafe { libc::madvise(page, page_size(), MADV_WIPEONFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        mark.word().store(1, Relaxed);
        Ok(mark)
    }

    /// Whether this process made it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.word().load(Relaxed) != 0
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: mapped while this lives, aligned to a page, and zero at first.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Birthmark {
    fn drop(&mut self) {
        // SAFETY: the last use of the page.
        unsafe { libc::munmap(self.0.as_ptr().cast(), page_size()) };
    }
}

pub(crate) fn page_size() -> usize {
    // SAFETY: a number. Every Linux tells it.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}
