// SPDX-License-Identifier: MIT
//! Pools of frames: as tests/cpp/frames_test.cpp.

mod support;

use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use support::{file, join, join_with, memfd, LONG, PAGE};
use zbq::{
    Consumer, Error, Eviction, Flow, Frame, FramePool, FramePoolOptions, Frames, Options, Producer,
    ReceivedFrame, Start, Wakeup,
};

const SIZE: usize = 10_000;
const NOW: Option<Duration> = Some(Duration::ZERO);

fn impatient() -> Options {
    Options::new().stall_timeout(Some(Duration::from_millis(1)))
}

struct Pool {
    ring: Producer,
    pool: FramePool,
}

impl Pool {
    fn new(ring: Options, options: FramePoolOptions) -> Self {
        let mut ring = Producer::new(&ring).unwrap();
        let pool = FramePool::new(&mut ring, &options, NOW).unwrap();
        Self { ring, pool }
    }

    /// Of so many, whose ring evicts whom it must wait for.
    fn impatient(frames: usize) -> Self {
        Self::new(impatient(), FramePoolOptions::new(SIZE).frames(frames))
    }

    /// Of so many, whose ring evicts nobody for being slow.
    fn patient(frames: usize) -> Self {
        let patient = Options::new().stall_timeout(None);
        Self::new(patient, FramePoolOptions::new(SIZE).frames(frames))
    }

    fn join(&mut self) -> Frames {
        Frames::new(join(&mut self.ring, Wakeup::Push)).unwrap()
    }

    fn join_with(&mut self, flow: Flow, from: Start) -> Frames {
        Frames::new(join_with(&mut self.ring, Wakeup::Push, flow, from)).unwrap()
    }

    fn acquire(&mut self) -> Result<Frame, Error> {
        self.pool.acquire(&mut self.ring, NOW)
    }

    fn paint(&mut self, color: u8) {
        let mut frame = self.pool.acquire(&mut self.ring, LONG).unwrap();
        assert_eq!(frame.bytes().len(), SIZE);
        frame.bytes().fill(color);
        frame
            .publish(&mut self.ring, SIZE, b"painted", LONG)
            .unwrap();
    }

    /// Evicts the one that holds a frame.
    fn evict(&mut self) {
        let before = self.ring.statistics().evicted_for(Eviction::Stalled);
        self.ring.wait_released(self.ring.head(), LONG).unwrap();
        let now_is = self.ring.statistics().evicted_for(Eviction::Stalled);
        assert_eq!(now_is, before + 1);
    }
}

fn is_all(frame: &ReceivedFrame<'_>, color: u8) -> bool {
    frame.len() == SIZE && frame.bytes().bytes().all(|byte| byte == color)
}

fn assert_next(reader: &Frames, color: u8) {
    let frame = reader.try_next().unwrap();
    assert!(is_all(&frame, color), "no frame of {color}");
    assert_eq!(frame.to_vec().unwrap(), [color; SIZE]);
}

// ---- what can be ----

#[test]
fn what_cannot_be_is_refused() {
    let mut ring = Producer::new(&Options::new()).unwrap();
    let mut make = |options: FramePoolOptions| FramePool::new(&mut ring, &options, NOW);
    for none in [
        FramePoolOptions::new(1).frames(0),
        FramePoolOptions::new(0),
        FramePoolOptions::new(1).first_key(0),
        FramePoolOptions::new(1).first_key(32_767).frames(2),
        FramePoolOptions::new(1).first_key(65_535).frames(2),
    ] {
        assert!(matches!(make(none), Err(Error::Invalid)));
    }
    for too_large in [
        FramePoolOptions::new(1).frames(65),
        FramePoolOptions::new(1).frames(usize::MAX),
        FramePoolOptions::new(usize::MAX),
    ] {
        assert!(matches!(make(too_large), Err(Error::TooLarge)));
    }
}

#[test]
fn a_pool_takes_its_own_producer_alone() {
    let mut pool = Pool::patient(2);
    let mut other = Pool::patient(2);
    let mine = pool.acquire().unwrap();
    let theirs = pool.pool.acquire(&mut other.ring, NOW);
    assert!(matches!(theirs, Err(Error::Invalid)));
    let refused = mine.publish(&mut other.ring, SIZE, b"", NOW).unwrap_err();
    assert!(matches!(refused.error(), Error::Invalid));
    assert_eq!(other.ring.head(), pool.ring.head());
    let again = refused.into_frame();
    again.publish(&mut pool.ring, SIZE, b"", NOW).unwrap();
}

