// SPDX-License-Identifier: MIT
//! How consumers find a producer: a named socket. What two sides say there is in the protocol's
//! description, and the same for every language.

mod connect;
mod greeting;
mod identity;
mod listener;
mod name;
mod place;
mod socket;
mod watch;

pub use connect::{connect, ConnectOptions};
pub use listener::{Listener, ListenerOptions, Newcomer, Peer};
