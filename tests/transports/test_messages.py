"""Messages in and out over one WebSocket: framing, closing, and faults that end no other connection."""

from __future__ import annotations

import json

from websockets.frames import Close, Frame, Opcode
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slanger.domain.limits import MESSAGE_BYTES
from slanger.interfaces import IConnected, ISubscribers, IWire
from slanger.protocol.errors import PONG_NOT_RECEIVED, SHUTTING_DOWN, ConnectionRefused
from slanger.tallies import Meter
from slanger.transports.connection import INTERNAL_ERROR, WebSocketConnection
from slanger.transports.frames import frame
from slanger.transports.websocket import UNSUPPORTED_DATA
from tests.server import KEY
from tests.transports.client import Client, WebSocketTestCase, close_of, message, text, written

PING = {"event": "pusher:ping"}
PONG = "pusher:pong"


@implementer(ISubscribers, IConnected)
class Recorder:
    """Lets everybody in and notes what is told; fails where it is asked to."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.meter = Meter("")
        self.wires: list[IWire] = []
        self.received: list[bytes] = []
        self.signs_of_life = 0
        self.gone_with: list[int] = []

    def connect(self, wire: IWire, key: str, version: str | None, origin: str | None) -> IConnected:
        """Let a client in."""
        self.wires.append(wire)
        self._fail("connect")
        return self

    def turned_away(self, wire: IWire, refusal: ConnectionRefused) -> None:
        """Nobody is turned away here."""
        raise refusal

    def receive(self, text: bytes) -> None:
        """Note a message."""
        self.received.append(text)
        self._fail("receive")

    def heard(self) -> None:
        """Note a sign of life."""
        self.signs_of_life += 1

    def gone(self, code: int) -> None:
        """Note the end."""
        self.gone_with.append(code)
        self._fail("gone")

    def _fail(self, what: str) -> None:
        if self.failing == what:
            raise RuntimeError(f"{what} failed")


class RecordedTestCase(WebSocketTestCase):
    """Connections of a recorder."""

    def record(self, failing: str = "") -> Client:
        """Connect a client to a recorder."""
        self.recorder = Recorder(failing)
        self.factory = self.make_factory(self.recorder)
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
        client.shake_hands()
        client.transport.writes.clear()
        return client


class FrameTests(WebSocketTestCase):
    """The frames of the server."""

    def test_lengths(self) -> None:
        """RFC 6455: a text of any length is one final unmasked frame, its length in the shortest form."""
        for length in (0, 1, 125, 126, 127, 65535, 65536, 70000):
            content = b"x" * length
            self.assertEqual(frame(content), Frame(Opcode.TEXT, content).serialize(mask=False))


class ReceivingTests(RecordedTestCase):
    """What comes from a client."""

    def test_interfaces(self) -> None:
        """Interfaces: a connection is a wire."""
        self.record()
        verifyObject(IWire, self.recorder.wires[0])
        self.assertIn("192.0.2.7", self.recorder.wires[0].peer)

    def test_fragments(self) -> None:
        """RFC 6455: a message in fragments, with a PING between them, is one message."""
        client = self.record()
        client.send(Frame(Opcode.TEXT, b'{"ev', fin=False))
        client.send(Frame(Opcode.PING, b"?"))
        client.send(Frame(Opcode.CONT, b"ent", fin=False))
        self.assertEqual(self.recorder.received, [])
        client.send(Frame(Opcode.CONT, b'":1}'))
        self.assertEqual(self.recorder.received, [b'{"event":1}'])
        self.end_turn()
        self.assertEqual(client.frames(), [Frame(Opcode.PONG, b"?")])

    def test_several_in_one_read(self) -> None:
        """RFC 6455: several frames in one read are taken in order."""
        client = self.record()
        client.send(*(text(number) for number in range(20)))
        self.assertEqual(self.recorder.received, [b"%d" % number for number in range(20)])

    def test_cut_in_pieces(self) -> None:
        """RFC 6455: a frame may come byte by byte."""
        client = self.record()
        for byte in written(text("é" * 100)):
            self.assertEqual(self.recorder.received, [])
            client.say(bytes([byte]))
        self.assertEqual(self.recorder.received, [json.dumps("é" * 100).encode()])

    def test_ping(self) -> None:
        """Ping and pong: a PING frame is answered with its own payload, and counts as a sign of life."""
        client = self.record()
        before = self.recorder.signs_of_life
        client.send(Frame(Opcode.PING, b"still there?"))
        self.assertEqual(self.recorder.signs_of_life, before + 1)
        self.end_turn()
        self.assertEqual(client.frames(), [Frame(Opcode.PONG, b"still there?")])
        self.assertEqual(self.recorder.received, [])

    def test_pong_and_half_a_frame(self) -> None:
        """Ping and pong: a PONG frame, and even half a frame, count as signs of life."""
        client = self.record()
        before = self.recorder.signs_of_life
        client.send(Frame(Opcode.PONG, b""))
        client.say(written(text("half"))[:3])
        self.assertEqual(self.recorder.signs_of_life, before + 2)

    def test_largest_message(self) -> None:
        """Bounded: a message of 128 KiB is taken, in one frame or in several."""
        client = self.record()
        client.send(Frame(Opcode.TEXT, b"x" * MESSAGE_BYTES))
        half = b"y" * (MESSAGE_BYTES // 2)
        client.send(Frame(Opcode.TEXT, half, fin=False), Frame(Opcode.CONT, half))
        self.assertEqual([len(each) for each in self.recorder.received], [MESSAGE_BYTES, MESSAGE_BYTES])

    def test_oversize(self) -> None:
        """Bounded: a larger one closes the connection with 1009, however it is cut."""
        half = b"x" * (MESSAGE_BYTES // 2 + 1)
        for frames in (
            [Frame(Opcode.TEXT, b"x" * (MESSAGE_BYTES + 1))],
            [Frame(Opcode.TEXT, half, fin=False), Frame(Opcode.CONT, half)],
        ):
            client = self.record()
            client.send(*frames)
            self.end_turn()
            self.assertEqual(close_of(client.frames())[0], 1009)
            self.assertEqual(self.recorder.received, [])

    def test_oversize_announced(self) -> None:
        """Bounded: a frame that only says it will be too large is refused at once; nothing is kept for it."""
        client = self.record()
        client.say(written(Frame(Opcode.TEXT, b"x" * 10 * MESSAGE_BYTES))[:100])
        self.assertEqual(close_of(client.frames())[0], 1009)

    def test_invalid_utf8(self) -> None:
        """RFC 6455: a text that is not UTF-8 closes the connection with 1007."""
        for bad in (b"\xff", b"\xc3(", b"\xed\xa0\x80", b"ok \xe2\x82"):
            client = self.record()
            client.send(Frame(Opcode.TEXT, bad))
            self.end_turn()
            self.assertEqual(close_of(client.frames())[0], 1007, bad)
            self.assertEqual(self.recorder.received, [])

    def test_protocol_errors(self) -> None:
        """RFC 6455: unmasked frames, reserved bits and opcodes, and orphaned fragments close with 1002."""
        for bad in (
            Frame(Opcode.TEXT, b"{}").serialize(mask=False),
            b"\xc1\x82\x00\x00\x00\x00{}",
            b"\x83\x80\x00\x00\x00\x00",
            written(Frame(Opcode.CONT, b"{}")),
        ):
            client = self.record()
            client.say(bad)
            self.end_turn()
            self.assertEqual(close_of(client.frames())[0], 1002, bad)
            self.assertEqual(self.recorder.received, [])

    def test_binary(self) -> None:
        """Messages: binary messages are not part of the protocol, and close with 1003."""
        client = self.record()
        client.send(Frame(Opcode.BINARY, b'{"event":"pusher:ping"}'))
        self.end_turn()
        self.assertEqual(close_of(client.frames())[0], UNSUPPORTED_DATA)
        self.assertEqual(self.recorder.received, [])

    def test_nothing_after_binary(self) -> None:
        """Messages: what follows a message that ends the connection is not taken any more."""
        client = self.record()
        client.send(Frame(Opcode.BINARY, b"?"), text(PING), text(PING))
        self.assertEqual(self.recorder.received, [])


class FaultTests(RecordedTestCase):
    """Exceptions of ours end one connection, and are logged once."""

    def assert_one_fault(self) -> None:
        """Check that exactly one fault was logged."""
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_receive(self) -> None:
        """One bad client hurts itself at most: a fault in taking a message closes with 1011, logged once."""
        client = self.record("receive")
        neighbour = Client(self.clock, self.factory, f"/app/{KEY}")
        neighbour.shake_hands()
        client.send(text(PING), text(PING))
        self.end_turn()
        self.assertEqual(close_of(client.frames())[0], INTERNAL_ERROR)
        self.assert_one_fault()
        self.assertEqual(len(self.recorder.received), 1)
        self.recorder.failing = ""
        neighbour.send(text(PING))
        self.assertEqual(len(self.recorder.received), 2)
        self.assertFalse(neighbour.transport.ended)

    def test_connect(self) -> None:
        """One bad client hurts itself at most: a fault in letting a client in closes with 1011, logged once."""
        client = self.record("connect")
        self.end_turn()
        code, reason = close_of(client.frames())
        self.assertEqual(code, INTERNAL_ERROR)
        self.assertNotIn("connect failed", reason)
        self.assert_one_fault()

    def test_gone(self) -> None:
        """One bad client hurts itself at most: a fault in forgetting a client is logged once, and goes no further."""
        client = self.record("gone")
        client.leave()
        self.assert_one_fault()
        self.assertEqual(self.recorder.gone_with, [1006])

    def test_below(self) -> None:
        """One bad client hurts itself at most: a fault anywhere below is logged once, and drops the connection."""
        client = self.record()

        def broken(connection: WebSocketConnection, data: bytes) -> None:
            raise RuntimeError("broken")

        self.patch(client.way, "take", broken)
        client.send(text(PING))
        self.assert_one_fault()
        self.assertTrue(client.transport.ended)

    def test_gone_once(self) -> None:
        """Interfaces: `gone` comes once, whoever ended the connection."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        client.send(Frame(Opcode.CLOSE, Close(4200, "").serialize()))
        self.assertEqual(self.recorder.gone_with, [])
        client.leave()
        self.assertEqual(self.recorder.gone_with, [4200])

    def test_gone_with(self) -> None:
        """Interfaces: `gone` tells the close code: the client's, the server's, or 1006 where there was none."""
        client = self.record()
        client.send(Frame(Opcode.CLOSE, Close(4123, "").serialize()))
        client.leave()
        self.assertEqual(self.recorder.gone_with, [4123])
        client = self.record()
        client.leave()
        self.assertEqual(self.recorder.gone_with, [1006])
        client = self.record()
        self.recorder.wires[0].close(PONG_NOT_RECEIVED, "gone")
        client.leave()
        self.assertEqual(self.recorder.gone_with, [PONG_NOT_RECEIVED.number])


