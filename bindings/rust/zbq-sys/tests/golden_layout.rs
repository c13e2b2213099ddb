// SPDX-License-Identifier: MIT
//! The layouts asserted here are the ones on the library's own list.

#[allow(unused_imports)] // for the module, which takes them from the crate's root
use zbq_sys::*;

#[path = "../src/layout.rs"]
#[allow(clippy::duplicate_mod)]
mod layout;

#[test]
fn is_that_of_the_library() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/abi/layout.txt");
    assert_eq!(layout::text(), std::fs::read_to_string(golden).unwrap());
}
