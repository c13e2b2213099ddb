# SPDX-License-Identifier: MIT
"""No reference, block or descriptor is left behind, whatever is done: under a debug build of
Python, which counts them."""

import asyncio
import contextlib
import gc
import os
import sys
import unittest

import zbq
from support import join, main, mappings, open_descriptors

if not hasattr(sys, "gettotalrefcount"):
    print("skipped: not a debug build of Python")
    sys.exit(77)


@contextlib.contextmanager
def refused(*kinds):
    try:
        yield
    except kinds:
        pass


def with_both(use):
    def run():
        with zbq.Producer(65536) as ring, join(ring, takes_fds=True) as reader:
            use(ring, reader)

    return run


def copies(ring, reader):
    ring.publish(b"x", flags=1)
    ring.publish_many([b"a", bytearray(b"b")])
    ring.publish_items(b"abcd", 2)
    while reader.try_recv() is not None:
        pass


def in_place(ring, reader):
    ring.publish_many([b"a", b"b", b"c"])
    with reader.next() as message:
        bytes(message.payload), message.tobytes(), message.process(len), repr(message)
    with reader.batch() as batch:
        next(batch).intact()
        batch.copies()
    ring.publish_items(b"abcd", 2)
    with reader.batch() as batch, memoryview(batch.rows(2)) as rows:
        rows.tolist()


def reserved(ring, reader):
    room = ring.reserve(3)
    with room as view:
        view[:] = b"abc"
        room.fds = [0]
        room.used, room.flags
    with ring.batch(100) as batch:
        batch.add(b"x")
        batch.reserve(3)
    ring.reserve(3).cancel()
    with refused(KeyError):
        with ring.reserve(3):
            raise KeyError


def late(ring, reader):
    ring.publish(b"x")
    with refused(BufferError):
        with reader.next() as message:
            view = memoryview(message)
    view.release()
    with refused(BufferError):
        with ring.reserve(3) as view:
            part = view[1:]
    part.release()


def descriptors(ring, reader):
    with zbq.Descriptor(os.memfd_create("x")) as file:
        ring.publish(b"x", fds=[file])
        ring.publish(b"y", fds=[file, file])
        ring.retain(1, b"z", fds=[file])
    reader.recv()
    reader.next().take_descriptors()
    with join(ring, takes_fds=True) as other:
        other.retained()
    ring.forget(1)


def wrong(ring, reader):
    for call in (
        lambda: ring.publish("text"),
        lambda: ring.publish(b"", flags=256),
        lambda: ring.publish(b"", fds=[-1]),
        lambda: ring.publish(b"", fds=[0, "x"]),
        lambda: ring.publish_many([b"", 3]),
        lambda: ring.publish(bytes(70000)),
        lambda: ring.publish(b"", nonsense=1),
        lambda: ring.reserve(-1),
        lambda: reader.recv(0),
        lambda: reader.recv("x"),
        lambda: zbq.Producer(3),
        lambda: zbq.Producer(4096, nonsense=1),
        lambda: zbq.Consumer(0, timeout=0),
        lambda: reader.seek("x"),
        lambda: zbq.Statistics(0),
    ):
        with refused(TypeError, ValueError, OverflowError, zbq.Error):
            call()


def standing(ring, reader):
    ring.statistics(), ring.consumer_info(0), ring.id, ring.head, ring.capacity
    reader.lost, reader.type, reader.ending, reader.id, reader.lag, reader.mode
    with zbq.Statistics(ring.statistics_fd()) as page:
        page.read()
        page.slot(0)


def ended(ring, reader):
    ring.publish(b"x")
    ring.close()
    list(reader)
    with refused(zbq.EndedError):
        reader.recv()
    with refused(zbq.ClosedError):
        ring.publish(b"")


def lapped(ring, reader):
    with join(ring, flow="follow") as watcher:
        reader.close()
        ring.publish(b"first")
        message = watcher.next()
        for _ in range(3000):
            ring.publish(b"later")
        with refused(zbq.TornError):
            message.process(bytes)
        with refused(zbq.TornError):
            message.tobytes()
        with watcher.batch() as batch:
            batch.copies()


def in_a_loop(ring, reader):
    async def run():
        await zbq.AsyncProducer(ring).publish(b"x")
        await zbq.AsyncConsumer(reader).recv()
        task = asyncio.create_task(zbq.AsyncConsumer(reader).recv())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def framed(ring, reader):
    pool = zbq.FramePool(ring, frame_size=64, frames=2)
    with join(ring) as other:
        frames = zbq.Frames(other)
        with pool.acquire() as picture:
            picture.publish()
        with frames.next() as got:
            got.process(sum)


class References(unittest.TestCase):
    WARM_UP = 300  # until the interpreter's own caches are full
    ROUNDS = 200

    def held(self):
        gc.collect()
        return sys.gettotalrefcount(), sys.getallocatedblocks()

    def test_none_is_left(self):
        uses = [copies, in_place, reserved, late, descriptors, wrong, standing, ended]
        uses += [lapped, in_a_loop, framed]
        for use in uses:
            with self.subTest(use=use.__name__):
                run = with_both(use)
                for _ in range(self.WARM_UP):
                    run()
                before = self.held(), open_descriptors(), mappings()
                for _ in range(self.ROUNDS):
                    run()
                after = self.held()
                self.assertEqual((open_descriptors(), mappings()), before[1:])
                # What is left of the caches moves by a few; a leak is one for each round.
                self.assertLess(after[0] - before[0][0], self.ROUNDS)
                self.assertLess(after[1] - before[0][1], self.ROUNDS)


if __name__ == "__main__":
    main()
