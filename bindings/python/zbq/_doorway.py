# SPDX-License-Identifier: MIT
"""Strangers at a named socket, and how little they may cost.

Nothing that a stranger does blocks: all sockets are non-blocking, and each call of serve does a
bounded amount, after which strangers are left alone for four times as long as it took, but 100 ms
at most. So the program has four fifths of its time to itself.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

from . import _zbq
from ._descriptor import Descriptor
from ._errors import ClosedError
from ._name import SocketFile

_LONGEST_REST = 0.1


class Doorway:
    """Accepts who connects, and hears each until it is settled."""

    def __init__(
        self,
        listening: socket.socket,
        file: SocketFile | None,
        most: int,
        patience: float,
    ) -> None:
        self._listening = listening
        self._file = file
        self._most = most
        self._patience = patience
        self._generation = _zbq.generation()
        self._strangers: dict[socket.socket, float] = {}  # the oldest first
        self._resting_until = 0.0
        self._is_serving = False
        self._watch = select.epoll()  # of the next two
        self._door = select.epoll()  # of the socket and the strangers
        self._timer = Descriptor(_zbq.make_timer())
        self._door.register(listening.fileno(), select.EPOLLIN)
        self._watch.register(self._door.fileno(), select.EPOLLIN)
        self._watch.register(self._timer.fileno(), select.EPOLLIN)

    @property
    def is_here(self) -> bool:
        """Whether this process made it."""
        return _zbq.generation() == self._generation

    def event_fd(self) -> int:
        """Readable when serve has something to do."""
        if self._watch.closed:
            raise ClosedError("waiting for strangers: it is closed")
        return self._watch.fileno()

    def close(self) -> None:
        """The file goes before its socket: the name may find a next one. Once: the number of its
        file may be that of another one by then."""
        file, self._file = self._file, None
        if file is not None:
            file.remove()
        for who in list(self._strangers):
            self._drop(who)
        self._watch.close()
        self._door.close()
        self._timer.close()
        self._listening.close()

    def serve(self, hear: Callable[[socket.socket], bool]) -> None:
        """``hear`` says of a stranger whether there is nothing more to expect of it. Nothing in a
        forked child, from inside of itself, and while strangers are left alone."""
        start = time.monotonic()
        if not self.is_here or self._is_serving or start < self._resting_until:
            return
        if self._watch.closed:
            raise ClosedError("serving strangers: it is closed")
        self._is_serving = True
        try:
            self._rest(0.0)
            settled = self._hear_strangers(hear)
            accepted = self._accept_some(hear)
            if settled or accepted:
                end = time.monotonic()
                self._rest(max(self._resting_until, end + min(4 * (end - start), _LONGEST_REST)))
        finally:
            self._is_serving = False
            self._set_timer()

    def _set_timer(self) -> None:
        """For strangers who are late, and for the end of a rest."""
        if self._watch.closed:
            return
        until = self._resting_until or next(iter(self._strangers.values()), 0.0)
        left = max(until - time.monotonic(), 1e-9) if until else 0.0
        _zbq.set_timer(self._timer.fileno(), left)

    def _rest(self, until: float) -> None:
        """Nothing of what strangers do makes the descriptor readable until then; 0: no rest. One
        that is over already ends with the timer all the same: the two cannot disagree."""
        self._resting_until = until
        self._watch.modify(self._door.fileno(), 0 if until else select.EPOLLIN)

    def _drop(self, who: socket.socket) -> None:
        # While it is watched: a forked child may have a copy, and the entry would outlive it here.
        self._door.unregister(who.fileno())
        del self._strangers[who]
        who.close()

    def _hear_one(self, hear: Callable[[socket.socket], bool], who: socket.socket) -> bool:
        """Whether it is settled; so it is also where that raises."""
        is_settled = True
        try:
            is_settled = hear(who)
        finally:
            if is_settled and who in self._strangers:
                self._drop(who)
            elif is_settled:
                who.close()
        return is_settled

    def _hear_strangers(self, hear: Callable[[socket.socket], bool]) -> bool:
        settled = False
        for who in list(self._strangers):
            settled = self._hear_one(hear, who) or settled
        now = time.monotonic()
        for who, until in list(self._strangers.items()):
            if until <= now:
                self._drop(who)
        return settled

    def _accept_some(self, hear: Callable[[socket.socket], bool]) -> bool:
        """Whether there was anybody."""
        for count in range(max(self._most, 1)):
            try:
                who, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return count != 0
            except OSError:
                # Out of descriptors or memory: the queue would keep the descriptor readable.
                self._rest(time.monotonic() + _LONGEST_REST)
                for one in list(self._strangers):
                    self._drop(one)
                return count != 0
            who.setblocking(False)
            if not self._hear_one(hear, who):
                self._keep(who)
        return True

    def _keep(self, who: socket.socket) -> None:
        if self._strangers and len(self._strangers) >= self._most:
            self._drop(next(iter(self._strangers)))
        try:
            self._door.register(who.fileno(), select.EPOLLIN)
        except OSError:
            who.close()
            return
        self._strangers[who] = time.monotonic() + self._patience
