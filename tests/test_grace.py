"""News of an end, held back."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.grace import Grace


class GraceTest(SynchronousTestCase):
    """Webhooks, delays: who returns soon was never gone."""

    def setUp(self) -> None:
        """Hold news back for three seconds."""
        self.clock = Clock()
        self.grace = Grace(self.clock, 3)
        self.told: list[str] = []

    def gone(self, who: str) -> None:
        """Let someone go."""
        self.grace.gone(who, lambda: self.told.append(who))

    def test_told(self) -> None:
        """Delays: an end is told when the time is over, not before, and once."""
        self.gone("7")
        self.clock.advance(2.9)
        self.assertEqual((self.told, "7" in self.grace), ([], True))
        self.clock.advance(0.1)
        self.assertEqual((self.told, "7" in self.grace), (["7"], False))
        self.clock.advance(10)
        self.assertEqual(self.told, ["7"])

    def test_back(self) -> None:
        """Delays: one who comes back in time was not gone; the caller learns it, once."""
        self.gone("7")
        self.gone("8")
        self.assertEqual([self.grace.back("7"), self.grace.back("7"), self.grace.back("9")], [True, False, False])
        self.clock.advance(3)
        self.assertEqual(self.told, ["8"])

    def test_too_late(self) -> None:
        """Delays: one who comes back after the time begins anew."""
        self.gone("7")
        self.clock.advance(3)
        self.assertFalse(self.grace.back("7"))

    def test_gone_twice(self) -> None:
        """Delays: an end that comes again is told once, the whole time after it."""
        self.gone("7")
        self.clock.advance(2)
        self.gone("7")
        self.clock.advance(2.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        self.assertEqual(self.told, ["7"])

    def test_stop(self) -> None:
        """What is forgotten is not told, and no call is left waiting."""
        self.gone("7")
        self.gone("8")
        self.grace.stop()
        self.assertEqual((self.clock.getDelayedCalls(), "7" in self.grace), ([], False))

    def test_again_while_told(self) -> None:
        """Delays: who ends again while his end is being told is held back anew."""
        self.grace.gone("7", lambda: self.gone("7"))
        self.clock.advance(3)
        self.assertEqual((self.told, "7" in self.grace), ([], True))
        self.clock.advance(3)
        self.assertEqual(self.told, ["7"])
