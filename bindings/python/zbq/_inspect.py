# SPDX-License-Identifier: MIT
"""The statistics of a ring that is another process's."""

from __future__ import annotations

from collections.abc import Collection
from typing import SupportsIndex

from . import _zbq
from ._approach import RETRY, Approach, Approaching
from ._closing import Closing
from ._errors import AgainError
from ._greeting import make_inquiry
from ._joining import walk
from ._statistics import RingStatistics, SlotStatistics


class Statistics(Closing):
    """The accounts of a ring that its producer writes for others: read while it is busy, stopped,
    or gone. :func:`zbq.inspect` opens them by a name. Takes no slot.

    >>> with zbq.inspect("camera") as page:
    ...     account = page.read()
    ...     print(account.head, account.consumers)
    """

    def __init__(self, fd: SupportsIndex | _zbq.HasFileno) -> None:
        """Of a page (``Producer.statistics_fd``), which may be a hostile producer's. The descriptor
        stays the caller's. Raises ``ProtocolError`` (it is no such page), ``NoMemoryError``,
        ``IoError``."""
        self._page = _zbq.StatisticsPage(fd)

    @classmethod
    def _of_socket(cls, connection: _zbq.HasFileno) -> Statistics:
        made = cls.__new__(cls)
        made._page = _zbq.StatisticsPage(connection, is_socket=True, timeout=0)
        return made

    def read(self) -> RingStatistics:
        """The newest account, all of one moment. ``AgainError`` where the producer writes too fast
        for a look."""
        return RingStatistics(**self._page.read())

    def slot(self, number: int) -> SlotStatistics | None:
        """A slot's, of the account last read; ``None``: nobody ever had it."""
        account = self._page.slot(number)
        return None if account is None else SlotStatistics(**account)

    def close(self) -> None:
        """Unmaps the page."""
        self._page.close()


class _Inspecting(Approaching):
    def __init__(self, name: str, producers: Collection[int]) -> None:
        self._approach = Approach(name, producers)

    def step(self) -> Statistics | None:
        return self._approach.attempt(self._advance)

    def _advance(self) -> Statistics | None:
        said = self._approach.step(make_inquiry())
        if said is None:
            return None
        self._approach.check_welcome(said, " collects: nobody publishes there")
        try:
            page = Statistics._of_socket(self._approach.connection)
        except AgainError:
            return None
        self._approach.start_over(RETRY)
        return page


def inspect(
    name: str,
    *,
    timeout: float | None = None,
    wait_for_producer: bool = False,
    producers: Collection[int] = (),
) -> Statistics:
    """The statistics of the ring at a name. Blocks until its producer has answered, for ``timeout``
    seconds at most. Raises as :func:`zbq.connect`."""
    with _Inspecting(name, producers) as way:
        return walk(way, way.step, timeout, wait_for_producer, "publishes")
