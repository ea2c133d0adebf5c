"""One port for WebSockets and REST alike."""

from __future__ import annotations

import socket
import weakref

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from slanger.api.endpoint import Api
from slanger.api.lean import LeanSite
from slanger.domain.apps import Apps
from slanger.transports.direct import write
from slanger.transports.shared import SharedPort
from tests.builders import LIMITS
from tests.server import KEY
from tests.transports.client import APP, Client, Transport, WebSocketTestCase
from tests.transports.test_short_writes import Accepted, Reactor

ADDRESS = IPv4Address("TCP", "192.0.2.7", 5150)


class Notes(Protocol):
    """A protocol that notes what it is told."""

    def __init__(self, made: list[Notes]) -> None:
        self.received: list[bytes] = []
        self.lost = 0
        made.append(self)

    def dataReceived(self, data: bytes) -> None:
        """Note bytes."""
        self.received.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end."""
        self.lost += 1


class NotesFactory(Factory):
    """Makes protocols that note what they are told, or none."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Notes] = []
        self.full = False
        self.addresses: list[object] = []
        self.running = 0

    def buildProtocol(self, addr: object) -> Protocol | None:
        """Make one, unless it is full."""
        self.addresses.append(addr)
        return None if self.full else Notes(self.made)

    def startFactory(self) -> None:
        """Note the start."""
        self.running += 1

    def stopFactory(self) -> None:
        """Note the stop."""
        self.running -= 1


