"""Subscription counts: how many are on a channel, told to those who are on it."""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from tests.builders import Client, Listener, MemoryNode, SlowBroker, make_app, make_member

COUNT = "pusher_internal:subscription_count"


class SubscriptionCountsTestCase(SynchronousTestCase):
    """A node whose app tells counts."""

    def setUp(self) -> None:
        """Start it."""
        self.begin()

    def begin(self, broker: Any = None, **changes: Any) -> None:
        """Start it with a broker, and an app changed as named."""
        self.app = make_app(**{"subscription_counts": True} | changes)
        self.node = MemoryNode(self.app) if broker is None else MemoryNode(self.app, broker=broker)
        self.listeners: list[Listener] = []

    def join(self, count: int, channel: str = "news") -> None:
        """Let so many more subscribers in."""
        for _ in range(count):
            listener = Listener(self.app, f"{len(self.listeners)}.1")
            self.listeners.append(listener)
            self.node.registry.join(listener, channel, None)

    def leave(self, count: int) -> None:
        """Let so many of the last subscribers go."""
        for _ in range(count):
            self.node.registry.leave(self.listeners.pop(), "news", None)

    def heard(self, number: int = 0) -> list[int]:
        """Give the counts that a subscriber heard."""
        return [
            json.loads(data)["subscription_count"] for event, data in self.listeners[number].heard if event == COUNT
        ]

    def told(self) -> list[int]:
        """Give the counts that the app was told."""
        return [each["subscription_count"] for each in self.node.told("subscription_count")]


class Small(SubscriptionCountsTestCase):
    """Subscription count: up to a hundred connections."""

    def test_each_change(self) -> None:
        """Subscription count: each change is told at once to all who are on the channel, the newcomer included."""
        self.join(3)
        self.assertEqual([self.heard(number) for number in range(3)], [[1, 2, 3], [2, 3], [3]])
        [gone] = self.listeners[2:]
        self.leave(1)
        self.assertEqual((self.heard(0), self.heard(1)), ([1, 2, 3, 2], [2, 3, 2]))
        self.assertEqual(len(gone.heard), 1)
        self.assertEqual(self.told(), [1, 2, 3, 2])

    def test_message(self) -> None:
        """Subscription count: success first, then the message; the app is told an integer."""
        self.join(1)
        self.assertEqual([what for what, *_ in self.listeners[0].story], ["joined", "heard"])
        self.assertEqual(
            self.listeners[0].messages[0].text,
            rb'{"event":"pusher_internal:subscription_count","channel":"news","data":"{\"subscription_count\":1}"}',
        )
        self.assertEqual(
            self.node.told("subscription_count"),
            [{"name": "subscription_count", "channel": "news", "subscription_count": 1}],
        )

    def test_off(self) -> None:
        """Subscription count: it is off by default, for subscribers and for the app."""
        self.assertFalse(make_app().subscription_counts)
        self.begin(subscription_counts=False)
        self.join(2)
        self.assertEqual((self.heard(0), self.told()), ([], []))

    def test_last(self) -> None:
        """Subscription count: when the last has gone the app is told 0, and nobody else anything."""
        self.join(1)
        published: list[str] = []
        self.patch(self.node.broker, "publish", lambda _app, channel, *_: published.append(channel))
        self.leave(1)
        self.assertEqual((self.told(), published), ([1, 0], []))

    def test_connections(self) -> None:
        """Subscription count: connections count; leaving what one is not on changes nothing."""
        self.join(1)
        self.node.registry.leave(Listener(self.app, "9.9"), "news", None)
        self.join(1, "other")
        self.assertEqual((self.heard(0), self.told()), ([1], [1, 1]))

    def test_presence(self) -> None:
        """Subscription count: presence channels have none; their members say it."""
        for number, channel in enumerate(("presence-a", "presence-cache-a")):
            listener = Listener(self.app, f"{number}.1")
            self.node.registry.join(listener, channel, make_member("7"))
            self.assertNotIn(COUNT, [event for event, _ in listener.heard])
            self.node.registry.leave(listener, channel, make_member("7"))
        self.assertEqual(self.told(), [])

    def test_inbox(self) -> None:
        """Subscription count: a user's inbox has none."""
        client = Client(self.node)
        client.sign_in("7")
        client.subscribe("#server-to-user-7")
        self.assertNotIn(COUNT, client.events())
        self.assertEqual(self.told(), [])

    def test_other_kinds(self) -> None:
        """Subscription count: private, encrypted and cache channels have it like public ones."""
        for number, channel in enumerate(("private-a", "private-encrypted-a", "cache-a", "private-cache-a")):
            listener = Listener(self.app, f"{number}.1")
            self.node.registry.join(listener, channel, None)
            self.assertEqual(listener.heard[-1], (COUNT, '{"subscription_count":1}'))

    def test_after_what_is_cached(self) -> None:
        """Cache channels: what is remembered comes right after success, before the count."""
        self.node.registry.publish(self.app, "cache-a", "e", "{}", None)
        self.join(1, "cache-a")
        self.assertEqual([event for event, _ in self.listeners[0].heard], ["e", COUNT])

    def test_recounted(self) -> None:
        """Many nodes: where a node died, or came back, who is left is told how many they are, and so is the app."""
        self.join(2)
        self.node.node.recounted(self.app, "news")
        self.assertEqual((self.heard(0), self.heard(1), self.told()), ([1, 2, 2], [2, 2], [1, 2, 2]))

    def test_exclusion(self) -> None:
        """Subscription count: one who unsubscribes hears no count afterwards, the others do."""
        one, two = Client(self.node), Client(self.node)
        one.subscribe("news")
        two.subscribe("news")
        one.heard()
        two.go()
        self.assertEqual(one.heard(), [(COUNT, {"subscription_count": 1})])


