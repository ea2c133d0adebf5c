"""Connections: letting them in, what they ask for, and sending them away."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slanger.domain.apps import App
from slanger.interfaces import IConnected, ISubscriber, ISubscribers, IWire
from slanger.protocol import codec, signing
from slanger.protocol.errors import (
    APP_DISABLED,
    APP_NOT_FOUND,
    PONG_NOT_RECEIVED,
    SHUTTING_DOWN,
    UNSUPPORTED_VERSION,
    ConnectionRefused,
)
from slanger.services.liveness import LEEWAY
from slanger.services.subscribers import AT_ONCE
from slanger.services.trace import TracedConnected, TracedWire
from tests.builders import KEY, SECRET, Client, Json, MemoryNode, Wire, auth, make_app, say, subscribe, unsubscribe


class SubscribersTestCase(SynchronousTestCase):
    """A node in memory: subscribers, registry, liveness, and a broker without peers."""

    def setUp(self) -> None:
        """Start it, with entropy that counts."""
        self.begin()

    def begin(self, random_below: Callable[[int], int] | None = None, *, verbose: bool = False, **changes: Any) -> None:
        """Start a node whose app is changed as named."""
        self.app = make_app(**changes)
        self.node = MemoryNode(self.app, random_below=random_below, verbose=verbose)
        self.clock, self.registry, self.liveness = self.node.clock, self.node.registry, self.node.liveness
        self.subscribers = self.node.subscribers

    def connect(self, version: str | None = "7") -> tuple[Wire, IConnected]:
        """Let a client in."""
        wire = Wire()
        return wire, self.subscribers.connect(wire, KEY, version, None)

    def refuse(self, key: str, version: str | None) -> ConnectionRefused:
        """Check that a client is refused, and told nothing on the wire but by the transport."""
        wire = Wire()
        refusal = self.assertRaises(ConnectionRefused, self.subscribers.connect, wire, key, version, None)
        assert isinstance(refusal, ConnectionRefused)
        self.assertEqual((wire.messages, wire.closes), ([], []))
        return refusal


class Connecting(SubscribersTestCase):
    """Connection: who is let in."""

    def test_established(self) -> None:
        """connection_established: it is the first message, sent before `connect` returns."""
        wire, _ = self.connect()
        self.assertEqual(
            [message.text for message in wire.messages],
            [rb'{"event":"pusher:connection_established","data":"{\"socket_id\":\"0.1\",\"activity_timeout\":120}"}'],
        )

    def test_interfaces(self) -> None:
        """The door and a connected client keep their seams."""
        _, client = self.connect()
        self.assertTrue(verifyObject(ISubscribers, self.subscribers))
        self.assertTrue(verifyObject(IConnected, client))
        self.assertTrue(verifyObject(ISubscriber, client))

    def test_unknown_key(self) -> None:
        """Close codes: an unknown key is refused with 4001 and a text that names it."""
        for key in ("nonsense", "", KEY.upper(), SECRET):
            refusal = self.refuse(key, "7")
            self.assertEqual(refusal.code, APP_NOT_FOUND)
            self.assertEqual(refusal.message, f"App key {key} does not exist on this server")

    def test_versions(self) -> None:
        """Protocol versions: 4 to 7 are spoken, a missing or empty one is taken for 7, and so is a later one."""
        for version in ("4", "5", "6", "7", None, "", "8", "10", "99999999999999999999"):
            wire, _ = self.connect(version)
            self.assertEqual([said["event"] for said in wire.said], ["pusher:connection_established"], version)

    def test_unsupported_versions(self) -> None:
        """Protocol versions: 1 to 3, and what is no number, are refused with 4007."""
        for version in ("1", "2", "3", "0", "-7", "abc", "7[]", "7.0", " 7", "\u0667", "\u00b2", "x" * 10_000):
            refusal = self.refuse(KEY, version)
            self.assertEqual(refusal.code, UNSUPPORTED_VERSION)
            self.assertIn("this server speaks 4 to 7", refusal.message)
            self.assertLess(len(refusal.message), 120)

    def test_refused_are_not_kept(self) -> None:
        """Bounded: who is refused is neither watched nor sent away later."""
        self.refuse("nonsense", "7")
        self.refuse(KEY, "3")
        self.assertEqual((self.subscribers._connected, self.liveness._slot_of), ({}, {}))


class SocketIds(SubscribersTestCase):
    """connection_established: the socket id."""

    def socket_id(self) -> str:
        """Connect; give the socket id that the client is told."""
        wire, client = self.connect()
        [said] = wire.said
        told: str = json.loads(said["data"])["socket_id"]
        assert ISubscriber.providedBy(client)
        self.assertEqual(client.socket_id, told)
        return told

    def test_grammar(self) -> None:
        """connection_established: two numbers joined by a dot, at either end of what entropy gives."""
        for give in (lambda _below: 0, lambda below: below - 1):
            self.begin(give)
            self.assertRegex(self.socket_id(), r"\A\d+\.\d+\Z")

    def test_range(self) -> None:
        """connection_established: each half is random below 10 to the 10th."""
        asked: list[int] = []
        self.begin(lambda below: asked.append(below) or 5 * 10**10 + 7)  # type: ignore[func-returns-value]
        self.assertEqual((self.socket_id(), asked), ("5.7", [10**20]))

    def test_unique(self) -> None:
        """connection_established: no two clients share an id."""
        self.begin(random.Random(7).randrange)
        self.assertEqual(len({self.socket_id() for _ in range(1000)}), 1000)


class Effects(SubscribersTestCase):
    """What a client asks for is done."""

    def join(self, wire: Wire, client: IConnected, channel: str, user_id: str | None = None) -> None:
        """Subscribe, and check that it succeeded."""
        socket_id = json.loads(wire.said[0]["data"])["socket_id"]
        client.receive(subscribe(channel, user_id, socket_id=socket_id))
        self.assertEqual(wire.said[-1]["event"], "pusher_internal:subscription_succeeded")

    def test_client_event(self) -> None:
        """Client events: all but the sending connection get it, with the user's id on a presence channel."""
        (ann, ann_client), (bo, bo_client), (tab, tab_client) = self.connect(), self.connect(), self.connect()
        for wire, client, user_id in ((ann, ann_client, "1"), (bo, bo_client, "2"), (tab, tab_client, "1")):
            self.join(wire, client, "presence-chat", user_id)
        for wire in (ann, bo, tab):
            wire.messages.clear()
        ann_client.receive(say("client-typing", {"who": "Ann"}, channel="presence-chat"))
        expected: Json = {
            "event": "client-typing",
            "channel": "presence-chat",
            "data": '{"who": "Ann"}',
            "user_id": "1",
        }
        self.assertEqual((ann.said, bo.said, tab.said), ([], [expected], [expected]))

    def test_client_event_rate(self) -> None:
        """Client events: the eleventh of a second is refused with 4301, and a second later all is well."""
        wire, client = self.connect()
        self.join(wire, client, "private-chat")
        wire.messages.clear()
        for _ in range(11):
            client.receive(say("client-a", {}, channel="private-chat"))
        self.assertEqual([said["data"]["code"] for said in wire.said], [4301])
        self.clock.advance(1)
        client.receive(say("client-a", {}, channel="private-chat"))
        self.assertEqual(len(wire.said), 1)

    def test_unsubscribe(self) -> None:
        """Repeated subscribe, unsubscribe: nothing comes after it, and others see the member go."""
        (ann, ann_client), (bo, bo_client) = self.connect(), self.connect()
        self.join(ann, ann_client, "presence-chat", "1")
        self.join(bo, bo_client, "presence-chat", "2")
        ann.messages.clear()
        bo.messages.clear()
        ann_client.receive(unsubscribe("presence-chat"))
        self.registry.publish(self.app, "presence-chat", "e", "{}", None)
        self.assertEqual(ann.said, [])
        self.assertEqual([said["event"] for said in bo.said], ["pusher_internal:member_removed", "e"])

    def test_presence_full(self) -> None:
        """Presence, limits: one too many is told so, in every form."""
        self.begin(presence_members=1)
        (ann, ann_client), (bo, bo_client) = self.connect(), self.connect()
        self.join(ann, ann_client, "presence-chat", "1")
        bo.messages.clear()
        bo_client.receive(subscribe("presence-chat", "2", socket_id="2.3"))
        self.assertEqual(
            [said["event"] for said in bo.said],
            ["pusher:error", "pusher:subscription_error", "pusher_internal:subscription_error"],
        )
        self.assertIn("full", bo.said[0]["data"]["message"])
        self.assertIsNone(bo.said[0]["data"]["code"])

    def test_gone(self) -> None:
        """A lost connection leaves its channels, and is neither watched nor sent away any more."""
        (ann, ann_client), (bo, bo_client) = self.connect(), self.connect()
        self.join(ann, ann_client, "presence-chat", "1")
        self.join(bo, bo_client, "presence-chat", "2")
        bo.messages.clear()
        ann_client.gone(1006)
        self.assertEqual([said["event"] for said in bo.said], ["pusher_internal:member_removed"])
        bo_client.gone(1006)
        self.assertEqual(list(self.registry.channels(self.app)), [])
        self.assertEqual((self.subscribers._connected, self.liveness._slot_of), ({}, {}))
        self.clock.pump([1] * 300)
        self.subscribers.stopService()
        self.assertEqual((ann.pings, ann.closes, bo.closes), (0, [], []))

    def test_silence(self) -> None:
        """Liveness: a silent client is pinged, then closed with 4201; one that was heard is not."""
        (dead, _), (alive, alive_client) = self.connect(), self.connect()
        for _ in range(120 + LEEWAY + 30 + 5):
            self.clock.advance(1)
            alive_client.heard()
        self.assertEqual((dead.pings, [code for code, _ in dead.closes]), (1, [PONG_NOT_RECEIVED]))
        self.assertEqual((alive.pings, alive.closes), (0, []))

    def test_shutdown(self) -> None:
        """Close codes: when the server stops, everybody is sent away with 4200 and comes back at once."""
        wires = [self.connect()[0] for _ in range(3)]
        self.subscribers.stopService()
        self.assertEqual([wire.closes for wire in wires], [[(SHUTTING_DOWN, "Server is shutting down")]] * 3)


