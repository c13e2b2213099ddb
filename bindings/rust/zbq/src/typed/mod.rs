// SPDX-License-Identifier: MIT
//! Rings whose messages are all of one type.

pub(crate) mod agreed;
mod batch;
mod channel;
mod consumer;
pub(crate) mod hash;
mod place;
mod producer;
mod received;

pub use batch::TypedBatch;
pub use channel::Channel;
pub use consumer::TypedConsumer;
pub use hash::type_hash;
pub use place::Place;
pub use producer::TypedProducer;
pub use received::{Places, ReceivedBatch};
