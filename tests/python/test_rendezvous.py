# SPDX-License-Identifier: MIT
"""Listening at a name and joining by it; who may come in; strangers."""

import errno
import os
import select
import socket
import threading
import time
import unittest
from unittest import mock

import zbq
from zbq._doorway import Doorway
from support import PathCase, in_child, main, run_python


class Served:
    """A producer that serves in a thread of its own until the end of a with block."""

    def __init__(self, name, **options):
        self.ring = zbq.Producer(65536)
        self.door = zbq.Listener(name, **options)
        self.ring.attach(self.door)
        self.is_over = False
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        self.ring.serve_until(lambda: self.is_over)

    def __enter__(self):
        self.thread.start()
        return self.ring

    def __exit__(self, *what):
        self.is_over = True
        self.thread.join()
        self.ring.close()
        self.door.close()


class Connect(PathCase):
    def test_by_each_kind_of_name(self):
        with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=self.directory.name):
            for name in (self.name, f"@zbq-python-{os.getpid()}", "plain"):
                with Served(name):
                    with zbq.connect(name, timeout=30) as reader:
                        self.assertIs(reader.flow, zbq.Flow.LOSSLESS)
        self.assertEqual(os.listdir(self.directory.name), ["zbq"])
        self.assertEqual(os.listdir(os.path.join(self.directory.name, "zbq")), [])

    def test_with_each_mode_and_flow(self):
        with Served(self.name):
            for mode in zbq.Wakeup:
                for flow in zbq.Flow:
                    with zbq.connect(self.name, timeout=30, mode=mode, flow=flow) as reader:
                        self.assertEqual((reader.mode, reader.flow), (mode, flow))

    def test_after_a_rest_that_was_over_before_its_timer_was_set(self):
        rest = Doorway._rest

        def rest_slowly(door, until):
            rest(door, until)
            time.sleep(0.15 if until else 0)

        with mock.patch.object(Doorway, "_rest", rest_slowly), Served(self.name):
            for _ in range(3):
                zbq.connect(self.name, timeout=30).close()

    def test_waits_for_a_producer(self):
        served = Served.__new__(Served)
        timer = threading.Timer(0.1, lambda: (served.__init__(self.name), served.__enter__()))
        timer.start()
        with zbq.connect(self.name, timeout=30) as reader:
            self.assertEqual(reader.offset, 0)
        timer.join()
        served.__exit__()

    def test_nobody_there(self):
        with self.assertRaises(zbq.NotFoundError):
            zbq.connect(self.name, timeout=0.05)
        with self.assertRaises(zbq.NotFoundError):
            zbq.connect(self.name, wait_for_producer=False)
        with self.assertRaises(LookupError):
            zbq.connect("@zbq-nobody", timeout=0)

    def test_nobody_answers(self):
        with zbq.Listener(self.name):
            with self.assertRaises(TimeoutError):
                zbq.connect(self.name, timeout=0.1)

    def test_what_is_no_listener_of_zbq(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(self.name)
            other.listen()
            with self.assertRaises(zbq.RefusedError):
                zbq.connect(self.name, timeout=30)
        os.unlink(self.name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(self.name)
            other.listen()

            def answer():
                with other.accept()[0] as who:
                    who.recv(100)
                    who.send(b"nonsense")

            thread = threading.Thread(target=answer)
            thread.start()
            with self.assertRaises(zbq.ProtocolError):
                zbq.connect(self.name, timeout=30)
            thread.join()

    def test_history_starts_exactly(self):
        ring = zbq.Producer(65536)
        for number in range(100):
            ring.publish(number.to_bytes(4, "little"))
        with zbq.Listener(self.name) as door:
            ring.attach(door)

            def read(start):
                got = []
                thread = threading.Thread(
                    target=lambda: got.append(zbq.connect(self.name, timeout=30, start=start))
                )
                thread.start()
                ring.serve_until(lambda: not thread.is_alive())
                if not got:
                    return None
                with got[0] as reader:
                    first = reader.try_recv()
                    return first and int.from_bytes(first, "little")

            self.assertEqual(read(zbq.Start.oldest()), 0)
            self.assertEqual(read(zbq.Start.last(320)), 90)
            self.assertEqual(read(zbq.Start.at(ring.id, 32 * 55)), 55)
            self.assertEqual(read(zbq.Start.at(bytes(16), 32 * 99)), 99)
            self.assertEqual(read(zbq.Start.at(os.urandom(16), 320)), 0)
            self.assertIsNone(read(zbq.Start.head()))
            with mock.patch("threading.excepthook") as hook:
                self.assertIsNone(read(zbq.Start.at(ring.id, 16 + 32 * 3 + 1)))
                self.assertIsInstance(hook.call_args[0][0].exc_value, zbq.InvalidError)
            ring.detach(door)
        ring.close()


class Listen(PathCase):
    def test_one_at_a_time(self):
        with zbq.Listener(self.name):
            with self.assertRaises(zbq.IoError) as caught:
                zbq.Listener(self.name)
            self.assertEqual(caught.exception.errno, errno.EADDRINUSE)
            self.assertIn(str(os.getpid()), str(caught.exception))
            self.assertTrue(os.path.exists(self.name))
        self.assertEqual(os.listdir(self.directory.name), [])
        with zbq.Listener("@zbq-one"):
            with self.assertRaises(OSError) as caught:
                zbq.Listener("@zbq-one")
            self.assertEqual(caught.exception.errno, errno.EADDRINUSE)

    def test_a_stale_name_is_taken_over(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
            dead.bind(self.name)
        with zbq.Listener(self.name):
            self.assertEqual(os.listdir(self.directory.name), ["stream"])
        with open(self.name, "w"):
            pass
        with self.assertRaises(zbq.RefusedError):
            zbq.Listener(self.name)

    def test_a_name_is_one(self):
        for name in ("", ".", "..", "@", "dir/", "a\0b"):
            with self.assertRaises(zbq.InvalidError):
                zbq.Listener(name)
            with self.assertRaises(zbq.InvalidError):
                zbq.connect(name)
        for name in (None, b"bytes", 3):
            with self.assertRaises(TypeError):
                zbq.connect(name)
        with self.assertRaises(zbq.TooLargeError):
            zbq.Listener("/" + "x" * 107)
        with self.assertRaises(zbq.TooLargeError):
            zbq.connect("@" + "x" * 108)

    def test_a_long_name_fits(self):
        name = os.path.join(self.directory.name, "x" * (106 - len(self.directory.name)))
        self.assertEqual(len(name), 107)
        with Served(name):
            zbq.connect(name, timeout=30).close()

    def test_the_file_is_private_unless_others_may_come(self):
        for options, mode in (({}, 0o600), ({"users": [12345]}, 0o666)):
            with zbq.Listener(self.name, **options):
                self.assertEqual(os.stat(self.name).st_mode & 0o777, mode)

    def test_the_directory_must_be_private(self):
        with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=self.directory.name):
            os.mkdir(os.path.join(self.directory.name, "zbq"), 0o755)
            with self.assertRaises(zbq.RefusedError):
                zbq.Listener("plain")
        with mock.patch.dict(os.environ, XDG_RUNTIME_DIR="relative"):
            with self.assertRaises(PermissionError):
                zbq.connect("plain")

    def test_a_child_leaves_the_name_alone(self):
        door = zbq.Listener(self.name)

        def child():
            door.close()
            return 0

        self.assertEqual(in_child(child), 0)
        self.assertTrue(os.path.exists(self.name))
        door.close()
        self.assertFalse(os.path.exists(self.name))


class Admission(PathCase):
    def answer(self, door, ring, hello):
        """What a listener answers to bytes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(self.name)
            stranger.send(hello)
            stranger.settimeout(0)
            while True:
                door.serve(ring)
                try:
                    return stranger.recv(100)
                except BlockingIOError:
                    select.select([door], [], [], 0.2)

    def test_nonsense_is_refused(self):
        with zbq.Producer(4096) as ring, zbq.Listener(self.name) as door:
            refused = b"zbq\2\2\0\0\0"
            good = b"zbq\2" + bytes(28)
            self.assertEqual(self.answer(door, ring, good), b"zbq\2" + bytes(4))
            for hello in (
                b"x",
                good + b"\0",
                b"zbq\1\0\0\0\0",
                b"zbq\3" + bytes(28),
                b"zbq\2\4" + bytes(27),
                b"zbq\2\0\4" + bytes(26),
                b"zbq\2\0\0\3" + bytes(25),
                b"zbq\2\0\0\0\1" + bytes(24),
                b"zbq\2\0\0\2\0x" + bytes(23),
            ):
                self.assertEqual(self.answer(door, ring, hello), refused)
            dials = b"zbq\2\0\0\1\0name" + bytes(20)
            self.assertEqual(self.answer(door, ring, dials), b"zbq\2\4\0\0\0")
            late = b"zbq\2\0\3\0\0" + (1 << 40).to_bytes(8, "little") + bytes(16)
            self.assertEqual(self.answer(door, ring, late), b"zbq\2\3\0\0\0")

    def test_accept_decides_and_is_told_who(self):
        seen = []

        def accept(who, terms):
            seen.append(who)
            terms.history = 64
            terms.patience = (1.0, 0.5)
            return not who.observes

        with zbq.Producer(65536) as ring, zbq.Listener(self.name, accept=accept) as door:
            for number in range(100):
                ring.publish(bytes([number]))
            decided = []
            result = {}

            def connect():
                try:
                    with zbq.connect(self.name, timeout=30, start=zbq.Start.oldest()) as reader:
                        result["first"] = reader.offset
                    zbq.connect(self.name, timeout=30, flow="follow")
                except zbq.Error as failure:
                    result["failure"] = failure

            thread = threading.Thread(target=connect)
            thread.start()
            while thread.is_alive():
                select.select([door], [], [], 0.1)
                door.serve(ring, decided.append)
            thread.join()
        self.assertGreaterEqual(result["first"], 98 * 32)
        self.assertIsInstance(result["failure"], zbq.RefusedError)
        self.assertEqual([who.pid for who in seen], [os.getpid()] * 2)
        self.assertEqual([one.slot for one in decided], [0, None])
        self.assertIsInstance(decided[1].error, zbq.RefusedError)

    def test_what_accept_raises_comes_out_of_serve(self):
        def accept(who, terms):
            raise KeyError("mine")

        with zbq.Producer(4096) as ring, zbq.Listener(self.name, accept=accept) as door:
            ring.attach(door)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                stranger.connect(self.name)
                stranger.send(b"zbq\2" + bytes(28))
                with self.assertRaises(KeyError):
                    ring.serve_until(lambda: False)
                self.assertEqual(stranger.recv(100), b"")
            ring.detach(door)

    def test_full(self):
        with zbq.Producer(4096, max_consumers=1) as ring, zbq.Listener(self.name) as door:
            hello = b"zbq\2" + bytes(28)
            self.assertEqual(self.answer(door, ring, hello)[4], 0)
            ring.publish(b"x")
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ring.scan()
            ring.admit(here)
            reader = zbq.Consumer(there)
            here.close()
            there.close()
            self.assertEqual(self.answer(door, ring, hello)[4], 1)
            reader.close()

    def test_observers_have_a_limit_of_their_own(self):
        with zbq.Producer(4096) as ring, zbq.Listener(self.name, max_observers=0) as door:
            self.assertEqual(self.answer(door, ring, b"zbq\2\2" + bytes(27))[4], 1)
            self.assertEqual(self.answer(door, ring, b"zbq\2\0" + bytes(27))[4], 0)

    def test_silent_strangers_are_dropped(self):
        with zbq.Producer(4096) as ring, zbq.Listener(self.name, max_strangers=2) as door:
            silent = []
            for _ in range(5):
                one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                one.connect(self.name)
                silent.append(one)
                select.select([door], [], [], 1)
                door.serve(ring)
            gone = 0
            while gone < 3:
                gone = len([s for s in silent if select.select([s], [], [], 0)[0]])
                select.select([door], [], [], 0.1)
                door.serve(ring)
            for one in silent:
                one.close()
        with zbq.Producer(4096) as ring, zbq.Listener(self.name, patience=0.05) as door:
            ring.attach(door)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as late:
                late.connect(self.name)
                ring.serve_until(lambda: bool(select.select([late], [], [], 0)[0]))
                self.assertEqual(late.recv(1), b"")
            ring.detach(door)

    def test_systemd(self):
        code = """
            import os, socket, sys
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listening.bind(sys.argv[1])
            listening.listen()
            if listening.fileno() != 3:
                os.dup2(listening.fileno(), 3)
                listening.close()
            else:
                listening.detach()
            os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1",
                           "LISTEN_FDNAMES": "feed"}
            import zbq
            try:
                zbq.Listener.from_systemd("other")
            except zbq.NoneError:
                pass
            door = zbq.Listener.from_systemd("feed")
            ring = zbq.Producer(4096)
            ring.attach(door)
            join = zbq.Joining(sys.argv[1])
            got = []
            ring.serve_until(lambda: got.append(join.step()) or got[-1] is not None)
            print("joined")
        """
        done = run_python(code, self.name)
        self.assertEqual((done.stdout, done.stderr), ("joined\n", ""))
        with self.assertRaises(zbq.NoneError):
            zbq.Listener.from_systemd()
        with socket.socket() as wrong:
            with self.assertRaises(zbq.InvalidError):
                zbq.Listener.from_socket(wrong)


if __name__ == "__main__":
    main()
