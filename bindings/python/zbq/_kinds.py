# SPDX-License-Identifier: MIT
"""Choices, and where to start."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ._errors import InvalidError


class Flow(enum.Enum):
    """Whether a consumer holds the producer back. Calls take the word, too: ``flow="follow"``."""

    LOSSLESS = "lossless"
    """It reads every message; who is too slow is evicted."""
    FOLLOW = "follow"
    """An observer: nobody waits for it, and it is told what it has missed."""
    NEWEST = "newest"
    """An observer, each of whose looks gives the newest message and skips the rest."""


class Wakeup(enum.Enum):
    """How a consumer learns of messages. Calls take the word, too: ``mode="pull"``."""

    PUSH = "push"
    """It may sleep until the producer wakes it, and gets descriptors."""
    PULL = "pull"
    """It looks when it likes; a wait looks every millisecond. It gets no descriptors."""


class Eviction(enum.IntEnum):
    """Why a consumer lost its slot."""

    NONE = 0
    """It still has it."""
    DEAD = 1
    """Its process ended, or it left."""
    STALLED = 2
    """It held the ring back for the stall timeout."""
    SIDE_STALLED = 3
    """It did not collect descriptors for as long."""
    PROTOCOL = 4
    """It published a tail that cannot be."""
    SLOW = 5
    """It used up the producer's patience."""
    DEAR = 6
    """Waking it cost too much, again and again."""


class Ending(enum.IntEnum):
    """How a stream stands, for one consumer."""

    NONE = 0
    """It goes on."""
    CLOSED = 1
    """The producer ended it."""
    PRODUCER_DIED = 2
    """The producer was killed, or crashed."""
    EVICTED = 3
    """This consumer lost its slot."""
    MALFORMED = 4
    """The producer broke the protocol."""


class GapCause(enum.Enum):
    """Why a subscription has missed something."""

    LAPPED = "lapped"
    """It observes, and was slower than the producer."""
    EVICTED = "evicted"
    """It was not fast enough for a producer that waits."""
    RESTARTED = "producer restarted"
    """Another producer has the name now, whose ring starts at its own beginning."""
    HISTORY = "history gone"
    """Where it was to start was gone already."""


@dataclass(frozen=True)
class Start:
    """Where a consumer starts to read: with what comes next, or in what is still whole of the ring.

    Make one by :meth:`head`, :meth:`oldest`, :meth:`last`, :meth:`within` or :meth:`at`.
    """

    kind: int = 0
    offset: int = 0
    ring_id: bytes = bytes(16)

    @staticmethod
    def head() -> Start:
        """With the next message committed."""
        return Start()

    @staticmethod
    def oldest() -> Start:
        """With the oldest message that is whole."""
        return Start(1)

    @staticmethod
    def last(size: int) -> Start:
        """With so many bytes of history, if there are so many."""
        return Start(2, _checked(size))

    @staticmethod
    def within(size: int) -> Start:
        """With so many bytes of history at most: for who admits."""
        return Start(4, _checked(size))

    @staticmethod
    def at(ring_id: bytes, offset: int) -> Start:
        """With the message at an offset of a ring (16 zeros: of whichever this is), or the oldest
        where that is gone, or of another ring. ``Consumer.id`` and ``offset`` tell."""
        if len(ring_id) != 16:
            raise InvalidError(f"a ring's id has 16 bytes, not {len(ring_id)}")
        return Start(3, _checked(offset), bytes(ring_id))


def _checked(number: int) -> int:
    if not 0 <= number < 1 << 64:
        raise InvalidError(f"{number} is not from 0 to 2^64 - 1")
    return number


@dataclass(frozen=True)
class Loss:
    """What an observer has missed."""

    bytes: int
    """That were overwritten before it read them."""
    times: int
    """How often it was lapped."""


@dataclass(frozen=True)
class Gap:
    """What a subscription has missed, between the message before and the one after."""

    cause: GapCause
    bytes: int
    """Of the ring, headers included."""
    at_least: bool = False
    """Whether there can be more: what was gone before it could be read, nobody knows."""


@dataclass(frozen=True)
class PayloadType:
    """What a producer said that its payloads are; all zero when it said nothing."""

    hash: int
    size: int
    align: int


def mode_of(mode: Wakeup | str, flow: Flow | str) -> int:
    """As the protocol has it. ``ValueError`` where it is neither."""
    pull = 1 if Wakeup(mode) is Wakeup.PULL else 0
    return pull | (0 if Flow(flow) is Flow.LOSSLESS else 2)
