// SPDX-License-Identifier: MIT
//! Raw declarations of zbq, a zero-copy broadcast queue for Linux.
//!
//! These are the names, layouts and calls of `zbq.h`, which describes what each does, whether it
//! blocks, who owns what, and each result. The crate `zbq` is the safe interface.
//!
//! The library itself is built from its single header by a C++20 compiler and needs no C++
//! run-time library. With the feature `system` an installed one is linked, as pkg-config finds it.
//!
//! Every size, alignment, offset and width is asserted when this is compiled.
#![allow(non_camel_case_types)]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("zbq is for Linux on 64-bit processors");

mod calls;
mod constants;
mod inline;
mod layout;
mod records;
mod shared;

pub use calls::*;
pub use constants::*;
pub use inline::*;
pub use records::*;
pub use shared::*;
