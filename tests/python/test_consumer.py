# SPDX-License-Identifier: MIT
"""Reading: copies, in place, in batches; waiting; observers and history; the end."""

import select
import threading
import unittest

import zbq
from support import Case, join, main


class Receive(Case):
    def test_a_copy_and_what_there_is_to_know(self):
        self.ring.publish(b"before")
        self.ring.publish(b"hello", flags=3)
        self.reader.recv()
        message = self.reader.recv()
        self.assertEqual((message.payload, bytes(message), len(message)), (b"hello", b"hello", 5))
        self.assertEqual((message.flags, message.offset, message.key), (3, 32, 0))
        self.assertEqual((message.fds, message.fd_count, message.is_forgotten), ((), 0, False))
        self.assertTrue(memoryview(message).readonly)

    def test_is_not_made_by_hand(self):
        for kind in (zbq.Copied, zbq.Message, zbq.MessageBatch, zbq.Reservation, zbq.Batch):
            with self.assertRaises(TypeError):
                kind()

    def test_waits(self):
        self.assertIsNone(self.reader.try_recv())
        with self.assertRaises(zbq.AgainError):
            self.reader.recv(0)
        with self.assertRaises(TimeoutError):
            self.reader.recv(timeout=0.01)
        timer = threading.Timer(0.05, lambda: self.ring.publish(b"late"))
        timer.start()
        self.assertEqual(self.reader.recv().payload, b"late")
        timer.join()

    def test_spins(self):
        timer = threading.Timer(0.02, lambda: self.ring.publish(b"late"))
        timer.start()
        self.assertTrue(self.reader.wait(spin=10))
        timer.join()
        self.assertEqual(self.everything(), [b"late"])
        self.assertFalse(self.reader.wait(0.001, spin=10))

    def test_pull_mode(self):
        reader = join(self.ring, mode="pull")
        self.assertIs(reader.mode, zbq.Wakeup.PULL)
        self.ring.publish(b"x")
        self.assertEqual(reader.recv().payload, b"x")
        with self.assertRaises(TimeoutError):
            reader.recv(0.01)
        with self.assertRaises(zbq.InvalidError):
            reader.event_fd()
        reader.close()

    def test_iteration_ends_with_the_stream(self):
        self.ring.publish_many([b"a", b"b"])
        self.ring.close()
        self.assertEqual([m.payload for m in self.reader], [b"a", b"b"])
        with self.assertRaises(EOFError) as caught:
            self.reader.recv()
        self.assertNotIsInstance(caught.exception, zbq.ProducerDiedError)
        self.assertIs(self.reader.ending, zbq.Ending.CLOSED)

    def test_the_event_descriptor(self):
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        while self.reader.try_recv() is None and poll.poll(0):
            pass  # readable from the start, and once more for nothing
        self.ring.publish(b"x")
        self.assertTrue(poll.poll(10000))
        self.assertEqual(self.everything(), [b"x"])


