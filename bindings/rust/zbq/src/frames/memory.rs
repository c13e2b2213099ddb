// SPDX-License-Identifier: MIT
//! Memory that one process fills and others look at: a page, whose first word says of which message
//! the frame is, and the frame.

use crate::error::{check, Error, Result};
use crate::load::load_word;
use crate::payload::Payload;
use crate::process::{page_size, Birthmark};
use std::fs::File;
use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{fence, AtomicU64};

// The oldest libc crate this is built with does not have it.
const F_SEAL_FUTURE_WRITE: libc::c_int = 0x10; // include/uapi/linux/fcntl.h

/// A mapping, not there in forked children.
pub(super) struct FrameMemory {
    base: NonNull<u8>,
    size: usize, // of the frame
    birth: Birthmark,
}

// SAFETY: a mapping is no thread's own, nor is the birthmark's page, which any may read. The first
// page is accessed atomically alone; what lies past it is written through the one frame that there
// is of it (see `bytes_mut`), or only loaded from.
unsafe impl Send for FrameMemory {}
// SAFETY: as above.
unsafe impl Sync for FrameMemory {}

impl FrameMemory {
    /// A new one to be filled here alone: all other writers are sealed out once it is mapped. Gives
    /// the descriptor to be sent.
    pub(super) fn create(size: usize) -> Result<(Self, OwnedFd)> {
        // SAFETY: a number; a new descriptor is owned by nobody yet.
        let fd = unsafe {
            let made = zbq_sys::zbq_memory_create(page_size() as u64 + size as u64);
            OwnedFd::from_raw_fd(check(made)?)
        };
        let memory = Self::map(&fd, size, libc::PROT_READ | libc::PROT_WRITE)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: an open descriptor, and a number.
        checked(unsafe {
            libc::fcntl(
                fd.as_raw_fd(),
                libc::F_ADD_SEALS,
                seals | F_SEAL_FUTURE_WRITE,
            )
        })?;
        Ok((memory, fd))
    }

    /// Another process's, to look at. [`Error::Protocol`]: it is smaller, or could become so under
    /// who reads it.
    pub(super) fn open(fd: OwnedFd, size: u64) -> Result<Self> {
        // SAFETY: an open descriptor.
        let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
        if seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
            return Err(Error::Protocol);
        }
        let file = File::from(fd);
        let most = file.metadata()?.len().checked_sub(page_size() as u64);
        match usize::try_from(size) {
            Ok(len) if most.map_or(false, |most| size <= most) => {
                Self::map(&file, len, libc::PROT_READ)
            }
            _ => Err(Error::Protocol),
        }
    }

    fn map(fd: &impl AsRawFd, size: usize, protection: libc::c_int) -> Result<Self> {
        let birth = Birthmark::new()?;
        let len = page_size() + size;
        let (anywhere, fd) = (ptr::null_mut(), fd.as_raw_fd());
        // SAFETY: a new mapping, wherever there is room.
        let base = unsafe { libc::mmap(anywhere, len, protection, libc::MAP_SHARED, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(last_error());
        }
        let base = NonNull::new(base.cast()).ok_or(Error::Invalid)?;
        let memory = Self { base, size, birth };
        // SAFETY: what was just mapped.
        checked(unsafe { libc::madvise(memory.base.as_ptr().cast(), len, libc::MADV_DONTFORK) })?;
        Ok(memory)
    }

    // ---- the frame ----

    /// The frame, to be written.
    ///
    /// # Safety
    ///
    /// It was made by [`create`](Self::create), and nobody else here has a reference to the frame
    /// while this one lives.
    #[allow(clippy::mut_from_ref)] // the caller sees to it
    pub(super) unsafe fn bytes_mut(&self) -> &mut [u8] {
        // SAFETY: so many bytes are mapped there, writable and initialized. No other process can
        // write them: the kernel refuses a writable mapping, and every write, to each. In this one
        // it is the caller's word.
        unsafe { slice::from_raw_parts_mut(self.frame(), self.size) }
    }

    /// The first bytes of the frame, to be looked at; `None`: it is smaller.
    pub(super) fn payload(&self, len: usize) -> Option<Payload<'_>> {
        // SAFETY: so many bytes are mapped there while this lives, and initialized.
        unsafe { Payload::new(self.frame(), self.size) }.slice(0, len)
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn frame(&self) -> *mut u8 {
        // SAFETY: a page is mapped before it.
        unsafe { self.base.as_ptr().add(page_size()) }
    }

    // ---- whose frame it is ----

    /// It is filled from now on.
    pub(super) fn begin(&self) {
        self.stamp().store(0, Relaxed);
        fence(Release); // pairs with is_of: who has seen bytes written later sees this
    }

    /// It was filled, for the message at this offset.
    pub(super) fn end(&self, offset: u64) {
        // Release: pairs with is_of; carries the bytes.
        self.stamp().store(offset.wrapping_add(1), Release);
    }

    /// Asked after reading, of another process's: whether that was whole, and the frame of the
    /// message at this offset.
    pub(super) fn is_of(&self, offset: u64) -> bool {
        fence(Acquire); // pairs with begin
                        // SAFETY: the first word of what is mapped.
        let stamp = unsafe { load_word(self.base.as_ptr()) };
        fence(Acquire); // pairs with end, for what is read after this
        stamp == offset.wrapping_add(1)
    }

    // Of one that was created here: the memory of others may not be written.
    fn stamp(&self) -> &AtomicU64 {
        // SAFETY: mapped while this lives, aligned to a page, and accessed atomically alone.
        unsafe { self.base.cast().as_ref() }
    }
}

impl Drop for FrameMemory {
    fn drop(&mut self) {
        if self.birth.is_here() {
            // SAFETY: the last use of what was mapped, and is mapped here.
            unsafe { libc::munmap(self.base.as_ptr().cast(), page_size() + self.size) };
        }
    }
}

fn checked(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 {
        Err(last_error())
    } else {
        Ok(result)
    }
}

fn last_error() -> Error {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::ENOMEM) => Error::NoMemory,
        _ => Error::Io(error),
    }
}
