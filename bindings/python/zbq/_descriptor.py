# SPDX-License-Identifier: MIT
"""File descriptors with one owner."""

from __future__ import annotations

import os

from ._closing import Closing


class Descriptor(Closing):
    """A file descriptor that closes itself: with :meth:`close`, at the end of a ``with`` block, or
    when it is collected.

    >>> with zbq.Descriptor(os.memfd_create("example")) as memory:
    ...     os.ftruncate(memory.fileno(), 4096)
    """

    __slots__ = ("_number", "__weakref__")

    def __init__(self, number: int) -> None:
        """Takes over a descriptor. ``ValueError`` for a number below 0."""
        self._number = -1
        if number < 0:
            raise ValueError(f"{number} is no descriptor")
        self._number = number

    def fileno(self) -> int:
        """The number, which stays owned here. ``ValueError`` when it was closed or detached."""
        if self._number < 0:
            raise ValueError("the descriptor was closed, or detached")
        return self._number

    def detach(self) -> int:
        """Hands the number over: the caller closes it."""
        number = self.fileno()
        self._number = -1
        return number

    def close(self) -> None:
        """Closes it. Nothing, when that was done."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    @property
    def closed(self) -> bool:
        """Whether it was closed or detached."""
        return self._number < 0

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<zbq.Descriptor {self._number if self._number >= 0 else 'closed'}>"
