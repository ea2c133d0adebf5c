"""What cache channels remember, against a model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.cache import ENTRY_BYTES, CachedEvent, EventCache
from tests.strategies import PROPERTY

TTL = 10
MOST_BYTES = 3 * ENTRY_BYTES + 40


class EventCacheTest(SynchronousTestCase):
    """Cache channels: the last event of each, for a time, within a bound."""

    def setUp(self) -> None:
        """Begin with nothing."""
        self.cache = EventCache(TTL, MOST_BYTES)

    def data(self, channel: str, now: float = 0, app: str = "app") -> str | None:
        """Give the data that a channel remembers."""
        cached = self.cache.get(app, channel, now)
        return None if cached is None else cached.data

    def test_time(self) -> None:
        """Cache channels: an event is remembered up to its time, and not at it; the rest of the time goes down."""
        self.cache.put("app", "cache-a", "e", "1", 100.0)
        self.assertEqual(self.cache.get("app", "cache-a", 100.0), CachedEvent("e", "1", 10.0))
        self.assertEqual(self.cache.get("app", "cache-a", 109.5), CachedEvent("e", "1", 0.5))
        self.assertIsNone(self.cache.get("app", "cache-a", 110.0))

    def test_replaced(self) -> None:
        """Cache channels: the last event stands, with a time of its own."""
        self.cache.put("app", "cache-a", "e", "1", 0)
        self.cache.put("app", "cache-a", "f", "2", 9)
        self.assertEqual(self.cache.get("app", "cache-a", 18), CachedEvent("f", "2", 1))
        self.assertEqual(len(self.cache), 1)

    def test_apps_and_channels(self) -> None:
        """Apps never see each other's events, nor channels each other's."""
        self.cache.put("app", "cache-a", "e", "1", 0)
        self.assertEqual((self.data("cache-a"), self.data("cache-b"), self.data("cache-a", app="b")), ("1", None, None))

    def test_oldest_goes(self) -> None:
        """Bounded: where space runs out the oldest event goes; one that was replaced is not old."""
        for channel in ("cache-1", "cache-2", "cache-3"):
            self.cache.put("app", channel, "e", "12345", 0)
        self.cache.put("app", "cache-1", "e", "54321", 0)
        self.cache.put("app", "cache-4", "e", "12345", 0)
        self.assertEqual([self.data(f"cache-{number}") for number in range(1, 5)], ["54321", None, "12345", "12345"])

    def test_exact_bound(self) -> None:
        """Bounded: as many bytes as are allowed stay, one more does not."""
        self.cache.put("app", "cache-a", "e", "x" * (MOST_BYTES - ENTRY_BYTES - 8), 0)
        self.assertEqual(len(self.cache), 1)
        self.cache.put("app", "cache-a", "e", "x" * (MOST_BYTES - ENTRY_BYTES - 7), 0)
        self.assertEqual(len(self.cache), 0)

    def test_bytes_count(self) -> None:
        """Bounded: bytes count, not characters: of data, and of an event's name."""
        self.cache.put("app", "cache-a", "e", "\u00fc" * (MOST_BYTES - ENTRY_BYTES - 10), 0)
        self.assertEqual(len(self.cache), 0)
        self.cache.put("app", "cache-a", "\u00fc" * (MOST_BYTES - ENTRY_BYTES - 10), "", 0)
        self.assertEqual(len(self.cache), 0)

    def test_too_large(self) -> None:
        """Bounded: an event larger than all the space is not kept, nor the one that it replaced."""
        self.cache.put("app", "cache-a", "e", "1", 0)
        self.cache.put("app", "cache-a", "e", "x" * MOST_BYTES, 0)
        self.assertIsNone(self.data("cache-a"))

    def test_forgotten_leave_nothing(self) -> None:
        """Bounded: what was forgotten takes no space once something new comes."""
        for number in range(3):
            self.cache.put("app", f"cache-{number}", "e", "1", number)
        self.cache.put("app", "cache-9", "e", "1", TTL + 1)
        self.assertEqual(len(self.cache), 2)


class CacheBesideModel(RuleBasedStateMachine):
    """Events come and go; the model is a list of all of them, newest last."""

    @initialize()
    def begin(self) -> None:
        """Begin with nothing."""
        self.cache = EventCache(TTL, MOST_BYTES)
        self.events: list[tuple[str, str, float]] = []
        self.now = 0.0

    @rule(channel=st.sampled_from(["cache-a", "cache-b", "cache-c", "cache-d"]), size=st.integers(0, 40))
    def put(self, channel: str, size: int) -> None:
        """An event comes."""
        data = "x" * size
        self.cache.put("app", channel, "e", data, self.now)
        self.events = [each for each in self.events if each[0] != channel and each[2] > self.now]
        self.events.append((channel, data, self.now + TTL))
        while sum(ENTRY_BYTES + len(channel) + 1 + len(data) for channel, data, _ in self.events) > MOST_BYTES:
            self.events.pop(0)

    @rule(seconds=st.sampled_from([0.5, 3, 9.5, 10]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @invariant()
    def agrees(self) -> None:
        """Each channel remembers what the model does, as long."""
        expected = {channel: (data, end) for channel, data, end in self.events if end > self.now}
        for channel in ("cache-a", "cache-b", "cache-c", "cache-d"):
            cached = self.cache.get("app", channel, self.now)
            found = None if cached is None else (cached.data, self.now + cached.ttl)
            assert found == expected.get(channel)
        assert len(self.cache) == len(self.events)


class CacheBesideModelTest(SynchronousTestCase):
    """A cache, and its model."""

    def test_anything(self) -> None:
        """Cache channels: whatever is put when, each channel remembers its last event while time and space last."""
        run_state_machine_as_test(CacheBesideModel, settings=PROPERTY)
