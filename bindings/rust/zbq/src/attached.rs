// SPDX-License-Identifier: MIT
//! What a producer serves while it waits.

use crate::error::{Error, Result};
use crate::poll;
use crate::producer::Producer;
use crate::time::{Deadline, SLICE};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::os::unix::io::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What can be attached to a producer ([`Producer::attach`]): a [`Listener`](crate::Listener), a
/// [`Dialing`](crate::Dialing), or an application's own. Its descriptor becomes readable when
/// [`serve`](Self::serve) has something to do.
///
/// ```
/// use std::os::unix::io::{AsFd, BorrowedFd};
/// use zbq::{Listener, ListenerOptions, Options, Producer, Service};
///
/// /// Says who came.
/// struct Talkative(Listener);
///
/// impl AsFd for Talkative {
///     fn as_fd(&self) -> BorrowedFd<'_> {
///         self.0.as_fd()
///     }
/// }
///
/// impl Service for Talkative {
///     fn serve(&mut self, ring: &mut Producer) -> Result<(), zbq::Error> {
///         for newcomer in self.0.serve(ring) {
///             println!("process {}: {:?}", newcomer.peer.pid, newcomer.result);
///         }
///         Ok(())
///     }
/// }
///
/// # let name = format!("@zbq-doc-service-{}", std::process::id());
/// let mut producer = Producer::new(&Options::new())?;
/// producer.attach(Talkative(Listener::new(&name, ListenerOptions::new())?));
/// # Ok::<(), zbq::Error>(())
/// ```
pub trait Service: AsFd + Send {
    /// Does what there is to do. It must not block. What it calls of the producer serves nothing
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Its own: [`Producer::serve`] tells the last one.
    fn serve(&mut self, ring: &mut Producer) -> Result<()>;
}

/// Tells what is attached to a producer, to ask for it ([`Producer::attached`]) or to have it back
/// ([`Producer::detach`]).
pub struct Attached<S> {
    id: u64, // of this process
    service: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Attached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attached").field(&self.id).finish()
    }
}

/// A service that is still of its own type.
trait Kept: Service {
    fn as_any(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<S: Service + 'static> Kept for S {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

struct Attachment {
    id: u64,
    service: Box<dyn Kept>,
}

/// Of one producer.
#[derive(Default)]
pub(crate) struct Attachments {
    all: Vec<Attachment>,
    failure: Option<Error>, // the last one
    looked_at: (i64, i64),
}

/// What is attached, taken away while it is served: so that it can have the producer.
struct Served<'p> {
    ring: &'p mut Producer,
    all: Vec<Attachment>,
}

impl<'p> Served<'p> {
    fn of(ring: &'p mut Producer) -> Self {
        let all = mem::take(&mut ring.attachments.all);
        Self { ring, all }
    }

    // Whether the descriptor is readable.
    fn wait(&mut self, fd: Option<RawFd>, time: Duration) -> Result<bool> {
        const NONE: RawFd = -1;
        let services = self.all.iter().map(|one| one.service.as_fd().as_raw_fd());
        let mut polled: Vec<_> = std::iter::once(fd.unwrap_or(NONE))
            .chain(services)
            .map(poll::entry)
            .collect();
        poll::any(&mut polled, time)?;
        let is_own = polled[0].revents != 0;
        let told = polled.iter().skip(1).map(|entry| entry.revents != 0);
        for (one, _) in self
            .all
            .iter_mut()
            .zip(told)
            .filter(|(_, is_told)| *is_told)
        {
            // Whoever waits for room is told of that alone.
            if let Err(failure) = one.service.serve(self.ring) {
                self.ring.attachments.failure = Some(failure);
            }
        }
        Ok(is_own)
    }
}

// Also where a service panics. Those that were attached meanwhile come last.
impl Drop for Served<'_> {
    fn drop(&mut self) {
        let all = &mut self.ring.attachments.all;
        self.all.append(all);
        mem::swap(all, &mut self.all);
    }
}