class AuthorizedConnections(SubscribersTestCase):
    """Authorized connections: clients that the app has not vouched for are sent away."""

    TEXT = "Connection not authorized within timeout"

    def setUp(self) -> None:
        """Start a node whose app wants them, within ten seconds."""
        self.begin(authorized_connections=True, authorization_timeout=10)

    def closes(self, client: Client) -> list[tuple[int, str]]:
        """Give the codes and reasons a client was closed with."""
        return [(code.number, reason) for code, reason in client.wire.closes]

    def test_nobody_vouches(self) -> None:
        """Authorized connections: in time a client is told why, and closed with 4009; public channels do not help."""
        client = Client(self.node)
        client.subscribe("news")
        client.heard()
        self.clock.advance(9.9)
        self.assertEqual((client.heard(), self.closes(client)), ([], []))
        self.clock.advance(0.1)
        self.assertEqual(client.heard(), [("pusher:error", {"code": 4009, "message": self.TEXT})])
        self.assertEqual(self.closes(client), [(4009, self.TEXT)])

    def test_spared(self) -> None:
        """Authorized connections: who signed in, or is on a private or presence channel in time, stays."""
        signed_in, private, member = Client(self.node), Client(self.node), Client(self.node)
        self.clock.advance(9)
        signed_in.sign_in("7")
        private.subscribe("private-a")
        member.subscribe("presence-a", "7")
        self.clock.advance(20)
        self.assertEqual([self.closes(client) for client in (signed_in, private, member)], [[], [], []])

    def test_too_late(self) -> None:
        """Authorized connections: a refused sign-in is none."""
        client = Client(self.node)
        client.receive(say("pusher:signin", {"auth": f"{KEY}:00", "user_data": '{"id":"7"}'}))
        self.clock.advance(10)
        self.assertEqual(len(self.closes(client)), 1)

    def test_off(self) -> None:
        """Authorized connections: off by default, and then nobody is sent away."""
        self.begin()
        client = Client(self.node)
        self.clock.advance(100)
        self.assertEqual(self.closes(client), [])

    def test_gone(self) -> None:
        """Authorized connections: no call is left waiting for a client that has gone, before its time or after it."""
        waiting = len(self.clock.getDelayedCalls())
        early, late = Client(self.node), Client(self.node)
        early.go()
        self.clock.advance(10)
        late.go(4009)
        self.assertEqual(len(self.clock.getDelayedCalls()), waiting)
        self.clock.advance(10)
        self.assertEqual((len(self.closes(early)), len(self.closes(late))), (0, 1))


