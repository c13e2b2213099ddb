// SPDX-License-Identifier: MIT
//! Loads of memory that another process may change.
//!
//! They are relaxed atomic loads of a byte or an aligned word. In Rust's model a load that races
//! with a write is undefined unless both are atomic; this one is atomic, and the write is the
//! machine's concern: another process makes it, so that no compiler ever sees the two together.
//! Memory mapped read-only may be loaded from so: the standard library allows relaxed loads, up to
//! the size of a pointer. The references made here are not handed out, since through an `&AtomicU8`
//! safe code could store.

use crate::pod::Pod;
use std::mem::{align_of, size_of, MaybeUninit};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};

pub(crate) const WORD: usize = size_of::<u64>();

/// # Safety
///
/// The byte is initialized and mapped.
#[inline]
pub(crate) unsafe fn load_byte(at: *const u8) -> u8 {
    // SAFETY: as the caller says; see above.
    unsafe { (*at.cast::<AtomicU8>()).load(Relaxed) }
}

/// # Safety
///
/// As above, for 8 bytes, and `at` is aligned to 8.
#[inline]
pub(crate) unsafe fn load_word(at: *const u8) -> u64 {
    // SAFETY: as the caller says; see above.
    unsafe { (*at.cast::<AtomicU64>()).load(Relaxed) }
}

/// # Safety
///
/// `len` bytes from `from` on are initialized and mapped; so many from `to` on can be written, and
/// nobody else uses those.
pub(crate) unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize) {
    let head = from.align_offset(WORD).min(len);
    let words = (len - head) / WORD;
    let tail = head + words * WORD;
    // SAFETY: each place is within the two spans, and a word's is aligned.
    unsafe {
        for i in 0..head {
            to.add(i).write(load_byte(from.add(i)));
        }
        for i in 0..words {
            let at = head + i * WORD;
            to.add(at)
                .cast::<u64>()
                .write_unaligned(load_word(from.add(at)));
        }
        for i in tail..len {
            to.add(i).write(load_byte(from.add(i)));
        }
    }
}

// ---- of values ----

/// The value that lies `offset` bytes past `base`. How it is split into words, and what is before
/// and after them, follows from type and offset, which the compiler mostly knows: a number is one
/// load, so long as this is part of its caller.
///
/// # Safety
///
/// `base` is aligned to 8, and `offset` to [`unit_of`] the type. All bytes of the value are
/// initialized and mapped.
#[inline(always)]
pub(crate) unsafe fn load_value<T: Pod>(base: *const u8, offset: usize) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let to = value.as_mut_ptr().cast::<u8>();
    let unit = unit_of::<T>();
    let head = (offset.wrapping_neg() % WORD).min(size_of::<T>());
    let words = (size_of::<T>() - head) / WORD;
    let tail = head + words * WORD;
    // SAFETY: each place is within the value, here and there. Base and offset together align the
    // units; the head is what is missing to a word, so that the words are aligned, too. Then each
    // byte was written, and any bytes are a value.
    unsafe {
        let from = base.add(offset);
        for at in (0..head).step_by(unit) {
            copy_unit::<T>(from.add(at), to.add(at));
        }
        for i in 0..words {
            let at = head + i * WORD;
            to.add(at)
                .cast::<u64>()
                .write_unaligned(load_word(from.add(at)));
        }
        for at in (tail..size_of::<T>()).step_by(unit) {
            copy_unit::<T>(from.add(at), to.add(at));
        }
        value.assume_init()
    }
}

/// Bytes of the largest load that every value of this type is made of: its alignment, as far as
/// there are such loads.
pub(crate) const fn unit_of<T>() -> usize {
    if align_of::<T>() < WORD {
        align_of::<T>()
    } else {
        WORD
    }
}

/// # Safety
///
/// A unit of this type is initialized, mapped and aligned at `from`; it can be written at `to`, and
/// nobody else uses that.
#[inline(always)]
unsafe fn copy_unit<T>(from: *const u8, to: *mut u8) {
    // SAFETY: as the caller says; see above.
    unsafe {
        match unit_of::<T>() {
            1 => to.write(load_byte(from)),
            2 => {
                let unit = (*from.cast::<AtomicU16>()).load(Relaxed);
                to.cast::<u16>().write_unaligned(unit);
            }
            4 => {
                let unit = (*from.cast::<AtomicU32>()).load(Relaxed);
                to.cast::<u32>().write_unaligned(unit);
            }
            _ => to.cast::<u64>().write_unaligned(load_word(from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(16))]
    struct Bytes([u8; 64]);

    fn each_offset<T: Pod + PartialEq + std::fmt::Debug>(of: impl Fn(&[u8]) -> T) {
        let mut bytes = Bytes([0; 64]);
        for (i, byte) in bytes.0.iter_mut().enumerate() {
            *byte = i as u8 + 1;
        }
        let last = bytes.0.len() - size_of::<T>();
        for offset in (0..=last).step_by(unit_of::<T>()) {
            // SAFETY: all of it lies in the array; offset and base are aligned.
            let value = unsafe { load_value::<T>(bytes.0.as_ptr(), offset) };
            assert_eq!(value, of(&bytes.0[offset..offset + size_of::<T>()]));
        }
    }

    #[test]
    fn numbers_are_loaded_whole_at_each_place() {
        each_offset(|bytes| bytes[0]);
        each_offset(|bytes| u16::from_ne_bytes(bytes.try_into().unwrap()));
        each_offset(|bytes| u32::from_ne_bytes(bytes.try_into().unwrap()));
        each_offset(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
        each_offset(|bytes| u128::from_ne_bytes(bytes.try_into().unwrap()));
        each_offset(|bytes| f64::from_ne_bytes(bytes.try_into().unwrap()));
    }

    fn words_of<const N: usize>(bytes: &[u8]) -> [u32; N] {
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
            *word = u32::from_ne_bytes(bytes.try_into().unwrap());
        }
        words
    }

    #[test]
    fn so_is_what_does_not_fill_its_words() {
        each_offset::<[u8; 0]>(|bytes| bytes.try_into().unwrap());
        each_offset::<[u8; 3]>(|bytes| bytes.try_into().unwrap());
        each_offset::<[u8; 7]>(|bytes| bytes.try_into().unwrap());
        each_offset::<[u8; 29]>(|bytes| bytes.try_into().unwrap());
        each_offset(words_of::<1>);
        each_offset(words_of::<3>);
        each_offset(words_of::<6>);
    }
}
