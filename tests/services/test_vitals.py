"""How a process is."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.vitals import INTERVAL, LAG, LATE, REMEMBERED, Vitals
from slanger.tallies import Histogram


class VitalsTests(SynchronousTestCase):
    """One process."""

    def setUp(self) -> None:
        """Watch the loop, and one thing more."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.is_full = False
        self.lag = Histogram("lag", (0.001, 1.0))
        self.vitals = Vitals(self.clock, self.lag, {("queue", "the queue is full"): lambda: self.is_full})
        self.vitals.startService()

    def pass_time(self, seconds: int) -> None:
        """Let time pass, and the loop be on time."""
        self.clock.pump([INTERVAL] * seconds)

    def test_well(self) -> None:
        """Health: a loop that is on time is measured as such, and nothing is amiss."""
        self.pass_time(5)
        self.assertEqual((self.lag.counts, list(self.vitals.amiss())), ([5, 0, 0], []))

    def test_late(self) -> None:
        """Health: a loop that was late is a reason, with the time of the first such look, until it was well a while."""
        self.pass_time(2)
        with capturedLogs() as captured:
            self.clock.advance(INTERVAL + LATE)
            since = self.clock.seconds()
            self.assertEqual(list(self.vitals.amiss()), [("loop_lag", LAG, since)])
            self.pass_time(REMEMBERED - 1)
            self.assertEqual(list(self.vitals.amiss()), [("loop_lag", LAG, since)])
            self.pass_time(1)
        self.assertEqual(list(self.vitals.amiss()), [])
        self.assertEqual((sum(self.lag.counts), self.lag.sum), (2 + 1 + REMEMBERED, LATE))
        self.assertEqual([event["event"] for event in captured], ["degraded", "recovered"])

    def test_almost_late(self) -> None:
        """Health: a loop that is hardly late is measured, and no reason."""
        self.clock.advance(INTERVAL + LATE - 0.25)
        self.assertEqual((self.lag.counts, list(self.vitals.amiss())), ([0, 1, 0], []))

    def test_watched(self) -> None:
        """Health: whatever else is watched is a reason while it lasts, since it was first seen."""
        self.is_full = True
        self.pass_time(3)
        self.assertEqual(list(self.vitals.amiss()), [("queue", "the queue is full", 1000 + INTERVAL)])
        self.is_full = False
        self.pass_time(1)
        self.assertEqual(list(self.vitals.amiss()), [])
        self.assertEqual(list(self.vitals.codes), ["loop_lag", "queue"])

    def test_stopped(self) -> None:
        """Stop: nobody looks any more."""
        self.vitals.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
