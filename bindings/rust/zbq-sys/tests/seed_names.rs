// SPDX-License-Identifier: MIT
//! The names and signatures that programs written against the first declarations use.

use libc::c_int;
use zbq_sys::*;

type Out<T> = *mut *mut T;

#[test]
fn signatures() {
    let _: unsafe extern "C" fn(Out<zbq_producer>, *const zbq_producer_params) -> c_int =
        zbq_producer_create;
    let _: unsafe extern "C" fn(*mut zbq_producer) = zbq_producer_destroy;
    let _: unsafe extern "C" fn(*mut zbq_producer, c_int, zbq_wakeup_mode, *mut u32) -> c_int =
        zbq_producer_handshake;
    let _: unsafe extern "C" fn(*mut zbq_producer) -> zbq_contiguous_run = zbq_producer_query;
    let _: unsafe extern "C" fn(*mut zbq_producer, u64, zbq_commit_flags) -> bool =
        zbq_producer_commit;
    let _: unsafe extern "C" fn(*mut zbq_producer) -> u64 = zbq_producer_next_seq_id;
    let _: unsafe extern "C" fn(*mut zbq_producer, u64, *const c_int, u8) -> c_int =
        zbq_producer_broadcast_fds;
    let _: unsafe extern "C" fn(*mut zbq_producer) -> c_int = zbq_producer_scan;
    let _: unsafe extern "C" fn(c_int, zbq_wakeup_mode, Out<zbq_consumer>) -> c_int =
        zbq_consumer_join;
    let _: unsafe extern "C" fn(*mut zbq_consumer) = zbq_consumer_destroy;
    let _: unsafe extern "C" fn(*mut zbq_consumer) -> bool = zbq_consumer_is_producer_alive;
    let _: unsafe extern "C" fn(*const zbq_consumer) -> u64 = zbq_consumer_acquire_head;
    let _: unsafe extern "C" fn(*mut zbq_consumer, *mut zbq_msg_view) -> c_int = zbq_consumer_peek;
    let _: unsafe extern "C" fn(*mut zbq_consumer, u64, *mut c_int, *mut u8) -> c_int =
        zbq_consumer_recv_fds;
    let _: unsafe extern "C" fn(*mut zbq_consumer, u64) = zbq_consumer_publish;
    let _: unsafe extern "C" fn(*const zbq_consumer) -> u32 = zbq_consumer_get_futex_token;
    let _: unsafe extern "C" fn(*mut zbq_consumer, u32) -> c_int = zbq_consumer_wait_broadcast;
    let _: unsafe extern "C" fn(*const zbq_consumer) -> u64 = zbq_consumer_tail;
    let _: unsafe extern "C" fn(*const zbq_consumer) -> *const zbq_control_region =
        zbq_consumer_ctrl;
    let _: unsafe extern "C" fn(*mut zbq_consumer) -> *mut zbq_consumer_metadata =
        zbq_consumer_meta;
}

#[test]
fn numbers() {
    let errors = [
        (zbq_error::ZBQ_OK, 0),
        (zbq_error::ZBQ_ERROR_INVALID, -1),
        (zbq_error::ZBQ_ERROR_NOMEM, -2),
        (zbq_error::ZBQ_ERROR_AGAIN, -3),
        (zbq_error::ZBQ_ERROR_IO, -4),
        (zbq_error::ZBQ_ERROR_PROTOCOL, -5),
        (zbq_error::ZBQ_ERROR_OVERFLOW, -6),
        (zbq_error::ZBQ_ERROR_NOENT, -7),
    ];
    for (name, number) in errors {
        assert_eq!(name as c_int, number);
    }
    assert_eq!(zbq_wakeup_mode::ZBQ_WAKEUP_PUSH as c_int, 0);
    assert_eq!(zbq_wakeup_mode::ZBQ_WAKEUP_PULL as c_int, 1);
    assert_eq!(zbq_commit_flags::ZBQ_COMMIT_NONE.0, 0);
    assert_eq!(zbq_commit_flags::ZBQ_COMMIT_FORCE_SCAN.0, 1);
    assert_eq!(ZBQ_MAX_FD_PER_MSG, 253);
}

/// Null is safe everywhere, and the library that is linked is the one declared, or a later one that
/// fits.
#[test]
fn calls_reach_the_library() {
    let declared = ZBQ_VERSION_MAJOR << 16 | ZBQ_VERSION_MINOR << 8 | ZBQ_VERSION_PATCH;
    // SAFETY: null is an argument that each of these accepts.
    unsafe {
        if cfg!(feature = "system") {
            assert!(zbq_version() >= declared && zbq_version() >> 16 == ZBQ_VERSION_MAJOR);
        } else {
            assert_eq!(zbq_version(), declared);
        }
        assert_eq!(
            zbq_producer_scan(std::ptr::null_mut()),
            zbq_error::ZBQ_ERROR_INVALID as c_int
        );
        assert_eq!(
            zbq_consumer_ending(std::ptr::null(), std::ptr::null_mut()),
            zbq_ending::ZBQ_ENDING_NONE
        );
        assert_eq!(zbq_producer_query(std::ptr::null_mut()).max_bytes, 0);
    }
}
