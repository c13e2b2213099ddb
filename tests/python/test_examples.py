# SPDX-License-Identifier: MIT
"""The examples do what they say: each checks its own work."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from support import PathCase, main

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "python"
MARKET = os.environ.get("ZBQ_EXAMPLE_MARKET")

try:
    import numpy
except ImportError:
    numpy = None


class Examples(PathCase):
    def run_example(self, name, *args):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *args],
            env=environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    @unittest.skipUnless(numpy, "no package python3-numpy")
    def test_a_camera(self):
        self.assertIn("evicted as dead: 1", self.run_example("camera.py"))

    def test_a_log_and_its_tail(self):
        self.assertIn("worker 2", self.run_example("logtail.py"))

    @unittest.skipUnless(numpy and MARKET, "no market, or no package python3-numpy")
    def test_bars_of_a_market(self):
        with subprocess.Popen([MARKET, self.name]) as market:
            self.assertIn("500,000 messages", self.run_example("bars.py", self.name))
        self.assertEqual(market.returncode, 0)


if __name__ == "__main__":
    main()
