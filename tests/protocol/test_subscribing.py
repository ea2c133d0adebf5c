"""Who may subscribe to what."""

from __future__ import annotations

import json
from typing import Any

from slanger.protocol.effects import Effect, Join
from slanger.protocol.session import Standing
from tests.builders import KEY, SOCKET_ID, Json, auth, error, make_member, say, subscribe
from tests.protocol.sessions import SessionTestCase


class Refusals(SessionTestCase):
    """Subscribing, and being told why not."""

    def subscribe(self, channel: Any, **data: Any) -> list[Effect]:
        """Ask for a channel with whatever is named."""
        return self.receive(say("pusher:subscribe", {"channel": channel, **data}))

    def assert_turned_away(
        self, effects: list[Effect], channel: str, message: str, kind: str = "AuthError", status: int = 401
    ) -> None:
        """Check the three answers of a refusal, in their order, and that nothing was joined."""
        said = self.said(effects)
        self.assertEqual(said[0], error(message))
        self.assertEqual(
            [(answer["event"], answer["channel"]) for answer in said[1:]],
            [("pusher:subscription_error", channel), ("pusher_internal:subscription_error", channel)],
        )
        for answer in said[1:]:
            self.assertIsInstance(answer["data"], str)
            self.assertEqual(json.loads(answer["data"]), {"type": kind, "error": message, "status": status})
        self.assertIs(self.session.standing(channel), Standing.OFF)


class Authorisation(Refusals):
    """Auth tokens and Failure of a subscription."""

    def test_public(self) -> None:
        """Auth tokens: a public channel needs none, and minds none: empty, null or absent."""
        forms: tuple[Json, ...] = ({"auth": ""}, {"auth": None, "channel_data": None}, {})
        for number, data in enumerate(forms):
            self.assertEqual(self.subscribe(f"news-{number}", **data), [Join(f"news-{number}", None)])

    def test_each_private_prefix(self) -> None:
        """Channel types: private, encrypted and cache channels are joined with a right signature."""
        for channel in ("private-a", "private-encrypted-a", "private-cache-a", "private-encrypted-cache-a"):
            self.assertEqual(self.receive(subscribe(channel)), [Join(channel, None)])

    def test_data_as_a_string(self) -> None:
        """Messages in general: a subscription whose data is a JSON string is understood."""
        text = say("pusher:subscribe", json.dumps({"channel": "private-a", "auth": auth("private-a")}))
        self.assertEqual(self.receive(text), [Join("private-a", None)])

    def test_private_with_channel_data(self) -> None:
        """Auth tokens: channel_data on a private channel is signed too, and makes no member."""
        token = auth("private-a", '{"x":1}')
        effects = self.subscribe("private-a", auth=token, channel_data='{"x":1}')
        self.assertEqual(effects, [Join("private-a", None)])

    def test_no_auth(self) -> None:
        """Failure of a subscription: a private or presence channel without auth is refused."""
        for channel in ("private-a", "presence-a"):
            for data in ({}, {"auth": ""}, {"auth": None}):
                self.assert_turned_away(
                    self.subscribe(channel, **data),
                    channel,
                    f"Auth value for subscription to {channel} is invalid: should be of format 'key:signature'",
                )

    def test_no_colon(self) -> None:
        """Failure of a subscription: a token without a colon."""
        self.assert_turned_away(
            self.subscribe("private-a", auth="58df8b0c"),
            "private-a",
            "Auth value for subscription to private-a is invalid: should be of format 'key:signature'",
        )

    def test_foreign_key(self) -> None:
        """Failure of a subscription: the key before the colon is that of another app."""
        signature = auth("private-a").partition(":")[2]
        for key in ("another", "", KEY.upper() + "A"):
            self.assert_turned_away(
                self.subscribe("private-a", auth=f"{key}:{signature}"),
                "private-a",
                f"Invalid key in subscription auth data: '{key}'",
            )

    def test_wrong_signature(self) -> None:
        """Failure of a subscription: the answer shows what should have been signed, and what came."""
        for signature in ("0" * 64, "", "nonsense", "\u00fc"):
            self.assert_turned_away(
                self.subscribe("private-a", auth=f"{KEY}:{signature}"),
                "private-a",
                f"Invalid signature: Expected HMAC SHA256 hex digest of 1234.1234:private-a, but got {signature}",
            )

    def test_signature_of_another_socket(self) -> None:
        """Auth tokens: a token is good for one socket only."""
        [first, *_] = self.said(self.subscribe("private-a", auth=auth("private-a", socket_id="1.2")))
        self.assertIn("Invalid signature", first["data"]["message"])

    def test_signature_of_another_channel(self) -> None:
        """Auth tokens: a token is good for one channel only."""
        [first, *_] = self.said(self.subscribe("private-a", auth=auth("private-b")))
        self.assertIn("Invalid signature", first["data"]["message"])

    def test_tampered_channel_data(self) -> None:
        """Auth tokens: channel_data is verified byte for byte, before it is read."""
        signed = '{"user_id":"7"}'
        token = auth("presence-a", signed)
        for tampered in ('{"user_id":"8"}', '{"user_id": "7"}', "", "garbage"):
            to_sign = f"{SOCKET_ID}:presence-a:{tampered}" if tampered else f"{SOCKET_ID}:presence-a"
            self.assert_turned_away(
                self.subscribe("presence-a", auth=token, channel_data=tampered),
                "presence-a",
                f"Invalid signature: Expected HMAC SHA256 hex digest of {to_sign}, but got {token.partition(':')[2]}",
            )

    def test_docs_error(self) -> None:
        """Auth tokens: the documentation's pair, one text with the signature of another, is refused."""
        signature = "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c"
        channel_data = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
        [first, *_] = self.said(self.subscribe("presence-foobar", auth=f"{KEY}:{signature}", channel_data=channel_data))
        self.assertIn("Invalid signature", first["data"]["message"])

    def test_vectors(self) -> None:
        """Auth tokens: tokens of the official SDKs are accepted as they stand."""
        private = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        presence = "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"
        channel_data = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
        self.assertEqual(self.subscribe("private-foobar", auth=f"{KEY}:{private}"), [Join("private-foobar", None)])
        self.assertEqual(
            self.subscribe("presence-foobar", auth=f"{KEY}:{presence}", channel_data=channel_data),
            [Join("presence-foobar", make_member("10", '{"name":"Mr. Channels"}'))],
        )


