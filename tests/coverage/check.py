# SPDX-License-Identifier: MIT
"""Compares what llvm-cov found not reached with the list of what is explained.

check.py EXPORT LIST. The list names src/ and include/zbq/inline.h; other headers are
reported alone.
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


def unreached_branches(entry, lines, names):
    counts = {}
    for branch in entry["branches"]:
        place = tuple(branch[:4])
        true, false = counts.get(place, (0, 0))
        counts[place] = (true + branch[4], false + branch[5])
    for place, (true, false) in sorted(counts.items()):
        condition = text_of(lines, *place)
        for word, count in (("true", true), ("false", false)):
            if count == 0:
                yield place[0], place[2], (names[place[0] - 1], "never " + word, condition)


def unreached_lines(entry, lines, names, told):
    """First lines of regions that were not run, but for those where a branch tells it already."""
    for line, _, count, has_count, is_entry, is_gap in entry["segments"]:
        if has_count and is_entry and not is_gap and count == 0 and line not in told:
            yield (names[line - 1], "never run", lines[line - 1].strip())


def unreached(export):
    for entry in export["data"][0]["files"]:
        name = os.path.normpath(entry["filename"]).removeprefix(ROOT)
        if not is_core(name):
            continue
        with open(name, encoding="utf-8") as file:
            lines = file.read().split("\n")
        names = function_names(export, entry["filename"], lines)
        told = set()
        for first, last, what in unreached_branches(entry, lines, names):
            told.update(range(first, last + 1))
            yield (name, *what)
        for what in unreached_lines(entry, lines, names, told):
            yield (name, *what)


def explained(path):
    """The indented lines: "FILE FUNCTION never run|true|false: TEXT". Those with a question mark
    before them may be reached or not, by chance."""
    always, by_chance = set(), set()
    with open(path, encoding="utf-8") as file:
        for line in file.read().split("\n"):
            match = re.match(r"  (\? )?(\S+) (\S+) (never (?:run|true|false)): (.*)", line)
            if match:
                (by_chance if match.group(1) else always).add(match.groups()[1:])
            elif line.startswith("  "):
                sys.exit("not understood: " + line)
    return always, by_chance


def say(title, entries):
    if entries:
        print(title)
        for name, function, how, text in sorted(entries):
            print(f"  {name} {function} {how}: {text}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        now = set(unreached(json.load(file)))
    always, by_chance = explained(sys.argv[2])
    say("not reached and not explained:", now - always - by_chance)
    say("explained, but reached or gone:", always - now)
    print(f"{len(now)} places not reached, {len(now & (always | by_chance))} of them explained")
    return 0 if always <= now <= always | by_chance else 1


sys.exit(main())