class Occurrences(SubscribersTestCase):
    """Webhooks of our own kinds: connections opened and closed."""

    def told(self) -> list[Json]:
        """Give what was told of connections."""
        return self.node.told("connection_opened", "connection_closed")

    def test_opened_and_closed(self) -> None:
        """connection_opened and _closed: socket id, when, and the close code; each exactly once."""
        self.clock.advance(1000.5)
        client = Client(self.node)
        self.clock.advance(2)
        client.subscribe("news")
        client.go(4201)
        opened = {"name": "connection_opened", "channel": "", "socket_id": "0.1", "time_ms": 1_000_500}
        closed = {"name": "connection_closed", "channel": "", "socket_id": "0.1", "time_ms": 1_002_500, "code": 4201}
        self.assertEqual(self.told(), [opened, closed])

    def test_user(self) -> None:
        """connection_closed: the user is named if he signed in."""
        client = Client(self.node)
        client.sign_in("7")
        client.go()
        opened, closed = self.told()
        self.assertNotIn("user_id", opened)
        self.assertEqual((closed["user_id"], closed["code"]), ("7", 1000))

    def test_refused(self) -> None:
        """connection_opened: one that was refused was never open."""
        self.refuse("nonsense", "7")
        self.refuse(KEY, "3")
        self.assertEqual(self.told(), [])

    def test_client_event(self) -> None:
        """Webhooks, event types: each client event that was accepted is told, its data always a string."""
        client = Client(self.node)
        client.subscribe("private-a")
        client.subscribe("presence-a", "7")
        client.receive(say("client-a", {"x": 1}, channel="private-a"))
        client.receive(say("client-b", "text", channel="presence-a"))
        client.receive(say("client-c", {}, channel="private-b"))
        event = {"name": "client_event", "socket_id": client.socket_id}
        self.assertEqual(
            self.node.told("client_event"),
            [
                {**event, "channel": "private-a", "event": "client-a", "data": '{"x": 1}'},
                {**event, "channel": "presence-a", "event": "client-b", "data": "text", "user_id": "7"},
            ],
        )

    def test_app_events(self) -> None:
        """Webhooks, event types: what the app itself publishes it is not told."""
        Client(self.node).subscribe("news")
        self.registry.publish(self.app, "news", "client-a", "{}", None)
        self.assertEqual(self.node.told("client_event"), [])


