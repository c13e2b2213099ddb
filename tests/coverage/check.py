# SPDX-License-Identifier: MIT
"""Compares what llvm-cov found not reached with the list of what is explained.

check.py EXPORT LIST. The list names src/ and include/zbq/inline.h; other headers are
reported alone. What is explained may be reached all the same, by chance or on another machine,
but it has to be there.
"""
import json
import os
import re
import sys

ROOT = os.getcwd() + "/"


def is_core(name):
    return name.startswith("src/") or name == "include/zbq/inline.h"


def text_of(lines, start_line, start_column, end_line, end_column):
    """What stands in the source, on one line."""
    if start_line == end_line:
        return lines[start_line - 1][start_column - 1:end_column - 1]
    parts = [lines[start_line - 1][start_column - 1:]]
    parts += lines[start_line:end_line - 1]
    parts.append(lines[end_line - 1][:end_column - 1])
    return " ".join(part.strip() for part in parts)


def header_of(lines, line):
    """The name of the function whose body begins at this line."""
    header = lines[line - 1]
    while not re.search(r"[\w~:]+\(", header) or header.startswith("     "):
        line -= 1
        header = lines[line - 1] + " " + header.strip()
    return re.search(r"([\w~:]+)\(", header).group(1)


def function_names(export, path, lines):
    """The function that each line is in."""
    names = [""] * len(lines)
    bodies = {
        (regions[0][0], regions[0][2])
        for function in export["data"][0]["functions"]
        if function["filenames"][0] == path and (regions := function["regions"])
    }
    for first, last in sorted(bodies, key=lambda body: body[0] - body[1]):  # the longest first
        for line in range(first, last + 1):
            names[line - 1] = header_of(lines, first)
    return names


def branches(entry, lines, names):
    """First and last line of each, what it is, and whether it was reached."""
    counts = {}
    for branch in entry["branches"]:
        place = tuple(branch[:4])
        true, false = counts.get(place, (0, 0))
        counts[place] = (true + branch[4], false + branch[5])
    for place, (true, false) in sorted(counts.items()):
        condition = text_of(lines, *place)
        for word, count in (("true", true), ("false", false)):
            what = (names[place[0] - 1], "never " + word, condition)
            yield place[0], place[2], what, count != 0


def first_lines(entry, lines, names):
    """Of regions, and whether they were run."""
    for line, _, count, has_count, is_entry, is_gap in entry["segments"]:
        if has_count and is_entry and not is_gap:
            yield line, (names[line - 1], "never run", lines[line - 1].strip()), count != 0


def places(export):
    """All that there are, and those of them that were not reached."""
    there, unreached = set(), set()
    for entry in export["data"][0]["files"]:
        name = os.path.normpath(entry["filename"]).removeprefix(ROOT)
        if not is_core(name):
            continue
        with open(name, encoding="utf-8") as file:
            lines = file.read().split("\n")
        names = function_names(export, entry["filename"], lines)
        told = set()  # a region is not told of where a branch does already
        for first, last, what, reached in branches(entry, lines, names):
            there.add((name, *what))
            if not reached:
                told.update(range(first, last + 1))
                unreached.add((name, *what))
        for line, what, reached in first_lines(entry, lines, names):
            there.add((name, *what))
            if not reached and line not in told:
                unreached.add((name, *what))
    return there, unreached


def explained(path):
    """The indented lines: "FILE FUNCTION never run|true|false: TEXT"."""
    listed = set()
    with open(path, encoding="utf-8") as file:
        for line in file.read().split("\n"):
            match = re.match(r"  (\S+) (\S+) (never (?:run|true|false)): (.*)", line)
            if match:
                listed.add(match.groups())
            elif line.startswith("  "):
                sys.exit("not understood: " + line)
    return listed


def say(title, entries):
    if entries:
        print(title)
        for name, function, how, text in sorted(entries):
            print(f"  {name} {function} {how}: {text}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        there, unreached = places(json.load(file))
    known = explained(sys.argv[2])
    say("not reached and not explained:", unreached - known)
    say("explained, but gone:", known - there)
    say("explained, but reached this time:", known & there - unreached)
    print(f"{len(unreached)} places not reached, {len(unreached & known)} of them explained")
    return 0 if unreached <= known <= there else 1


sys.exit(main())
