# SPDX-License-Identifier: MIT
"""Event loops: asyncio's own, and uvloop where it is there."""

import asyncio
import os
import signal
import threading
import unittest

import zbq
from support import Case, join, main, open_descriptors, socket_pair

try:
    import uvloop
except ImportError:
    uvloop = None


class Loops:
    """What holds in each loop."""

    def run_in_loop(self, coroutine):
        raise NotImplementedError

    def test_iterates_to_the_end(self):
        async def read(reader, got):
            async for message in reader:
                got.append(int.from_bytes(message, "little"))

        async def all_of_it():
            readers = [join(self.ring) for _ in range(3)]
            lists = [[] for _ in readers]
            tasks = [asyncio.create_task(read(r, got)) for r, got in zip(readers, lists)]
            drain = asyncio.create_task(read(self.reader, []))
            producer = zbq.AsyncProducer(self.ring)
            for number in range(10000):
                await producer.publish(number.to_bytes(16, "little"))
            self.ring.close()
            await asyncio.gather(*tasks, drain)
            for reader in readers:
                reader.close()
            return lists

        for got in self.run_in_loop(all_of_it()):
            self.assertEqual(got, list(range(10000)))

    def test_several_tasks_publish(self):
        async def publish(producer, first):
            for number in range(first, first + 1000):
                await producer.publish(bytes([number % 251]) * 200)

        async def all_of_it():
            producer = zbq.AsyncProducer(self.ring)
            tasks = [asyncio.create_task(publish(producer, 1000 * i)) for i in range(4)]
            reader = zbq.AsyncConsumer(self.reader)
            count = 0
            while count < 4000:
                with await reader.batch() as batch:
                    count += len(batch.copies())
            await asyncio.gather(*tasks)
            return count

        self.assertEqual(self.run_in_loop(all_of_it()), 4000)

    def test_cancelled_it_has_taken_nothing(self):
        async def cancel_often():
            reader = zbq.AsyncConsumer(self.reader)
            got = []
            number = 0
            while len(got) < 300:
                task = asyncio.create_task(reader.recv())
                await asyncio.sleep(0)
                if number < 300:
                    self.ring.publish(number.to_bytes(4, "little"))
                    number += 1
                if len(got) % 2 == number % 2:
                    task.cancel()
                try:
                    got.append(int.from_bytes(await task, "little"))
                except asyncio.CancelledError:
                    pass
            return got

        self.assertEqual(self.run_in_loop(cancel_often()), list(range(300)))

    def test_cancelled_it_has_published_nothing(self):
        async def cancel():
            producer = zbq.AsyncProducer(self.ring)
            self.ring.publish(bytes(self.capacity - 32))
            tasks = [asyncio.create_task(producer.publish(b"never")) for _ in range(3)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.reader.recv()
            await producer.publish(b"after")
            await producer.publish_many([b"two", b"three"])
            return self.everything()

        self.assertEqual(self.run_in_loop(cancel()), [b"after", b"two", b"three"])

    def test_timeouts_are_those_of_asyncio(self):
        async def wait():
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(zbq.AsyncConsumer(self.reader).recv(), 0.02)
            self.ring.publish(b"x")
            return (await zbq.AsyncConsumer(self.reader).recv()).payload

        self.assertEqual(self.run_in_loop(wait()), b"x")

    def test_process_and_pull(self):
        async def read():
            self.ring.publish(b"hello")
            first = await zbq.AsyncConsumer(self.reader).process(bytes)
            pull = join(self.ring, mode="pull")
            task = asyncio.create_task(zbq.AsyncConsumer(pull).recv())
            await asyncio.sleep(0.01)
            self.ring.publish(b"pulled")
            second = (await task).payload
            pull.close()
            return first, second

        self.assertEqual(self.run_in_loop(read()), (b"hello", b"pulled"))

    def test_one_task_at_a_time_waits(self):
        async def two():
            reader = zbq.AsyncConsumer(self.reader)
            task = asyncio.create_task(reader.recv())
            await asyncio.sleep(0.01)
            with self.assertRaises(zbq.InvalidError):
                await reader.recv()
            self.ring.publish(b"x")
            return (await task).payload

        self.assertEqual(self.run_in_loop(two()), b"x")

    def test_waits_until_all_have_let_go(self):
        async def wait():
            self.ring.publish(b"x")
            task = asyncio.create_task(zbq.AsyncProducer(self.ring).wait_released(self.ring.head))
            await asyncio.sleep(0.01)
            self.assertFalse(task.done())
            self.reader.recv()
            await task

        self.run_in_loop(wait())

    def test_a_killed_producer_is_noticed(self):
        here, there = socket_pair()
        child = os.fork()
        if child == 0:
            ring = zbq.Producer(4096)
            ring.admit(here)
            ring.publish(b"last")
            here.send(b"!")
            signal.pause()
        reader = zbq.Consumer(there)
        here.close()

        async def read():
            got = []
            with self.assertRaises(zbq.ProducerDiedError):
                async for message in reader:
                    got.append(message.payload)
                    os.kill(child, signal.SIGKILL)
            return got

        self.assertEqual(self.run_in_loop(read()), [b"last"])
        os.waitpid(child, 0)
        there.close()
        reader.close()

    def test_no_thread(self):
        async def count():
            before = threading.active_count()
            self.ring.publish(b"x")
            await zbq.AsyncConsumer(self.reader).recv()
            await zbq.AsyncProducer(self.ring).publish(b"y")
            return threading.active_count() - before

        self.assertEqual(self.run_in_loop(count()), 0)

    def test_serves_a_listener(self):
        async def meet():
            name = f"@zbq-async-{os.getpid()}-{id(self)}"
            with zbq.Listener(name) as door:
                serving = asyncio.create_task(zbq.AsyncProducer(self.ring).serve(door))
                reader = await zbq.connect_async(name)
                self.ring.publish(b"hello")
                got = (await zbq.AsyncConsumer(reader).recv()).payload
                reader.close()
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                return got

        self.assertEqual(self.run_in_loop(meet()), b"hello")


class Asyncio(Loops, Case):
    def run_in_loop(self, coroutine):
        return asyncio.run(coroutine)


@unittest.skipIf(uvloop is None, "no package python3-uvloop")
class Uvloop(Loops, Case):
    def setUp(self):
        super().setUp()
        self.warm_up()

    def warm_up(self):
        """What uvloop opens once for the process is not this package's."""
        self.run_in_loop(asyncio.sleep(0))
        self.descriptors = open_descriptors()
        for number in (self.reader, self.ring):
            number.close()
        self.descriptors = open_descriptors()
        self.ring = zbq.Producer(self.capacity)
        self.reader = join(self.ring, takes_fds=True)

    def run_in_loop(self, coroutine):
        loop = uvloop.new_event_loop()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            loop.close()


if __name__ == "__main__":
    main()