class Tracing(SubscribersTestCase):
    """`--verbose`: frames in and out to the log."""

    def setUp(self) -> None:
        """Start a node that traces."""
        self.begin(lambda _below: 1234 * 10**10 + 1234, verbose=True)

    def traced(self, *texts: bytes) -> str:
        """Let a client say something and go; give what the log has of it, and check that no secret is in it."""
        with capturedLogs() as logs:
            _, client = self.connect()
            for text in texts:
                client.receive(text)
            client.gone(1006)
        lines = [event["log_format"].format(**event) for event in logs]
        return "\n".join(lines)

    def test_frames(self) -> None:
        """Every frame in and out is logged, with who it is from or for."""
        log = self.traced(subscribe("news"))
        self.assertEqual(
            log.splitlines(),
            [
                f"192.0.2.1:50000 <- {codec.established('1234.1234', 120).text.decode()}",
                '192.0.2.1:50000 -> {"event": "pusher:subscribe", "data": {"channel": "news"}}',
                '192.0.2.1:50000 <- {"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}',
                "192.0.2.1:50000 gone with 1006",
            ],
        )

    def test_auth_is_masked(self) -> None:
        """An auth string is masked, in data that is an object and in data that is a string."""
        token = auth("private-a")
        data = {"channel": "private-a", "auth": token}
        for form in (data, json.dumps(data)):
            log = self.traced(say("pusher:subscribe", form))
            self.assertIn("subscription_succeeded", log)
            self.assertNotIn(token, log)
            self.assertNotIn(token.partition(":")[2], log)
            self.assertNotIn(KEY, log)

    def test_short_auth_is_masked(self) -> None:
        """An auth string that is no signature is masked where it was sent: it may be a secret put there by mistake."""
        log = self.traced(say("pusher:ping", {"auth": SECRET}))
        self.assertNotIn(SECRET, log)

    def test_signatures_are_masked(self) -> None:
        """A signature is masked wherever it stands, also in what the server answers."""
        wrong = "ab" * 32
        log = self.traced(say("pusher:subscribe", {"channel": "private-a", "auth": f"{KEY}:{wrong}"}))
        self.assertIn("Invalid signature", log)
        self.assertNotIn(wrong, log)

    def test_escaped_auth_is_masked(self) -> None:
        """An auth string is masked however its JSON is escaped."""
        signature = auth("private-a").partition(":")[2]
        text = say("pusher:subscribe", {"channel": "private-a", "auth": auth("private-a")})
        log = self.traced(text.replace(f"{KEY}:".encode(), KEY.encode() + rb"\u003a"))
        self.assertIn("subscription_succeeded", log)
        self.assertNotIn(signature, log)

    def test_repetition(self) -> None:
        """A long message costs in proportion to its length, whatever it repeats: else this would take hours."""
        for repeated in (b"\\", b'"auth', b'"auth"', b'"auth\\"', b'"auth" :', b'"auth": '):
            self.assertIn(f"({4 * 2**20} bytes)", self.traced((repeated * 2**22)[: 4 * 2**20]))

    def test_garbage(self) -> None:
        """Bytes that are no text, and braces, are logged without a fault."""
        log = self.traced(b"\xff\xfe {nonsense} {0}")
        self.assertIn(r"\xff\xfe {nonsense} {0}", log)

    def test_closes_and_pings(self) -> None:
        """Pings and closes are logged, and done."""
        wire, _ = self.connect()
        with capturedLogs() as logs:
            self.clock.pump([1] * (120 + LEEWAY + 30 + 5))
        lines = [event["log_format"].format(**event) for event in logs]
        error = '{"event":"pusher:error","data":{"code":4201,"message":"Pong reply not received in time"}}'
        self.assertEqual(
            lines,
            [
                "192.0.2.1:50000 <- PING",
                f"192.0.2.1:50000 <- {error}",
                "192.0.2.1:50000 <- CLOSE 4201 Pong reply not received in time",
            ],
        )
        self.assertEqual((wire.pings, len(wire.closes)), (1, 1))

    def test_off(self) -> None:
        """Without it nothing is logged."""
        self.begin(lambda _below: 1234 * 10**10 + 1234)
        self.assertEqual(self.traced(subscribe("private-a"), say("pusher:ping"), b"garbage"), "")

    def test_interfaces(self) -> None:
        """What traces keeps the seams of what it traces."""
        wire, client = self.connect()
        self.assertIsInstance(client, TracedConnected)
        self.assertTrue(verifyObject(IConnected, client))
        self.assertTrue(verifyObject(IWire, TracedWire(wire)))

    def test_life_is_noted(self) -> None:
        """Signs of life are noted through the trace too."""
        wire, client = self.connect()
        for _ in range(300):
            self.clock.advance(1)
            client.heard()
        self.assertEqual((wire.pings, wire.closes), (0, []))


