"""Texts in and out: what is accepted, and the exact bytes of what is said."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol import codec
from slanger.protocol.errors import APP_NOT_FOUND, MessageRefused, SubscriptionRefused
from slanger.protocol.messages import ClientEvent, Frame, Member, Subscribe, Unsubscribe
from tests.builders import Json, make_member, read, read_data, say
from tests.strategies import PROPERTY, hostile_texts, json_objects, json_values, texts

DEEP = b"[" * 100_000 + b"]" * 100_000


class Frames(SynchronousTestCase):
    """Messages in general: reading any message of a client."""

    def refuse(self, text: bytes) -> str:
        """Check that a text is refused; give the reason."""
        refusal: MessageRefused = self.assertRaises(MessageRefused, codec.read_frame, text)
        return refusal.message

    def test_not_json(self) -> None:
        """Messages in general: what is not JSON is refused with a reason."""
        for text in (b"", b" ", b"hello", b"{", b'{"event":"a"} more', b"{'event':'a'}", b'{"event":NaN}'):
            self.assertIn("Invalid message: ", self.refuse(text))

    def test_not_an_object(self) -> None:
        """Messages in general: a message is an object."""
        for text in (b"null", b"7", b"[]", b'"text"', b"true"):
            self.assertIn("Expected `object`", self.refuse(text))

    def test_event(self) -> None:
        """Messages in general: `event` must be there, and a string."""
        self.assertIn("`event`", self.refuse(b"{}"))
        for event in (b"1", b"null", b"[]", b"{}"):
            self.assertIn("$.event", self.refuse(b'{"event":' + event + b"}"))

    def test_channel(self) -> None:
        """Messages in general: `channel` is a string where it is there; null counts as absent."""
        self.assertIn("$.channel", self.refuse(b'{"event":"a","channel":7}'))
        self.assertIsNone(codec.read_frame(b'{"event":"a","channel":null}').channel)

    def test_deep(self) -> None:
        """Nesting without end is refused, wherever it stands."""
        self.assertIn("nested too deeply", self.refuse(b'{"event":"a","data":' + DEEP + b"}"))
        self.assertIn("nested too deeply", self.refuse(b'{"event":"a","more":' + DEEP + b"}"))
        self.refuse(DEEP)

    def test_not_utf_8(self) -> None:
        """Bytes that are not UTF-8 are refused."""
        self.assertIn("not UTF-8", self.refuse(b'{"event":"\xff"}'))
        self.refuse(b'\xff\xfe{"event":"a"}')

    def test_lone_surrogate(self) -> None:
        """Half a surrogate pair is no text."""
        self.refuse(rb'{"event":"\ud800"}')

    def test_extra_members(self) -> None:
        """Client events: members that nobody knows are ignored; Java sends one."""
        frame = codec.read_frame(b'{"userId":7,"event":"a","data":{},"tags":[1]}')
        self.assertEqual(frame, Frame("a", None, Raw(b"{}")))


class Subscriptions(SynchronousTestCase):
    """Reading the `data` of `pusher:subscribe` and `pusher:unsubscribe`."""

    def read(self, data: Any) -> Subscribe:
        """Read a subscription."""
        return codec.read_subscribe(codec.read_frame(say("pusher:subscribe", data)))

    def test_object(self) -> None:
        """pusher:subscribe: `data` is an object, as every client sends it."""
        wanted = self.read({"channel": "presence-a", "auth": "k:s", "channel_data": '{"user_id": 1}'})
        self.assertEqual(wanted, Subscribe("presence-a", "k:s", '{"user_id": 1}'))

    def test_string(self) -> None:
        """Messages in general: `data` may be a JSON string that holds the object."""
        self.assertEqual(self.read(json.dumps({"channel": "a", "auth": "k:s"})), Subscribe("a", "k:s"))

    def test_nothing(self) -> None:
        """pusher:subscribe: `auth` and `channel_data` may be missing, null or empty, as clients differ."""
        forms: tuple[Json, ...] = ({}, {"auth": None, "channel_data": None}, {"auth": "", "channel_data": ""})
        for data in forms:
            wanted = self.read({"channel": "a", **data})
            self.assertFalse(wanted.auth or wanted.channel_data)

    def test_wrong_types(self) -> None:
        """Members of the wrong type are refused, and so is `data` that is no object."""
        wrong: tuple[Any, ...] = (
            {},
            {"channel": 7},
            {"channel": None},
            {"channel": "a", "auth": 7},
            {"channel": "a", "channel_data": {"user_id": "1"}},
            [],
            7,
            "text",
            "",
            '"a"',
        )
        for data in wrong:
            refusal = self.assertRaises(MessageRefused, self.read, data)
            self.assertIn("Invalid data of pusher:subscribe: ", refusal.message)

    def test_missing(self) -> None:
        """A subscription without `data`, or with null, is refused."""
        for text in (b'{"event":"pusher:subscribe"}', b'{"event":"pusher:subscribe","data":null}'):
            self.assertRaises(MessageRefused, codec.read_subscribe, codec.read_frame(text))

    def test_unsubscribe(self) -> None:
        """Repeated subscribe, unsubscribe: the same two forms of `data`."""
        forms: tuple[Any, ...] = ({"channel": "a"}, '{"channel":"a"}')
        for data in forms:
            unwanted = codec.read_unsubscribe(codec.read_frame(say("pusher:unsubscribe", data)))
            self.assertEqual(unwanted, Unsubscribe("a"))

    def test_unsubscribe_wrong(self) -> None:
        """An unsubscribe that names no channel is refused."""
        wrong: tuple[Any, ...] = ({}, {"channel": 7}, "", [])
        for data in wrong:
            frame = codec.read_frame(say("pusher:unsubscribe", data))
            self.assertRaises(MessageRefused, codec.read_unsubscribe, frame)


class ClientEvents(SynchronousTestCase):
    """Client events: reading them; delivered `data` is always a string."""

    def read(self, text: bytes) -> ClientEvent:
        """Read a client event."""
        return codec.read_client_event(codec.read_frame(text))

    @PROPERTY
    @given(texts)
    def test_string(self, data: str) -> None:
        """Client events: a string is passed on unchanged, whatever it holds, the empty one too."""
        self.assertEqual(self.read(say("client-a", data, channel="private-a")).data, data)

    @PROPERTY
    @given(json_values.filter(lambda value: not isinstance(value, str)), st.booleans())
    def test_other_values(self, data: Any, ensure_ascii: bool) -> None:
        """Client events: any other value is passed on as its own JSON text, character for character."""
        text = json.dumps(data, ensure_ascii=ensure_ascii)
        frame = f'{{"event":"client-a","channel":"private-a","data": {text} }}'
        self.assertEqual(self.read(frame.encode()).data, text)

    def test_missing(self) -> None:
        """Client events: missing data is delivered as "{}"."""
        self.assertEqual(self.read(b'{"event":"client-a","channel":"private-a"}').data, "{}")

    def test_no_channel(self) -> None:
        """Client events: one without a channel is malformed."""
        for text in (b'{"event":"client-a","data":{}}', b'{"event":"client-a","channel":"","data":{}}'):
            refusal = self.assertRaises(MessageRefused, self.read, text)
            self.assertEqual(refusal.message, "Invalid client event (must contain channel and data)")

    def test_not_utf_8(self) -> None:
        """Messages in general: text is UTF-8, in strings and in objects alike."""
        for data in (b'"\xff"', b'{"a":"\xff"}', b'{"\xc3(":1}'):
            text = b'{"event":"client-a","channel":"private-a","data":' + data + b"}"
            refusal = self.assertRaises(MessageRefused, self.read, text)
            self.assertIn("not UTF-8", refusal.message)


class Members(SynchronousTestCase):
    """Presence: reading `channel_data`."""

    def refuse(self, channel_data: str) -> SubscriptionRefused:
        """Check that data is refused; give the refusal."""
        refusal = self.assertRaises(SubscriptionRefused, codec.read_member, "presence-a", channel_data)
        assert isinstance(refusal, SubscriptionRefused)
        self.assertEqual((refusal.channel, refusal.code), ("presence-a", None))
        return refusal

    def test_string_and_number(self) -> None:
        """Presence: a user id may be a string or a number; it becomes a string."""
        for user_id in ('"10"', "10"):
            self.assertEqual(codec.read_member("presence-a", f'{{"user_id":{user_id}}}'), Member("10"))

    def test_large_number(self) -> None:
        """Presence: a number keeps all its digits."""
        self.assertEqual(codec.read_member("presence-a", '{"user_id":9007199254740993}').user_id, "9007199254740993")

    def test_info(self) -> None:
        """Presence: user_info is kept as it was signed."""
        member = codec.read_member("presence-a", '{"user_info": {"b" : 1.0, "a":null} ,"user_id":"1"}')
        self.assertEqual(member, make_member("1", '{"b" : 1.0, "a":null}'))

    def test_null_info(self) -> None:
        """Presence: user_info null is none."""
        self.assertEqual(codec.read_member("presence-a", '{"user_id":"1","user_info":null}'), Member("1"))

    def test_info_not_an_object(self) -> None:
        """Failure of a subscription: user_info of another type is refused as the hosted service does."""
        for info in ("[]", "7", '"Ann"', "true", "false", '""', "0"):
            refusal = self.refuse(f'{{"user_id":"1","user_info":{info}}}')
            self.assertEqual(
                refusal.message,
                "user_info supplied to presence subscription is invalid - if supplied it must be a type of hash",
            )

    def test_wrong(self) -> None:
        """Presence: anything but an object with a string or a whole number as user id is refused."""
        wrong = ("", "x", "[]", "null", "{}", "7", '"1"')
        for data in (*wrong, *(f'{{"user_id":{user_id}}}' for user_id in ("null", "true", "[]", "{}", "1.5"))):
            self.assertIn("Invalid channel_data for presence subscription to presence-a: ", self.refuse(data).message)

    def test_deep(self) -> None:
        """Presence: nesting without end is refused."""
        self.refuse('{"user_id":"1","user_info":{"a":' + DEEP.decode() + "}}")


class ReadingAnything(SynchronousTestCase):
    """Whatever the bytes are, `MessageRefused` is all that comes out."""

    @PROPERTY
    @given(hostile_texts)
    def test_frames(self, text: bytes) -> None:
        """Any bytes are read, or refused with a reason that can be sent."""
        try:
            frame = codec.read_frame(text)
        except MessageRefused as refusal:
            codec.error(refusal.message, refusal.code)
            return
        for reader in (codec.read_subscribe, codec.read_unsubscribe, codec.read_client_event):
            try:
                found = reader(frame)
            except MessageRefused as refusal:
                codec.error(refusal.message, refusal.code)
            else:
                found.channel.encode()

    @PROPERTY
    @given(texts | json_values.map(json.dumps) | st.text())
    def test_members(self, channel_data: str) -> None:
        """Any channel_data is read, or refused with a reason that can be sent."""
        try:
            member = codec.read_member("presence-a", channel_data)
        except SubscriptionRefused as refusal:
            codec.subscription_error(refusal)
        else:
            codec.member_added("presence-a", member)


class ExactTexts(SynchronousTestCase):
    """Every message of the server, byte for byte."""

    def test_established(self) -> None:
        """connection_established: data is a string, and there is no channel member."""
        self.assertEqual(
            codec.established("48213.7719045", 120).text,
            rb'{"event":"pusher:connection_established",'
            rb'"data":"{\"socket_id\":\"48213.7719045\",\"activity_timeout\":120}"}',
        )

    def test_pong(self) -> None:
        """Liveness: a pong has the data string "{}"."""
        self.assertEqual(codec.pong().text, b'{"event":"pusher:pong","data":"{}"}')

    def test_error(self) -> None:
        """pusher:error: data is an object, with an integer code, and there is no channel member."""
        self.assertEqual(
            codec.error("App key k not found", APP_NOT_FOUND).text,
            b'{"event":"pusher:error","data":{"code":4001,"message":"App key k not found"}}',
        )

    def test_error_without_code(self) -> None:
        """pusher:error: without a code it is null."""
        self.assertEqual(
            codec.error('Invalid "x"').text, rb'{"event":"pusher:error","data":{"code":null,"message":"Invalid \"x\""}}'
        )

    def test_subscription_succeeded(self) -> None:
        """Success: data is the string "{}"."""
        self.assertEqual(
            codec.subscription_succeeded("news").text,
            b'{"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}',
        )

    def test_presence_succeeded(self) -> None:
        """Success: the roster has count, ids as strings, and a hash entry for each, null without info."""
        roster = codec.RosterText([make_member("1", '{"name":"Ann"}'), make_member("2")]).data()
        self.assertEqual(
            codec.subscription_succeeded("presence-room", roster).text,
            rb'{"event":"pusher_internal:subscription_succeeded","channel":"presence-room",'
            rb'"data":"{\"presence\":{\"count\":2,\"ids\":[\"1\",\"2\"],'
            rb'\"hash\":{\"1\":{\"name\":\"Ann\"},\"2\":null}}}"}',
        )

    def test_subscription_error(self) -> None:
        """Failure of a subscription: type, error and status in a data string, on the channel."""
        refusal = SubscriptionRefused("private-x", "Invalid signature")
        self.assertEqual(
            codec.subscription_error(refusal).text,
            rb'{"event":"pusher:subscription_error","channel":"private-x",'
            rb'"data":"{\"type\":\"AuthError\",\"error\":\"Invalid signature\",\"status\":401}"}',
        )

    def test_internal_subscription_error(self) -> None:
        """Failure of a subscription: the .NET client's form has the same data."""
        refusal = SubscriptionRefused("private-x", "Too long", "InvalidChannel", 400)
        self.assertEqual(
            codec.subscription_error(refusal, internal=True).text,
            rb'{"event":"pusher_internal:subscription_error","channel":"private-x",'
            rb'"data":"{\"type\":\"InvalidChannel\",\"error\":\"Too long\",\"status\":400}"}',
        )

    def test_event(self) -> None:
        """Delivered channel event: event, channel and data, and no user_id."""
        self.assertEqual(
            codec.event("news", "price-changed", '{"eur":12.5}').text,
            rb'{"event":"price-changed","channel":"news","data":"{\"eur\":12.5}"}',
        )

    def test_event_of_user(self) -> None:
        """Client events: user_id is a string beside data."""
        self.assertEqual(
            codec.event("presence-chat", "client-typing", '{"who":"Ann"}', "10").text,
            rb'{"event":"client-typing","channel":"presence-chat","data":"{\"who\":\"Ann\"}","user_id":"10"}',
        )

    def test_member_added(self) -> None:
        """Presence: a member with his info."""
        self.assertEqual(
            codec.member_added("presence-room", make_member("3", '{"name":"Cy"}')).text,
            rb'{"event":"pusher_internal:member_added","channel":"presence-room",'
            rb'"data":"{\"user_id\":\"3\",\"user_info\":{\"name\":\"Cy\"}}"}',
        )

    def test_member_added_without_info(self) -> None:
        """Presence: user_info that is absent is left out."""
        self.assertEqual(
            codec.member_added("presence-room", make_member("3")).text,
            rb'{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"3\"}"}',
        )

    def test_member_removed(self) -> None:
        """Presence: a member who left."""
        self.assertEqual(
            codec.member_removed("presence-room", "3").text,
            rb'{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"3\"}"}',
        )

    def test_signin_success(self) -> None:
        """pusher:signin: the user's data goes back as the unchanged string, nested threefold."""
        self.assertEqual(
            codec.signin_success('{"id":"12345"}').text,
            rb'{"event":"pusher:signin_success","data":"{\"user_data\":\"{\\\"id\\\":\\\"12345\\\"}\"}"}',
        )

    def test_cache_miss(self) -> None:
        """Cache channels: a miss names the channel, and its data is there: the text of an empty object."""
        self.assertEqual(
            codec.cache_miss("cache-stock").text,
            rb'{"event":"pusher:cache_miss","channel":"cache-stock","data":"{}"}',
        )

    def test_subscription_count(self) -> None:
        """Subscription count: the number stands in data, which is a string."""
        self.assertEqual(
            codec.subscription_count("news", 5).text,
            rb'{"event":"pusher_internal:subscription_count","channel":"news","data":"{\"subscription_count\":5}"}',
        )

    def test_watchlist(self) -> None:
        """Watchlist events: both groups in one message, ids as strings, and no channel."""
        self.assertEqual(
            codec.watchlist(["7"], ["8", "9"]).text,
            rb'{"event":"pusher_internal:watchlist_events","data":"{\"events\":['
            rb'{\"name\":\"online\",\"user_ids\":[\"7\"]},{\"name\":\"offline\",\"user_ids\":[\"8\",\"9\"]}]}"}',
        )

    def test_watchlist_of_one_group(self) -> None:
        """Watchlist events: a group without anybody is left out."""
        self.assertEqual(
            codec.watchlist(offline=["8"]).text,
            rb'{"event":"pusher_internal:watchlist_events",'
            rb'"data":"{\"events\":[{\"name\":\"offline\",\"user_ids\":[\"8\"]}]}"}',
        )


class WritingAnything(SynchronousTestCase):
    """What the server says survives the client's reading."""

    @PROPERTY
    @given(texts, texts, texts)
    def test_event(self, channel: str, name: str, data: str) -> None:
        """Delivered channel event: data passes through character for character, be it JSON or not."""
        self.assertEqual(read(codec.event(channel, name, data)), {"event": name, "channel": channel, "data": data})

    @PROPERTY
    @given(texts)
    def test_signin_success(self, user_data: str) -> None:
        """pusher:signin: whatever text was signed, it goes back character for character."""
        said = read(codec.signin_success(user_data))
        self.assertEqual(json.loads(said["data"]), {"user_data": user_data})

    @PROPERTY
    @given(st.dictionaries(texts, st.none() | json_objects, max_size=5))
    def test_roster(self, users: dict[str, Any]) -> None:
        """Success: count, ids and hash agree, whatever ids and infos hold."""
        members = [make_member(user_id, None if info is None else json.dumps(info)) for user_id, info in users.items()]
        presence = read_data(codec.RosterText(members).data())["presence"]
        self.assertEqual(presence, {"count": len(users), "ids": list(users), "hash": users})
