// SPDX-License-Identifier: MIT
//! What `zbq/inline.h` has as inline functions, and a wrapper needs. The orders of the accesses and
//! their partners are those of the header.
//!
//! # Safety
//!
//! Of each function: the window is that of `zbq_consumer_window`, the consumer lives, in the process
//! that joined, and nobody else uses it meanwhile.

use crate::ZBQ_MSG_ALIGN;
use crate::{zbq_consumer_next, zbq_consumer_ring, zbq_msg_header, zbq_msg_view, zbq_read_window};
use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{compiler_fence, fence, AtomicU32, AtomicU64};
use libc::c_int;

const ALIGN: u64 = ZBQ_MSG_ALIGN as u64;
const HEADER: u64 = size_of::<zbq_msg_header>() as u64;
const OK: c_int = crate::zbq_error::ZBQ_OK as c_int;

const AHEAD: u64 = 1024; // that a reader asks for lines which are committed

#[inline]
fn prefetch(place: *const libc::c_char) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; any address will do.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint; any address will do.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) place, options(nostack, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = place;
}

#[inline]
fn round_up(bytes: u64) -> u64 {
    bytes.wrapping_add(ALIGN - 1) & !(ALIGN - 1)
}

/// Looks for messages past those that are known, without a call. `false`: `zbq_consumer_look` tells
/// more, and an observer's looks are all for that.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_look(window: *mut zbq_read_window) -> bool {
    // SAFETY: as the caller says; the control region is mapped.
    let (window, head) = unsafe {
        let head = addr_of!((*(*window).control).producer_head).cast::<AtomicU64>();
        (&mut *window, (*head).load(Acquire))
    };
    let can_be = head > window.head
        && (window.unusual | window.observes) == 0
        && head - window.tail <= window.capacity
        && head % ALIGN == 0;
    if can_be {
        window.head = head;
        // SAFETY: the ring is mapped twice, and the cursor lies in one of the two.
        unsafe {
            if window.next.offset_from(window.ring) as u64 >= window.capacity {
                window.next = window.next.sub(window.capacity as usize);
            }
        }
    }
    can_be
}

// Where it is called is not what is to be fast.
#[cold]
#[inline]
fn out_of_line() {}

/// Asked after reading, whether all that was read of what lies at a logical offset or past it was
/// whole: of a consumer, whether it still has its slot; of an observer, whether the floor is not
/// above.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_valid_from(window: *const zbq_read_window, offset: u64) -> bool {
    fence(Acquire);
    // SAFETY: as the caller says; page and control region are mapped.
    unsafe {
        if (*window).observes != 0 {
            out_of_line();
            let floor = addr_of!((*(*window).control).floor).cast::<AtomicU64>();
            return (*floor).load(Relaxed) <= offset;
        }
        let eviction = addr_of!((*(*window).page).eviction).cast::<AtomicU32>();
        (*eviction).load(Relaxed) == 0
    }
}

/// As `zbq_consumer_valid`.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_valid(window: *const zbq_read_window) -> bool {
    // SAFETY: as the caller says.
    unsafe { zbq_window_valid_from(window, (*window).tail) }
}

/// As `zbq_consumer_next`, without the call where there is a message.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_next(window: *mut zbq_read_window, out: &mut zbq_msg_view) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        match zbq_window_take(window) {
            Some(view) => {
                *out = view;
                OK
            }
            None => zbq_consumer_next((*window).consumer, out),
        }
    }
}

/// The part of `zbq_window_next` that makes no call; `None`: `zbq_consumer_next` tells more. It
/// gives the view by value, which so need not go through memory.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_take(window: *mut zbq_read_window) -> Option<zbq_msg_view> {
    // SAFETY: as the caller says.
    unsafe {
        let (view, _) = zbq_window_peek(window)?;
        zbq_window_pass(window, &view);
        Some(view)
    }
}

/// What [`zbq_window_take`] would give, with nothing taken; and the two words of the header, which
/// were whole.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_peek(window: *mut zbq_read_window) -> Option<(zbq_msg_view, [u64; 2])> {
    // SAFETY: as the caller says. Between cursor and head there is a header at the least, mapped and
    // aligned; a message that ends at the head or before lies in what is mapped: an observer's head
    // too is a ring above its cursor at most, whatever the floor says.
    unsafe {
        let cursor = (*window).cursor;
        if (*window).head - cursor > AHEAD {
            prefetch((*window).next.wrapping_add(AHEAD as usize));
        }
        if (*window).unusual == 0 && (cursor != (*window).head || zbq_window_look(window)) {
            let header = (*window).next.cast::<zbq_msg_header>();
            // One load, whose copy is checked and used, for the producer may be hostile.
            let words = header.cast::<AtomicU64>();
            let said = [(*words).load(Relaxed), (*words.add(1)).load(Relaxed)];
            let payload_len = payload_len_in(said[0]);
            let total_len = HEADER + payload_len;
            if total_len <= (*window).head - cursor && zbq_window_valid_from(window, cursor) {
                let view = zbq_msg_view {
                    header,
                    payload: header.add(1).cast(),
                    payload_len,
                    logical_offset: cursor,
                    total_len,
                };
                return Some((view, said));
            }
        }
    }
    None
}

// The first field of the first word.
#[inline]
fn payload_len_in(word: u64) -> u64 {
    let bytes = word.to_ne_bytes();
    u64::from(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Takes the message that [`zbq_window_peek`] gave last.
///
/// # Safety
///
/// See the module; it is that message, and nothing was taken since.
#[inline]
pub unsafe fn zbq_window_pass(window: *mut zbq_read_window, view: &zbq_msg_view) {
    // SAFETY: as the caller says: the message ends at the head or before.
    unsafe {
        let step = round_up(view.total_len);
        (*window).next = view.header.cast::<libc::c_char>().add(step as usize);
        (*window).cursor = view.logical_offset + step;
    }
}

/// As `zbq_consumer_publish`, for what was read, without the call. `false`, with nothing changed,
/// for anything else.
///
/// # Safety
///
/// See the module.
#[inline]
pub unsafe fn zbq_window_release(window: *mut zbq_read_window, new_tail: u64) -> bool {
    let tail = round_up(new_tail);
    // SAFETY: as the caller says; page and control region are mapped.
    unsafe {
        let before = (*window).tail;
        if tail < before || tail > (*window).cursor {
            return false;
        }
        (*window).tail = tail;
        let published = addr_of_mut!((*(*window).page).tail_offset).cast::<AtomicU64>();
        (*published).store(tail, Release);
        compiler_fence(SeqCst);
        let awaited = addr_of!((*(*window).control).awaited_tail).cast::<AtomicU64>();
        let awaited = (*awaited).load(Relaxed);
        if awaited > before && awaited <= tail {
            zbq_consumer_ring((*window).consumer);
        }
    }
    true
}

/// The key of a message that is, or was, retained: 0 for all others. Of a copy of the header: one in
/// shared memory may change.
#[inline]
pub const fn zbq_msg_key(header: &zbq_msg_header) -> u16 {
    header.reserved & 0x7fff
}

/// Whether it says that its key is retained no more. Of a copy, as above.
#[inline]
pub const fn zbq_msg_is_forgotten(header: &zbq_msg_header) -> bool {
    header.reserved & 0x8000 != 0
}
