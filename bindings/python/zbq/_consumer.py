# SPDX-License-Identifier: MIT
"""The consumer: messages in place or copied, and waiting for more."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, SupportsIndex, TypeVar

from . import _zbq
from ._errors import AgainError, EndedError, InvalidError, ProducerDiedError, TornError
from ._kinds import Ending, Eviction, Flow, Loss, PayloadType, Wakeup, mode_of

if TYPE_CHECKING:
    from ._errors import Error
    from ._zbq import HasFileno

_Result = TypeVar("_Result")
_Self = TypeVar("_Self", bound="Consumer")
_REASONS = frozenset(Eviction)
_SEEKS = {"oldest": 0, "newest": 1, "head": 2}


class Consumer(_zbq.Consumer):
    """One who reads a ring. :func:`zbq.connect` makes one by a name.

    It is an iterator over copies (:class:`zbq.Copied`), each of which was whole; the iteration
    blocks for more, and ends with the stream. An asynchronous iteration does the same in an event
    loop.

    >>> with zbq.connect("greetings") as reader:
    ...     for message in reader:
    ...         print(message.payload)

    One thread at a time: a call from another meanwhile is refused by :class:`zbq.BusyError`. In a
    forked child every call raises :class:`zbq.ForkedError`.
    """

    _flow: Flow

    def __new__(
        cls: builtins.type[_Self],
        socket: SupportsIndex | HasFileno,
        *,
        mode: Wakeup | str = Wakeup.PUSH,
        flow: Flow | str = Flow.LOSSLESS,
        takes_fds: bool = False,
        timeout: float | None = None,
    ) -> _Self:
        """Joins through a Unix socket that is connected to one which a producer admits
        (:meth:`zbq.Producer.admit`). The socket stays the caller's.

        ``takes_fds``: whether copies come with their descriptors. Do not ask that of a producer
        which you do not trust. ``timeout`` in seconds; ``None`` blocks for as long as it takes.

        Raises ``AgainError`` (nothing came in time), ``ProtocolError``, ``IoError`` (the peer is
        gone), ``NoMemoryError``, ``ValueError`` (no such mode or flow).
        """
        made = super().__new__(
            cls, socket, mode_of(mode, flow), Flow(flow) is Flow.NEWEST, timeout=timeout
        )
        made._flow = Flow(flow)
        made.takes_fds = takes_fds
        return made

    # ---- messages ----

    def process(
        self, function: Callable[[memoryview], _Result], timeout: float | None = None
    ) -> _Result:
        """What a function makes of the next message's bytes, in place, once it is sure that they
        were whole. An observer that is lapped meanwhile goes on, so that the function may be called
        several times. Blocks for ``timeout`` seconds at most; ``None``: for as long as it takes.

        Raises as :meth:`recv`, what the function raises, and ``BufferError`` where it has kept
        something that looks at the bytes.
        """
        while True:
            with self.next(timeout) as message:
                try:
                    return message.process(function)
                except TornError:
                    if not self.observes:
                        self.wait(0)  # raises, for it was evicted
                        raise

    def batches(self, most: int | None = None) -> Iterator[_zbq.MessageBatch]:
        """Batches, one after the other, until the stream ends. Blocks for each. The room of one is
        given back when the next one is asked for.

        >>> for batch in reader.batches():
        ...     size = sum(len(message) for message in batch)
        ...     if batch.intact():
        ...         use(size)
        """
        while True:
            try:
                self.wait()
            except ProducerDiedError:
                raise
            except EndedError:
                return
            with self.batch(most) as batch:
                yield batch

    def __aiter__(self) -> AsyncIterator[_zbq.Copied]:
        from ._asynchronous import AsyncConsumer

        return AsyncConsumer(self)

    # ---- moving ----

    def skip_to(self, offset: int) -> None:
        """Goes on to the message at an offset: all before is let go. For who has joined in the
        past. Raises ``InvalidError`` where none starts there, ``AgainError`` where so much is not
        committed yet, and as :meth:`recv`."""
        result = self._skip(offset)
        if result == -1:
            raise InvalidError(f"no message starts at offset {offset}")
        if result == -3:
            raise AgainError(f"offset {offset} is not committed yet")
        if result != 0:
            self.wait(0)
            raise EndedError("going to an offset: the stream has ended")

    def seek(self, where: str) -> None:
        """Where an observer goes on: ``"oldest"``, ``"newest"`` or ``"head"``. All before is
        skipped. ``InvalidError`` where it does not observe."""
        if where not in _SEEKS:
            raise InvalidError(f"{where!r} is not one of {', '.join(_SEEKS)}")
        self._seek(_SEEKS[where])

    # ---- how it stands ----

    @property
    def ending(self) -> Ending:
        """How the stream stands. A producer that was killed is noticed by waiting."""
        return Ending(self._ending[0])

    @property
    def eviction(self) -> Eviction | int:
        """Why this consumer was evicted, if it was; a number that has no name here, where a
        producer says one."""
        reason = self._ending[1]
        return Eviction(reason) if reason in _REASONS else reason

    @property
    def lost(self) -> Loss:
        """What it has missed, as an observer. Where, the offsets of messages tell."""
        return Loss(*self._lost)

    @property
    def type(self) -> PayloadType:
        """What the producer said that its payloads are: its word."""
        return PayloadType(*self._type)

    @property
    def lag(self) -> int:
        """Bytes committed and not yet let go here."""
        return max(self.head - self.tail, 0)

    @property
    def mode(self) -> Wakeup:
        """How it learns of messages."""
        return Wakeup.PUSH if self._is_push else Wakeup.PULL

    @property
    def flow(self) -> Flow:
        """Whether it holds the producer back."""
        return self._flow

    def fileno(self) -> int:
        """The event descriptor, as :meth:`event_fd`, so that ``select`` and ``selectors`` take a
        consumer as they take a socket."""
        return self.event_fd()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: builtins.type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except BufferError:
            if kind is None:
                raise

    def __repr__(self) -> str:
        return f"<zbq.Consumer {'closed' if self.closed else self._flow.value}>"