class InPlace(Case):
    def test_a_message_holds_its_room(self):
        self.ring.publish(b"hello")
        end = self.ring.head
        with self.reader.next() as message:
            self.assertEqual(bytes(message.payload), b"hello")
            self.assertTrue(message.payload.readonly)
            self.assertTrue(message.intact())
            self.assertFalse(self.ring.released(end))
        self.assertTrue(self.ring.released(end))
        self.assertTrue(message.intact())
        self.assertTrue(message.released)
        with self.assertRaises(ValueError):
            message.payload
        with self.assertRaises(zbq.ClosedError):
            message.tobytes()

    def test_dropped_it_lets_go(self):
        self.ring.publish(b"hello")
        end = self.ring.head
        self.reader.next()
        self.assertTrue(self.ring.released(end))

    def test_room_goes_in_the_order_of_the_stream(self):
        for number in range(4):
            self.ring.publish(bytes([number]))
        first, second, third, fourth = (self.reader.next() for _ in range(4))
        second.release()
        third.release()
        self.assertFalse(self.ring.released(32))
        first.release()
        self.assertTrue(self.ring.released(96))
        self.assertFalse(self.ring.released(128))
        fourth.release()
        self.assertTrue(self.ring.released(128))

    def test_process_gives_what_was_made(self):
        self.ring.publish(b"hello")
        self.ring.publish(b"again")
        with self.reader.next() as message:
            self.assertEqual(message.process(lambda view: bytes(view).upper()), b"HELLO")
        self.assertEqual(self.reader.process(len), 5)
        with self.assertRaises(TimeoutError):
            self.reader.process(len, timeout=0)

    def test_process_raises_what_is_raised(self):
        self.ring.publish(b"x")
        with self.reader.next() as message:
            with self.assertRaises(ZeroDivisionError):
                message.process(lambda view: 1 // 0)
            with self.assertRaises(BufferError):
                message.process(lambda view: view[:1])
            self.assertTrue(message.intact())

    def test_a_message_outlives_its_consumer(self):
        reader = join(self.ring)
        self.ring.publish(b"x")
        message = reader.next()
        reader.close()
        self.assertEqual(message.tobytes(), b"x")
        self.assertEqual(self.ring.statistics().consumers, 2)
        message.release()
        del message
        self.ring.scan()
        self.assertEqual(self.ring.statistics().consumers, 1)


class Batches(Case):
    def test_gives_what_is_there_and_then_the_room(self):
        self.ring.publish_many([b"a", b"b", b"c"])
        with self.reader.batch() as batch:
            self.assertEqual([bytes(m.payload) for m in batch], [b"a", b"b", b"c"])
            self.assertFalse(self.ring.released(self.ring.head))
            self.assertTrue(batch.intact())
        self.assertTrue(self.ring.released(self.ring.head))
        self.assertEqual((batch.visited, batch.released, batch.intact()), (3, True, True))
        with self.assertRaises(zbq.ClosedError):
            next(batch)

    def test_visits_no_more_than_it_may(self):
        self.ring.publish_many([b"a", b"b", b"c"])
        with self.reader.batch(2) as batch:
            self.assertEqual(batch.copies(), [b"a", b"b"])
        with self.reader.batch() as batch:
            self.assertEqual(batch.copies(), [b"c"])
        with self.reader.batch() as batch:
            self.assertEqual(batch.copies(), [])

    def test_is_a_sixteenth_of_the_ring_at_most(self):
        self.ring.publish_many([bytes(48)] * 1000)
        with self.reader.batch() as batch:
            self.assertEqual(len(batch.copies()), 64)

    def test_ends_where_another_call_takes_one(self):
        self.ring.publish_many([b"a", b"b", b"c"])
        with self.reader.batch() as batch:
            next(batch)
            self.assertEqual(self.reader.recv().payload, b"b")
            self.assertEqual(list(batch), [])
        self.assertEqual(self.everything(), [b"c"])

    def test_a_message_of_one_is_not_released_alone(self):
        self.ring.publish(b"x")
        with self.reader.batch() as batch:
            message = next(batch)
            with self.assertRaises(zbq.InvalidError):
                message.release()
        self.assertTrue(message.released)

    def test_batches_until_the_end(self):
        self.ring.publish_many([b"a", b"b"])
        self.ring.close()
        copies = [copy for batch in self.reader.batches() for copy in batch.copies()]
        self.assertEqual(copies, [b"a", b"b"])

    def test_rows_are_in_place(self):
        self.ring.publish_items(bytes(range(64)), 16)
        self.ring.publish(b"other")
        with self.reader.batch() as batch:
            view = memoryview(batch.rows(16))
            self.assertEqual((view.shape, view.strides, view.readonly), ((4, 16), (32, 1), True))
            self.assertEqual(view.tolist()[3], list(range(48, 64)))
            with self.assertRaises(BufferError):
                bytes_of = batch.rows(16)
                self.ring.publish(bytes_of)
            view.release()
            self.assertEqual(len(batch.rows(16)), 0)
            self.assertEqual(batch.copies(), [b"other"])

    def test_rows_over_the_end_of_the_ring(self):
        for turn in range(20):
            self.ring.publish_items(bytes([turn]) * 48 * 200, 48)
            got = 0
            while got != 200:
                with self.reader.batch() as batch:
                    rows = batch.rows(48)
                    self.assertTrue(len(rows))
                    for row in memoryview(rows).tolist():
                        self.assertEqual(row, [turn] * 48)
                    got += len(rows)


class Observers(Case):
    capacity = 4096

    def test_follow_tells_what_it_lost(self):
        watcher = join(self.ring, flow="follow")
        self.reader.close()
        for number in range(200):
            self.ring.publish(number.to_bytes(8, "little"))
        seen = [int.from_bytes(m, "little") for m in self.everything(watcher)]
        self.assertEqual(seen, list(range(200))[-len(seen) :])
        lost = watcher.lost
        self.assertEqual(lost.times, 1)
        self.assertEqual(lost.bytes, (200 - len(seen)) * 32)
        self.assertTrue(watcher.observes)
        watcher.close()

    def test_newest_skips_the_rest(self):
        watcher = join(self.ring, flow=zbq.Flow.NEWEST)
        for number in range(5):
            self.ring.publish(bytes([number]))
        self.assertEqual(watcher.recv().payload, b"\4")
        self.assertIsNone(watcher.try_recv())
        watcher.close()

    def test_an_overwritten_message_is_torn(self):
        watcher = join(self.ring, flow="follow")
        self.ring.publish(b"first")
        self.reader.close()
        message = watcher.next()

        def overwrite(view):
            for _ in range(200):
                self.ring.publish(b"later")
            return bytes(view)

        self.assertTrue(message.intact())
        with self.assertRaises(zbq.TornError):
            message.process(overwrite)
        with self.assertRaises(zbq.TornError):
            message.tobytes()
        message.release()
        self.assertFalse(message.intact())
        watcher.close()

    def test_process_goes_on_when_lapped(self):
        watcher = join(self.ring, flow="follow")
        self.ring.publish(b"first")
        self.reader.close()
        looks = []

        def read(view):
            looks.append(bytes(view))
            if len(looks) == 1:
                for _ in range(200):
                    self.ring.publish(b"later")
            return bytes(view)

        self.assertEqual(watcher.process(read), b"later")
        self.assertEqual(len(looks), 2)
        watcher.close()

    def test_seek(self):
        watcher = join(self.ring, flow="follow")
        for number in range(5):
            self.ring.publish(bytes([number]))
        watcher.seek("newest")
        self.assertEqual(watcher.recv().payload, b"\4")
        watcher.seek("oldest")
        self.assertEqual(watcher.recv().payload, b"\0")
        watcher.seek("head")
        self.assertIsNone(watcher.try_recv())
        with self.assertRaises(zbq.InvalidError):
            watcher.seek("middle")
        with self.assertRaises(zbq.InvalidError):
            self.reader.seek("head")
        watcher.close()


class History(Case):
    def test_starts_in_the_past(self):
        for number in range(10):
            self.ring.publish(bytes([number]))
        old = join(self.ring, start=zbq.Start.oldest())
        self.assertEqual(self.everything(old), [bytes([n]) for n in range(10)])
        old.close()
        at = join(self.ring, start=zbq.Start.at(self.ring.id, 128))
        at.skip_to(128)
        self.assertEqual(at.recv().payload, b"\4")
        with self.assertRaises(zbq.AgainError):
            at.skip_to(32 * 11)
        at.close()
        with self.assertRaises(zbq.InvalidError):
            join(self.ring, start=zbq.Start.at(self.ring.id, 640))

    def test_an_offset_in_a_message_is_none(self):
        self.ring.publish(bytes(100))
        self.ring.publish(b"next")
        with self.assertRaises(zbq.InvalidError):
            self.reader.skip_to(16)
        self.assertEqual(self.reader.recv().payload, b"next")

    def test_what_is_held_is_not_skipped(self):
        self.ring.publish_many([b"a", b"b", b"c"])
        with self.reader.next() as message:
            with self.assertRaises(zbq.InvalidError):
                self.reader.skip_to(64)
            self.assertEqual(message.tobytes(), b"a")
        self.reader.skip_to(64)
        self.assertEqual(self.reader.recv().payload, b"c")


class Eviction(Case):
    capacity = 4096

    def setUp(self):
        super().setUp()
        self.ring.close()
        self.reader.close()
        self.ring = zbq.Producer(self.capacity, stall_timeout=0.01, clog_threshold=1)
        self.reader = join(self.ring)

    def evict(self):
        """As much as one who holds the first message allows, and then more."""
        while self.ring.statistics().consumers:
            self.ring.publish(b"x" * 100)

    def test_a_message_in_place_is_void(self):
        self.ring.publish(b"first")
        message = self.reader.next()
        view = memoryview(message)

        def compute(_):
            self.evict()
            return 1

        with self.assertRaises(zbq.TornError):
            message.process(compute)
        self.assertEqual(len(bytes(view)), 5)  # whatever lies there by now
        with self.assertRaises(zbq.EvictedError) as caught:
            self.reader.recv()
        self.assertEqual(caught.exception.reason, zbq.Eviction.STALLED)
        self.assertIs(self.reader.eviction, zbq.Eviction.STALLED)
        self.assertIs(self.reader.ending, zbq.Ending.EVICTED)
        with self.assertRaises(BufferError):
            message.release()
        view.release()
        self.assertFalse(message.intact())

    def test_a_batch_tells(self):
        self.ring.publish(b"first")
        with self.reader.batch() as batch:
            next(batch)
            self.evict()
            with self.assertRaises(zbq.EvictedError):
                batch.copies()
        self.assertFalse(batch.intact())
        with self.assertRaises(zbq.EvictedError):
            for _ in self.reader:
                pass


if __name__ == "__main__":
    main()
