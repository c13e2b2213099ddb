# SPDX-License-Identifier: MIT
"""Where consumers find a producer: a named socket, and who may come in by it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from . import _zbq
from ._closing import Closing
from ._doorway import Doorway
from ._errors import Error, FullError, InvalidError, NoneError, RefusedError
from ._greeting import (
    HELLO_SIZE,
    Answer,
    Call,
    Inquiry,
    Wish,
    make_welcome,
    read_hello,
    receive_packet,
    send_packet,
)
from ._kinds import Start, Wakeup
from ._name import SocketFile, let_descriptors_in, listen_at
from ._place import credentials_of, is_one_of, is_own_user, place_of

if TYPE_CHECKING:
    from ._producer import Producer

_UNLIMITED = (1 << 64) - 1


@dataclass(frozen=True)
class Peer:
    """Who has connected, by the kernel's account of who called connect. What it hands on, it
    answers for: the one who reads may be another process."""

    pid: int
    """In this process's pid namespace; 0: nobody there."""
    uid: int
    """Its effective user."""
    gid: int
    """Its effective group."""
    mode: Wakeup = Wakeup.PUSH
    """How it wants to learn of messages."""
    observes: bool = False
    """Whether it wants to be an observer, for whom nobody waits."""
    start: Start = Start()
    """Where it wants to start."""
    inspects: bool = False
    """Whether it asks for the statistics alone, and takes no slot."""


@dataclass
class Terms:
    """On what terms one is let in, as ``accept`` decides."""

    history: int = _UNLIMITED
    """Bytes that it may start back, at most."""
    patience: tuple[float, float] | None = None
    """How long the producer waits for it, if not as for all: see ``Producer.set_patience``."""


@dataclass(frozen=True)
class Newcomer:
    """What became of one who asked to be let in."""

    who: Peer
    slot: int | None
    """The slot, where it has one."""
    error: Error | None
    """Why it has none."""


@dataclass(frozen=True)
class _Options:
    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    observing_users: frozenset[int] = frozenset()
    observing_groups: frozenset[int] = frozenset()
    max_observers: int | None = None
    accept: Callable[[Peer, Terms], bool] | None = field(default=None)

    def is_for_others(self) -> bool:
        return bool(self.users or self.groups or self.observing_users or self.observing_groups)