class Large(SubscriptionCountsTestCase):
    """Subscription count: more than a hundred connections."""

    def test_boundary(self) -> None:
        """Subscription count: a hundred connections hear each change at once; the next change is the last to."""
        self.join(100)
        self.assertEqual(self.heard(), list(range(1, 101)))
        self.join(1)
        self.assertEqual(self.heard()[-1], 101)
        self.join(2)
        self.leave(1)
        self.assertEqual((self.heard()[-1], self.told()[-1]), (101, 101))

    def test_every_five_seconds(self) -> None:
        """Subscription count: with more, a message every five seconds tells what has changed, if anything."""
        self.join(110)
        before = len(self.heard())
        self.node.clock.advance(4.9)
        self.assertEqual(len(self.heard()), before)
        self.node.clock.advance(0.1)
        self.assertEqual(self.heard()[before:], [110])
        self.join(5)
        self.leave(2)
        self.node.clock.advance(5)
        self.assertEqual(self.heard()[before:], [110, 113])
        self.assertEqual(self.told()[before:], [110, 113])

    def test_quiet(self) -> None:
        """Subscription count: where nothing changes nothing is told, and no call is left waiting."""
        self.join(101)
        before = self.heard()
        self.node.clock.pump([5.0] * 10)
        self.assertEqual(self.heard(), before)
        self.assertEqual(self.node.counts._resting, {})
        self.join(1)
        self.assertEqual(self.heard()[-1], 102)

    def test_small_again(self) -> None:
        """Subscription count: a channel that has become small tells each change at once again, after its rest."""
        self.join(101)
        self.leave(50)
        self.node.clock.advance(5)
        self.assertEqual(self.heard()[-1], 51)
        self.leave(1)
        self.assertEqual(self.heard()[-1], 50)

    def test_vacated(self) -> None:
        """Subscription count: when all have gone the app is told 0 once the rest is over, and nothing is left."""
        self.join(101)
        self.leave(101)
        self.node.clock.advance(5)
        self.assertEqual((self.told()[-1], self.node.counts._resting), (0, {}))

    def test_channels_and_apps(self) -> None:
        """Subscription count: a large channel holds up no other one, nor one of its name in another app."""
        self.join(101)
        self.join(1, "other")
        other = make_app("another-key", subscription_counts=True)
        listener = Listener(other, "1.2")
        self.node.registry.join(listener, "news", None)
        self.assertEqual(self.heard(101), [1])
        self.assertEqual([event for event, _ in listener.heard], [COUNT])

    def test_stopped(self) -> None:
        """Subscription count: once the server stops nothing more is told, and no call is left waiting."""
        self.join(102)
        before = self.heard()
        self.node.stop()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
        self.node.clock.advance(5)
        self.assertEqual(self.heard(), before)


class CountingTakesTime(SubscriptionCountsTestCase):
    """Subscription count, with a broker that answers when told."""

    def test_large(self) -> None:
        """Subscription count: changes that come while a large channel is being counted do not make it tell more."""
        self.begin(SlowBroker)
        broker = cast(SlowBroker, self.node.broker)
        for _ in range(3):
            self.join(50)
        broker.answer()
        told = len(self.told())
        for _ in range(6):
            self.node.clock.advance(5)
            self.join(1)
            self.join(1)
            broker.answer()
        self.assertLessEqual(len(self.told()) - told, 6)

    def test_no_fault(self) -> None:
        """Subscription count: however late the counts come, the time after them is no fault."""
        self.begin(SlowBroker)
        broker = cast(SlowBroker, self.node.broker)
        self.join(102)
        broker.answer()
        self.node.clock.advance(5)
        broker.answer()
        self.node.clock.advance(5)
        self.assertEqual((self.heard()[-1], self.node.counts._resting), (102, {}))
