# SPDX-License-Identifier: MIT
"""The reader and the producer of this folder against the command-line tool: test_protocol.py TOOL

No test asserts how long anything takes. Whatever waits has an end of its own, far off; the whole
program ends by itself, and says where it hung.
"""
import faulthandler
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

if sys.version_info < (3, 9):
    print("skipped: Python is older than 3.9")
    sys.exit(77)

import accounts
import reader as readers
import zbq
from producer import Producer
from zbq import (ASLEEP, DEAD, LAST, OBSERVE_PULL, OBSERVE_PUSH, OFFSET, OLDEST, POLLS, PULL, PUSH,
                 STALLED, Start)

TOOL = ""
FOREVER = 60.0


def wait_until(what, condition):
    deadline = time.monotonic() + FOREVER
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.002)


def look_again(look):
    """How a pull-mode consumer waits."""
    found = look()
    while found is None:
        time.sleep(0.001)
        found = look()
    return found


# Each way to wait, with its mode: what waits is called with a reader and its look.
WAYS = {
    "asleep on its word": (PUSH, lambda reader, look: reader.sleep(look)),
    "polling its event socket": (PUSH, lambda reader, look: reader.poll(look)),
    "pulling": (PULL, lambda reader, look: look_again(look)),
}
OBSERVING = {way: (mode + OBSERVE_PUSH, wait) for way, (mode, wait) in WAYS.items()}
ALL_WAYS = {**WAYS, **{way + ", observing": what for way, what in OBSERVING.items()}}
# The two that can be woken, by the mark that they leave. Not woken, they wait longer than any test.
WAKEABLE = {
    ASLEEP: lambda reader, look: reader.sleep(look, 10 * FOREVER),
    POLLS: lambda reader, look: reader.poll(look),
}


def read_to_the_end(reader, wait, release=True):
    """All payloads, and how the stream ended."""
    payloads = []
    while True:
        try:
            payloads.append(wait(reader, reader.next).payload)
        except readers.Ended as end:
            return payloads, type(end)
        if release:
            reader.release()


def all_that_is_there(reader):
    messages = []
    message = reader.next()
    while message:
        messages.append(message)
        reader.release()
        message = reader.next()
    return messages


def payloads_of_all_sizes(count, largest):
    draw = random.Random(count)
    return [draw.randbytes(draw.randrange(largest)) for _ in range(count)]


class ProtocolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.environ["XDG_RUNTIME_DIR"] = self.folder

    def path(self, name, content=b""):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def content(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def tool(self, *arguments, out="out", **options):
        with open(self.path(out), "wb") as output, open(self.path(out + ".err"), "wb") as errors:
            process = subprocess.Popen([TOOL, *arguments], stdout=output, stderr=errors, bufsize=0,
                                       **options)
        self.addCleanup(self.end_process, process)
        return process

    @staticmethod
    def end_process(process):
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()

    def ends_with(self, process, status, out="out"):
        self.assertEqual(process.wait(FOREVER), status, self.content(out + ".err"))

    def publishing(self, content, *options):
        return self.tool("pub", "--wait-for", "1", *options, "--input",
                         self.path("input", content), "name", stdin=subprocess.DEVNULL)

    def publishing_by_hand(self, *options):
        return self.tool("pub", *options, "name", stdin=subprocess.PIPE)

    def connect(self, mode=PUSH, start=Start()):
        deadline = time.monotonic() + FOREVER
        while True:
            try:
                return self.closed_at_the_end(readers.connect("name", mode, FOREVER, start))
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.002)

    def closed_at_the_end(self, what):
        self.addCleanup(what.close)
        return what

    def producer(self, capacity=65536, **options):
        return self.closed_at_the_end(Producer(capacity, **options))

    def listener(self):
        return self.closed_at_the_end(zbq.Listener("name"))

    def pair(self, producer, mode=PUSH, start=Start()):
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near, far:
            consumer = producer.join(near, mode, producer.find_start(start))
            return consumer, self.closed_at_the_end(readers.join(far, mode))

    @staticmethod
    def woken_by(event, reader, mark, look):
        """What a reader finds that has waited for the event."""
        results = []
        thread = threading.Thread(
            target=lambda: results.append(WAKEABLE[mark](reader, look)), daemon=True)
        thread.start()
        wait_until("its mark", lambda: reader.page.u32(reader.parked) == mark)
        event()
        thread.join(FOREVER)
        return results[0]

    def is_woken_by_each(self, publish, reader, mark):
        for number in range(10):
            line = b"%d\n" % number
            message = self.woken_by(lambda: publish(line), reader, mark, reader.next)
            self.assertEqual(message.payload, line)
            reader.release()

    def in_child(self, work):
        """A process that does the work and then waits to be killed, if it is still there."""
        child = os.fork()
        if child == 0:
            try:
                work()
                time.sleep(FOREVER)
            finally:
                os._exit(1)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)
        return child


