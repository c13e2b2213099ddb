# SPDX-License-Identifier: MIT
"""How far apart processors are."""

from __future__ import annotations

import functools
import os

_CPUS = "/sys/devices/system/cpu"


def _line_of(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""


def has_far_processors(cpus: str = _CPUS) -> bool:
    """Whether some processors share no cache, by what sysfs says. Where it says nothing, all are
    near."""
    online = _line_of(os.path.join(cpus, "online"))
    first = online.replace("-", ",").split(",")[0]
    shared = ""
    for index in range(6):  # the last one is the largest
        found = _line_of(f"{cpus}/cpu{first}/cache/index{index}/shared_cpu_list")
        shared = found or shared
    return shared not in ("", online)


@functools.cache
def suitable_capacity() -> int:
    """Of a ring, in bytes: docs/guide.md has the rule."""
    return 64 << 20 if has_far_processors() else 1 << 20
