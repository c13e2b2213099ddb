// SPDX-License-Identifier: MIT
//! Buffers for frames, which are sent by naming them and come back when all have let go.

mod frame;
mod memory;
mod note;
mod pool;
mod reader;
mod received;

pub use frame::{Frame, NotPublished};
pub use pool::{FramePool, FramePoolOptions};
pub use reader::Frames;
pub use received::ReceivedFrame;
