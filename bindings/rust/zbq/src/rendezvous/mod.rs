// SPDX-License-Identifier: MIT
//! How producers and those who read find each other: a named socket. What two sides say there is in the protocol's
//! description, and the same for every language.

mod admission;
mod approach;
mod connect;
mod directory;
mod doorway;
mod greeting;
mod identity;
mod joining;
mod listener;
mod name;
mod passed;
mod place;
mod socket;
mod subscription;
mod watch;

pub use admission::{ListenerOptions, Peer, Terms};
pub use connect::{connect, ConnectOptions};
pub use joining::Joining;
pub use listener::{Listener, Newcomer};
pub use subscription::{Gap, GapCause, Next, Subscription};
