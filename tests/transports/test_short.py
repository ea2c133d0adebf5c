"""What goes the short way, and what leaves it."""

from __future__ import annotations

import gc
import weakref

from websockets.frames import Close, Frame, Opcode

from slanger.protocol.errors import SHUTTING_DOWN
from slanger.transports.connection import WebSocketConnection
from slanger.transports.short import OPEN, OPENING
from slanger.transports.websocket import LongWay
from tests.builders import LIMITS
from tests.server import KEY
from tests.transports.client import Client, WebSocketTestCase, message, text, written
from tests.transports.test_messages import RecordedTestCase

PING = text({"event": "pusher:ping"})


class ShortWayTests(RecordedTestCase):
    """One connection, and its way."""

    def test_short(self) -> None:
        """Speed: a plain handshake, texts, pings and pongs, also several in one read, need no Autobahn."""
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
        self.assertIs(client.way, OPENING)
        client.shake_hands()
        client.send(PING)
        client.send(PING, Frame(Opcode.PING, b"?"), Frame(Opcode.PONG, b""), text("x" * 1000))
        self.end_turn()
        self.assertEqual([each.opcode for each in client.frames()][-3:], [Opcode.TEXT, Opcode.PONG, Opcode.TEXT])
        self.assertIs(client.way, OPEN)

    def test_long(self) -> None:
        """Speed: at the first frame that is not plain Autobahn takes over, and keeps the connection."""
        for odd in (
            written(PING)[:-1],
            written(Frame(Opcode.TEXT, b"{", fin=False)),
            written(Frame(Opcode.BINARY, b"")),
        ):
            client = self.record()
            client.send(PING)
            client.say(odd)
            way = client.way
            self.assertIsInstance(way, LongWay)
            client.send(PING)
            self.assertIs(client.way, way)

    def test_nothing_lost(self) -> None:
        """Speed: what is plain before the first odd frame of a read is taken before it, what follows after it."""
        client = self.record()
        half, other = Frame(Opcode.TEXT, b"2", fin=False), Frame(Opcode.CONT, b"3")
        client.send(text(1), half, other, text(4))
        cut = written(text(5))
        client.say(cut[:3])
        client.say(cut[3:])
        self.assertEqual(self.recorder.received, [b"1", b"23", b"4", b"5"])

    def test_closed_by_server(self) -> None:
        """Close: the server's close frame leaves in one write with what waits; plain frames behind it are let pass."""
        client = self.record()
        self.recorder.wires[0].send(message(1))
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        (write,) = client.transport.writes
        self.assertTrue(write.endswith(b"\x88\x05\x10\x68bye"), write)
        client.send(PING, Frame(Opcode.PING, b"?"))
        self.assertEqual((self.recorder.received, client.transport.ended), ([], False))
        client.send(Frame(Opcode.CLOSE, b""), PING)
        self.assertTrue(client.transport.ended)
        client.leave()
        self.assertEqual((self.recorder.gone_with, client.transport.writes), ([4200], [write]))

    def test_closed_by_server_amid_a_message(self) -> None:
        """Close: what is not plain while the server waits for an answer is Autobahn's, and the answer as well."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        client.send(Frame(Opcode.TEXT, b"half", fin=False))
        self.assertIsInstance(client.way, LongWay)
        client.send(Frame(Opcode.CONT, b"other half"))
        self.assertFalse(client.transport.ended)
        client.send(Frame(Opcode.CLOSE, b""))
        self.assertTrue(client.transport.ended)
        client.leave()
        self.assertEqual((self.recorder.received, self.recorder.gone_with), ([], [4200]))

    def test_gone_while_closing(self) -> None:
        """Close: nobody is hung up on who is gone already."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        client.leave()
        self.clock.advance(2 * LIMITS.close_timeout)
        self.assertFalse(client.transport.ended)

    def test_unanswered_amid_a_message(self) -> None:
        """Close: who never answers a close frame is hung up on in time, also when Autobahn has taken over."""
        client = self.record()
        self.recorder.wires[0].close(SHUTTING_DOWN, "bye")
        client.send(Frame(Opcode.TEXT, b"half", fin=False))
        self.clock.advance(LIMITS.close_timeout - 0.1)
        self.assertFalse(client.transport.ended)
        self.clock.advance(0.2)
        self.assertTrue(client.transport.ended)

    def test_closed_by_client(self) -> None:
        """Close: a client's close frame is answered with 1000 in one write with what waits, and ends the connection."""
        client = self.record()
        client.send(Frame(Opcode.PING, b"?"), Frame(Opcode.CLOSE, Close(4123, "bye").serialize()), PING)
        self.assertEqual(client.transport.writes, [b"\x8a\x01?\x88\x02\x03\xe8"])
        self.assertTrue(client.transport.disconnecting)
        client.send(PING)
        client.leave()
        self.assertEqual((self.recorder.received, self.recorder.gone_with), ([], [4123]))

    def test_freed(self) -> None:
        """Bounded: a connection that is gone is freed at once, with its outbox, and without the collector."""
        client = self.record()
        client.send(PING)
        self.end_turn()
        assert isinstance(client.connection, WebSocketConnection)
        client.leave()
        gone = weakref.ref(client.connection)
        self.recorder.wires.clear()
        self.addCleanup(gc.enable)
        gc.disable()
        client.transport.producer = None
        del client
        self.assertIsNone(gone())

    def test_nothing_before(self) -> None:
        """Interfaces: a wire that nobody has shaken hands on takes and drops everything."""
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
        assert isinstance(client.connection, WebSocketConnection)
        client.connection.ping()
        client.connection.close(SHUTTING_DOWN, "bye")
        client.leave()
        self.assertEqual(client.transport.writes, [])


class OneWriteTests(WebSocketTestCase):
    """What a new connection is sent."""

    def test_established(self) -> None:
        """Speed: the answer to the handshake and `connection_established` leave in one write."""
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
        client.say(client.handshake)
        self.end_turn()
        (write,) = client.transport.writes
        self.assertTrue(write.startswith(b"HTTP/1.1 101 "))
        self.assertIn(b"connection_established", write)
