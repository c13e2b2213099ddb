// SPDX-License-Identifier: MIT
//! What both ends agree on.

use super::agreed::{checked_align, checked_size, Agreed};
use super::consumer::TypedConsumer;
use super::hash::type_hash;
use super::producer::TypedProducer;
use crate::consumer::Consumer;
use crate::error::Result;
use crate::options::{Options, PayloadType, Wakeup};
use crate::pod::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::os::unix::io::AsFd;

/// A ring whose messages are all of type `T`, under a name that both sides agree on and should
/// change with `T`'s meaning ("quote/2"). Size, alignment and the name's hash travel in the join; a
/// consumer of another type is refused. `zbq::channel<T, "quote/1">` of C++ joins this one, and the
/// other way round, where the structs are laid out alike.
///
/// ```
/// # use std::os::unix::net::UnixStream;
/// use zbq::{Channel, Options, Wakeup};
///
/// zbq::pod! {
///     pub struct Quote {
///         pub bid: f64,
///         pub ask: f64,
///         pub symbol: u64,
///     }
/// }
/// const QUOTES: Channel<Quote> = Channel::new("quote/1");
///
/// let mut producer = QUOTES.producer(&Options::new())?;
/// # let (near, far) = UnixStream::pair()?;
/// producer.get_mut().admit(&near, Wakeup::Push)?; // or with a listener
/// let consumer = QUOTES.join(&far, Wakeup::Push)?; // or with connect
///
/// producer.try_send(&Quote { bid: 1.0, ask: 2.0, symbol: 3 })?;
/// assert_eq!(consumer.try_next()?.symbol, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A type that is aligned to more than a payload, or of no bytes, does not compile:
///
/// ```compile_fail,E0080
/// #[derive(Clone, Copy)]
/// #[repr(C, align(32))]
/// struct Wide([u8; 32]);
/// unsafe impl zbq::Pod for Wide {}
/// const WIDE: zbq::Channel<Wide> = zbq::Channel::new("wide/1");
/// ```
///
/// ```compile_fail,E0080
/// const NOTHING: zbq::Channel<[u8; 0]> = zbq::Channel::new("nothing/1");
/// ```
pub struct Channel<T> {
    agreed: Agreed,
    payload: PhantomData<fn() -> T>,
}

impl<T: Pod> Channel<T> {
    // Looked at when this is compiled, for each type.
    const SIZE: u32 = checked_size(size_of::<T>());
    const ALIGN: u32 = checked_align(align_of::<T>());

    /// A channel of this name.
    pub const fn new(name: &'static str) -> Self {
        Self {
            agreed: Agreed::new(
                name,
                PayloadType {
                    hash: type_hash(name),
                    size: Self::SIZE,
                    align: Self::ALIGN,
                },
            ),
            payload: PhantomData,
        }
    }

    /// What the join says.
    ///
    /// ```
    /// const NUMBERS: zbq::Channel<u32> = zbq::Channel::new("foobar");
    /// let told = NUMBERS.payload_type();
    /// assert_eq!(told.hash, 0x85944171f73967e8); // FNV-1a
    /// assert_eq!((told.size, told.align), (4, 4));
    /// ```
    pub const fn payload_type(&self) -> PayloadType {
        self.agreed.payload_type()
    }

    /// Makes a ring.
    ///
    /// # Errors
    ///
    /// As [`Producer::new`](crate::Producer::new).
    pub fn producer(&self, options: &Options) -> Result<TypedProducer<T>> {
        TypedProducer::new(options, self.payload_type())
    }

    /// Takes over a consumer, of [`connect`](crate::connect()) for instance, that receives this
    /// type. Never waits.
    ///
    /// ```
    /// # use std::os::unix::net::UnixStream;
    /// # let channel = zbq::Channel::<u64>::new("number/1");
    /// # let mut producer = channel.producer(&zbq::Options::new())?;
    /// # let (near, far) = UnixStream::pair()?;
    /// # producer.get_mut().admit(&near, zbq::Wakeup::Push)?;
    /// let consumer = zbq::Consumer::join(&far, zbq::Wakeup::Push)?;
    /// let later = zbq::Channel::<u64>::new("number/2");
    /// assert!(matches!(later.consumer(consumer), Err(zbq::Error::TypeMismatch(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch): it receives something else, and was dropped.
    /// The text says what.
    pub fn consumer(&self, untyped: Consumer) -> Result<TypedConsumer<T>> {
        self.check(&untyped)?;
        Ok(TypedConsumer::new(untyped))
    }

    /// Joins through a socket. Waits as [`Consumer::join`] does.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`], and [`Error::TypeMismatch`](crate::Error::TypeMismatch).
    pub fn join(&self, socket: impl AsFd, wakeup: Wakeup) -> Result<TypedConsumer<T>> {
        self.consumer(Consumer::join(socket, wakeup)?)
    }

    /// Whether this consumer receives this type. For one that stays untyped, as an asynchronous one
    /// does, and reads each message with [`Message::value`](crate::Message::value). Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch): it receives something else.
    pub fn check(&self, consumer: &Consumer) -> Result<()> {
        let (size, align) = (Self::SIZE, Self::ALIGN);
        self.agreed
            .check(consumer, format_args!("{size} bytes, aligned to {align}"))
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Channel<T> {}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.agreed.name()).finish()
    }
}
