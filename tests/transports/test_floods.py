"""Clients that ask for too much: too many messages, too many bytes that they do not read, the wrong origin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import capturedLogs, formatEvent
from websockets.frames import Frame, Opcode

from slanger.domain.apps import App
from slanger.domain.limits import BURST_SECONDS
from slanger.transports.connection import PAID_AT_ONCE
from tests.builders import LIMITS
from tests.server import KEY, SECRET
from tests.transports.client import Client, WebSocketTestCase, close_of, text, written

RATE = 20
BURST = RATE * BURST_SECONDS + PAID_AT_ONCE
PING = text({"event": "pusher:ping"})


class FloodTests(WebSocketTestCase):
    """Messages and control frames without end."""

    def setUp(self) -> None:
        """Serve with a low rate."""
        super().setUp()
        self.serve(self.app, messages_per_second=RATE)

    def flood(self, client: Client, *frames: Frame, most: int = 2 * BURST) -> int:
        """Send frames at once until the connection is closed, and tell how many were read before."""
        data = b"".join(map(written, frames))
        for number in range(most):
            client.say(data)
            if client.transport.producerState == "paused":
                return number * len(frames)
        raise AssertionError(f"the connection is open after {most * len(frames)} frames")

    def assert_cut(self, client: Client) -> None:
        """Check that a client was closed with 4100, is read no more, and dropped in the end."""
        self.end_turn()
        code, reason = close_of(client.frames())
        self.assertEqual(code, 4100)
        self.assertIn("per second", reason)
        self.assertEqual(self.node.tallies.connections_cut["flood",], 1)
        client.say(written(PING) * 50)
        self.end_turn()
        self.assertEqual(client.frames(), [])
        self.clock.pump([0.5] * 4)
        self.assertTrue(client.transport.disconnected)
        client.leave()
        self.assertEqual(len(self.node.subscribers), 0)

    def test_messages(self) -> None:
        """Messages per second: who sends more than a burst at once is closed with 4100, and read no more."""
        client = self.connect()
        read = self.flood(client, PING)
        self.assertLess(abs(read - BURST), PAID_AT_ONCE)
        self.assert_cut(client)

    def test_control_frames(self) -> None:
        """Messages per second: PING frames count, PONGs that nobody asked for too, and empty fragments."""
        for frames in (
            (Frame(Opcode.PING, b""),),
            (Frame(Opcode.PONG, b""),),
            (Frame(Opcode.TEXT, b"", fin=False), Frame(Opcode.CONT, b"")),
        ):
            client = self.connect()
            self.flood(client, *frames)
            self.assert_cut(client)
            self.node.tallies.connections_cut.clear()

    def test_fragments_without_end(self) -> None:
        """Messages per second: one message in fragments without end and without bytes is not read for ever."""
        client = self.connect()
        client.send(Frame(Opcode.TEXT, b"", fin=False))
        self.flood(client, Frame(Opcode.CONT, b"", fin=False))
        self.assert_cut(client)

    def test_in_one_read(self) -> None:
        """Messages per second: of a flood that comes in one read, what is beyond the burst is not even looked at."""
        client = self.connect()
        client.say(written(Frame(Opcode.TEXT, json.dumps({"event": "pusher:ping"}).encode())) * 2 * BURST)
        self.end_turn()
        pongs = [frame for frame in client.frames() if frame.opcode is Opcode.TEXT]
        self.assertLess(abs(len(pongs) - BURST), PAID_AT_ONCE)

    def test_burst(self) -> None:
        """Messages per second: a client that comes back and subscribes to hundreds of channels at once is welcome."""
        client = self.connect()
        for number in range(RATE * BURST_SECONDS):
            client.tell("pusher:subscribe", {"channel": f"channel-{number}"})
        self.end_turn()
        self.assertEqual(len(client.messages()), RATE * BURST_SECONDS)

    def test_steady(self) -> None:
        """Messages per second: who keeps to the rate is never closed, after a burst either."""
        client = self.connect()
        client.send(*[PING] * (RATE * BURST_SECONDS - RATE))
        for _ in range(60):
            client.send(*[PING] * RATE)
            self.clock.advance(1.0)
        self.assertFalse(client.transport.ended)
        self.assertEqual(len(client.messages()), RATE * (BURST_SECONDS - 1 + 60))

    def test_too_fast_for_long(self) -> None:
        """Messages per second: who sends twice the rate is closed when the burst is used up."""
        client = self.connect()
        seconds = 0
        while client.transport.producerState != "paused":
            client.send(*[PING] * (2 * RATE))
            self.clock.advance(1.0)
            seconds += 1
            self.assertLess(seconds, 3 * BURST_SECONDS)
        self.assertGreater(seconds, BURST_SECONDS)

    def test_clock_set_back(self) -> None:
        """Messages per second: a clock that is set back closes nobody."""
        self.clock.advance(10_000)
        client = self.connect()
        client.send(*[PING] * PAID_AT_ONCE * 2)
        self.clock.rightNow -= 5000
        client.send(*[PING] * PAID_AT_ONCE)
        self.assertEqual(client.transport.producerState, "producing")

    def test_changed(self) -> None:
        """Reload: another rate holds for the connections that are there."""
        client = self.connect()
        self.factory.apply(replace(LIMITS, messages_per_second=1))
        self.assertLess(self.flood(client, PING), 2 * PAID_AT_ONCE)

    def test_logged(self) -> None:
        """Never silent: a hundred that flood are one line in the log, and a hundred in the tally."""
        with capturedLogs() as events:
            for _ in range(100):
                self.flood(self.connect(), PING)
        (line,) = [formatEvent(event) for event in events]
        self.assertIn("192.0.2.7", line)
        self.assertEqual(self.node.tallies.connections_cut["flood",], 100)


class TotalBacklogTests(WebSocketTestCase):
    """Many who do not read."""

    def setUp(self) -> None:
        """Serve with little room for all of them together."""
        super().setUp()
        self.serve(self.app, backlog_bytes=50_000, total_backlog_bytes=100_000)

    def producer(self, client: Client) -> Any:
        """Give what the transport tells of its buffer."""
        return IPushProducer(client.transport.producer)

    def slow(self, channel: str) -> Client:
        """Connect a client that reads nothing."""
        client = self.connect()
        self.subscribe(client, channel)
        self.producer(client).pauseProducing()
        return client

    def test_worst_first(self) -> None:
        """Backlog in all: when it is too much, the worst readers are closed with 4100, and no more than needed."""
        readers = [self.slow(f"channel-{number}") for number in range(5)]
        for size, number in ((40_000, 0), (5_000, 1), (30_000, 2), (4_000, 3), (20_000, 4)):
            self.publish("x" * size, f"channel-{number}")
            self.end_turn()
        self.assertEqual([client.transport.ended or bool(client.transport.writes) for client in readers], [False] * 5)
        self.publish("x" * 2_000, "channel-1")
        self.end_turn()
        closed = [client for client in readers if client.transport.writes]
        self.assertEqual(closed, [readers[0]])
        self.assertEqual(close_of(readers[0].frames())[0], 4100)
        self.assertEqual(self.node.tallies.connections_cut["slow_reader",], 1)
        self.producer(readers[2]).resumeProducing()
        (event,) = readers[2].messages()
        self.assertEqual(len(event["data"]), 30_000)

    def test_counted(self) -> None:
        """Backlog in all: what was read, and what went with its connection, counts no more."""
        first, second, third = (self.slow(f"channel-{number}") for number in range(3))
        turn = self.factory.turn
        for number in range(3):
            self.publish("x" * 10_000, f"channel-{number}")
        self.end_turn()
        self.assertGreater(turn.backlog, 30_000)
        self.producer(first).resumeProducing()
        self.assertLess(turn.backlog, 25_000)
        second.leave()
        self.assertLess(turn.backlog, 15_000)
        third.send(Frame(Opcode.CLOSE, b"\x03\xe8"))
        self.assertEqual((turn.backlog, turn.slow), (0, {}))

    def test_what_the_transport_holds(self) -> None:
        """Backlog in all: what a transport holds already counts too."""
        client = self.slow("channel")
        self.producer(client).resumeProducing()
        client.transport.dataBuffer = b"x" * 7_000  # type: ignore[attr-defined]
        self.producer(client).pauseProducing()
        self.assertEqual(self.factory.turn.backlog, 7_000)

    def test_no_answer_read(self) -> None:
        """Slow readers: one that says goodbye and does not read the answer is dropped all the same."""
        client = self.slow("channel")
        self.publish("x" * 10_000, "channel")
        client.send(Frame(Opcode.CLOSE, b"\x03\xe8"))
        self.assertTrue(client.transport.disconnecting)
        self.clock.pump([0.5] * 4)
        self.assertTrue(client.transport.disconnected)


class OriginTests(WebSocketTestCase):
    """Origins, from the header to the close code."""

    def test_origins(self) -> None:
        """Origins: a page that is not listed is refused in-band, with 4009; listed ones and native clients are not."""
        self.serve(App(key=KEY, secret=SECRET, origins=("https://a.example", "capacitor://localhost")))
        for origin, welcome in (
            (b"https://a.example", True),
            (b"capacitor://localhost", True),
            (None, True),
            (b"https://evil.example", False),
            (b"null", False),
            (b"file://", False),
        ):
            client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
            header = b"" if origin is None else b"Origin: " + origin + b"\r\n"
            client.say(client.handshake.replace(b"Host:", header + b"Host:"))
            self.end_turn()
            frames = client.frames()
            first = json.loads(bytes(frames[0].data))
            if welcome:
                self.assertEqual(first["event"], "pusher:connection_established", origin)
            else:
                self.assertEqual((first["event"], first["data"]["code"]), ("pusher:error", 4009), origin)
                self.assertEqual(close_of(frames)[0], 4009)
        self.assertEqual(self.node.tallies.connections_refused, {(KEY, "origin"): 3})