#[test]
fn several_pools_go_into_one_ring() {
    let mut ring = Producer::new(&Options::new()).unwrap();
    let mut pools = [1, 100].map(|key| {
        let options = FramePoolOptions::new(100).frames(2).first_key(key);
        FramePool::new(&mut ring, &options, NOW).unwrap()
    });
    let other = file("no buffer");
    ring.retain_with(50, &[b'x'; 100], &[other.as_fd()], NOW)
        .unwrap();
    let reader = Frames::new(join(&mut ring, Wakeup::Push)).unwrap();
    for (color, pool) in (1..).zip(&mut pools) {
        let mut frame = pool.acquire(&mut ring, NOW).unwrap();
        frame.bytes()[0] = color;
        frame.publish(&mut ring, 1, b"", NOW).unwrap();
    }
    ring.forget(50, NOW).unwrap(); // is no frame, and passed over
    assert_eq!(reader.try_next().unwrap().to_vec().unwrap(), [1]);
    assert_eq!(reader.try_next().unwrap().to_vec().unwrap(), [2]);
    assert!(matches!(reader.try_next(), Err(Error::Again)));
    assert_eq!(reader.skipped(), 0);
}

#[test]
fn one_who_polls_is_refused() {
    let mut pool = Pool::patient(1);
    let consumer = join(&mut pool.ring, Wakeup::Pull);
    assert!(matches!(Frames::new(consumer), Err(Error::Invalid)));
}

// ---- read by all, and filled again ----

#[test]
fn frames_are_read_in_place_by_all() {
    let mut pool = Pool::patient(3);
    let readers = [pool.join(), pool.join()];
    for color in 1..=50 {
        pool.paint(color);
        for reader in &readers {
            let frame = reader.try_next().unwrap();
            assert!(is_all(&frame, color));
            assert_eq!(frame.bytes().as_ptr() as usize % PAGE as usize, 0);
            assert_eq!(frame.read_beside(|it| it.to_vec()).unwrap(), b"painted");
            assert!(frame.is_intact());
        }
    }
    assert!(matches!(readers[0].try_next(), Err(Error::Again)));
    assert_eq!(pool.pool.replaced(), 0);
}

#[test]
fn they_are_waited_for() {
    let mut pool = Pool::patient(2);
    let reader = pool.join();
    assert!(matches!(reader.next(NOW), Err(Error::Again)));
    let painter = std::thread::spawn(move || (1..=50).for_each(|color| pool.paint(color)));
    for color in 1..=50 {
        assert!(is_all(&reader.next(LONG).unwrap(), color));
    }
    assert!(matches!(reader.next(LONG), Err(Error::Closed)));
    painter.join().unwrap();
}

#[test]
fn they_come_back_when_all_have_let_go() {
    let mut pool = Pool::patient(3);
    let reader = pool.join();
    (1..=3).for_each(|color| pool.paint(color));
    assert!(matches!(pool.acquire(), Err(Error::Again)));
    let held = reader.try_next().unwrap();
    assert!(matches!(pool.acquire(), Err(Error::Again)));
    drop(held);
    drop(pool.acquire().unwrap());
    drop(pool.acquire().unwrap()); // dropped, it was free again
}

#[test]
fn all_of_them_can_be_filled_at_once_in_threads() {
    let mut pool = Pool::patient(3);
    let reader = pool.join();
    let mut filling: Vec<Frame> = (0..3).map(|_| pool.acquire().unwrap()).collect();
    assert!(matches!(pool.acquire(), Err(Error::Again)));
    std::thread::scope(|scope| {
        for (color, frame) in (1..).zip(&mut filling) {
            scope.spawn(move || frame.bytes().fill(color));
        }
    });
    for frame in filling {
        let too_much = frame.publish(&mut pool.ring, SIZE + 1, b"", NOW);
        let refused = too_much.unwrap_err();
        assert!(matches!(refused.error(), Error::Invalid));
        let frame = refused.into_frame();
        frame.publish(&mut pool.ring, SIZE, b"", NOW).unwrap();
    }
    (1..=3).for_each(|color| assert_next(&reader, color));
}

