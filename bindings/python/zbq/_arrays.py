# SPDX-License-Identifier: MIT
"""NumPy arrays of what exports its bytes. NumPy is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from collections.abc import Buffer  # type: ignore[attr-defined]


def array_of(
    exporter: Any, dtype: Any = "u1", shape: int | tuple[int, ...] = -1, offset: int = 0
) -> np.ndarray[Any, Any]:
    """An array over the bytes of an exporter, in place, after ``offset`` bytes of them.

    ``ValueError`` where they are no whole number of items, or not of that shape.
    """
    import numpy

    flat: Any = (
        numpy.frombuffer(exporter, dtype, offset=offset)
        if len(exporter) > offset
        else (numpy.empty(0, dtype))
    )
    return flat.reshape(shape)  # type: ignore[no-any-return]
