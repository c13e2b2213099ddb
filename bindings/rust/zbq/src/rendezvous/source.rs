// SPDX-License-Identifier: MIT
//! A producer that has dialed in, and who it is.

use crate::consumer::Consumer;
use std::ffi::OsString;

/// Who dials in, by the kernel's account of who called connect; its name is its own word for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// Any bytes but zeros, 24 at most: look before they are printed.
    pub name: OsString,
    /// In this process's pid namespace; 0: nobody there.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Whether it waits for this collector: else that is an observer.
    pub waits: bool,
}

/// A producer that has dialed in to a [`Collector`](crate::Collector).
///
/// ```
/// # use zbq::{dial, Collector, CollectorOptions, DialOptions, Options, Producer};
/// # let name = format!("@zbq-doc-source-{}", std::process::id());
/// # let at = name.clone();
/// # let (tell, told) = std::sync::mpsc::channel();
/// let options = CollectorOptions::new().on_join(move |source| {
///     let (number, who, ring) = (source.number(), source.who(), source.ring());
///     println!("{}: {:?} of process {}", number, who.name, who.pid); // the name escaped
///     println!("{} bytes of ring", ring.capacity());
///     # tell.send((number, who.name.clone(), who.waits, ring.capacity())).unwrap();
/// });
/// let mut logs = Collector::new(&name, options)?;
/// # let publisher = std::thread::spawn(move || {
/// #     let mut producer = Producer::new(&Options::new().capacity(4096))?;
/// #     dial(&mut producer, at, None, &DialOptions::new().name("one"))
/// # });
/// # let told = loop {
/// #     logs.wait(None)?;
/// #     logs.serve(|_, _| ());
/// #     if let Ok(told) = told.try_recv() {
/// #         break told;
/// #     }
/// # };
/// # assert_eq!(told, (1, "one".into(), true, 4096));
/// # publisher.join().unwrap()?;
/// # Ok::<(), zbq::Error>(())
/// ```
#[derive(Debug)]
pub struct Source {
    who: Caller,
    number: u64,
    ring: Consumer,
}

impl Source {
    pub(super) fn new(who: Caller, number: u64, ring: Consumer) -> Self {
        Self { who, number, ring }
    }

    /// Who it is.
    pub fn who(&self) -> &Caller {
        &self.who
    }

    /// Tells it from all other sources of its collector: 1 for the first, then 2, and so on.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its ring, for capacity, type, id, what was lost and what is retained. Take no messages from it.
    pub fn ring(&self) -> &Consumer {
        &self.ring
    }
}