#[test]
fn a_frame_without_room_in_the_ring_stays_as_it_was_filled() {
    let options = Options::new().capacity(PAGE).stall_timeout(None);
    let mut pool = Pool::new(options, FramePoolOptions::new(SIZE).frames(1));
    let reader = pool.join();
    let mut frame = pool.acquire().unwrap();
    frame.bytes().fill(7);
    let beside = [0; 2100];
    let refused = frame.publish(&mut pool.ring, SIZE, &[0; 5000], NOW);
    let frame = refused.unwrap_err().into_frame(); // larger than the ring
    pool.ring.try_publish(&beside).unwrap();
    let refused = frame.publish(&mut pool.ring, SIZE, &beside, NOW);
    let refused = refused.unwrap_err();
    assert!(matches!(refused.error(), Error::Again));
    assert!(matches!(reader.try_next(), Err(Error::Protocol))); // what was no frame has gone
    let frame = refused.into_frame();
    frame.publish(&mut pool.ring, SIZE, &beside, NOW).unwrap();
    assert_next(&reader, 7);
}

// ---- who was evicted ----

#[test]
fn what_an_evicted_reader_looks_at_is_replaced() {
    let mut pool = Pool::impatient(3);
    let slow = pool.join();
    pool.paint(1);
    let held = slow.try_next().unwrap();
    (2..10).for_each(|color| pool.paint(color)); // the third time round it is in the way
    let stalled = pool.ring.statistics().evicted_for(Eviction::Stalled);
    assert_eq!((stalled, pool.pool.replaced()), (1, 3));
    assert!(is_all(&held, 1) && held.is_intact()); // nobody has touched it
    assert!(matches!(slow.try_next(), Err(Error::Evicted(_))));
    let late = pool.join();
    pool.paint(11);
    assert_next(&late, 11);
}

#[test]
fn only_what_an_evicted_reader_may_look_at_is_replaced() {
    let mut pool = Pool::impatient(3);
    let slow = pool.join();
    (1..=3).for_each(|color| pool.paint(color));
    assert_next(&slow, 1);
    assert_next(&slow, 2);
    let held = slow.try_next().unwrap();
    pool.evict();
    pool.paint(4);
    pool.paint(5);
    assert_eq!(pool.pool.replaced(), 0);
    pool.paint(6);
    assert_eq!(pool.pool.replaced(), 1);
    assert!(is_all(&held, 3) && held.is_intact());
}

#[test]
fn who_is_evicted_is_not_forgotten_where_another_has_its_slot() {
    for one_has_left in [false, true] {
        let mut pool = Pool::impatient(2);
        let slow = pool.join();
        if one_has_left {
            drop(join(&mut pool.ring, Wakeup::Push));
            pool.ring.scan();
        }
        pool.paint(1);
        let held = slow.try_next().unwrap();
        pool.evict();
        let _other = join_with(&mut pool.ring, Wakeup::Pull, Flow::Follow, Start::Head);
        pool.paint(2);
        pool.paint(3);
        assert!(is_all(&held, 1) && held.is_intact());
    }
}

#[test]
fn evictions_of_before_hide_none_of_later() {
    let mut ring = Producer::new(&impatient().max_consumers(4)).unwrap();
    let early = join(&mut ring, Wakeup::Push);
    drop(join(&mut ring, Wakeup::Push));
    ring.scan();
    let options = FramePoolOptions::new(SIZE).frames(1);
    let pool = FramePool::new(&mut ring, &options, NOW).unwrap();
    let mut pool = Pool { ring, pool };
    let slow = Frames::new(early).unwrap();
    assert!(matches!(slow.try_next(), Err(Error::Again))); // it has the buffer now
    pool.paint(1);
    let _held = slow.try_next().unwrap();
    pool.evict();
    let _other = join(&mut pool.ring, Wakeup::Push); // in its slot
    drop(pool.acquire().unwrap());
    assert_eq!(pool.pool.replaced(), 1);
}

