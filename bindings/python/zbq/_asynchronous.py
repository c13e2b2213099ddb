# SPDX-License-Identifier: MIT
"""In an event loop of asyncio, or of uvloop: no thread, and nothing half done where a task is
cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import TYPE_CHECKING, SupportsIndex, TypeVar

from ._consumer import Consumer
from ._errors import AgainError, EndedError, InvalidError, ProducerDiedError
from ._joining import Joining
from ._kinds import Flow, Gap, Start, Wakeup
from ._subscription import Subscription

if TYPE_CHECKING:
    from ._producer import Producer
    from ._zbq import Buffer, Copied, HasFileno, MessageBatch

_Result = TypeVar("_Result")
_LOOK = 0.1  # seconds: in pull mode nothing rings


async def readable(fd: int, timeout: float | None = None) -> None:
    """Waits until a descriptor is readable, or so many seconds have passed. One task at a time
    for each descriptor."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, wake)
    timer = None if timeout is None else loop.call_later(timeout, wake)
    try:
        await ready
    finally:
        loop.remove_reader(fd)
        if timer is not None:
            timer.cancel()


class _Waiting:
    """One task at a time waits."""

    def __init__(self) -> None:
        self._is_waiting = False

    async def until_readable(self, fd: int, timeout: float | None = None) -> None:
        if self._is_waiting:
            raise InvalidError("another task waits for it already")
        self._is_waiting = True
        try:
            await readable(fd, timeout)
        finally:
            self._is_waiting = False


class AsyncConsumer(AsyncIterator["Copied"]):
    """Reads by an event loop. ``async for message in consumer`` makes one.

    >>> async for message in zbq.AsyncConsumer(reader):
    ...     print(message.payload)

    A task that is cancelled while it waits has taken nothing: the next one gets the message. In
    pull mode, where nobody rings, it looks every millisecond.
    """

    def __init__(self, consumer: Consumer) -> None:
        """Of a consumer, which stays the caller's."""
        self._consumer = consumer
        self._waiting = _Waiting()

    @property
    def consumer(self) -> Consumer:
        """The consumer, for all that does not wait."""
        return self._consumer

    async def recv(self) -> Copied:
        """The next message, copied. Raises as ``Consumer.recv``."""
        while (message := self._consumer.try_recv()) is None:
            await self._wait()
        return message

    async def wait(self) -> None:
        """Waits until there is something to read. Raises as ``Consumer.wait``."""
        while not self._consumer.wait(0):
            await self._wait()

    async def batch(self, most: int | None = None) -> MessageBatch:
        """The messages that are there, in place, once there is one."""
        await self.wait()
        return self._consumer.batch(most)

    async def process(self, function: Callable[[memoryview], _Result]) -> _Result:
        """What a function makes of the next message's bytes, in place, if they were whole."""
        while True:
            await self.wait()
            try:
                return self._consumer.process(function, timeout=0)
            except AgainError:
                continue

    async def __anext__(self) -> Copied:
        try:
            return await self.recv()
        except ProducerDiedError:
            raise
        except EndedError:
            raise StopAsyncIteration from None

    async def _wait(self) -> None:
        if self._consumer.mode is Wakeup.PULL:
            await asyncio.sleep(0.001)
            self._consumer.producer_is_alive()
        else:
            await self._waiting.until_readable(self._consumer.event_fd())


class AsyncSubscription(AsyncIterator["Copied | Gap"]):
    """Reads a stream by its name through all that happens to it, by an event loop: messages, copied,
    and gaps, for ever.

    >>> async for item in zbq.AsyncSubscription(zbq.Subscription("camera")):
    ...     print(item)
    """

    def __init__(self, subscription: Subscription) -> None:
        """Of a subscription, which stays the caller's."""
        self._subscription = subscription
        self._waiting = _Waiting()

    async def recv(self) -> Copied | Gap:
        """The next message, or what was missed before it. Raises as ``Subscription.try_recv``."""
        while True:
            item = self._subscription.take_gap() or self._subscription.try_recv()
            if item is not None:
                return item
            await self._waiting.until_readable(self._subscription.event_fd(), _LOOK)

    async def __anext__(self) -> Copied | Gap:
        return await self.recv()


class AsyncProducer:
    """Publishes by an event loop.

    >>> await zbq.AsyncProducer(ring).publish(b"hello")

    A task that is cancelled while it waits for room has published nothing. What is attached to the
    producer is not served by it: give its listener to :meth:`serve`.
    """

    def __init__(self, producer: Producer) -> None:
        """Of a producer, which stays the caller's."""
        self._producer = producer
        self._waiters: list[asyncio.Future[None]] = []
        self._fd = -1  # while somebody waits

    @property
    def producer(self) -> Producer:
        """The producer, for all that does not wait."""
        return self._producer

    async def publish(
        self,
        payload: Buffer,
        *,
        fds: Iterable[SupportsIndex | HasFileno] | None = None,
        flags: int = 0,
    ) -> int:
        """Publishes a copy, once there is room; its offset. Raises as ``Producer.publish``."""
        return await self._until(
            lambda: self._producer.publish(payload, fds=fds, flags=flags, timeout=0)
        )

    async def publish_many(self, payloads: Iterable[Buffer], *, flags: int = 0) -> int:
        """Publishes copies of all in one commit, once there is room."""
        kept = tuple(payloads)
        return await self._until(lambda: self._producer.publish_many(kept, flags=flags, timeout=0))

    async def wait_released(self, offset: int) -> None:
        """Waits until every lossless consumer has let go of all below an offset."""

        def ask() -> None:
            if not self._producer.released(offset):
                raise AgainError("asking what was released: not yet")

        await self._until(ask)

    async def serve(self, *services: object) -> None:
        """Serves listeners and the like (see ``Producer.attach``) until it is cancelled."""
        for service in services:
            self._producer.attach(service)  # type: ignore[arg-type]
        try:
            await asyncio.gather(*(self._serve_one(service) for service in services))
        finally:
            for service in services:
                self._producer.detach(service)  # type: ignore[arg-type]

    async def _serve_one(self, service: object) -> None:
        while True:
            await readable(service.event_fd())  # type: ignore[attr-defined]
            service.serve(self._producer)  # type: ignore[attr-defined]

    async def _until(self, attempt: Callable[[], _Result]) -> _Result:
        """Tries, and waits its turn: several tasks may wait for room."""
        while True:
            try:
                return attempt()
            except AgainError:
                await self._wait()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        if not self._waiters:
            self._fd = self._producer.event_fd()
            loop.add_reader(self._fd, self._wake)
        self._waiters.append(ready)
        try:
            await ready
        finally:
            if ready in self._waiters:
                self._waiters.remove(ready)
                if not self._waiters:
                    loop.remove_reader(self._fd)

    def _wake(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        waiters, self._waiters = self._waiters, []
        for ready in waiters:
            if not ready.done():
                ready.set_result(None)


async def connect_async(
    name: str,
    *,
    mode: Wakeup | str = Wakeup.PUSH,
    flow: Flow | str = Flow.LOSSLESS,
    start: Start = Start(),
    takes_fds: bool = False,
    producers: Collection[int] = (),
) -> Consumer:
    """Joins the producer at a name, as :func:`zbq.connect`, by an event loop. A task that is
    cancelled meanwhile has taken no slot."""
    with Joining(
        name, mode=mode, flow=flow, start=start, takes_fds=takes_fds, producers=producers
    ) as join:
        while (reader := join.step()) is None:
            await readable(join.event_fd())
        return reader
