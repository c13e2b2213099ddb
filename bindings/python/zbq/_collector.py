# SPDX-License-Identifier: MIT
"""One who reads from many: producers dial in."""

from __future__ import annotations

import heapq
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from . import _zbq
from ._closing import Closing
from ._consumer import Consumer
from ._descriptor import Descriptor
from ._doorway import Doorway
from ._errors import (
    EndedError,
    Error,
    EvictedError,
    ForkedError,
    FullError,
    ProtocolError,
    RefusedError,
    TooLargeError,
)
from ._greeting import (
    HELLO_SIZE,
    Answer,
    Call,
    make_welcome,
    read_hello,
    receive_packet,
    send_packet,
)
from ._kinds import Ending, Flow
from ._name import let_descriptors_in, listen_at
from ._place import credentials_of, is_one_of, is_own_user, place_of

_SLICE = 0.1
_JOIN_SIZE = 64
_ONCE = select.EPOLLIN | select.EPOLLONESHOT


@dataclass(frozen=True)
class Caller:
    """Who dials in, by the kernel's account of who called connect; its name is its own word."""

    name: bytes
    """Any bytes but zeros, 24 at most: look before they are printed."""
    pid: int
    """In this process's pid namespace; 0: nobody there."""
    uid: int
    """Its effective user."""
    gid: int
    """Its effective group."""
    waits: bool
    """Whether it waits for this collector: else that is an observer."""


class Source:
    """A producer that has dialed in."""

    def __init__(self, who: Caller, number: int, ring: Consumer) -> None:
        self.who = who
        """Who it is."""
        self.number = number
        """Tells it from all other sources of its collector: 1 for the first, then 2, ..."""
        self.ring = ring
        """Its ring, for capacity, type, id and what is retained. Take no messages from it."""
        self._is_ready = False
        self._next: _zbq.Message | None = None  # taken, where they are given in order
        self._taken = 0.0

    def __repr__(self) -> str:
        return f"<zbq.Source {self.number}, {self.who.name!r}>"


