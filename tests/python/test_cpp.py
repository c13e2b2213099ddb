# SPDX-License-Identifier: MIT
"""The other end in C++: tests/rust/peer.cpp, and the tool."""

import os
import subprocess
import unittest

import zbq
from support import PathCase, main, socket_pair

try:
    import numpy
except ImportError:
    numpy = None

PEER = os.environ.get("ZBQ_CPP_PEER")
TOOL = os.environ.get("ZBQ_TOOL")
MESSAGES = 500
if numpy is not None:
    QUOTES = zbq.Channel("quote/1", [("bid", "f8"), ("ask", "f8"), ("symbol", "u8")])
    FEED = zbq.VariantChannel("feed/1", {"quote": QUOTES.dtype, "volume": "u4"})


def payload_of(number):
    return bytes((number * 31 + i * 7) % 256 for i in range(number * 37 % 1500))


def frame_of(number):
    size = 20000 - number
    return (bytes((number * 31 + i * 7) % 256 for i in range(256)) * (size // 256 + 1))[:size]


def file_with(text):
    made = zbq.Descriptor(os.memfd_create("zbq-test"))
    os.pwrite(made.fileno(), text.encode(), 0)
    return made


def peer(role):
    """A process of it, and the socket to it."""
    here, there = socket_pair()
    with there:
        return subprocess.Popen([PEER, role], stdin=there), here


@unittest.skipUnless(PEER, "no program in C++ was named by ZBQ_CPP_PEER")
class Peer(unittest.TestCase):
    def test_reads_what_cpp_writes(self):
        process, socket = peer("write")
        with socket, zbq.Consumer(socket, takes_fds=True) as reader:
            for number in range(MESSAGES):
                message = reader.recv()
                self.assertEqual(message.payload, payload_of(number))
                files = [os.pread(fd.fileno(), 32, 0).decode() for fd in message.fds]
                self.assertEqual(files, [f"{number}/{i}" for i in range(number % 3)])
            with self.assertRaises(zbq.EndedError):
                reader.recv()
        self.assertEqual(process.wait(), 0)

    def test_writes_what_cpp_reads(self):
        process, socket = peer("read")
        with socket, zbq.Producer(16384) as ring:
            ring.admit(socket)
            for number in range(MESSAGES):
                files = [file_with(f"{number}/{i}") for i in range(number % 3)]
                ring.publish(payload_of(number), fds=files)
        self.assertEqual(process.wait(), 0)

    def test_frames_from_cpp(self):
        process, socket = peer("write-frames")
        with socket, zbq.Consumer(socket) as reader:
            count = 0
            for frame in zbq.Frames(reader):
                with frame:
                    self.assertEqual(frame.process(bytes), frame_of(count))
                    self.assertEqual(bytes(frame.beside), payload_of(count))
                    self.assertTrue(frame.beside_intact())
                count += 1
        self.assertEqual((count, process.wait()), (MESSAGES, 0))

    def test_frames_for_cpp(self):
        process, socket = peer("read-frames")
        with socket, zbq.Producer(65536, stall_timeout=0) as ring:
            pool = zbq.FramePool(ring, frames=3, frame_size=20000, first_key=100)
            ring.admit(socket)
            for number in range(MESSAGES):
                with pool.acquire() as frame:
                    pixels = frame_of(number)
                    frame.view[: len(pixels)] = pixels
                    frame.publish(len(pixels), beside=payload_of(number))
        self.assertEqual(process.wait(), 0)

    @unittest.skipUnless(numpy, "no package python3-numpy")
    def test_a_channel_from_cpp(self):
        process, socket = peer("write-quotes")
        with socket, zbq.Consumer(socket) as reader:
            quotes = QUOTES.consumer(reader)
            got = []
            try:
                while True:
                    reader.wait()
                    got.append(quotes.take())
            except zbq.EndedError:
                pass
        got = numpy.concatenate(got)
        self.assertEqual(len(got), MESSAGES)
        numbers = numpy.arange(MESSAGES)
        self.assertTrue((got["bid"] == numbers / 2).all())
        self.assertTrue((got["ask"] == numbers * 2).all())
        self.assertTrue((got["symbol"] == numbers).all())
        self.assertEqual(process.wait(), 0)

    @unittest.skipUnless(numpy, "no package python3-numpy")
    def test_a_channel_for_cpp(self):
        process, socket = peer("read-quotes")
        with socket, zbq.Producer(65536, stall_timeout=0) as ring:
            quotes = QUOTES.producer(ring)
            ring.admit(socket)
            values = numpy.zeros(MESSAGES, QUOTES.dtype)
            values["symbol"] = numpy.arange(MESSAGES)
            values["bid"] = values["symbol"] / 2
            values["ask"] = values["symbol"] * 2
            for value in values[:100]:
                quotes.send(value)
            quotes.send_many(values[100:])
        self.assertEqual(process.wait(), 0)

    @unittest.skipUnless(numpy, "no package python3-numpy")
    def test_another_type_is_refused(self):
        process, socket = peer("write-quotes")
        with socket, zbq.Consumer(socket) as reader:
            for other in (
                zbq.Channel("quote/2", QUOTES.dtype),
                zbq.Channel("quote/1", [("bid", "f8"), ("ask", "f8")]),
                zbq.Channel("quote/1", numpy.dtype("f8,f8,u8")),  # packed
            ):
                with self.assertRaises(TypeError) as caught:
                    other.consumer(reader)
                self.assertIsInstance(caught.exception, zbq.TypeMismatchError)
        process.wait()

    @unittest.skipUnless(numpy, "no package python3-numpy")
    def test_several_types_from_cpp(self):
        process, socket = peer("write-events")
        with socket, zbq.Consumer(socket) as reader:
            with self.assertRaises(zbq.TypeMismatchError):
                zbq.VariantChannel("feed/1", {"volume": "u4", "quote": QUOTES.dtype}).consumer(
                    reader
                )
            got = [(which, one) for which, one in FEED.consumer(reader)]
        self.assertEqual(len(got), MESSAGES)
        for number, (which, one) in enumerate(got):
            self.assertEqual(which, "quote" if number % 3 else "volume")
            self.assertEqual(one["symbol"] if number % 3 else one, number)
        self.assertEqual(process.wait(), 0)

    @unittest.skipUnless(numpy, "no package python3-numpy")
    def test_several_types_for_cpp(self):
        process, socket = peer("read-events")
        with socket, zbq.Producer(65536, stall_timeout=0) as ring:
            events = FEED.producer(ring)
            ring.admit(socket)
            for number in range(MESSAGES):
                if number % 3:
                    events.send("quote", (0, 0, number))
                else:
                    events.send("volume", number)
            with self.assertRaises(zbq.InvalidError):
                events.send("trade", 1)
        self.assertEqual(process.wait(), 0)

    def test_an_observer_of_cpp(self):
        process, socket = peer("write-history")
        with socket, zbq.Consumer(socket, flow="follow", takes_fds=True) as reader:
            (kept,) = reader.retained()
            self.assertTrue(kept.key)
            self.assertEqual(len(kept.fds), 1)
            last = None
            for message in reader:
                last = int.from_bytes(message.payload[:8], "little")
        self.assertEqual((last, process.wait()), (2 * MESSAGES - 1, 0))


@unittest.skipUnless(TOOL, "no tool was named by ZBQ_TOOL")
class Tool(PathCase):
    def test_reads_what_the_tool_publishes(self):
        lines = "".join(f"line {number}\n" for number in range(1000))
        with subprocess.Popen(
            [TOOL, "pub", "--lines", "--wait-for", "1", self.name], stdin=subprocess.PIPE, text=True
        ) as process:
            reader = zbq.connect(self.name, timeout=60)
            process.stdin.write(lines)
            process.stdin.close()
            got = [message.payload.decode() for message in reader]
        reader.close()
        self.assertEqual("".join(got), lines)
        self.assertEqual(process.returncode, 0)

    def test_publishes_what_the_tool_reads(self):
        with zbq.Producer(65536) as ring, zbq.Listener(self.name) as door:
            ring.attach(door)
            with subprocess.Popen(
                [TOOL, "sub", "--lines", self.name], stdout=subprocess.PIPE, text=True
            ) as process:
                ring.serve_until(lambda: ring.statistics().consumers != 0)
                for number in range(1000):
                    ring.publish(f"line {number}".encode())
                ring.detach(door)
                ring.close()
                text = process.stdout.read()
        self.assertEqual(text, "".join(f"line {number}\n" for number in range(1000)))


if __name__ == "__main__":
    main()