class Switches(Refusals):
    """Failure of a subscription: the second and third answer can be turned off."""

    def refused_events(self, **changes: bool) -> list[str]:
        """Be refused under other rules; name the answers."""
        self.begin(**changes)
        return [said["event"] for said in self.said(self.subscribe("private-a"))]

    def test_both(self) -> None:
        """Failure of a subscription: all three by default, the hosted service's own first."""
        self.assertEqual(
            self.refused_events(),
            ["pusher:error", "pusher:subscription_error", "pusher_internal:subscription_error"],
        )

    def test_no_subscription_errors(self) -> None:
        """Failure of a subscription: without the one for the channel's listeners."""
        self.assertEqual(
            self.refused_events(subscription_errors=False), ["pusher:error", "pusher_internal:subscription_error"]
        )

    def test_no_internal_subscription_errors(self) -> None:
        """Failure of a subscription: without the one for the .NET client."""
        self.assertEqual(
            self.refused_events(internal_subscription_errors=False), ["pusher:error", "pusher:subscription_error"]
        )

    def test_neither(self) -> None:
        """Failure of a subscription: exactly as the hosted service."""
        self.assertEqual(
            self.refused_events(subscription_errors=False, internal_subscription_errors=False), ["pusher:error"]
        )


class Names(Refusals):
    """Name rules on subscribing."""

    def test_grammar(self) -> None:
        """Name rules: a name with other characters is refused, before its signature is looked at."""
        for channel in ("a b", "a/b", "ü", "a\n", "private-a:b", "a#b"):
            self.assert_turned_away(
                self.subscribe(channel),
                channel,
                f"Invalid channel name {channel!r}: only letters, digits and _ - = @ , . ; are allowed",
                "InvalidChannel",
                400,
            )

    def test_empty(self) -> None:
        """Name rules: a name must be there."""
        self.assert_turned_away(self.subscribe(""), "", "Invalid channel name: it is empty", "InvalidChannel", 400)

    def test_length(self) -> None:
        """Name rules: the length is the app's to set, up to it and no further."""
        self.begin(channel_name_length=164)
        self.assertEqual(self.subscribe("a" * 164), [Join("a" * 164, None)])
        self.assert_turned_away(
            self.subscribe("a" * 165),
            "a" * 165,
            "Invalid channel name: 165 characters, at most 164 are allowed",
            "InvalidChannel",
            400,
        )

    def test_prefixes_are_case_sensitive(self) -> None:
        """Channel types: `Private-` is a public channel."""
        for channel in ("Private-a", "PRESENCE-a", "private_a"):
            self.assertEqual(self.subscribe(channel), [Join(channel, None)])

    def test_inbox(self) -> None:
        """Channel types: an inbox is open to its signed-in user alone, whatever the auth."""
        channel = "#server-to-user-7"
        for data in ({}, {"auth": auth(channel)}):
            self.assert_turned_away(
                self.subscribe(channel, **data), channel, f"{channel} is open to its user alone, after signing in"
            )

    def test_other_reserved_name(self) -> None:
        """Name rules: `#` is reserved."""
        said: Json = self.said(self.subscribe("#news"))[0]
        self.assertIn("Invalid channel name", said["data"]["message"])


