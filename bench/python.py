#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The Python package beside what its users have: python.py [--seconds N] [--only PART]

Messages a second from one process to one or four others. The sender has each payload in a buffer,
which it numbers at both ends, and a way takes it from there; but in place it fills the ring. A
receiver looks at both ends, where the way gives it the message, and checks that none is missing. A row
is the median of three runs, with the ways in turn.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import struct
import sys
import time
from multiprocessing import shared_memory

import zbq

try:
    import zmq
except ImportError:
    zmq = None

CONTEXT = multiprocessing.get_context("fork")
NUMBER = struct.Struct("=Q")
END = (1 << 64) - 1


def number(payload, value):
    """A new payload at its place: to make one would cost more than to send it."""
    NUMBER.pack_into(payload, 0, value)
    NUMBER.pack_into(payload, len(payload) - 8, value)
    return payload


def filler_of(size):
    return bytes(size - 16)


class Check:
    """That each message comes, in order."""

    def __init__(self):
        self.count = 0

    def __call__(self, message):
        """False at the end."""
        (first,) = NUMBER.unpack_from(message)
        if first == END:
            return False
        (last,) = NUMBER.unpack_from(message, len(message) - 8)
        if first != self.count or last != first:
            raise SystemExit(f"message {self.count} differs: {first}, {last}")
        self.count += 1
        return True


class Way:
    """What is measured: made before the fork, and then each end is used by its process."""

    name = ""

    def __init__(self, readers, size):
        self.readers = readers
        self.size = size

    def send(self, seconds):
        """For so long, and then the end. How many."""
        payload = bytearray(self.size)
        end = time.monotonic() + seconds
        count = 0
        while count % 16 or time.monotonic() < end:
            self.put(number(payload, count))
            count += 1
        self.put(number(payload, END))
        return count

    def put(self, payload):
        raise NotImplementedError

    def receive(self, index, check):
        raise NotImplementedError

    def close(self):
        pass


class Zbq(Way):
    """Copies."""

    name = "zbq, copies"
    many = True

    def __init__(self, readers, size):
        super().__init__(readers, size)
        self.ring = zbq.Producer(max(1 << 22, 8 * size), stall_timeout=0)
        self.ends = []
        for _ in range(readers):
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.ring.admit(here)
            here.close()
            self.ends.append(there)

    def send(self, seconds):
        """Small ones by 64 in a call, as a program with many would."""
        if self.size > 4096:
            return super().send(seconds)
        payloads = [bytearray(self.size) for _ in range(64)]
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            for i in range(64):
                number(payloads[i], count + i)
            self.ring.publish_many(payloads)
            count += 64
        self.put(number(payloads[0], END))
        return count

    def put(self, payload):
        self.ring.publish(payload)

    def receive(self, index, check):
        with zbq.Consumer(self.ends[index]) as reader:
            while True:
                reader.wait()
                with reader.batch() as batch:
                    copies = batch.copies()
                for copy in copies:
                    if not check(copy):
                        return

    def close(self):
        self.ring.close()
        for end in self.ends:
            end.close()


class InPlace(Zbq):
    """The sender fills, the receiver looks, where it lies."""

    name = "zbq, in place"

    def send(self, seconds):
        if self.size <= 4096:
            return super().send(seconds)
        filler = filler_of(self.size)
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            self.fill(count, filler)
            count += 1
        self.fill(END, filler)
        return count

    def fill(self, value, filler):
        with self.ring.reserve(self.size) as view:
            view[8:-8] = filler
            number(view, value)

    def receive(self, index, check):
        with zbq.Consumer(self.ends[index]) as reader:
            while True:
                reader.wait()
                with reader.batch() as batch:
                    goes_on = all(check(message) for message in batch)
                if not batch.intact():
                    raise SystemExit("torn")
                if not goes_on:
                    return


class Asyncio(Zbq):
    """Copies, by an event loop at both ends."""

    name = "zbq, asyncio"

    def send(self, seconds):
        return asyncio.run(self.send_in_loop(seconds))

    async def send_in_loop(self, seconds):
        producer = zbq.AsyncProducer(self.ring)
        payload = bytearray(self.size)
        end = time.monotonic() + seconds
        count = 0
        while count % 16 or time.monotonic() < end:
            await producer.publish(number(payload, count))
            count += 1
        await producer.publish(number(payload, END))
        return count

    def receive(self, index, check):
        async def read():
            with zbq.Consumer(self.ends[index]) as reader:
                async for message in reader:
                    if not check(message):
                        return

        asyncio.run(read())


class Queues(Way):
    """A multiprocessing.Queue to each."""

    name = "multiprocessing.Queue"

    def __init__(self, readers, size):
        super().__init__(readers, size)
        self.queues = [CONTEXT.Queue(64) for _ in range(readers)]

    def put(self, payload):
        own = bytes(payload)  # it is taken up later, by a thread
        for queue in self.queues:
            queue.put(own)

    def receive(self, index, check):
        while check(self.queues[index].get()):
            pass

    def close(self):
        for queue in self.queues:
            queue.close()
            queue.join_thread()


