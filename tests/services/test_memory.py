"""Memory."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.memory import FEW, INTERVAL, Memory, trim


class MemoryTest(SynchronousTestCase):
    """Bounded: what was freed goes back to the system."""

    def setUp(self) -> None:
        """Begin to look at nothing."""
        self.clock = Clock()
        self.count = 0
        self.trims = 0
        self.memory = Memory(self.clock, lambda: self.count, self.trim)
        self.memory.startService()

    def trim(self) -> None:
        """Count it."""
        self.trims += 1

    def see(self, *counts: int) -> None:
        """Let there be so many, at one look after the other."""
        for self.count in counts:
            self.clock.advance(INTERVAL)

    def test_many_went(self) -> None:
        """After half of many have gone memory is given back, once."""
        self.see(10 * FEW, 6 * FEW)
        self.assertEqual(self.trims, 0)
        self.see(4 * FEW, 3 * FEW)
        self.assertEqual(self.trims, 1)
        self.see(FEW)
        self.assertEqual(self.trims, 2)

    def test_few(self) -> None:
        """Few that come and go are not worth it."""
        self.see(FEW, 0, FEW, 0)
        self.assertEqual(self.trims, 0)

    def test_stop(self) -> None:
        """A service that stopped leaves no call waiting."""
        self.memory.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_trim(self) -> None:
        """Trimming works here, and more than once."""
        trim()
        trim()