class SendingAway(SynchronousTestCase):
    """Reload: the clients of apps that are served no more."""

    def setUp(self) -> None:
        """Have a node with three apps, and clients of each."""
        self.node = MemoryNode(*(make_app(key) for key in ("kept", "gone", "off")))
        self.clients = {key: [Client(self.node, key) for _ in range(3)] for key in ("kept", "gone", "off")}

    def swap(self, *apps: App) -> None:
        """Serve other apps, and send the clients of some away."""
        self.node.apps.swap(apps)
        self.node.subscribers.dismiss(("gone", "off"))

    def closes(self, key: str) -> list[list[tuple[int, str]]]:
        """Tell how the clients of an app were closed."""
        return [[(code.number, text) for code, text in client.wire.closes] for client in self.clients[key]]

    def test_codes(self) -> None:
        """Close codes: clients of an app that is gone are closed with 4001, of one that is disabled with 4003."""
        self.swap(make_app("kept"), make_app("off", enabled=False))
        for key, code, text in (
            ("gone", 4001, "App key gone does not exist on this server"),
            ("off", 4003, "App key off is disabled on this server"),
        ):
            self.assertEqual(self.closes(key), [[(code, text)]] * 3)
            for client in self.clients[key]:
                self.assertEqual(client.heard()[-1], ("pusher:error", {"code": code, "message": text}))
        self.assertEqual(self.closes("kept"), [[]] * 3)
        self.assertEqual(dict(self.node.tallies.connections_sent_away), {("gone", "4001"): 3, ("off", "4003"): 3})

    def test_refused(self) -> None:
        """Close codes: an app that is disabled lets nobody in, and says 4003; enabled again, it does."""
        self.swap(make_app("kept"), make_app("off", enabled=False))
        refusal = self.assertRaises(ConnectionRefused, Client, self.node, "off")
        self.assertEqual((refusal.code, refusal.message), (APP_DISABLED, "App key off is disabled on this server"))
        self.swap(make_app("kept"), make_app("off"))
        Client(self.node, "off")

    def test_some_in_each_turn(self) -> None:
        """Limits: where many are sent away, others are served in between; who is gone by then is not told."""
        many = [*self.clients["gone"], *(Client(self.node, "gone") for _ in range(2 * AT_ONCE))]
        self.node.apps.swap([make_app("kept"), make_app("off")])
        closed: list[int] = []

        def others() -> None:
            closed.append(sum(bool(client.wire.closes) for client in many))
            if len(closed) < 4:
                self.node.clock.callLater(0, others)

        self.node.subscribers.dismiss({"gone"})
        many[-1].go()
        self.node.clock.callLater(0, others)
        self.node.clock.advance(0)
        self.assertEqual(closed, [2 * AT_ONCE, 2 * AT_ONCE + 2, 2 * AT_ONCE + 2, 2 * AT_ONCE + 2])
        self.assertEqual(many[-1].wire.closes, [])

    def test_back_in_time(self) -> None:
        """Reload: who was not sent away yet when his app came back stays."""
        many = [*self.clients["gone"], *(Client(self.node, "gone") for _ in range(2 * AT_ONCE))]
        self.node.apps.swap([make_app("kept"), make_app("off")])
        self.node.subscribers.dismiss({"gone"})
        self.node.apps.swap([make_app("kept"), make_app("off"), make_app("gone")])
        self.node.clock.pump([0, 0, 0])
        self.assertEqual(sum(bool(client.wire.closes) for client in many), AT_ONCE)

    def test_rules(self) -> None:
        """Reload: new rules hold for clients that are connected: switches, limits, and the secret."""
        (client, *_) = self.clients["kept"]
        client.heard()
        self.node.apps.swap([replace(make_app("kept"), client_events=False, channel_name_length=3, secret="other")])
        client.receive(say("client-hello", {}, channel="private-room"))
        client.receive(subscribe("news"))
        client.receive(say("pusher:subscribe", {"channel": "private-x", "auth": f"kept:{'0' * 64}"}))
        complaints = [data["message"] for event, data in client.heard() if event == "pusher:error"]
        self.assertIn("must enable", complaints[0])
        self.assertIn("3", complaints[1])
        self.node.apps.swap([replace(make_app("kept"), secret="other")])
        for secret, answer in ((SECRET, "pusher:error"), ("other", "pusher_internal:subscription_succeeded")):
            signature = signing.sign(secret, signing.channel_string(client.socket_id, "private-x", None))
            client.receive(say("pusher:subscribe", {"channel": "private-x", "auth": f"kept:{signature}"}))
            self.assertEqual(client.events()[0], answer)

    def test_authorized_connections(self) -> None:
        """Authorized connections: turned off, it ends nobody who came before; turned on, it spares them."""
        apps = [make_app("kept", authorized_connections=True)]
        self.node.apps.swap(apps)
        strict = Client(self.node, "kept")
        self.node.apps.swap([make_app("kept")])
        self.node.clock.advance(31)
        self.assertEqual(strict.wire.closes, [])
        self.node.apps.swap(apps)
        self.node.clock.advance(31)
        self.assertEqual(self.closes("kept"), [[]] * 3)
