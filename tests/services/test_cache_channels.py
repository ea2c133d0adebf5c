"""Cache channels: what the registry shows to those who come."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slanger.brokers.alone import Alone
from slanger.domain.apps import App
from slanger.domain.cache import CachedEvent
from slanger.interfaces import IBroker
from tests.builders import Client, Listener, MemoryNode, SlowBroker, make_app, make_member

ANN = make_member("1")
MISS = ("heard", "pusher:cache_miss", "{}")
KINDS = ("cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a")


class CacheChannels(SynchronousTestCase):
    """Cache channels, with a broker that answers at once."""

    def setUp(self) -> None:
        """Start a node with two subscribers who are on nothing yet."""
        self.app = make_app()
        self.node = MemoryNode(self.app)
        self.registry = self.node.registry
        self.one, self.two = Listener(self.app, "1.1"), Listener(self.app, "2.1")

    def publish(self, channel: str, data: str, exclude: str | None = None) -> None:
        """Publish an event of the app."""
        self.registry.publish(self.app, channel, "e", data, exclude)

    def join(self, listener: Listener, channel: str) -> None:
        """Join, as the only user there is where it is a presence channel."""
        self.registry.join(listener, channel, ANN if channel.startswith("presence-") else None)

    def test_hit(self) -> None:
        """Cache channels: success first, then the last event as it was, then live ones; on all four kinds."""
        for channel in KINDS:
            listener = Listener(self.app, "1.1")
            self.publish(channel, "before")
            self.publish(channel, " last ")
            self.join(listener, channel)
            self.publish(channel, "live")
            (what, *_), *heard = listener.story
            self.assertEqual((what, heard), ("joined", [("heard", "e", " last "), ("heard", "e", "live")]))
            self.assertEqual(
                listener.messages[0].text, b'{"event":"e","channel":"%s","data":" last "}' % channel.encode()
            )
        self.assertEqual(self.node.told("cache_miss"), [])

    def test_miss(self) -> None:
        """Cache channels: success first, then a miss where nothing was ever sent, then live events; on all kinds."""
        for channel in KINDS:
            listener = Listener(self.app, "1.1")
            self.join(listener, channel)
            self.publish(channel, "live")
            (what, *_), *heard = listener.story
            self.assertEqual((what, heard), ("joined", [MISS, ("heard", "e", "live")]))
        self.assertEqual([each["channel"] for each in self.node.told("cache_miss")], list(KINDS))

    def test_presence(self) -> None:
        """Cache channels: on a presence channel the list of members comes first, then the event."""
        self.join(self.one, "presence-cache-a")
        self.publish("presence-cache-a", "last")
        self.registry.join(self.two, "presence-cache-a", make_member("2"))
        (what, _, roster), *heard = self.two.story
        self.assertEqual((what, heard), ("joined", [("heard", "e", "last")]))
        self.assertIn('"ids":["1","2"]', roster)

    def test_once_told(self) -> None:
        """Cache channels: several who meet the same empty channel are told to the app once."""
        self.join(self.one, "cache-a")
        self.join(self.two, "cache-a")
        self.assertEqual((self.one.story[1:], self.two.story[1:]), ([MISS], [MISS]))
        self.assertEqual(self.node.told("cache_miss"), [{"name": "cache_miss", "channel": "cache-a"}])

    def test_plain(self) -> None:
        """Cache channels: any other channel remembers nothing, and misses nothing."""
        for channel in ("news", "private-a", "presence-a", "private-encrypted-a", "Cache-a", "my-cache-a", "cached"):
            listener = Listener(self.app, "1.1")
            self.publish(channel, "before")
            self.join(listener, channel)
            self.assertEqual([what for what, *_ in listener.story], ["joined"], channel)
            self.assertIsNone(self.successResultOf(self.registry.recall(self.app, channel)))

    def test_client_events(self) -> None:
        """Cache channels: client events are not remembered, and take no place of one that is."""
        self.join(self.one, "private-cache-a")
        self.registry.whisper(self.one, "private-cache-a", "client-a", "whispered", None)
        self.join(self.two, "private-cache-a")
        self.assertEqual(self.two.story[1:], [MISS])
        self.registry.leave(self.two, "private-cache-a", None)
        self.publish("private-cache-a", "last")
        self.registry.whisper(self.one, "private-cache-a", "client-a", "whispered", None)
        self.join(self.two, "private-cache-a")
        self.assertEqual(self.two.heard[-1], ("e", "last"))

    def test_excluded(self) -> None:
        """Cache channels: an event that one socket was kept from is remembered like any other."""
        self.publish("cache-a", "last", exclude="1.1")
        self.join(self.one, "cache-a")
        self.assertEqual(self.one.heard, [("e", "last")])

    def test_internal_events(self) -> None:
        """Cache channels: what the server itself says on a channel is not remembered."""
        app = make_app("another-key", subscription_counts=True)
        self.registry.join(Listener(app, "3.1"), "cache-a", None)
        self.assertIsNone(self.successResultOf(self.registry.recall(app, "cache-a")))

    def test_nobody_subscribed(self) -> None:
        """Cache channels: an event is remembered while nobody is subscribed, up to its time."""
        self.join(self.one, "cache-a")
        self.publish("cache-a", "last")
        self.registry.leave(self.one, "cache-a", None)
        self.node.clock.advance(1799)
        self.assertEqual(self.successResultOf(self.registry.recall(self.app, "cache-a")), CachedEvent("e", "last", 1.0))
        self.node.clock.advance(1)
        self.join(self.two, "cache-a")
        self.assertEqual(self.two.story[1:], [MISS])

    def test_session(self) -> None:
        """Cache channels: a client hears success and miss, and hears the last event when it comes back."""
        client = Client(self.node)
        client.subscribe("private-cache-a")
        self.assertEqual(client.events(), ["pusher_internal:subscription_succeeded", "pusher:cache_miss"])
        self.publish("private-cache-a", "{}")
        client.go()
        client = Client(self.node)
        client.subscribe("private-cache-a")
        self.assertEqual(client.events(), ["pusher_internal:subscription_succeeded", "e"])


class RecallTakesTime(SynchronousTestCase):
    """Cache channels, with a broker that answers when told."""

    def setUp(self) -> None:
        """Start a node with such a broker."""
        self.app = make_app()
        self.node = MemoryNode(self.app, broker=SlowBroker)
        self.broker, self.registry = cast(SlowBroker, self.node.broker), self.node.registry
        self.one = Listener(self.app, "1.1")

    def publish(self, data: str) -> None:
        """Publish an event of the app."""
        self.registry.publish(self.app, "cache-a", "e", data, None)

    def test_leave_before_the_answer(self) -> None:
        """One who leaves before the answer hears nothing and is on nothing; no miss is told."""
        self.registry.join(self.one, "cache-a", None)
        self.registry.leave(self.one, "cache-a", None)
        self.broker.answer()
        self.publish("live")
        self.assertEqual((self.one.story, list(self.registry.channels(self.app))), ([], []))
        self.assertEqual((self.registry._joining, self.node.told("cache_miss")), ({}, []))

    def test_join_again_before_the_answer(self) -> None:
        """One who leaves and asks again before the answer joins once."""
        for _ in range(2):
            self.registry.join(self.one, "cache-a", None)
            self.registry.leave(self.one, "cache-a", None)
        self.registry.join(self.one, "cache-a", None)
        self.broker.answer()
        self.assertEqual(self.one.story, [("joined", "cache-a", "{}"), MISS])
        self.assertEqual(self.registry.subscriptions(self.app, "cache-a"), 1)

    def test_lost_before_the_answer(self) -> None:
        """A client that is lost while its join is under way leaves no ghost, also on a presence channel."""
        for channel, user_id in (("cache-a", None), ("presence-cache-a", "7")):
            client = Client(self.node)
            client.subscribe(channel, user_id)
            client.go()
            self.broker.answer()
            self.assertEqual((client.heard(), list(self.registry.channels(self.app))), ([], []))
        self.assertEqual(self.broker._rosters, {})

    def test_published_before_asking(self) -> None:
        """Cache channels: an event that was published before is found, though it was not yet remembered."""
        self.publish("last")
        self.registry.join(self.one, "cache-a", None)
        self.broker.answer()
        self.assertEqual([each[0] for each in self.one.story], ["joined", "heard"])
        self.assertEqual(self.one.heard, [("e", "last")])

    def test_published_while_empty(self) -> None:
        """Cache channels: an event that comes while a join is under way is heard after success: it is the last."""
        self.registry.join(self.one, "cache-a", None)
        self.publish("between")
        self.broker.answer()
        self.assertEqual(self.one.story[0], ("joined", "cache-a", "{}"))
        self.assertEqual(self.one.heard, [("e", "between")])

    def test_published_after_another(self) -> None:
        """Cache channels: the last thing a newcomer hears is the channel's last event, never one before it."""
        self.publish("old")
        self.broker.answer()
        self.registry.join(self.one, "cache-a", None)
        self.publish("between")
        self.broker.answer()
        self.publish("live")
        self.assertEqual([data for _, data in self.one.heard][-2:], ["between", "live"])

    def test_others_hear_at_once(self) -> None:
        """Fan-out: a join under way delays nothing for those who are on the channel."""
        two = Listener(self.app, "2.1")
        self.registry.join(two, "cache-a", None)
        self.broker.answer()
        self.registry.join(self.one, "cache-a", None)
        self.publish("between")
        self.assertEqual(two.heard[-1], ("e", "between"))


class RecallFails(SynchronousTestCase):
    """A broker that breaks its promise harms one subscription at most."""

    def test_fault(self) -> None:
        """A fault while recalling is logged once, and the client is told that it is not subscribed."""
        node = MemoryNode(make_app(), broker=ForgetfulBroker)
        client = Client(node)
        client.subscribe("cache-a")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIn("pusher:subscription_error", client.events())
        self.assertEqual((node.registry._joining, list(node.registry.channels(make_app()))), ({}, []))
        client.subscribe("presence-cache-a", "7")
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(node.broker._rosters, {})


@implementer(IBroker)
class ForgetfulBroker(Alone):
    """A broker that cannot recall."""

    def recall(self, app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Fail."""
        return fail(RuntimeError("inside"))
