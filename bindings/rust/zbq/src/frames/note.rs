// SPDX-License-Identifier: MIT
//! What is said of a buffer, and of a frame in it: the same words as in C++ (`frame_pool.hpp`).

use crate::payload::Payload;

/// Tells both from what is none.
const MARK: u64 = 0x3265_6d61_7266_7162;

/// What a buffer is retained with, and what a message with a frame starts with.
#[derive(Clone, Copy)]
pub(super) struct Note {
    /// Of the buffer's frame, without the page before it; of a message: of what was filled.
    pub(super) size: u64,
    /// That the buffer is retained under.
    pub(super) key: u32,
    /// How often the buffer was replaced.
    pub(super) generation: u32,
}

impl Note {
    pub(super) const LEN: usize = 24;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&MARK.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.key.to_ne_bytes());
        bytes[20..].copy_from_slice(&self.generation.to_ne_bytes());
        bytes
    }

    /// What a message starts with, which may be torn.
    pub(super) fn of(payload: Payload<'_>) -> Option<Self> {
        let note = Self {
            size: u64::from_ne_bytes(payload.array(8)?),
            key: u32::from_ne_bytes(payload.array(16)?),
            generation: u32::from_ne_bytes(payload.array(20)?),
        };
        (u64::from_ne_bytes(payload.array(0)?) == MARK).then_some(note)
    }

    /// Whether this frame can be in that buffer, of its key.
    pub(super) fn is_in(self, buffer: Self) -> bool {
        self.generation == buffer.generation && self.size <= buffer.size
    }
}
