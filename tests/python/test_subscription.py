# SPDX-License-Identifier: MIT
"""A stream by its name, through restarts and evictions; and its statistics."""

import asyncio
import os
import select
import threading
import unittest

import zbq
from support import PathCase, in_child, main


class Feed:
    """A producer at a name, served by calls."""

    def __init__(self, name, **options):
        self.ring = zbq.Producer(4096, **options)
        self.door = zbq.Listener(name)
        self.ring.attach(self.door)

    def close(self):
        self.ring.detach(self.door)
        self.door.close()
        self.ring.close()


class Read(PathCase):
    def setUp(self):
        super().setUp()
        self.feed = None

    def tearDown(self):
        if self.feed is not None:
            self.feed.close()
        super().tearDown()

    def start(self, **options):
        if self.feed is not None:
            self.feed.close()
        self.feed = Feed(self.name, **options)
        return self.feed.ring

    def next_of(self, subscription):
        """What comes next, while the producer is served."""
        while True:
            try:
                return subscription.recv(0.01)
            except zbq.AgainError:
                if self.feed is not None and not self.feed.ring.closed:
                    self.feed.ring.serve()

    def joined(self, subscription, times):
        while subscription.joins < times:
            self.feed.ring.serve()
            subscription.wait(0.01)

    def test_through_a_restart(self):
        with zbq.Subscription(self.name) as stream:
            ring = self.start()
            self.joined(stream, 1)
            ring.publish(b"one")
            self.assertEqual(self.next_of(stream).payload, b"one")
            ring.publish(b"two")
            ring = self.start()
            ring.publish(b"before it came")
            self.assertEqual(self.next_of(stream).payload, b"two")
            gap = self.next_of(stream)
            self.assertEqual(gap, zbq.Gap(zbq.GapCause.RESTARTED, 0, False))
            self.assertEqual(self.next_of(stream).payload, b"before it came")
            self.assertEqual(stream.joins, 2)
            self.assertEqual(stream.reader.id, ring.id)

    def test_through_an_eviction(self):
        with zbq.Subscription(self.name) as stream:
            ring = self.start(stall_timeout=0.01, clog_threshold=1)
            self.joined(stream, 1)
            published = 0
            while not ring.statistics().evicted[0]:
                ring.publish(published.to_bytes(100, "little"))
                published += 1
            while ring.head < 8192:
                ring.publish(published.to_bytes(100, "little"))
                published += 1
            gap = self.next_of(stream)
            self.assertIs(gap.cause, zbq.GapCause.EVICTED)
            first = int.from_bytes(self.next_of(stream), "little")
            self.assertEqual(gap.bytes, first * zbq.Producer.size_of(100))

    def test_a_lap_is_told_before_the_message_after_it(self):
        with zbq.Subscription(self.name, flow="follow") as stream:
            ring = self.start()
            self.joined(stream, 1)
            for number in range(200):
                ring.publish(number.to_bytes(8, "little"))
            self.assertIsNone(stream.try_recv())
            gap = stream.take_gap()
            self.assertIs(gap.cause, zbq.GapCause.LAPPED)
            first = stream.try_recv()
            self.assertEqual(gap.bytes, int.from_bytes(first, "little") * 32)
            message = stream.try_next()
            self.assertEqual(int.from_bytes(message.tobytes(), "little"), gap.bytes // 32 + 1)

    def test_history_that_is_gone(self):
        ring = self.start()
        start = zbq.Start.at(os.urandom(16), 64)
        ring.publish(b"x")
        with zbq.Subscription(self.name, start=start) as stream:
            self.assertEqual(self.next_of(stream), zbq.Gap(zbq.GapCause.HISTORY, 0, True))
            self.assertEqual(self.next_of(stream).payload, b"x")

    def test_pull_mode_and_a_killed_producer(self):
        with zbq.Subscription(self.name, mode="pull") as stream:
            child = os.fork()
            if child == 0:
                ring = self.start()
                ring.serve_until(lambda: ring.statistics().consumers != 0)
                ring.publish(b"last words")
                os.kill(os.getpid(), 9)
            self.assertEqual(stream.recv(60).payload, b"last words")
            os.waitpid(child, 0)
            ring = self.start()
            ring.publish(b"first words")
            self.assertIs(self.next_of(stream).cause, zbq.GapCause.RESTARTED)
            self.assertEqual(self.next_of(stream).payload, b"first words")

    def test_is_dead_in_a_child(self):
        with zbq.Subscription(self.name) as stream:

            def child():
                try:
                    stream.try_recv()
                except zbq.ForkedError:
                    return 0
                return 1

            self.assertEqual(in_child(child), 0)

    def test_by_an_event_loop(self):
        async def read(stream):
            got = []
            async for item in zbq.AsyncSubscription(stream):
                got.append(item)
                if isinstance(item, zbq.Copied) and item.payload == b"end":
                    return got

        async def meet(stream):
            ring = self.start()
            task = asyncio.create_task(read(stream))
            serving = asyncio.create_task(zbq.AsyncProducer(ring).serve(self.feed.door))
            while stream.joins == 0:
                await asyncio.sleep(0.001)
            ring.publish_many([b"a", b"end"])
            got = await task
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            return got

        with zbq.Subscription(self.name) as stream:
            got = asyncio.run(meet(stream))
        self.assertEqual([one.payload for one in got], [b"a", b"end"])

    def test_bad_options(self):
        for options, kind in (
            ({"start": 3}, TypeError),
            ({"start": zbq.Start.within(3)}, zbq.InvalidError),
            ({"flow": "ebb"}, ValueError),
            ({"mode": 1}, ValueError),
        ):
            with self.assertRaises(kind):
                zbq.Subscription(self.name, **options)


class Inspect(PathCase):
    def test_by_a_name(self):
        feed = Feed(self.name)
        pages = []
        thread = threading.Thread(target=lambda: pages.append(zbq.inspect(self.name, timeout=60)))
        thread.start()
        feed.ring.serve_until(lambda: not thread.is_alive())
        feed.ring.publish(b"x")
        feed.ring.refresh_statistics()
        with pages[0] as page:
            account = page.read()
            self.assertEqual((account.head, account.capacity), (32, 4096))
            self.assertEqual((account.ring_id, account.pid), (feed.ring.id, os.getpid()))
            self.assertEqual(account.name, self.name.encode())
            self.assertIsNone(page.slot(0))
            feed.close()
            self.assertTrue(page.read().closed)

            def child():
                try:
                    page.read()
                except zbq.ForkedError:
                    return 0
                return 1

            self.assertEqual(in_child(child), 0)
        with self.assertRaises(zbq.ClosedError):
            page.read()

    def test_by_a_descriptor(self):
        with zbq.Producer(4096) as ring:
            ring.set_name("mine")
            with zbq.Statistics(ring.statistics_fd()) as page:
                self.assertEqual(page.read().name, b"mine")
            with self.assertRaises(zbq.TooLargeError):
                ring.set_name("x" * 112)
        with open("/dev/null") as null:
            with self.assertRaises(zbq.ProtocolError):
                zbq.Statistics(null)

    def test_nobody_there(self):
        with self.assertRaises(zbq.NotFoundError):
            zbq.inspect(self.name)


if __name__ == "__main__":
    main()
