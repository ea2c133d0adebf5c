"""Webhooks, heard by a real HTTP server and verified by the official server SDKs."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.sdk.case import MISSED, JsClient, fresh
from tests.sdk.receiver import DEAF, ELSEWHERE, REDIRECTED, REPENTANT, Hook
from tests.sdk.tenants import BLUE, TELLING, TROUBLED, Tenant, TenantTestCase


class WebhookTestCase(TenantTestCase):
    """Tests of one app's webhooks."""

    app: Tenant = TELLING

    def client(self, user: dict[str, Any] | None = None, **options: Any) -> JsClient:
        """Make a client of this app."""
        return super().client(user, **self.app.credentials | options)

    def assert_genuine(self, hook: Hook) -> None:
        """Check that each official SDK takes a hook for genuine, and reads in it what was sent."""
        for sdk in self.sdks(self.app):
            self.assertEqual(sdk.validate(hook.headers, hook.body), json.loads(hook.body))

    def told(self, name: str, channel: str, **members: Any) -> dict[str, Any]:
        """Wait until the app is told, check the hook, and give the event."""
        hook = self.receiver.expect("/each", name=name, channel=channel, **members)
        self.assert_genuine(hook)
        (event,) = hook.events
        return event


class Kinds(WebhookTestCase):
    """What an app is told."""

    def test_arrivals(self) -> None:
        """Webhook kinds: the first subscriber of a channel, and each user's first connection on a presence channel."""
        channel = fresh("presence-room")
        for user_id in ("ann", "ann", "bob"):
            self.connected(user_id).subscribe(channel)
        occupied = self.told("channel_occupied", channel)
        self.assertEqual(occupied, {"name": "channel_occupied", "channel": channel})
        for user_id in ("ann", "bob"):
            added = self.told("member_added", channel, user_id=user_id)
            self.assertEqual(added, {"name": "member_added", "channel": channel, "user_id": user_id})
        names = self.receiver.seen("/each", channel=channel)
        self.assertEqual(sorted(names), ["channel_occupied", "member_added", "member_added"])

    def test_departures(self) -> None:
        """Webhook delays: the last to go is told after a while; who is back by then has neither gone nor come."""
        room, lonely, last = fresh("presence-room"), fresh("presence-lonely"), fresh("presence-last")
        ann, bob, cid = self.connected("ann"), self.connected("bob"), self.connected("cid")
        for client in (ann, bob, cid):
            client.subscribe(room)
        ann.subscribe(lonely)
        bob.subscribe(last)
        for channel, client in ((room, ann), (lonely, ann)):
            client.unsubscribe(channel)
            client.subscribe(channel)
        for channel, client in ((room, cid), (last, bob)):
            client.unsubscribe(channel)
            client.settle()
        removed = self.told("member_removed", last)
        self.assertEqual(removed, {"name": "member_removed", "channel": last, "user_id": "bob"})
        self.assertEqual(self.told("channel_vacated", last), {"name": "channel_vacated", "channel": last})
        self.assertEqual(self.told("member_removed", room)["user_id"], "cid")
        arrivals = ["channel_occupied", "member_added"]
        self.assertEqual(sorted(self.receiver.seen("/each", channel=lonely)), arrivals)
        self.assertEqual(sorted(self.receiver.seen("/each", channel=room, user_id="ann")), ["member_added"])
        self.assertEqual(self.receiver.seen("/each", channel=room, name="channel_vacated"), [])

    def test_client_event(self) -> None:
        """Webhook kinds: a client event with its data as text, its sender, and on presence channels the user."""
        ann, bob = self.connected("ann"), self.connected("bob")
        for kind, user in (("private-room", {}), ("presence-room", {"user_id": "ann"})):
            channel = fresh(kind)
            for client in (ann, bob):
                client.subscribe(channel)
            ann.trigger(channel, "client-typing", {"who": "Änn"})
            event = self.told("client_event", channel)
            self.assertEqual(json.loads(event.pop("data")), {"who": "Änn"})
            expected = {"name": "client_event", "channel": channel, "event": "client-typing"}
            self.assertEqual(event, expected | {"socket_id": ann.socket_id} | user)

    def test_cache_miss(self) -> None:
        """Webhook kinds: a cache channel that was found empty, told once, though two found it so."""
        channel = fresh("cache-news")
        for _ in range(2):
            client = self.connected()
            client.subscribe(channel)
            client.expect(MISSED, channel)
        self.assertEqual(self.told("cache_miss", channel), {"name": "cache_miss", "channel": channel})
        self.told("subscription_count", channel, subscription_count=2)
        self.assertEqual(self.receiver.seen("/each", channel=channel, name="cache_miss"), ["cache_miss"])

    def test_subscription_count(self) -> None:
        """Webhook kinds: each change of a channel's count, as a number."""
        channel, clients = fresh("news"), [self.connected(), self.connected()]
        for count, client in enumerate(clients, 1):
            client.subscribe(channel)
            event = self.told("subscription_count", channel, subscription_count=count)
            self.assertEqual(event, {"name": "subscription_count", "channel": channel, "subscription_count": count})
        clients[0].unsubscribe(channel)
        self.receiver.expect_many(2, "/each", channel=channel, subscription_count=1)

    def test_connections(self) -> None:
        """Webhook kinds beyond Pusher's: a connection that opens and one that closes, with user, time and code."""
        ann = fresh("ann")
        client = self.signed_in(ann)
        socket_id = client.socket_id
        opened = self.receiver.expect("/connections", socket_id=socket_id)
        self.sdks(TELLING)[0].terminate(ann)
        closed = self.receiver.expect("/connections", socket_id=socket_id, name="connection_closed")
        expected = {"channel": "", "socket_id": socket_id}
        for hook, more in (
            (opened, {"name": "connection_opened"}),
            (closed, {"name": "connection_closed", "user_id": ann, "code": 4009}),
        ):
            self.assert_genuine(hook)
            (event,) = hook.events
            when = event.pop("time_ms")
            self.assertIsInstance(when, int)
            self.assertTrue(abs(when / 1000 - time.time()) < 300)
            self.assertEqual(event, expected | more)

    def test_client_closes(self) -> None:
        """Webhook kinds beyond Pusher's: a client that leaves by itself is told with its own close code."""
        client = self.connected()
        socket_id = client.socket_id
        client.disconnect()
        hook = self.receiver.expect("/connections", socket_id=socket_id, name="connection_closed")
        (event,) = hook.events
        self.assertEqual(event["code"], 1000)
        self.assertNotIn("user_id", event)

    def test_connections_only_if_named(self) -> None:
        """Webhook kinds: an endpoint that names no kinds hears of no connections; one that does hears no others."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        socket_id = client.socket_id
        self.receiver.expect("/connections", socket_id=socket_id)
        self.told("channel_occupied", channel)
        self.assertEqual(self.receiver.seen("/each", socket_id=socket_id), [])
        self.assertEqual(self.receiver.seen("/connections", channel=channel), [])

    def test_inbox(self) -> None:
        """Server to user messages: a user's inbox is in no webhook."""
        client, channel = self.signed_in(fresh("ann")), fresh("news")
        client.subscribe(channel)
        self.told("channel_occupied", channel)
        inboxes = [
            event for hook in self.receiver.expect_many(1, "/each") for event in hook.events if "#" in event["channel"]
        ]
        self.assertEqual(inboxes, [])


