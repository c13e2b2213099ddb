# SPDX-License-Identifier: MIT
"""The producer: room, messages, consumers."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, SupportsIndex, TypeVar

from . import _zbq
from ._errors import AgainError
from ._kinds import Flow, Start, Wakeup, mode_of
from ._statistics import ConsumerInfo, ProducerStatistics
from ._topology import suitable_capacity

if TYPE_CHECKING:
    from ._zbq import HasFileno

_SLICE = 0.1
_Self = TypeVar("_Self", bound="Producer")


class Service(Protocol):
    """What can be attached to a producer: a listener, a dialing, or an application's own."""

    def event_fd(self) -> int:
        """Readable when :meth:`serve` has something to do."""

    def serve(self, ring: Producer, /) -> object:
        """Does it. Never blocks."""


class Producer(_zbq.Producer):
    """The one who publishes. Closing it ends the stream; consumers read on to its end.

    >>> with zbq.Producer() as ring, zbq.Listener("greetings") as door:
    ...     ring.attach(door)
    ...     ring.serve_until(lambda: ring.statistics().consumers != 0)
    ...     ring.publish(b"hello")

    One thread at a time: a call from another meanwhile is refused by :class:`zbq.BusyError`. In a
    forked child every call but :meth:`close` raises :class:`zbq.ForkedError`.
    """

    _services: list[Service]
    _failure: BaseException | None
    _is_serving: bool
    _name: str | None

    def __new__(
        cls: type[_Self],
        capacity: int | None = None,
        *,
        stall_timeout: float = 1.0,
        max_consumers: int = 16,
        clog_threshold: int = 16,
    ) -> _Self:
        """Makes a ring.

        ``capacity``: bytes, a multiple of 4096 and of the page size; a message takes its payload
        and 16 bytes, rounded up to 16. By default 1 MiB where all processors share a cache, and 64
        MiB where they do not. ``stall_timeout``: seconds for which a consumer may hold the producer
        back, by less than what is wanted of it; 0: for ever. ``max_consumers``: at one time.
        ``clog_threshold``: failed attempts in a row before the consumers are looked at.

        Raises ``InvalidError`` (an option), ``NoMemoryError``, ``IoError``.
        """
        made = super().__new__(
            cls,
            suitable_capacity() if capacity is None else capacity,
            stall_timeout=stall_timeout,
            max_consumers=max_consumers,
            clog_threshold=clog_threshold,
        )
        made._services = []
        made._failure = None
        made._is_serving = False
        made._name = None
        return made

    @staticmethod
    def size_of(payload_size: int) -> int:
        """Bytes of the ring that a message with such a payload takes. ``ValueError`` below 0 and
        from 4 GiB on."""
        if not 0 <= payload_size < 1 << 32:
            raise ValueError(f"no message has a payload of {payload_size} bytes")
        return (16 + payload_size + 15) & ~15

    # ---- serving ----

    def attach(self, served: Service) -> None:
        """From now on calls that wait serve this meanwhile, and some hundred times a second those
        that need not: newcomers come in by a listener, a collector by a dialing. A program whose
        producer is silent calls :meth:`serve_until` or :meth:`serve`."""
        self._services.append(served)
        self._set_serving(True)

    def detach(self, served: Service) -> None:
        """Serves it no more."""
        self._services = [one for one in self._services if one is not served]
        self._set_serving(bool(self._services))

    def serve(self) -> None:
        """Serves what is attached and has something to do. Never blocks. Raises what one of them
        raised, the last time, now or while this waited."""
        self._serve_beside(-1, 0)
        self._raise_failure()

    def serve_until(self, enough: Callable[[], bool], timeout: float | None = None) -> bool:
        """Serves what is attached until it is enough, which is asked after each time and some ten
        times a second. Blocks.

        Returns ``False`` where ``timeout`` seconds have passed before. Raises as :meth:`serve`.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not enough():
            left = _SLICE if end is None else min(end - time.monotonic(), _SLICE)
            if left <= 0:
                return False
            self._serve_beside(-1, int(left * 1000) + 1)
            self._raise_failure()
        return True

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _serve_beside(self, fd: int, timeout_ms: int) -> None:
        """Waits for a descriptor (-1: none) and what is attached, and serves. Whoever waits for
        room is told of that alone: what a service raises is kept."""
        services = [] if self._is_serving else list(self._services)
        watched = select.poll()
        if fd >= 0:
            watched.register(fd, select.POLLIN)
        for service in services:
            number = service.event_fd()
            if number >= 0:
                watched.register(number, select.POLLIN)
        ready = {number for number, _ in watched.poll(timeout_ms)}
        self._is_serving = True
        try:
            for service in services:
                if service.event_fd() in ready:
                    try:
                        service.serve(self)
                    except Exception as failure:
                        self._failure = failure
        finally:
            self._is_serving = False

    # ---- consumers ----

    def admit(  # type: ignore[override]
        self,
        socket: SupportsIndex | HasFileno,
        *,
        mode: Wakeup | str = Wakeup.PUSH,
        flow: Flow | str = Flow.LOSSLESS,
        start: Start = Start(),
    ) -> int:
        """Gives the process at the other end of a connected Unix socket a slot; there
        :class:`zbq.Consumer` joins. The socket stays the caller's. Never blocks.

        Returns its slot. Raises ``InvalidError`` (also: nothing starts where it is to start),
        ``NoneError`` (no slot is free), ``NoMemoryError``, ``IoError`` (it is gone).
        """
        if not isinstance(start, Start):
            raise TypeError(f"start is a zbq.Start, not {type(start).__name__}")
        return super().admit(socket, mode_of(mode, flow), start.kind, start.offset, start.ring_id)

    # ---- statistics ----

    def statistics(self) -> ProducerStatistics:  # type: ignore[override]
        """Counters. Reads every consumer's page."""
        return ProducerStatistics(**super().statistics())

    def consumer_info(self, slot: int) -> ConsumerInfo:  # type: ignore[override]
        """What is known of the consumer in a slot, as :meth:`admit` gave it; where the slot is
        free, of the one last evicted from it (``join_number`` 0: there was none)."""
        return ConsumerInfo(**super().consumer_info(slot))

    def set_name(self, name: str | None) -> None:
        """What people call this ring, in its statistics; without it, the name of the listener that
        hands them out. ``TooLargeError`` above 111 bytes."""
        super().set_name(name)
        self._name = name

    # ---- manners ----

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except BufferError:
            if kind is None:
                raise

    def __repr__(self) -> str:
        if self.closed:
            return "<zbq.Producer closed>"
        return f"<zbq.Producer of {self.capacity} bytes>"
