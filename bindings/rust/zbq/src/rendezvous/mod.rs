// SPDX-License-Identifier: MIT
//! How producers and those who read find each other: a named socket. What two sides say there is in the protocol's
//! description, and the same for every language.

mod admission;
mod approach;
mod collector;
mod collector_options;
mod connect;
mod dialing;
mod directory;
mod doorway;
mod greeting;
mod identity;
mod inspecting;
mod joining;
mod listener;
mod name;
mod order;
mod passed;
mod place;
mod socket;
mod source;
mod sources;
mod subscription;
mod thread_producers;
mod watch;

pub use admission::{ListenerOptions, Peer, Terms};
pub use collector::Collector;
pub use collector_options::CollectorOptions;
pub use connect::{connect, ConnectOptions};
pub use dialing::{dial, DialOptions, Dialing};
pub use inspecting::{inspect, Inspecting};
pub use joining::Joining;
pub use listener::{Listener, Newcomer};
pub use source::{Caller, Source};
pub use subscription::{Gap, GapCause, Next, Subscription};
pub use thread_producers::{Mine, ThreadProducers};
