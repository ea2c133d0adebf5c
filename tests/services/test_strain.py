"""Memory that runs short."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.limits import Limits
from slanger.protocol.names import UNLIMITED
from slanger.services.strain import Strain, resident


class StrainTests(SynchronousTestCase):
    """A process that may have a thousand bytes."""

    def setUp(self) -> None:
        """Watch it."""
        self.clock = Clock()
        self.clock.advance(100)
        self.taken, self.trimmed, self.free = 900, 0, 0
        self.strain = Strain(self.clock, Limits(memory_bytes=1000), lambda: self.taken, self.trim)
        self.strain.startService()

    def tearDown(self) -> None:
        """Watch no more; no timer is left."""
        self.strain.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def trim(self) -> None:
        """Give back what is free."""
        self.trimmed += 1
        self.taken -= self.free

    def pass_time(self, seconds: int = 5) -> list[str]:
        """Let time pass, and give what is logged."""
        with capturedLogs() as events:
            self.clock.pump([1.0] * seconds)
        return [formatEvent(event) for event in events]

    def test_enough(self) -> None:
        """Memory guard: below the limit nothing happens."""
        self.assertEqual(self.pass_time(), [])
        self.assertFalse(self.strain)
        self.assertIsNone(self.strain.since)

    def test_short(self) -> None:
        """Memory guard: above the limit it is strained, says so once, and since when."""
        self.taken = 1001
        (line,) = self.pass_time()
        self.assertIn("1001 bytes", line)
        self.assertIn("--memory-bytes 1000", line)
        self.assertTrue(self.strain)
        self.assertEqual(self.strain.since, 101)
        self.assertEqual((self.pass_time(), self.trimmed), ([], 1))

    def test_trimmed(self) -> None:
        """Memory guard: what only the allocator keeps is given back first, and counts no more."""
        self.taken, self.free = 1300, 400
        self.assertEqual(self.pass_time(), [])
        self.assertEqual((bool(self.strain), self.trimmed), (False, 1))

    def test_relieved(self) -> None:
        """Memory guard: it is over when there is a little less than the limit, not at once, and that is told."""
        self.taken = 1001
        self.pass_time()
        self.taken = 960
        self.assertEqual((self.pass_time(), bool(self.strain)), ([], True))
        self.taken = 940
        (line,) = self.pass_time()
        self.assertIn("let in", line)
        self.assertFalse(self.strain)

    def test_unlimited(self) -> None:
        """Memory guard: without a limit nothing is measured, and one that is lifted is over."""
        self.taken = 1001
        self.pass_time()
        self.strain.apply(Limits())
        self.taken = UNLIMITED
        self.assertEqual((self.pass_time(), bool(self.strain)), ([], False))

    def test_resident(self) -> None:
        """Memory guard: what is measured is the resident memory of this process."""
        status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        self.assertLess(abs(resident() - int(line.split()[1]) * 1024), 8 * 1024 * 1024)
