// SPDX-License-Identifier: MIT
//! Where every field lies, asserted when this is compiled.
//!
//! A field's place is found by setting it to all ones in a value that is else zero, and looking at
//! the bytes: for compilers that have no `offset_of`.

use crate::*;
use core::mem::{align_of, size_of};
use libc::{c_char, c_void};

// Where the ones begin, and how many there are; they must be in one piece.
#[allow(dead_code)] // older compilers do not see what only assertions use
const fn ones(bytes: &[u8]) -> (usize, usize) {
    let mut begin = 0;
    while begin < bytes.len() && bytes[begin] == 0 {
        begin += 1;
    }
    let mut end = begin;
    while end < bytes.len() && bytes[end] == 0xff {
        end += 1;
    }
    let mut rest = end;
    while rest < bytes.len() {
        assert!(bytes[rest] == 0);
        rest += 1;
    }
    (begin, end - begin)
}

macro_rules! layouts {
    ($($record:ident size $size:literal align $align:literal {
        $($field:ident: $kind:ty = $offset:literal,)*
    })*) => {
        $(const _: () = {
            assert!(size_of::<$record>() == $size);
            assert!(align_of::<$record>() == $align);
            #[repr(C)]
            union View {
                bytes: [u8; $size],
                record: $record,
            }
            $({
                #[repr(C)]
                union Ones {
                    bytes: [u8; size_of::<$kind>()],
                    field: $kind,
                }
                let ones_only = Ones { bytes: [0xff; size_of::<$kind>()] };
                // SAFETY: any bits are a value of these types: integers, raw pointers, arrays.
                let value: $kind = unsafe { ones_only.field };
                let mut view = View { bytes: [0; $size] };
                view.record.$field = value;
                // SAFETY: every byte was written, by the first line or the second.
                let (begin, width) = ones(unsafe { &view.bytes });
                assert!(begin == $offset);
                assert!(width == size_of::<$kind>());
            })*
        };)*

        /// The same as text, in the form of the library's own list.
        #[cfg(test)]
        #[allow(dead_code)] // tests/golden_layout.rs takes this file in, and uses it
        pub fn text() -> String {
            let mut text = String::new();
            $(
                text += concat!(stringify!($record), " size ", $size, " align ", $align, "\n");
                $(text += concat!("    ", stringify!($field), " ", $offset, "\n");)*
            )*
            text
        }
    };
}

