# SPDX-License-Identifier: MIT
"""What two processes say to each other before the join; docs/protocol.md has the bytes."""

from __future__ import annotations

import enum
import socket
import struct
from dataclasses import dataclass

from ._kinds import Start

HELLO_SIZE = 32
WELCOME_SIZE = 8
_VERSION = 2
_NAME_SIZE = 24
_OBSERVES = 2
_PULL = 1


class Answer(enum.IntEnum):
    """Of who listens."""

    WELCOME = 0
    FULL = 1
    REFUSED = 2
    NO_SUCH_START = 3
    OTHER_SIDE = 4


@dataclass(frozen=True)
class Wish:
    """Of one who wants to read."""

    mode: int
    start: Start


@dataclass(frozen=True)
class Call:
    """Of a producer that dials."""

    mode: int
    name: bytes


@dataclass(frozen=True)
class Inquiry:
    """Of one who asks for the statistics alone."""


def _pack(mode: int, kind: int, side: int, rest: bytes) -> bytes:
    return struct.pack("3sBBBBB24s", b"zbq", _VERSION, mode, kind, side, 0, rest)


def make_hello(mode: int, start: Start) -> bytes:
    """Of one who wants to read."""
    return _pack(mode, start.kind, 0, struct.pack("=Q16s", start.offset, start.ring_id))


def make_call(mode: int, name: bytes) -> bytes:
    """Of a producer that dials: the name is cut where it is too long."""
    return _pack(mode, 0, 1, name[:_NAME_SIZE])


def make_inquiry() -> bytes:
    """Of one who asks for the statistics alone."""
    return _pack(0, 0, 2, b"")


def read_hello(message: bytes) -> Wish | Call | Inquiry | None:
    """What it asks for; None where it is no hello."""
    if len(message) != HELLO_SIZE:
        return None
    _, _, mode, kind, side, _, rest = struct.unpack("3sBBBBB24s", message)
    if side == 0 and mode <= (_OBSERVES | _PULL) and kind <= 3:
        offset, ring_id = struct.unpack("=Q16s", rest)
        wish = Wish(mode, Start(kind, offset, ring_id))
        return wish if message == make_hello(mode, wish.start) else None
    if side == 1 and mode in (0, _OBSERVES):
        name = rest.split(b"\0")[0]
        return Call(mode, name) if message == make_call(mode, name) else None
    return Inquiry() if message == make_inquiry() else None


def make_welcome(answer: Answer) -> bytes:
    """Of who listens."""
    return struct.pack("3sBBBH", b"zbq", _VERSION, answer, 0, 0)


def read_welcome(message: bytes) -> Answer | None:
    """None where it is none. Any code that is not known is a refusal."""
    if len(message) != WELCOME_SIZE:
        return None
    code = message[4]
    if message != struct.pack("3sBBBH", b"zbq", _VERSION, code, 0, 0):
        return None
    return Answer(code) if code <= max(Answer) else Answer.REFUSED


def send_packet(connection: socket.socket, message: bytes) -> bool:
    """Whether it was sent. Never blocks."""
    try:
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        return connection.send(message, flags) == len(message)
    except OSError:
        return False


def receive_packet(connection: socket.socket, size: int) -> bytes:
    """Up to one byte more, so that a longer one shows. BlockingIOError: nothing yet."""
    return connection.recv(size + 1, socket.MSG_DONTWAIT)
