"""Triggering several events at once."""

from __future__ import annotations

import json
from typing import Any

from slanger.domain.apps import App
from tests.api.requests import ApiTestCase, Response
from tests.server import KEY, SECRET

BATCH = "/apps/3/batch_events"


def event(channel: str = "news", number: object = 0, **more: object) -> dict[str, object]:
    """Write one event of a batch."""
    return {"name": "price", "channel": channel, "data": str(number), **more}


class BatchTestCase(ApiTestCase):
    """Batches are posted."""

    def post_batch(self, *events: Any) -> Response:
        """Post a batch."""
        return self.post(BATCH, {"batch": list(events)})


class BatchTests(BatchTestCase):
    """`POST batch_events`."""

    def test_events(self) -> None:
        """Batch: each event reaches its own channel, its data character for character; the answer is `{}`."""
        news, sport, other = self.listen("news", "1.1"), self.listen("sport", "1.2"), self.listen("other", "1.3")
        data = '{"eur": 12.50, "n":"\\u00e9é"}\n'
        response = self.post_batch(
            {"name": "price", "channel": "news", "data": data}, {"name": "goal", "channel": "sport", "data": "2"}
        )
        self.assertEqual(response.body, b"{}")
        self.assert_answered(response, {})
        self.assertEqual(news.received, [{"event": "price", "channel": "news", "data": data}])
        self.assertEqual(sport.received, [{"event": "goal", "channel": "sport", "data": "2"}])
        self.assertEqual(other.received, [])

    def test_ten(self) -> None:
        """Limits: a batch may hold ten events, one on a channel of its own or all on the same."""
        listener = self.listen("news")
        self.assert_answered(self.post_batch(*(event(number=number) for number in range(10))), {})
        self.assertEqual([data for _, _, data in listener.events()], [str(number) for number in range(10)])

    def test_order(self) -> None:
        """Batch: a subscriber of several channels hears all events of the batch in the order they stand there."""
        listener = self.listen("news")
        self.registry.join(listener, "sport", None)
        listener.received.clear()
        channels = ("news", "sport", "sport", "news", "other", "sport", "news", "news")
        self.assert_answered(self.post_batch(*(event(channel, number) for number, channel in enumerate(channels))), {})
        expected = [(channel, "price", str(number)) for number, channel in enumerate(channels) if channel != "other"]
        self.assertEqual(listener.events(), expected)

    def test_exclusion(self) -> None:
        """Excluding recipients: `socket_id` leaves a connection out of that one event of the batch."""
        listener, other = self.listen("news", "1.1"), self.listen("news", "1.2")
        events = (
            event(number=1, socket_id="1.1"),
            event(number=2),
            event(number=3, socket_id="1.2"),
            event(number=4, socket_id=None),
            event(number=5, socket_id="9.9"),
        )
        self.assert_answered(self.post_batch(*events), {})
        self.assertEqual([data for _, _, data in listener.events()], ["2", "3", "4", "5"])
        self.assertEqual([data for _, _, data in other.events()], ["1", "2", "4", "5"])

    def test_empty(self) -> None:
        """Batch: one without events sends nothing, and is no fault."""
        self.assert_answered(self.post_batch(), {})

    def test_cache(self) -> None:
        """Cache channels: an event of a batch is remembered too, the last one of a channel."""
        self.assert_answered(self.post_batch(event("cache-stock", 1), event("cache-stock", 2)), {})
        self.assertEqual(self.listen("cache-stock").events(), [])
        answer = self.get("/apps/3/channels/cache-stock", ("info", "cache")).json
        self.assertEqual(answer["cache"]["data"], "2")

    def test_inbox(self) -> None:
        """Inbox channels: a batch may be for users."""
        listener = self.listen("#server-to-user-7")
        self.assert_answered(self.post_batch(event("#server-to-user-7", 1)), {})
        self.assertEqual(listener.events(), [("#server-to-user-7", "price", "1")])


class InfoTests(BatchTestCase):
    """What the answer tells."""

    def setUp(self) -> None:
        """Occupy a channel by two, and a presence channel by one user with two connections."""
        super().setUp()
        self.listen("news", "1.1")
        self.listen("news", "1.2")
        self.listen("presence-room", "2.1", "ann")
        self.listen("presence-room", "2.2", "ann")

    def test_info(self) -> None:
        """Batch: with any `info` the answer is as long as the batch and in its order, `{}` where nothing was asked."""
        response = self.post_batch(
            event("news"),
            event("presence-room", info="user_count"),
            event("news", info="subscription_count"),
            event("news", info=""),
            event("presence-room", info="user_count,subscription_count"),
            event("empty", info="subscription_count"),
        )
        counts = {"user_count": 1, "subscription_count": 2}
        expected = [{}, {"user_count": 1}, {"subscription_count": 2}, {}, counts, {"subscription_count": 0}]
        self.assert_answered(response, {"batch": expected})

    def test_same_channel(self) -> None:
        """Batch: a channel that comes twice is counted twice, each time as it was asked."""
        response = self.post_batch(event(info="subscription_count"), event(), event(info="subscription_count"))
        self.assert_answered(response, {"batch": [{"subscription_count": 2}, {}, {"subscription_count": 2}]})

    def test_not_applicable(self) -> None:
        """Batch: an attribute that a channel does not have is left out."""
        self.assert_answered(self.post_batch(event("news", info="user_count")), {"batch": [{}]})

    def test_nothing_asked(self) -> None:
        """Batch: an empty or missing `info` everywhere asks for nothing."""
        self.assert_answered(self.post_batch(event(info=""), event(info=None), event()), {})


