# SPDX-License-Identifier: MIT
"""Dialing in to a collector: for programs that publish to one who gathers from many."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Any

from . import _zbq
from ._approach import RETRY, Approach, Approaching
from ._errors import IoError
from ._greeting import make_call
from ._joining import walk
from ._kinds import Flow, Start, Wakeup, mode_of
from ._producer import Producer

_LOOK = 0.1  # seconds: whether the collector still has its slot


class Dialing(Approaching):
    """A producer's line to the collector at a name: looks for it, says hello, and gives it a slot,
    one step after the other; and again when that is gone. No step blocks. Attached to the producer
    it does so by itself.

    >>> ring = zbq.Producer()
    >>> ring.attach(zbq.Dialing("@trace"))

    In a forked child it leads nowhere.
    """

    def __init__(
        self,
        name: str,
        *,
        source: str | None = None,
        flow: Flow | str = Flow.LOSSLESS,
        start: Start = Start.oldest(),
        collectors: Collection[int] = (),
    ) -> None:
        """``source``: how the collector is to call this source, the first 24 bytes of it; by
        default the program's name. ``flow``: whether the collector holds the producer back,
        ``"lossless"`` or ``"follow"``. ``start``: where the collector starts; by default with all
        that the ring still has. ``collectors``: users that may be at the other end.

        Raises ``InvalidError`` (no name), ``TooLargeError`` (its length), ``RefusedError``,
        ``OSError``.
        """
        self._mode = mode_of(Wakeup.PUSH, flow)
        own = os.path.basename(sys.argv[0] if sys.argv else "") or "python"
        self._source = (own if source is None else source).encode().split(b"\0")[0]
        self._start = start
        self._slot: int | None = None
        self._join_number = 0
        self._approach = Approach(name, collectors)

    def step(self, ring: Producer) -> int | None:
        """Goes on as far as it can. Where the collector has its slot this looks whether it still
        lives, for which the descriptor becomes readable some ten times a second.

        Returns the collector's slot; or nothing yet. Raises ``FullError``, ``RefusedError``,
        ``ProtocolError``, ``InvalidError``, ``NoneError`` (the ring has no free slot),
        ``NoMemoryError``, ``IoError``. It can be tried again after each.
        """
        if self._slot is not None:
            ring.scan()
        if self.is_dialed_in(ring):
            self._approach.start_over(_LOOK)
            return self._slot
        return self._approach.attempt(lambda: self._advance(ring))

    def serve(self, ring: Producer) -> None:
        """The same, for ``Producer.attach``."""
        self.step(ring)

    def is_dialed_in(self, ring: Producer) -> bool:
        """Whether the collector has its slot."""
        if self._slot is None:
            return False
        info = ring.consumer_info(self._slot)
        return info.eviction == 0 and info.join_number == self._join_number

    def _advance(self, ring: Producer) -> int | None:
        said = self._approach.step(make_call(self._mode, self._source))
        self._slot = None
        if said is not None:
            self._approach.check_welcome(said, " publishes: nobody collects there")
            self._admit(ring)
        return self._slot

    def _admit(self, ring: Producer) -> None:
        start = self._start
        try:
            slot = _zbq.Producer.admit(
                ring,
                self._approach.connection,
                self._mode,
                start.kind,
                start.offset,
                start.ring_id,
            )
        except IoError:  # it went away meanwhile
            self._approach.start_over(RETRY)
            return
        self._join_number = ring.consumer_info(slot).join_number
        self._slot = slot
        self._approach.start_over(_LOOK)


def dial(
    ring: Producer,
    name: str,
    *,
    timeout: float | None = None,
    source: str | None = None,
    flow: Flow | str = Flow.LOSSLESS,
    start: Start = Start.oldest(),
    wait_for_collector: bool = True,
    collectors: Collection[int] = (),
) -> int:
    """Gives the collector at a name a slot of a producer's ring, once: from then on it reads all
    that is published, also when this process is killed. Blocks until it has appeared and answered.

    Returns its slot. Raises ``NotFoundError`` (nobody collects there), ``AgainError`` (no answer in
    time), and as :meth:`zbq.Dialing.step`.
    """
    with Dialing(name, source=source, flow=flow, start=start, collectors=collectors) as way:
        return walk(way, lambda: way.step(ring), timeout, wait_for_collector, "collects")


class ThreadProducers:
    """A producer for each thread of a program, dialed in to the collector at a name.

    >>> trace = zbq.ThreadProducers("@trace")
    >>> trace.mine().publish(b"from this thread")
    """

    def __init__(self, name: str, *, capacity: int | None = None, **dialing: Any) -> None:
        """``capacity``: of each ring, in bytes. Else as :class:`zbq.Dialing`."""
        self._name = name
        self._capacity = capacity
        self._dialing = dialing
        self._own = threading.local()

    def mine(self) -> Producer:
        """The calling thread's own, made and attached to a line by its first call. It ends with the
        thread."""
        ring: Producer | None = getattr(self._own, "ring", None)
        if ring is None or self._own.generation != _zbq.generation():
            ring = Producer(self._capacity)
            line = Dialing(self._name, **self._dialing)
            ring.attach(line)
            ring.serve()
            self._own.ring, self._own.line = ring, line
            self._own.generation = _zbq.generation()
        return ring


class ServingThread:
    """Serves what is attached to a producer, from a thread of its own, as long as a ``with`` block
    lasts, in which nobody else uses the producer.

    >>> with zbq.ServingThread(ring):
    ...     line = input()
    """

    def __init__(self, ring: Producer) -> None:
        self._ring = ring
        self._is_over = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            self._ring.serve_until(lambda: self._is_over)
        except BaseException as failure:
            self._failure = failure

    def __enter__(self) -> ServingThread:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the thread, within a tenth of a second. Raises what serving has raised."""
        self._is_over = True
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure
