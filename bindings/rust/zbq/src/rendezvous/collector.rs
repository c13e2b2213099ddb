// SPDX-License-Identifier: MIT
//! One who reads from many: producers dial in.

use super::collector_options::CollectorOptions;
use super::doorway::Doorway;
use super::identity::mode_for;
use super::name;
use super::order::Order;
use super::place::{Directory, Place};
use super::source::Source;
use super::sources::{Affair, Sources};
use super::watch::{Bell, Epoll, Timer};
use crate::consumer::{Consumer, Found};
use crate::error::Result;
use crate::message::Message;
use crate::message_batch::{MessageBatch, MessageView};
use crate::piece::Visited;
use crate::poll;
use std::ffi::OsStr;
use std::fmt;
use std::mem;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Beside the numbers of sources.
const BELL: u64 = 0;
const DOOR: u64 = u64::MAX;

/// Listens at a name (see [`Listener`](crate::Listener)) for producers that dial in (see
/// [`dial`](crate::dial())), and reads all of their rings. Nothing that one of them does blocks it, or
/// keeps another's messages waiting for longer than a turn.
///
/// ```
/// use zbq::{dial, Collector, CollectorOptions, DialOptions, Options, Producer};
/// # let name = format!("@zbq-doc-collector-{}", std::process::id());
/// # let at = name.clone();
/// // Each of many:
/// # let publisher = std::thread::spawn(move || {
/// let mut producer = Producer::new(&Options::new())?;
/// # let name = at;
/// dial(&mut producer, &name, None, &DialOptions::new())?;
/// producer.publish(b"hello", None)?;
/// # Ok::<(), zbq::Error>(())
/// # });
///
/// // And the one who reads:
/// let mut logs = Collector::new(&name, CollectorOptions::new())?;
/// # let mut all = Vec::new();
/// loop {
///     logs.wait(None)?;
///     logs.serve(|source, batch| {
///         for message in &batch {
///             println!("{:?}: {} bytes", source.who().name, message.payload().len());
///             # all.push(message.payload().to_vec());
///         }
///     });
///     # if !all.is_empty() {
///     #     break;
///     # }
/// }
/// # assert_eq!(all, [b"hello"]);
/// # publisher.join().unwrap()?;
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// Its descriptor ([`AsFd`]) becomes readable when [`serve`](Self::serve) has something to do: for
/// `poll` and the like; never read from it.
///
/// One thread at a time: it is `Send`, and not `Sync`. In a forked child it does nothing.
pub struct Collector {
    door: Doorway<Affair>,
    sources: Sources,
    order: Order,
    epoll: Epoll, // of the door, the sources, and the next two
    bell: Bell,   // while a source is ready
    timer: Timer, // what waits in order is due
}

impl Collector {
    /// Takes the name, as a listener does.
    ///
    /// # Errors
    ///
    /// As [`Listener::new`](crate::Listener::new).
    pub fn new(name: impl AsRef<OsStr>, options: CollectorOptions) -> Result<Self> {
        let place = Place::of(name.as_ref(), Directory::Create)?;
        let named = name::listen_at(&place, mode_for(!options.listed.is_empty()))?;
        let collector = Self {
            door: Doorway::new(named, options.strangers)?,
            sources: Sources::new(options),
            order: Order::default(),
            epoll: Epoll::new()?,
            bell: Bell::new()?,
            timer: Timer::new()?,
        };
        collector.epoll.add_as(DOOR, &collector.door)?;
        collector.epoll.add_as(BELL, &collector.bell)?;
        collector.epoll.add_as(BELL, &collector.timer)?;
        Ok(collector)
    }

