# SPDX-License-Identifier: MIT
"""NumPy: arrays in place, channels of a type, frames."""

import os
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: no package python3-numpy")
    sys.exit(77)

import zbq
from support import Case, in_child, join, main

QUOTES = zbq.Channel("quote/1", [("bid", "f8"), ("flag", "u1"), ("ask", "f8")])


class Arrays(Case):
    def test_of_a_message(self):
        self.ring.publish(np.arange(12, dtype="f4"))
        with self.reader.next() as message:
            array = message.array("f4", (3, 4))
            self.assertEqual(array.tolist(), np.arange(12).reshape(3, 4).tolist())
            self.assertFalse(array.flags.writeable)
            self.assertEqual(array.ctypes.data % 16, 0)
            with self.assertRaises(ValueError):
                array.flags.writeable = True
            self.assertEqual(message.array("f4", offset=40).tolist(), [10, 11])
            for dtype, shape in (("f8", 5), ("f4", (5, 5)), ("S7", -1)):
                with self.assertRaises(ValueError):
                    message.array(dtype, shape)
            with self.assertRaises(TypeError):
                message.array("nonsense")
            del array

    def test_of_an_empty_message(self):
        self.ring.publish(b"")
        with self.reader.next() as message:
            self.assertEqual(message.array("f8").shape, (0,))

    def test_a_late_array_reads_and_says_so(self):
        self.ring.publish(np.ones(4))
        with self.assertRaises(BufferError):
            with self.reader.next() as message:
                array = message.array("f8")
        self.assertEqual(array.sum(), 4)
        with self.assertRaises(BufferError):
            self.reader.close()
        self.assertEqual(array.sum(), 4)
        del array

    def test_into_what_is_reserved(self):
        with self.ring.reserve(32) as view:
            np.frombuffer(view, "f8")[:] = [1, 2, 3, 4]
        self.assertEqual(np.frombuffer(self.reader.recv(), "f8").tolist(), [1, 2, 3, 4])
        with self.assertRaises(BufferError):
            with self.ring.reserve(32) as view:
                array = np.frombuffer(view, "f8")
                array[:] = 0
        del array
        self.assertIsNone(self.reader.try_recv())

    def test_what_is_not_in_one_piece_is_refused(self):
        with self.assertRaises((ValueError, BufferError)):
            self.ring.publish(np.arange(10)[::2])

    def test_rows_of_a_batch(self):
        values = np.arange(100, dtype="u4").reshape(25, 4)
        self.ring.publish_items(values, 16)
        with self.reader.batch() as batch:
            rows = np.asarray(batch.rows(16)).view("u4")
            self.assertTrue((rows == values).all())
            del rows
        self.assertTrue(batch.intact())


