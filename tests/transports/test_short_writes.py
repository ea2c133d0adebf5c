"""Real sockets that take a part, or nothing: what clients receive, against a model."""

from __future__ import annotations

import errno
import gc
import json
import socket
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection, Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode
from zope.interface import implementer

from slanger.transports.connection import Way
from slanger.transports.direct import free_socket
from slanger.transports.short import OPENING
from slanger.transports.websocket import WebSocketFactory
from tests.builders import LIMITS, MemoryNode, make_app, subscribe, unsubscribe
from tests.strategies import PROPERTY
from tests.transports.client import written
from tests.transports.ways import LONG_FROM_THE_HANDSHAKE

KEY = make_app().key
CHANNELS = ("news", "sport")
CLIENTS = 3
ALL = 1 << 30
"""A mood of a socket: it takes what the kernel takes."""

HANDSHAKE = (
    f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()

clients = st.integers(0, CLIENTS - 1)
channels = st.sampled_from(CHANNELS)
steps = st.one_of(
    st.tuples(st.just("publish"), channels, st.none() | clients, st.sampled_from([1, 100, 20_000])),
    st.tuples(st.sampled_from(["join", "leave"]), channels, clients, st.just(0)),
)
Step = tuple[str, str, int | None, int]
turns = st.lists(st.lists(steps, max_size=5), max_size=8)
moods = st.lists(st.just(0) | st.integers(1, 200) | st.just(ALL), max_size=60)
"""Bytes that a socket takes of what it is sent next; none is EAGAIN."""


class Reactor(Clock):
    """A reactor that is turned by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: dict[Connection, None] = {}

    def addWriter(self, writer: Connection) -> None:
        """Have something written when there is room."""
        self.writers[writer] = None

    def removeWriter(self, writer: Connection) -> None:
        """Have nothing written any more."""
        self.writers.pop(writer, None)

    def removeReader(self, reader: Connection) -> None:
        """Nothing is read: tests hand over what clients say."""

    def addReader(self, reader: Connection) -> None:
        """Nothing is read."""


class Moody:
    """A socket that takes as much as it likes.

    :ivar sends: how often it was asked to send since it was last looked at.
    """

    def __init__(self, real: socket.socket, moods: Iterator[int]) -> None:
        self._real = real
        self._moods = moods
        self.sends = 0

    def send(self, data: bytes) -> int:
        """Take a part, or refuse."""
        self.sends += 1
        most = next(self._moods)
        if not most:
            raise BlockingIOError(errno.EAGAIN, "not now")
        return self._real.send(data[:most])

    def setsockopt(self, *option: int) -> None:
        """Have no options: it is a UNIX socket, for the sake of speed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _begin(transport: Any, sock: Any, protocol: Any, reactor: Any) -> None:
    Connection.__init__(transport, sock, protocol, reactor)
    transport.connected = 1


def _address(_transport: object) -> IPv4Address:
    return IPv4Address("TCP", "192.0.2.7", 5150)


@implementer(ITCPTransport)
class Accepted(Server):
    """A connection as Twisted accepts it."""

    __init__ = _begin
    getPeer = getHost = _address


@implementer(ITCPTransport)
class Other(Connection):
    """A connection of another kind, which is written to the ordinary way."""

    __init__ = _begin
    getPeer = getHost = _address


class Peer:
    """A client at the other end of a real socket.

    :ivar channels: those it is on.
    :ivar expected: what it must have received in the end: event, channel and data.
    """

    def __init__(self, case: ShortWrites, moods: Iterator[int]) -> None:
        ours, self._theirs = socket.socketpair()
        for each in (ours, self._theirs):
            each.setblocking(False)
            case.addCleanup(each.close)
        self.socket = Moody(ours, moods)
        self.protocol = case.factory.buildProtocol(None)
        self.transport = case.transport(self.socket, self.protocol, case.reactor)
        self.protocol.makeConnection(self.transport)
        self._received = b""
        self.channels: set[str] = set()
        self.expected: list[tuple[str, str, str]] = []

    def say(self, text: bytes) -> None:
        """Send a message."""
        self.protocol.dataReceived(written(Frame(Opcode.TEXT, text)))

    def read(self) -> bool:
        """Take what has come; tell whether there was anything."""
        try:
            data = self._theirs.recv(1 << 20)
        except BlockingIOError:
            return False
        self._received += data
        return bool(data)

    def heard(self) -> list[dict[str, str]]:
        """Give the messages that have come."""
        data = memoryview(self._received.partition(b"\r\n\r\n")[2])
        said = []
        while data:
            wide = {126: 2, 127: 8}.get(data[1], 0)
            length = int.from_bytes(data[2 : 2 + wide]) if wide else data[1]
            said.append(json.loads(bytes(data[2 + wide : 2 + wide + length])))
            data = data[2 + wide + length :]
        return said


class ShortWrites(SynchronousTestCase):
    """Wire: order, exclusion and one send per turn, whatever sockets take. Here, straight to the socket."""

    transport: Callable[..., Any] = Accepted
    is_direct = True
    way: Way = OPENING
    circular = False

    def begin(self, moods: Sequence[int]) -> None:
        """Connect clients, whose sockets have these moods in turns, and are well-meaning once those are over."""
        self.reactor = Reactor()
        self.app = make_app()
        self.node = MemoryNode(self.app, clock=self.reactor)
        self.factory = WebSocketFactory(
            self.node.subscribers, self.reactor, LIMITS, self.node.tallies, self.node.complaints
        )
        self.factory.first_way = self.way
        self.turned = 0
        rest = chain(repeat(ALL, CLIENTS), moods, repeat(ALL))
        self.peers = [Peer(self, rest) for _ in range(CLIENTS)]
        for peer in self.peers:
            self.assertEqual(free_socket(peer.transport) is not None, self.is_direct)
            peer.protocol.dataReceived(HANDSHAKE)
        self.turn()
        for peer in self.peers:
            peer.read()
        self.ids = [json.loads(peer.heard()[0]["data"])["socket_id"] for peer in self.peers]

    def take(self, step: Step) -> None:
        """Do a step, and note what must come of it."""
        what, channel, who, size = step
        if what == "publish":
            self.turned += 1
            data = f"{self.turned}:".ljust(size, ".")
            self.node.registry.publish(self.app, channel, "e", data, None if who is None else self.ids[who])
            for number, peer in enumerate(self.peers):
                if channel in peer.channels and number != who:
                    peer.expected.append(("e", channel, data))
            return
        assert who is not None
        peer = self.peers[who]
        if what == "join" and channel not in peer.channels:
            peer.say(subscribe(channel))
            peer.channels.add(channel)
            peer.expected.append(("pusher_internal:subscription_succeeded", channel, "{}"))
        elif what == "leave" and channel in peer.channels:
            peer.say(unsubscribe(channel))
            peer.channels.remove(channel)

    def turn(self, *, room: bool = True) -> None:
        """End a turn: what was given leaves by one send for each client.

        The next begins with what was left over, if the kernel has room for it, and with what was held back until that
        had left: at most one send for either.
        """
        self.assert_sends(1, lambda: self.reactor.advance(0))
        if room:
            self.assert_sends(2, self.write_rest)

    def assert_sends(self, most: int, phase: Callable[[], object]) -> None:
        """Check how often each socket is asked to send."""
        for peer in self.peers:
            peer.socket.sends = 0
        phase()
        for peer in self.peers:
            self.assertLessEqual(peer.socket.sends, most)

    def write_rest(self) -> None:
        """Write what sockets did not take before."""
        for transport in tuple(self.reactor.writers):
            self.assertIsNone(transport.doWrite())

    @settings(PROPERTY, suppress_health_check=[*PROPERTY.suppress_health_check, HealthCheck.differing_executors])
    @given(turns, moods, st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
    def test_any(self, turns: list[list[Step]], moods: list[int], room: set[int], reading: set[int]) -> None:
        """Each client receives exactly what was published on its channels while it was on them, whole and in order.

        What it published itself is left out. Sockets take parts and refuse, and clients read now and then.
        """
        self.begin(moods)
        for number, steps_of_turn in enumerate(turns):
            for step in steps_of_turn:
                self.take(step)
            self.turn(room=number in room)
            if number in reading:
                for peer in self.peers:
                    peer.read()
        for _ in range(2):  # the moods may be over only after the first
            self.turn()
            while sum(peer.read() for peer in self.peers) or self.reactor.writers:
                self.turn()
        for peer in self.peers:
            heard = [(each["event"], each["channel"], each["data"]) for each in peer.heard()[1:]]
            self.assertEqual(heard, peer.expected)

    def test_one_send(self) -> None:
        """All that a client is given in a turn leaves by one send, however many events there are."""
        self.begin([])
        for step in (("join", "news", 0, 0), ("join", "sport", 0, 0), *[("publish", "news", None, 9)] * 9):
            self.take(step)
        self.peers[0].socket.sends = 0
        self.reactor.advance(0)
        self.write_rest()
        self.assertEqual(self.peers[0].socket.sends, 1)
        self.peers[0].read()
        self.assertEqual(len(self.peers[0].heard()), 1 + 2 + 9)

    def test_freed(self) -> None:
        """Bounded: a connection that is lost is freed at once; only Autobahn leaves a circle, which is collected."""
        self.begin([])
        self.take(("join", "news", 0, 0))
        self.turn()
        peer = self.peers.pop(0)
        parts = [weakref.ref(peer.protocol), weakref.ref(peer.transport)]
        gc.disable()
        self.addCleanup(gc.enable)
        peer.transport.connectionLost(Failure(ConnectionDone()))
        del peer
        if self.circular:
            gc.collect()
        self.assertEqual([each() for each in parts], [None, None])


class OrdinaryShortWrites(ShortWrites):
    """The same by way of the transport."""

    transport = Other
    is_direct = False


class LongWayShortWrites(ShortWrites):
    """The same where Autobahn reads what clients say."""

    way = LONG_FROM_THE_HANDSHAKE
    circular = True
