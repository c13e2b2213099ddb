# SPDX-License-Identifier: MIT
"""Towards whoever listens at a name, without ever blocking."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Collection
from typing import TypeVar

from . import _zbq
from ._closing import Closing
from ._descriptor import Descriptor
from ._errors import FullError, IoError, ProtocolError, RefusedError
from ._greeting import WELCOME_SIZE, Answer, read_welcome, receive_packet, send_packet
from ._name import make_socket
from ._place import credentials_of, is_own_user, is_user, place_of, user_text

_Result = TypeVar("_Result")

RETRY = 0.02  # seconds: where nobody tells of a name's return it is looked for
_RETRY_WATCHED = 1.0  # for what inotify cannot tell
_RETRY_QUEUE = 0.001  # the listener's is full
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE)


class _Watch:
    """What there is to wait for: one descriptor over a socket, a timer and a directory."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._timer = Descriptor(_zbq.make_timer())
        self._inotify: Descriptor | None = None
        self._epoll.register(self._timer.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        self._epoll.close()
        self._timer.close()
        if self._inotify is not None:
            self._inotify.close()

    def watch_socket(self, number: int) -> None:
        self._epoll.register(number, select.EPOLLIN)

    def forget(self, number: int) -> None:
        """Before it is closed: a forked child may have a copy, and the entry would outlive it."""
        try:
            self._epoll.unregister(number)
        except (OSError, ValueError):
            pass

    def watch_directory(self, path: str) -> bool:
        """Whether it is told when a file comes there. Where that is not there, or there are no
        means, only the timer is left."""
        try:
            if self._inotify is None:
                self._inotify = Descriptor(_zbq.make_inotify())
                self._epoll.register(self._inotify.fileno(), select.EPOLLIN)
            _zbq.watch_directory(self._inotify.fileno(), path)
        except OSError:
            return False
        return True

    def set_timer(self, seconds: float) -> None:
        _zbq.set_timer(self._timer.fileno(), seconds)

    def clear(self) -> None:
        """What has been told is not told again."""
        self.set_timer(0)
        while self._inotify is not None:
            try:
                os.read(self._inotify.fileno(), 4096)
            except BlockingIOError:
                return


class Approach:
    """Looks for whoever listens at a name, says hello, and hears the answer, one step after the
    other. In a forked child it leads nowhere."""

    def __init__(self, name: str, expected: Collection[int]) -> None:
        self._generation = _zbq.generation()
        self._name = name
        self._expected = frozenset(expected)
        self._where = place_of(name, create=False)
        self._watch = _Watch()
        self._socket: socket.socket | None = None
        self._said: Answer | None = None
        self._queue_is_full = False
        self._watch.set_timer(1e-9)  # there is something to do from the start

    def event_fd(self) -> int:
        return self._watch.fileno()

    def close(self) -> None:
        if self._socket is not None:
            self._watch.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._watch.close()

    @property
    def has_met(self) -> bool:
        """Somebody is there, who has not answered yet."""
        return self._socket is not None or self._queue_is_full

    @property
    def place(self) -> str:
        return self._where.text

    @property
    def connection(self) -> socket.socket:
        """To who has answered."""
        assert self._socket is not None
        return self._socket

    def step(self, message: bytes) -> Answer | None:
        """What is answered to the hello, and again until it starts over; nothing yet."""
        if _zbq.generation() != self._generation:
            return None
        self._watch.clear()
        if self._socket is None and not self._open(message):
            return None
        if self._said is None:
            self._hear_answer()
        return self._said

    def check_welcome(self, said: Answer, instead: str) -> None:
        """Raises unless it is a welcome."""
        if said is Answer.OTHER_SIDE:
            raise RefusedError(self.place + instead)
        if said is Answer.FULL:
            raise FullError(f"{self.place}: the producer has no room for another consumer")
        if said is not Answer.WELCOME:
            raise RefusedError(f"{self.place}: refused")

    def attempt(self, advance: Callable[[], _Result]) -> _Result:
        """Goes on; what that raises can be tried again."""
        try:
            return advance()
        except BaseException:
            self.start_over(RETRY)
            raise

    def start_over(self, later: float) -> None:
        if self._socket is not None:
            self._watch.forget(self._socket.fileno())
            self._socket.close()
        self._socket = None
        self._said = None
        self._watch.set_timer(later)

    def _watch_name(self) -> float:
        """Before the look: what comes after it is told."""
        self._where = place_of(self._name, create=False)  # it may be there now
        if self._where.is_abstract:
            return RETRY
        directory = os.path.dirname(self._where.text) or "."
        return _RETRY_WATCHED if self._watch.watch_directory(directory) else RETRY

    def _open(self, message: bytes) -> bool:
        """Whether somebody is there, and hello was said."""
        later = self._watch_name()
        made = make_socket()
        try:
            is_there = self._connect(made)
            if is_there and send_packet(made, message):
                self._watch.watch_socket(made.fileno())
                self._socket = made
                return True
        finally:
            if self._socket is not made:
                made.close()
        self.start_over(_RETRY_QUEUE if self._queue_is_full else later)
        return False

    def _connect(self, made: socket.socket) -> bool:
        self._queue_is_full = False
        try:
            made.connect(self._where.address)
        except BlockingIOError:
            self._queue_is_full = True  # somebody is there
            return False
        except OSError as failure:
            self._check_absence(failure)
            return False
        self._check_listener(made)
        return True

    def _check_absence(self, failure: OSError) -> None:
        """Returns when nobody is there, raises when it cannot be."""
        if failure.errno == errno.EPROTOTYPE:
            raise RefusedError(f"{self.place} is a socket of another kind") from None
        if failure.errno not in _ABSENT:
            raise IoError(failure.errno, f"{self.place}: {failure.strerror}") from None

    def _check_listener(self, made: socket.socket) -> None:
        if not self._expected and not self._where.is_abstract:
            return
        uid = credentials_of(made)[1]
        is_own = not self._expected and (is_own_user(uid) or uid == 0)
        if not is_own and not (is_user(uid) and uid in self._expected):
            raise RefusedError(f"{self.place} belongs to {user_text(uid)}")

    def _hear_answer(self) -> None:
        try:
            message = receive_packet(self.connection, WELCOME_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as failure:
            self._check_absence(failure)
            message = b""
        if not message:  # it went away meanwhile
            self.start_over(RETRY)
            return
        said = read_welcome(message)
        if said is None:
            raise ProtocolError(f"{self.place}: not a zbq program's answer")
        self._said = said


class Approaching(Closing):
    """What goes to a name, one step after the other. No step blocks."""

    _approach: Approach

    def event_fd(self) -> int:
        """Readable when a step may lead further. It stays this object's."""
        return self._approach.event_fd()

    fileno = event_fd

    @property
    def has_met(self) -> bool:
        """Whether somebody is there, who has not answered yet."""
        return self._approach.has_met

    @property
    def place(self) -> str:
        """Where it looks, in words."""
        return self._approach.place

    def close(self) -> None:
        """Goes there no more. What it has led to stays."""
        self._approach.close()