    /// Waits until [`serve`](Self::serve) has something to do; without a time-out for ever. Sleeps in
    /// poll.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let name = format!("@zbq-doc-wait-{}", std::process::id());
    /// let logs = zbq::Collector::new(&name, zbq::CollectorOptions::new())?;
    /// let waited = logs.wait(Some(Duration::from_millis(1)));
    /// assert!(matches!(waited, Err(zbq::Error::Again))); // nobody came
    /// # Ok::<(), zbq::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Again`](crate::Error::Again): not within the time. [`Error::Io`](crate::Error::Io): it
    /// cannot wait.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        poll::wait(self.as_fd(), timeout)
    }

    /// Lets newcomers in, and gives each source that has messages a turn: `give` is given the source
    /// and a batch of its messages, of which there is one at least (unless it does not wait for this
    /// collector, and has written over them meanwhile). What is not visited comes with the next turn.
    /// Never blocks. Gives how many batches there were; 0: there is nothing to read now.
    ///
    /// What was read is checked as always: [`MessageBatch::is_intact`], or the messages themselves.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # let name = format!("@zbq-doc-serve-all-{}", std::process::id());
    /// # let mut logs = zbq::Collector::new(&name, zbq::CollectorOptions::new())?;
    /// let mut bytes = HashMap::new();
    /// let turns = logs.serve(|source, batch| {
    ///     let of_source: &mut usize = bytes.entry(source.number()).or_default();
    ///     for message in &batch {
    ///         *of_source += message.payload().len();
    ///     }
    /// });
    /// # assert_eq!((turns, bytes.len()), (0, 0));
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn serve(&mut self, mut give: impl FnMut(&Source, MessageBatch<'_>)) -> usize {
        if !self.door.is_here() {
            return 0;
        }
        let mut ringing = Ringing::of(self);
        ringing.collector.look_around();
        let turns = ringing.collector.sources.count_ready();
        let given = (0..turns)
            .filter(|_| ringing.collector.give_turn(&mut give))
            .count();
        ringing.is_more = ringing.collector.sources.count_ready() != 0;
        given
    }

    /// The same, one message after the other in the order of a key over all sources: the time of day in
    /// each message, for instance. A message is given once every source has a later one, or it has
    /// waited for [`hold`](CollectorOptions::hold). What comes later than that is given at once, after
    /// those that should have come behind it. Gives how many messages there were. Use one of the two,
    /// not both.
    ///
    /// `key_of` makes the key of a message, whose bytes may be torn; `give` is given the source and the
    /// message, which holds its room in the ring as long as it lives.
    ///
    /// ```
    /// # let name = format!("@zbq-doc-in-order-{}", std::process::id());
    /// # let mut logs = zbq::Collector::new(&name, zbq::CollectorOptions::new())?;
    /// // Each message begins with its time.
    /// let given = logs.serve_in_order(
    ///     |message| message.payload().array(0).map_or(0, u64::from_ne_bytes),
    ///     |source, message| println!("{:?}: {} bytes", source.who().name, message.len()),
    /// );
    /// # assert_eq!(given, 0);
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn serve_in_order(
        &mut self,
        mut key_of: impl FnMut(&MessageView<'_>) -> u64,
        mut give: impl FnMut(&Source, Message<'_>),
    ) -> usize {
        if !self.door.is_here() {
            return 0;
        }
        let mut ringing = Ringing::of(self);
        let collector = &mut *ringing.collector;
        collector.look_around();
        let most = collector.sources.most_in_order();
        collector.take_all(&mut key_of);
        let due = collector.order.due_key(collector.sources.options.hold);
        let mut given = 0;
        let mut turns = 0;
        while turns != most && collector.is_first_due(due) {
            given += usize::from(collector.give_first(&mut give));
            turns += 1;
            collector.take_all(&mut key_of);
        }
        let next = collector.order.next_due(collector.sources.options.hold);
        collector.timer.ring_at(next);
        ringing.is_more = turns == most || collector.sources.count_ready() != 0;
        given
    }

    /// How many sources there are.
    ///
    /// ```
    /// # let name = format!("@zbq-doc-len-{}", std::process::id());
    /// let logs = zbq::Collector::new(&name, zbq::CollectorOptions::new())?;
    /// assert_eq!(logs.len(), 0);
    /// assert!(logs.is_empty());
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // Then whoever has something to read is ready.
    fn look_around(&mut self) {
        let Self {
            door,
            sources,
            epoll,
            ..
        } = self;
        let mut is_called = false;
        for number in epoll.told() {
            is_called = is_called || number == DOOR;
            sources.note(number);
        }
        if is_called {
            // last: a function of the options may panic
            door.serve(|who| sources.is_settled(who, epoll));
        }
    }

    // To the first of those that are ready. Whether there was something.
    fn give_turn(&mut self, give: &mut impl FnMut(&Source, MessageBatch<'_>)) -> bool {
        let (number, found) = match self.sources.first_ready() {
            Some(source) => (source.number(), source.ring().peek_at_next()),
            None => return false,
        };
        if let Err(why) = found {
            self.sources.rest_first(why, &self.epoll);
            return false;
        }
        self.sources.put_back(); // behind the others, also where this panics
        if let Some(source) = self.sources.get(number) {
            let batch = source.ring().take_batch(self.sources.options.turn);
            give(source, batch);
        }
        true
    }

    // ---- in order ----

    // The next message of each that is ready. Where no key can be made of it, it stays so.
    fn take_all(&mut self, key_of: &mut impl FnMut(&MessageView<'_>) -> u64) {
        for _ in 0..self.sources.count_ready() {
            let source = match self.sources.first_ready() {
                Some(source) => source,
                None => return,
            };
            match source.ring().peek_at_next() {
                Ok(found) => {
                    let offset = found.view.logical_offset;
                    let key = key_by(key_of, source.ring(), found);
                    self.order.hold(key, source.number(), offset);
                    self.sources.take_first();
                }
                Err(why) => self.sources.rest_first(why, &self.epoll),
            }
        }
    }

    // Whether every source has a message, or that with the first key has waited for long enough.
    fn is_first_due(&self, due: Option<u64>) -> bool {
        let is_complete = self.order.len() == self.sources.len();
        let is_late = |key| due.map_or(false, |due| key <= due);
        let first = self.order.first_key();
        first.map_or(false, |key| is_complete || is_late(key))
    }

    // Not one that was written over since its key was made: the source has another one then.
    fn give_first(&mut self, give: &mut impl FnMut(&Source, Message<'_>)) -> bool {
        let held = match self.order.take_first() {
            Some(held) => held,
            None => return false,
        };
        self.sources.make_ready(held.number);
        let source = match self.sources.get(held.number) {
            Some(source) => source,
            None => return false,
        };
        match source.ring().peek_at_next() {
            Ok(found) if found.view.logical_offset == held.offset => {
                give(source, source.ring().take_peeked(&found));
                true
            }
            _ => false,
        }
    }
}

/// Rings at the end of a call, also where a function that was given to it panics.
struct Ringing<'c> {
    collector: &'c mut Collector,
    is_more: bool,
}

impl<'c> Ringing<'c> {
    fn of(collector: &'c mut Collector) -> Self {
        Self {
            collector,
            is_more: true,
        }
    }
}

impl Drop for Ringing<'_> {
    fn drop(&mut self) {
        self.collector.bell.ring(self.is_more);
    }
}

/// Passes over a message that was peeked at: one of which no key could be made.
struct PassOver<'c> {
    ring: &'c Consumer,
    found: Found,
}

impl Drop for PassOver<'_> {
    fn drop(&mut self) {
        drop(self.ring.take_peeked(&self.found));
    }
}

fn key_by(key_of: &mut impl FnMut(&MessageView<'_>) -> u64, ring: &Consumer, found: Found) -> u64 {
    let in_vain = PassOver { ring, found };
    // SAFETY: it lies there, and stays until it is taken.
    let message = unsafe { MessageView::new(ring, Visited::of(&in_vain.found)) };
    let key = key_of(&message);
    mem::forget(in_vain);
    key
}

impl AsFd for Collector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

// What tokio's `AsyncFd` asks for.
impl AsRawFd for Collector {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("options", &self.sources.options)
            .field("sources", &self.len())
            .finish_non_exhaustive()
    }
}
