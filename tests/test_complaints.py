"""What is logged once in a while."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slanger.complaints import INTERVAL, SHOWN, Complaints
from slanger.tallies import Tallies


class ComplaintsTests(SynchronousTestCase):
    """Faults by the thousand."""

    def setUp(self) -> None:
        """Have nothing to complain of."""
        self.clock = Clock()
        tallies = Tallies()
        self.tally = tallies.complaints
        self.complaints = Complaints(self.clock, tallies)

    def complain(self, kind: str, text: str = "why", times: int = 1) -> list[str]:
        """Complain, and give what is logged."""
        with capturedLogs() as events:
            for _ in range(times):
                self.complaints.count(kind, text)
        return [formatEvent(event) for event in events]

    def test_first(self) -> None:
        """Never silent: the first fault of a kind is logged at once, whatever the clock says."""
        self.assertEqual(self.complain("slow", "tcp4:192.0.2.1:5"), ["slow (1 so far): tcp4:192.0.2.1:5"])

    def test_many(self) -> None:
        """Never silent: ten thousand in five minutes are a line a minute, with their number, and each is counted."""
        lines = []
        for _ in range(5):
            lines += self.complain("slow", times=2000)
            self.clock.advance(INTERVAL)
        self.assertEqual(lines, [f"slow ({number} so far): why" for number in (1, 2001, 4001, 6001, 8001)])
        self.assertEqual(self.tally, {("slow",): 10_000})
        self.assertEqual(self.complaints.counted, {"slow": 10_000})

    def test_kinds(self) -> None:
        """Never silent: one kind does not silence another."""
        self.assertEqual(len(self.complain("slow", times=9)), 1)
        self.assertEqual(self.complain("flood", times=9), ["flood (1 so far): why"])

    def test_clock_set_back(self) -> None:
        """Never silent: a clock that is set back does not silence anything."""
        self.clock.advance(10 * INTERVAL)
        self.complain("slow")
        self.clock.rightNow = 0.0
        self.assertEqual(len(self.complain("slow")), 1)

    def test_length(self) -> None:
        """Bounded: what a client has a say in does not fill the log."""
        (line,) = self.complain("slow", "x" * 100_000)
        self.assertEqual(line.count("x"), SHOWN)

    def test_failure(self) -> None:
        """Never silent: an exception is logged with its traceback, and that once in a while too."""
        with capturedLogs() as events:
            for _ in range(100):
                try:
                    raise ValueError("odd")
                except ValueError:
                    self.complaints.failure("a message failed", "who")
        (event,) = events
        self.assertIn("ValueError: odd", event["log_failure"].getTraceback())
        self.assertEqual(formatEvent(event), "a message failed (1 so far): who")
        self.assertEqual(self.complaints.counted, {"a message failed": 100})
        self.flushLoggedErrors(ValueError)
