"""Clients, subscribers, registry and a slow broker together, beside a model of who is where."""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from slanger.interfaces import IConnected
from slanger.services.subscribers import Subscribers
from tests.builders import KEY, MemoryNode, SlowBroker, Wire, make_app, subscribe, unsubscribe
from tests.strategies import PROPERTY

USERS = ("1", "1", "2", "3")
"""Four clients, two of them of one user; there is room for two users in a room."""

CLIENTS = st.sampled_from(range(len(USERS)))
CHANNELS = st.sampled_from(["news", "private-a", "presence-a", "presence-b"])
LIMIT = 2


class Client:
    """What an official client makes of what it hears: where it is, with whom, and which events it got."""

    def __init__(self, subscribers: Subscribers, user_id: str) -> None:
        self.user_id = user_id
        self.wire = Wire()
        self.connected: IConnected = subscribers.connect(self.wire, KEY, "7", None)
        self.socket_id: str = json.loads(self.wire.said[0]["data"])["socket_id"]
        self.wire.messages.clear()
        self.on: set[str] = set()
        self.members: dict[str, set[str]] = {}
        self.refused: list[str] = []
        self.events: list[tuple[str, str]] = []

    def listen(self) -> None:
        """Take in what came; anything that would confuse a client is a failure."""
        said = self.wire.said
        self.wire.messages.clear()
        for frame in said:
            channel, data = frame.get("channel", ""), frame["data"]
            match frame["event"]:
                case "pusher_internal:subscription_succeeded":
                    assert channel not in self.on
                    self.on.add(channel)
                    if channel.startswith("presence-"):
                        ids = json.loads(data)["presence"]["ids"]
                        assert len(set(ids)) == len(ids)
                        assert self.user_id in ids
                        self.members[channel] = set(ids)
                case "pusher_internal:member_added":
                    user_id = json.loads(data)["user_id"]
                    assert user_id not in self.members[channel]
                    self.members[channel].add(user_id)
                case "pusher_internal:member_removed":
                    self.members[channel].remove(json.loads(data)["user_id"])
                case "pusher:subscription_error":
                    self.refused.append(channel)
                case "e":
                    assert channel in self.on
                    self.events.append((channel, data))

    def forget(self, channel: str) -> None:
        """Be on a channel no longer."""
        self.on.discard(channel)
        self.members.pop(channel, None)


class ClusterOfOne(RuleBasedStateMachine):
    """Anyone does anything in any order; the broker answers now and then.

    `wanted` is where each client is or will be; `asked` is what the broker was asked and has not done yet; `held` is
    who is present by what was done.
    """

    @initialize()
    def begin(self) -> None:
        """Connect everybody."""
        self.app = make_app(presence_members=LIMIT)
        node = MemoryNode(self.app, broker=SlowBroker)
        assert isinstance(node.broker, SlowBroker)
        self.broker, self.registry, self.subscribers = node.broker, node.registry, node.subscribers
        self.clients = [Client(self.subscribers, user_id) for user_id in USERS]
        self.wanted: list[set[str]] = [set() for _ in USERS]
        self.on: list[set[str]] = [set() for _ in USERS]
        self.asked: list[tuple[str, int, str]] = []
        self.held: dict[str, dict[str, set[int]]] = {}
        self.expected: list[list[tuple[str, str]]] = [[] for _ in USERS]
        self.published = 0

    @rule(number=CLIENTS, channel=CHANNELS)
    def subscribe(self, number: int, channel: str) -> None:
        """A client asks for a channel."""
        client = self.clients[number]
        presence = channel.startswith("presence-")
        text = subscribe(channel, client.user_id if presence else None, socket_id=client.socket_id)
        client.connected.receive(text)
        if channel not in self.wanted[number]:
            self.wanted[number].add(channel)
            if presence:
                self.asked.append(("enter", number, channel))
            else:
                self.on[number].add(channel)
        client.listen()

    @rule(number=CLIENTS, channel=CHANNELS)
    def unsubscribe(self, number: int, channel: str) -> None:
        """A client leaves a channel."""
        client = self.clients[number]
        client.connected.receive(unsubscribe(channel))
        self.left(number, channel)
        client.listen()
        client.forget(channel)

    @rule(number=CLIENTS)
    def reconnect(self, number: int) -> None:
        """A client is lost and comes back."""
        client = self.clients[number]
        client.connected.gone(1006)
        assert not client.wire.messages, "it was told something after it was lost"
        for channel in sorted(self.wanted[number]):
            self.left(number, channel)
        self.clients[number] = Client(self.subscribers, client.user_id)
        self.expected[number] = []

    def left(self, number: int, channel: str) -> None:
        """Note in the model that a client is off a channel."""
        if channel in self.wanted[number]:
            self.wanted[number].remove(channel)
            self.on[number].discard(channel)
            if channel.startswith("presence-"):
                self.asked.append(("leave", number, channel))

    @rule(channel=CHANNELS, excluded=st.none() | CLIENTS)
    def publish(self, channel: str, excluded: int | None) -> None:
        """The app publishes an event."""
        self.published += 1
        exclude = None if excluded is None else self.clients[excluded].socket_id
        self.registry.publish(self.app, channel, "e", str(self.published), exclude)
        for number, client in enumerate(self.clients):
            if channel in self.on[number] and number != excluded:
                self.expected[number].append((channel, str(self.published)))
            client.listen()
            assert client.events == self.expected[number]

    @rule()
    def answer(self) -> None:
        """The broker does all it was asked."""
        refused: list[list[str]] = [[] for _ in USERS]
        last = {(number, channel): place for place, (_, number, channel) in enumerate(self.asked)}
        for place, (what, number, channel) in enumerate(self.asked):
            room, user_id = self.held.setdefault(channel, {}), USERS[number]
            if what == "leave":
                room.get(user_id, set()).discard(number)
                if not room.get(user_id, True):
                    del room[user_id]
            elif user_id in room or len(room) < LIMIT:
                room.setdefault(user_id, set()).add(number)
                if last[number, channel] == place:
                    self.on[number].add(channel)
            elif last[number, channel] == place:
                refused[number].append(channel)
                self.wanted[number].remove(channel)
        self.asked.clear()
        self.broker.answer()
        for number, client in enumerate(self.clients):
            client.listen()
            assert sorted(client.refused) == sorted(refused[number])
            client.refused.clear()
            for channel, members in client.members.items():
                assert members == set(self.held[channel]), "a client sees others than there are"

    @invariant()
    def agrees(self) -> None:
        """Everybody is where the model has him, and only there; no table holds more."""
        channels = set().union(*self.on)
        assert set(self.registry.channels(self.app)) == channels
        for channel in channels:
            assert self.registry.subscriptions(self.app, channel) == sum(channel in on for on in self.on)
        for number, client in enumerate(self.clients):
            assert client.on == self.on[number]
        assert {channel for _, channel in self.broker._rosters} == {each for each, room in self.held.items() if room}

    def teardown(self) -> None:
        """Everybody leaves, and nothing is left."""
        for client in self.clients:
            client.connected.gone(1006)
        self.broker.answer()
        assert not list(self.registry.channels(self.app))
        assert not self.broker._rosters
        assert not self.registry._joining
        assert not self.subscribers._connected


class ClusterOfOneTest(SynchronousTestCase):
    """A node, and its model."""

    def test_anything(self) -> None:
        """Everybody hears what he should and nothing else, in whatever order clients, app and broker act."""
        run_state_machine_as_test(ClusterOfOne, settings=settings(PROPERTY, max_examples=300))
