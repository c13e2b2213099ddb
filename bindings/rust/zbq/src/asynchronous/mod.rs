// SPDX-License-Identifier: MIT
//! Reading in tokio's event loop.

mod consumer;
mod events;
#[cfg(feature = "stream")]
mod stream;
mod subscription;

pub use consumer::AsyncConsumer;
pub use subscription::{AsyncSubscription, NextVec};