class Channels(Case):
    def setUp(self):
        super().setUp()
        self.reader.close()
        self.ring.close()
        self.ring = zbq.Producer(self.capacity)
        self.source = QUOTES.producer(self.ring)
        self.reader = join(self.ring)
        self.sink = QUOTES.consumer(self.reader)

    def values(self, count, first=0):
        made = np.zeros(count, QUOTES.dtype)
        made["bid"] = np.arange(first, first + count)
        made["ask"] = made["bid"] + 1
        return made

    def test_has_the_layout_of_c(self):
        self.assertEqual((QUOTES.dtype.itemsize, QUOTES.dtype.alignment), (24, 8))
        self.assertEqual(QUOTES.type, zbq.PayloadType(zbq.type_hash("quote/1"), 24, 8))

    def test_one_by_one(self):
        self.source.send((1.5, 2, 2.5))
        self.source.send(self.values(1)[0], flags=3)
        first = self.sink.recv()
        self.assertEqual(first.tolist(), (1.5, 2, 2.5))
        self.assertEqual(self.sink.recv()["ask"], 1)
        with self.assertRaises(TimeoutError):
            self.sink.recv(0)

    def test_many_at_once(self):
        values = self.values(500)
        self.source.send_many(values)
        self.source.send_many(self.values(0))
        got = []
        while sum(map(len, got)) < 500:
            got.append(self.sink.take())
        self.assertTrue((np.concatenate(got) == values).all())
        self.assertEqual(self.sink.take().shape, (0,))
        self.assertEqual(self.sink.take().dtype, QUOTES.dtype)

    def test_in_place(self):
        values = self.values(50)
        self.source.send_many(values)
        with self.reader.batch() as batch:
            array = self.sink.in_place(batch)
            self.assertEqual(array.strides, (48,))
            self.assertFalse(array.flags.writeable)
            total = array["bid"].sum()
            self.assertTrue(batch.intact())
            del array
        self.assertEqual(total, values["bid"].sum())

    def test_iteration_and_the_end(self):
        self.source.send_many(self.values(3))
        self.ring.close()
        self.assertEqual([one["bid"] for one in self.sink], [0, 1, 2])
        with self.assertRaises(zbq.EndedError):
            self.sink.take()

    def test_a_message_of_another_size(self):
        self.ring.publish(b"short")
        self.source.send((1, 2, 3))
        with self.assertRaises(zbq.ProtocolError):
            self.sink.take()
        self.assertEqual(len(self.sink.take()), 1)
        self.ring.publish(b"short")
        with self.assertRaises(zbq.ProtocolError):
            self.sink.recv()
        self.ring.publish(b"short")
        with self.assertRaises(zbq.ProtocolError):
            next(iter(self.sink))

    def test_an_observer(self):
        watcher = join(self.ring, flow="follow")
        sink = QUOTES.consumer(watcher)
        self.reader.close()
        for turn in range(300):
            self.source.send_many(self.values(10, 10 * turn))
        got = []
        while len(taken := sink.take(7)):
            got += taken["bid"].tolist()
        self.assertEqual(got, list(range(3000))[-len(got) :])
        self.assertGreater(watcher.lost.bytes, 0)
        watcher.close()

    def test_what_is_no_value(self):
        for junk in ("text", [1, 2], object(), self.values(2)):
            with self.assertRaises((ValueError, TypeError)):
                self.source.send(junk)
        with self.assertRaises(zbq.InvalidError):
            self.source.send_many(self.values(4).reshape(2, 2))

    def test_what_is_no_type(self):
        for junk in ("O", [("a", "O")], "V0", "U0"):
            with self.assertRaises(zbq.InvalidError):
                zbq.Channel("x", junk)
        with self.assertRaises(TypeError):
            zbq.Channel("x", "nonsense")
        with self.assertRaises(TypeError):
            zbq.Channel(3, "f8")


