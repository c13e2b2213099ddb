# SPDX-License-Identifier: MIT
"""Views that outlive what they look at, in other threads, and collected in odd orders."""

import gc
import os
import random
import threading
import unittest
import weakref

import zbq
from support import Case, in_child, join, main, mappings


class Late(Case):
    def test_the_mapping_lives_as_long_as_a_view(self):
        self.ring.publish(b"hello")
        view = memoryview(self.reader.next())
        before = mappings()
        with self.assertRaises(BufferError):
            self.reader.close()
        self.assertTrue(self.reader.closed)
        self.assertEqual(mappings(), before)
        self.assertEqual(bytes(view), b"hello")
        view.release()
        self.assertLess(mappings(), before)

    def test_a_view_of_a_released_message_reads_what_lies_there(self):
        self.ring.publish(b"hello")
        message = self.reader.next()
        view = memoryview(message)[1:]
        with self.assertRaises(BufferError):
            message.release()
        self.assertTrue(message.released)
        while self.ring.head < 2 * self.capacity:
            self.ring.publish(b"OTHER")
            self.reader.recv()
        self.assertEqual(bytes(view), b"THER")

    def test_a_batch_with_a_view_out_says_so(self):
        self.ring.publish_many([b"a", b"b"])
        with self.assertRaises(BufferError):
            with self.reader.batch() as batch:
                view = memoryview(next(batch))
        self.assertTrue(batch.released)
        self.assertTrue(batch.intact())
        self.assertTrue(self.ring.released(32))
        del view

    def test_what_was_raised_within_goes_before(self):
        self.ring.publish(b"a")
        with self.assertRaises(KeyError):
            with self.reader.batch() as batch:
                view = memoryview(next(batch))
                raise KeyError
        del view

    def test_a_producer_with_a_view_out_ends_later(self):
        room = self.ring.reserve(5)
        view = room.__enter__()
        part = view[1:]
        with self.assertRaises(BufferError):
            self.ring.close()
        self.assertTrue(self.ring.closed)
        part[0] = 1
        self.assertIs(self.reader.ending, zbq.Ending.NONE)
        view.release()
        part.release()
        del room
        with self.assertRaises(zbq.EndedError):
            self.reader.recv()

    def test_views_read_zeros_in_a_child(self):
        self.ring.publish(b"hello")
        view = memoryview(self.reader.next())
        room = self.ring.reserve(5)
        writable = room.__enter__()

        def child():
            writable[0] = 1
            good = bytes(view) == bytes(5)
            return 0 if good and in_child(lambda: int(bytes(view) != bytes(5))) == 0 else 1

        self.assertEqual(in_child(child), 0)
        self.assertEqual(bytes(view), b"hello")
        room.cancel()
        view.release()


class Collected(Case):
    def test_in_odd_orders(self):
        draw = random.Random(7)
        for _ in range(300):
            ring = zbq.Producer(4096)
            reader = join(ring)
            ring.publish_many([b"one", b"two", b"three"])
            first = reader.next()
            batch = reader.batch()
            things = [ring, reader, first, batch, next(batch), memoryview(first), reader.batch()]
            things += [memoryview(things[4]), things[4].payload[1:]]
            del ring, reader, first, batch
            draw.shuffle(things)
            while things:
                things.pop()

    def test_cycles(self):
        class Ring(zbq.Producer):
            pass

        class Reader(zbq.Consumer):
            pass

        ring = Ring(4096)
        reader = join(ring)
        reader.__class__ = zbq.Consumer
        ring.publish(b"x")
        ring.reader = reader
        reader.ring = ring
        reader.message = reader.next()
        gone = weakref.ref(ring)
        del ring, reader
        gc.collect()
        self.assertIsNone(gone())


class Threads(Case):
    def test_a_view_in_another_thread(self):
        self.ring.publish(bytes(1000))
        total = []
        with self.reader.next() as message:
            view = memoryview(message)
            thread = threading.Thread(target=lambda: total.append(sum(view)))
            thread.start()
            thread.join()
            view.release()
        self.assertEqual(total, [0])

    def test_a_handle_in_use_is_refused(self):
        started = threading.Event()
        got = []

        def wait():
            started.set()
            got.append(self.reader.recv().payload)

        thread = threading.Thread(target=wait)
        thread.start()
        started.wait()
        refused = False
        while not refused:  # until it sleeps
            try:
                self.assertIsNone(self.reader.try_recv())
            except zbq.BusyError:
                refused = True
        for use in (self.reader.recv, self.reader.wait, self.reader.batch, self.reader.close):
            with self.assertRaises(zbq.BusyError):
                use()
        self.ring.publish(b"x")
        thread.join()
        self.assertEqual(got, [b"x"])

    def test_what_is_let_go_while_another_thread_waits(self):
        with zbq.Descriptor(os.memfd_create("zbq-test")) as file:
            self.ring.publish(b"held", fds=[file])
        held = [self.reader.next(), None]
        self.ring.publish_many([b"a", b"b"])
        held[1] = self.reader.batch()
        list(held[1])
        got = []
        thread = threading.Thread(target=lambda: got.append(self.reader.recv().payload))
        thread.start()
        refused = False
        while not refused:
            try:
                self.assertIsNone(self.reader.try_recv())
            except zbq.BusyError:
                refused = True
        held.clear()
        self.ring.publish(b"x")
        thread.join()
        self.assertEqual(got, [b"x"])
        self.assertTrue(self.ring.released(self.ring.head))
        self.assertEqual(self.ring.consumer_info(0).fds_in_flight, 0)

    def test_a_producer_in_use_is_refused(self):
        self.ring.publish(bytes(self.capacity - 32))
        thread = threading.Thread(target=lambda: self.ring.publish(bytes(100)))
        thread.start()
        refused = False
        while not refused:
            try:
                self.ring.try_publish(bytes(100))
            except zbq.BusyError:
                refused = True
        with self.assertRaises(zbq.BusyError):
            self.ring.close()
        self.assertEqual(len(self.reader.recv().payload), self.capacity - 32)
        thread.join()
        self.assertEqual(self.reader.recv().payload, bytes(100))

    def test_other_handles_go_on_meanwhile(self):
        readers = [join(self.ring) for _ in range(3)]
        counts = []
        threads = [
            threading.Thread(target=lambda r=r: counts.append(sum(1 for _ in r))) for r in readers
        ]
        for thread in threads:
            thread.start()
        for number in range(2000):
            self.ring.publish(number.to_bytes(4, "little"))
            self.everything()
        self.ring.close()
        for thread in threads:
            thread.join()
        self.assertEqual(counts, [2000] * 3)
        for reader in readers:
            reader.close()


if __name__ == "__main__":
    main()