class ChoiceTests(SynchronousTestCase):
    """Which of the two a connection is handed to."""

    def setUp(self) -> None:
        """Make a port whose two sides note what they are told."""
        self.clock = Clock()
        self.websockets, self.rest = NotesFactory(), NotesFactory()
        self.port = SharedPort(self.websockets, self.rest, self.clock, LIMITS)

    def newcomer(self) -> tuple[Protocol, Transport]:
        """Connect somebody."""
        protocol, transport = self.port.buildProtocol(ADDRESS), Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def assert_side(self, line: bytes, chosen: NotesFactory, other: NotesFactory) -> None:
        """Check where a first line leads, whole and byte by byte, and that no byte is lost."""
        for pieces in ([line + b"rest"], [line[at : at + 1] for at in range(len(line))] + [b"rest"]):
            chosen.made.clear()
            protocol, _ = self.newcomer()
            for piece in pieces:
                protocol.dataReceived(piece)
            protocol.dataReceived(b"more")
            (made,) = chosen.made
            self.assertEqual(b"".join(made.received), line + b"restmore")
            self.assertEqual(other.made, [])
            protocol.connectionLost(connectionDone)
            self.assertEqual(made.lost, 1)

    def test_websocket(self) -> None:
        """One port: a path with `/app/` in it is a WebSocket's."""
        for path in (b"/app/k", b"/push/app/k?protocol=7", b"/app/"):
            self.assert_side(b"GET " + path + b" HTTP/1.1\r\n", self.websockets, self.rest)

    def test_prefix(self) -> None:
        """One port: a path of the API is one with its prefix, too."""
        self.port = SharedPort(self.websockets, self.rest, self.clock, LIMITS, "/realtime")
        for path in (b"/realtime/apps/1/channels/app/users", b"/apps/1/channels/app/users", b"/realtime/health"):
            self.assert_side(b"GET " + path + b" HTTP/1.1\r\n", self.rest, self.websockets)
        self.rest.made.clear()
        for path in (b"/realtime/app/k", b"/app/k", b"/other/app/k"):
            self.assert_side(b"GET " + path + b" HTTP/1.1\r\n", self.websockets, self.rest)

    def test_rest(self) -> None:
        """One port: everything else is the API's, `/app/` in its query or in its own paths included."""
        for line in (
            b"GET /apps/3/channels",
            b"POST /apps/3/events?name=/app/",
            b"POST /apps/app/events",
            b"GET /apps/1/channels/app/users",
            b"POST /users/app/terminate_connections",
            b"GET /app",
            b"\x16\x03\x01",
            b"\r",
            b"",
        ):
            self.assert_side(line + b"\n", self.rest, self.websockets)

    def test_undecided(self) -> None:
        """One port: nobody is asked before the first line is complete."""
        protocol, _ = self.newcomer()
        protocol.dataReceived(b"GET /app/k HTTP/1.1\r")
        self.assertEqual((self.websockets.made, self.rest.made), ([], []))
        protocol.connectionLost(connectionDone)

    def test_silence(self) -> None:
        """Bounded: who has not finished the first line in time is hung up on, also when he is still at it."""
        for bytes_a_second in (b"", b"x"):
            protocol, transport = self.newcomer()
            for _ in range(LIMITS.handshake_timeout - 1):
                protocol.dataReceived(bytes_a_second)
                self.clock.advance(1)
                self.assertFalse(transport.ended)
            self.clock.advance(1.5)
            self.assertTrue(transport.ended)
            protocol.connectionLost(connectionDone)
        self.assertEqual((self.websockets.made, self.rest.made), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_timeout_later(self) -> None:
        """One port: once it is known what a connection is, its silence is no longer our business."""
        protocol, transport = self.newcomer()
        protocol.dataReceived(b"GET /app/k HTTP/1.1\r\n")
        self.clock.advance(10 * LIMITS.handshake_timeout)
        self.assertFalse(transport.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_left(self) -> None:
        """One port: a TCP connection is handed over whole, and nothing is kept of who did not know what it is."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.addCleanup(theirs.close)
        newcomer = self.port.buildProtocol(ADDRESS)
        transport = Accepted(ours, newcomer, Reactor())
        newcomer.makeConnection(transport)
        for piece in (b"GET /app/k HTTP/1.1", b"\r\n", b"more"):
            theirs.sendall(piece)
            transport.doRead()
        (made,) = self.websockets.made
        self.assertEqual(made.received, [b"GET /app/k HTTP/1.1\r\n", b"more"])
        kept = weakref.ref(newcomer)
        del newcomer
        self.assertIsNone(kept())
        transport.connectionLost(connectionDone)
        self.assertEqual(made.lost, 1)

    def test_too_long(self) -> None:
        """Bounded: a first line without end is handed on at 16 KiB, to be refused."""
        protocol, _ = self.newcomer()
        protocol.dataReceived(b"x" * LIMITS.header_bytes)
        self.assertEqual(self.rest.made, [])
        protocol.dataReceived(b"x")
        self.assertEqual(b"".join(self.rest.made[0].received), b"x" * (LIMITS.header_bytes + 1))

    def test_refused(self) -> None:
        """One port: where a side takes no connection, it is hung up on."""
        self.websockets.full = True
        protocol, transport = self.newcomer()
        protocol.dataReceived(b"GET /app/k HTTP/1.1\r\n")
        self.assertTrue(transport.ended)

    def test_address(self) -> None:
        """One port: both sides learn the client's address."""
        for line in (b"GET /app/k HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n"):
            self.newcomer()[0].dataReceived(line)
        self.assertEqual(self.websockets.addresses + self.rest.addresses, [ADDRESS, ADDRESS])

    def test_start_and_stop(self) -> None:
        """One port: both sides start and stop with it."""
        self.port.doStart()
        self.assertEqual((self.websockets.running, self.rest.running), (1, 1))
        self.port.doStop()
        self.assertEqual((self.websockets.running, self.rest.running), (0, 0))


class BothTests(WebSocketTestCase):
    """The real two on one port."""

    def setUp(self) -> None:
        """Put both on one port."""
        super().setUp()
        site = LeanSite(Api(Apps([APP]), self.registry, self.node.users, self.clock), self.clock, write)
        self.port = SharedPort(self.factory, site, self.clock, LIMITS)

    def test_websocket(self) -> None:
        """One port: a WebSocket works as on a port of its own, to its end."""
        client = Client(self.clock, self.port, f"/app/{KEY}?protocol=7")
        client.shake_hands()
        self.end_turn()
        self.assertEqual([each["event"] for each in client.messages()], ["pusher:connection_established"])
        self.subscribe(client)
        client.send(Frame(Opcode.PING, b"?"))
        self.end_turn()
        self.assertEqual(client.frames(), [Frame(Opcode.PONG, b"?")])
        client.leave()
        self.assertEqual(list(self.registry.channels(self.app)), [])

    def test_rest(self) -> None:
        """One port: a REST request is answered as on a port of its own."""
        client = Client(self.clock, self.port, "/")
        client.say(b"GET /apps/3/channels HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.end_turn()
        self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 401 "))
        self.assertTrue(client.transport.value().endswith(b"Missing parameter: auth_key\n"))

    def test_too_long(self) -> None:
        """Bounded: a first line without end is refused, and the connection ends."""
        client = Client(self.clock, self.port, "/")
        client.say(b"GET /" + b"x" * 2 * LIMITS.header_bytes)
        client.say(b"x" * 2 * LIMITS.header_bytes)
        self.assertTrue(client.transport.ended)
