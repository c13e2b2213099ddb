// SPDX-License-Identifier: MIT
//! Which types share a ring.

use crate::payload::Payload;

/// Types that share a ring, as an enum of them, which [`variants!`](crate::variants!) makes.
///
/// ```
/// use zbq::Variants;
/// zbq::variants! { #[derive(Debug, PartialEq)] enum Number { Whole(u64), Half([u32; 1]) } }
/// assert_eq!(Number::LAYOUTS, [(8, 8), (4, 4)]);
/// let half = Number::from([7]);
/// assert_eq!((half.flags(), half.bytes()), (2, zbq::bytes_of(&7_u32)));
/// ```
pub trait Variants: Copy + 'static {
    /// Size and alignment of each, in their order.
    const LAYOUTS: &'static [(usize, usize)];

    /// Tells which of them it is, in a message's flags: 1 for the first, then 2, and so on.
    fn flags(&self) -> u8;

    /// The value's bytes, which are the payload.
    fn bytes(&self) -> &[u8];

    /// A copy of the value that these flags and bytes are; `None`: there is no such type, or it is of
    /// another size. Ask afterwards whether the bytes were whole.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// use zbq::Variants;
    /// zbq::variants! { #[derive(Debug, PartialEq)] enum Number { Whole(u64), Half(u32) } }
    /// # let channel = zbq::VariantChannel::<Number>::new("number/1");
    /// # let mut producer = channel.producer(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
    /// # let consumer = channel.join(&far, zbq::Wakeup::Push)?;
    /// # producer.try_send_all(&[Number::Whole(1), Number::Half(2)])?;
    /// let batch = consumer.get_ref().take_batch(100);
    /// let numbers: Option<Vec<Number>> = batch
    ///     .iter()
    ///     .map(|message| Number::read(message.flags(), message.payload()))
    ///     .collect();
    /// batch.finish()?;
    /// assert_eq!(numbers, Some(vec![Number::Whole(1), Number::Half(2)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn read(flags: u8, payload: Payload<'_>) -> Option<Self>;
}

/// Enums of types that share a ring ([`VariantChannel`](crate::VariantChannel)): `Clone`, `Copy`,
/// [`Variants`](trait@crate::Variants), and [`From`] each of them. They are
/// [`Pod`](trait@crate::Pod), 255 at most, and no two are the same. Their order counts, as both sides
/// agree: add new ones at the end, and change the channel's name with the rest. Attributes and
/// visibility are as in any enum.
///
/// ```
/// #![forbid(unsafe_code)]
/// zbq::pod! {
///     #[derive(Debug, PartialEq)]
///     pub struct Trade {
///         pub price: f64,
///         pub volume: u64,
///     }
/// }
/// zbq::variants! {
///     /// What happens on a market.
///     #[derive(Debug, PartialEq)]
///     pub enum Event {
///         Trade(Trade),
///         /// That it is open from now on, until then.
///         Opened([u64; 2]),
///         Closed(u64),
///     }
/// }
/// assert_eq!(Event::from(17), Event::Closed(17));
/// ```
///
/// With a type for which some bytes mean nothing:
///
/// ```compile_fail,E0277
/// zbq::variants! {
///     enum Event {
///         Opened(bool),
///     }
/// }
/// ```
///
/// With one type twice:
///
/// ```compile_fail,E0119
/// zbq::variants! {
///     enum Event {
///         Opened(u64),
///         Closed(u64),
///     }
/// }
/// ```
#[macro_export]
macro_rules! variants {
    ($(
        $(#[$about:meta])*
        $seen:vis enum $name:ident {
            $($(#[$about_variant:meta])* $variant:ident($kind:ty)),+ $(,)?
        }
    )*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy)]
        $seen enum $name {
            $($(#[$about_variant])* $variant($kind),)+
        }

        $(impl ::core::convert::From<$kind> for $name {
            fn from(value: $kind) -> Self {
                Self::$variant(value)
            }
        })+

        impl $crate::Variants for $name {
            const LAYOUTS: &'static [(usize, usize)] = &[
                $((::core::mem::size_of::<$kind>(), ::core::mem::align_of::<$kind>())),+
            ];

            fn flags(&self) -> u8 {
                #[repr(u8)]
                #[allow(non_camel_case_types)]
                enum Flags {
                    _none,
                    $($variant),+
                }
                match self {
                    $(Self::$variant(_) => Flags::$variant as u8,)+
                }
            }

            fn bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant(value) => $crate::bytes_of(value),)+
                }
            }

            fn read(flags: u8, payload: $crate::Payload<'_>) -> ::core::option::Option<Self> {
                let mut number = 0;
                $(
                    number += 1;
                    if flags == number {
                        return payload.value().map(Self::$variant);
                    }
                )+
                ::core::option::Option::None
            }
        }
    )*};
}
