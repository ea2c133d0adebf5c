"""Whether clients are to be sent here."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.readiness import JOIN_PATIENCE, Readiness


class ReadinessTests(SynchronousTestCase):
    """A node that starts, serves and stops."""

    def setUp(self) -> None:
        """Have a node that has not joined the others yet."""
        self.clock = Clock()
        self.cut_off_since: float | None = 0.0
        self.told: list[float] = []
        self.readiness = Readiness(
            self.clock, lambda: self.cut_off_since, lambda: self.told.append(self.clock.seconds())
        )

    def test_starting(self) -> None:
        """Ready: not before all is started."""
        self.assertIn("starting", str(self.readiness.reason))

    def test_joined(self) -> None:
        """Ready: once the node has joined the others; it is told once, and a later cut changes nothing."""
        self.readiness.startService()
        self.clock.pump([0.1] * 10)
        self.assertIn("joined", str(self.readiness.reason))
        self.assertEqual(self.told, [])
        self.cut_off_since = None
        self.clock.advance(0.1)
        self.assertEqual((self.readiness.reason, len(self.told)), (None, 1))
        self.cut_off_since = 2.0
        self.clock.pump([1] * 10)
        self.assertEqual((self.readiness.reason, len(self.told)), (None, 1))

    def test_alone(self) -> None:
        """Ready: a node with nobody to join is ready when it has started."""
        self.cut_off_since = None
        self.readiness.startService()
        self.assertIsNone(self.readiness.reason)

    def test_cannot_join(self) -> None:
        """Ready: a node that cannot join the others serves by itself, after some time."""
        self.readiness.startService()
        self.clock.pump([0.1] * int(JOIN_PATIENCE * 10 - 1))
        self.assertIsNotNone(self.readiness.reason)
        self.clock.pump([0.1] * 2)
        self.assertIsNone(self.readiness.reason)

    def test_leaving(self) -> None:
        """Ready: no more once the node stops, whatever happens then; also if it never was."""
        for joins in (True, False):
            self.setUp()
            self.cut_off_since = None if joins else 0.0
            self.readiness.startService()
            self.readiness.leave()
            self.cut_off_since = None
            self.clock.pump([1] * 10)
            self.assertIn("stopping", str(self.readiness.reason))
            self.readiness.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_described(self) -> None:
        """Status: a few words say how the node is."""
        self.assertEqual(self.readiness.describe(3), f"{self.readiness.reason}; connections: 3")
        self.cut_off_since = None
        self.readiness.startService()
        self.assertEqual(self.readiness.describe(3), "ready; connections: 3")