class Requests(WebhookTestCase):
    """How an app is told."""

    def test_headers(self) -> None:
        """Webhook request: its type is exactly JSON; the app's key is named; the endpoint's own headers are there."""
        channel = fresh("news")
        self.connected().subscribe(channel)
        headers = self.receiver.expect("/each", channel=channel).headers
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["x-pusher-key"], TELLING.key)
        self.assertRegex(headers["x-pusher-signature"], r"\A[0-9a-f]{64}\Z")
        self.assertEqual((headers["x-team"], headers["authorization"]), ("chat", "Bearer of news"))

    def test_time(self) -> None:
        """Webhook request: its time is a whole number of milliseconds."""
        channel = fresh("news")
        self.connected().subscribe(channel)
        time_ms = json.loads(self.receiver.expect("/each", channel=channel).body)["time_ms"]
        self.assertIsInstance(time_ms, int)
        self.assertTrue(abs(time_ms / 1000 - time.time()) < 300)

    def test_one_event(self) -> None:
        """Webhook delivery: one event in each request, unless the endpoint takes several."""
        channel = fresh("presence-room")
        self.connected("ann").subscribe(channel)
        hooks = self.receiver.expect_many(2, "/each", channel=channel)
        self.assertEqual([len(hook.events) for hook in hooks], [1, 1])

    def test_batched(self) -> None:
        """Webhook delivery: an endpoint that takes several gets together what happens at once."""
        channel = fresh("presence-room")
        self.connected("ann").subscribe(channel)
        hook = self.receiver.expect("/batched", channel=channel)
        self.assert_genuine(hook)
        names = [event["name"] for event in hook.events if event["channel"] == channel]
        self.assertEqual(sorted(names), ["channel_occupied", "member_added"])

    def test_filter(self) -> None:
        """Webhook endpoints: one may hear of some channels alone, by their names."""
        channels = [fresh(name) for name in ("news", "private-room", "private-orders-1", "presence-room")]
        client = self.connected("ann")
        for channel in channels:
            client.subscribe(channel)
        for channel in channels:
            self.told("channel_occupied", channel)
        self.receiver.expect("/rooms", channel=channels[3])
        heard = [bool(self.receiver.seen("/rooms", channel=channel)) for channel in channels]
        self.assertEqual(heard, [False, False, True, True])

    def test_forged(self) -> None:
        """Webhook signature: it is good for one app's secret, and for one body."""
        channel = fresh("news")
        self.connected().subscribe(channel)
        hook = self.receiver.expect("/each", channel=channel)
        for sdk in self.sdks(Tenant(TELLING.id, BLUE.name)):
            self.assertIsNone(sdk.validate(hook.headers, hook.body))
            self.assertIsNone(sdk.validate({**hook.headers, "x-pusher-key": BLUE.key}, hook.body))
        for sdk in self.sdks(TELLING):
            self.assertIsNone(sdk.validate(hook.headers, hook.body.replace(channel, "elsewhere")))


