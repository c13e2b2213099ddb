// SPDX-License-Identifier: MIT
//! Bytes that may change while they are read.

use crate::load::{copy_out, load_byte, load_value, WORD};
use crate::pod::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{size_of, MaybeUninit};
use std::sync::atomic::AtomicU8;

/// A message's bytes where they lie in shared memory: a window to read through, and never a slice.
///
/// What it gives is what the bytes were at that moment. A hostile producer may change them at any
/// time, and they may be written over when this consumer is evicted. So two reads of one byte may
/// differ: copy what you decide by first. Whether what was read was whole is for the message to
/// tell, afterwards: [`Message::is_intact`], or [`Message::read`], which asks by itself.
///
/// [`Message::is_intact`]: crate::Message::is_intact
/// [`Message::read`]: crate::Message::read
#[derive(Clone, Copy)]
pub struct Payload<'m> {
    at: *const u8, // so many bytes are mapped for 'm
    len: usize,
    message: PhantomData<&'m [AtomicU8]>,
}

impl<'m> Payload<'m> {
    /// # Safety
    ///
    /// `len` bytes from `at` on are initialized, and mapped for `'m`.
    pub(crate) unsafe fn new(at: *const u8, len: usize) -> Self {
        Self {
            at,
            len,
            message: PhantomData,
        }
    }

    /// Bytes. They were counted once; this does not change.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One byte.
    #[inline]
    pub fn get(&self, index: usize) -> Option<u8> {
        if index >= self.len {
            return None;
        }
        // SAFETY: within the window.
        Some(unsafe { load_byte(self.at.add(index)) })
    }

    /// `N` bytes from `offset` on; `None` when they are not all there.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(&[1, 0, 0, 0, 7])?;
    /// let message = consumer.try_next()?;
    /// let number = message.read(|payload| payload.array(0).map(u32::from_le_bytes))?;
    /// assert_eq!(number, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let part = self.slice(offset, N)?;
        let mut bytes = [0; N];
        part.read_at(0, &mut bytes);
        Some(bytes)
    }

    /// All bytes as a value of this type; `None` when they are not as many.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let mut producer = zbq::Producer::new(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// producer.try_publish(&[1, 0, 0, 0, 7])?;
    /// let message = consumer.try_next()?;
    /// let number = message.read(|payload| payload.slice(0, 4)?.value::<u32>())?;
    /// assert_eq!(number, Some(u32::from_ne_bytes([1, 0, 0, 0])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn value<T: Pod>(&self) -> Option<T> {
        if self.len != size_of::<T>() {
            return None;
        }
        if self.at as usize % WORD == 0 {
            // SAFETY: so many bytes, and aligned.
            return Some(unsafe { load_value(self.at, 0) });
        }
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: so many bytes are there, and in the value. Then all of it was written, and any bytes
        // are a value.
        unsafe {
            copy_out(self.at, value.as_mut_ptr().cast(), self.len);
            Some(value.assume_init())
        }
    }

    /// Copies from `offset` on, as much as there is and `into` holds. Gives how much that was.
    #[inline]
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> usize {
        let len = into.len().min(self.len.saturating_sub(offset));
        if len != 0 {
            // SAFETY: so many bytes are in the window and in the slice, which is not shared.
            unsafe { copy_out(self.at.add(offset), into.as_mut_ptr(), len) };
        }
        len
    }

    /// Adds all bytes to the end of `to`.
    pub fn append_to(&self, to: &mut Vec<u8>) {
        to.reserve(self.len);
        let spare: &mut [MaybeUninit<u8>] = to.spare_capacity_mut();
        // SAFETY: there is room for so many, and then they are initialized.
        unsafe {
            copy_out(self.at, spare.as_mut_ptr().cast(), self.len);
            to.set_len(to.len() + self.len);
        }
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes);
        bytes
    }

    /// The window's part of `len` bytes from `offset` on; `None` when they are not all there.
    #[inline]
    pub fn slice(&self, offset: usize, len: usize) -> Option<Payload<'m>> {
        if len > self.len.checked_sub(offset)? {
            return None;
        }
        // SAFETY: a part of this window.
        Some(unsafe { Self::new(self.at.add(offset), len) })
    }

    /// One byte after the other.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + 'm {
        let window = *self;
        (0..self.len).map_while(move |index| window.get(index))
    }

    /// Where the bytes lie: for calls that take an address, such as one that writes them to a
    /// device. It is valid while the message lives.
    ///
    /// A `&[u8]` made from it, in `unsafe` code of your own, is sound only while nothing changes
    /// the bytes: the producer is trusted to leave committed messages alone (this crate's and the
    /// C++ one do), and this consumer is not evicted for as long as that slice lives. The second
    /// holds for a ring whose [`stall_timeout`](crate::Options::stall_timeout) is `None`. It can
    /// not be seen from here.
    pub fn as_ptr(&self) -> *const u8 {
        self.at
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_from_any_place_any_number_of_bytes() {
        let bytes: Vec<u8> = (0..64).collect();
        for begin in 0..17 {
            for len in 0..40 {
                // SAFETY: a part of the vector.
                let window = unsafe { Payload::new(bytes[begin..].as_ptr(), len) };
                assert_eq!(window.to_vec(), bytes[begin..begin + len]);
                assert_eq!(
                    window.bytes().collect::<Vec<_>>(),
                    bytes[begin..begin + len]
                );
            }
        }
    }

    #[test]
    fn gives_a_value_of_any_place() {
        let bytes: Vec<u8> = (0..64).collect();
        for begin in 0..17 {
            // SAFETY: a part of the vector.
            let window = unsafe { Payload::new(bytes[begin..].as_ptr(), 12) };
            let words: [u32; 3] = window.value().unwrap();
            let last = u32::from_ne_bytes(bytes[begin + 8..begin + 12].try_into().unwrap());
            assert_eq!(words[2], last);
            assert_eq!(window.value::<u64>(), None);
            assert_eq!(window.value::<u128>(), None);
        }
    }

    #[test]
    fn gives_nothing_past_its_end() {
        let bytes = [1, 2, 3, 4];
        // SAFETY: all of the array.
        let window = unsafe { Payload::new(bytes.as_ptr(), bytes.len()) };
        let mut into = [9; 3];
        assert_eq!(window.get(3), Some(4));
        assert_eq!(window.get(4), None);
        assert_eq!(window.array(1), Some([2, 3, 4]));
        assert_eq!(window.array::<4>(1), None);
        assert_eq!(window.array::<0>(5), None);
        assert_eq!(window.array::<1>(usize::MAX), None);
        assert_eq!(window.read_at(3, &mut into), 1);
        assert_eq!(into, [4, 9, 9]);
        assert_eq!(window.read_at(5, &mut into), 0);
        assert_eq!(window.read_at(usize::MAX, &mut into), 0);
        assert!(window.slice(1, 4).is_none());
        assert!(window.slice(4, 0).unwrap().is_empty());
    }
}
