// SPDX-License-Identifier: MIT
//! Many producers and one who collects. Sources are in this thread, in others, or processes.

mod support;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::time::{Duration, Instant};
use support::others::{as_user, in_forked_child, test_name, STRANGER};
use support::raw::{header, Raw};
use support::strangers::{answer, call, hung_up, packet_socket_to, say};
use support::{abstract_name, alone, open_fds, pattern, producer, LONG, PAGE};
use zbq::{
    dial, Caller, Collector, CollectorOptions, ConnectOptions, DialOptions, Dialing, Error, Flow,
    Joining, Listener, ListenerOptions, Options, Producer, Start, ThreadProducers, Wakeup,
};
use zbq_sys::zbq_wakeup_mode;

const NOW: Option<Duration> = Some(Duration::ZERO);
const A_MOMENT: Option<Duration> = Some(Duration::from_millis(10));
/// Longer than strangers are ever left alone.
const A_REST: Option<Duration> = Some(Duration::from_millis(150));
const AN_HOUR: Duration = Duration::from_secs(3600);
const CAPACITY: u64 = 16 * PAGE;

enum Told {
    Join(u64, Caller),
    End(Caller, Error),
    Refusal(Caller, Error),
}

/// A collector, and what it told.
struct Scene {
    name: String,
    logs: Collector,
    told: Receiver<Told>,
    joins: Vec<(u64, Caller)>,
    ends: Vec<(Caller, Error)>,
    refusals: Vec<(Caller, Error)>,
    got: HashMap<OsString, Vec<Vec<u8>>>,
}

impl Scene {
    fn new(of: &str, options: CollectorOptions) -> Self {
        Self::at(&abstract_name(of), options)
    }

    fn at(name: &str, options: CollectorOptions) -> Self {
        let (join, told) = channel();
        let (end, refusal) = (join.clone(), join.clone());
        let options = options
            .on_join(move |source| {
                let told = Told::Join(source.number(), source.who().clone());
                let _ = join.send(told);
            })
            .on_end(move |source, how| {
                let _ = end.send(Told::End(source.who().clone(), how));
            })
            .on_refusal(move |who, why| {
                let _ = refusal.send(Told::Refusal(who.clone(), why));
            });
        Self {
            name: name.to_owned(),
            logs: Collector::new(name, options).unwrap(),
            told,
            joins: Vec::new(),
            ends: Vec::new(),
            refusals: Vec::new(),
            got: HashMap::new(),
        }
    }

