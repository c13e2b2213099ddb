// SPDX-License-Identifier: MIT
//! Rings whose messages are of several types, each of which says of which it is.

mod channel;
mod consumer;
mod producer;
mod variants;

pub use channel::VariantChannel;
pub use consumer::VariantConsumer;
pub use producer::VariantProducer;
pub use variants::Variants;
