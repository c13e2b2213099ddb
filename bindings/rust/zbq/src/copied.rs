// SPDX-License-Identifier: MIT
//! What there is to know of a message that was copied.

use zbq_sys::{zbq_msg_header, zbq_msg_view};

/// What there is to know of a message that was copied: see [`Consumer::try_copy`].
///
/// [`Consumer::try_copy`]: crate::Consumer::try_copy
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    len: usize,
    offset: u64,
    header: zbq_msg_header,
}

impl Copied {
    #[inline]
    pub(crate) fn new(view: &zbq_msg_view, header: &zbq_msg_header) -> Self {
        Self {
            len: view.payload_len as usize, // it lay in memory that is mapped
            offset: view.logical_offset,
            header: *header,
        }
    }

    /// Bytes of the payload.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it had none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in the stream it started, in bytes since the ring was made.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The application's own flags, which C and C++ programs may set.
    pub fn flags(&self) -> u8 {
        self.header.flags
    }

    /// The key of a message that is, or was, retained.
    pub fn key(&self) -> Option<u16> {
        key_in(&self.header)
    }

    /// Whether it said that its key is retained no more; it was empty then.
    pub fn is_forgotten(&self) -> bool {
        zbq_sys::zbq_msg_is_forgotten(&self.header)
    }
}

pub(crate) fn key_in(header: &zbq_msg_header) -> Option<u16> {
    Some(zbq_sys::zbq_msg_key(header)).filter(|key| *key != 0)
}
