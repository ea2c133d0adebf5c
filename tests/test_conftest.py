"""A run with a skipped test has failed: `.ci/run` relies on it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

SKIPPING = """
import unittest

class Part(unittest.TestCase):
    def test_missing(self):
        raise unittest.SkipTest("a part is missing")
"""
PASSING = SKIPPING.replace('raise unittest.SkipTest("a part is missing")', "pass")


class SkipTests(SynchronousTestCase):
    """What pytest exits with, under our hook."""

    def run_pytest(self, test: str) -> int:
        """Run a file of one test, and give the exit status."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "test_part.py")
            file.write_text(test, encoding="utf-8")
            hook = Path(__file__).with_name("conftest.py")
            Path(folder, "conftest.py").write_text(hook.read_text(encoding="utf-8"), encoding="utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
            return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode

    def test_skipped(self) -> None:
        """A skipped test fails the run, and one that passed does not."""
        self.assertEqual((self.run_pytest(SKIPPING), self.run_pytest(PASSING)), (1, 0))
