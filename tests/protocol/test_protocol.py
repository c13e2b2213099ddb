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

import reader as readers
import zbq
from producer import Producer
from zbq import ASLEEP, DEAD, POLLS, PULL, PUSH, STALLED

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

    def connect(self, mode=PUSH):
        deadline = time.monotonic() + FOREVER
        while True:
            try:
                return self.closed_at_the_end(readers.connect("name", mode, FOREVER))
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

    def pair(self, producer, mode=PUSH):
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near, far:
            consumer = producer.join(near, mode)
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
        for way, (mode, wait) in WAYS.items():
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
            with self.subTest(mark):
                tool = self.publishing_by_hand()
                self.is_woken_by_each(tool.stdin.write, self.connect(), mark)
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

    def test_a_publisher_that_is_killed(self):
        for way, (mode, wait) in WAYS.items():
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
        self.publishing(b"one\ntwo\n", "--fd", self.path("file", b"treasure"), "--fd", "/dev/null")
        reader = self.connect()
        message = reader.sleep(reader.next)
        self.assertEqual(message.fd_count, 2)
        fds = reader.poll(lambda: reader.descriptors(message))
        self.assertEqual([os.read(fd, 100) for fd in fds], [b"treasure", b""])
        for fd in fds:
            os.close(fd)
        self.assertEqual(reader.sleep(reader.next).fd_count, 0)

    def test_who_is_not_welcome(self):
        tool = self.publishing_by_hand("--max-consumers", "1")
        reader = self.connect()
        with self.assertRaisesRegex(zbq.Refused, "no slot is free"):
            readers.connect("name")
        for hello in zbq.greeting(PUSH, version=2), zbq.greeting(7), b"zbq\1", bytes(8), \
                b"zbq\1\0\0\0\1":
            with self.subTest(hello), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
                line.settimeout(FOREVER)
                line.connect(zbq.address_of("name"))
                line.send(hello)
                self.assertEqual(zbq.read_greeting(line.recv(9)), zbq.REFUSED)
                self.assertEqual(line.recv(9), b"")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            probe.connect(zbq.address_of("name"))
        tool.stdin.write(b"still here\n")
        self.assertEqual(reader.sleep(reader.next).payload, b"still here\n")


class Publishes(ProtocolTest):
    """The producer, to the tool's subscribers."""

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
                offer.fds[place] = fd
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
        yield "seven descriptors", lambda offer: offer.fds.append(offer.fds[0])
        read_only = zbq.READ_ONLY_SEALS
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


class Spoiler:
    """Joins as the producer does, but for what is spoilt."""

    def __init__(self, producer, spoil):
        self.producer, self.spoil = producer, spoil

    def join(self, rendezvous, mode):
        offer = self.producer.offer(mode)
        self.spoil(offer)
        offer.send(rendezvous)
        offer.side.close()
        offer.event.close()


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
