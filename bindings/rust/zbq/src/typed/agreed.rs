// SPDX-License-Identifier: MIT
//! A channel's name, and what the join says of it.

use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::options::PayloadType;
use std::fmt;
use zbq_sys::ZBQ_MSG_ALIGN;

#[derive(Clone, Copy)]
pub(crate) struct Agreed {
    name: &'static str,
    payload_type: PayloadType,
}

impl Agreed {
    pub(crate) const fn new(name: &'static str, payload_type: PayloadType) -> Self {
        Self { name, payload_type }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn payload_type(&self) -> PayloadType {
        self.payload_type
    }

    /// Whether this consumer receives that, which is of so much as the words say.
    pub(crate) fn check(&self, consumer: &Consumer, much: impl fmt::Display) -> Result<()> {
        let told = consumer.payload_type();
        if told == self.payload_type {
            Ok(())
        } else {
            let expected = format!("expected '{}' of {much}", self.name);
            Err(Error::TypeMismatch(expected + &self.mismatch(told)))
        }
    }

    fn mismatch(&self, told: PayloadType) -> String {
        if told.hash == 0 && told.size == 0 {
            return "; the producer does not say what it sends".to_owned();
        }
        let name = if told.hash == self.payload_type.hash {
            "that name"
        } else {
            "another name"
        };
        format!(
            "; the producer sends {name}, {} bytes, aligned to {}",
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
