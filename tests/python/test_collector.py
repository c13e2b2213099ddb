# SPDX-License-Identifier: MIT
"""Many producers and one who reads them all."""

import os
import socket
import threading
import time
import unittest

import zbq
from support import PathCase, in_child, main


class Collect(PathCase):
    def collect(self, logs, count, ring=None):
        """So many payloads, each with its source's name."""
        got = []

        def use(source, batch):
            got.extend((source.who.name, payload) for payload in batch.copies())

        while len(got) < count:
            logs.wait(0.01)
            logs.serve(use)
            if ring is not None:
                ring.serve()
        return got

    def dialed(self, logs, source="one", **options):
        ring = zbq.Producer(65536)
        line = zbq.Dialing(self.name, source=source, **options)
        ring.attach(line)
        while not line.is_dialed_in(ring):
            ring.serve()
            logs.wait(0.001)
            logs.serve(lambda source, batch: None)
        return ring, line

    def test_what_was_published_before_it_came(self):
        ring = zbq.Producer(65536)
        ring.publish(b"early")
        with zbq.Dialing(self.name, source="early bird and much more than fits") as line:
            ring.attach(line)
            ring.serve()
            with zbq.Collector(self.name) as logs:
                got = self.collect(logs, 1, ring)
            self.assertEqual(got, [(b"early bird and much more", b"early")])
            ring.detach(line)
        ring.close()

    def test_many_sources_and_their_ends(self):
        told = []
        with zbq.Collector(
            self.name,
            on_join=lambda source: told.append(("join", source.who.name, source.who.pid)),
            on_end=lambda source, how: told.append((how, source.who.name, source.number)),
        ) as logs:
            rings = [self.dialed(logs, f"source {i}") for i in range(3)]
            while len(logs) != 3:
                logs.wait(0.01)
                logs.serve(lambda source, batch: None)
            for number, (ring, _) in enumerate(rings):
                ring.publish_many([b"%d/%d" % (number, i) for i in range(100)])
            got = self.collect(logs, 300)
            for number in range(3):
                own = [payload for name, payload in got if name == b"source %d" % number]
                self.assertEqual(own, [b"%d/%d" % (number, i) for i in range(100)])
            for ring, line in rings:
                line.close()
                ring.close()
            while len(logs):
                logs.wait(0.01)
                logs.serve(lambda source, batch: None)
        pid = os.getpid()
        self.assertEqual(told[:3], [("join", b"source %d" % i, pid) for i in range(3)])
        ends = sorted(told[3:], key=lambda one: one[2])
        self.assertEqual(ends, [(zbq.Ending.CLOSED, b"source %d" % i, i + 1) for i in range(3)])

    def test_turns_are_limited_and_what_is_not_visited_comes_again(self):
        with zbq.Collector(self.name, turn=10) as logs:
            ring, line = self.dialed(logs)
            ring.publish_many([bytes([i]) for i in range(25)])
            sizes = []

            def use(source, batch):
                sizes.append(len(batch.copies()))

            while sum(sizes) < 25:
                logs.serve(use)
            self.assertEqual(sizes, [10, 10, 5])
            ring.publish_many([b"a", b"b"])
            firsts = []
            while len(firsts) < 2:
                logs.serve(lambda source, batch: firsts.append(next(batch).tobytes()))
            self.assertEqual(firsts, [b"a", b"b"])
            line.close()
            ring.close()

    def test_by_iteration(self):
        with zbq.Collector(self.name) as logs:
            ring, line = self.dialed(logs)
            ring.publish_many([b"a", b"b", b"c"])
            got = []
            for source, batch in logs:
                got += batch.copies()
                if len(got) == 3:
                    break
            self.assertEqual(got, [b"a", b"b", b"c"])
            line.close()
            ring.close()

    def test_in_the_order_of_a_key(self):
        with zbq.Collector(self.name, hold=0.05) as logs:
            rings = [self.dialed(logs, f"{i}") for i in range(2)]
            for i, (ring, _) in enumerate(rings):
                ring.publish_many([(2 * n + i).to_bytes(4, "little") for n in range(50)])
            got = []
            while len(got) < 100:
                logs.wait(0.01)
                logs.serve_in_order(
                    lambda message: int.from_bytes(bytes(message.payload), "little"),
                    lambda source, message: got.append(int.from_bytes(message.tobytes(), "little")),
                )
            self.assertEqual(got, list(range(100)))
            for ring, line in rings:
                line.close()
                ring.close()

    def test_who_may_come(self):
        refused = []
        with zbq.Collector(
            self.name,
            accept=lambda who: who.name != b"bad",
            max_sources=1,
            max_capacity=65536,
            on_refusal=lambda who, why: refused.append((who.name, type(why))),
        ) as logs:

            def dial(ring, source):
                failure = []

                def run():
                    try:
                        zbq.dial(ring, self.name, timeout=60, source=source)
                    except zbq.Error as error:
                        failure.append(type(error))

                thread = threading.Thread(target=run)
                thread.start()
                while thread.is_alive():
                    logs.wait(0.01)
                    logs.serve(lambda source, batch: None)
                return failure

            rings = [zbq.Producer(65536), zbq.Producer(131072)]
            self.assertEqual(dial(rings[0], "bad"), [zbq.RefusedError])
            self.assertEqual(dial(rings[1], "large"), [])
            while len(refused) < 2:
                logs.wait(0.01)
                logs.serve(lambda source, batch: None)
            self.assertEqual(dial(rings[0], "good"), [])
            while not len(logs):
                logs.wait(0.01)
                logs.serve(lambda source, batch: None)
            self.assertEqual(dial(rings[1], "more"), [zbq.FullError])
            for ring in rings:
                ring.close()
        self.assertEqual(
            refused,
            [(b"bad", zbq.RefusedError), (b"large", zbq.TooLargeError), (b"more", zbq.FullError)],
        )

    def test_each_has_its_own_place(self):
        with zbq.Collector(self.name) as logs:
            thread = threading.Thread(target=lambda: self.refused(zbq.connect))
            thread.start()
            while thread.is_alive():
                logs.wait(0.01)
                logs.serve(lambda source, batch: None)
        with zbq.Listener(self.name) as door, zbq.Producer(4096) as ring:
            other = zbq.Producer(4096)
            thread = threading.Thread(
                target=lambda: self.refused(lambda name: zbq.dial(other, name))
            )
            thread.start()
            while thread.is_alive():
                door.serve(ring)
                time.sleep(0.001)
            other.close()

    def refused(self, meet):
        with self.assertRaisesRegex(zbq.RefusedError, "nobody"):
            meet(self.name)

    def test_dials_again_when_it_is_back(self):
        ring = zbq.Producer(65536)
        line = zbq.Dialing(self.name, source="x")
        ring.attach(line)
        for turn in range(2):
            with zbq.Collector(self.name) as logs:
                ring.publish(b"%d" % turn)
                got = self.collect(logs, 1, ring)
                self.assertEqual(got[-1], (b"x", b"%d" % turn))
            ring.scan()
        line.close()
        ring.close()

    def test_threads_have_their_own(self):
        trace = zbq.ThreadProducers(self.name, capacity=65536, source="thread")
        with zbq.Collector(self.name) as logs:
            is_over = threading.Event()

            def run(number):
                ring = trace.mine()
                self.assertIs(trace.mine(), ring)
                ring.publish(b"%d" % number)
                ring.serve_until(is_over.is_set)

            threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            got = self.collect(logs, 4)
            is_over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(sorted(got), [(b"thread", b"%d" % i) for i in range(4)])

    def test_what_raises_costs_no_source(self):
        with zbq.Collector(self.name) as logs:
            ring, line = self.dialed(logs)
            ring.publish(b"x")

            def fail(source, batch):
                raise KeyError

            with self.assertRaises(KeyError):
                while True:
                    logs.wait(0.01)
                    logs.serve(fail)
            ring.publish(b"y")
            self.assertEqual(self.collect(logs, 2), [(b"one", b"x"), (b"one", b"y")])
            line.close()
            ring.close()

    def test_nonsense_is_refused(self):
        with zbq.Collector(self.name) as logs:
            for hello in (b"x", b"zbq\2\1\0\1" + bytes(25), b"zbq\2\0\1\1" + bytes(25)):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                    stranger.connect(self.name)
                    stranger.send(hello)
                    stranger.settimeout(0.001)
                    answer = None
                    while answer is None:
                        logs.serve(lambda source, batch: None)
                        try:
                            answer = stranger.recv(100)
                        except TimeoutError:
                            pass
                    self.assertEqual(answer, b"zbq\2\2\0\0\0")

    def test_is_dead_in_a_child(self):
        with zbq.Collector(self.name) as logs:

            def child():
                try:
                    logs.serve(lambda source, batch: None)
                except zbq.ForkedError:
                    return 0
                return 1

            self.assertEqual(in_child(child), 0)

    def test_a_serving_thread(self):
        with zbq.Producer(65536) as ring, zbq.Listener(self.name) as door:
            ring.attach(door)
            with zbq.ServingThread(ring):
                reader = zbq.connect(self.name, timeout=60)
            ring.publish(b"x")
            self.assertEqual(reader.recv().payload, b"x")
            reader.close()
            ring.detach(door)


if __name__ == "__main__":
    main()