class Collector(Closing):
    """Listens at a name for producers that dial in (see :func:`zbq.dial`), and reads all of their
    rings. Nothing that one of them does blocks it, or keeps another's messages waiting for longer
    than a turn.

    >>> with zbq.Collector("@trace") as logs:
    ...     for source, batch in logs:
    ...         for payload in batch.copies():
    ...             print(source.who.name, payload)

    One thread at a time. In a forked child it raises :class:`zbq.ForkedError`.
    """

    def __init__(
        self,
        name: str,
        *,
        users: Collection[int] = (),
        groups: Collection[int] = (),
        accept: Callable[[Caller], bool] | None = None,
        max_sources: int = 200,
        max_capacity: int = 1 << 30,
        turn: int = 1024,
        hold: float = 0.01,
        max_strangers: int = 16,
        patience: float = 5.0,
        on_join: Callable[[Source], object] | None = None,
        on_end: Callable[[Source, Ending], object] | None = None,
        on_refusal: Callable[[Caller, Error], object] | None = None,
    ) -> None:
        """Takes the name, as :class:`zbq.Listener`.

        ``max_sources``: at one time; a user other than this process's own has half of the places at
        most. ``max_capacity``: bytes of the largest ring. ``turn``: messages that one source may
        have at a turn. ``hold``: seconds for which messages that are given in order wait for those
        of silent sources. ``on_join``, ``on_end``, ``on_refusal`` are told who comes, who goes and
        how, and who was not let in.
        """
        self._generation = _zbq.generation()
        self._users = frozenset(users)
        self._groups = frozenset(groups)
        self._accept = accept
        self._max_sources = max_sources
        self._max_capacity = max_capacity
        self._turn = max(turn, 1)
        self._hold = min(hold, 86400.0)
        self._on_join = on_join
        self._on_end = on_end
        self._on_refusal = on_refusal
        self._sources: dict[int, Source] = {}  # by the event descriptor
        self._ready: deque[Source] = deque()  # each once; who comes first has the next turn
        self._order: list[tuple[int, int, Source]] = []  # a heap of keys
        self._welcomed: dict[socket.socket, Caller] = {}
        self._last_number = 0
        self._rings = False
        is_for_others = bool(self._users or self._groups)
        listening, file = listen_at(place_of(name, create=True), is_for_others)
        self._door = Doorway(listening, file, max_strangers, patience)
        self._watch = select.epoll()
        self._bell = Descriptor(_zbq.make_timer())
        self._timer = Descriptor(_zbq.make_timer())
        for number in (self._door.event_fd(), self._bell.fileno(), self._timer.fileno()):
            self._watch.register(number, select.EPOLLIN)

    def event_fd(self) -> int:
        """Readable when :meth:`serve` has something to do. It stays this collector's."""
        return self._watch.fileno()

    fileno = event_fd

    def __len__(self) -> int:
        """How many sources there are."""
        return len(self._sources)

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until serve has something to do. ``False``: not in so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        look = select.poll()  # those that are told once are left to serve
        look.register(self._watch.fileno(), select.POLLIN)
        while True:
            left = _SLICE if end is None else min(end - time.monotonic(), _SLICE)
            if look.poll(max(int(left * 1000) + (left > 0), 0)):
                return True
            if left <= 0:
                return False

    def serve(self, use: Callable[[Source, _zbq.MessageBatch], object]) -> int:
        """Lets newcomers in, and gives each source that has messages a turn. Never blocks.

        ``use`` is given a source and a batch of its messages, whose room is given back when it
        returns: what it does not visit comes with the next turn. It must not serve the collector.
        Returns how many batches it gave; 0: there is nothing to read now. Raises what ``use``
        raises.
        """
        self._look_around()
        given = 0
        try:
            for _ in range(len(self._ready)):
                given += self._give_turn(use)
        finally:
            self._ring_bell()
        return given

    def serve_in_order(
        self,
        key_of: Callable[[_zbq.Message], int],
        use: Callable[[Source, _zbq.Message], object],
    ) -> int:
        """The same, one message after the other in the order of a key over all sources: the time of
        day in each message, for instance. A message is given once every source has a later one, or
        it has waited for ``hold``. Use one of the two, not both. Returns how many it gave."""
        self._look_around()
        given = 0
        most = self._turn * max(len(self._sources), 1)
        try:
            self._take_all(key_of)
            due = self._due_key(time.monotonic() - self._hold)
            while self._order and given != most:
                is_complete = len(self._order) == len(self._sources)
                if not is_complete and (due is None or self._order[0][0] > due):
                    break
                self._give_first(use)
                given += 1
                self._take_all(key_of)
        finally:
            self._ring_bell(given == most)
            self._set_timer()
        return given

    def __iter__(self) -> Iterator[tuple[Source, _zbq.MessageBatch]]:
        """Sources and batches of theirs, for ever. Blocks. The room of one is given back when the
        next one is asked for."""
        while True:
            self.wait()
            self._look_around()
            for _ in range(len(self._ready)):
                source = self._first_ready()
                if not self._has_messages(source):
                    self._rest(source)
                    continue
                self._make_ready(source)  # behind the others
                self._ring_bell()
                with source.ring.batch(self._turn) as batch:
                    yield source, batch
            self._ring_bell()

    def close(self) -> None:
        """Leaves all rings, and removes the name."""
        self._door.close()
        for source in self._sources.values():
            source._next = None
            source.ring.close()
        self._sources.clear()
        self._ready.clear()
        self._order.clear()
        self._watch.close()
        self._bell.close()
        self._timer.close()

    # ---- who comes ----

    def _look_around(self) -> None:
        """Then whoever has something to read is ready."""
        if _zbq.generation() != self._generation:
            raise ForkedError("collecting: it is the parent process's, and dead in a child")
        is_at_door = False
        for number, _ in self._watch.poll(0, 64):
            if number in self._sources:
                self._make_ready(self._sources[number])
            is_at_door |= number == self._door.event_fd()
        if is_at_door:
            self._door.serve(self._is_settled)
            self._welcomed = {k: v for k, v in self._welcomed.items() if k.fileno() >= 0}

    def _make_ready(self, source: Source) -> None:
        if not source._is_ready:
            source._is_ready = True
            self._ready.append(source)

    def _first_ready(self) -> Source:
        first = self._ready.popleft()
        first._is_ready = False
        return first

    def _is_settled(self, who: socket.socket) -> bool:
        if who in self._welcomed:
            return self._join(who, self._welcomed[who])
        try:
            message = receive_packet(who, HELLO_SIZE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        if not message:
            return True
        asked = read_hello(message)
        if not isinstance(asked, Call):
            stray = Answer.REFUSED if asked is None else Answer.OTHER_SIDE
            send_packet(who, make_welcome(stray))
            return True
        pid, uid, gid = credentials_of(who)
        caller = Caller(asked.name, pid, uid, gid, asked.mode == 0)
        if not self._is_welcomed(who, caller):
            return True
        self._welcomed[who] = caller
        return self._join(who, caller)

    def _is_welcomed(self, who: socket.socket, caller: Caller) -> bool:
        error: Error | None = None
        if not self._is_listed(who, caller):
            error = RefusedError("collecting: refused")
        elif not self._has_place_for(caller):
            error = FullError("collecting: there are sources enough")
        if error is None:
            let_descriptors_in(who, True)  # those of its join
            return send_packet(who, make_welcome(Answer.WELCOME))
        self._refuse(caller, error)
        is_full = isinstance(error, FullError)
        send_packet(who, make_welcome(Answer.FULL if is_full else Answer.REFUSED))
        return False

    def _is_listed(self, who: socket.socket, caller: Caller) -> bool:
        is_one = is_own_user(caller.uid) or is_one_of(
            self._users, self._groups, caller.uid, caller.gid, who
        )
        return is_one and (self._accept is None or self._accept(caller))

    def _has_place_for(self, caller: Caller) -> bool:
        """No other user can take the places of all."""
        own = is_own_user(caller.uid)
        share = self._max_sources if own else (self._max_sources + 1) // 2
        count = sum(one.who.uid == caller.uid for one in self._sources.values())
        return len(self._sources) < self._max_sources and count < share

    def _refuse(self, caller: Caller, why: Error) -> None:
        if self._on_refusal is not None:
            self._on_refusal(caller, why)

    def _join(self, who: socket.socket, caller: Caller) -> bool:
        """Whether it has joined, or never will."""
        try:
            # Of the ring that is on its way, before it is mapped: its capacity comes first.
            peeked = who.recv(_JOIN_SIZE, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionResetError:  # once, of one who has gone with an answer unread
            return self._join(who, caller)
        except OSError:
            peeked = b""
        flow = Flow.LOSSLESS if caller.waits else Flow.FOLLOW
        try:
            if len(peeked) == _JOIN_SIZE:
                if struct.unpack_from("=Q", peeked)[0] > self._max_capacity:
                    raise TooLargeError("collecting: a ring that is too large")
                if not self._has_place_for(caller):
                    raise FullError("collecting: there are sources enough")
            self._add(caller, Consumer(who, flow=flow, timeout=0))
        except Error as failure:
            self._refuse(caller, failure)
        return True

    def _add(self, caller: Caller, ring: Consumer) -> None:
        self._last_number += 1
        source = Source(caller, self._last_number, ring)
        number = ring.event_fd()
        self._watch.register(number, _ONCE)
        self._sources[number] = source
        if self._on_join is not None:
            self._on_join(source)

    # ---- turns ----

    def _has_messages(self, source: Source) -> bool:
        try:
            return source.ring.wait(0)
        except (EndedError, EvictedError, ProtocolError):
            return False

    def _give_turn(self, use: Callable[[Source, _zbq.MessageBatch], object]) -> int:
        source = self._first_ready()
        if self._has_messages(source):
            with source.ring.batch(self._turn) as batch:
                self._make_ready(source)  # behind the others, also where this raises
                use(source, batch)
                return 1
        self._rest(source)
        return 0

    def _rest(self, source: Source) -> None:
        """Of one that gave nothing: it waits for its descriptor, or has ended."""
        try:
            if source.ring.wait(0):  # meanwhile
                self._make_ready(source)
            else:
                self._watch.modify(source.ring.event_fd(), _ONCE)
        except (EndedError, EvictedError, ProtocolError):
            self._end(source)

    def _end(self, source: Source) -> None:
        how = source.ring.ending
        number = source.ring.event_fd()
        self._watch.unregister(number)
        del self._sources[number]
        try:
            source.ring.close()
        except BufferError:
            pass  # with the last view of it
        if self._on_end is not None:
            self._on_end(source, Ending.MALFORMED if how is Ending.NONE else how)

    def _ring_bell(self, more: bool = False) -> None:
        """Its own readiness does not show in any descriptor."""
        more = more or bool(self._ready)
        if more == self._rings:
            return
        _zbq.set_timer(self._bell.fileno(), 1e-9 if more else 0)
        self._rings = more

    # ---- in order ----

    def _take_all(self, key_of: Callable[[_zbq.Message], int]) -> None:
        """The next message of each that has none."""
        for _ in range(len(self._ready)):
            source = self._first_ready()
            if source._next is not None:  # it is ready again when that has gone
                continue
            try:
                message = source.ring.try_next()
            except (EndedError, EvictedError, ProtocolError):
                message = None
            if message is None:
                self._rest(source)
                continue
            key = key_of(message)
            heapq.heappush(self._order, (key, source.number, source))
            source._next = message
            source._taken = time.monotonic()

    def _give_first(self, use: Callable[[Source, _zbq.Message], object]) -> None:
        _, _, source = heapq.heappop(self._order)
        message, source._next = source._next, None
        assert message is not None
        self._make_ready(source)
        use(source, message)

    def _due_key(self, before: float) -> int | None:
        """The highest key of those that were taken before: with it all below are due."""
        keys = [key for key, _, source in self._order if source._taken <= before]
        return max(keys, default=None)

    def _set_timer(self) -> None:
        """For the next that is due."""
        taken = [source._taken for _, _, source in self._order]
        left = min(taken) + self._hold - time.monotonic() if taken else 0.0
        _zbq.set_timer(self._timer.fileno(), max(left, 1e-9) if taken else 0)
