# SPDX-License-Identifier: MIT
"""What can go wrong, by kind.

Every exception of this package is an :class:`Error`, which is an ``OSError``: ``errno`` is that of
the system call that failed, and ``None`` where none did. Each kind is also what Python calls such a
thing, so that ``except TimeoutError`` and ``except ValueError`` do what they say.
"""

from __future__ import annotations

__all__ = [
    "Error",
    "InvalidError",
    "NoMemoryError",
    "AgainError",
    "IoError",
    "ProtocolError",
    "TooLargeError",
    "NoneError",
    "NotFoundError",
    "FullError",
    "RefusedError",
    "TypeMismatchError",
    "ClosedError",
    "TornError",
    "BusyError",
    "ForkedError",
    "EndedError",
    "ProducerDiedError",
    "EvictedError",
]


class Error(OSError):
    """Of this package: what was tried, and why it failed."""


class InvalidError(Error, ValueError):
    """A bad argument, or a call that is out of place."""


class NoMemoryError(Error, MemoryError):
    """Memory could not be had."""


class AgainError(Error, TimeoutError):
    """Not yet, or not before the time was up. Nothing is wrong."""


class IoError(Error):
    """A system call failed; ``errno`` says how."""


class ProtocolError(Error):
    """The other side broke the protocol."""


class TooLargeError(Error, ValueError):
    """Larger than the ring, or than a message can be."""


class NoneError(Error, LookupError):
    """Nothing there, for good: no slot, no record of descriptors."""


class NotFoundError(NoneError):
    """Nobody listens at that name."""


class FullError(Error):
    """The producer has no slot for another consumer."""


class RefusedError(Error, PermissionError):
    """The listener does not admit this process; or the name is not to be trusted."""


class TypeMismatchError(Error, TypeError):
    """The payloads are not of the type expected."""


class ClosedError(Error, ValueError):
    """It was closed, or released."""


class TornError(Error):
    """The bytes were overwritten while they were read: what was made of them is nothing."""


class BusyError(Error, RuntimeError):
    """Another thread is in a call with this object, or a call further up is. Nothing has changed."""


class ForkedError(Error, RuntimeError):
    """It is of the parent process: after a fork the child can only drop it."""


class EndedError(Error, EOFError):
    """The producer ended the stream, and all of it was read."""


class ProducerDiedError(EndedError):
    """The same, but the producer was killed, or crashed."""


class EvictedError(Error):
    """This consumer lost its slot. ``reason`` is a number of :class:`zbq.Eviction`."""

    reason: int

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(f"reading: evicted: {text}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[EvictedError], tuple[int, str]]:
        return type(self), (self.reason, str(self).removeprefix("reading: evicted: "))
