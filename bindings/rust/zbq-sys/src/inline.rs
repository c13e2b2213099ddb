// SPDX-License-Identifier: MIT
//! What `zbq/inline.h` has as inline functions, and a wrapper needs.

use crate::{zbq_msg_header, zbq_msg_view, zbq_readable_run, ZBQ_MSG_ALIGN};
use core::mem::size_of;
use core::ptr::addr_of;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The next message of a run, and takes it off.
///
/// `false` with bytes left: there is no message, since the consumer was evicted meanwhile or the
/// stream is malformed; `zbq_consumer_readable` at `run.offset` tells which. An evicted reader may
/// also be given nonsense, inside the ring: see `zbq_consumer_valid`.
///
/// # Safety
///
/// `run` is as `zbq_consumer_readable` gave it or as this function left it, the consumer lives, and
/// its tail has not passed `run.offset`.
#[inline]
pub unsafe fn zbq_readable_next(run: &mut zbq_readable_run, out: &mut zbq_msg_view) -> bool {
    if run.bytes == 0 {
        return false;
    }
    let header = run.base.cast::<zbq_msg_header>();
    // SAFETY: a header lies at the base of a run that is not empty, aligned, in memory that is
    // mapped while the consumer lives.
    let payload_len = unsafe { &*addr_of!((*header).payload_len).cast::<AtomicU32>() };
    // Relaxed: one load, whose copy is checked and used, for the producer may be hostile; the load
    // of the head that gave the run has ordered it.
    let payload_len = payload_len.load(Relaxed);
    let total_len = (size_of::<zbq_msg_header>() as u64) + u64::from(payload_len);
    let align = ZBQ_MSG_ALIGN as u64;
    let step = (total_len + align - 1) & !(align - 1);
    if step > run.bytes {
        return false;
    }
    out.header = header;
    // SAFETY: a whole message was checked to lie within the run.
    out.payload = unsafe { header.add(1).cast() };
    out.payload_len = u64::from(payload_len);
    out.logical_offset = run.offset;
    out.total_len = total_len;
    // SAFETY: as above; at most the end of the run. No message is larger than the address space.
    run.base = unsafe { run.base.cast::<u8>().add(step as usize).cast() };
    run.bytes -= step;
    run.offset += step;
    true
}
