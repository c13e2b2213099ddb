// SPDX-License-Identifier: MIT
//! What can be a message as it is.

use std::mem::size_of;

/// Plain old data: a type whose bytes are all that there is of it, so that they can go through
/// shared memory. [`pod!`](crate::pod!) makes such structs, and checks them.
///
/// # Safety
///
/// - Any bytes are a value of it: a hostile producer sends any, and a torn read makes up some. So
///   no `bool`, no `char`, no `enum`, no reference; a number instead, which the reader checks.
/// - There is no padding, whose bytes would not be initialized.
/// - It has no pointers, and no descriptors: they mean nothing in another process.
/// - For other programs to read it, its layout is fixed: `#[repr(C)]`, or a number's.
///
/// ```
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Celsius(f64);
///
/// // SAFETY: a number, and nothing else.
/// unsafe impl zbq::Pod for Celsius {}
/// ```
pub unsafe trait Pod: Copy + 'static {}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        // SAFETY: a number takes any bits, and has as many as its bytes.
        unsafe impl Pod for $number {}
    )*};
}
// Those of 128 bits are aligned as the compiler does it, which has changed; a join compares it.
numbers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }

// SAFETY: one after the other, with nothing in between.
unsafe impl<T: Pod, const N: usize> Pod for [T; N] {}

/// The bytes of a value, as a message has them. [`Payload::value`](crate::Payload::value) is the way
/// back.
///
/// ```
/// let mut producer = zbq::Producer::new(&zbq::Options::new())?;
/// producer.try_publish(zbq::bytes_of(&[1.5_f64, 2.5]))?;
/// # assert_eq!(zbq::bytes_of(&1.5_f64), 1.5_f64.to_ne_bytes());
/// # Ok::<(), zbq::Error>(())
/// ```
#[inline]
pub fn bytes_of<T: Pod>(value: &T) -> &[u8] {
    let first = (value as *const T).cast();
    // SAFETY: all of the value, which has no byte that is not initialized.
    unsafe { std::slice::from_raw_parts(first, size_of::<T>()) }
}

/// Structs that are plain old data, without `unsafe`: `#[repr(C)]`, `Clone`, `Copy` and
/// [`Pod`](trait@crate::Pod). The fields are such data, too, and there is no padding between or
/// after them; else it does not compile. Attributes and visibility are as in any struct.
///
/// ```
/// #![forbid(unsafe_code)]
/// zbq::pod! {
///     /// What someone would pay, and get.
///     #[derive(Debug, PartialEq)]
///     pub struct Quote {
///         pub bid: f64,
///         pub ask: f64,
///         pub symbol: u32,
///         /// Instead of padding.
///         pub reserved: [u8; 4],
///     }
/// }
/// let quote = Quote { bid: 1.0, ask: 2.0, symbol: 3, reserved: [0; 4] };
/// assert_eq!(quote.clone(), quote);
/// ```
///
/// With padding, after the symbol or before the price:
///
/// ```compile_fail,E0080
/// zbq::pod! {
///     struct Quote {
///         bid: f64,
///         symbol: u32,
///     }
/// }
/// ```
///
/// ```compile_fail,E0080
/// zbq::pod! {
///     struct Quote {
///         symbol: u32,
///         bid: f64,
///     }
/// }
/// ```
///
/// With a field that is not there, and would hide it:
///
/// ```compile_fail,E0026
/// zbq::pod! {
///     struct Quote {
///         symbol: u32,
///         #[cfg(target_os = "none")]
///         more: u32,
///         bid: f64,
///     }
/// }
/// ```
///
/// With a field for which some bytes mean nothing:
///
/// ```compile_fail,E0277
/// zbq::pod! {
///     struct Order {
///         is_sale: bool,
///     }
/// }
/// ```
///
/// ```compile_fail,E0277
/// zbq::pod! {
///     struct Order {
///         text: &'static str,
///     }
/// }
/// ```
#[macro_export]
macro_rules! pod {
    ($(
        $(#[$about:meta])*
        $seen:vis struct $name:ident {
            $($(#[$about_field:meta])* $field_seen:vis $field:ident: $kind:ty),* $(,)?
        }
    )*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        $seen struct $name {
            $($(#[$about_field])* $field_seen $field: $kind,)*
        }

        // SAFETY: what follows makes sure of it.
        unsafe impl $crate::Pod for $name {}

        const _: () = {
            assert!(
                ::core::mem::size_of::<$name>() == 0 $(+ ::core::mem::size_of::<$kind>())*,
                "there is padding between the fields, or after them"
            );
            // Also that these are the struct's fields, of these types: an attribute may have
            // changed it.
            #[allow(dead_code)]
            fn each_is_plain(value: $name) {
                fn is_plain<T: $crate::Pod>(_: T) {}
                let $name { $($field),* } = value;
                $(is_plain::<$kind>($field);)*
            }
        };
    )*};
}
