# SPDX-License-Identifier: MIT
"""What the tests share."""

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

import zbq


def socket_pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def join(ring, *, mode="push", flow="lossless", start=zbq.Start(), takes_fds=False):
    """A consumer of a ring of this process."""
    here, there = socket_pair()
    with here, there:
        ring.admit(here, mode=mode, flow=flow, start=start)
        return zbq.Consumer(there, mode=mode, flow=flow, takes_fds=takes_fds)


def open_descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def mappings():
    """Of memfds of the library."""
    return Path("/proc/self/maps").read_text().count("memfd:zbq")


def run_python(code, *args, **options):
    """A program of its own, which gets this one's path; its output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args],
        capture_output=True,
        text=True,
        env=environment,
        **options,
    )


def in_child(function):
    """What it returns in a forked child, as a number; anything raised is 99."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = function()
        except BaseException as failure:  # no test of the parent's may go on in a child
            print("in the child:", repr(failure), file=sys.stderr)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Case(unittest.TestCase):
    """Has a ring and a consumer of it, and finds that no descriptor stays open."""

    capacity = 65536

    def setUp(self):
        self.descriptors = open_descriptors()
        self.mappings = mappings()
        self.ring = zbq.Producer(self.capacity)
        self.reader = join(self.ring, takes_fds=True)

    def tearDown(self):
        self.reader.close()
        self.ring.close()
        self.assertEqual(open_descriptors(), self.descriptors)
        self.assertEqual(mappings(), self.mappings)

    def everything(self, reader=None):
        """The payloads that are there."""
        found = []
        while (message := (reader or self.reader).try_recv()) is not None:
            found.append(message.payload)
        return found


class PathCase(unittest.TestCase):
    """Has a directory for names."""

    def setUp(self):
        self.descriptors = open_descriptors()
        self.directory = tempfile.TemporaryDirectory()
        self.name = os.path.join(self.directory.name, "stream")

    def tearDown(self):
        self.directory.cleanup()
        self.assertEqual(open_descriptors(), self.descriptors)


def main():
    unittest.main(verbosity=0)
