# SPDX-License-Identifier: MIT
"""What the documents show runs: the blocks of a section together, each as a program of its own. A
block of text after them is what they print."""

import inspect
import os
import re
import subprocess
import sys
import tempfile
import unittest
from dataclasses import fields as fields_of
from pathlib import Path

import zbq
from support import main

TREE = Path(__file__).resolve().parents[2]
DOCUMENTS = ["bindings/python/README.md", "docs/python.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)


def sections(path):
    """A title, its programs, and what they print, or None."""
    for part in re.split(r"^#+ ", path.read_text(), flags=re.M)[1:]:
        blocks = BLOCK.findall(part)
        programs = [text for kind, text in blocks if kind == "python"]
        outputs = [text for kind, text in blocks if kind == "text"]
        if programs:
            yield part.split("\n")[0], programs, outputs[0] if outputs else None


def members():
    """All that users see: a name, and what it is."""
    for name in zbq.__all__:
        each = getattr(zbq, name)
        yield name, each
        if inspect.isclass(each):
            for part, of in vars(each).items():
                if not part.startswith("_"):
                    yield f"{name}.{part}", of


class Described(unittest.TestCase):
    def test_all_has_a_description(self):
        fields = {f.name for d in (zbq.RingStatistics, zbq.SlotStatistics) for f in fields_of(d)}
        for name, each in members():
            is_value = isinstance(each, (int, float, str, tuple, bytes, type(None)))
            if not is_value and name.rpartition(".")[2] not in fields:
                self.assertTrue(inspect.getdoc(each), name)

    def test_all_calls_say_what_they_take(self):
        for name, each in members():
            if inspect.isroutine(each) and not isinstance(each, (classmethod, staticmethod)):
                if name.split(".")[0] in ("Producer", "Consumer"):
                    self.assertTrue(str(inspect.signature(each)), name)
        for derived in (zbq.Producer, zbq.Consumer):
            for name, each in vars(derived.__base__).items():
                if inspect.isroutine(each) and name[0] != "_" and name not in vars(derived):
                    self.assertTrue(str(inspect.signature(each)), name)
                    self.assertTrue(each.__doc__, name)


class Documents(unittest.TestCase):
    def test_what_they_show_runs(self):
        count = 0
        for name in DOCUMENTS:
            if (TREE / name).exists():
                for title, programs, output in sections(TREE / name):
                    with self.subTest(document=name, section=title):
                        self.run_together(programs, output)
                        count += len(programs)
        self.assertGreater(count, 1)

    def run_together(self, programs, output):
        with tempfile.TemporaryDirectory() as directory:
            environment = os.environ | {"XDG_RUNTIME_DIR": directory, "PYTHONUNBUFFERED": "1"}
            environment["PYTHONPATH"] = os.pathsep.join(sys.path)
            running = [
                subprocess.Popen(
                    [sys.executable, "-W", "error", "-c", text],
                    cwd=directory,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for text in programs
            ]
            printed = ""
            for text, process in zip(programs, running):
                out, errors = process.communicate()
                self.assertEqual((process.returncode, errors), (0, ""), text)
                printed += out
            if output is not None:
                self.assertEqual(printed, output)


if __name__ == "__main__":
    main()
