# SPDX-License-Identifier: MIT
"""Every wrong type, size, name and option: an exception that says what was expected."""

import itertools
import os
import socket
import unittest

import zbq
from support import Case, join, main, open_descriptors, socket_pair

JUNK = [
    None,
    "text",
    b"bytes",
    1.5,
    -1,
    1 << 64,
    1 << 100,
    object(),
    [],
    {},
    float("nan"),
    True,
    int,
]


class Junk(Case):
    """Nothing of it may do anything but raise, or what it says."""

    ALLOWED = (TypeError, ValueError, OverflowError, BufferError, zbq.Error)

    def use(self, function, *args, **kwargs):
        try:
            return function(*args, **kwargs)
        except self.ALLOWED as failure:
            self.assertTrue(str(failure))
        return None

    def test_each_argument(self):
        ring, reader = self.ring, self.reader
        calls = [
            (ring.publish, ["payload", "fds", "flags"]),
            (ring.try_publish, ["payload", "flags"]),
            (ring.publish_many, ["payloads", "flags"]),
            (ring.publish_items, ["items", "size", "flags"]),
            (ring.retain, ["key", "payload", "fds", "flags"]),
            (ring.forget, ["key"]),
            (ring.released, ["offset"]),
            (ring.consumer_info, ["slot"]),
            (ring.set_patience, ["at_once", "per_second", "slot"]),
            (ring.set_type, ["hash", "size", "align"]),
            (ring.set_name, ["name"]),
            (ring.find_start, ["at", "offset", "ring_id"]),
            (ring.admit, ["socket", "mode", "flow", "start"]),
            (ring.send_statistics, ["socket"]),
            (ring.batch, ["size"]),
            (ring.reserve, ["size", "flags"]),
            (reader.batch, ["most"]),
            (reader.skip_to, ["offset"]),
            (reader.seek, ["where"]),
        ]
        good = {"payload": b"x", "payloads": [b"x"], "items": b"xx", "size": 1, "key": 1}
        good |= {"at": 1, "hash": 1, "align": 1, "at_once": 1.0, "offset": 0, "slot": 0}
        good |= {"name": "x", "socket": 0, "most": 1, "where": "head"}
        for (call, names), junk in itertools.product(calls, JUNK):
            for bad in names:
                arguments = {n: good[n] for n in names if n in good} | {bad: junk}
                if call in (ring.publish, ring.retain, ring.forget, ring.reserve, ring.batch):
                    arguments["timeout"] = 0
                self.use(call, **arguments)
                self.use(call, junk, junk, junk)
                self.use(call, wrong=junk)
                if self.ring.statistics().consumers == 0:
                    self.fail("a consumer was lost")
                while self.use(reader.try_recv) is not None:
                    pass

    def test_times(self):
        for junk in JUNK[1:]:
            if junk not in (1.5, True, 1 << 64, 1 << 100):
                with self.assertRaises((TypeError, ValueError)):
                    self.reader.recv(junk)
                with self.assertRaises((TypeError, ValueError)):
                    self.reader.wait(0, spin=junk)
                with self.assertRaises((TypeError, ValueError)):
                    self.ring.publish(b"", timeout=junk)
        self.ring.publish(b"x")
        self.assertEqual(self.reader.recv(float("inf")).payload, b"x")

    def test_what_a_call_is_given(self):
        with self.assertRaisesRegex(TypeError, "publish.. needs 'payload'"):
            self.ring.publish()
        with self.assertRaisesRegex(TypeError, "no argument 'colour'"):
            self.ring.publish(b"", colour=1)
        with self.assertRaisesRegex(TypeError, "'payload' twice"):
            self.ring.publish(b"", payload=b"")
        with self.assertRaisesRegex(TypeError, "without a name"):
            self.ring.publish(b"", [])
        with self.assertRaisesRegex(ValueError, "flags is 256, not from 0 to 255"):
            self.ring.publish(b"", flags=256)
        with self.assertRaisesRegex(TypeError, "bytes-like"):
            self.ring.publish("text")
        with self.assertRaisesRegex(ValueError, "timeout is -1"):
            self.ring.publish(b"", timeout=-1)

    def test_what_cannot_be_set(self):
        room = self.ring.reserve(1)
        for name in ("used", "flags", "fds"):
            with self.assertRaises(AttributeError):
                delattr(room, name)
        for name in ("offset", "size"):
            with self.assertRaises(AttributeError):
                setattr(room, name, 1)
        with self.assertRaises(AttributeError):
            del self.reader.takes_fds