    fn hear(&mut self) {
        loop {
            match self.told.try_recv() {
                Ok(Told::Join(number, who)) => self.joins.push((number, who)),
                Ok(Told::End(who, how)) => self.ends.push((who, how)),
                Ok(Told::Refusal(who, why)) => self.refusals.push((who, why)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Once, when its descriptor says that there is something to do.
    fn serve(&mut self) -> usize {
        if self.logs.wait(A_MOMENT).is_err() {
            return 0;
        }
        let got = &mut self.got;
        let given = self.logs.serve(|source, batch| {
            let texts = got.entry(source.who().name.clone()).or_default();
            texts.extend(batch.iter().map(|message| message.payload().to_vec()));
            assert!(batch.is_intact());
        });
        self.hear();
        given
    }

    fn serve_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + LONG.unwrap();
        while !done(self) {
            assert!(Instant::now() < end);
            self.serve();
        }
    }

    /// Until it has nothing more to do: a rest after strangers ends, too.
    fn settle(&mut self) {
        while self.logs.wait(A_REST).is_ok() {
            self.serve();
        }
    }

    /// All of one key.
    fn serve_in_order(&mut self) -> usize {
        let given = self.logs.serve_in_order(|_| 0, |_, _| ());
        self.hear();
        given
    }

    /// Both sides in one thread.
    fn try_dial_in(&mut self, line: &mut Dialing, ring: &mut Producer) -> Result<u32, Error> {
        let mut slot = Ok(None);
        self.serve_until(|_| {
            slot = line.step(ring);
            !matches!(slot, Ok(None))
        });
        slot.map(Option::unwrap)
    }

    fn dial_in_with(&mut self, options: DialOptions) -> (Dialing, Producer) {
        let before = self.joins.len();
        let mut ring = producer(CAPACITY);
        let mut line = Dialing::new(&self.name, &options).unwrap();
        self.try_dial_in(&mut line, &mut ring).unwrap();
        self.serve_until(|scene| scene.joins.len() > before);
        (line, ring)
    }

    fn dial_in(&mut self, name: &str) -> (Dialing, Producer) {
        self.dial_in_with(DialOptions::new().name(name))
    }

    fn try_dial(&mut self, name: &str) -> Result<u32, Error> {
        let mut line = Dialing::new(&self.name, &DialOptions::new().name(name)).unwrap();
        self.try_dial_in(&mut line, &mut producer(CAPACITY))
    }

    fn texts(&self, name: &str) -> Vec<&[u8]> {
        let texts = self.got.get(&OsString::from(name));
        texts.into_iter().flatten().map(Vec::as_slice).collect()
    }
}

#[test]
fn reads_who_dials_in_by_name() {
    let _alone = alone();
    let mut scene = Scene::new("reads", CollectorOptions::new());
    let mut ring = producer(CAPACITY);
    ring.try_publish(b"before").unwrap();
    let mut line = Dialing::new(&scene.name, &DialOptions::new().name("one")).unwrap();
    scene.try_dial_in(&mut line, &mut ring).unwrap();
    ring.try_publish(b"after").unwrap();
    scene.serve_until(|scene| scene.texts("one").len() == 2);
    assert_eq!(scene.texts("one"), [&b"before"[..], b"after"]);
    assert_eq!(scene.logs.len(), 1);
    let (number, who) = &scene.joins[0];
    assert_eq!((*number, scene.joins.len()), (1, 1));
    // SAFETY: they cannot fail.
    let ids = unsafe { (libc::geteuid(), libc::getegid()) };
    assert_eq!(
        (who.pid, who.uid, who.gid),
        (std::process::id() as i32, ids.0, ids.1)
    );
    assert!(who.waits);
}

#[test]
fn where_it_starts_the_source_says() {
    let _alone = alone();
    let mut scene = Scene::new("start", CollectorOptions::new());
    let mut ring = producer(CAPACITY);
    ring.try_publish(b"before").unwrap();
    let options = DialOptions::new().name("one").from(Start::Head);
    let mut line = Dialing::new(&scene.name, &options).unwrap();
    scene.try_dial_in(&mut line, &mut ring).unwrap();
    ring.try_publish(b"after").unwrap();
    scene.serve_until(|scene| !scene.got.is_empty());
    assert_eq!(scene.texts("one"), [b"after"]);
}

#[test]
fn a_source_without_a_name_has_its_programs() {
    let _alone = alone();
    let mut scene = Scene::new("names", CollectorOptions::new());
    let program = std::env::current_exe().unwrap();
    let program = program.file_name().unwrap().to_str().unwrap();
    for (name, told) in [
        ("", &program[..program.len().min(24)]),
        (&"x".repeat(40), &"x".repeat(24)),
    ] {
        let before = scene.joins.len();
        scene.try_dial(name).unwrap();
        scene.serve_until(|scene| scene.joins.len() > before);
        assert_eq!(scene.joins[before].1.name, told);
    }
}

#[test]
fn tells_of_the_end_after_the_last_message() {
    let _alone = alone();
    let mut scene = Scene::new("end", CollectorOptions::new());
    let (_, mut ring) = scene.dial_in("brief");
    ring.try_publish(b"last words").unwrap();
    drop(ring);
    scene.serve_until(|scene| !scene.ends.is_empty());
    assert_eq!(scene.texts("brief"), [b"last words"]);
    let (who, how) = &scene.ends[0];
    assert_eq!(who.name, "brief");
    assert!(matches!(how, Error::Closed), "{how}");
    assert!(scene.logs.is_empty());
}

const KILLED: u64 = 1000;

// Nothing of it was read before it died.
#[test]
fn reads_all_of_one_that_was_killed() {
    let _alone = alone();
    let name = abstract_name("killed");
    let mut scene = Scene::at(&name, CollectorOptions::new());
    let (near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(LONG).unwrap();
    let mut child = support::spawn_with_name("dials_and_waits", &name, far);
    scene.serve_until(|scene| !scene.joins.is_empty());
    (&near).read_exact(&mut [0]).unwrap(); // it has published all
    child.kill().unwrap();
    child.wait().unwrap();
    scene.serve_until(|scene| !scene.ends.is_empty());
    let (who, how) = &scene.ends[0];
    assert_eq!(
        (who.pid, &*who.name),
        (child.id() as i32, "doomed".as_ref())
    );
    assert!(matches!(how, Error::ProducerDied), "{how}");
    let expected: Vec<Vec<u8>> = (0..KILLED).map(|i| i.to_ne_bytes().to_vec()).collect();
    assert_eq!(scene.texts("doomed"), expected);
}

#[test]
#[ignore = "a process of another test"]
fn dials_and_waits() {
    let mut ring = producer(CAPACITY);
    dial(
        &mut ring,
        test_name(),
        LONG,
        &DialOptions::new().name("doomed"),
    )
    .unwrap();
    for i in 0..KILLED {
        ring.publish(&i.to_ne_bytes(), LONG).unwrap();
    }
    support::say_by_stdin();
    support::wait_to_be_killed();
}

#[test]
fn each_has_a_turn() {
    let _alone = alone();
    let mut scene = Scene::new("turns", CollectorOptions::new().turn(10));
    let mut louds: Vec<_> = (0..2).map(|_| scene.dial_in("loud")).collect();
    let (_quiet_line, mut quiet) = scene.dial_in("quiet");
    scene.settle();
    for (_, loud) in &mut louds {
        for _ in 0..1000 {
            loud.try_publish(b"!").unwrap();
        }
    }
    quiet.try_publish(b".").unwrap();
    scene.serve_until(|scene| !scene.texts("quiet").is_empty());
    assert!(scene.texts("loud").len() <= 40); // a turn before it, and one with it
    scene.serve_until(|scene| scene.texts("loud").len() == 2000);
}

#[test]
fn what_is_not_visited_comes_with_the_next_turn() {
    let _alone = alone();
    let mut scene = Scene::new("visits", CollectorOptions::new());
    let (_line, mut ring) = scene.dial_in("one");
    for text in ["a", "b", "c"] {
        ring.try_publish(text.as_bytes()).unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        scene.logs.wait(LONG).unwrap();
        scene.logs.serve(|_, batch| {
            let first = batch.iter().next().unwrap();
            seen.extend(first.payload().bytes());
        });
    }
    assert_eq!(seen, b"abc");
}

#[test]
fn descriptors_come_with_their_messages() {
    let _alone = alone();
    let mut scene = Scene::new("descriptors", CollectorOptions::new());
    let (_line, mut ring) = scene.dial_in("one");
    let files = [support::file("first"), support::file("second")];
    for file in &files {
        ring.publish_with(b"file", &[file.as_fd()], LONG).unwrap();
    }
    let mut taken: Vec<OwnedFd> = Vec::new();
    while taken.len() < 2 {
        scene.logs.wait(LONG).unwrap();
        scene.logs.serve(|_, batch| {
            for message in &batch {
                taken.extend(message.take_fds(LONG).unwrap());
            }
        });
    }
    for (file, fd) in files.iter().zip(&taken) {
        assert_eq!(support::identity(file), support::identity(fd));
    }
}

// It tells when there is something to do, and only then.
#[test]
fn its_descriptor_rests() {
    let _alone = alone();
    let mut scene = Scene::new("rests", CollectorOptions::new());
    let (_line, mut ring) = scene.dial_in("one");
    scene.settle();
    ring.try_publish(b"x").unwrap();
    scene.logs.wait(LONG).unwrap();
    scene.settle();
    assert_eq!(scene.texts("one"), [b"x"]);
}

// ---- in order ----

#[test]
fn gives_messages_in_the_order_of_their_keys() {
    let _alone = alone();
    let mut scene = Scene::new("order", CollectorOptions::new().hold(AN_HOUR));
    let mut sources: Vec<_> = (0..3).map(|_| scene.dial_in("")).collect();
    for key in 0..300 {
        let ring = &mut sources[key / 7 % 3].1; // runs of seven
        ring.try_publish(&vec![0; key]).unwrap();
    }
    let mut order = Vec::new();
    let mut serve = |order: &mut Vec<usize>| {
        scene.logs.wait(LONG).unwrap();
        scene.logs.serve_in_order(
            |message| message.payload().len() as u64,
            |_, message| order.push(message.len()),
        )
    };
    while order.len() < 280 {
        serve(&mut order); // one of them has nothing more, and may be late
    }
    drop(sources); // the rest comes with the end
    while order.len() < 300 {
        serve(&mut order);
    }
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn holds_a_message_and_then_gives_it() {
    let _alone = alone();
    let options = CollectorOptions::new().hold(Duration::from_millis(20));
    let mut scene = Scene::new("holds", options);
    let _silent = scene.dial_in("silent");
    let (_line, mut ring) = scene.dial_in("one");
    ring.try_publish(b"x").unwrap();
    let mut given = 0;
    let mut in_vain = 0;
    while given == 0 {
        scene.logs.wait(LONG).unwrap();
        given = scene.serve_in_order();
        in_vain += usize::from(given == 0);
    }
    assert_ne!(in_vain, 0);
}

// Who has more meanwhile does not keep it busy.
#[test]
fn holds_without_spinning() {
    let _alone = alone();
    let mut scene = Scene::new("spins", CollectorOptions::new().hold(AN_HOUR));
    let _silent = scene.dial_in("silent");
    let (_line, mut ring) = scene.dial_in("one");
    for _ in 0..3 {
        ring.try_publish(b"x").unwrap();
    }
    let mut turns = 0;
    while scene.logs.wait(A_REST).is_ok() {
        turns += 1;
        assert!(turns < 1000, "it has always something to do");
        assert_eq!(scene.serve_in_order(), 0);
    }
}

#[test]
fn messages_in_order_are_offered_again() {
    let _alone = alone();
    let options = CollectorOptions::new().turn(2).hold(AN_HOUR);
    let mut scene = Scene::new("offers", options);
    let (_line, mut ring) = scene.dial_in("one");
    for _ in 0..100 {
        ring.try_publish(b"x").unwrap();
    }
    let mut given = 0;
    while given < 100 {
        scene.logs.wait(LONG).unwrap();
        given += scene.serve_in_order();
    }
}

// Nobody waits for this collector: what it held is gone.
#[test]
fn what_was_written_over_while_it_was_held_is_not_given() {
    let _alone = alone();
    let mut scene = Scene::new("lapped", CollectorOptions::new().hold(AN_HOUR));
    let silent = scene.dial_in("silent");
    let (_line, mut ring) = scene.dial_in_with(DialOptions::new().flow(Flow::Follow));
    ring.try_publish(&0_u64.to_ne_bytes()).unwrap();
    let mut keys = Vec::new();
    while keys.is_empty() {
        scene.logs.wait(LONG).unwrap();
        let key_of = |message: &zbq::MessageView<'_>| {
            keys.push(message.payload().array(0).map_or(0, u64::from_ne_bytes));
            0
        };
        assert_eq!(scene.logs.serve_in_order(key_of, |_, _| ()), 0);
    }
    assert_eq!(keys, [0]);
    for i in 1..=10_000_u64 {
        ring.try_publish(&i.to_ne_bytes()).unwrap();
    }
    drop(silent); // then the held one is due
    let mut given = Vec::new();
    while given.last() != Some(&10_000) {
        scene.logs.wait(LONG).unwrap();
        scene.logs.serve_in_order(
            |message| message.offset(),
            |_, message| given.push(message.value::<u64>().unwrap()),
        );
    }
    assert!(given[0] > 0);
    assert!(given.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

// ---- who may, and how many ----

#[test]
fn has_room_for_so_many() {
    let _alone = alone();
    let mut scene = Scene::new("full", CollectorOptions::new().max_sources(1));
    let first = scene.dial_in("first");
    let second = scene.try_dial("second");
    assert!(matches!(second, Err(Error::Full)), "{second:?}");
    assert_eq!(scene.refusals.len(), 1);
    let (who, why) = &scene.refusals[0];
    assert_eq!(who.name, "second");
    assert!(matches!(why, Error::Full), "{why}");
    drop(first);
    scene.serve_until(|scene| !scene.ends.is_empty());
    scene.try_dial("third").unwrap();
}

#[test]
fn refuses_rings_that_are_too_large() {
    let _alone = alone();
    let mut scene = Scene::new("large", CollectorOptions::new().max_capacity(PAGE));
    let mut ring = producer(CAPACITY);
    let mut line = Dialing::new(&scene.name, &DialOptions::new()).unwrap();
    scene.serve_until(|scene| {
        line.step(&mut ring).unwrap();
        !scene.refusals.is_empty()
    });
    assert!(matches!(scene.refusals[0].1, Error::TooLarge));
    assert!(scene.logs.is_empty());
}

// Also of one who does not wait for the answer: what it left unread comes before its ring.
#[test]
fn a_ring_that_is_too_large_is_refused_of_who_has_gone_too() {
    let _alone = alone();
    let mut scene = Scene::new("eager", CollectorOptions::new().max_capacity(PAGE));
    let mut ring = producer(CAPACITY);
    let stranger = packet_socket_to(&scene.name);
    say(&stranger, &call(0, "eager"));
    scene.serve();
    ring.admit(&stranger, Wakeup::Push).unwrap();
    drop(stranger);
    scene.serve_until(|scene| !scene.refusals.is_empty() || !scene.joins.is_empty());
    assert!(scene.joins.is_empty());
    assert!(matches!(scene.refusals[0].1, Error::TooLarge));
}

#[test]
fn reads_each_of_one_that_comes_and_goes() {
    let _alone = alone();
    const TIMES: usize = 100;
    let mut scene = Scene::new("restless", CollectorOptions::new());
    let name = scene.name.clone();
    let restless = std::thread::spawn(move || {
        let options = DialOptions::new().name("restless");
        for i in 0..TIMES {
            let mut ring = producer(CAPACITY);
            dial(&mut ring, &name, LONG, &options).unwrap();
            ring.publish(&pattern(i, 10), LONG).unwrap();
        }
    });
    scene.serve_until(|scene| scene.ends.len() == TIMES);
    restless.join().unwrap();
    assert_eq!(scene.joins.len(), TIMES);
    let expected: Vec<Vec<u8>> = (0..TIMES).map(|i| pattern(i, 10)).collect();
    let mut got = scene.texts("restless");
    let mut all: Vec<&[u8]> = expected.iter().map(Vec::as_slice).collect();
    got.sort_unstable(); // two rings may be there at one time
    all.sort_unstable();
    assert_eq!(got, all);
}

#[test]
fn asks_the_application() {
    let _alone = alone();
    let options = CollectorOptions::new().accept(|who| who.name == "friend");
    let mut scene = Scene::new("accept", options);
    let foe = scene.try_dial("foe");
    assert!(matches!(foe, Err(Error::Refused(_))), "{foe:?}");
    assert!(matches!(scene.refusals[0].1, Error::Refused(_)));
    scene.try_dial("friend").unwrap();
}

#[test]
fn users_are_let_in_by_the_list() {
    let _alone = alone();
    let name = abstract_name("users");
    for (options, role) in [
        (CollectorOptions::new(), "is_refused"),
        (CollectorOptions::new().users(&[STRANGER]), "dials_in"),
        (
            CollectorOptions::new().groups(&[support::others::group_of_stranger()]),
            "dials_in",
        ),
    ] {
        let mut scene = Scene::at(&name, options);
        let mut child = match as_user(STRANGER, role, &name) {
            Some(child) => child,
            None => return,
        };
        let mut ended = None;
        scene.serve_until(|_| {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.unwrap().success(), "{role}");
        scene.hear();
        let told = scene.joins.iter().map(|(_, who)| who);
        let told = told.chain(scene.refusals.iter().map(|(who, _)| who));
        assert_eq!(told.map(|who| who.uid).collect::<Vec<_>>(), [STRANGER]);
    }
}

#[test]
#[ignore = "a process of another test"]
fn is_refused() {
    let mut ring = producer(CAPACITY);
    let refused = dial(&mut ring, test_name(), LONG, &DialOptions::new());
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[test]
#[ignore = "a process of another test"]
fn dials_in() {
    let mut ring = producer(CAPACITY);
    let options = DialOptions::new().collectors(&[0]);
    dial(&mut ring, test_name(), LONG, &options).unwrap();
}

// ---- the wrong place ----

fn refusal_in<R: std::fmt::Debug>(result: Result<R, Error>) -> String {
    match result {
        Err(Error::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_is_told_that_nobody_publishes_here() {
    let _alone = alone();
    let mut scene = Scene::new("reader", CollectorOptions::new());
    let mut joining = Joining::new(&scene.name, &ConnectOptions::new()).unwrap();
    let mut step = Ok(None);
    scene.serve_until(|_| {
        step = joining.step();
        !matches!(step, Ok(None))
    });
    let why = refusal_in(step);
    assert!(why.contains("nobody publishes there"), "{why}");
    assert!(scene.refusals.is_empty()); // it is no caller
}

#[test]
fn who_dials_a_producer_is_told_that_nobody_collects_there() {
    let _alone = alone();
    let name = abstract_name("dialed");
    let mut ring = producer(CAPACITY);
    ring.attach(Listener::new(&name, ListenerOptions::new()).unwrap());
    let mut mine = producer(CAPACITY);
    let mut line = Dialing::new(&name, &DialOptions::new()).unwrap();
    let mut step = Ok(None);
    ring.serve_until(LONG, |_| {
        step = line.step(&mut mine);
        !matches!(step, Ok(None))
    })
    .unwrap();
    let why = refusal_in(step);
    assert!(why.contains("nobody collects there"), "{why}");
    assert_eq!(mine.statistics().consumers, 0);
}

#[test]
fn dial_gives_up() {
    let _alone = alone();
    let name = abstract_name("gives-up");
    let mut ring = producer(CAPACITY);
    let options = DialOptions::new().wait_for_collector(false);
    let dialed = dial(&mut ring, &name, None, &options);
    assert!(matches!(dialed, Err(Error::NoCollector)), "{dialed:?}");
    let dialed = dial(&mut ring, &name, NOW, &DialOptions::new());
    assert!(matches!(dialed, Err(Error::NoCollector)), "{dialed:?}");
    let _silent = Collector::new(&name, CollectorOptions::new()).unwrap(); // which nobody serves
    let dialed = dial(&mut ring, &name, NOW, &DialOptions::new());
    assert!(matches!(dialed, Err(Error::Again)), "{dialed:?}");
    for name in ["", ".", "@", "dir/"] {
        let none = Dialing::new(name, &DialOptions::new());
        assert!(matches!(none, Err(Error::Invalid)), "{name:?}");
    }
}

// ---- who misbehaves ----

#[test]
fn nonsense_is_refused() {
    let _alone = alone();
    let mut scene = Scene::new("nonsense", CollectorOptions::new());
    let mut calls = vec![b"zbq\x01\0\0\0\0".to_vec(), call(0, "x")[..31].to_vec()];
    for changed in [0, 3, 4, 5, 7, 12] {
        let mut call = call(0, "x");
        call[changed] ^= 0x21;
        calls.push(call.to_vec());
    }
    for call in calls {
        let stranger = packet_socket_to(&scene.name);
        say(&stranger, &call);
        scene.serve_until(|_| hung_up(&stranger));
        assert_eq!(answer(&stranger), b"zbq\x02\x02\0\0\0", "{call:?}");
        assert_eq!(answer(&stranger), b"");
    }
    assert!(scene.joins.is_empty() && scene.refusals.is_empty());
}

#[test]
fn one_that_is_welcome_and_never_joins_makes_way() {
    let _alone = alone();
    let mut scene = Scene::new("mute", CollectorOptions::new().max_strangers(2));
    let mute: Vec<_> = (0..5)
        .map(|_| {
            let stranger = packet_socket_to(&scene.name);
            say(&stranger, &call(0, "mute"));
            stranger
        })
        .collect();
    scene.serve_until(|scene| scene.try_dial("good").is_ok());
    scene.serve_until(|scene| !scene.joins.is_empty());
    assert_eq!(scene.joins[0].1.name, "good");
    assert_eq!(answer(&mute[0]), b"zbq\x02\0\0\0\0"); // it was welcome
    assert!(hung_up(&mute[0]));
}

#[test]
fn one_that_says_nothing_is_dropped() {
    let _alone = alone();
    let options = CollectorOptions::new().patience(Duration::from_millis(1));
    let mut scene = Scene::new("silence", options);
    let silent = packet_socket_to(&scene.name);
    scene.serve_until(|_| hung_up(&silent));
    assert_eq!(answer(&silent), b"");
}

#[test]
fn garbage_for_a_join_is_refused() {
    let _alone = alone();
    let mut scene = Scene::new("garbage", CollectorOptions::new());
    let stranger = packet_socket_to(&scene.name);
    say(&stranger, &call(0, "bad"));
    say(&stranger, b"garbage");
    scene.serve_until(|scene| !scene.refusals.is_empty());
    let (who, why) = &scene.refusals[0];
    assert_eq!(who.name, "bad");
    assert!(matches!(why, Error::Protocol), "{why}");
}

#[test]
fn one_that_breaks_the_protocol_is_dropped_and_the_others_read_on() {
    let _alone = alone();
    let mut scene = Scene::new("breaks", CollectorOptions::new());
    let (_line, mut good) = scene.dial_in("good");
    let raw = Raw::new();
    let stranger = packet_socket_to(&scene.name);
    say(&stranger, &call(0, "bad"));
    scene.serve_until(|_| support::is_readable(&stranger));
    assert_eq!(answer(&stranger), b"zbq\x02\0\0\0\0");
    raw.admit(&stranger, zbq_wakeup_mode::ZBQ_WAKEUP_PUSH);
    raw.publish(32, header(16, 0, 0));
    raw.publish(32, header(u32::MAX, 0, 0));
    scene.serve_until(|scene| !scene.ends.is_empty());
    let (who, how) = &scene.ends[0];
    assert_eq!(who.name, "bad");
    assert!(matches!(how, Error::Protocol), "{how}");
    assert_eq!(scene.texts("bad").len(), 1); // the one before
    good.try_publish(b"x").unwrap();
    scene.serve_until(|scene| scene.texts("good") == [b"x"]);
}

#[test]
fn one_that_is_too_slow_for_a_source_loses_it() {
    let _alone = alone();
    let mut scene = Scene::new("slow", CollectorOptions::new());
    let options = Options::new()
        .capacity(PAGE)
        .stall_timeout(Some(Duration::from_millis(1)));
    let mut ring = Producer::new(&options).unwrap();
    let mut line = Dialing::new(&scene.name, &DialOptions::new()).unwrap();
    scene.try_dial_in(&mut line, &mut ring).unwrap();
    scene.serve_until(|scene| !scene.joins.is_empty());
    while ring.statistics().consumers != 0 {
        ring.publish(&[0; 1000], LONG).unwrap();
    }
    scene.serve_until(|scene| !scene.ends.is_empty());
    assert!(matches!(scene.ends[0].1, Error::Evicted(_)));
}

#[test]
fn is_not_waited_for_where_the_source_says_so() {
    let _alone = alone();
    let mut scene = Scene::new("follows", CollectorOptions::new());
    let options = DialOptions::new().name("fast").flow(Flow::Follow);
    let (_line, mut ring) = scene.dial_in_with(options);
    assert!(!scene.joins[0].1.waits);
    for _ in 0..1000 {
        ring.try_publish(&[7; 1000]).unwrap();
    }
    scene.serve_until(|scene| !scene.texts("fast").is_empty());
    assert!(scene.ends.is_empty());
}

#[test]
fn leaves_nothing() {
    let _alone = alone();
    let before = open_fds();
    let mut scene = Scene::new("leaks", CollectorOptions::new());
    for _ in 0..10 {
        scene.try_dial("one").unwrap();
    }
    scene.serve_until(|scene| scene.ends.len() == 10);
    drop(scene);
    assert_eq!(open_fds(), before);
}

#[test]
fn one_that_is_dialed_in_stays_so() {
    let _alone = alone();
    let mut scene = Scene::new("stays", CollectorOptions::new());
    let (mut line, mut ring) = scene.dial_in("one");
    for _ in 0..5 {
        scene.serve();
        assert_eq!(line.step(&mut ring).unwrap(), Some(0));
    }
    assert_eq!((scene.joins.len(), ring.statistics().joined), (1, 1));
}

#[test]
fn a_forked_child_does_nothing() {
    let _alone = alone();
    let mut scene = Scene::new("fork", CollectorOptions::new());
    let (mut line, mut ring) = scene.dial_in("one");
    let mut elsewhere = Dialing::new(&scene.name, &DialOptions::new()).unwrap();
    scene.settle();
    ring.try_publish(b"x").unwrap();
    in_forked_child(|| {
        let steps = [line.step(&mut ring), elsewhere.step(&mut ring)];
        let leads_nowhere = steps.iter().all(|step| matches!(step, Ok(None)));
        scene.serve() == 0 && scene.serve_in_order() == 0 && leads_nowhere
    });
    scene.serve_until(|scene| scene.texts("one") == [b"x"]);
    assert!(!elsewhere.has_met());
}

// ---- functions that panic ----

#[test]
fn what_its_user_does_loses_nothing_of_others() {
    let _alone = alone();
    let mut scene = Scene::new("panics", CollectorOptions::new());
    let (_one_line, mut one) = scene.dial_in("one");
    let (_other_line, mut other) = scene.dial_in("other");
    scene.settle();
    one.try_publish(b"x").unwrap();
    other.try_publish(b"y").unwrap();
    scene.logs.wait(LONG).unwrap();
    let visit_and_panic = |_: &zbq::Source, batch: zbq::MessageBatch<'_>| {
        assert!(batch.iter().next().is_some());
        panic!("on purpose");
    };
    let served = catch_unwind(AssertUnwindSafe(|| scene.logs.serve(visit_and_panic)));
    assert!(served.is_err());
    scene.logs.wait(NOW).unwrap(); // it has something to do
    scene.serve_until(|scene| scene.got.len() == 1); // what was visited is gone
}

#[test]
fn what_panics_for_one_starves_nobody() {
    let _alone = alone();
    let mut scene = Scene::new("starves", CollectorOptions::new());
    let (_bad_line, mut bad) = scene.dial_in("bad");
    let (_good_line, mut good) = scene.dial_in("good");
    scene.settle();
    for _ in 0..100 {
        bad.try_publish(b"x").unwrap();
    }
    good.try_publish(b"y").unwrap();
    let mut good_turns = 0;
    let give = |source: &zbq::Source, batch: zbq::MessageBatch<'_>| {
        assert!(batch.iter().next().is_some());
        assert_eq!(source.who().name, "good", "on purpose");
        good_turns += 1;
    };
    let mut serve = AssertUnwindSafe(give);
    for _ in 0..10 {
        let logs = &mut scene.logs;
        let _ = catch_unwind(AssertUnwindSafe(|| logs.serve(&mut *serve)));
    }
    assert_eq!(good_turns, 1);
}

#[test]
fn where_no_key_can_be_made_it_goes_on() {
    let _alone = alone();
    let mut scene = Scene::new("keys", CollectorOptions::new());
    let (_line, mut ring) = scene.dial_in("one");
    scene.settle();
    ring.try_publish(b"bad").unwrap();
    ring.try_publish(b"good").unwrap();
    let mut given = Vec::new();
    let mut serve = |given: &mut Vec<usize>| {
        let key_of = |message: &zbq::MessageView<'_>| {
            assert_eq!(message.payload().len(), 4, "on purpose");
            0
        };
        let give = |_: &zbq::Source, message: zbq::Message<'_>| given.push(message.len());
        let logs = &mut scene.logs;
        logs.wait(LONG).unwrap();
        catch_unwind(AssertUnwindSafe(|| logs.serve_in_order(key_of, give)))
    };
    assert!(serve(&mut given).is_err());
    assert_eq!(serve(&mut given).unwrap(), 1);
    assert_eq!(given, [4]);
}

// ---- for event loops ----

#[test]
fn its_descriptor_is_one_over_all() {
    let _alone = alone();
    let mut scene = Scene::new("one-over-all", CollectorOptions::new());
    let fd = scene.logs.as_raw_fd();
    assert!(!support::is_readable(&scene.logs));
    let mut sources: Vec<_> = (0..3).map(|_| scene.dial_in("")).collect();
    scene.settle();
    for (_, ring) in &mut sources {
        assert!(!support::is_readable(&scene.logs));
        ring.try_publish(b"x").unwrap();
        scene.logs.wait(LONG).unwrap();
        scene.settle();
    }
    drop(sources.pop());
    scene.logs.wait(LONG).unwrap();
    scene.serve_until(|scene| !scene.ends.is_empty());
    assert_eq!(scene.logs.as_fd().as_raw_fd(), fd);
}

// ---- a line that stays ----

#[test]
fn an_attached_line_dials_again() {
    let _alone = alone();
    let name = abstract_name("again");
    let mut ring = producer(CAPACITY);
    let line = Dialing::new(&name, &DialOptions::new().name("faithful")).unwrap();
    let line = ring.attach(line);
    let is_dialed_in = |ring: &Producer| ring.attached(&line).unwrap().is_dialed_in(ring);
    ring.publish(b"early", LONG).unwrap();
    for _ in 0..2 {
        // What the ring still has comes to each collector.
        let mut scene = Scene::at(&name, CollectorOptions::new());
        scene.serve_until(|scene| {
            ring.publish(b"more", LONG).unwrap();
            is_dialed_in(&ring) && !scene.texts("faithful").is_empty()
        });
        assert_eq!(scene.texts("faithful")[0], b"early");
        drop(scene);
        ring.serve_until(LONG, |ring| !is_dialed_in(ring)).unwrap(); // it looks by itself
        let _other = support::join(&mut ring, Wakeup::Push); // in its slot
        assert!(!is_dialed_in(&ring));
    }
}

#[test]
fn a_detached_line_is_served_no_more() {
    let _alone = alone();
    let mut scene = Scene::new("detached", CollectorOptions::new());
    let mut ring = producer(CAPACITY);
    let line = ring.attach(Dialing::new(&scene.name, &DialOptions::new()).unwrap());
    let mut line = ring.detach(line).unwrap();
    let waited = ring.serve_until(A_MOMENT, |ring| line.is_dialed_in(ring));
    assert!(matches!(waited, Err(Error::Again)), "{waited:?}");
    scene.serve();
    assert!(scene.joins.is_empty() && !line.has_met());
    scene.try_dial_in(&mut line, &mut ring).unwrap();
}

#[test]
fn a_producer_tells_why_its_line_failed() {
    let _alone = alone();
    let mut scene = Scene::new("failure", CollectorOptions::new().accept(|_| false));
    let mut ring = producer(CAPACITY);
    ring.attach(Dialing::new(&scene.name, &DialOptions::new()).unwrap());
    scene.serve_until(|scene| {
        ring.publish(b"x", LONG).unwrap(); // that goes on
        !scene.refusals.is_empty()
    });
    let failed = ring.serve_until(LONG, |_| false);
    assert!(matches!(failed, Err(Error::Refused(_))), "{failed:?}");
}

// ---- threads ----

fn threads(name: &str, patience: Duration) -> ThreadProducers {
    let options = Options::new().capacity(CAPACITY).stall_timeout(None);
    let dial = DialOptions::new().name("threads");
    ThreadProducers::new(name, &options, &dial, patience)
}

#[test]
fn each_thread_has_a_producer() {
    let _alone = alone();
    let mut scene = Scene::new("threads", CollectorOptions::new());
    let trace = threads(&scene.name, Duration::from_secs(1));
    std::thread::scope(|scope| {
        for i in 0..8_u64 {
            let trace = &trace;
            scope.spawn(move || {
                for j in 0..1000 {
                    let number = i * 1000 + j;
                    trace
                        .mine()
                        .unwrap()
                        .publish(&number.to_ne_bytes(), LONG)
                        .unwrap();
                }
            });
        }
        scene.serve_until(|scene| scene.ends.len() == 8);
    });
    assert_eq!(scene.joins.len(), 8);
    assert!(scene
        .ends
        .iter()
        .all(|(_, how)| matches!(how, Error::Closed)));
    let mut numbers: Vec<Vec<u8>> = scene.got.remove(&OsString::from("threads")).unwrap();
    numbers.sort_by_key(|bytes| u64::from_ne_bytes(bytes[..].try_into().unwrap()));
    assert!(numbers
        .into_iter()
        .eq((0..8000_u64).map(|i| i.to_ne_bytes().to_vec())));
}

#[test]
fn a_threads_producer_stays_with_it() {
    let _alone = alone();
    let name = abstract_name("mine");
    let trace = threads(&name, Duration::ZERO);
    let id = trace.mine().unwrap().id();
    let id_now = || trace.mine().unwrap().id();
    assert_eq!(id_now(), id);
    assert_ne!(threads(&name, Duration::ZERO).mine().unwrap().id(), id);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let first = id_now();
            assert_eq!(id_now(), first);
            first
        });
        assert_ne!(other.join().unwrap(), id);
    });
    in_forked_child(|| id_now() != id);
    assert_eq!(id_now(), id);
    let first = trace.mine().unwrap();
    assert_ne!(id_now(), id); // while that is in use
    assert_eq!(first.id(), id);
}

#[test]
fn producers_of_threads_leave_nothing() {
    let _alone = alone();
    let before = open_fds();
    for _ in 0..3 {
        let trace = threads("@zbq-rust-nobody", Duration::ZERO);
        trace.mine().unwrap();
        let both = [trace.mine().unwrap(), trace.mine().unwrap()];
        drop(both);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| drop(trace.mine().unwrap()));
            other.join().unwrap(); // with what is its own
        });
    }
    assert_eq!(open_fds(), before);
}

#[test]
fn a_thread_tells_why_it_has_none() {
    let _alone = alone();
    let mut scene = Scene::new("refused-thread", CollectorOptions::new().accept(|_| false));
    let trace = threads(&scene.name, LONG.unwrap());
    let refused = std::thread::scope(|scope| {
        let thread = scope.spawn(|| trace.mine().map(drop));
        scene.serve_until(|_| thread.is_finished());
        thread.join().unwrap()
    });
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}
