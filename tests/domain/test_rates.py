"""Rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.rates import Bucket


class BucketTests(SynchronousTestCase):
    """So many per second."""

    def test_burst(self) -> None:
        """Rates: as many as a second holds may pass at once, and no more in the same moment."""
        bucket = Bucket()
        self.assertEqual([bucket.take(3, 100.0) for _ in range(5)], [True, True, True, False, False])

    def test_steady(self) -> None:
        """Rates: one that comes each third of a second always passes three a second."""
        bucket = Bucket()
        self.assertTrue(all(bucket.take(3, 100.0 + number / 3 + number * 1e-9) for number in range(100)))

    def test_recovers(self) -> None:
        """Rates: after a second of silence the bucket is full again, however long the silence was."""
        for silence in (1.0, 1000.0):
            bucket = Bucket()
            while bucket.take(3, 100.0):
                pass
            self.assertEqual([bucket.take(3, 100.0 + silence) for _ in range(4)], [True, True, True, False])

    def test_clock_set_back(self) -> None:
        """Rates: a clock that is set back neither fills the bucket nor stops it for good."""
        bucket = Bucket()
        while bucket.take(3, 1000.0):
            pass
        self.assertFalse(bucket.take(3, 10.0))
        self.assertTrue(bucket.take(3, 10.5))

    @given(st.lists(st.floats(0, 2), max_size=60), st.integers(1, 20))
    def test_bound(self, pauses: list[float], rate: int) -> None:
        """Rates: in any stretch of time no more pass than a full bucket and what flows in meanwhile."""
        bucket, now, passed = Bucket(), 0.0, []
        for pause in pauses:
            now += pause
            passed += [now for _ in range(5) if bucket.take(rate, now)]
        for first, begin in enumerate(passed):
            for last in range(first, len(passed)):
                self.assertLessEqual(last - first + 1, rate + (passed[last] - begin) * rate + 1e-6)
