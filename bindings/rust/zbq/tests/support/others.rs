// SPDX-License-Identifier: MIT
//! Processes of other users, and forked ones.

use super::skip;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

pub const STRANGER: u32 = 61234;
/// The number of all who have none.
pub const NOBODY: u32 = 65534;

/// The same program as another user; `None`, and why, where that cannot be.
pub fn as_user(uid: u32, role: &str, name: &str) -> Option<Child> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", role])
        .env("ZBQ_TEST_NAME", name)
        .env("RUST_BACKTRACE", "0") // it would look for sources
        .current_dir("/")
        .uid(uid)
        .stdin(Stdio::piped())
        .spawn();
    match child {
        Ok(child) => Some(child),
        Err(error) => {
            skip(&format!("no process of another user: {error}"));
            None
        }
    }
}

/// Only the user is changed.
pub fn group_of_stranger() -> u32 {
    // SAFETY: it cannot fail.
    unsafe { libc::getegid() }
}

pub fn test_name() -> String {
    std::env::var("ZBQ_TEST_NAME").unwrap()
}

/// What a forked child does, which must succeed.
pub fn in_forked_child(body: impl FnOnce() -> bool) {
    // SAFETY: the child ends without a return; glibc keeps its memory allocator usable there.
    match unsafe { libc::fork() } {
        -1 => panic!("fork"),
        0 => {
            let done = body();
            // SAFETY: it cannot fail.
            unsafe { libc::_exit(i32::from(!done)) }
        }
        child => {
            let mut status = 0;
            // SAFETY: a place for the status.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
}
