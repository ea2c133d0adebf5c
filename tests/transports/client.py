"""A WebSocket client in memory: the `websockets` package's protocol core, joined to a connection of ours."""

from __future__ import annotations

import itertools
import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from slanger.domain.apps import App
from slanger.domain.limits import Limits
from slanger.interfaces import ISubscribers
from slanger.protocol.messages import Message
from slanger.transports.connection import Way, WebSocketConnection
from slanger.transports.short import OPENING
from slanger.transports.websocket import WebSocketFactory
from tests.builders import MemoryNode
from tests.server import KEY, SECRET

APP = App(key=KEY, secret=SECRET)


class Transport(StringTransport):
    """A transport in memory that remembers its writes one by one."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 5150))
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep one write."""
        self.writes.append(data)
        super().write(data)

    @property
    def ended(self) -> bool:
        """Whether the server has ended the connection."""
        return self.disconnecting or self.disconnected or getattr(self, "aborting", False)

    def unregisterProducer(self) -> None:
        """Forget the producer; like a real transport, twice if need be."""
        self.producer = None


class Client:
    """A client connected to a factory of ours.

    :param clock: ends the reactor's turn once it has asked for the upgrade.
    :param path: what it asks for.
    :param subprotocols: what it offers.
    """

    def __init__(
        self, clock: Clock, factory: IProtocolFactory, path: str, *subprotocols: str, max_size: int | None = None
    ) -> None:
        self.clock = clock
        self.transport = Transport()
        offered = [Subprotocol(name) for name in subprotocols] or None
        self.protocol = ClientProtocol(parse_uri(f"ws://localhost:8080{path}"), subprotocols=offered, max_size=max_size)
        self._unread: list[Frame | Response] = []
        connection = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 5150))
        assert isinstance(connection, Protocol)
        self.connection: Protocol = connection
        self.connection.makeConnection(self.transport)

    @property
    def way(self) -> Way:
        """Tell which way the connection goes."""
        assert isinstance(self.connection, WebSocketConnection)
        return self.connection.way

    def shake_hands(self) -> Response:
        """Ask for the upgrade, and give the answer."""
        self.say(self.handshake)
        self.clock.advance(0)
        response, *self._unread = self.read()
        assert isinstance(response, Response)
        return response

    @property
    def handshake(self) -> bytes:
        """The bytes of the opening handshake."""
        self.protocol.send_request(self.protocol.connect())
        return b"".join(self.protocol.data_to_send())

    def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.dataReceived(data)

    def send(self, *frames: Frame) -> None:
        """Send frames, in one read."""
        self.say(b"".join(written(frame) for frame in frames))

    def tell(self, event: str, data: object = None, **members: object) -> None:
        """Send one message of the Pusher protocol."""
        self.send(text({"event": event, "data": data, **members}))

    def read(self) -> list[Frame | Response]:
        """Take what has come since the last call."""
        received = self.transport.value()
        self.transport.clear()
        if received:
            self.protocol.receive_data(received)
        self.protocol.data_to_send()  # answers of its own are not sent: each test says what the client does
        unread, self._unread = self._unread, []
        return unread + [event for event in self.protocol.events_received() if isinstance(event, Frame | Response)]

    def messages(self) -> list[Any]:
        """Take the text messages that have come since the last call, decoded."""
        return [json.loads(bytes(frame.data)) for frame in self.frames() if frame.opcode is Opcode.TEXT]

    def frames(self) -> list[Frame]:
        """Take the frames that have come since the last call."""
        return [event for event in self.read() if isinstance(event, Frame)]

    def leave(self) -> None:
        """Lose the connection."""
        if self.transport.producer is not None:
            self.transport.producer.stopProducing()
        self.connection.connectionLost(Failure(ConnectionDone()))


def make_factory(subscribers: ISubscribers, clock: Clock, node: MemoryNode, **changes: Any) -> WebSocketFactory:
    """Make a factory of connections, with the limits of a node."""
    return WebSocketFactory(subscribers, clock, node.limits, node.tallies, node.complaints, **changes)


class WebSocketTestCase(SynchronousTestCase):
    """A node in memory, without its ports.

    :cvar first_way: how the bytes of its connections are read at first.
    """

    first_way: Way = OPENING

    def setUp(self) -> None:
        """Put a node together."""
        self.clock = Clock()
        self.serve(APP)

    def serve(self, app: App, **limits: Any) -> None:
        """Serve an app, with the node's limits changed as named."""
        numbers = itertools.count(10**10 + 2, 2 * 10**10 + 2)  # for the ids 1.2, 3.4 and so on
        self.app = app
        self.node = MemoryNode(app, clock=self.clock, limits=Limits(**limits), random_below=lambda below: next(numbers))
        self.registry = self.node.registry
        self.factory = self.make_factory(self.node.subscribers)

    def make_factory(self, subscribers: ISubscribers) -> WebSocketFactory:
        """Make a factory of connections."""
        factory = make_factory(subscribers, self.clock, self.node)
        factory.first_way = self.first_way
        return factory

    def connect(self, path: str = f"/app/{KEY}?protocol=7") -> Client:
        """Connect a client, and take its `connection_established`."""
        client = Client(self.clock, self.factory, path)
        self.assertEqual(client.shake_hands().status_code, 101)
        self.end_turn()
        (established,) = client.messages()
        self.assertEqual(established["event"], "pusher:connection_established")
        client.transport.writes.clear()
        return client

    def subscribe(self, client: Client, channel: str = "news") -> None:
        """Put a client on a public channel."""
        client.tell("pusher:subscribe", {"channel": channel})
        self.end_turn()
        (succeeded,) = client.messages()
        self.assertEqual(succeeded["event"], "pusher_internal:subscription_succeeded")
        client.transport.writes.clear()

    def publish(self, data: str, channel: str = "news") -> None:
        """Send an event to a channel."""
        self.registry.publish(self.app, channel, "price", data, None)

    def end_turn(self) -> None:
        """Let the reactor begin its next turn."""
        self.clock.advance(0)


def text(message: object, *, final: bool = True) -> Frame:
    """Write a message as a text frame."""
    return Frame(Opcode.TEXT, json.dumps(message).encode(), fin=final)


def written(frame: Frame) -> bytes:
    """Give the bytes of a client's frame: masked."""
    return frame.serialize(mask=True)


def close_of(frames: list[Frame]) -> tuple[int, str]:
    """Give code and reason of the close frame, which must be the last one."""
    (close,) = [frame for frame in frames if frame.opcode is Opcode.CLOSE]
    assert frames[-1] is close, frames
    parsed = Close.parse(close.data)
    return int(parsed.code), parsed.reason


def message(number: int, size: int = 0) -> Message:
    """Make a message that can be told from others, with some bytes of padding."""
    return Message(b'{"event":"%d","data":"%s"}' % (number, b"x" * size))
