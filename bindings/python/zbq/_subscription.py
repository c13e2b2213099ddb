# SPDX-License-Identifier: MIT
"""Reading a stream through all that happens to it."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from . import _zbq
from ._closing import Closing
from ._consumer import Consumer
from ._errors import AgainError, EndedError, EvictedError, ForkedError, ProtocolError
from ._joining import Joining, JoinOptions
from ._kinds import Ending, Flow, Gap, GapCause, Loss, Start, Wakeup

_SLICE = 0.1
_PULL_SLEEP = 0.001
_Taken = TypeVar("_Taken")
_Reading = _zbq.Message | _zbq.Copied


class Subscription(Closing):
    """A stream by its name, whoever publishes it: joins, reads, and joins again when it was evicted
    or the producer was replaced, where it left off. What it has missed is told as a
    :class:`zbq.Gap`, before the message after it.

    >>> for item in zbq.Subscription("camera", flow="follow"):
    ...     if isinstance(item, zbq.Gap):
    ...         print("missed", item.bytes, item.cause.value)
    ...     else:
    ...         print(item.payload)

    One thread at a time. In a forked child it raises :class:`zbq.ForkedError`.
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
        """As :func:`zbq.connect`; joins when it is first waited for or read."""
        self._generation = _zbq.generation()
        self._name = name
        self._options = JoinOptions.of(mode, flow, start, takes_fds, producers)
        self._joining: Joining | None = Joining._with_options(name, self._options)
        self._reader: Consumer | None = None
        self._gap: Gap | None = None
        self._held: _Reading | None = None  # the one after the gap
        self._ring = bytes(16)
        self._next = 0  # where it goes on
        self._lost = Loss(0, 0)
        self._was_evicted = False
        self._next_check = 0.0
        self._joins = 0
        self._watch = select.epoll()
        self._watch.register(self._joining.event_fd(), select.EPOLLIN)

    # ---- reading ----

    def try_next(self) -> _zbq.Message | None:
        """The next message in place; ``None`` when there is none now, or a gap is to be taken first.
        Never blocks. Raises ``FullError``, ``RefusedError``, ``ProtocolError``, ``InvalidError``,
        ``NoMemoryError``, ``IoError``, all by a join; it can be tried again."""
        found = self._try(Consumer.try_next)
        assert found is None or isinstance(found, _zbq.Message)
        return found

    def try_recv(self) -> _zbq.Copied | None:
        """The same, copied."""
        found = self._try(Consumer.try_recv)
        if isinstance(found, _zbq.Message):
            raise AgainError("a message in place comes first: try_next gives it")
        return found

    def take_gap(self) -> Gap | None:
        """What was missed since the last message, if anything was. Never blocks."""
        self._advance()
        gap, self._gap = self._gap, None
        return gap

    def recv(self, timeout: float | None = None) -> _zbq.Copied | Gap:
        """The next message, copied, or what was missed before it. Blocks for ``timeout`` seconds at
        most; ``None``: for as long as it takes, for a producer too. ``AgainError`` when the time is
        up, and as :meth:`try_next`."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            gap = self.take_gap()
            if gap is not None:
                return gap
            message = self.try_recv()
            if message is not None:
                return message
            left = None if end is None else max(end - time.monotonic(), 0)
            if not self.wait(left):
                raise AgainError("reading: not yet")

    def __iter__(self) -> Iterator[_zbq.Copied | Gap]:
        """Messages and gaps, for ever. Blocks."""
        while True:
            yield self.recv()

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until there is a message or a gap to take. ``False``: not in so many seconds.
        Raises as :meth:`try_next`."""
        end = None if timeout is None else time.monotonic() + timeout
        slice_of = _SLICE if self._options.mode is Wakeup.PUSH else _PULL_SLEEP
        while not self._has_something():
            left = slice_of if end is None else min(end - time.monotonic(), slice_of)
            if left <= 0:
                return False
            self._watch.poll(left)
        return True

    def event_fd(self) -> int:
        """Readable when there is something to take, or to be done by trying. In pull mode nothing
        rings: look by a timer as well."""
        return self._watch.fileno()

    fileno = event_fd

    @property
    def reader(self) -> Consumer | None:
        """The consumer that reads now: for its capacity, type, retained messages. ``None`` while
        there is none. Take no messages from it."""
        return self._reader

    @property
    def joins(self) -> int:
        """How often it has joined."""
        return self._joins

    def close(self) -> None:
        """Leaves. Messages in place keep the slot until they go."""
        self._held = None
        if self._joining is not None:
            self._joining.close()
            self._joining = None
        self._watch.close()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    # ---- what happens ----

    def _try(self, take: Callable[[Consumer], _Reading | None]) -> _Reading | None:
        if not self._advance():
            return None
        if self._held is not None:
            held, self._held = self._held, None
            return held
        assert self._reader is not None
        try:
            found = take(self._reader)
        except (EndedError, EvictedError, ProtocolError):
            self._join_again()
            return None
        if found is None:
            self._look_for_producer()
            return None
        self._next = self._reader.offset
        self._note_lap()
        if self._gap is not None:  # told before the message after it
            self._held = found
            return None
        return found

    def _advance(self) -> bool:
        """Whether there may be a message now. What is to be told goes before what comes after."""
        if _zbq.generation() != self._generation:
            raise ForkedError("reading: it is the parent process's, and dead in a child")
        if self._joining is not None and self._gap is None:
            self._join()
        return self._reader is not None and self._gap is None

    def _has_something(self) -> bool:
        if not self._advance() or self._held is not None:
            return self._gap is not None or self._held is not None
        assert self._reader is not None
        try:
            seen = self._reader.wait(0)
            self._note_lap()
        except (EndedError, EvictedError, ProtocolError):
            self._join_again()
            return self._gap is not None
        if not seen:
            self._look_for_producer()
        return seen or self._gap is not None

    def _look_for_producer(self) -> None:
        """In pull mode nothing tells of a producer that was killed, but a system call."""
        now = time.monotonic()
        if self._options.mode is Wakeup.PULL and now >= self._next_check:
            assert self._reader is not None
            self._reader.producer_is_alive()  # the next look tells
            self._next_check = now + _PULL_SLEEP

    # ---- joining ----

    def _join(self) -> None:
        assert self._joining is not None
        joined = self._joining.step()
        if joined is None:
            return
        if self._options.mode is Wakeup.PUSH:
            self._watch.register(joined.event_fd(), select.EPOLLIN)
        self._watch.unregister(self._joining.event_fd())
        self._joining.close()
        self._joining = None
        self._reader = joined
        self._note_join(joined)
        self._joins += 1
        self._ring = joined.id
        self._next = joined.offset
        self._lost = joined.lost  # on the way, which the offsets have told

    def _note_join(self, joined: Consumer) -> None:
        """What lies between where it left off and where it goes on."""
        wanted = self._options.start
        if self._joins == 0:
            if wanted.kind == 3:
                same = wanted.ring_id in (bytes(16), joined.id)
                offset = wanted.offset if same else 0
                self._note(GapCause.HISTORY, joined.offset - offset, not same)
        elif joined.id == self._ring:
            self._note(GapCause.EVICTED, joined.offset - self._next, False)
        else:  # the old ring was read to its end, unless it was lost before
            self._gap = Gap(GapCause.RESTARTED, joined.offset, self._was_evicted)

    def _note(self, cause: GapCause, size: int, at_least: bool) -> None:
        if size > 0 or at_least:
            self._gap = Gap(cause, max(size, 0), at_least)

    def _note_lap(self) -> None:
        """Where messages are skipped on purpose there is none."""
        assert self._reader is not None
        if not self._reader.observes:
            return
        now = self._reader.lost
        if now.times != self._lost.times and self._options.flow is not Flow.NEWEST:
            self._note(GapCause.LAPPED, now.bytes - self._lost.bytes, False)
            self._lost = now
            self._next = self._reader.offset

    def _join_again(self) -> None:
        """Where this reader gives no more, another one is to."""
        reader = self._reader
        assert reader is not None
        self._note_lap()
        again = self._options.starting(Start.at(self._ring, self._next))
        self._joining = Joining._with_options(self._name, again)  # before the old one goes
        self._watch.register(self._joining.event_fd(), select.EPOLLIN)
        self._was_evicted = reader.ending not in (Ending.CLOSED, Ending.PRODUCER_DIED)
        if self._options.mode is Wakeup.PUSH:  # a message that is held may keep it open
            self._watch.unregister(reader.event_fd())
        self._reader = None
        try:
            reader.close()
        except BufferError:
            pass  # with the last view of it