layouts! {
    zbq_control_region size 256 align 64 {
        producer_head: u64 = 0,
        floor: u64 = 8,
        newest: u64 = 16,
        broadcast_futex: u32 = 64,
        producer_pid: i32 = 128,
        ring_capacity: u64 = 192,
        clog_threshold: u64 = 200,
        stall_timeout_ns: u64 = 208,
        closed: u32 = 216,
        awaited_tail: u64 = 224,
        reserved: [u8; 8] = 232,
        ring_id: [u8; 16] = 240,
    }
    zbq_consumer_metadata size 4096 align 4096 {
        tail_offset: u64 = 0,
        progress_timestamp: u64 = 8,
        join_baseline: u64 = 16,
        lost_bytes: u64 = 24,
        eviction: u32 = 64,
        quiet_until: u64 = 72,
        parking: [zbq_parking; ZBQ_PARKING_PLACES] = 128,
    }
    zbq_parking size 64 align 64 {
        parked: u32 = 0,
    }
    zbq_msg_header size 16 align 16 {
        payload_len: u32 = 0,
        fd_count: u8 = 4,
        flags: u8 = 5,
        reserved: u16 = 6,
        seq_id: u64 = 8,
    }
    zbq_join_payload size 64 align 8 {
        ring_capacity: u64 = 0,
        join_baseline: u64 = 8,
        initial_head: u64 = 16,
        producer_pid: i32 = 24,
        slot_index: u32 = 28,
        wakeup_mode: u32 = 32,
        protocol_version: u32 = 36,
        seq_floor: u64 = 40,
        type_hash: u64 = 48,
        type_size: u32 = 56,
        type_align: u32 = 60,
    }
    zbq_type size 16 align 8 {
        hash: u64 = 0,
        size: u32 = 8,
        align: u32 = 12,
    }
    zbq_producer_params size 32 align 8 {
        ring_capacity: u64 = 0,
        clog_threshold: u64 = 8,
        stall_timeout_ns: u64 = 16,
        max_consumers: u32 = 24,
    }
    zbq_patience size 16 align 8 {
        at_once_ns: u64 = 0,
        per_second_ns: u64 = 8,
    }
    zbq_contiguous_run size 24 align 8 {
        base: *mut c_void = 0,
        max_bytes: u64 = 8,
        offset: u64 = 16,
    }
    zbq_commit_window size 56 align 8 {
        head: u64 = 0,
        limit: u64 = 8,
        next: *mut c_char = 16,
        control: *mut zbq_control_region = 24,
        parking: *const *mut zbq_parking = 32,
        parking_count: u32 = 40,
        unusual: u32 = 44,
        producer: *mut zbq_producer = 48,
    }
    zbq_read_window size 80 align 8 {
        cursor: u64 = 0,
        head: u64 = 8,
        tail: u64 = 16,
        next: *const c_char = 24,
        ring: *const c_char = 32,
        capacity: u64 = 40,
        control: *const zbq_control_region = 48,
        page: *mut zbq_consumer_metadata = 56,
        consumer: *mut zbq_consumer = 64,
        unusual: u32 = 72,
        observes: u32 = 76,
    }
    zbq_start size 32 align 8 {
        at: u32 = 0,
        reserved: u32 = 4,
        offset: u64 = 8,
        ring_id: [u8; 16] = 16,
    }
    zbq_loss size 16 align 8 {
        bytes: u64 = 0,
        times: u64 = 8,
    }
    zbq_msg_copy size 32 align 16 {
        header: zbq_msg_header = 0,
        logical_offset: u64 = 16,
    }
    zbq_msg_view size 40 align 8 {
        header: *const zbq_msg_header = 0,
        payload: *const c_void = 8,
        payload_len: u64 = 16,
        logical_offset: u64 = 24,
        total_len: u64 = 32,
    }
    zbq_producer_statistics size 112 align 8 {
        head: u64 = 0,
        slowest_tail: u64 = 8,
        joined: u64 = 16,
        evicted: [u64; 7] = 24,
        failures: u64 = 80,
        scans: u64 = 88,
        wakes: u64 = 96,
        consumers: u32 = 104,
        max_consumers: u32 = 108,
    }
    zbq_consumer_info size 56 align 8 {
        lag: u64 = 0,
        join_number: u64 = 8,
        pid: i32 = 16,
        slot_index: u32 = 20,
        mode: u32 = 24,
        eviction: u32 = 28,
        fds_in_flight: u32 = 32,
        reserved: u32 = 36,
        tail: u64 = 40,
        dropped_records: u64 = 48,
    }
    zbq_ring_stats size 352 align 8 {
        ring_id: [u8; 16] = 0,
        written_at: u64 = 16,
        created_at: u64 = 24,
        capacity: u64 = 32,
        head: u64 = 40,
        slowest_tail: u64 = 48,
        stall_timeout_ns: u64 = 56,
        full_ns: u64 = 64,
        joined: u64 = 72,
        failures: u64 = 80,
        scans: u64 = 88,
        wakes: u64 = 96,
        evicted: [u64; 8] = 104,
        payload_type: zbq_type = 168,
        pid: i32 = 184,
        consumers: u32 = 188,
        max_consumers: u32 = 192,
        slots: u32 = 196,
        slowest_slot: u32 = 200,
        closed: u32 = 204,
        name: [c_char; ZBQ_NAME_SIZE] = 208,
        reserved: [u8; 32] = 320,
    }
    zbq_slot_stats size 128 align 8 {
        join_number: u64 = 0,
        joined_at: u64 = 8,
        evicted_at: u64 = 16,
        moved_at: u64 = 24,
        tail: u64 = 32,
        lag: u64 = 40,
        times_slowest: u64 = 48,
        held_ns: u64 = 56,
        lost_bytes: u64 = 64,
        dropped_records: u64 = 72,
        pid: i32 = 80,
        uid: u32 = 84,
        mode: u32 = 88,
        eviction: u32 = 92,
        fds_in_flight: u32 = 96,
        in_the_way: u32 = 100,
        reserved: [u8; 24] = 104,
    }
}

// What C's enumerations and bool are passed as.
const _: () = assert!(size_of::<zbq_error>() == 4 && align_of::<zbq_error>() == 4);
const _: () = assert!(size_of::<zbq_wakeup_mode>() == 4 && align_of::<zbq_wakeup_mode>() == 4);
const _: () = assert!(size_of::<zbq_start_at>() == 4 && size_of::<zbq_seek_to>() == 4);
const _: () = assert!(size_of::<zbq_commit_flags>() == 4 && size_of::<zbq_ending>() == 4);
const _: () = assert!(size_of::<bool>() == 1 && size_of::<libc::c_int>() == 4);
