# SPDX-License-Identifier: MIT
"""Forks, spawned readers, deaths, signals."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import unittest

import zbq
from support import Case, in_child, join, main, run_python, socket_pair


class Fork(Case):
    def test_handles_are_dead_in_a_child(self):
        self.ring.publish(b"hello")
        message = self.reader.next()
        batch = self.reader.batch()
        room = self.ring.reserve(8)
        filling = None

        def child():
            uses = [
                self.reader.recv,
                self.reader.try_recv,
                self.reader.wait,
                self.reader.batch,
                self.reader.retained,
                self.reader.event_fd,
                lambda: self.reader.offset,
                lambda: next(self.reader),
                lambda: next(batch),
                batch.copies,
                lambda: memoryview(message),
                message.tobytes,
                message.take_descriptors,
                lambda: self.ring.publish(b"x"),
                lambda: self.ring.try_publish(b"x"),
                lambda: self.ring.reserve(1),
                lambda: self.ring.head,
                self.ring.scan,
                self.ring.statistics,
                room.commit,
                room.__enter__,
            ]
            for number, use in enumerate(uses):
                try:
                    use()
                except zbq.ForkedError:
                    continue
                return number + 1
            if message.intact():
                return 50
            message.release()
            batch.release()
            self.reader.close()
            self.ring.close()
            return 0

        self.assertEqual(in_child(child), 0)
        self.assertTrue(message.intact())
        message.release()
        batch.release()
        self.ring.publish(b"more")
        self.assertEqual(self.everything(), [b"more"])

    def test_a_child_makes_its_own(self):
        def child():
            with zbq.Producer(4096) as ring:
                reader = join(ring)
                ring.publish(b"x")
                return 0 if reader.recv().payload == b"x" else 1

        self.assertEqual(in_child(child), 0)

    def test_a_socket_from_before_a_fork_is_joined_after_it(self):
        here, there = socket_pair()
        self.ring.admit(here)
        for number in range(100):
            self.ring.publish(bytes([number]))
        self.ring.close()

        def child():
            with zbq.Consumer(there) as reader:
                return 0 if [m.payload[0] for m in reader] == list(range(100)) else 1

        self.assertEqual(in_child(child), 0)
        here.close()
        there.close()


def read_all(end, results):
    with zbq.Consumer(end) as reader:
        results.send(sum(len(message) for message in reader))


class Spawn(unittest.TestCase):
    def test_readers_get_a_socket(self):
        context = multiprocessing.get_context("spawn")
        ring = zbq.Producer(65536, stall_timeout=0)
        readers = []
        for _ in range(2):
            here, there = socket_pair()
            ring.admit(here)
            results, told = context.Pipe(duplex=False)
            process = context.Process(target=read_all, args=(there, told))
            process.start()
            readers.append((process, results))
            here.close()
            there.close()
        for number in range(5000):
            ring.publish(bytes(number % 100))
        ring.close()
        for process, results in readers:
            self.assertEqual(results.recv(), sum(number % 100 for number in range(5000)))
            process.join()
            self.assertEqual(process.exitcode, 0)


class Death(unittest.TestCase):
    def test_a_producer_is_killed(self):
        here, there = socket_pair()
        child = os.fork()
        if child == 0:
            ring = zbq.Producer(4096)
            ring.admit(here)
            ring.publish_many([b"a", b"b"])
            os.kill(os.getpid(), signal.SIGKILL)
        here.close()
        reader = zbq.Consumer(there)
        there.close()
        os.waitpid(child, 0)
        got = []
        with self.assertRaises(zbq.ProducerDiedError):
            for message in reader:
                got.append(message.payload)
        self.assertEqual(got, [b"a", b"b"])
        self.assertFalse(reader.producer_is_alive())
        self.assertIs(reader.ending, zbq.Ending.PRODUCER_DIED)
        with self.assertRaises(zbq.ProducerDiedError):
            list(reader.batches())
        reader.close()

    def test_a_reader_is_killed(self):
        ring = zbq.Producer(4096, stall_timeout=0)
        here, there = socket_pair()
        ring.admit(here)
        come, go = socket_pair()
        child = os.fork()
        if child == 0:
            reader = zbq.Consumer(there)
            message = reader.next()
            go.send(bytes(message))
            signal.pause()
        there.close()
        here.close()
        ring.publish(b"held")
        self.assertEqual(come.recv(10), b"held")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for _ in range(200):
            ring.publish(bytes(100))
        self.assertEqual(ring.statistics().evicted[zbq.Eviction.DEAD], 1)
        come.close()
        go.close()
        ring.close()


class Signals(Case):
    def interrupt(self, call):
        """Whether SIGINT ends a wait, which has no end of its own."""
        pid = os.getpid()
        timer = threading.Timer(0.2, lambda: os.kill(pid, signal.SIGINT))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            call()
        timer.join()

    def setUp(self):
        super().setUp()
        self.before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def tearDown(self):
        signal.signal(signal.SIGINT, self.before)
        super().tearDown()

    def test_end_each_wait(self):
        pull = join(self.ring, mode="pull")
        self.interrupt(self.reader.recv)
        self.interrupt(self.reader.wait)
        self.interrupt(self.reader.next)
        self.interrupt(lambda: self.reader.wait(spin=1000))
        self.interrupt(lambda: next(self.reader))
        self.interrupt(pull.recv)
        self.interrupt(lambda: zbq.connect("@zbq-nobody"))
        self.interrupt(lambda: self.ring.serve_until(lambda: False))
        here, there = socket_pair()
        self.interrupt(lambda: zbq.Consumer(there))
        here.close()
        there.close()
        pull.close()
        self.ring.publish(bytes(self.capacity - 32))
        with zbq.Producer(4096, stall_timeout=0) as full:
            reader = join(full)
            full.publish(bytes(4000))
            self.interrupt(lambda: full.publish(bytes(4000)))
            self.interrupt(lambda: full.wait_released(full.head))
            reader.close()

    def test_a_handler_may_use_what_waits(self):
        got = []

        def handle(number, frame):
            got.append(self.reader.try_recv())
            self.ring.publish(b"from the handler")

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        self.assertEqual(self.reader.recv().payload, b"from the handler")
        signal.signal(signal.SIGALRM, before)
        self.assertEqual(got, [None])

    def test_a_handler_may_close_what_waits(self):
        def handle(number, frame):
            self.reader.close()

        before = signal.signal(signal.SIGALRM, handle)
        for wait in (lambda: self.reader.recv(), lambda: self.reader.wait()):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with self.assertRaises(zbq.ClosedError):
                wait()
            self.reader = join(self.ring)
        signal.signal(signal.SIGALRM, before)


class Interpreter(unittest.TestCase):
    def test_the_end_with_open_handles(self):
        code = """
            import atexit, socket, threading, zbq
            ring = zbq.Producer(4096)
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ring.admit(here)
            reader = zbq.Consumer(there)
            ring.publish_many([b"a", b"b", b"c"])
            message = reader.next()
            view = memoryview(message)
            batch = reader.batch()
            one = next(batch)
            parts = [one.payload[0:], ring.reserve(10).__enter__()]
            class Late:
                def __del__(self):
                    bytes(view), message.intact()
                    try:
                        reader.try_recv()
                    except Exception:
                        pass
            late = Late()
            late.itself = late
            thread = threading.Thread(target=zbq.Consumer.recv, args=(reader,), daemon=True)
            if __import__("sys").argv[1] == "wait":
                batch.release if False else None
                thread.start()
            atexit.register(lambda: print("bye"))
        """
        for how in ("plain", "wait"):
            done = run_python(code, how)
            self.assertEqual((done.returncode, done.stdout), (0, "bye\n"), done.stderr)

    def test_subinterpreters_are_refused(self):
        code = """
            import sys
            sys.path[:] = sys.argv[1].split(":")
            import _xxsubinterpreters as sub
            import zbq
            one = sub.create()
            try:
                sub.run_string(one, "import sys; sys.path[:] = %r; import zbq" % sys.path)
            except sub.RunFailedError as failure:
                print("ImportError" in str(failure), "main interpreter" in str(failure))
            sub.destroy(one)
            zbq.Producer(4096).publish(b"x")
        """
        done = run_python(code, ":".join(sys.path))
        self.assertEqual((done.returncode, done.stdout), (0, "True True\n"), done.stderr)

    def test_it_is_imported_anew(self):
        code = """
            import sys, zbq
            ring = zbq.Producer(4096)
            for name in [n for n in sys.modules if n.startswith("zbq")]:
                del sys.modules[name]
            import zbq as again
            assert again.Producer is not zbq.Producer
            again.Producer(4096).publish(b"x")
            ring.publish(b"x")
            try:
                ring.publish(b"", flags=999)
            except ValueError:
                print("fine")
        """
        done = run_python(code)
        self.assertEqual((done.returncode, done.stdout), (0, "fine\n"), done.stderr)


if __name__ == "__main__":
    main()