#[test]
fn one_that_has_left_looks_no_more() {
    let mut pool = Pool::impatient(3);
    let short_lived = pool.join();
    pool.paint(1);
    assert_next(&short_lived, 1);
    drop(short_lived);
    (2..10).for_each(|color| pool.paint(color));
    assert_eq!(pool.pool.replaced(), 0);
}

#[test]
fn readers_learn_of_a_new_buffer() {
    let mut pool = Pool::impatient(3);
    let slow = pool.join();
    pool.paint(1);
    let _held = slow.try_next().unwrap();
    let quick = pool.join();
    for color in 2..20 {
        pool.paint(color);
        assert_next(&quick, color);
    }
    assert_eq!(pool.pool.replaced(), 3);
}

// 1 to 4, of which the last is in a new buffer: who was evicted looks at the first.
fn paint_with_a_new_buffer(pool: &mut Pool) {
    let slow = pool.join();
    pool.paint(1);
    let _held = slow.try_next().unwrap();
    pool.evict();
    (2..=4).for_each(|color| pool.paint(color));
    assert_eq!(pool.pool.replaced(), 1);
}

#[test]
fn replaced_ones_are_skipped_by_who_starts_in_the_past() {
    let mut pool = Pool::impatient(3);
    paint_with_a_new_buffer(&mut pool);
    let late = pool.join_with(Flow::Lossless, Start::Oldest);
    (2..=4).for_each(|color| assert_next(&late, color));
    assert!(matches!(late.try_next(), Err(Error::Again)));
    assert_eq!(late.skipped(), 1);
}

// ---- observers ----

#[test]
fn an_observer_that_missed_the_new_buffer_skips_what_is_in_it() {
    let mut pool = Pool::impatient(3);
    let observer = pool.join_with(Flow::Follow, Start::Head);
    paint_with_a_new_buffer(&mut pool);
    for _ in 0..20 {
        let more = vec![b'x'; 100_000]; // than the ring, in all
        pool.ring.try_publish(&more).unwrap();
    }
    (5..=7).for_each(|color| pool.paint(color)); // the last in that one again
    assert_next(&observer, 5);
    assert_next(&observer, 6);
    let others = observer.skipped();
    assert!(matches!(observer.try_next(), Err(Error::Again)));
    assert_eq!(observer.skipped(), others + 1);
}

#[test]
fn an_observer_sees_what_is_painted_over() {
    let mut pool = Pool::patient(3);
    let observer = pool.join_with(Flow::Newest, Start::Head);
    pool.paint(1);
    pool.paint(2);
    let held = observer.try_next().unwrap();
    assert!(is_all(&held, 2) && held.is_intact());
    (3..10).for_each(|color| pool.paint(color));
    assert!(!held.is_intact());
    assert!(matches!(held.to_vec(), Err(Error::Lapped)));
    assert_eq!(held.read_beside(|it| it.to_vec()).unwrap(), b"painted"); // it is still in the ring
    let last = observer.try_next().unwrap();
    assert!(is_all(&last, 9) && last.is_intact());
    // From the moment on at which its buffer is given out to be filled.
    let _filling = [(); 3].map(|()| pool.acquire().unwrap());
    assert!(!last.is_intact());
}

#[test]
fn what_is_beside_a_frame_is_asked_for_itself() {
    let options = Options::new().capacity(16 * PAGE);
    let mut pool = Pool::new(options, FramePoolOptions::new(SIZE).frames(3));
    let observer = pool.join_with(Flow::Follow, Start::Head);
    pool.paint(1);
    let held = observer.try_next().unwrap();
    for _ in 0..20 {
        pool.ring.try_publish(&[b'x'; 10_000]).unwrap();
    }
    assert!(is_all(&held, 1) && held.is_intact());
    assert!(matches!(held.read_beside(|_| ()), Err(Error::Lapped)));
}

// ---- producers that do otherwise ----

const MARK: u64 = 0x3265_6d61_7266_7162;

fn note(mark: u64, size: u64, key: u32, generation: u32) -> Vec<u8> {
    let mut bytes = [mark.to_ne_bytes(), size.to_ne_bytes()].concat();
    bytes.extend_from_slice(&key.to_ne_bytes());
    bytes.extend_from_slice(&generation.to_ne_bytes());
    bytes
}

