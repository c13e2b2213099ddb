# SPDX-License-Identifier: MIT
"""The other end in C++: tests/rust/peer.cpp, and the tool."""

import os
import subprocess
import unittest

import zbq
from support import PathCase, main, socket_pair

PEER = os.environ.get("ZBQ_CPP_PEER")
TOOL = os.environ.get("ZBQ_TOOL")
MESSAGES = 500


def payload_of(number):
    return bytes((number * 31 + i * 7) % 256 for i in range(number * 37 % 1500))


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