class Locked(Way):
    """Slots in multiprocessing.shared_memory, and a condition."""

    name = "shared_memory and a lock"
    SLOTS = 8

    def __init__(self, readers, size):
        super().__init__(readers, size)
        self.memory = shared_memory.SharedMemory(create=True, size=4096 + self.SLOTS * size)
        self.changed = CONTEXT.Condition(CONTEXT.Lock())
        self.memory.buf[:4096] = bytes(4096)

    def count(self, place, value=None):
        if value is not None:
            NUMBER.pack_into(self.memory.buf, 8 * place, value)
        return NUMBER.unpack_from(self.memory.buf, 8 * place)[0]

    def put(self, payload):
        with self.changed:
            sent = self.count(0)
            while sent - min(self.count(1 + i) for i in range(self.readers)) == self.SLOTS:
                self.changed.wait()
            start = 4096 + sent % self.SLOTS * self.size
            self.memory.buf[start : start + self.size] = payload
            self.count(0, sent + 1)
            self.changed.notify_all()

    def receive(self, index, check):
        goes_on = True
        while goes_on:
            with self.changed:
                got = self.count(1 + index)
                while self.count(0) == got:
                    self.changed.wait()
                start = 4096 + got % self.SLOTS * self.size
                copy = bytes(self.memory.buf[start : start + self.size])
                self.count(1 + index, got + 1)
                self.changed.notify_all()
            goes_on = check(copy)

    def close(self):
        self.memory.close()
        self.memory.unlink()


class Zmq(Way):
    """PUB that does not drop, and SUBs, over ipc."""

    name = "pyzmq"

    def __init__(self, readers, size):
        super().__init__(readers, size)
        self.path = f"ipc:///tmp/zbq-bench-{os.getpid()}"

    def send(self, seconds):
        context = zmq.Context()
        self.socket = context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.XPUB_NODROP, 1)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # tells of each subscriber
        self.socket.bind(self.path)
        for _ in range(self.readers):
            self.socket.recv()
        count = super().send(seconds)
        self.socket.close()
        context.term()
        return count

    def put(self, payload):
        self.socket.send(payload)

    def receive(self, index, check):
        context = zmq.Context()
        own = context.socket(zmq.SUB)
        own.setsockopt(zmq.SUBSCRIBE, b"")
        own.connect(self.path)
        while check(own.recv()):
            pass
        own.close()
        context.term()


WAYS = [Zbq, InPlace, Asyncio, Queues, Locked] + ([Zmq] if zmq else [])
SIZES = {"64 B": 64, "1 KiB": 1024, "1 MiB": 1 << 20}


def receive(way, index, told):
    check = Check()
    told.put(-1)  # it is there
    way.receive(index, check)
    told.put(check.count)


def run(kind, readers, size, seconds):
    """Messages a second that each reader got."""
    way = kind(readers, size)
    told = CONTEXT.SimpleQueue()
    processes = [CONTEXT.Process(target=receive, args=(way, i, told)) for i in range(readers)]
    for process in processes:
        process.start()
    if [told.get() for _ in processes] != [-1] * readers:
        raise SystemExit(f"{kind.name}: one has ended before it began")
    start = time.monotonic()
    count = way.send(seconds)
    counts = [told.get() for _ in processes]
    took = time.monotonic() - start
    for process in processes:
        process.join()
    way.close()
    if counts != [count] * readers:
        raise SystemExit(f"{kind.name}: {counts} of {count} came")
    return count / took


def batch_cost():
    """Nanoseconds for each of a thousand messages of 64 bytes, within one process."""
    ring = zbq.Producer(1 << 22)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ring.admit(here)
    reader = zbq.Consumer(there)
    payloads = [bytes(64)] * 1000

    ways = {
        "publish_many": lambda: ring.publish_many(payloads),
        "copies": lambda: use(lambda batch: batch.copies()),
        "iteration in place": lambda: use(lambda batch: [None for _ in batch]),
        "rows in place": lambda: use(lambda batch: memoryview(batch.rows(64)).release()),
    }

    def use(function):
        with reader.batch() as batch:
            function(batch)

    for name, function in ways.items():
        times = []
        for _ in range(300):
            if name != "publish_many":
                ring.publish_many(payloads)
            begin = time.perf_counter_ns()
            function()
            times.append((time.perf_counter_ns() - begin) / 1000)
            use(lambda batch: batch.copies())
        print(f"a batch of 1,000 of 64 B, {name}: {statistics.median(times):.0f} ns a message")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each run")
    parser.add_argument("--only", default="", help="rows with this in them")
    given = parser.parse_args()
    print(
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, Python {sys.version.split()[0]}"
    )
    batch_cost()
    for text, size in SIZES.items():
        for readers in (1, 4):
            row = f"{text} to {readers}"
            if given.only not in row:
                continue
            rates = {kind: [] for kind in WAYS}
            for _ in range(3):
                for kind in WAYS:
                    rates[kind].append(run(kind, readers, size, given.seconds))
            cells = [f"{kind.name} {statistics.median(r):,.0f}/s" for kind, r in rates.items()]
            print(f"{row}: " + "; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