/// Serving.
impl Producer {
    /// From now on all calls that take a time-out serve this while they wait, and some hundred times a
    /// second while they need not: newcomers come in by a [`Listener`](crate::Listener), a collector by
    /// a [`Dialing`](crate::Dialing). A program whose producer is silent calls
    /// [`serve_until`](Self::serve_until) or [`serve`](Self::serve). It is the producer's, and goes with
    /// it, until it is [detached](Self::detach).
    ///
    /// ```
    /// use zbq::{connect, ConnectOptions, Listener, ListenerOptions, Options, Producer};
    /// # let name = format!("@zbq-doc-attach-{}", std::process::id());
    /// # let at = name.clone();
    /// let mut producer = Producer::new(&Options::new())?;
    /// producer.attach(Listener::new(&name, ListenerOptions::new())?);
    /// # let reader = std::thread::spawn(move || {
    /// #     let consumer = connect(at, None, &ConnectOptions::new())?;
    /// #     let bytes = consumer.next(None)?.to_vec();
    /// #     bytes
    /// # });
    /// producer.serve_until(None, |ring| ring.statistics().consumers == 1)?;
    /// producer.publish(b"hello", None)?;
    /// # assert_eq!(reader.join().unwrap()?, b"hello");
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn attach<S: Service + 'static>(&mut self, service: S) -> Attached<S> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Relaxed) + 1;
        let service = Box::new(service);
        self.attachments.all.push(Attachment { id, service });
        Attached {
            id,
            service: PhantomData,
        }
    }

    /// Serves it no more, and gives it back. `None`: it is not attached here, or is being served.
    ///
    /// ```
    /// # use zbq::{Listener, ListenerOptions, Options, Producer};
    /// # let name = format!("@zbq-doc-detach-{}", std::process::id());
    /// let mut producer = Producer::new(&Options::new())?;
    /// let door = producer.attach(Listener::new(&name, ListenerOptions::new())?);
    /// let mut door: Listener = producer.detach(door).unwrap();
    /// assert!(door.serve(&mut producer).is_empty());
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn detach<S: Service + 'static>(&mut self, which: Attached<S>) -> Option<S> {
        let all = &mut self.attachments.all;
        let place = all.iter().position(|one| one.id == which.id)?;
        let service = all.remove(place).service.into_any();
        service.downcast().ok().map(|service| *service)
    }

    /// What is attached. `None`: it is not, or is being served.
    ///
    /// ```
    /// # use zbq::{Dialing, DialOptions, Options, Producer};
    /// let mut producer = Producer::new(&Options::new())?;
    /// let line = producer.attach(Dialing::new("@nobody", &DialOptions::new())?);
    /// assert!(!producer.attached(&line).unwrap().has_met());
    /// # Ok::<(), zbq::Error>(())
    /// ```
    pub fn attached<S: Service + 'static>(&self, which: &Attached<S>) -> Option<&S> {
        let one = self.attachments.all.iter().find(|one| one.id == which.id)?;
        one.service.as_any().downcast_ref()
    }

    /// Serves what is attached and has something to do. Never blocks.
    ///
    /// ```
    /// # use zbq::{Listener, ListenerOptions, Options, Producer};
    /// # let name = format!("@zbq-doc-serve-{}", std::process::id());
    /// # let mut producer = Producer::new(&Options::new())?;
    /// producer.attach(Listener::new(&name, ListenerOptions::new())?);
    /// producer.serve()?; // now and then
    /// # Ok::<(), zbq::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That of one of them, the last, now or while this producer waited. It goes on being served.
    /// [`Error::Io`]: it cannot ask.
    pub fn serve(&mut self) -> Result<()> {
        self.wait_and_serve(None, Duration::ZERO)?;
        self.attachments.failure.take().map_or(Ok(()), Err)
    }

    /// Serves what is attached until it is enough, which is asked after each time and some ten times a
    /// second; without a time-out for ever. Sleeps in poll.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zbq::{Listener, ListenerOptions, Options, Producer};
    /// # let name = format!("@zbq-doc-until-{}", std::process::id());
    /// # let mut producer = Producer::new(&Options::new())?;
    /// producer.attach(Listener::new(&name, ListenerOptions::new())?);
    /// let a_moment = Some(Duration::from_millis(1));
    /// let waited = producer.serve_until(a_moment, |ring| ring.statistics().consumers >= 2);
    /// assert!(matches!(waited, Err(zbq::Error::Again))); // nobody came
    /// # Ok::<(), zbq::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Again`]: not enough within the time. Else as [`serve`](Self::serve).
    pub fn serve_until(
        &mut self,
        timeout: Option<Duration>,
        mut enough: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let end = Deadline::after(timeout);
        while !enough(self) {
            let left = end.left(SLICE).ok_or(Error::Again)?;
            self.wait_and_serve(None, left)?;
            self.attachments.failure.take().map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// Waits for what is attached and for this descriptor, and serves. Whether this one is readable.
    pub(crate) fn wait_and_serve(&mut self, fd: Option<RawFd>, time: Duration) -> Result<bool> {
        Served::of(self).wait(fd, time)
    }

    /// For who is busy: at most once in a tick of the kernel's clock (1 to 10 ms), for the look at that
    /// is cheap.
    pub(crate) fn serve_now_and_then(&mut self) {
        if self.attachments.all.is_empty() {
            return;
        }
        let now = coarse_time();
        if now != self.attachments.looked_at {
            self.attachments.looked_at = now;
            let _ = self.wait_and_serve(None, Duration::ZERO); // who waits will be told
        }
    }
}

fn coarse_time() -> (i64, i64) {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a time that outlives the call. It cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    (time.tv_sec, time.tv_nsec)
}
