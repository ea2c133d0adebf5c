"""What an app's webhooks tell, to whom, and how it is written and signed."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.webhooks import KINDS, OWN_KINDS, PUSHER_KINDS, Endpoint, Occurrence, make_hook
from slanger.protocol import signing
from tests.builders import KEY, SECRET, Json, make_endpoint

NOW = 1_700_000_000.0
OCCUPIED = Occurrence(name="channel_occupied", channel="test")


class Kinds(SynchronousTestCase):
    """Webhooks, event types: which endpoint hears of what."""

    def test_default(self) -> None:
        """Event types: an endpoint that does not choose hears all of Pusher's kinds, and none of our own."""
        endpoint = Endpoint(url="http://127.0.0.1/")
        self.assertEqual([kind for kind in KINDS if endpoint.wants(Occurrence(name=kind))], list(PUSHER_KINDS))
        self.assertEqual(len(PUSHER_KINDS), 7)

    def test_chosen(self) -> None:
        """Event types: an endpoint that chooses hears those kinds alone."""
        for kind in KINDS:
            endpoint = make_endpoint(kind)
            self.assertEqual([each for each in KINDS if endpoint.wants(Occurrence(name=each))], [kind])

    def test_names(self) -> None:
        """Event types: a filter lets through the channels whose name matches one of its patterns, by case."""
        endpoint = make_endpoint(channels=("presence-*", "news", "room-?"))
        wanted = [
            channel
            for channel in ("presence-a", "presence-", "news", "news-a", "News", "PRESENCE-a", "room-1", "room-12", "x")
            if endpoint.wants(Occurrence(name="channel_occupied", channel=channel))
        ]
        self.assertEqual(wanted, ["presence-a", "presence-", "news", "room-1"])

    def test_without_a_channel(self) -> None:
        """Event types: a filter of names keeps back nothing that is about no channel."""
        endpoint = make_endpoint(*OWN_KINDS, channels=("presence-*",))
        self.assertTrue(endpoint.wants(Occurrence(name="connection_opened", socket_id="1.1")))


class Requests(SynchronousTestCase):
    """Webhooks, request: body and headers."""

    def body(self, *occurrences: Occurrence) -> Json:
        """Give the body of a request as an endpoint reads it."""
        body: Json = json.loads(make_hook(KEY, SECRET, make_endpoint(), list(occurrences), NOW).body)
        return body

    def test_vector(self) -> None:
        """Request: the body to the byte, and its signature."""
        hook = make_hook(KEY, SECRET, make_endpoint(), [OCCUPIED], NOW)
        self.assertEqual(
            hook.body, b'{"time_ms":1700000000000,"events":[{"name":"channel_occupied","channel":"test"}]}'
        )
        self.assertEqual(
            dict(hook.headers)["X-Pusher-Signature"], "3f70430fd434b35bf62af677c0612070a45b21339998fa30ceea1e8c372cbcc3"
        )
        self.assertEqual(hook.events, 1)

    def test_headers(self) -> None:
        """Request: the content type is exactly application/json, and the key and signature are there, once each."""
        hook = make_hook(KEY, SECRET, make_endpoint(headers=(("X-Team", "chat"),)), [OCCUPIED], NOW)
        self.assertEqual(
            sorted(hook.headers),
            [
                ("Content-Type", "application/json"),
                ("X-Pusher-Key", KEY),
                ("X-Pusher-Signature", signing.sign(SECRET, hook.body.decode())),
                ("X-Team", "chat"),
            ],
        )

    def test_headers_of_the_protocol(self) -> None:
        """Request: an endpoint's own headers never stand beside or before those of the protocol."""
        headers = (("content-type", "text/plain"), ("X-PUSHER-KEY", "other"), ("x-pusher-signature", "00"))
        hook = make_hook(KEY, SECRET, make_endpoint(headers=headers), [OCCUPIED], NOW)
        names = [name.lower() for name, _ in hook.headers]
        self.assertEqual(sorted(names), ["content-type", "x-pusher-key", "x-pusher-signature"])
        self.assertIn(("Content-Type", "application/json"), hook.headers)

    def test_time(self) -> None:
        """Request: time_ms is an integer, whatever the clock shows."""
        hook = make_hook(KEY, SECRET, make_endpoint(), [OCCUPIED], 1_700_000_000.1239)
        self.assertEqual(json.loads(hook.body)["time_ms"], 1_700_000_000_123)
        self.assertIs(type(json.loads(hook.body)["time_ms"]), int)
        self.assertEqual(hook.time_ms, 1_700_000_000_123)

    def test_several(self) -> None:
        """Delivery: a batch holds its events in order, under one time and one signature."""
        occurrences = [Occurrence(name="channel_occupied", channel=str(number)) for number in range(3)]
        hook = make_hook(KEY, SECRET, make_endpoint(batch=True), occurrences, NOW)
        self.assertEqual([event["channel"] for event in json.loads(hook.body)["events"]], ["0", "1", "2"])
        self.assertEqual(hook.events, 3)
        self.assertEqual(dict(hook.headers)["X-Pusher-Signature"], signing.sign(SECRET, hook.body.decode()))

    def test_members(self) -> None:
        """Event types: each event has its channel, and of the other members those that it has a value for."""
        events: list[Json] = [
            {"name": "channel_vacated", "channel": "a"},
            {"name": "member_added", "channel": "presence-a", "user_id": "7"},
            {"name": "client_event", "channel": "a", "event": "client-a", "data": '{"a":1}', "socket_id": "1.1"},
            {"name": "subscription_count", "channel": "a", "subscription_count": 0},
            {"name": "connection_closed", "channel": "", "socket_id": "1.1", "time_ms": 1, "code": 1006},
        ]
        self.assertEqual(self.body(*(Occurrence(**event) for event in events))["events"], events)

    def test_text(self) -> None:
        """Request: any text is carried in UTF-8, and signed as it is sent."""
        occurrence = Occurrence(name="client_event", channel="a", data='"\u00fc\U0001f600\u2028"')
        hook = make_hook(KEY, SECRET, make_endpoint(), [occurrence], NOW)
        self.assertEqual(json.loads(hook.body)["events"][0]["data"], '"\u00fc\U0001f600\u2028"')
        self.assertEqual(dict(hook.headers)["X-Pusher-Signature"], signing.sign(SECRET, hook.body.decode()))
