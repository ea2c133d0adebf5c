"""What a client may send to the other subscribers of a channel."""

from __future__ import annotations

from typing import Any

from slanger.protocol.effects import Effect, Whisper
from tests.builders import say
from tests.protocol.sessions import SessionTestCase

TOO_OFTEN = "Client event rejected due to rate limit (at most 10 per second)"


class ClientEventTestCase(SessionTestCase):
    """A client on a private and a presence channel."""

    def setUp(self) -> None:
        """Be on a private and a presence channel."""
        super().setUp()
        self.put_on("private-chat")
        self.put_on("presence-chat", "10")

    def trigger(
        self, channel: str = "private-chat", event: str = "client-typing", data: Any = "{}", now: float = 0.0
    ) -> list[Effect]:
        """Send a client event."""
        return self.receive(say(event, data, channel=channel), now)


class ClientEvents(ClientEventTestCase):
    """Client events: the rules, each by itself."""

    def test_private(self) -> None:
        """Client events: on a private channel nobody is named."""
        self.assertEqual(self.trigger(), [Whisper("private-chat", "client-typing", "{}", None)])

    def test_presence(self) -> None:
        """Client events: on a presence channel the server names the user, from the authorisation."""
        self.assertEqual(self.trigger("presence-chat"), [Whisper("presence-chat", "client-typing", "{}", "10")])

    def test_forged_user(self) -> None:
        """Client events: a user id in the message is ignored, on either kind of channel."""
        for channel, user_id in (("private-chat", None), ("presence-chat", "10")):
            text = say("client-typing", "{}", channel=channel, user_id="11", userId="11")
            self.assertEqual(self.receive(text), [Whisper(channel, "client-typing", "{}", user_id)])

    def test_cache_and_encrypted(self) -> None:
        """Client events: cache variants and encrypted channels allow them too."""
        for channel in ("private-cache-a", "presence-cache-a", "private-encrypted-a"):
            user_id = "10" if channel.startswith("presence-") else None
            self.put_on(channel, user_id)
            self.assertEqual(self.trigger(channel), [Whisper(channel, "client-typing", "{}", user_id)])

    def test_string_data(self) -> None:
        """Client events: a string is forwarded unchanged, JSON or not."""
        for data in ('{"who": "Ann"}', "no json", "\u2028 \u00fc \U0001f600 \\ / \x00"):
            self.assertEqual(self.trigger(data=data), [Whisper("private-chat", "client-typing", data, None)])

    def test_empty_string(self) -> None:
        """Client events: the empty string is a string, forwarded unchanged."""
        self.assertEqual(self.trigger(data=""), [Whisper("private-chat", "client-typing", "", None)])

    def test_other_data(self) -> None:
        """Client events: anything else is forwarded as its own JSON text."""
        for data in ('{"who" : "Ann","n":1.0}', "[1,2]", "7", "null", "false"):
            text = f'{{"event":"client-typing","channel":"private-chat","data":{data}}}'
            self.assertEqual(self.receive(text.encode()), [Whisper("private-chat", "client-typing", data, None)])

    def test_missing_data(self) -> None:
        """Client events: missing data is forwarded as "{}"."""
        text = say("client-typing", channel="private-chat")
        self.assertEqual(self.receive(text), [Whisper("private-chat", "client-typing", "{}", None)])

    def test_switched_off(self) -> None:
        """Client events: an app may not want them at all."""
        self.begin(client_events=False)
        self.put_on("private-chat")
        self.assert_refused(
            self.trigger(), "To send client events, you must enable this feature in the settings of the app."
        )

    def test_public(self) -> None:
        """Client events: a public channel carries none, though the client is subscribed."""
        for channel in ("news", "cache-news", "Private-chat"):
            self.put_on(channel)
            self.assert_refused(
                self.trigger(channel), "Client event rejected - only supported on private and presence channels"
            )

    def test_inbox(self) -> None:
        """Channel types: an inbox carries none."""
        self.assert_refused(
            self.trigger("#server-to-user-10"),
            "Client event rejected - only supported on private and presence channels",
        )

    def test_not_subscribed(self) -> None:
        """Client events: the sender must be subscribed to the channel."""
        self.assert_refused(
            self.trigger("private-other"),
            "Cannot broadcast client event (connection not subscribed to channel private-other)",
        )

    def test_no_channel(self) -> None:
        """Client events: one without a channel is malformed."""
        self.assert_refused(
            self.receive(say("client-typing", {})), "Invalid client event (must contain channel and data)"
        )

    def test_name_length(self) -> None:
        """Limits: an event name has 200 characters at most."""
        longest = "client-" + "e" * 193
        self.assertEqual(self.trigger(event=longest), [Whisper("private-chat", longest, "{}", None)])
        self.assert_refused(
            self.trigger(event=longest + "e"),
            "Client event rejected - its name exceeds the allowed maximum (200 characters)",
        )

    def test_size(self) -> None:
        """Client events: 10 kB of data in UTF-8, and not a byte more."""
        for largest in ("x" * 10240, "\u00fc" * 5120, "\U0001f600" * 2560):
            self.assertEqual(self.trigger(data=largest), [Whisper("private-chat", "client-typing", largest, None)])
            self.assert_refused(
                self.trigger(data=largest + "x"),
                "Client event rejected - its data exceeds the allowed maximum (10240 bytes)",
            )

    def test_size_of_an_object(self) -> None:
        """Client events: an object is measured as the text that is delivered."""
        [effect] = self.receive(b'{"event":"client-a","channel":"private-chat","data":["' + b"x" * 10236 + b'"]}')
        self.assertIsInstance(effect, Whisper)
        self.assert_refused(
            self.receive(b'{"event":"client-a","channel":"private-chat","data":["' + b"x" * 10237 + b'"]}'),
            "Client event rejected - its data exceeds the allowed maximum (10240 bytes)",
        )

    def test_size_limit_is_the_apps(self) -> None:
        """Client events: the limit is the app's to set."""
        self.begin(event_data_bytes=5)
        self.put_on("private-chat")
        self.assertIsInstance(self.trigger(data="12345")[0], Whisper)
        self.assert_refused(
            self.trigger(data="123456"), "Client event rejected - its data exceeds the allowed maximum (5 bytes)"
        )


