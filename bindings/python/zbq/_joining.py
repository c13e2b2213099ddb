# SPDX-License-Identifier: MIT
"""Joining a producer by its name."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

from ._approach import RETRY, Approach, Approaching
from ._consumer import Consumer
from ._errors import AgainError, EndedError, Error, EvictedError, InvalidError, NotFoundError
from ._errors import ProtocolError
from ._greeting import Answer, make_hello
from ._kinds import Flow, Start, Wakeup, mode_of

_GIVE_UP_INTERVAL = 0.05
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class JoinOptions:
    """How to join: as the arguments of :func:`zbq.connect`."""

    mode: Wakeup
    flow: Flow
    start: Start
    takes_fds: bool
    producers: frozenset[int]

    @staticmethod
    def of(
        mode: Wakeup | str,
        flow: Flow | str,
        start: Start,
        takes_fds: bool,
        producers: Collection[int],
    ) -> JoinOptions:
        if not isinstance(start, Start):
            raise TypeError(f"start is a zbq.Start, not {type(start).__name__}")
        if start.kind > 3:
            raise InvalidError("Start.within is for who admits")
        return JoinOptions(Wakeup(mode), Flow(flow), start, takes_fds, frozenset(producers))

    def starting(self, start: Start) -> JoinOptions:
        return replace(self, start=start)


class Joining(Approaching):
    """A join under way, for programs with an event loop: looks for the producer at a name, says
    hello, and takes a slot, one step after the other. No step blocks.

    >>> with zbq.Joining("camera") as join:
    ...     reader = join.step()  # when join.event_fd() is readable

    In a forked child it leads nowhere.
    """

    def __init__(
        self,
        name: str,
        *,
        mode: Wakeup | str = Wakeup.PUSH,
        flow: Flow | str = Flow.LOSSLESS,
        start: Start = Start(),
        takes_fds: bool = False,
        producers: Collection[int] = (),
    ) -> None:
        """As :func:`zbq.connect`. Raises ``InvalidError`` (no name), ``TooLargeError`` (its
        length), ``RefusedError`` (the directory is not private), ``OSError``."""
        self._options = JoinOptions.of(mode, flow, start, takes_fds, producers)
        self._approach = Approach(name, self._options.producers)

    @classmethod
    def _with_options(cls, name: str, options: JoinOptions) -> Joining:
        return cls(
            name,
            mode=options.mode,
            flow=options.flow,
            start=options.start,
            takes_fds=options.takes_fds,
            producers=options.producers,
        )

    def step(self) -> Consumer | None:
        """Goes on as far as it can.

        Returns the consumer, after which this starts again; or nothing yet. Raises ``FullError``,
        ``RefusedError``, ``ProtocolError``, ``InvalidError`` (no message starts where to start),
        ``NoMemoryError``, ``IoError``. It can be tried again after each.
        """
        return self._approach.attempt(self._advance)

    def _advance(self) -> Consumer | None:
        options = self._options
        said = self._approach.step(make_hello(mode_of(options.mode, options.flow), options.start))
        if said is None:
            return None
        if said is Answer.NO_SUCH_START:
            raise self._no_such_start()
        self._approach.check_welcome(said, " collects: nobody publishes there")
        joined = self._take_slot()
        if joined is not None and not self._go_to_start(joined):
            joined.close()  # it went away meanwhile, or was evicted
            self._approach.start_over(RETRY)
            return None
        return joined

    def _take_slot(self) -> Consumer | None:
        options = self._options
        try:
            joined = Consumer(
                self._approach.connection,
                mode=options.mode,
                flow=options.flow,
                takes_fds=options.takes_fds,
                timeout=0,
            )
        except AgainError:
            return None
        self._approach.start_over(0)
        return joined

    def _go_to_start(self, joined: Consumer) -> bool:
        """From the last start before it that the producer knows. Whether it came there."""
        wanted = self._options.start
        head = joined.head
        is_last = wanted.kind == 2 and wanted.offset < head
        is_here = wanted.ring_id in (bytes(16), joined.id)
        if not is_last and not (wanted.kind == 3 and is_here and joined.offset < wanted.offset):
            return True
        try:
            joined.skip_to(head - wanted.offset if is_last else wanted.offset)
        except InvalidError:
            if not is_last:
                joined.close()
                raise self._no_such_start() from None
        except (EndedError, EvictedError):
            return False
        except (AgainError, ProtocolError):  # it was to be there
            joined.close()
            raise ProtocolError(f"joining {self.place}") from None
        return True

    def _no_such_start(self) -> InvalidError:
        offset = self._options.start.offset
        return InvalidError(f"{self.place}: no message starts at offset {offset}")


def walk(
    way: Approaching,
    step: Callable[[], _Found | None],
    timeout: float | None,
    waits: bool,
    missing: str,
) -> _Found:
    """One step after the other, until it has led somewhere."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        reached = step()
        if reached is not None:
            return reached
        left = _GIVE_UP_INTERVAL if end is None else end - time.monotonic()
        if left <= 0 and way.has_met:
            raise AgainError(f"{way.place}: it did not answer")
        if not way.has_met and (left <= 0 or not waits):
            raise NotFoundError(f"nobody {missing} at {way.place}")
        ready = select.poll()
        ready.register(way.event_fd(), select.POLLIN)
        ready.poll(int(min(left, _GIVE_UP_INTERVAL) * 1000) + 1)


def connect(
    name: str,
    *,
    timeout: float | None = None,
    mode: Wakeup | str = Wakeup.PUSH,
    flow: Flow | str = Flow.LOSSLESS,
    start: Start = Start(),
    takes_fds: bool = False,
    wait_for_producer: bool = True,
    producers: Collection[int] = (),
) -> Consumer:
    """Joins the producer at a name (see :class:`zbq.Listener`). Blocks until it has appeared and
    answered, for ``timeout`` seconds at most; ``None``: for as long as it takes.

    ``mode``: how to learn of messages. ``flow``: whether to hold the producer back. ``start``: where
    to start. ``takes_fds``: whether copies come with their descriptors. ``wait_for_producer``:
    whether to wait for one that is not there yet. ``producers``: users that may be at the other end;
    by default, for an abstract name this process's own and root, for a path whoever could make it.

    >>> monitor = zbq.connect("camera", timeout=5, flow="follow")

    Raises ``NotFoundError`` (nobody publishes there), ``AgainError`` (no answer in time),
    ``FullError``, ``RefusedError``, ``ProtocolError``, ``InvalidError`` (no name; or no message
    starts where to start), ``TooLargeError`` (its length), ``NoMemoryError``, ``IoError``.
    """
    with Joining(
        name, mode=mode, flow=flow, start=start, takes_fds=takes_fds, producers=producers
    ) as join:
        return walk(join, join.step, timeout, wait_for_producer, "publishes")


__all__ = ["Joining", "connect", "walk", "JoinOptions", "Error"]
