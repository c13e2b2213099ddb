// SPDX-License-Identifier: MIT
//! What both ends agree on.

use super::consumer::VariantConsumer;
use super::producer::VariantProducer;
use super::variants::Variants;
use crate::consumer::Consumer;
use crate::error::Result;
use crate::options::{Options, PayloadType, Wakeup};
use crate::typed::agreed::{checked_align, checked_size, Agreed};
use crate::typed::hash::{hash_on, type_hash};
use std::fmt;
use std::marker::PhantomData;
use std::os::unix::io::AsFd;

/// A ring whose messages are of several types, under a name that both sides agree on and should change
/// with what these mean ("market/2"). A message's flags say of which it is, and readers match on
/// that. Name, sizes and alignments travel in the join, as one hash; a consumer of another channel is
/// refused. `zbq::variant_channel` of C++ joins this one, and the other way round, where the types are
/// laid out alike and stand in the same order.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// use zbq::{Options, VariantChannel, Wakeup};
///
/// zbq::pod! {
///     pub struct Trade {
///         pub price: f64,
///         pub volume: u64,
///     }
///     pub struct Quote {
///         pub bid: f64,
///         pub ask: f64,
///         pub symbol: u64,
///     }
/// }
/// zbq::variants! {
///     pub enum Event {
///         Trade(Trade),
///         Quote(Quote),
///     }
/// }
/// const MARKET: VariantChannel<Event> = VariantChannel::new("market/1");
///
/// let mut producer = MARKET.producer(&Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// producer.get_mut().admit(&near, Wakeup::Push)?; // or with a listener
/// let consumer = MARKET.join(&far, Wakeup::Push)?; // or with connect
///
/// producer.try_send(Trade { price: 1.5, volume: 100 })?;
/// match consumer.try_next()? {
///     Event::Trade(trade) => assert_eq!(trade.volume, 100),
///     Event::Quote(quote) => println!("{} to {}", quote.bid, quote.ask),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With a type that is aligned to more than a payload it does not compile:
///
/// ```compile_fail,E0080
/// #[derive(Clone, Copy)]
/// #[repr(C, align(32))]
/// struct Wide([u8; 32]);
/// unsafe impl zbq::Pod for Wide {}
/// zbq::variants! { enum Event { Narrow(u64), Wide(Wide) } }
/// const WIDE: zbq::VariantChannel<Event> = zbq::VariantChannel::new("wide/1");
/// ```
pub struct VariantChannel<V> {
    agreed: Agreed,
    payload: PhantomData<fn() -> V>,
}

impl<V: Variants> VariantChannel<V> {
    // Looked at when this is compiled, for each enum.
    const LAYOUTS: &'static [(usize, usize)] = checked(V::LAYOUTS);

    /// A channel of this name.
    pub const fn new(name: &'static str) -> Self {
        Self {
            agreed: Agreed::new(name, told(name, Self::LAYOUTS)),
            payload: PhantomData,
        }
    }

    /// What the join says.
    ///
    /// ```
    /// zbq::variants! { enum Number { Whole(u64), Half(u32) } }
    /// const NUMBERS: zbq::VariantChannel<Number> = zbq::VariantChannel::new("foobar");
    /// let told = NUMBERS.payload_type();
    /// assert_ne!(told.hash, zbq::type_hash("foobar"));
    /// assert_eq!((told.size, told.align), (0, 8)); // sizes vary
    /// ```
    ///
    /// The hash is that of the name ([`type_hash`](crate::type_hash)), onto which each type's size and
    /// alignment are hashed, as four bytes each, the lowest first.
    pub const fn payload_type(&self) -> PayloadType {
        self.agreed.payload_type()
    }

    /// Makes a ring.
    ///
    /// # Errors
    ///
    /// As [`Producer::new`](crate::Producer::new).
    pub fn producer(&self, options: &Options) -> Result<VariantProducer<V>> {
        VariantProducer::new(options, self.payload_type())
    }

    /// Takes over a consumer, of [`connect`](crate::connect()) for instance, that receives these
    /// types. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch): it receives something else, and was dropped.
    /// The text says what.
    pub fn consumer(&self, untyped: Consumer) -> Result<VariantConsumer<V>> {
        self.check(&untyped)?;
        Ok(VariantConsumer::new(untyped))
    }

    /// Joins through a socket. Waits as [`Consumer::join`] does.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`], and [`Error::TypeMismatch`](crate::Error::TypeMismatch).
    pub fn join(&self, socket: impl AsFd, wakeup: Wakeup) -> Result<VariantConsumer<V>> {
        self.consumer(Consumer::join(socket, wakeup)?)
    }

    /// Whether this consumer receives these types. For one that stays untyped, and reads each message
    /// with [`Variants::read`]. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch): it receives something else.
    pub fn check(&self, consumer: &Consumer) -> Result<()> {
        let count = V::LAYOUTS.len();
        self.agreed.check(consumer, format_args!("{count} types"))
    }
}

const fn checked(layouts: &'static [(usize, usize)]) -> &'static [(usize, usize)] {
    let mut at = 0;
    while at < layouts.len() {
        checked_size(layouts[at].0);
        checked_align(layouts[at].1);
        at += 1;
    }
    layouts
}

// Of layouts that were checked.
const fn told(name: &str, layouts: &[(usize, usize)]) -> PayloadType {
    let (mut hash, mut align) = (type_hash(name), 0);
    let mut at = 0;
    while at < layouts.len() {
        let (size_of_it, align_of_it) = (layouts[at].0 as u32, layouts[at].1 as u32);
        hash = hash_on(hash, &size_of_it.to_le_bytes());
        hash = hash_on(hash, &align_of_it.to_le_bytes());
        if align_of_it > align {
            align = align_of_it;
        }
        at += 1;
    }
    PayloadType {
        hash,
        size: 0,
        align,
    }
}

impl<V> Clone for VariantChannel<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for VariantChannel<V> {}

impl<V> fmt::Debug for VariantChannel<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VariantChannel")
            .field(&self.agreed.name())
            .finish()
    }
}