class Trouble(WebhookTestCase):
    """Endpoints that do not answer as they should."""

    app = TROUBLED

    def test_answers_500(self) -> None:
        """Webhook delivery: what is answered with 500 three times is told a fourth time, unchanged."""
        channel = fresh("repent-room")
        self.connected().subscribe(channel)
        attempts = self.receiver.expect_many(4, REPENTANT, channel=channel)
        self.assert_genuine(attempts[3])
        self.assertEqual(len({hook.body for hook in attempts}), 1)

    def test_never_answers(self) -> None:
        """Webhook delivery: an endpoint that never answers delays no other, nor any event to clients."""
        channels = [fresh("deaf-room") for _ in range(3)]
        client = self.connected()
        for channel in channels:
            client.subscribe(channel)
        self.receiver.expect(DEAF, channel=channels[0])
        for channel in channels:
            self.receiver.expect("/prompt", channel=channel)
        client.settle()
        for sdk in self.sdks(TROUBLED):
            sdk.trigger([channels[0]], "price-changed", {})
            client.expect("price-changed", channels[0])
        self.assertEqual([self.receiver.seen(DEAF, channel=channel) for channel in channels[1:]], [[], []])

    def test_redirects(self) -> None:
        """Webhook delivery: a redirect is not followed; the hook is tried again where it belongs."""
        channel = fresh("elsewhere-room")
        self.connected().subscribe(channel)
        self.receiver.expect_many(2, ELSEWHERE, channel=channel)
        self.assertEqual(self.receiver.seen(REDIRECTED, channel=channel), [])