class FramesCase(Case):
    def setUp(self):
        super().setUp()
        self.reader.close()
        self.ring.scan()  # it is gone
        self.pool = zbq.FramePool(self.ring, frame_size=64, frames=3)
        self.reader = join(self.ring)
        self.frames = zbq.Frames(self.reader)

    def tearDown(self):
        del self.pool, self.frames
        super().tearDown()

    def paint(self, value, **options):
        with self.pool.acquire(0) as picture:
            picture.array("u1", (8, 8))[:] = value
            return picture.publish(**options)

    def test_are_shared_without_a_copy(self):
        for number in range(20):
            offset = self.paint(number, beside=b"%d" % number)
            with self.frames.next() as picture:
                array = picture.array("u1", (8, 8))
                self.assertTrue((array == number).all())
                self.assertFalse(array.flags.writeable)
                self.assertTrue(picture.intact())
                self.assertEqual(bytes(picture.beside), b"%d" % number)
                self.assertEqual((picture.offset, len(picture)), (offset, 64))
                del array
        self.assertEqual(self.pool.replaced, 0)

    def test_come_back_when_let_go(self):
        for number in range(3):
            self.paint(number)
        with self.assertRaises(zbq.AgainError):
            self.pool.acquire(0)
        held = [self.frames.next() for _ in range(3)]
        with self.assertRaises(zbq.AgainError):
            self.pool.acquire(0)
        held[0].release()
        self.paint(9)
        self.assertTrue(all(one.intact() for one in held[1:]))
        self.assertFalse(held[0].intact())
        for one in held[1:]:
            one.release()

    def test_what_still_looks_at_a_frame_stops_it(self):
        with self.pool.acquire() as picture:
            array = picture.array()
            with self.assertRaises(BufferError):
                picture.publish()
            del array
            picture.publish(10)
            with self.assertRaises(zbq.ClosedError):
                picture.publish()
            with self.assertRaises(zbq.ClosedError):
                picture.view
        self.assertEqual(len(self.frames.next()), 10)

    def test_dropped_it_is_free_again(self):
        for _ in range(10):
            self.pool.acquire(0)
            with self.pool.acquire(0):
                pass
        taken = [self.pool.acquire(0) for _ in range(3)]
        with self.assertRaises(zbq.AgainError):
            self.pool.acquire(0)
        del taken

    def test_a_late_view_of_a_frame(self):
        self.paint(5)
        with self.assertRaises(BufferError):
            with self.frames.next() as picture:
                view = picture.view
        self.reader.close()
        self.ring.close()
        self.assertEqual(view[63], 5)
        self.assertEqual(in_child(lambda: int(view[63] != 5)), 0)
        del view, picture

    def test_process(self):
        self.paint(5)
        with self.frames.next() as picture:
            self.assertEqual(picture.process(sum), 5 * 64)
            with self.assertRaises(BufferError):
                picture.process(lambda view: np.frombuffer(view, "u1"))

    def test_an_observer_is_told_of_a_frame_filled_anew(self):
        watcher = join(self.ring, flow="follow")
        frames = zbq.Frames(watcher)
        self.paint(1)
        picture = frames.next()
        for _ in range(3):
            self.frames.next().release()
            self.paint(2)
        self.assertFalse(picture.intact())
        with self.assertRaises(zbq.TornError):
            picture.process(sum)
        picture.release()
        watcher.close()

    def test_an_evicted_readers_buffer_is_replaced(self):
        self.ring.close()
        self.reader.close()
        self.ring = zbq.Producer(65536, stall_timeout=0.01, clog_threshold=1)
        self.pool = zbq.FramePool(self.ring, frame_size=64, frames=2)
        self.reader = join(self.ring)
        self.frames = zbq.Frames(self.reader)
        good = join(self.ring)
        others = zbq.Frames(good)
        self.paint(1)
        held = self.frames.next()
        for number in range(2, 8):
            others.next().release()
            with self.pool.acquire() as picture:
                picture.array()[:] = number
                picture.publish()
        self.assertGreater(self.pool.replaced, 0)
        self.assertEqual(held.view[0], 1)
        self.assertTrue(held.intact())
        self.assertEqual(others.next().view[0], 7)
        held.release()
        good.close()

    def test_bad_options(self):
        for options, kind in (
            ({"frame_size": 0}, zbq.InvalidError),
            ({"frame_size": 64, "frames": 0}, zbq.InvalidError),
            ({"frame_size": 64, "frames": 65}, zbq.TooLargeError),
            ({"frame_size": 1 << 63}, zbq.TooLargeError),
            ({"frame_size": 64, "first_key": 0}, zbq.InvalidError),
        ):
            with self.assertRaises(kind):
                zbq.FramePool(self.ring, **options)
        with self.assertRaises(zbq.InvalidError):
            self.pool.acquire().publish(65)
        pull = join(self.ring, mode="pull")
        with self.assertRaises(zbq.InvalidError):
            zbq.Frames(pull)
        pull.close()

    def test_a_hostile_buffer(self):
        """What says that it is larger than it is, or is not sealed, is not mapped."""
        with zbq.Producer(65536) as ring:
            note = b"bqframe2"[::1] + (1 << 40).to_bytes(8, "little")
            note = int(0x32656D6172667162).to_bytes(8, "little") + note[8:]
            with zbq.Descriptor(os.memfd_create("zbq-test")) as file:
                os.ftruncate(file.fileno(), 8192)
                ring.retain(1, note + (1).to_bytes(4, "little") * 2, fds=[file])
            reader = join(ring)
            with self.assertRaises(zbq.ProtocolError):
                zbq.Frames(reader)
            reader.close()
            ring.forget(1)
            reader = join(ring)
            frames = zbq.Frames(reader)
            ring.publish(b"no note")
            with self.assertRaises(zbq.ProtocolError):
                frames.try_next()
            ring.publish(note + (9).to_bytes(4, "little") * 2)
            with self.assertRaises(zbq.ProtocolError):
                frames.try_next()
            reader.close()

    def test_a_child_fills_nothing(self):
        picture = self.pool.acquire()

        def child():
            try:
                picture.publish()
            except zbq.ForkedError:
                return 0
            return 1

        self.assertEqual(in_child(child), 0)


if __name__ == "__main__":
    main()
