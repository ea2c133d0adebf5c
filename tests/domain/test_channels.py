"""The channel table, against a model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.channels import Channels
from tests.strategies import PROPERTY

CHANNELS = st.sampled_from(["news", "private-a", "presence-a"])
SOCKET_IDS = st.sampled_from(["1.1", "2.2", "3.3"])


class ChannelEdges(SynchronousTestCase):
    """The first in and the last out."""

    def test_first_and_last(self) -> None:
        """The first subscriber makes a channel, the last takes it with him, and nothing remains."""
        channels: Channels[str] = Channels()
        self.assertEqual([channels.add("news", "1.1", "Ann"), channels.add("news", "2.2", "Bo")], [True, False])
        self.assertEqual(dict(channels.on("news")), {"1.1": "Ann", "2.2": "Bo"})
        self.assertEqual([channels.remove("news", "1.1"), channels.remove("news", "2.2")], [False, True])
        self.assertEqual((list(channels), len(channels), channels.count("news")), ([], 0, 0))

    def test_never_on(self) -> None:
        """One who was never on a channel changes nothing by leaving."""
        channels: Channels[str] = Channels()
        self.assertFalse(channels.remove("news", "1.1"))
        channels.add("news", "1.1", "Ann")
        self.assertFalse(channels.remove("news", "2.2"))
        self.assertEqual(channels.count("news"), 1)

    def test_asking_makes_nothing(self) -> None:
        """Asking about a channel does not make it, and what is handed out for none cannot be changed."""
        channels: Channels[str] = Channels()
        self.assertEqual((dict(channels.on("news")), channels.count("news")), ({}, 0))
        self.assertEqual(list(channels), [])
        self.assertFalse(hasattr(channels.on("news"), "__setitem__"))

    def test_order(self) -> None:
        """Subscribers come in the order they joined."""
        channels: Channels[int] = Channels()
        for number in (3, 1, 2):
            channels.add("news", f"{number}.0", number)
        self.assertEqual(list(channels.on("news").values()), [3, 1, 2])


class ChannelTable(RuleBasedStateMachine):
    """The table beside a dictionary of sets."""

    @initialize()
    def begin(self) -> None:
        """Begin with nobody."""
        self.channels: Channels[str] = Channels()
        self.model: dict[str, set[str]] = {}

    @rule(channel=CHANNELS, socket_id=SOCKET_IDS)
    def add(self, channel: str, socket_id: str) -> None:
        """The first is told to be the first."""
        subscribers = self.model.setdefault(channel, set())
        assert self.channels.add(channel, socket_id, f"subscriber {socket_id}") == (not subscribers)
        subscribers.add(socket_id)

    @rule(channel=CHANNELS, socket_id=SOCKET_IDS)
    def remove(self, channel: str, socket_id: str) -> None:
        """The last is told to be the last, once."""
        subscribers = self.model.get(channel, set())
        assert self.channels.remove(channel, socket_id) == (subscribers == {socket_id})
        subscribers.discard(socket_id)
        if not subscribers:
            self.model.pop(channel, None)

    @invariant()
    def agrees(self) -> None:
        """Only occupied channels exist, each with its subscribers."""
        assert set(self.channels) == set(self.model)
        assert len(self.channels) == len(self.model)
        for channel, subscribers in self.model.items():
            assert self.channels.count(channel) == len(subscribers)
            assert dict(self.channels.on(channel)) == {each: f"subscriber {each}" for each in subscribers}


class ChannelTableTest(SynchronousTestCase):
    """The table, and its model."""

    def test_anything(self) -> None:
        """The table is what a dictionary of sets is, whoever comes and goes."""
        run_state_machine_as_test(ChannelTable, settings=PROPERTY)
