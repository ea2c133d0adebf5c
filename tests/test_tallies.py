"""What is counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.apps import App
from slanger.tallies import Histogram, Tallies, Tally
from tests.builders import make_app

BOUNDS = (1, 2, 5)


class HistogramTests(SynchronousTestCase):
    """How often a value came up."""

    def test_bounds(self) -> None:
        """Histogram: a bound belongs to its own bucket, what is beyond the last to one more."""
        histogram = Histogram("sizes", BOUNDS)
        for value in (0, 1, 1.5, 2, 5, 6, 100):
            histogram.observe(value)
        self.assertEqual((histogram.counts, histogram.sum), ([2, 2, 1, 2], 115.5))

    @given(st.lists(st.integers(-3, 9)))
    def test_any(self, values: list[int]) -> None:
        """Histogram: each bucket has what is above the bound before, and not above its own."""
        histogram = Histogram("sizes", BOUNDS)
        for value in values:
            histogram.observe(value)
        edges = (float("-inf"), *BOUNDS, float("inf"))
        expected = [sum(low < value <= high for value in values) for low, high in pairwise(edges)]
        self.assertEqual((histogram.counts, histogram.sum), (expected, sum(values)))


class TallyTests(SynchronousTestCase):
    """Numbers by labels."""

    def test_counts(self) -> None:
        """Tally: each combination of labels has a number, from nothing on."""
        tally = Tally("refused", "app", "reason")
        tally["1", "origin"] += 1
        tally["1", "origin"] += 2
        tally["2", "origin"] += 1
        self.assertEqual(dict(tally), {("1", "origin"): 3, ("2", "origin"): 1})
        self.assertEqual((tally.text, tally.labels), ("refused", ("app", "reason")))


class TalliesTests(SynchronousTestCase):
    """All of a node."""

    def setUp(self) -> None:
        """Make them, with a clock that is set by hand."""
        self.now = 10.0
        self.tallies = Tallies(lambda: self.now)

    def test_same_name(self) -> None:
        """Metrics: apps that have one id are counted as one there, also when one of them has come to it later."""
        one, two = (make_app(key, id=name) for key, name in (("a", "7"), ("b", "8")))
        for app, count in ((one, 3), (two, 4)):
            meter = self.tallies.of(app)
            meter.connections, meter.api_events = count, 10 * count
            meter.channels["public"] += count
            meter.requests["events", 200] += count
            meter.fan_out.observe(count)
        self.assertEqual([m.app for m in self.tallies.meters], ["", "7", "8"])
        self.tallies.show(replace(two, id="7"))
        _, both = self.tallies.meters
        self.assertEqual((both.app, both.connections, both.api_events), ("7", 7, 70))
        self.assertEqual((both.channels, both.requests), ({"public": 7}, {("events", 200): 7}))
        self.assertEqual((both.fan_out.sum, sum(both.fan_out.counts)), (7, 2))
        self.assertEqual((self.tallies.of(one).connections, self.tallies.of(two).connections), (3, 4))

    def test_meters(self) -> None:
        """Meter: an app has one, by its id, or by its key where it has none; that of nobody comes first."""
        one, two = make_app(id="7"), App(key="k", secret="s")
        self.tallies.of(one).connections += 1
        self.tallies.of(two)
        self.assertIs(self.tallies.of(one), self.tallies.of(make_app(id="7")))
        self.assertEqual([(m.app, m.connections) for m in self.tallies.meters], [("", 0), ("7", 1), ("k", 0)])

    def test_publish_seconds(self) -> None:
        """Publish latency: each event counts from when it was taken until all of its turn was handed on, once."""
        self.tallies.published()
        self.now = 10.5
        self.tallies.published()
        self.now = 10.75
        self.tallies.sent()
        self.tallies.sent()
        self.assertEqual((sum(self.tallies.publish_seconds.counts), self.tallies.publish_seconds.sum), (2, 1.0))

    def test_all(self) -> None:
        """Every tally and every histogram is found by its name, whoever added it."""
        added = self.tallies.added_tomorrow = Tally("added")  # type: ignore[attr-defined]
        self.assertIn(("added_tomorrow", added), list(self.tallies.all_tallies()))
        self.assertEqual(
            [name for name, _ in self.tallies.all_histograms()], ["publish_seconds", "event_loop_lag_seconds"]
        )
