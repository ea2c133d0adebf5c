"""Deadlines of equal length, by one timer."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.deadlines import AT_ONCE, Deadlines


class DeadlinesTests(SynchronousTestCase):
    """Who has ten seconds."""

    def setUp(self) -> None:
        """Note who is late, and when."""
        self.clock = Clock()
        self.late: list[tuple[str, float]] = []
        self.deadlines: Deadlines[str] = Deadlines(self.clock, 10, self.note)

    def note(self, one: str) -> None:
        """Note who is late."""
        self.late.append((one, self.clock.seconds()))

    def test_late(self) -> None:
        """Bounded: each is late when his own time is over, once."""
        for one in ("a", "b", "c"):
            self.deadlines.begin(one)
            self.clock.advance(3)
        self.clock.pump([1.0] * 20)
        self.assertEqual(self.late, [("a", 10), ("b", 13), ("c", 16)])

    def test_in_time(self) -> None:
        """Bounded: who ends in time is never late, whoever else is."""
        for one in ("a", "b", "c"):
            self.deadlines.begin(one)
            self.clock.advance(1)
        self.deadlines.end("a")
        self.deadlines.end("c")
        self.clock.pump([1.0] * 20)
        self.assertEqual(self.late, [("b", 11)])

    def test_one_timer(self) -> None:
        """Bounded: there is one timer for all, and none where there is nobody."""
        for number in range(100):
            self.deadlines.begin(str(number))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for number in range(100):
            self.deadlines.end(str(number))
        self.clock.advance(10)
        self.assertEqual((self.late, self.clock.getDelayedCalls()), ([], []))

    def test_some_in_each_turn(self) -> None:
        """Bounded: where many are late, something else is done in between; none is forgotten."""
        for number in range(2 * AT_ONCE + 1):
            self.deadlines.begin(str(number))
        counts: list[int] = []

        def others() -> None:
            counts.append(len(self.late))
            if len(counts) < 4:
                self.clock.callLater(0, others)

        self.clock.callLater(10, others)
        self.clock.advance(10)
        self.assertEqual(counts, [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1, 2 * AT_ONCE + 1])
        self.assertEqual([one for one, _ in self.late], [str(number) for number in range(2 * AT_ONCE + 1)])

    def test_anew(self) -> None:
        """Bounded: who begins after all others have ended has his whole time."""
        self.deadlines.begin("a")
        self.clock.advance(4)
        self.deadlines.end("a")
        self.deadlines.begin("b")
        self.clock.pump([1.0] * 9)
        self.assertEqual(self.late, [])
        self.clock.advance(1)
        self.assertEqual(self.late, [("b", 14)])

    def test_stranger(self) -> None:
        """Bounded: to end what was not begun changes nothing."""
        self.deadlines.end("a")
        self.assertEqual(self.clock.getDelayedCalls(), [])
