// SPDX-License-Identifier: MIT
//! For programs whose threads all publish.

use super::dialing::{DialOptions, Dialing};
use crate::attached::Attached;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::process::Birthmark;
use crate::producer::Producer;
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What all threads' lines of one object have in common.
#[derive(Debug)]
struct Settings {
    collector: OsString,
    ring: Options,
    dial: DialOptions,
    patience: Duration,
}

/// Of one thread: its ring, which stays dialed in while its thread publishes.
struct Line {
    birth: Birthmark,
    settings: Weak<Settings>, // no other has their place meanwhile
    ring: Producer,
}

impl Line {
    fn new(settings: &Arc<Settings>) -> Result<Self> {
        let mut ring = Producer::new(&settings.ring)?;
        let way = ring.attach(Dialing::new(&settings.collector, &settings.dial)?);
        match ring.serve_until(Some(settings.patience), |ring| is_dialed_in(ring, &way)) {
            Ok(()) | Err(Error::Again) => Ok(Self {
                birth: Birthmark::new()?,
                settings: Arc::downgrade(settings),
                ring,
            }),
            Err(error) => Err(error),
        }
    }

    fn belongs_to(&self, settings: &Arc<Settings>) -> bool {
        self.settings.as_ptr() == Arc::as_ptr(settings) && self.birth.is_here()
    }

    // Its object is gone, or it is another process's.
    fn is_over(&self) -> bool {
        self.settings.strong_count() == 0 || !self.birth.is_here()
    }
}

fn is_dialed_in(ring: &Producer, way: &Attached<Dialing>) -> bool {
    ring.attached(way)
        .map_or(false, |way| way.is_dialed_in(ring))
}

thread_local! {
    // They go with the thread.
    static LINES: RefCell<Vec<Line>> = RefCell::new(Vec::new());
}

/// A producer for each thread that publishes, which dials in to a collector: threads share nothing,
/// and wait for nobody. The collector has a source for each of them, and can put their messages in
/// order. Any thread may use it at any time while it lives.
///
/// ```
/// use zbq::{Collector, CollectorOptions, DialOptions, Options, ThreadProducers};
/// # use std::sync::mpsc;
/// let name = format!("@zbq-doc-threads-{}", std::process::id());
/// # let (tell, told) = mpsc::channel();
/// # let options = CollectorOptions::new().on_end(move |_, _| tell.send(()).unwrap());
/// # let mut logs = Collector::new(&name, options)?;
/// let a_second = std::time::Duration::from_secs(1);
/// let trace = ThreadProducers::new(&name, &Options::new(), &DialOptions::new(), a_second);
/// # let mut count = 0;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| trace.mine()?.publish(b"hello", None)); // in any thread
///     }
///     # for _ in 0..4 {
///     #     while told.try_recv().is_err() {
///     #         logs.wait(None).unwrap();
///     #         logs.serve(|_, batch| count += batch.iter().count());
///     #     }
///     # }
/// });
/// # assert_eq!(count, 4);
/// # Ok::<(), zbq::Error>(())
/// ```
#[derive(Debug)]
pub struct ThreadProducers {
    settings: Arc<Settings>,
}

impl ThreadProducers {
    /// For the collector of this name: what each thread's ring is like, how it dials in, and how long a
    /// thread's first call waits for the collector. A thread whose collector comes later dials in while
    /// it publishes.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use zbq::{DialOptions, Options, ThreadProducers};
    /// let (ring, dial) = (Options::new(), DialOptions::new());
    /// let trace = ThreadProducers::new("@zbq-doc-nobody", &ring, &dial, Duration::ZERO);
    /// trace.mine()?.try_publish(b"kept for who comes")?;
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn new(
        collector: impl AsRef<OsStr>,
        ring: &Options,
        dial: &DialOptions,
        patience: Duration,
    ) -> Self {
        Self {
            settings: Arc::new(Settings {
                collector: collector.as_ref().to_owned(),
                ring: ring.clone(),
                dial: dial.clone(),
                patience,
            }),
        }
    }

    /// The calling thread's own, which is made by its first call and ends with the thread. In a forked
    /// child the thread has none yet. What the collector has not read by then it still reads, if it had
    /// come. A thread that asks again before it has let go of the first has two.
    ///
    /// # Errors
    ///
    /// Of the thread's first call, as [`Producer::new`] and [`Dialing::step`].
    pub fn mine(&self) -> Result<Mine<'_>> {
        let line = match take_line(|line| line.belongs_to(&self.settings)) {
            Some(line) => line,
            None => {
                drop_lines(Line::is_over);
                Line::new(&self.settings)?
            }
        };
        Ok(Mine {
            line: Some(line),
            thread: PhantomData,
        })
    }
}

/// Ends the stream of this thread. Those of others end with their threads.
impl Drop for ThreadProducers {
    fn drop(&mut self) {
        drop_lines(|line| line.is_over() || line.belongs_to(&self.settings));
    }
}

fn take_line(is_wanted: impl Fn(&Line) -> bool) -> Option<Line> {
    let taken = LINES.try_with(|lines| {
        let mut lines = lines.borrow_mut();
        let place = lines.iter().position(is_wanted)?;
        Some(lines.swap_remove(place))
    });
    taken.ok().flatten() // there are none any more where the thread ends
}

// One after the other: what goes with one may ask for another.
fn drop_lines(is_unwanted: impl Fn(&Line) -> bool) {
    while let Some(line) = take_line(&is_unwanted) {
        drop(line);
    }
}

/// The calling thread's producer, for as long as it is used: see [`ThreadProducers::mine`].
///
/// ```
/// # use std::time::Duration;
/// # use zbq::{DialOptions, Options, ThreadProducers};
/// # let (ring, dial) = (Options::new(), DialOptions::new());
/// # let trace = ThreadProducers::new("@zbq-doc-nobody", &ring, &dial, Duration::ZERO);
/// let id = trace.mine()?.id();
/// let mut mine = trace.mine()?;
/// assert_eq!(mine.id(), id); // the same ring
/// mine.try_publish(b"one")?;
/// mine.try_publish(b"two")?;
/// # Ok::<(), zbq::Error>(())
/// ```
///
/// It stays with its thread:
///
/// ```compile_fail,E0277
/// # use std::time::Duration;
/// # use zbq::{DialOptions, Options, ThreadProducers};
/// # let (ring, dial) = (Options::new(), DialOptions::new());
/// # let trace = ThreadProducers::new("@zbq-doc-nobody", &ring, &dial, Duration::ZERO);
/// let mine = trace.mine()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || mine.head());
/// });
/// # Ok::<(), zbq::Error>(())
/// ```
pub struct Mine<'t> {
    line: Option<Line>, // it has one until it goes
    thread: PhantomData<(&'t ThreadProducers, *const ())>,
}

impl Deref for Mine<'_> {
    type Target = Producer;
    fn deref(&self) -> &Producer {
        &self.line.as_ref().expect("its line").ring
    }
}

impl DerefMut for Mine<'_> {
    fn deref_mut(&mut self) -> &mut Producer {
        &mut self.line.as_mut().expect("its line").ring
    }
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        let line = self.line.take();
        // Where the thread ends the line ends with it.
        let _ = LINES.try_with(|lines| lines.borrow_mut().extend(line));
    }
}

impl fmt::Debug for Mine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mine").field(&**self).finish()
    }
}
