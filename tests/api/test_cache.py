"""Cache channels over REST."""

from __future__ import annotations

from tests.api.requests import ApiTestCase, Response
from tests.builders import Client, say

EVENTS = "/apps/3/events"
CHANNELS = "/apps/3/channels"
KINDS = ("cache-stock", "private-cache-stock", "private-encrypted-cache-stock", "presence-cache-stock")


class CacheTestCase(ApiTestCase):
    """Events are triggered on cache channels."""

    def trigger(self, data: str, *channels: str, **more: str) -> None:
        """Trigger an event."""
        self.assert_answered(self.post(EVENTS, {"name": "price", "data": data, "channels": channels, **more}), {})

    def cache(self, channel: str = "cache-stock", info: str = "cache") -> Response:
        """Ask what a channel remembers."""
        return self.get(f"{CHANNELS}/{channel}", ("info", info))


class InfoTests(CacheTestCase):
    """`GET channels/NAME?info=cache`."""

    def test_empty(self) -> None:
        """Cache channels: `cache` is null where nothing is remembered, on all four kinds."""
        for channel in KINDS:
            self.assert_answered(self.cache(channel), {"occupied": False, "cache": None})

    def test_remembered(self) -> None:
        """Cache channels: `cache` has the data, character for character, and the seconds that are left."""
        data = '{"eur": 12.50, "n":"\\u00e9é"}\n'
        for channel in KINDS:
            self.trigger(data, channel)
            self.assert_answered(self.cache(channel), {"occupied": False, "cache": {"data": data, "ttl": 1800}})

    def test_ttl(self) -> None:
        """Cache channels: `ttl` is a whole number of seconds above 0 that counts down, until nothing is left."""
        self.trigger("1", "cache-stock")
        for later, ttl in ((0, 1800), (0.5, 1800), (0.5, 1799), (1700, 99), (98, 1), (0.5, 1)):
            self.clock.advance(later)
            left = self.cache().json["cache"]["ttl"]
            self.assertIs(type(left), int)
            self.assertEqual(left, ttl)
        self.clock.advance(0.5)
        self.assert_answered(self.cache(), {"occupied": False, "cache": None})

    def test_replaced(self) -> None:
        """Cache channels: the last event takes the place of the one before, and its time begins anew."""
        self.trigger("1", "cache-stock")
        self.clock.advance(1000)
        self.trigger("2", "cache-stock", "news")
        self.assertEqual(self.cache().json["cache"], {"data": "2", "ttl": 1800})

    def test_with_others(self) -> None:
        """Cache channels: `cache` stands beside the counts."""
        self.listen("presence-cache-stock", "1.1", "ann")
        self.trigger("1", "presence-cache-stock")
        response = self.cache("presence-cache-stock", "cache,user_count,subscription_count")
        expected = {"user_count": 1, "subscription_count": 1, "cache": {"data": "1", "ttl": 1800}}
        self.assert_answered(response, {"occupied": True, **expected})

    def test_not_asked(self) -> None:
        """Cache channels: without `info` there is no `cache`."""
        self.trigger("1", "cache-stock")
        self.assert_answered(self.get(f"{CHANNELS}/cache-stock"), {"occupied": False})

    def test_other_channels(self) -> None:
        """Cache channels: `cache` of any other channel is a 400."""
        for channel in ("news", "private-stock", "presence-room", "private-encrypted-a", "my-cache-stock", "cache"):
            self.assert_refused(self.cache(channel), 400)

    def test_elsewhere(self) -> None:
        """Cache channels: a list and a trigger know no `cache`, and then nothing is sent."""
        self.assert_refused(self.get(CHANNELS, ("filter_by_prefix", "cache-"), ("info", "cache")), 400)
        body = {"name": "price", "data": "1", "channel": "cache-stock", "info": "cache"}
        self.assert_refused(self.post(EVENTS, body), 400)
        self.assertIsNone(self.cache().json["cache"])

    def test_not_remembered(self) -> None:
        """Cache channels: other channels remember nothing."""
        self.trigger("1", "news", "private-stock")
        client = Client(self.node)
        client.subscribe("news")
        self.assertEqual(client.events(), ["pusher_internal:subscription_succeeded"])


class SubscriberTests(CacheTestCase):
    """What later subscribers hear of what was triggered."""

    def test_heard(self) -> None:
        """Cache channels: whoever comes later hears the last event after the success, on all four kinds."""
        for channel in KINDS:
            self.trigger("1", channel)
            self.trigger("2", channel)
            client = Client(self.node)
            client.subscribe(channel, "ann" if channel.startswith("presence-") else None)
            succeeded, event = client.wire.said
            self.assertEqual(succeeded["event"], "pusher_internal:subscription_succeeded")
            self.assertEqual(event, {"event": "price", "channel": channel, "data": "2"})

    def test_excluded(self) -> None:
        """Cache channels: an event that left one connection out is remembered, for that one too."""
        client = Client(self.node)
        client.subscribe("cache-stock")
        self.assertEqual(client.events(), ["pusher_internal:subscription_succeeded", "pusher:cache_miss"])
        self.trigger("1", "cache-stock", socket_id=client.socket_id)
        self.assertEqual(client.events(), [])
        client.receive(say("pusher:unsubscribe", {"channel": "cache-stock"}))
        client.subscribe("cache-stock")
        self.assertEqual(client.events(), ["pusher_internal:subscription_succeeded", "price"])

    def test_by_path(self) -> None:
        """Cache channels: an event of the endpoint of 2011 is remembered too."""
        self.assert_answered(self.post(f"{CHANNELS}/cache-stock/events", b"1", ("name", "price")), {})
        self.assertEqual(self.cache().json["cache"]["data"], "1")

    def test_client_event(self) -> None:
        """Cache channels: client events are not remembered."""
        client, other = Client(self.node), Client(self.node)
        for each in (client, other):
            each.subscribe("private-cache-stock")
            each.heard()
        client.receive(say("client-typing", "1", channel="private-cache-stock"))
        self.assertEqual(other.events(), ["client-typing"])
        self.assertIsNone(self.cache("private-cache-stock").json["cache"])

    def test_refused(self) -> None:
        """Cache channels: an event that was refused is not remembered."""
        body = {"name": "price", "data": "x" * 10241, "channel": "cache-stock"}
        self.assert_refused(self.post(EVENTS, body), 413)
        self.assertIsNone(self.cache().json["cache"])