class Rate(ClientEventTestCase):
    """Client events: 10 per second and connection."""

    def test_limit(self) -> None:
        """Client events: the eleventh within a second is refused with code 4301, on whatever channel."""
        for number in range(10):
            self.assertIsInstance(self.trigger(now=number / 20)[0], Whisper)
        self.assert_refused(self.trigger(now=0.5), TOO_OFTEN, 4301)
        self.assert_refused(self.trigger("presence-chat", now=0.999), TOO_OFTEN, 4301)

    def test_recovery(self) -> None:
        """Client events: a second after the first of them the next is let through, then it is full again."""
        for number in range(10):
            self.trigger(now=100 + number / 20)
        self.assert_refused(self.trigger(now=100.99), TOO_OFTEN, 4301)
        self.assertIsInstance(self.trigger(now=101.0)[0], Whisper)
        self.assert_refused(self.trigger(now=101.01), TOO_OFTEN, 4301)
        self.assertIsInstance(self.trigger(now=101.06)[0], Whisper)

    def test_refused_events_are_not_counted(self) -> None:
        """Client events: one who keeps trying is let through as soon as one who waits."""
        for _ in range(10):
            self.trigger(now=0.0)
        for number in range(50):
            self.assert_refused(self.trigger(now=number / 100), TOO_OFTEN, 4301)
        self.assertEqual(sum(isinstance(self.trigger(now=1.0)[0], Whisper) for _ in range(20)), 10)

    def test_other_messages_are_not_limited(self) -> None:
        """Client events: the limit is on client events alone."""
        for _ in range(11):
            self.trigger()
        self.assertEqual(self.said(self.receive(say("pusher:ping")))[0]["event"], "pusher:pong")

    def test_limit_is_the_apps(self) -> None:
        """Client events: the limit is the app's to set."""
        self.begin(client_events_per_second=2)
        self.put_on("private-chat")
        answers = [self.trigger(now=0.0)[0] for _ in range(3)]
        self.assertEqual([isinstance(answer, Whisper) for answer in answers], [True, True, False])

    def test_nothing_is_lost(self) -> None:
        """Client events: the connection and its subscriptions stay."""
        for _ in range(11):
            self.trigger()
        self.assertIsInstance(self.trigger(now=2.0)[0], Whisper)