class RefusalTests(BatchTestCase):
    """Batches that are refused: nobody hears any of their events."""

    def setUp(self) -> None:
        """Listen on the channel of all good events."""
        super().setUp()
        self.listener = self.listen("news")

    def refuse(self, *events: Any, status: int = 400, text: str | None = None) -> Response:
        """Check that a batch is refused as a whole, and that the next one works."""
        response = self.post_batch(*events)
        self.assert_refused(response, status, text)
        self.assertEqual(self.listener.received, [])
        self.assert_answered(self.post_batch(event()), {})
        self.assertEqual(len(self.listener.events()), 1)
        return response

    def refuse_tenth(self, tenth: Any, status: int = 400) -> None:
        """Check that nine good events are not sent for the sake of one bad, wherever that stands."""
        good = [event(number=number) for number in range(9)]
        self.refuse(*good, tenth, status=status)
        self.refuse(tenth, *good, status=status)

    def test_too_large(self) -> None:
        """Limits: eleven events are refused with both numbers."""
        self.refuse(*(event() for _ in range(11)), text="Batch too large (11 > 10)")
        self.refuse(*(event() for _ in range(200)), text="Batch too large (200 > 10)")

    def test_limit_of_the_app(self) -> None:
        """Limits: how many a batch may hold is the app's own."""
        self.serve(App(key=KEY, secret=SECRET, batch_events=2))
        self.assert_answered(self.post_batch(event(), event()), {})
        self.assert_refused(self.post_batch(event(), event(), event()), 400, "Batch too large (3 > 2)")

    def test_bad_tenth(self) -> None:
        """Batch: all events are checked before the first is sent, by the rules of a trigger."""
        for more in (
            {"name": ""},
            {"name": "pusher:error"},
            {"name": "pusher_internal:x"},
            {"name": "n" * 201},
            {"channel": ""},
            {"channel": "a b"},
            {"channel": "c" * 201},
            {"socket_id": "x"},
            {"socket_id": "1.2.3"},
            {"info": "colour"},
            {"info": "cache"},
        ):
            self.refuse_tenth({**event(), **more})

    def test_data_too_large(self) -> None:
        """Limits: data of one byte too many in one event is a 413 for the batch; ten times the most is not."""
        self.refuse_tenth(event(number="é" * 5120 + "x"), 413)
        most = "\x01" * 10240  # each becomes six bytes of JSON
        self.assert_answered(self.post_batch(*(event(number=most) for _ in range(10))), {})
        self.assertEqual([data for _, _, data in self.listener.events()], [most] * 10)

    def test_missing(self) -> None:
        """Batch: name, channel and data are required in each event; the answer says so."""
        for name in ("name", "channel", "data"):
            lacking = {key: value for key, value in event().items() if key != name}
            self.refuse_tenth(lacking)
            self.assertIn(name, self.refuse(lacking).text)

    def test_channels(self) -> None:
        """Batch: an event has one channel; `channels` does not stand in for it."""
        self.refuse({"name": "price", "channels": ["news"], "data": "1"})

    def test_wrong_types(self) -> None:
        """Batch: a parameter of the wrong type is a 400 that says what was expected."""
        for name, values in {
            "name": (None, 5, [], {}, True),
            "data": (None, 5, [], {"eur": 12.5}, False),
            "channel": (None, 5, ["news"], {}),
            "socket_id": (5, [], {}),
            "info": (5, ["user_count"]),
        }.items():
            for value in values:
                response = self.refuse({**event(), name: value})
                self.assertIn("Expected batch parameter to be ", response.text)
        for item in (None, 5, "news", [], [event()]):
            self.refuse_tenth(item)

    def test_no_batch(self) -> None:
        """Batch: a body that has no array of events is a 400."""
        bodies: tuple[dict[str, Any], ...] = (
            {},
            event(),
            {"batch": None},
            {"batch": {}},
            {"batch": "x"},
            {"batch": event()},
        )
        for body in bodies:
            self.assert_refused(self.post(BATCH, body), 400)
        for raw in (b"", b"null", b"[]", b'"x"', b"{", b"\xff", json.dumps([event()]).encode(), b'{"batch":[]}x'):
            self.assert_refused(self.post(BATCH, raw), 400)
        self.assertIn("batch", self.post(BATCH, {}).text)
        self.assertEqual(self.listener.received, [])