class Reads(ProtocolTest):
    """The reader, of what the tool publishes."""

    def test_lines(self):
        for way, (mode, wait) in ALL_WAYS.items():
            with self.subTest(way):
                tool = self.publishing(b"one\n\nthree\nno newline")
                payloads, end = read_to_the_end(self.connect(mode), wait)
                self.assertEqual(payloads, [b"one\n", b"\n", b"three\n", b"no newline"])
                self.assertIs(end, readers.Ended)
                self.ends_with(tool, 0)

    def test_many_messages_across_the_end_of_the_ring(self):
        content = random.Random(1).randbytes(1000000)
        for way, (mode, wait) in WAYS.items():
            with self.subTest(way):
                tool = self.publishing(content, "--chunks", "1003", "--capacity", "64K")
                payloads, _ = read_to_the_end(self.connect(mode), wait)
                self.assertEqual([len(p) for p in payloads], [1003] * 997 + [9])
                self.assertEqual(b"".join(payloads), content)
                self.ends_with(tool, 0)

    def test_a_reader_that_releases_late(self):
        content = random.Random(2).randbytes(300000)
        self.publishing(content, "--chunks", "1000", "--capacity", "64K", "--stall-timeout", "0")
        reader = self.connect()
        payloads = []
        while len(payloads) < 300:
            wait_until("a full ring, or the last of the messages",
                       lambda: reader.control.u64(zbq.AWAITED_TAIL) or
                       reader.control.u32(zbq.CLOSED))
            message = reader.next()
            while message:
                payloads.append(message.payload)
                message = reader.next() if len(payloads) < 300 else None
            reader.release()
        self.assertEqual(b"".join(payloads), content)
        self.assertRaises(readers.Ended, reader.next)

    def test_whoever_waits_is_woken(self):
        for mark in WAKEABLE:
            for mode in PUSH, OBSERVE_PUSH:
                with self.subTest(mark=mark, mode=mode):
                    tool = self.publishing_by_hand()
                    self.is_woken_by_each(tool.stdin.write, self.connect(mode), mark)
                    self.end_process(tool)

    def test_a_reader_that_joins_late(self):
        tool = self.publishing_by_hand()
        early = self.connect()
        tool.stdin.write(b"early\n")
        self.assertEqual(early.sleep(early.next).payload, b"early\n")
        late = self.connect()
        tool.stdin.write(b"late\n")
        for reader in early, late:
            self.assertEqual(reader.sleep(reader.next).payload, b"late\n")

    def test_an_observer_that_does_not_read_is_told_what_it_has_lost(self):
        content = random.Random(3).randbytes(1003 * 1000)
        for mode in OBSERVE_PUSH, OBSERVE_PULL:
            with self.subTest(mode):
                tool = self.publishing(content, "--chunks", "1003", "--capacity", "64K",
                                       "--stall-timeout", "0")
                reader = self.connect(mode)
                self.ends_with(tool, 0)  # though nothing was read
                messages = self.observed(reader, content)
                self.assertEqual(len(messages), 1000 - reader.lost // 1024)
                self.assertEqual(messages[0].offset, reader.lost)
                self.keeps_what_is_promised(messages[0].offset, reader.head, 1024)

    def test_an_observer_reads_nothing_that_is_torn(self):
        content = random.Random(4).randbytes(1003 * 20000)
        self.publishing(content, "--chunks", "1003", "--capacity", "16K")
        reader = self.connect(OBSERVE_PULL)
        messages = self.observed(reader, content)
        self.assertEqual(len(messages) + reader.lost // 1024, 20000)
        self.assertEqual(messages[-1].offset, 19999 * 1024)

    def observed(self, reader, content):
        """All messages up to the end, each of which was published with its offset."""
        messages = []
        try:
            while True:
                message = look_again(reader.next)
                at = message.offset // 1024 * 1003
                self.assertEqual(message.payload, content[at:at + 1003])
                messages.append(message)
        except readers.Ended:
            return messages

    def keeps_what_is_promised(self, oldest, head, each, capacity=65536):
        """Each message that starts in fifteen sixteenths of the ring, less one."""
        self.assertLess(oldest, head - (capacity - capacity // 16 - each) + each)

    def test_the_newest(self):
        tool = self.publishing_by_hand()
        reader, witness = self.connect(OBSERVE_PULL), self.connect(PULL)
        self.assertTrue(reader.skip_to_newest())  # there is none
        self.assertIsNone(reader.next())
        for lines in 3, 1, 7:
            for line in range(lines):
                tool.stdin.write(b"%d of %d\n" % (line + 1, lines))
                look_again(witness.next)
            self.assertTrue(reader.skip_to_newest())
            self.assertEqual(reader.next().payload, b"%d of %d\n" % (lines, lines))
            self.assertTrue(reader.skip_to_newest())  # it is not given twice
            self.assertIsNone(reader.next())
        self.assertEqual(reader.lost, 0)

    def test_where_to_start(self):
        tool = self.publishing_by_hand()
        early = self.connect()
        for line in b"one\n", b"two\n", b"three\n":
            tool.stdin.write(line)
            early.sleep(early.next)
        ring, other = early.ring_id, bytes(16).replace(b"\0", b"\1")
        all_, last = [b"one\n", b"two\n", b"three\n"], [b"three\n"]
        for start, expected in ((Start(), []), (Start(OLDEST), all_),
                                (Start(OFFSET, 64, ring), last), (Start(OFFSET, 96, ring), []),
                                (Start(OFFSET, 0, ring), all_),
                                (Start(OFFSET, 64), last), (Start(OFFSET, 64, other), all_),
                                (Start(OFFSET, 7, other), all_),
                                (Start(LAST, 0), []), (Start(LAST, 2**64 - 1), all_),
                                (Start(OLDEST, 99, other), all_)):
            for mode in PUSH, PULL, OBSERVE_PUSH, OBSERVE_PULL:
                with self.subTest(start=start, mode=mode):
                    late = self.connect(mode, start)
                    self.assertEqual(late.ring_id, ring)
                    self.assertEqual([m.payload for m in all_that_is_there(late)], expected)
        for offset in 65, 72, 80, 112, 128, 2**64 - 16, 2**64 - 1:
            with self.subTest(offset):
                self.assertRaises(zbq.NoSuchStart, readers.connect, "name",
                                  start=Start(OFFSET, offset, ring))
        tool.stdin.write(b"four\n")
        self.assertEqual(early.sleep(early.next).payload, b"four\n")

    def test_what_is_kept(self):
        tool = self.publishing_by_hand("--capacity", "64K")
        early = self.connect()
        for number in range(500):
            tool.stdin.write(b"%1002d\n" % number)
            early.sleep(early.next)
            early.release()
        for mode in PULL, OBSERVE_PULL:
            for start in Start(OLDEST), Start(OFFSET, 1024, early.ring_id), Start(LAST, 2**40):
                with self.subTest(mode=mode, start=start):
                    messages = all_that_is_there(self.connect(mode, start))
                    self.keeps_what_is_promised(messages[0].offset, early.head, 1024)
                    self.assertEqual([int(m.payload) for m in messages],
                                     list(range(500 - len(messages), 500)))
        for size in 0, 1024, 10000, 65536:
            messages = all_that_is_there(self.connect(PULL, Start(LAST, size)))
            self.assertLessEqual(len(messages) * 1024, size)

    def test_a_lossless_reader_of_history_misses_nothing(self):
        content = random.Random(5).randbytes(1003 * 300)
        tool = self.publishing_by_hand("--chunks", "1003", "--capacity", "64K",
                                       "--stall-timeout", "0")
        early = self.connect()
        tool.stdin.write(content[:1003 * 100])
        for _ in range(100):
            early.sleep(early.next)
            early.release()
        late = self.connect(PUSH, Start(OLDEST))
        thread = threading.Thread(target=lambda: (tool.stdin.write(content[1003 * 100:]),
                                                  tool.stdin.close()))
        thread.start()
        results = []
        other = threading.Thread(
            target=lambda: results.extend(read_to_the_end(early, WAYS["pulling"][1])))
        other.start()
        wait_until("a full ring", lambda: late.control.u64(zbq.AWAITED_TAIL))
        first = late.at // 1024
        payloads, _ = read_to_the_end(late, WAYS["asleep on its word"][1])
        self.assertEqual(b"".join(payloads), content[first * 1003:])
        thread.join()
        other.join()
        self.assertEqual(b"".join(results[0]), content[1003 * 100:])

    def test_a_publisher_that_is_killed(self):
        for way, (mode, wait) in ALL_WAYS.items():
            with self.subTest(way):
                tool = self.publishing_by_hand("--wait-for", "1")
                reader = self.connect(mode)
                tool.stdin.write(b"last words\n")
                wait_until("them", lambda: reader.control.u64(zbq.PRODUCER_HEAD))
                tool.kill()
                self.assertEqual(read_to_the_end(reader, wait), ([b"last words\n"], readers.Died))
                tool.wait(FOREVER)  # the name is free for the next one

    def test_a_reader_that_stalls_is_told_of_its_eviction(self):
        for way, (mode, wait) in WAYS.items():
            with self.subTest(way):
                tool = self.publishing(bytes(200000), "--chunks", "1000", "--capacity", "64K",
                                       "--stall-timeout", "100ms")
                reader = self.connect(mode)
                with self.assertRaises(readers.Evicted) as evicted:
                    read_to_the_end(reader, wait, release=False)
                self.assertEqual(evicted.exception.reason, STALLED)
                self.ends_with(tool, 0)

    def test_a_tail_that_cannot_be(self):
        tool = self.publishing(bytes(200000), "--chunks", "1000", "--capacity", "64K")
        reader = self.connect()
        wait_until("a full ring", lambda: reader.control.u64(zbq.AWAITED_TAIL))
        reader.page.put64(zbq.TAIL_OFFSET, 2**40)
        self.ends_with(tool, 0)
        with self.assertRaises(readers.Evicted) as evicted:
            reader.next()
        self.assertEqual(evicted.exception.reason, zbq.BAD_TAIL)

    def test_a_reader_that_leaves_holds_nobody_up(self):
        tool = self.publishing(bytes(200000), "--chunks", "1000", "--capacity", "64K",
                               "--stall-timeout", "0")
        reader = self.connect()
        wait_until("a full ring", lambda: reader.control.u64(zbq.AWAITED_TAIL))
        reader.side.close()
        reader.event.close()
        self.ends_with(tool, 0)

    def test_descriptors(self):
        for mode in PUSH, OBSERVE_PUSH:
            with self.subTest(mode):
                tool = self.publishing(b"one\ntwo\n", "--fd", self.path("file", b"treasure"),
                                       "--fd", "/dev/null")
                reader = self.connect(mode)
                message = reader.sleep(reader.next)
                self.assertEqual(message.fd_count, 2)
                fds = reader.poll(lambda: reader.descriptors(message))
                self.assertEqual([os.read(fd, 100) for fd in fds], [b"treasure", b""])
                for fd in fds:
                    os.close(fd)
                self.assertEqual(reader.sleep(reader.next).fd_count, 0)
                self.end_process(tool)

    def test_descriptors_from_before_the_join(self):
        tool = self.publishing_by_hand("--fd", "/dev/null")
        early = self.connect()
        tool.stdin.write(b"one\n")
        self.assertEqual(early.sleep(early.next).fd_count, 1)
        for mode in PUSH, OBSERVE_PUSH:
            late = self.connect(mode, Start(OLDEST))
            message = late.next()
            self.assertEqual((message.payload, message.fd_count), (b"one\n", 1))
            self.assertRaises(readers.Lost, late.descriptors, message)

    def test_who_is_not_welcome(self):
        tool = self.publishing_by_hand("--max-consumers", "1")
        reader = self.connect()
        with self.assertRaisesRegex(zbq.Refused, "no slot is free"):
            readers.connect("name")
        with self.assertRaisesRegex(zbq.Refused, "no slot is free"):
            readers.connect("name", OBSERVE_PULL)
        for hello in self.no_hellos():
            with self.subTest(hello), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
                line.settimeout(FOREVER)
                line.connect(zbq.address_of("name"))
                line.send(hello)
                self.assertEqual(zbq.read_welcome(line.recv(9)), zbq.REFUSED)
                self.assertEqual(line.recv(9), b"")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dialing:
            dialing.settimeout(FOREVER)
            dialing.connect(zbq.address_of("name"))
            dialing.send(zbq.call(PUSH, b"source"))
            self.assertEqual(zbq.read_welcome(dialing.recv(9)), zbq.OTHER_SIDE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            probe.connect(zbq.address_of("name"))
        tool.stdin.write(b"still here\n")
        self.assertEqual(reader.sleep(reader.next).payload, b"still here\n")


    @staticmethod
    def no_hellos():
        """Each with one thing wrong: the first is what version 1 said."""
        right = zbq.hello(PUSH)
        yield b"zbq\1\0\0\0\0"
        for version in 0, 1, 3:
            yield zbq.hello(PUSH, version=version)
        yield zbq.hello(OBSERVE_PULL + 1)
        yield zbq.hello(255)
        yield zbq.hello(PUSH, Start(OFFSET + 1))
        yield zbq.hello(PUSH, Start(255))
        for place in 0, 1, 2, 6, 7:
            yield right[:place] + b"\3" + right[place + 1:]
        yield zbq.inquiry()[:-1] + b"\1"
        for size in 1, 8, 31:
            yield right[:size]
        yield right + b"\0"
        yield bytes(32)


class Inspects(ProtocolTest):
    """The statistics of the tool's publisher, and pages that are none."""

    def inspect(self):
        deadline = time.monotonic() + FOREVER
        while True:
            try:
                return accounts.inspect("name", FOREVER)
            except (FileNotFoundError, ConnectionRefusedError):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.002)

    def test_a_publisher(self):
        publisher = self.publishing_by_hand("--capacity", "4K", "--lines")
        ring, slots = self.inspect().read()
        self.assertEqual((ring["pid"], ring["capacity"], ring["head"]), (publisher.pid, 4096, 0))
        self.assertEqual((ring["name"], ring["joined"], ring["closed"]), (b"name", 0, 0))
        self.assertEqual(slots[0]["join_number"], 0)
        reader = self.connect(PULL)
        self.assertEqual(ring["ring_id"], reader.ring_id)
        publisher.stdin.write(b"one\n")
        wait_until("a message", reader.next)
        page = self.inspect()
        ring, slots = page.read()
        self.assertEqual((ring["head"], ring["consumers"], ring["slowest_slot"]),
                         (32, 1, accounts.NO_SLOT))
        self.assertEqual((slots[0]["join_number"], slots[0]["lag"], slots[0]["mode"]), (1, 32, PULL))
        self.assertEqual((slots[0]["uid"], slots[0]["eviction"]), (os.geteuid(), 0))
        self.assertLessEqual(ring["created_at"], slots[0]["joined_at"])
        self.assertLessEqual(slots[0]["joined_at"], ring["written_at"])
        publisher.send_signal(signal.SIGSTOP)
        self.assertEqual(page.read()[0]["head"], 32)
        publisher.send_signal(signal.SIGCONT)
        reader.release()
        publisher.stdin.close()
        self.ends_with(publisher, 0)
        self.assertEqual(page.read()[0]["closed"], 1)

    def test_a_reader_that_holds_it_up(self):
        publisher = self.publishing_by_hand("--capacity", "4K", "--lines", "--stall-timeout", "0")
        page = self.inspect()
        reader = readers.connect("name")
        publisher.stdin.write(b"a line\n" * 1000)
        wait_until("the ring to be full", lambda: self.inspect().read()[0]["slowest_slot"] == 0)
        slot = self.inspect().read()[1][0]
        self.assertEqual((slot["in_the_way"], slot["pid"]), (1, os.getpid()))
        self.assertGreater(slot["times_slowest"], 0)
        reader.close()
        publisher.stdin.close()
        self.ends_with(publisher, 0)
        ring, slots = page.read()
        self.assertEqual((ring["evicted"], ring["evicted_1"]), (1, 1))
        self.assertEqual(slots[0]["eviction"], DEAD)

    def test_what_this_side_writes(self):
        for more in ({}, {"more_head": 64, "more_ring": 8, "more_slot": 16}):
            own = accounts.Own(3, **more)
            page = accounts.Page(own.fd)
            self.assertIsNone(page.read())
            for head in (16, 32, 48):
                own.write({"head": head, "name": b"x" * 200}, [{"join_number": head, "lag": 5}] * 3)
                ring, slots = page.read()
                self.assertEqual((ring["head"], ring["name"]), (head, b"x" * 112))
                self.assertEqual([slot["join_number"] for slot in slots], [head] * 3)
            own.close()

    def test_pages_that_are_none(self):
        own = accounts.Own(1)
        for at, value in ((0, 0), (4, 2), (8, 56), (12, 344), (12, 354), (16, 120), (20, 2**32 - 1)):
            before = own.memory.u32(at)
            own.memory.put32(at, value)
            self.assertRaises(zbq.Malformed, accounts.Page, own.fd)
            own.memory.put32(at, before)
        accounts.Page(own.fd)
        own.close()


class Publishes(ProtocolTest):
    """The producer, to the tool's subscribers."""

    def test_what_a_subscriber_says(self):
        listener = self.listener()
        listener.socket.settimeout(FOREVER)
        for options, hello in (
                ((), zbq.hello(PUSH)), (("--pull",), zbq.hello(PULL)),
                (("--follow",), zbq.hello(OBSERVE_PUSH)),
                (("--newest", "--pull"), zbq.hello(OBSERVE_PULL)),
                (("--from", "oldest"), zbq.hello(PUSH, Start(OLDEST))),
                (("--from=-1K",), zbq.hello(PUSH, Start(LAST, 1024))),
                (("--from", "4096"), zbq.hello(PUSH, Start(OFFSET, 4096)))):
            with self.subTest(options):
                tool = self.tool("sub", *options, "name", stdin=subprocess.DEVNULL)
                with listener.socket.accept()[0] as line:
                    line.settimeout(FOREVER)
                    self.assertEqual(line.recv(64), hello)
                self.end_process(tool)

    def test_observers(self):
        """The first two read what they can, the third is stopped."""
        listener, producer = self.listener(), self.producer(stall_timeout=3600.0)
        ways = "--follow", "--newest", "--pull --follow"
        tools = [self.subscribe(listener, producer, *way.split(), out=way)[0] for way in ways]
        tools[2].send_signal(signal.SIGSTOP)
        lines = [b"%500d\n" % number for number in range(2000)]
        for line in lines:
            producer.publish(line)
        tools[2].send_signal(signal.SIGCONT)
        producer.end()
        for tool, way in zip(tools, ways):
            self.ends_with(tool, 0, way)
            numbers = [int(line) for line in self.content(way).splitlines()]
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertEqual(numbers[-1], 1999)
        self.assertLess(len(numbers), 2000)

    def test_a_start_in_the_past(self):
        listener, producer = self.listener(), self.producer()
        for number in range(10):
            producer.publish(b"%d\n" % number)
        tools = [self.subscribe(listener, producer, "--from", start, out=start)[0]
                 for start in ("oldest", "64", "320")]
        tool = self.tool("sub", "--from", "65", "name", stdin=subprocess.DEVNULL, out="none")
        self.assertIsNone(listener.answer(producer, FOREVER))
        self.ends_with(tool, 2, "none")
        producer.end()
        for tool, start in zip(tools, ("oldest", "64", "320")):
            self.ends_with(tool, 0, start)
        self.assertEqual(self.content("oldest"), b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
        self.assertEqual(self.content("64"), b"2\n3\n4\n5\n6\n7\n8\n9\n")
        self.assertEqual(self.content("320"), b"")

    def test_answers_that_are_none(self):
        """And those that say no."""
        listener = self.listener()
        listener.socket.settimeout(FOREVER)
        for answer, status in ((zbq.welcome(zbq.WELCOME, version=1), 1),
                               (zbq.welcome(zbq.WELCOME) + b"\0", 1),
                               (zbq.welcome(zbq.WELCOME)[:7], 1), (b"zbq\2\0\0\0\1", 1),
                               (zbq.welcome(zbq.FULL), 1), (zbq.welcome(zbq.REFUSED), 1),
                               (zbq.welcome(zbq.NO_SUCH_START), 2), (zbq.welcome(77), 1)):
            with self.subTest(answer):
                tool = self.tool("sub", "name", stdin=subprocess.DEVNULL)
                with listener.socket.accept()[0] as line:
                    line.settimeout(FOREVER)
                    line.recv(64)
                    line.send(answer)
                    self.ends_with(tool, status)

    def test_who_gets_what_is_retained(self):
        """The tool makes nothing of it, and reads what is published."""
        listener, producer = self.listener(), self.producer()
        with open("/dev/null", "rb") as file:
            producer.retain(1, b"format", [file.fileno()])
            producer.retain(2, b"snapshot")
            tool, _ = self.subscribe(listener, producer, "--raw")
            producer.publish(b"one", fds=[file.fileno()])
            producer.forget(1)
            producer.publish(b"two")
        producer.end()
        self.ends_with(tool, 0)
        self.assertEqual(self.content("out"), b"onetwo")

    def subscribe(self, listener, producer, *options, out="out"):
        tool = self.tool("sub", *options, "name", out=out, stdin=subprocess.DEVNULL)
        return tool, listener.accept(producer, FOREVER)

    def test_several_readers_of_messages_across_the_end_of_the_ring(self):
        listener, producer = self.listener(), self.producer()
        producer.publish(b"nobody has joined yet")
        tools = [self.subscribe(listener, producer, option, out=option)[0]
                 for option in ("--raw", "--pull", "--length-prefixed")]
        payloads = payloads_of_all_sizes(1000, 6000) + [b"", bytes(producer.capacity - 16)]
        for payload in payloads:
            producer.publish(payload)
        producer.end()
        for tool, option in zip(tools, ("--raw", "--pull", "--length-prefixed")):
            self.ends_with(tool, 0, option)
        self.assertEqual(self.content("--raw"), b"".join(payloads))
        self.assertEqual(self.content("--pull"), b"".join(payloads))
        self.assertEqual(self.content("--length-prefixed"), b"".join(
            len(payload).to_bytes(4, "little") + payload for payload in payloads))

    def test_a_sleeper_is_woken(self):
        listener, producer = self.listener(), self.producer()
        tool, consumer = self.subscribe(listener, producer, "--lines")
        for count in range(1, 11):
            wait_until("its mark", lambda: consumer.page.u32(consumer.parked) & (ASLEEP | POLLS))
            producer.publish(b"")
            wait_until("its output", lambda: len(self.content("out")) == count)
        producer.end()
        self.ends_with(tool, 0)

    def test_a_producer_that_dies_or_becomes_another_program(self):
        def publish(then):
            producer, listener = Producer(65536), zbq.Listener("name")
            listener.accept(producer, FOREVER)
            producer.publish(b"last words")
            listener.close()
            then()

        for way, then in (("dies", lambda: os.kill(os.getpid(), signal.SIGKILL)),
                          ("becomes another", lambda: os.execlp("sleep", "sleep", "60"))):
            with self.subTest(way):
                child = self.in_child(lambda: publish(then))
                tool = self.tool("sub", "--wait", "name", stdin=subprocess.DEVNULL)
                self.ends_with(tool, 4)
                self.assertEqual(self.content("out"), b"last words")

    def test_a_reader_that_is_stopped_is_evicted(self):
        listener, producer = self.listener(), self.producer(stall_timeout=0.1)
        tool, consumer = self.subscribe(listener, producer)
        tool.send_signal(signal.SIGSTOP)
        for _ in range(100):
            producer.publish(bytes(1000))
        self.assertEqual(consumer.reason, STALLED)
        tool.send_signal(signal.SIGCONT)
        self.ends_with(tool, 3)

    def test_a_reader_that_is_killed_holds_nobody_up(self):
        listener, producer = self.listener(), self.producer()
        tool, consumer = self.subscribe(listener, producer)
        tool.kill()
        for _ in range(100):
            producer.publish(bytes(1000))
        self.assertEqual(consumer.reason, DEAD)

    def test_descriptors_more_than_are_ever_on_the_way(self):
        listener, producer = self.listener(), self.producer()
        tool, _ = self.subscribe(listener, producer, "--count")
        with open("/dev/null", "rb") as file:
            for _ in range(1000):
                producer.publish(b"x", fds=[file.fileno()] * 3)
        producer.end()
        self.ends_with(tool, 0)


class Refuses(ProtocolTest):
    """Joins that are not as section 6 says: the tool and the reader refuse the same ones."""

    @staticmethod
    def unsealed(size):
        fd = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
        os.posix_fallocate(fd, 0, size)
        zbq.Memory(fd, size, True).close()
        return fd

    @staticmethod
    def with_holes(size, seals):
        fd = os.memfd_create("holes", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return fd

    @staticmethod
    def well_made(size, seals):
        fd, memory = zbq.create("small", size, seals)
        memory.close()
        return fd

    def spoilt(self):
        """Each with what is wrong: a change of an offer."""
        def field(name, value):
            return lambda offer: offer.payload.update({name: value})

        def descriptor(place, make, *arguments):
            def put(offer):
                fd = make(*arguments)
                self.addCleanup(os.close, fd)
                offer.fds[place] = [fd] if isinstance(place, slice) else fd
            return put

        yield "another version", field("protocol_version", 1)
        yield "another mode", field("wakeup_mode", PULL)
        yield "a capacity of 0", field("ring_capacity", 0)
        yield "a capacity off the pages", field("ring_capacity", 65536 + 16)
        yield "a capacity without end", field("ring_capacity", 2**47)
        yield "a capacity that is not the file's", field("ring_capacity", 2 * 65536)
        yield "a head off the grid", field("initial_head", 8)
        yield "no descriptors to speak of", lambda offer: offer.fds.__delitem__(slice(1, 6))
        yield "five descriptors", lambda offer: offer.fds.pop(0)
        yield "a control region too many", lambda offer: offer.fds.append(offer.fds[0])
        yield "eight descriptors", lambda offer: offer.fds.extend(offer.fds[:2])
        read_only = zbq.READ_ONLY_SEALS
        for what, make, *arguments in (("no seals", self.unsealed, 4096),
                                       ("holes", self.with_holes, 4096, read_only),
                                       ("no page", self.well_made, 4096 - 16, read_only),
                                       ("too much", self.well_made, 2**20 + 4096, read_only),
                                       ("a pipe", self.pipe)):
            yield what + " for the retained", descriptor(slice(6, 7), make, *arguments)
        for place, what, size, seals in ((0, "control region", 256, read_only),
                                         (1, "ring", 65536, read_only),
                                         (2, "page", 4096, zbq.PAGE_SEALS)):
            yield "no seals on the " + what, descriptor(place, self.unsealed, size)
            yield "holes in the " + what, descriptor(place, self.with_holes, size, seals)
            yield "a small " + what, descriptor(place, self.well_made, size // 2, seals)
        for place in range(6):
            yield ("a pipe as descriptor %d" % place), descriptor(place, self.pipe)
        for place in 3, 5:
            yield ("a stream as descriptor %d" % place), descriptor(place, self.stream)

    def pipe(self):
        read, write = os.pipe()
        os.close(write)
        return read

    def stream(self):
        near, far = socket.socketpair()
        near.close()
        return far.detach()

    def test_the_tool(self):
        listener, producer = self.listener(), self.producer()
        for what, spoil in self.spoilt():
            with self.subTest(what):
                tool = self.tool("sub", "name", stdin=subprocess.DEVNULL)
                listener.accept(Spoiler(producer, spoil), FOREVER)
                self.ends_with(tool, 1)

    def test_the_reader(self):
        producer = self.producer()
        for what, spoil in self.spoilt():
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with self.subTest(what), near, far:
                Spoiler(producer, spoil).join(near, PUSH)
                before = len(os.listdir("/proc/self/fd"))
                self.assertRaises(zbq.Malformed, readers.join, far)
                self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_a_stream_that_is_malformed(self):
        for what, head, length in ("a head off the grid", 24, 0), ("a length", 32, 17), \
                ("a head too far", 65536 + 16, 0):
            with self.subTest(what):
                producer = self.producer()
                _, reader = self.pair(producer)
                producer.ring.put_bytes(0, zbq.HEADER.pack(length, 0, 0, 0, 0))
                producer.control.put64(zbq.PRODUCER_HEAD, head)
                self.assertRaises(zbq.Malformed, reader.next)
                producer.control.put64(zbq.PRODUCER_HEAD, 0)
                self.assertRaises(zbq.Malformed, reader.next)

    def test_an_eviction_comes_before_all_else(self):
        producer = self.producer()
        consumer, reader = self.pair(producer)
        producer.publish(b"overwritten")
        producer.evict(consumer, STALLED)
        self.assertRaises(readers.Evicted, reader.next)
        producer.ring.put_bytes(0, b"\xff" * 16)
        self.assertRaises(readers.Evicted, reader.next)

    def test_a_head_and_a_floor_that_cannot_be(self):
        for head, floor in (24, 0), (32, 8), (32, 48), (65536 + 16, 0), (32 * 65536, 65536):
            with self.subTest(head=head, floor=floor):
                producer = self.producer()
                _, reader = self.pair(producer, OBSERVE_PULL)
                producer.control.put64(zbq.PRODUCER_HEAD, head)
                producer.control.put64(zbq.FLOOR, floor)
                self.assertRaises(zbq.Malformed, reader.next)
                producer.control.put64(zbq.PRODUCER_HEAD, 0)
                producer.control.put64(zbq.FLOOR, 0)
                self.assertRaises(zbq.Malformed, reader.next)

    def test_a_head_or_a_floor_that_falls(self):
        for word in zbq.PRODUCER_HEAD, zbq.FLOOR:
            with self.subTest(word):
                producer = self.producer()
                _, reader = self.pair(producer, OBSERVE_PULL)
                for _ in range(200):
                    producer.publish(bytes(1000))
                self.assertIsNotNone(reader.next())
                producer.control.put64(word, producer.control.u64(word) - 16)
                self.assertRaises(zbq.Malformed, reader.next)

    def test_lengths_that_lead_nowhere(self):
        producer = self.producer()
        _, reader = self.pair(producer, OBSERVE_PULL)
        producer.publish(b"one")
        producer.publish(b"two")
        producer.ring.put_bytes(32, zbq.HEADER.pack(17, 0, 0, 0, 0))
        self.assertEqual(reader.next().payload, b"one")
        producer.control.put64(zbq.NEWEST, 0)
        self.assertRaises(zbq.Malformed, reader.skip_to_newest)
        self.assertRaises(zbq.Malformed, reader.next)

    def test_what_is_retained_and_leads_nowhere(self):
        head, entry = zbq.RETAINED_HEAD, zbq.RETAINED_ENTRY.pack(0)
        for what in (head.pack(1) + entry + zbq.HEADER.pack(2**32 - 1, 0, 0, 1, 0),
                     head.pack(1) + entry + zbq.HEADER.pack(4096 - 47, 0, 0, 1, 0),
                     head.pack(2) + entry + zbq.HEADER.pack(4096 - 64, 0, 0, 1, 0)):
            producer = self.producer()
            producer.retain(1, bytes(1))
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with near, far:
                fd, memory = zbq.create("retained", 4096, zbq.READ_ONLY_SEALS)
                self.addCleanup(os.close, fd)
                memory.put_bytes(0, what)
                memory.close()
                Spoiler(producer, lambda offer: offer.fds.__setitem__(6, fd)).join(near, PUSH)
                self.assertRaises(zbq.Malformed, readers.join, far)


class Spoiler:
    """Joins as the producer does, but for what is spoilt."""

    def __init__(self, producer, spoil):
        self.producer, self.spoil = producer, spoil
        self.find_start = producer.find_start

    def join(self, rendezvous, mode, start=None):
        offer = self.producer.offer(mode, start)
        self.spoil(offer)
        offer.send(rendezvous)
        offer.side.close()
        offer.event.close()
        return offer


class Pairs(ProtocolTest):
    """Both sides in Python: what the tool cannot show."""

    def test_whoever_waits_is_woken(self):
        for mark in WAKEABLE:
            with self.subTest(mark):
                producer = self.producer()
                _, reader = self.pair(producer)
                self.is_woken_by_each(producer.publish, reader, mark)
                self.assertLessEqual(self.bells(reader.event), 1)

    def test_whoever_waits_for_a_record_is_woken(self):
        for mark in WAKEABLE:
            with self.subTest(mark):
                producer = self.producer()
                _, reader = self.pair(producer)
                message = readers.Message(b"", 0, 1, 1)
                fds = self.woken_by(lambda: producer.send_record([0]), reader, mark,
                                    lambda: reader.descriptors(message))
                os.close(fds[0])

    def test_a_producer_that_becomes_another_program(self):
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def publish():
            producer = Producer(65536)
            producer.join(near)
            producer.publish(b"last words")
            os.execlp("sleep", "sleep", "60")

        with near, far:
            self.in_child(publish)
            far.settimeout(FOREVER)
            reader = self.closed_at_the_end(readers.join(far))
        self.assertEqual(read_to_the_end(reader, WAYS["asleep on its word"][1]),
                         ([b"last words"], readers.Died))

    def test_any_mark_ends_the_stream(self):
        producer = self.producer()
        _, reader = self.pair(producer)
        producer.publish(b"last words")
        producer.control.put32(zbq.CLOSED, 7)
        self.assertEqual(read_to_the_end(reader, WAYS["pulling"][1]),
                         ([b"last words"], readers.Ended))

    def test_the_kernel_tells_who_joined(self):
        producer = self.producer()
        consumer, _ = self.pair(producer)
        producer.listen()
        self.assertTrue(consumer.announced)
        with open("/proc/self/fdinfo/%d" % consumer.witness, encoding="ascii") as about:
            self.assertIn("Pid:\t%d\n" % os.getpid(), about.read())

    def test_a_tail_that_cannot_be(self):
        producer = self.producer()
        producer.publish(bytes(1000))
        for tail in 0, producer.head + 16, producer.head - 8:
            with self.subTest(tail):
                consumer, reader = self.pair(producer)
                reader.page.put64(zbq.TAIL_OFFSET, tail)
                producer.publish(bytes(producer.capacity - 16))
                self.assertEqual(consumer.reason, zbq.BAD_TAIL)

    def test_one_bell_for_each_tail_that_is_awaited(self):
        producer = self.producer()
        consumer, reader = self.pair(producer)
        for awaited, bells in (0, 0), (64, 1), (64, 0), (112, 1), (176, 0):
            producer.control.put64(zbq.AWAITED_TAIL, awaited)
            producer.publish(bytes(16))
            reader.next()
            reader.release()
            self.assertEqual(self.bells(consumer.event), bells)

    @staticmethod
    def bells(event):
        count = 0
        try:
            while event.recv(1, socket.MSG_DONTWAIT):
                count += 1
        except BlockingIOError:
            return count

    def publish_file(self, producer, content):
        with open(self.path(content.decode(), content), "rb") as file:
            producer.publish(content, fds=[file.fileno()])

    def contents(self, reader, message):
        fds = reader.descriptors(message)
        try:
            return [os.pread(fd, 100, 0) for fd in fds]
        finally:
            for fd in fds:
                os.close(fd)

    def test_each_message_gets_its_own(self):
        producer = self.producer()
        pairs = [self.pair(producer) for _ in range(3)]
        for content in b"one", b"two":
            self.publish_file(producer, content)
        for _, reader in pairs:
            first, second = reader.next(), reader.next()
            self.assertEqual(self.contents(reader, first), [b"one"])
            self.assertRaises(readers.Lost, reader.descriptors, first)
            self.assertEqual(self.contents(reader, second), [b"two"])

    def test_those_that_nobody_takes_are_closed(self):
        producer = self.producer()
        _, reader = self.pair(producer)
        before = len(os.listdir("/proc/self/fd"))
        for content in b"one", b"two":
            self.publish_file(producer, content)
        first, second = reader.next(), reader.next()
        self.assertEqual(self.contents(reader, second), [b"two"])
        self.assertRaises(readers.Lost, reader.descriptors, first)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_who_takes_no_records_is_evicted(self):
        producer = self.producer(stall_timeout=0.1)
        consumer, reader = self.pair(producer)
        with self.assertRaises(readers.Evicted):
            while True:
                self.publish_file(producer, b"content")
                reader.next()
                reader.release()
        self.assertEqual(consumer.reason, zbq.UNCOLLECTED)

    def test_a_join_between_a_record_and_its_message(self):
        producer = self.producer()
        producer.send_record([0])
        _, reader = self.pair(producer)
        late = readers.Message(b"", 0, 1, producer.seq_id)
        self.assertRaises(readers.Lost, reader.descriptors, late)
        self.publish_file(producer, b"next")
        self.assertEqual(self.contents(reader, reader.next()), [b"next"])

    def test_a_record_that_is_malformed_is_not_the_end(self):
        producer = self.producer()
        consumer, reader = self.pair(producer)
        message = readers.Message(b"", 0, 1, 1)
        for record, fds in ((1, 2, 0), [0]), ((1, 0, 0), []), ((0, 1, 0), [0]):
            zbq.send_with(consumer.side, zbq.RECORD.pack(*record), fds)
            self.assertRaises(zbq.Malformed, reader.descriptors, message)
        self.publish_file(producer, b"whole")
        self.assertEqual(self.contents(reader, reader.next()), [b"whole"])

    def test_observers_are_not_waited_for(self):
        producer = self.producer(stall_timeout=3600.0)
        pairs = [self.pair(producer, mode) for mode in (OBSERVE_PUSH, OBSERVE_PULL)]
        _, lossless = self.pair(producer)
        for number in range(1000):
            producer.publish(b"%500d" % number)
            self.assertEqual(int(lossless.next().payload), number)
            lossless.release()
        for consumer, reader in pairs:
            self.assertEqual(consumer.reason, 0)
            messages = all_that_is_there(reader)
            self.assertEqual(messages[0].offset, reader.lost)
            self.assertEqual([int(m.payload) for m in messages],
                             list(range(1000 - len(messages), 1000)))
            self.assertGreater(len(messages) * 528, 65536 - 2 * 528)

    def test_an_observer_that_says_anything_of_its_tail(self):
        producer = self.producer()
        consumer, reader = self.pair(producer, OBSERVE_PULL)
        for tail in 7, 2**64 - 1, 0:
            reader.page.put64(zbq.TAIL_OFFSET, tail)
            for _ in range(100):
                producer.publish(bytes(1000))
        self.assertEqual(consumer.reason, 0)

    def test_records_that_an_observer_does_not_collect_are_dropped(self):
        producer = self.producer(stall_timeout=3600.0)
        (_, reader), (_, lossless) = self.pair(producer, OBSERVE_PUSH), self.pair(producer)
        for number in range(1000):
            self.publish_file(producer, b"%d" % number)
            self.assertEqual(self.contents(lossless, lossless.next()), [b"%d" % number])
            lossless.release()
            if number == 0:
                first = reader.next()
        last = all_that_is_there(reader)[-1]
        self.assertEqual(self.contents(reader, first), [b"0"])
        self.assertIsNone(reader.descriptors(last))  # as if it were to come
        self.publish_file(producer, b"next")
        self.assertRaises(readers.Lost, reader.descriptors, last)
        self.assertEqual(self.contents(reader, reader.next()), [b"next"])

    def test_what_is_read_while_it_is_overwritten_is_not_given(self):
        producer = self.producer()
        _, reader = self.pair(producer, OBSERVE_PULL)
        for number in range(300):
            producer.publish(b"%500d" % number)
        copy = reader._copy

        def copy_late(head):
            message = copy(head)
            reader._copy = copy
            for number in range(300, 400):
                producer.publish(b"%500d" % number)
            return message

        reader._copy = copy_late
        message = reader.next()
        self.assertEqual(message.offset, producer.floor)
        self.assertEqual(int(message.payload) * 528, message.offset)

    def test_what_is_retained(self):
        producer = self.producer()
        with open(self.path("file", b"treasure"), "rb") as file:
            producer.retain(1, b"format")
            producer.retain(2, b"old", [file.fileno()])
            producer.retain(3, b"nothing")
            producer.retain(2, b"snapshot", [file.fileno()])
            producer.forget(3)
            for mode in PUSH, PULL, OBSERVE_PUSH, OBSERVE_PULL:
                with self.subTest(mode):
                    _, reader = self.pair(producer, mode, Start(OLDEST))
                    self.sees_what_is_retained(producer, reader)
        producer.forget(1)
        producer.forget(2)
        self.assertEqual(self.pair(producer)[1].retained, [])

    def sees_what_is_retained(self, producer, reader):
        first, second = reader.retained
        self.assertEqual((first.key, first.payload, first.offset), (1, b"format", 0))
        self.assertEqual((second.key, second.payload), (2, b"snapshot"))
        messages = all_that_is_there(reader)
        self.assertEqual([m.key for m in messages[:5]], [1, 2, 3, 2, 3 | zbq.FORGOTTEN])
        self.assertEqual(messages[3], second)
        self.assertRaises(readers.Lost, reader.descriptors, messages[1])
        if zbq.pulls(reader.mode):
            self.assertRaises(readers.Lost, reader.descriptors, second)
        else:
            self.assertEqual(self.contents(reader, second), [b"treasure"])
            self.publish_file(producer, b"next")
            self.assertEqual(self.contents(reader, reader.next()), [b"next"])

    def test_none_for_who_pulls(self):
        producer = self.producer()
        _, reader = self.pair(producer, PULL)
        self.publish_file(producer, b"content")
        self.assertRaises(readers.Lost, reader.descriptors, reader.next())

    def test_the_end_loses_none(self):
        producer = self.producer()
        _, reader = self.pair(producer)
        self.publish_file(producer, b"content")
        producer.end()  # with the announcement unread: the reader meets ECONNRESET
        self.assertEqual(self.contents(reader, reader.next()), [b"content"])
        self.assertRaises(readers.Ended, reader.next)


if __name__ == "__main__":
    if not zbq.SUPPORTED:
        print("skipped: this Python code relies on the memory order of x86-64")
        sys.exit(77)
    TOOL = os.path.realpath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
    if not os.access(TOOL, os.X_OK):
        print("skipped: there is no tool to test against")
        sys.exit(77)
    faulthandler.dump_traceback_later(200, exit=True)
    unittest.main()