class Options(unittest.TestCase):
    def setUp(self):
        self.descriptors = open_descriptors()

    def tearDown(self):
        self.assertEqual(open_descriptors(), self.descriptors)

    def test_of_a_producer(self):
        for capacity in (0, 1, 4095, 5000, (1 << 46) + 4096, 1 << 62):
            with self.assertRaises(zbq.Error):
                zbq.Producer(capacity)
        for junk in (-1, "4096", 4096.0, 1 << 64, b"x"):
            with self.assertRaises((TypeError, ValueError)):
                zbq.Producer(junk)
        for name, junk in itertools.product(
            ("stall_timeout", "max_consumers", "clog_threshold"), (-1, "x", None, [])
        ):
            with self.assertRaises((TypeError, ValueError)):
                zbq.Producer(4096, **{name: junk})
        with self.assertRaises(zbq.InvalidError):
            zbq.Producer(4096, max_consumers=0)

    def test_of_a_consumer(self):
        here, there = socket_pair()
        with here, there:
            for words in ({"mode": "shove"}, {"flow": "ebb"}, {"mode": None}, {"flow": 3}):
                with self.assertRaises(ValueError):
                    zbq.Consumer(there, **words)
            with self.assertRaises(TimeoutError):
                zbq.Consumer(there, timeout=0.01)
            here.send(b"nonsense")
            with self.assertRaises(zbq.ProtocolError):
                zbq.Consumer(there)
            here.close()
            with self.assertRaises(zbq.IoError):
                zbq.Consumer(there)
        for junk in (-1, "x", None, object()):
            with self.assertRaises((TypeError, ValueError)):
                zbq.Consumer(junk)
        with open("/dev/null") as null:
            with self.assertRaises(zbq.InvalidError):
                zbq.Consumer(null)

    def test_of_an_admission(self):
        with zbq.Producer(4096, max_consumers=1) as ring:
            with self.assertRaises(zbq.InvalidError):
                ring.admit(open_file := os.open("/dev/null", os.O_RDONLY))
            os.close(open_file)
            first = join(ring)
            here, there = socket_pair()
            with here, there:
                with self.assertRaises(zbq.NoneError):
                    ring.admit(here)
            first.close()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as alone:
                with self.assertRaises(zbq.IoError) as caught:
                    ring.admit(alone)
                self.assertIsInstance(caught.exception.errno, int)

    def test_modes_must_be_the_same(self):
        with zbq.Producer(4096) as ring:
            here, there = socket_pair()
            with here, there:
                ring.admit(here, mode="pull")
                with self.assertRaises(zbq.ProtocolError):
                    zbq.Consumer(there)


class Closed(Case):
    def test_each_call(self):
        self.reader.close()
        self.ring.close()
        self.reader.close()
        self.ring.close()
        for use in (
            lambda: self.ring.publish(b""),
            lambda: self.ring.try_publish(b""),
            lambda: self.ring.publish_many([b""]),
            lambda: self.ring.publish_many([]),
            lambda: self.ring.publish_items(b"", 1),
            lambda: self.ring.reserve(1),
            lambda: self.ring.batch(16),
            lambda: self.ring.retain(1, b""),
            lambda: self.ring.forget(1),
            lambda: self.ring.released(0),
            lambda: self.ring.wait_for_room(0),
            lambda: self.ring.find_start(0),
            lambda: self.ring.set_patience(None),
            lambda: self.ring.set_type(1, 1, 1),
            lambda: self.ring.set_name("x"),
            lambda: self.ring.consumer_info(0),
            lambda: self.ring.admit(0),
            lambda: self.ring.send_statistics(0),
            lambda: self.ring.head,
            lambda: self.ring.id,
            lambda: self.ring.capacity,
            self.ring.event_fd,
            self.ring.scan,
            self.ring.statistics,
            self.ring.statistics_fd,
            self.ring.refresh_statistics,
            self.reader.recv,
            self.reader.try_recv,
            self.reader.next,
            self.reader.try_next,
            self.reader.batch,
            self.reader.retained,
            self.reader.wait,
            self.reader.event_fd,
            self.reader.fileno,
            self.reader.producer_is_alive,
            lambda: next(self.reader),
            lambda: self.reader.skip_to(0),
            lambda: self.reader.seek("head"),
            lambda: self.reader.process(len),
            lambda: next(self.reader.batches()),
            lambda: self.reader.offset,
            lambda: self.reader.head,
            lambda: self.reader.tail,
            lambda: self.reader.lag,
            lambda: self.reader.id,
            lambda: self.reader.capacity,
            lambda: self.reader.lost,
            lambda: self.reader.type,
            lambda: self.reader.ending,
            lambda: self.reader.eviction,
            lambda: self.reader.mode,
            lambda: self.reader.observes,
        ):
            with self.assertRaisesRegex(zbq.ClosedError, "closed"):
                use()
        self.assertIn("closed", repr(self.ring) + repr(self.reader))

    def test_what_is_open_at_a_close(self):
        room = self.ring.reserve(5)
        batch = self.ring.batch(64)
        self.ring.close()
        for use in (room.commit, room.__enter__, batch.commit, lambda: batch.add(b"x")):
            with self.assertRaises(zbq.ClosedError):
                use()


class Kinds(unittest.TestCase):
    def test_an_exception_is_what_python_calls_it(self):
        for kind, usual in (
            (zbq.InvalidError, ValueError),
            (zbq.NoMemoryError, MemoryError),
            (zbq.AgainError, TimeoutError),
            (zbq.NoneError, LookupError),
            (zbq.RefusedError, PermissionError),
            (zbq.TypeMismatchError, TypeError),
            (zbq.EndedError, EOFError),
            (zbq.ProducerDiedError, zbq.EndedError),
            (zbq.IoError, OSError),
        ):
            self.assertTrue(issubclass(kind, usual))
            self.assertTrue(issubclass(kind, zbq.Error))
            self.assertEqual(kind.__module__, "zbq")

    def test_starts(self):
        with self.assertRaises(zbq.InvalidError):
            zbq.Start.at(b"short", 0)
        for size in (-1, 1 << 64):
            with self.assertRaises(zbq.InvalidError):
                zbq.Start.last(size)


if __name__ == "__main__":
    main()