class SendingTests(RecordedTestCase):
    """What goes to a client."""

    def test_one_write_per_turn(self) -> None:
        """Fan-out: what is sent in one turn leaves in one write, in order."""
        client = self.record()
        wire = self.recorder.wires[0]
        for number in range(50):
            wire.send(message(number))
        self.assertEqual(client.transport.writes, [])
        self.end_turn()
        self.assertEqual(len(client.transport.writes), 1)
        self.assertEqual([each["event"] for each in client.messages()], [str(number) for number in range(50)])

    def test_next_turn(self) -> None:
        """Fan-out: each turn has a write of its own, and a turn without messages has none."""
        client = self.record()
        for number in range(3):
            self.recorder.wires[0].send(message(number))
            self.end_turn()
            self.end_turn()
        self.assertEqual(len(client.transport.writes), 3)
        self.assertEqual([each["event"] for each in client.messages()], ["0", "1", "2"])

    def test_encoded_once(self) -> None:
        """Fan-out: the same bytes go to every connection, framed once."""
        first, second = self.record(), Client(self.clock, self.factory, f"/app/{KEY}")
        second.shake_hands()
        second.transport.writes.clear()
        sent = message(1)
        for wire in self.recorder.wires:
            wire.send(sent)
        self.end_turn()
        self.assertIs(first.transport.writes[0], second.transport.writes[0])

    def test_close_sends_what_waits(self) -> None:
        """Close: what was sent in the same turn leaves first, then the close frame with code and reason."""
        client = self.record()
        wire = self.recorder.wires[0]
        wire.send(message(1))
        wire.send(message(2))
        wire.close(SHUTTING_DOWN, "Server is shutting down")
        frames = client.frames()
        self.assertEqual([frame.opcode for frame in frames], [Opcode.TEXT, Opcode.TEXT, Opcode.CLOSE])
        self.assertEqual(close_of(frames), (4200, "Server is shutting down"))

    def test_nothing_after_close(self) -> None:
        """Close: nothing leaves after the close frame: no message, no PING, no second close."""
        client = self.record()
        wire = self.recorder.wires[0]
        wire.close(SHUTTING_DOWN, "bye")
        wire.send(message(1))
        wire.ping()
        wire.close(PONG_NOT_RECEIVED, "again")
        self.end_turn()
        self.assertEqual(close_of(client.frames()), (4200, "bye"))

    def test_nothing_after_its_end(self) -> None:
        """Close: a wire whose client is gone takes and drops everything, also where the transport does not tell it."""
        client = self.record()
        wire = self.recorder.wires[0]
        send = wire.send
        client.transport.producer = None
        client.leave()
        send(message(1))
        wire.send(message(1))
        wire.ping()
        wire.close(SHUTTING_DOWN, "bye")
        self.end_turn()
        self.assertEqual(client.transport.writes, [])

    def test_long_reason(self) -> None:
        """RFC 6455: a reason is cut to 123 bytes, between characters."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "é" * 100)
        self.assertEqual(close_of(client.frames()), (4200, "é" * 61))

    def test_close_unanswered(self) -> None:
        """Close: a client that does not answer the close frame is hung up on within seconds."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        self.assertFalse(client.transport.ended)
        self.clock.pump([0.5] * 6)
        self.assertTrue(client.transport.ended)

    def test_close_answered(self) -> None:
        """Close: once the client has answered, the connection ends at once."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        client.send(Frame(Opcode.CLOSE, Close(4200, "").serialize()))
        self.assertTrue(client.transport.ended)

    def test_ping(self) -> None:
        """Ping and pong: a wire pings with a control frame, at once."""
        client = self.record()
        self.recorder.wires[0].ping()
        self.assertEqual([each.opcode for each in client.frames()], [Opcode.PING])


class OrderTests(WebSocketTestCase):
    """The close frame is the last of all, whoever asked for it."""

    def test_client_closes(self) -> None:
        """Close: a client that asks and closes in one read gets its answer, and then the close frame."""
        client = self.connect()
        client.send(text(PING), Frame(Opcode.CLOSE, Close(1000, "").serialize()))
        self.end_turn()
        frames = client.frames()
        self.assertEqual([frame.opcode for frame in frames], [Opcode.TEXT, Opcode.CLOSE])
        self.assertTrue(client.transport.ended)

    def test_client_breaks_protocol(self) -> None:
        """Close: a client that asks and then breaks the protocol gets its answer, and then the close frame."""
        client = self.connect()
        client.send(text(PING), Frame(Opcode.TEXT, b"\xff"))
        self.end_turn()
        frames = client.frames()
        self.assertEqual([frame.opcode for frame in frames], [Opcode.TEXT, Opcode.CLOSE])

    def test_events_while_closing(self) -> None:
        """Close: events published while a broken connection waits for its end do not leave behind the close frame."""
        client = self.connect()
        self.subscribe(client)
        client.send(Frame(Opcode.TEXT, b"\xff"))
        self.publish("1")
        self.end_turn()
        self.assertEqual(close_of(client.frames())[0], 1007)

    def test_subscribe_to_publish(self) -> None:
        """Order: the answer to a subscription leaves before the events published after it, in one write."""
        client = self.connect()
        client.tell("pusher:subscribe", {"channel": "news"})
        self.publish("1")
        self.publish("2")
        self.end_turn()
        self.assertEqual(len(client.transport.writes), 1)
        received = client.messages()
        self.assertEqual([each["data"] for each in received], ["{}", "1", "2"])

    def test_gone_leaves_channels(self) -> None:
        """Gone: a client whose connection is lost is off its channels."""
        client = self.connect()
        self.subscribe(client)
        self.assertEqual(list(self.registry.channels(self.app)), ["news"])
        client.leave()
        self.assertEqual(list(self.registry.channels(self.app)), [])

    def test_silent_client(self) -> None:
        """Ping and pong: a client that is silent is pinged with a control frame, and then closed with 4201."""
        client = self.connect()
        self.clock.pump([1.0] * (120 + 15 + 2))
        self.assertEqual([each.opcode for each in client.frames()], [Opcode.PING])
        self.clock.pump([1.0] * 32)
        self.assertEqual(close_of(client.frames())[0], 4201)
        self.assertTrue(client.transport.ended)

    def test_living_client(self) -> None:
        """Ping and pong: a client that sends nothing but PING frames, as Swift and .NET do, lives on."""
        client = self.connect()
        for _ in range(10):
            self.clock.pump([1.0] * 60)
            client.send(Frame(Opcode.PING, b""))
        self.assertEqual({each.opcode for each in client.frames()}, {Opcode.PONG})
