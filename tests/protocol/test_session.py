"""A session's table, cell by cell; pings, and what nobody understands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slanger.protocol.effects import Join, Leave, Say, Whisper
from slanger.protocol.errors import SubscriptionRefused
from slanger.protocol.session import Session, Standing
from tests.builders import SOCKET_ID, error, make_app, make_member, say, subscribe, unsubscribe
from tests.protocol.sessions import SessionTestCase
from tests.strategies import PROPERTY, hostile_texts

OFF, ASKED, ON = Standing.OFF, Standing.ASKED, Standing.ON
CHANNEL = "presence-room"
ROSTER = '{"presence":{"count":1,"ids":["7"],"hash":{"7":null}}}'
SUBSCRIBE = subscribe(CHANNEL, "7")
CLIENT_EVENT = say("client-typing", {"who": "Ann"}, channel=CHANNEL)
SUCCEEDED = {"event": "pusher_internal:subscription_succeeded", "channel": CHANNEL, "data": ROSTER}
NOT_SUBSCRIBED = f"No current subscription to channel {CHANNEL}, or subscription in progress"
NOT_ON = f"Cannot broadcast client event (connection not subscribed to channel {CHANNEL})"


class ChannelOff(SessionTestCase):
    """The column OFF: the client never asked for the channel, or has left it."""

    def test_subscribe(self) -> None:
        """pusher:subscribe: it asks to join, with the user who joins."""
        self.assertEqual(self.receive(SUBSCRIBE), [Join(CHANNEL, make_member("7"))])
        self.assert_unchanged(CHANNEL, ASKED)

    def test_unsubscribe(self) -> None:
        """Repeated subscribe, unsubscribe: leaving a channel it is not on is answered, and harms nobody."""
        self.assert_refused(self.receive(unsubscribe(CHANNEL)), NOT_SUBSCRIBED)
        self.assert_unchanged(CHANNEL, OFF)

    def test_client_event(self) -> None:
        """Client events: the sender must be subscribed."""
        self.assert_refused(self.receive(CLIENT_EVENT), NOT_ON)
        self.assert_unchanged(CHANNEL, OFF)

    def test_joined(self) -> None:
        """Repeated subscribe, unsubscribe: a join that ends after the client has left is not told."""
        self.assertEqual(list(self.session.joined(CHANNEL, ROSTER)), [])
        self.assert_unchanged(CHANNEL, OFF)

    def test_refused(self) -> None:
        """Repeated subscribe, unsubscribe: a refusal that comes after the client has left is not told."""
        self.assertEqual(list(self.session.refused(SubscriptionRefused(CHANNEL, "Full"))), [])
        self.assert_unchanged(CHANNEL, OFF)


class ChannelAsked(SessionTestCase):
    """The column ASKED: the answer is still under way."""

    def setUp(self) -> None:
        """Ask for the channel."""
        super().setUp()
        self.receive(SUBSCRIBE)

    def test_subscribe(self) -> None:
        """Repeated subscribe, unsubscribe: asking again is refused, and the first request goes on."""
        self.assert_refused(self.receive(SUBSCRIBE), f"Existing subscription to channel {CHANNEL}")
        self.assert_unchanged(CHANNEL, ASKED)

    def test_unsubscribe(self) -> None:
        """Repeated subscribe, unsubscribe: leaving withdraws the request; nothing is acknowledged."""
        self.assertEqual(self.receive(unsubscribe(CHANNEL)), [Leave(CHANNEL, make_member("7"))])
        self.assert_unchanged(CHANNEL, OFF)

    def test_client_event(self) -> None:
        """Client events: a client that triggers before success is told so."""
        self.assert_refused(self.receive(CLIENT_EVENT), NOT_ON)
        self.assert_unchanged(CHANNEL, ASKED)

    def test_joined(self) -> None:
        """Success: the client is told, with the roster."""
        self.assertEqual(self.said(self.session.joined(CHANNEL, ROSTER)), [SUCCEEDED])
        self.assert_unchanged(CHANNEL, ON)

    def test_refused(self) -> None:
        """Failure of a subscription: the client is told, and may ask again."""
        said = self.said(self.session.refused(SubscriptionRefused(CHANNEL, "Full", "LimitReached", 403)))
        fault = r'{"type":"LimitReached","error":"Full","status":403}'
        self.assertEqual(
            said,
            [
                error("Full"),
                {"event": "pusher:subscription_error", "channel": CHANNEL, "data": fault},
                {"event": "pusher_internal:subscription_error", "channel": CHANNEL, "data": fault},
            ],
        )
        self.assert_unchanged(CHANNEL, OFF)
        self.assertEqual(self.receive(SUBSCRIBE), [Join(CHANNEL, make_member("7"))])


class ChannelOn(SessionTestCase):
    """The column ON: the client is subscribed."""

    def setUp(self) -> None:
        """Subscribe to the channel."""
        super().setUp()
        self.put_on(CHANNEL, "7")

    def test_subscribe(self) -> None:
        """Repeated subscribe, unsubscribe: subscribing again is refused, and the subscription stays."""
        self.assert_refused(self.receive(SUBSCRIBE), f"Existing subscription to channel {CHANNEL}")
        self.assert_unchanged(CHANNEL, ON)

    def test_subscribe_badly(self) -> None:
        """Repeated subscribe, unsubscribe: it exists already, whatever the second request brings."""
        again = say("pusher:subscribe", {"channel": CHANNEL, "auth": "wrong"})
        self.assert_refused(self.receive(again), f"Existing subscription to channel {CHANNEL}")
        self.assert_unchanged(CHANNEL, ON)

    def test_unsubscribe(self) -> None:
        """Repeated subscribe, unsubscribe: it leaves, nothing is acknowledged, and it may come back."""
        self.assertEqual(self.receive(unsubscribe(CHANNEL)), [Leave(CHANNEL, make_member("7"))])
        self.assert_unchanged(CHANNEL, OFF)
        self.assert_refused(self.receive(unsubscribe(CHANNEL)), NOT_SUBSCRIBED)
        self.assertEqual(self.receive(SUBSCRIBE), [Join(CHANNEL, make_member("7"))])

    def test_client_event(self) -> None:
        """Client events: it is passed on, in the name of the user who was authorised."""
        self.assertEqual(self.receive(CLIENT_EVENT), [Whisper(CHANNEL, "client-typing", '{"who": "Ann"}', "7")])
        self.assert_unchanged(CHANNEL, ON)

    def test_joined(self) -> None:
        """Success: it is told once."""
        self.assertEqual(list(self.session.joined(CHANNEL, ROSTER)), [])
        self.assert_unchanged(CHANNEL, ON)

    def test_refused(self) -> None:
        """Failure of a subscription: what was granted is not refused afterwards."""
        self.assertEqual(list(self.session.refused(SubscriptionRefused(CHANNEL, "Full"))), [])
        self.assert_unchanged(CHANNEL, ON)


class Ends(SessionTestCase):
    """The connection is lost."""

    def test_gone(self) -> None:
        """Repeated subscribe, unsubscribe: it leaves what it is on and what it asked for, each once."""
        self.put_on("news")
        self.put_on(CHANNEL, "7")
        self.receive(subscribe("private-later"))
        self.put_on("left")
        self.receive(unsubscribe("left"))
        leaves = [Leave("news", None), Leave(CHANNEL, make_member("7")), Leave("private-later", None)]
        self.assertCountEqual(self.session.gone(), leaves)
        self.assertEqual(list(self.session.gone()), [])

    def test_late_answer(self) -> None:
        """Repeated subscribe, unsubscribe: a join that ends after the disconnect leaves no ghost."""
        self.receive(SUBSCRIBE)
        list(self.session.gone())
        self.assertEqual(list(self.session.joined(CHANNEL, ROSTER)), [])
        self.assert_unchanged(CHANNEL, OFF)


class Pings(SessionTestCase):
    """Liveness: messages that keep a connection alive."""

    def test_ping(self) -> None:
        """Liveness: a ping is answered at once in each of its three forms."""
        for text in (
            b'{"event":"pusher:ping","data":{}}',
            b'{"event":"pusher:ping"}',
            b'{"event":"pusher:ping","data":""}',
        ):
            self.assertEqual(self.said(self.receive(text)), [{"event": "pusher:pong", "data": "{}"}])

    def test_pong(self) -> None:
        """Liveness: a pong is not answered, whatever its data."""
        for text in (
            b'{"event":"pusher:pong","data":{}}',
            b'{"event":"pusher:pong","data":null}',
            b'{"event":"pusher:pong","data":""}',
        ):
            self.assertEqual(self.receive(text), [])


class NotUnderstood(SessionTestCase):
    """Messages that mean nothing are answered, and the connection stays."""

    def test_unknown_pusher_event(self) -> None:
        """Messages in general: an unknown pusher: event is answered as the hosted service does."""
        self.assert_refused(
            self.receive(say("pusher:dance", {})), "Unsupported event received on socket: 'pusher:dance'"
        )

    def test_internal_event(self) -> None:
        """Delivered channel event: no client speaks as the server."""
        self.put_on(CHANNEL, "7")
        for name in ("pusher_internal:member_added", "pusher:subscription_succeeded", "pusher:error"):
            self.assert_refused(
                self.receive(say(name, "{}", channel=CHANNEL)), f"Unsupported event received on socket: '{name}'"
            )

    def test_other_event(self) -> None:
        """Client events: any name without client- is rejected, though the client is subscribed."""
        self.put_on(CHANNEL, "7")
        for name in ("typing", "Client-typing", "", "my-client-event"):
            [said] = self.said(self.receive(say(name, {}, channel=CHANNEL)))
            self.assertEqual(said["event"], "pusher:error")
            self.assertIn("starts with 'client-'", said["data"]["message"])

    def test_garbage(self) -> None:
        """Messages in general: garbage is answered with an error without a code."""
        for text in (
            b"",
            b"garbage",
            b"{}",
            b"[]",
            b'{"event":7}',
            b"\xff",
            b"[" * 100_000,
            b'{"event":"pusher:subscribe"}',
        ):
            [said] = self.said(self.receive(text))
            self.assertEqual((said["event"], said["data"]["code"]), ("pusher:error", None))

    @PROPERTY
    @given(st.lists(hostile_texts, max_size=5))
    def test_anything(self, texts: list[bytes]) -> None:
        """Any bytes give effects; what is said is JSON, and only what was asked for rightly is joined."""
        session = Session(make_app(), SOCKET_ID)
        for text in texts:
            effects = list(session.receive(text, 0.0))
            self.said(effect for effect in effects if isinstance(effect, Say))
            for effect in effects:
                if isinstance(effect, Join):
                    self.assertFalse(effect.channel.startswith(("private-", "presence-", "#")))
        self.assertFalse([leave for leave in session.gone() if not isinstance(leave, Leave)])
