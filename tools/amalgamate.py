#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the single header: amalgamate.py OUTPUT

The public C headers as they are, and the parts that src/zbq.cpp lists, in its order, for the one
source file that defines ZBQ_IMPLEMENTATION. The same sources give the same bytes.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCAL_INCLUDE = re.compile(r'#include "([^"]+)"')
# A C compiler takes a quote in a number for the start of a character, also in what it skips.
QUOTE_IN_NUMBER = re.compile(r"(?<=[0-9])'(?=[0-9])")
# Directions to tools, which see the sources themselves; and what the head of the file says once.
LEFT_OUT = re.compile(r"#pragma once|// NOLINT(BEGIN|END)|// clang-format o|(//|/\*) SPDX-License")

HEAD = """/* SPDX-License-Identifier: MIT */
/* zbq {version}: a zero-copy broadcast queue for Linux, in one file.
 *
 * To use it, include it, from C11 or C++. One C++20 source file, which holds nothing else, is
 *
 *     #define ZBQ_IMPLEMENTATION
 *     #include "zbq.h"
 *
 * That is the library. Compiled with -fno-exceptions -fno-rtti it needs no C++ run time, and a C
 * program can link it.
 *
 * Made from the sources by ./dev amalgamate: changes belong there.
 *
{licence}
 */
"""

BEGIN = """
#if defined(ZBQ_IMPLEMENTATION) && !defined(ZBQ_IMPLEMENTED)
#define ZBQ_IMPLEMENTED
#if !defined(__cplusplus) || __cplusplus < 202002L
#error "ZBQ_IMPLEMENTATION is for a source file in C++20"
#else
"""

END = """
#endif
#endif /* ZBQ_IMPLEMENTATION */
"""


class Amalgamation:
    """Text with each of the project's own files in it once."""

    def __init__(self, text):
        self.pieces = [text]
        self.seen = set()
        self.file = None  # whose lines come last

    def add(self, path):
        """The file, with those that it includes in their places."""
        path = path.resolve()
        if path in self.seen:
            return
        self.seen.add(path)
        for line in path.read_text(encoding="utf-8").splitlines():
            include = LOCAL_INCLUDE.match(line)
            if include:
                self.add(find(include[1], path.parent))
            elif not LEFT_OUT.match(line):
                self.add_line(path, line)

    def add_line(self, path, line):
        if self.file != path and line in ("", "//"):  # nothing to begin with
            return
        if self.file != path:
            self.pieces.append(f"\n/* ---- {path.relative_to(ROOT)} ---- */\n\n")
        self.file = path
        self.pieces.append(QUOTE_IN_NUMBER.sub("", line) + "\n")


def find(name, beside):
    """What an include of this name means in a file that lies there."""
    for directory in (beside, ROOT / "include"):
        if (directory / name).is_file():
            return directory / name
    raise SystemExit(f"amalgamate: no file {name}")


def parts():
    """The files that src/zbq.cpp lists."""
    listed = (ROOT / "src/zbq.cpp").read_text(encoding="utf-8").splitlines()
    return [ROOT / "src" / name[1] for name in map(LOCAL_INCLUDE.match, listed) if name]


def head():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()
    header = (ROOT / "include/zbq.h").read_text(encoding="utf-8")
    version = re.findall(r"#define ZBQ_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    return HEAD.format(
        version=".".join(version), licence="\n".join(f" * {line}".rstrip() for line in licence)
    )


def amalgamate():
    whole = Amalgamation(head())
    whole.add(ROOT / "include/zbq.h")
    whole.add(ROOT / "include/zbq/inline.h")
    whole.pieces.append(BEGIN)
    for part in parts():
        whole.add(part)
    whole.pieces.append(END)
    return re.sub(r"\n{3,}", "\n\n", "".join(whole.pieces))


if len(sys.argv) != 2:
    raise SystemExit(__doc__.splitlines()[0])
pathlib.Path(sys.argv[1]).write_text(amalgamate(), encoding="utf-8")