def _passed_socket(fd_name: str) -> int:
    """The number of the socket that systemd has passed under a name; -1: none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return -1
    try:
        count = int(os.environ.get("LISTEN_FDS", "0"))
    except ValueError:
        return -1
    if not fd_name:
        return 3 if count > 0 else -1
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")[:count]
    return 3 + names.index(fd_name) if fd_name in names else -1


class Listener(Closing):
    """Listens at a name and admits consumers to a producer. Who asks for the producer's statistics
    gets them where it could join as an observer.

    A name is a path if it has a slash, an abstract name if it begins with ``@``, and else a file in
    a directory that only this user can enter. By default this user alone is admitted.

    >>> with zbq.Producer() as ring, zbq.Listener("camera") as door:
    ...     ring.attach(door)  # newcomers come in while it waits
    ...     ring.serve_until(lambda: ring.statistics().consumers != 0)

    In a forked child its copy removes nothing and serves nobody.
    """

    def __init__(
        self,
        name: str,
        *,
        users: Collection[int] = (),
        groups: Collection[int] = (),
        observing_users: Collection[int] = (),
        observing_groups: Collection[int] = (),
        max_observers: int | None = None,
        accept: Callable[[Peer, Terms], bool] | None = None,
        max_strangers: int = 16,
        patience: float = 5.0,
    ) -> None:
        """Takes the name, which appears when it can be joined. A socket that nobody listens at any
        more is replaced. Blocks while another process takes the same name, for two seconds at most.

        ``users``, ``groups``: numbers of those that may join beside this process's own user, by
        their effective or a supplementary group. ``observing_users``, ``observing_groups``: those
        that may observe, and nothing else. ``max_observers``: slots that observers may have.
        ``accept``: asked last; it may change the terms. ``max_strangers``: connections that have
        not said what they want; the oldest makes way. ``patience``: seconds for saying it.

        Raises ``InvalidError`` (no name), ``TooLargeError`` (its length), ``RefusedError`` (the
        directory is not private, or what is there is no socket), ``AgainError`` (the name is
        locked), ``IoError`` (in use: ``errno`` is ``EADDRINUSE``), ``OSError``.
        """
        options = _Options(
            frozenset(users),
            frozenset(groups),
            frozenset(observing_users),
            frozenset(observing_groups),
            max_observers,
            accept,
        )
        listening, file = listen_at(place_of(name, create=True), options.is_for_others())
        self._set(name, listening, file, options, max_strangers, patience)

    def _set(
        self,
        name: str,
        listening: socket.socket,
        file: SocketFile | None,
        options: _Options,
        max_strangers: int,
        patience: float,
    ) -> None:
        self._name = name
        self._options = options
        self._door = Doorway(listening, file, max_strangers, patience)

    @classmethod
    def from_socket(
        cls,
        listening: socket.socket,
        *,
        users: Collection[int] = (),
        groups: Collection[int] = (),
        accept: Callable[[Peer, Terms], bool] | None = None,
        max_strangers: int = 16,
        patience: float = 5.0,
    ) -> Listener:
        """Takes over a Unix socket of packets that listens already. ``InvalidError`` where it is
        another kind."""
        is_one = (
            listening.family == socket.AF_UNIX
            and listening.type == socket.SOCK_SEQPACKET
            and listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        )
        if not is_one:
            raise InvalidError("it is not a listening Unix socket of packets")
        let_descriptors_in(listening, False)
        listening.setblocking(False)
        made = cls.__new__(cls)
        options = _Options(users=frozenset(users), groups=frozenset(groups), accept=accept)
        made._set("", listening, None, options, max_strangers, patience)
        return made

    @classmethod
    def from_systemd(
        cls,
        fd_name: str = "",
        *,
        users: Collection[int] = (),
        groups: Collection[int] = (),
        accept: Callable[[Peer, Terms], bool] | None = None,
    ) -> Listener:
        """Takes over the socket that systemd listens at (``ListenSequentialPacket=``).
        ``fd_name``: its ``FileDescriptorName=``; empty: the first socket. ``NoneError`` where none
        was passed."""
        number = _passed_socket(fd_name)
        if number < 0:
            raise NoneError("systemd passed no socket" + (f" named '{fd_name}'" if fd_name else ""))
        os.set_inheritable(number, False)
        return cls.from_socket(
            socket.socket(fileno=number), users=users, groups=groups, accept=accept
        )

    def event_fd(self) -> int:
        """A descriptor that becomes readable when :meth:`serve` has something to do. It stays this
        listener's."""
        return self._door.event_fd()

    fileno = event_fd

    def serve(
        self, ring: Producer, on_decision: Callable[[Newcomer], object] | None = None
    ) -> None:
        """Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks.
        ``on_decision`` is told of each that was let in or not."""
        self._door.serve(lambda who: self._is_settled(who, ring, on_decision))

    def close(self) -> None:
        """Removes the socket from the file system, if it is still this one."""
        self._door.close()

    def __del__(self) -> None:
        door = getattr(self, "_door", None)
        if door is not None:
            door.close()

    # ---- one stranger ----

    def _is_settled(
        self,
        who: socket.socket,
        ring: Producer,
        on_decision: Callable[[Newcomer], object] | None,
    ) -> bool:
        """Whether there is nothing more to expect of this one. A greeting is one packet."""
        try:
            message = receive_packet(who, HELLO_SIZE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        if not message:
            return True
        asked = read_hello(message)
        pid, uid, gid = credentials_of(who)
        if isinstance(asked, Wish):
            mode = Wakeup.PULL if asked.mode & 1 else Wakeup.PUSH
            peer = Peer(pid, uid, gid, mode, bool(asked.mode & 2), asked.start)
            decided = self._admit(peer, asked.mode, who, ring)
            if on_decision is not None:
                on_decision(decided)
        elif isinstance(asked, Inquiry):
            peer = Peer(pid, uid, gid, Wakeup.PULL, True, inspects=True)
            self._answer_inquiry(peer, who, ring)
        else:
            stray = Answer.OTHER_SIDE if isinstance(asked, Call) else Answer.REFUSED
            send_packet(who, make_welcome(stray))
        return True

    def _is_listed(self, who: Peer, connection: socket.socket) -> bool:
        own = self._options
        return (
            is_own_user(who.uid)
            or is_one_of(own.users, own.groups, who.uid, who.gid, connection)
            or (
                who.observes
                and is_one_of(
                    own.observing_users, own.observing_groups, who.uid, who.gid, connection
                )
            )
        )

    def _may(self, who: Peer, connection: socket.socket, terms: Terms) -> bool:
        accept = self._options.accept
        return self._is_listed(who, connection) and (accept is None or accept(who, terms))

    def _is_full(self, who: Peer, ring: Producer) -> bool:
        counters = ring.statistics()
        if counters.consumers >= counters.max_consumers:
            return True
        most = self._options.max_observers
        if not who.observes or most is None:
            return False
        slots = (ring.consumer_info(slot) for slot in range(counters.max_consumers))
        return (
            sum(one.eviction == 0 and one.join_number != 0 and bool(one.mode & 2) for one in slots)
            >= most
        )

    def _decide(
        self, who: Peer, connection: socket.socket, ring: Producer, terms: Terms
    ) -> tuple[Answer, Error | None]:
        if not self._may(who, connection, terms):
            return Answer.REFUSED, RefusedError("admitting a consumer: refused")
        start = who.start
        try:
            ring.find_start(start.kind, start.offset, start.ring_id)
        except InvalidError as failure:
            return Answer.NO_SUCH_START, failure
        if self._is_full(who, ring):
            ring.scan()  # some may be gone
        if self._is_full(who, ring):
            return Answer.FULL, FullError("admitting a consumer: no slot is free")
        return Answer.WELCOME, None

    def _admit(self, who: Peer, mode: int, connection: socket.socket, ring: Producer) -> Newcomer:
        terms = Terms()
        answer, error = self._decide(who, connection, ring, terms)
        is_told = send_packet(connection, make_welcome(answer))
        if error is not None:
            return Newcomer(who, None, error)
        if not is_told:
            return Newcomer(who, None, Error("admitting a consumer: it is gone"))
        start = _within(who.start, terms, ring)
        try:
            slot = _zbq.Producer.admit(
                ring, connection, mode, start.kind, start.offset, start.ring_id
            )
            if terms.patience is not None:
                ring.set_patience(*terms.patience, slot=slot)
        except Error as failure:
            return Newcomer(who, None, failure)
        return Newcomer(who, slot, None)

    def _answer_inquiry(self, who: Peer, connection: socket.socket, ring: Producer) -> None:
        may = self._may(who, connection, Terms())
        answer = Answer.WELCOME if may else Answer.REFUSED
        if not send_packet(connection, make_welcome(answer)) or not may:
            return
        if ring._name is None and self._name:
            ring.set_name(self._name[:111] if self._name.isascii() else None)
        try:
            ring.send_statistics(connection)
        except Error:
            pass  # it finds the connection closed


def _within(wanted: Start, terms: Terms, ring: Producer) -> Start:
    """Where one starts that may not start further back."""
    if terms.history == _UNLIMITED:
        return wanted
    is_here = wanted.ring_id in (bytes(16), ring.id)
    # What is asked for, and not the message before it that the producer knows.
    if (wanted.kind == 2 and wanted.offset <= terms.history) or (
        wanted.kind == 3 and is_here and ring.head - wanted.offset <= terms.history
    ):
        return wanted
    most = Start.within(terms.history)
    start = ring.find_start(wanted.kind, wanted.offset, wanted.ring_id)
    least = ring.find_start(most.kind, most.offset, most.ring_id)
    return replace(most) if start < least else wanted
