"""Triggering events."""

from __future__ import annotations

import json

from slanger.domain.apps import App
from slanger.protocol.names import REQUEST_BODY_BYTES
from tests.api.requests import ApiTestCase, request_bytes, signed_target
from tests.server import KEY, SECRET

EVENTS = "/apps/3/events"
EVENT = {"name": "price", "data": '{"eur":12.5}'}


class TriggerTests(ApiTestCase):
    """`POST events`."""

    def test_one_channel(self) -> None:
        """Trigger: an event reaches everybody on its channel, its data character for character."""
        data = '{"eur": 12.50, "n":"\\u00e9é"}\n'
        first, second, other = self.listen("news", "1.1"), self.listen("news", "1.2"), self.listen("sport", "1.3")
        for channels in ({"channels": ["news"]}, {"channel": "news"}):
            self.assert_answered(self.post(EVENTS, {"name": "price", "data": data, **channels}), {})
            for listener in (first, second):
                self.assertEqual(listener.received, [{"event": "price", "channel": "news", "data": data}])
                listener.received.clear()
        self.assertEqual(other.received, [])

    def test_many_channels(self) -> None:
        """Trigger: an event may go to 100 channels."""
        channels = [f"news-{number}" for number in range(100)]
        listeners = [self.listen(channel, f"1.{number}") for number, channel in enumerate(channels)]
        self.assert_answered(self.post(EVENTS, {**EVENT, "channels": channels}), {})
        self.assertEqual([len(listener.received) for listener in listeners], [1] * 100)

    def test_too_many_channels(self) -> None:
        """Limits: to 101 it may not, and then none of them hears it."""
        listener = self.listen("news-0")
        channels = [f"news-{number}" for number in range(101)]
        self.assert_refused(self.post(EVENTS, {**EVENT, "channels": channels}), 400)
        self.assertEqual(listener.received, [])

    def test_duplicates(self) -> None:
        """Trigger: a channel named twice is delivered to once."""
        listener = self.listen("news")
        self.assert_answered(self.post(EVENTS, {**EVENT, "channels": ["news", "other", "news"], "channel": "news"}), {})
        self.assertEqual(len(listener.received), 1)

    def test_channel_and_channels(self) -> None:
        """Trigger: `channel` and `channels` add up."""
        first, second = self.listen("one", "1.1"), self.listen("two", "1.2")
        self.assert_answered(self.post(EVENTS, {**EVENT, "channels": ["one"], "channel": "two"}), {})
        self.assertEqual((len(first.received), len(second.received)), (1, 1))

    def test_nobody(self) -> None:
        """Trigger: an event for a channel nobody is on is accepted all the same."""
        self.assert_answered(self.post(EVENTS, {**EVENT, "channels": ["empty"]}), {})

    def test_exclusion(self) -> None:
        """Excluding recipients: the connection with `socket_id` does not hear the event, on any channel."""
        left_out, heard = self.listen("news", "48213.7719045"), self.listen("news", "1.2")
        self.registry.join(left_out, "sport", None)
        body = {**EVENT, "channels": ["news", "sport"], "socket_id": "48213.7719045"}
        self.assert_answered(self.post(EVENTS, body), {})
        self.assertEqual((len(left_out.received), len(heard.received)), (0, 1))

    def test_unknown_exclusion(self) -> None:
        """Excluding recipients: an id nobody has, null, and an empty one leave nobody out."""
        listener = self.listen("news")
        for socket_id in ("9.9", None, ""):
            self.assert_answered(self.post(EVENTS, {**EVENT, "channels": ["news"], "socket_id": socket_id}), {})
        self.assertEqual(len(listener.received), 3)

    def test_names(self) -> None:
        """Events: Laravel's names, and any other characters, pass through; 200 are the limit."""
        listener = self.listen("news")
        for name in ("App\\Events\\OrderShipped", "order.shipped", "été ☃", "client-x", "n" * 200):
            self.assert_answered(self.post(EVENTS, {**EVENT, "name": name, "channels": ["news"]}), {})
            self.assertEqual(listener.events()[0][1], name)

    def test_in_query(self) -> None:
        """Parameters: they may stand in the query instead, also without any body."""
        listener, left_out = self.listen("news", "1.1"), self.listen("news", "1.2")
        parameters = (("name", "n"), ("data", "d & ü"), ("channel", "news"), ("socket_id", "1.2"))
        for body in (b"", b"{}"):
            self.assert_answered(self.post(EVENTS, body, *parameters), {})
            self.assertEqual(listener.events(), [("news", "n", "d & ü")])
        self.assertEqual(left_out.received, [])

    def test_in_both(self) -> None:
        """Parameters: where body and query disagree, the body wins."""
        listener = self.listen("news")
        self.assert_answered(
            self.post(EVENTS, {**EVENT, "channel": "news"}, ("name", "x"), ("data", "x"), ("channel", "sport")), {}
        )
        self.assertEqual(listener.events(), [("news", EVENT["name"], EVENT["data"])])

    def test_more_parameters(self) -> None:
        """Parameters: what is not known is passed over."""
        self.assert_answered(self.post(EVENTS, {**EVENT, "channel": "news", "tags": {"a": [1]}}, ("x", "y")), {})

    def test_other_content_types(self) -> None:
        """Parameters: the type of the content does not matter, a form's neither."""
        listener = self.listen("news")
        body = json.dumps({**EVENT, "channel": "news"}).encode()
        for content_type in ("text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "?"):
            request = request_bytes("POST", signed_target("POST", EVENTS, (), body), body)
            response = self.ask(request.replace(b"application/json", content_type.encode()))
            self.assert_answered(response, {})
        self.assertEqual(len(listener.received), 4)


class InfoTests(ApiTestCase):
    """What a trigger may ask about its channels."""

    def setUp(self) -> None:
        """Occupy a public and a presence channel."""
        super().setUp()
        for number in range(3):
            self.listen("news", f"1.{number}")
        for number, user_id in enumerate(("ann", "ann", "bob")):
            self.listen("presence-room", f"2.{number}", user_id)

    def test_info(self) -> None:
        """Trigger: with `info` each channel is described once; attributes that do not apply are left out."""
        channels = ["presence-room", "news", "empty", "news", "presence-empty"]
        body = {**EVENT, "channels": channels, "info": "user_count,subscription_count"}
        response = self.post(EVENTS, body)
        self.assertEqual(list(response.json["channels"]), ["presence-room", "news", "empty", "presence-empty"])
        self.assertEqual(response.json["channels"]["news"], {"subscription_count": 3})
        self.assertEqual(response.json["channels"]["empty"], {"subscription_count": 0})
        self.assertEqual(response.json["channels"]["presence-room"]["user_count"], 2)
        self.assertEqual(response.json["channels"]["presence-empty"]["user_count"], 0)

    def test_one_attribute(self) -> None:
        """Trigger: a channel none of whose attributes was asked for is an empty object."""
        response = self.post(EVENTS, {**EVENT, "channels": ["news", "presence-room"], "info": "user_count"})
        self.assert_answered(response, {"channels": {"news": {}, "presence-room": {"user_count": 2}}})

    def test_in_query(self) -> None:
        """Parameters: `info` may stand in the query."""
        response = self.post(EVENTS, {**EVENT, "channel": "news"}, ("info", "subscription_count"))
        self.assert_answered(response, {"channels": {"news": {"subscription_count": 3}}})

    def test_empty(self) -> None:
        """Trigger: an empty `info` asks for nothing."""
        self.assert_answered(self.post(EVENTS, {**EVENT, "channel": "news", "info": ""}), {})

    def test_unknown(self) -> None:
        """Trigger: an attribute nobody knows is a 400, and the event is not sent."""
        listener = self.listen("news", "5.5")
        self.assert_refused(self.post(EVENTS, {**EVENT, "channel": "news", "info": "colour"}), 400)
        self.assertEqual(listener.received, [])


class RefusalTests(ApiTestCase):
    """Events that are refused; nobody hears of them, and the next one works."""

    def setUp(self) -> None:
        """Listen on the channels that are named."""
        super().setUp()
        self.listener = self.listen("news")

    def refuse(self, body: bytes | dict[str, object], text: str | None = None, status: int = 400) -> None:
        """Check that a body is refused, that nobody heard of it, and that the next one works."""
        self.assert_refused(self.post(EVENTS, body), status, text)
        self.assertEqual(self.listener.received, [])
        self.assert_answered(self.post(EVENTS, {**EVENT, "channel": "news"}), {})
        self.assertEqual(len(self.listener.events()), 1)

    def test_without_name(self) -> None:
        """Trigger: an event without a name, which brought Slanger's clients down, is a 400."""
        self.refuse({"data": "d", "channel": "news"}, "Missing required parameter: name")

    def test_without_data_or_channels(self) -> None:
        """Trigger: data and channels are required too."""
        self.refuse({"name": "n", "channel": "news"}, "Missing required parameter: data")
        self.refuse({"name": "n", "data": "d"}, "Missing required parameter: channels")
        self.refuse({"name": "n", "data": "d", "channels": []}, "Missing required parameter: channels")

    def test_wrong_types(self) -> None:
        """Trigger: a parameter of the wrong type is a 400 that names it and says what it must be."""
        self.refuse({**EVENT, "channel": "news", "name": 5}, "Expected name parameter to be a string")
        for name, values in {
            "name": (None, 5, [], {}, True),
            "data": (None, 5, [], {"eur": 12.5}, False),
            "channels": (None, "news", {}, 5, [5], [None], [["news"]]),
            "channel": (None, 5, ["news"], {}),
            "socket_id": (5, [], {}),
            "info": (5, ["user_count"]),
        }.items():
            for value in values:
                body = {**EVENT, "channel": "news", name: value}
                response = self.post(EVENTS, body)
                self.assert_refused(response, 400)
                self.assertIn(f"Expected {name} parameter to be ", response.text)
        self.assertEqual(self.listener.received, [])

    def test_no_json_object(self) -> None:
        """Trigger: a body that is no JSON object is a 400."""
        for body in (b"null", b"[]", b"5", b'"x"', b"{", b"name=n&data=d", b"{}x", b" ", b"\x00", b'{"name":}'):
            self.refuse(body)

    def test_empty_body(self) -> None:
        """Trigger: an empty body, with nothing in the query either, is a 400."""
        self.refuse(b"", "Missing required parameter: name")

    def test_invalid_utf8(self) -> None:
        """Trigger: a body that is not UTF-8 is a 400."""
        for bad in (b"\xff", b"\xc3(", b"\xed\xa0\x80"):
            self.refuse(b'{"name":"n","channel":"news","data":"' + bad + b'"}')
        self.refuse(b'{"name":"n","channel":"news","data":"\\ud800"}')

    def test_deep(self) -> None:
        """Trigger: JSON nested without end is a 400."""
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            deep = opening * 50_000 + b"1" + closing * 50_000
            self.refuse(b'{"name":"n","channel":"news","data":' + deep + b"}")
            self.refuse(b'{"name":"n","channel":"news","data":"d","x":' + deep + b"}")
            self.refuse(deep)

    def test_names_of_events(self) -> None:
        """Events: empty, reserved and overlong names are a 400."""
        for name in ("", "pusher:error", "pusher:x", "pusher_internal:member_added", "n" * 201):
            self.refuse({**EVENT, "channel": "news", "name": name})

    def test_names_of_channels(self) -> None:
        """Channel names: one bad name among good ones is a 400, and no channel hears the event."""
        for channel in ("", "a b", "a/b", "é", "#news", "a:b", "c" * 201, "news\n"):
            self.refuse({**EVENT, "channels": ["news", channel]})

    def test_socket_ids(self) -> None:
        """Excluding recipients: a socket id of another form is a 400, as in every SDK."""
        for socket_id in ("1", "1.", ".1", "a.b", "1.2.3", "1.2\n", "-1.2", " 1.2", "\uff11.\uff12"):
            self.refuse({**EVENT, "channel": "news", "socket_id": socket_id})

    def test_data_too_large(self) -> None:
        """Limits: 10240 bytes of data are sent, one more is a 413; bytes of UTF-8 count, not escapes."""
        self.assert_answered(self.post(EVENTS, {"name": "n", "channel": "news", "data": "x" * 10240}), {})
        self.assert_answered(self.post(EVENTS, {"name": "n", "channel": "news", "data": "é" * 5120}), {})
        self.listener.received.clear()
        for data in ("x" * 10241, "é" * 5121):
            response = self.post(EVENTS, {"name": "n", "channel": "news", "data": data})
            self.assert_refused(response, 413)
            self.assertTrue(
                response.text.startswith("The data content of this event exceeds the allowed maximum (10240 bytes)")
            )
        self.assertEqual(self.listener.received, [])

    def test_limits_of_the_app(self) -> None:
        """Limits: those of names, data and channels are the app's own."""
        self.serve(App(key=KEY, secret=SECRET, event_data_bytes=3, event_channels=1, channel_name_length=4))
        self.assert_answered(self.post(EVENTS, {"name": "n", "channel": "news", "data": "abc"}), {})
        self.assert_refused(self.post(EVENTS, {"name": "n", "channel": "news", "data": "abcd"}), 413)
        self.assert_refused(self.post(EVENTS, {"name": "n", "channel": "sport", "data": "abc"}), 400)
        self.assert_refused(self.post(EVENTS, {"name": "n", "channels": ["a", "b"], "data": "abc"}), 400)

    def test_body_too_large(self) -> None:
        """Limits: a body above 1 MiB is a 413, whatever is in it."""
        body = json.dumps({**EVENT, "channel": "news"}).encode()
        self.assert_answered(self.post(EVENTS, body + b" " * (REQUEST_BODY_BYTES - len(body))), {})
        self.listener.received.clear()
        self.refuse(body + b" " * (REQUEST_BODY_BYTES - len(body) + 1), status=413)


class ChannelEventsTests(ApiTestCase):
    """`POST channels/NAME/events`, the endpoint of 2011."""

    PATH = "/apps/3/channels/news/events"

    def test_trigger(self) -> None:
        """Trigger, 2011: the whole body is the data, name and excluded socket are in the query; 200, not 202."""
        listener, left_out = self.listen("news", "1.1"), self.listen("news", "1.2")
        data = '{"eur": 12.50}\n'
        response = self.post(self.PATH, data.encode(), ("name", "price"), ("socket_id", "1.2"))
        self.assert_answered(response, {})
        self.assertEqual(listener.events(), [("news", "price", data)])
        self.assertEqual(left_out.received, [])

    def test_encoded_channel(self) -> None:
        """Trigger, 2011: the channel in the path may be percent-encoded."""
        listener = self.listen("a,b@c")
        self.assert_answered(self.post("/apps/3/channels/a,b@c/events", b"d", ("name", "n")), {})
        self.assertEqual(listener.events(), [("a,b@c", "n", "d")])

    def test_refusals(self) -> None:
        """Trigger, 2011: what is refused elsewhere is refused here."""
        listener = self.listen("news")
        self.assert_refused(self.post(self.PATH, b"d"), 400, "Missing required parameter: name")
        self.assert_refused(self.post(self.PATH, b"d", ("name", "")), 400)
        self.assert_refused(self.post(self.PATH, b"d", ("name", "pusher:x")), 400)
        self.assert_refused(self.post(self.PATH, b"\xff", ("name", "n")), 400)
        self.assert_refused(self.post(self.PATH, b"d", ("name", "n"), ("socket_id", "x")), 400)
        self.assert_refused(self.post(self.PATH, b"x" * 10241, ("name", "n")), 413)
        self.assert_refused(self.post("/apps/3/channels/a b/events", b"d", ("name", "n")), 400)
        self.assertEqual(listener.received, [])
