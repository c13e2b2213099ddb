# SPDX-License-Identifier: MIT
"""The end of a with block."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """What the end of a with block closes."""

    __slots__ = ()

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