#[test]
fn a_message_that_names_no_buffer_gives_no_frame() {
    let mut pool = Pool::patient(3);
    let reader = pool.join();
    pool.paint(1);
    assert_next(&reader, 1);
    let size = SIZE as u64;
    let right = note(MARK, size, 1, 1);
    for wrong in [
        note(MARK, size, 4, 1),
        note(MARK, size, 1, 2),
        note(MARK, size + 1, 1, 1),
        note(MARK, u64::MAX, 1, 1),
        note(MARK + 1, size, 1, 1),
        right[..right.len() - 1].to_vec(),
    ] {
        pool.ring.try_publish(&wrong).unwrap();
        assert!(matches!(reader.try_next(), Err(Error::Protocol)));
    }
    pool.ring.try_publish(&right).unwrap();
    let frame = reader.try_next().unwrap();
    assert!(frame.beside().is_empty());
    assert!(!frame.is_intact()); // it was filled for another message
    assert!(matches!(frame.to_vec(), Err(Error::Lapped)));
}

#[test]
fn a_buffer_that_is_none_is_refused() {
    let offer = |size: u64, seals: libc::c_int, said: u64| {
        let mut ring = Producer::new(&Options::new()).unwrap();
        let fd = memfd(size, seals);
        let note = note(MARK, said, 1, 1);
        ring.retain_with(1, &note, &[fd.as_fd()], NOW).unwrap();
        Frames::new(join(&mut ring, Wakeup::Push)).map(drop)
    };
    let refused = |result| matches!(result, Err(Error::Protocol));
    offer(2 * PAGE, libc::F_SEAL_SHRINK, PAGE).unwrap();
    assert!(refused(offer(2 * PAGE, libc::F_SEAL_GROW, PAGE))); // it may shrink
    assert!(refused(offer(2 * PAGE, libc::F_SEAL_SHRINK, PAGE + 1)));
    assert!(refused(offer(2 * PAGE, libc::F_SEAL_SHRINK, u64::MAX)));
    assert!(refused(offer(PAGE - 1, libc::F_SEAL_SHRINK, 0)));
}

// Whatever else is retained is none of its business.
#[test]
fn what_is_retained_without_one_descriptor_is_no_buffer() {
    let mut ring = Producer::new(&Options::new()).unwrap();
    let fds = [(); 2].map(|()| memfd(2 * PAGE, libc::F_SEAL_SHRINK));
    let both = [fds[0].as_fd(), fds[1].as_fd()];
    ring.retain(1, &note(MARK, PAGE, 1, 1), NOW).unwrap();
    ring.retain_with(2, &note(MARK, PAGE, 2, 1), &both, NOW)
        .unwrap();
    ring.retain_with(3, &note(MARK, PAGE, 4, 1), &both[..1], NOW)
        .unwrap(); // under another key than it says
    let reader = Frames::new(join(&mut ring, Wakeup::Push)).unwrap();
    for key in 1..=4 {
        ring.try_publish(&note(MARK, 0, key, 1)).unwrap();
        assert!(matches!(reader.try_next(), Err(Error::Protocol)));
    }
}

// ---- what the kernel holds to ----

fn buffers_of(ring: &mut Producer) -> (Consumer, Vec<OwnedFd>) {
    let consumer = join(ring, Wakeup::Push);
    let fds = consumer
        .retained()
        .flat_map(|retained| retained.take_fds().unwrap())
        .collect();
    (consumer, fds)
}

#[test]
fn their_memory_is_sealed_against_readers() {
    let mut pool = Pool::patient(3);
    let (_consumer, fds) = buffers_of(&mut pool.ring);
    assert_eq!(fds.len(), 3);
    for fd in fds {
        let fd = fd.as_raw_fd();
        // SAFETY: numbers, a byte, and a mapping that is not made.
        unsafe {
            assert_eq!(libc::ftruncate(fd, 0), -1);
            assert_eq!(libc::write(fd, b"x".as_ptr().cast(), 1), -1);
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let anywhere = std::ptr::null_mut();
            let mapped = libc::mmap(anywhere, 4096, protection, libc::MAP_SHARED, fd, 0);
            assert_eq!(mapped, libc::MAP_FAILED);
        }
    }
}
