// SPDX-License-Identifier: MIT
//! How consumers find a producer: a named socket. What two sides say there is in the protocol's
//! description, and the same for every language.

mod connect;
mod greeting;
mod identity;
mod joining;
mod listener;
mod name;
mod place;
mod socket;
mod subscription;
mod watch;

pub use connect::{connect, ConnectOptions};
pub use joining::Joining;
pub use listener::{Listener, ListenerOptions, Newcomer, Peer};
pub use subscription::{Gap, GapCause, Next, Subscription};
