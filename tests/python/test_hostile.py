# SPDX-License-Identifier: MIT
"""A producer that writes whatever it likes into what it shares: nothing of it crashes a reader, or
blocks it, or is taken for whole where the reader can know better."""

import array
import fcntl
import mmap
import os
import random
import socket
import struct
import threading
import unittest

import zbq
from support import main, mappings, open_descriptors, socket_pair

CAPACITY = 4096
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
FUTURE_WRITE = 0x10


class Intruder:
    """Speaks the protocol of docs/protocol.md as far as the join, and then does as it likes."""

    def __init__(self, mode=0):
        self.control, control = self.memory(256, FUTURE_WRITE)
        self.ring, ring = self.memory(CAPACITY, FUTURE_WRITE)
        self.page, page = self.memory(4096, 0)
        side, there = socket_pair()
        event, bell = socket_pair()
        self.sockets = [side, event]
        self.control[128:132] = struct.pack("=i", os.getpid())
        self.control[192:200] = struct.pack("=Q", CAPACITY)
        self.control[240:256] = os.urandom(16)
        pidfd = os.pidfd_open(os.getpid())
        here, self.end = socket_pair()
        join = struct.pack("=QQQiIIIQQII", CAPACITY, 0, 0, os.getpid(), 0, mode, 2, 0, 0, 0, 0)
        numbers = [control, ring, page, there.fileno(), pidfd, bell.fileno()]
        socket.send_fds(here, [join], numbers)
        for one in (control, ring, page, pidfd):
            os.close(one)
        for one in (here, there, bell):
            one.close()

    @staticmethod
    def memory(size, more):
        made = os.memfd_create("intruder", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.posix_fallocate(made, 0, size)
        mapped = mmap.mmap(made, size)
        mapped[:] = bytes(size)
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, SEALS | more)
        return mapped, made

    def write(self, offset, size, value, into=None):
        (into or self.control)[offset : offset + size] = (value % (1 << 8 * size)).to_bytes(
            size, "little"
        )

    def close(self):
        self.end.close()
        for one in self.sockets:
            one.close()
        for one in (self.control, self.ring, self.page):
            one.close()


def reading(reader):
    """All that a program may do with it; nothing but an exception of the package's may come."""
    calls = [
        lambda: reader.try_recv(),
        lambda: reader.wait(0),
        lambda: reader.recv(0),
        lambda: reader.retained(),
        lambda: reader.lag,
        lambda: reader.lost,
        lambda: reader.ending,
        lambda: reader.eviction,
        lambda: reader.skip_to(reader.offset + 32),
    ]
    if reader.observes:
        calls += [lambda: reader.seek("newest"), lambda: reader.seek("oldest")]
    for call in calls:
        try:
            call()
        except zbq.Error:
            pass
    try:
        with reader.batch() as batch:
            for message in batch:
                len(bytes(message.payload)), message.intact(), message.flags, message.key
            batch.rows(16)
            batch.copies()
    except zbq.Error:
        pass
    try:
        message = reader.try_next()
        if message is not None:
            with message:
                message.process(lambda view: sum(view))
                message.take_descriptors(0)
    except zbq.Error:
        pass


class Hostile(unittest.TestCase):
    def setUp(self):
        self.before = open_descriptors(), mappings()

    def tearDown(self):
        self.assertEqual((open_descriptors(), mappings()), self.before)

    def test_an_honest_one_is_read(self):
        intruder = Intruder()
        with zbq.Consumer(intruder.end) as reader:
            intruder.ring[:24] = struct.pack("=IBBHQ", 5, 0, 7, 0, 0) + b"hello\0\0\0"
            intruder.write(0, 8, 32)
            message = reader.recv()
            self.assertEqual((message.payload, message.flags), (b"hello", 7))
            self.assertIsNone(reader.try_recv())
        intruder.close()

    def test_words_that_cannot_be(self):
        draw = random.Random(1)
        words = [
            0,
            1,
            15,
            16,
            32,
            4096,
            4112,
            1 << 32,
            (1 << 63) - 16,
            (1 << 64) - 16,
            (1 << 64) - 1,
        ]
        for mode, flow in ((0, "lossless"), (2, "follow"), (2, "newest")):
            for _ in range(300):
                intruder = Intruder(mode)
                with zbq.Consumer(intruder.end, flow=flow) as reader:
                    for _ in range(6):
                        place = draw.choice([0, 8, 16, 216, 224])
                        intruder.write(place, 8 if place != 216 else 4, draw.choice(words))
                        where = draw.randrange(0, CAPACITY, 16)
                        intruder.write(where, 4, draw.choice(words), intruder.ring)
                        intruder.write(where + 4, 8, draw.getrandbits(64), intruder.ring)
                        intruder.write(64, 4, draw.choice([0, 0, 0, 2, 77]), intruder.page)
                        reading(reader)
                intruder.close()

    def test_bytes_that_change_while_they_are_read(self):
        intruder = Intruder()
        is_over = threading.Event()

        def change():
            draw = random.Random(2)
            while not is_over.is_set():
                for offset in range(0, CAPACITY, 16):
                    intruder.write(offset, 4, draw.choice([0, 5, 100, 1 << 31]), intruder.ring)

        for start in range(0, CAPACITY, 128):
            intruder.ring[start : start + 16] = struct.pack("=IBBHQ", 112, 0, 0, 0, 0)
        intruder.write(0, 8, CAPACITY)
        thread = threading.Thread(target=change)
        thread.start()
        with zbq.Consumer(intruder.end) as reader:
            for _ in range(300):
                reading(reader)
        is_over.set()
        thread.join()
        intruder.close()

    def test_records_that_are_none(self):
        records = [b"", b"x", struct.pack("=QII", 1, 1, 0), struct.pack("=QII", 1, 200, 0)]
        for record in records:
            for count in (0, 1, 3):
                intruder = Intruder()
                with zbq.Consumer(intruder.end, takes_fds=True) as reader:
                    with open("/dev/null") as null:
                        socket.send_fds(intruder.sockets[0], [record], [null.fileno()] * count)
                    intruder.ring[:16] = struct.pack("=IBBHQ", 0, 1, 0, 0, 1)
                    intruder.write(0, 8, 16)
                    message = reader.recv(0)
                    self.assertEqual(message.fd_count, 1)
                    self.assertLessEqual(len(message.fds), 3)
                intruder.close()

    def test_joins_that_are_none(self):
        draw = random.Random(3)
        for _ in range(300):
            here, there = socket_pair()
            with open("/dev/null") as null:
                count = draw.randrange(9)
                payload = draw.randbytes(draw.choice([0, 1, 63, 64, 65, 200]))
                socket.send_fds(here, [payload], [null.fileno()] * count)
            with self.assertRaises(zbq.Error):
                zbq.Consumer(there, timeout=0)
            here.close()
            there.close()

    def test_statistics_that_are_none(self):
        draw = random.Random(4)
        for _ in range(200):
            memory, number = Intruder.memory(draw.choice([4096, 8192]), FUTURE_WRITE)
            memory[:64] = struct.pack("=IIIIII40x", 0x7371627A, 1, 64, 352, 128, draw.randrange(20))
            for _ in range(40):
                where = draw.randrange(0, len(memory) - 8, 8)
                memory[where : where + 8] = draw.randbytes(8)
            try:
                with zbq.Statistics(number) as page:
                    account = page.read()
                    for slot in range(20):
                        page.slot(slot)
                    self.assertIsInstance(account.name, bytes)
            except zbq.Error:
                pass
            memory.close()
            os.close(number)


if __name__ == "__main__":
    main()
