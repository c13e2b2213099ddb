// SPDX-License-Identifier: MIT
//! What a message's header says.

use crate::load::load_word;
use std::mem::transmute;
use zbq_sys::{zbq_msg_header, zbq_msg_is_forgotten, zbq_msg_key};

/// A copy of a header, which is used instead of it: as two words, that fit into registers. Its length
/// is not used: what was checked is the view's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    first: u64,
    seq_id: u64,
}

impl Header {
    /// Of its two words.
    #[inline]
    pub(crate) fn of(words: [u64; 2]) -> Self {
        let [first, seq_id] = words;
        Self { first, seq_id }
    }

    /// # Safety
    ///
    /// A header is mapped there, and aligned.
    #[inline]
    pub(crate) unsafe fn load(at: *const zbq_msg_header) -> Self {
        let words = at.cast::<u8>();
        // SAFETY: as the caller says: two words.
        Self::of(unsafe { [load_word(words), load_word(words.add(8))] })
    }

    #[inline]
    fn raw(self) -> zbq_msg_header {
        // SAFETY: numbers, of as many bytes, any of which will do.
        unsafe { transmute([self.first, self.seq_id]) }
    }

    #[inline]
    pub(crate) fn fd_count(self) -> u8 {
        self.raw().fd_count
    }

    #[inline]
    pub(crate) fn flags(self) -> u8 {
        self.raw().flags
    }

    pub(crate) fn key(self) -> Option<u16> {
        Some(zbq_msg_key(&self.raw())).filter(|key| *key != 0)
    }

    pub(crate) fn is_forgotten(self) -> bool {
        zbq_msg_is_forgotten(&self.raw())
    }

    /// The id of its descriptors' record; 0: it has none, or says so of some.
    #[inline]
    pub(crate) fn record(self) -> u64 {
        if self.fd_count() != 0 {
            self.seq_id
        } else {
            0
        }
    }
}