class Presence(Refusals):
    """Presence: who joins."""

    def enter(self, channel_data: str) -> list[Effect]:
        """Ask for presence-a with rightly signed data."""
        return self.subscribe("presence-a", auth=auth("presence-a", channel_data), channel_data=channel_data)

    def test_user_id(self) -> None:
        """Presence: a number and a string of the same digits are the same user, as a string."""
        for channel_data in ('{"user_id":10}', '{"user_id":"10"}'):
            self.begin()
            self.assertEqual(self.enter(channel_data), [Join("presence-a", make_member("10"))])

    def test_user_info(self) -> None:
        """Presence: the info is the object as it was signed."""
        effects = self.enter('{"user_id":"7","user_info":{"name": "Ann"}}')
        self.assertEqual(effects, [Join("presence-a", make_member("7", '{"name": "Ann"}'))])

    def test_user_info_not_an_object(self) -> None:
        """Failure of a subscription: user_info must be a hash."""
        self.assert_turned_away(
            self.enter('{"user_id":"7","user_info":["Ann"]}'),
            "presence-a",
            "user_info supplied to presence subscription is invalid - if supplied it must be a type of hash",
        )

    def test_missing_channel_data(self) -> None:
        """Failure of a subscription: without channel_data nobody knows who joins."""
        for data in ({}, {"channel_data": ""}, {"channel_data": None}):
            self.assert_turned_away(
                self.subscribe("presence-a", auth=auth("presence-a"), **data),
                "presence-a",
                "Subscription to presence channel presence-a needs channel_data with a user_id,"
                " or a user who is signed in",
            )

    def test_missing_user_id(self) -> None:
        """Presence: channel_data without a user id, and channel_data that is no JSON object, are refused."""
        for channel_data in ('{"user_info":{}}', "[]", "garbage", "7", '{"user_id":null}', '{"user_id":{}}'):
            said = self.said(self.enter(channel_data))
            self.assertEqual(len(said), 3)
            self.assertIn("Invalid channel_data", said[0]["data"]["message"])

    def test_empty_user_id(self) -> None:
        """Presence: nobody has an empty id."""
        self.assert_turned_away(
            self.enter('{"user_id":""}'), "presence-a", "user_id in channel_data must have 1 to 128 characters"
        )

    def test_user_id_length(self) -> None:
        """Presence: 128 characters of a user id, and not one more."""
        longest = "\u00fc" * 128
        self.assertEqual(self.enter(json.dumps({"user_id": longest})), [Join("presence-a", make_member(longest))])
        self.begin()
        self.assert_turned_away(
            self.enter(json.dumps({"user_id": "u" * 129})),
            "presence-a",
            "user_id in channel_data must have 1 to 128 characters",
        )

    def test_too_large(self) -> None:
        """Presence: 1 KB of user data in UTF-8, and not a byte more."""
        for character, room in (("x", 0), ("\u00fc", 1)):
            self.begin()
            empty = '{"user_id":"7","user_info":{"a":"' + "y" * room + '"}}'
            count, rest = divmod(1024 - len(empty), len(character.encode()))
            fitting = empty.replace('"}}', character * count + "y" * rest + '"}}')
            self.assertEqual(len(fitting.encode()), 1024)
            self.assert_turned_away(
                self.enter(fitting.replace('"}}', 'y"}}')),
                "presence-a",
                "channel_data exceeds the allowed maximum (1024 bytes)",
                "LimitReached",
                413,
            )
            self.assertEqual(len(self.enter(fitting)), 1)
            self.assertIs(self.session.standing("presence-a"), Standing.ASKED)
