// SPDX-License-Identifier: MIT
//! The layouts asserted here, and the numbers, are the ones on the library's own list.

use std::fmt::Write;
use zbq_sys::*;

#[path = "../src/layout.rs"]
#[allow(clippy::duplicate_mod)]
mod layout;

fn constants() -> String {
    let mut text = String::new();
    macro_rules! list {
        ($($name:ident: $number:expr,)*) => {
            $(writeln!(text, "{} {}", stringify!($name), $number).unwrap();)*
        };
    }
    macro_rules! of_enum {
        ($kind:ident: $($name:ident)*) => { list! { $($name: $kind::$name as i32,)* } };
    }
    macro_rules! of_struct {
        ($kind:ident: $($name:ident)*) => { list! { $($name: $kind::$name.0,)* } };
    }
    list! {
        ZBQ_MAX_FD_PER_MSG: ZBQ_MAX_FD_PER_MSG,
        ZBQ_MSG_ALIGN: ZBQ_MSG_ALIGN,
        ZBQ_MAX_FD_IN_FLIGHT: ZBQ_MAX_FD_IN_FLIGHT,
        ZBQ_WAIT_SLICE_NS: ZBQ_WAIT_SLICE_NS,
    }
    of_enum! { zbq_error: ZBQ_OK ZBQ_ERROR_INVALID ZBQ_ERROR_NOMEM ZBQ_ERROR_AGAIN ZBQ_ERROR_IO
    ZBQ_ERROR_PROTOCOL ZBQ_ERROR_OVERFLOW ZBQ_ERROR_NOENT }
    of_enum! { zbq_wakeup_mode: ZBQ_WAKEUP_PUSH ZBQ_WAKEUP_PULL ZBQ_OBSERVE_PUSH ZBQ_OBSERVE_PULL }
    of_enum! { zbq_start_at: ZBQ_START_HEAD ZBQ_START_OLDEST ZBQ_START_LAST ZBQ_START_OFFSET
    ZBQ_START_WITHIN }
    of_enum! { zbq_seek_to: ZBQ_SEEK_OLDEST ZBQ_SEEK_NEWEST ZBQ_SEEK_HEAD }
    of_struct! { zbq_commit_flags: ZBQ_COMMIT_NONE ZBQ_COMMIT_FORCE_SCAN ZBQ_COMMIT_KEEP }
    of_struct! { zbq_eviction: ZBQ_EVICTION_NONE ZBQ_EVICTION_DEAD ZBQ_EVICTION_STALLED
    ZBQ_EVICTION_SIDE_STALLED ZBQ_EVICTION_PROTOCOL ZBQ_EVICTION_SLOW ZBQ_EVICTION_DEAR }
    of_struct! { zbq_ending: ZBQ_ENDING_NONE ZBQ_ENDING_CLOSED ZBQ_ENDING_PRODUCER_DIED
    ZBQ_ENDING_EVICTED ZBQ_ENDING_MALFORMED }
    list! {
        ZBQ_PARKING_PLACES: ZBQ_PARKING_PLACES,
        ZBQ_PROTOCOL_VERSION: ZBQ_PROTOCOL_VERSION,
        ZBQ_ALL_CONSUMERS: ZBQ_ALL_CONSUMERS,
        ZBQ_NAME_SIZE: ZBQ_NAME_SIZE,
        ZBQ_NO_SLOT: ZBQ_NO_SLOT,
    }
    text
}

#[test]
fn is_that_of_the_library() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/abi/layout.txt");
    let ours = layout::text() + &constants();
    assert_eq!(ours, std::fs::read_to_string(golden).unwrap());
}
