// SPDX-License-Identifier: MIT
//! A channel's name, and what the join says of it.

use super::hash::type_hash;
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::PayloadType;
use zbq_sys::ZBQ_MSG_ALIGN;

#[derive(Clone, Copy)]
pub(crate) struct Agreed {
    name: &'static str,
    payload_type: PayloadType,
}

impl Agreed {
    pub(crate) const fn new(name: &'static str, size: u32, align: u32) -> Self {
        let hash = type_hash(name);
        Self {
            name,
            payload_type: PayloadType { hash, size, align },
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn payload_type(&self) -> PayloadType {
        self.payload_type
    }

    /// Whether this consumer receives that.
    pub(crate) fn check(&self, consumer: &Consumer) -> Result<()> {
        let told = consumer.payload_type();
        if told == self.payload_type {
            Ok(())
        } else {
            Err(Error::TypeMismatch(self.mismatch(told)))
        }
    }

    fn mismatch(&self, told: PayloadType) -> String {
        let own = self.payload_type;
        let expected = format!(
            "expected '{}' of {} bytes, aligned to {}",
            self.name, own.size, own.align
        );
        if told.hash == 0 && told.size == 0 {
            return expected + "; the producer does not say what it sends";
        }
        let name = if told.hash == own.hash {
            "that name"
        } else {
            "another name"
        };
        format!(
            "{expected}; the producer sends {name}, {} bytes, aligned to {}",
            told.size, told.align
        )
    }
}

// ---- looked at when a channel is compiled ----

pub(crate) const fn checked_size(size: usize) -> u32 {
    assert!(size != 0, "a size of 0 says that sizes vary");
    assert!(size <= u32::MAX as usize, "no message is so long");
    size as u32
}

pub(crate) const fn checked_align(align: usize) -> u32 {
    assert!(align <= ZBQ_MSG_ALIGN, "payloads are aligned to 16");
    align as u32
}
