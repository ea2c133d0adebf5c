"""One WebSocket, whichever way its bytes are read.

Nearly all that clients send is plain: an opening handshake in one piece, texts, pings, and a close in the end. As long
as that is so a connection goes the short way (`short`); from the first byte on that is not it goes the long way, by
Autobahn (`websocket`), and never comes back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from urllib.parse import unquote

from twisted.internet.interfaces import ITCPTransport, ITransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.interfaces import IConnected, ISubscribers, IWire
from slanger.protocol import codec
from slanger.protocol.errors import OVER_CAPACITY, PATH_NOT_FOUND, Code, ConnectionRefused
from slanger.protocol.messages import Message
from slanger.proxies import UNIX, Proxies, address_of
from slanger.transports import frames
from slanger.transports.deadlines import Deadlines
from slanger.transports.outbox import NOWHERE, Nowhere, Outbox, Turn

CLOSED_ABNORMALLY = 1006
"""Stands for the close code of a connection that had none."""

INTERNAL_ERROR = 1011
"""Close code of the WebSocket standard for a fault of the server; clients come back after a second."""

_REASON_BYTES = 123
"""What a close frame holds beside the code (RFC 6455, 5.5)."""


class Stage(enum.Enum):
    """How far a connection has come."""

    OPENING = "its opening handshake is not yet answered"
    OPEN = "messages come and go"
    CLOSING = "the server has sent a close frame, the client not yet"


class Way(Protocol):
    """How the bytes of a connection are read, and how it is ended."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Take what the client sent."""

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Send what waits and a close frame, unless one is sent already; `WebSocketConnection.closing` follows."""

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        """Learn that the TCP connection is lost."""


class Home(Protocol):
    """What the connections of one port have in common."""

    subscribers: ISubscribers
    proxies: Proxies
    turn: Turn
    handshakes: Deadlines[WebSocketConnection]
    closings: Deadlines[WebSocketConnection]
    message_bytes: int
    first_way: Way

    def name(self, transport: ITransport) -> str:
        """Name a client's address, for the log."""

    def long_way(self, connection: WebSocketConnection, stage: Stage) -> Way:
        """Begin the long way, from where the short one has led."""


@implementer(IConnected)
class _Nobody:
    """The client of a connection that has none: not yet, no longer, or refused."""

    def receive(self, text: bytes) -> None:
        pass

    def heard(self) -> None:
        pass

    def gone(self, code: int) -> None:
        pass


_NOBODY = _Nobody()


class _Ended:
    """The way of a connection that has ended: nothing is taken any more, and nothing sent."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        pass

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        pass

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        pass


ENDED = _Ended()


@implementer(IWire)
class WebSocketConnection(TwistedProtocol):
    """One WebSocket: the wire of one subscriber.

    :ivar way: reads its bytes, and ends it.
    :ivar outbox: what it is to be sent.
    :ivar send: sends a text when the turn is over; the outbox's own, as it is called for each delivery.
    :ivar address: the client's, as far as it is known: a proxy tells it with the opening handshake.
    :ivar closed_with: the close code, once there is one.
    """

    _log = Logger()
    transport: ITCPTransport
    closed_with: int | None = None

    def __init__(self, home: Home, address: str = UNIX) -> None:
        self.home = home
        self.address = address
        self.way = home.first_way
        self.outbox: Outbox | Nowhere = NOWHERE
        self.send: Callable[[Message], None] = NOWHERE.send
        self._client: IConnected = _NOBODY

    # From Twisted

    def connectionMade(self) -> None:
        """Wait for the opening handshake, but not for ever."""
        with suppress(AttributeError, OSError):  # a UNIX socket
            self.transport.setTcpNoDelay(True)
        self.home.handshakes.begin(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; any are a sign of life. An exception ends here, with this connection."""
        self._client.heard()
        try:
            self.way.take(self, data)
        except Exception:
            self._log.failure("closing {peer} after a fault", peer=self.peer)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Learn that the connection is lost."""
        self.home.handshakes.end(self)
        self.home.closings.end(self)
        self.way.lost(self, reason)
        self.way = ENDED
        client, self._client = self._client, _NOBODY
        self.outbox.stopProducing()
        self.outbox = NOWHERE
        self.send = NOWHERE.send
        try:
            client.gone(self.closed_with or CLOSED_ABNORMALLY)
        except Exception:
            self._log.failure("forgetting {peer} failed", peer=self.peer)

    # From its way

    def open(self, path: str, version: str | None, forwarded: str | None, answer: bytes | None = None) -> None:
        """Let the client in, or tell it why not.

        :param forwarded: what `X-Forwarded-For` says.
        :param answer: to its opening handshake, unless that is sent already; it leaves in one write with what follows.
        """
        self.home.handshakes.end(self)
        if forwarded:
            self.address = self.home.proxies.client(self.address, forwarded)
        self.outbox = Outbox(self.transport, self.home.turn, self)
        self.send = self.outbox.send
        if answer is not None:
            self.outbox.put(answer)
        try:
            self._client = self.home.subscribers.connect(self, key_in(path), version)
        except ConnectionRefused as refusal:
            self.home.subscribers.turned_away(self, refusal)
            self.send(codec.error(refusal.message, refusal.code))
            self.close(refusal.code, refusal.message)
        except Exception:
            self._fail("letting {peer} in failed")

    def receive(self, text: bytes) -> None:
        """Take one message."""
        try:
            self._client.receive(text)
        except Exception:
            self._fail("a message of {peer} failed")

    def receive_ping(self, payload: bytes) -> None:
        """Answer a PING; answers that a slow reader leaves unread count as its backlog."""
        self.outbox.put(frames.pong(payload))

    def closing(self, code: int) -> None:
        """Wait for the answer to a close frame, but not for ever."""
        self.closed_with = code
        self.home.closings.begin(self)

    # From its outbox

    def overflowed(self) -> None:
        """End the connection of a reader that is too slow."""
        self._log.warn("closing {peer}: it reads too slowly", peer=self.peer)
        self.close(OVER_CAPACITY, "Too slow: the backlog of this connection is full")

    # IWire

    @property
    def peer(self) -> str:
        """Where the connection comes from, after the client's address where a proxy has told another."""
        near = self.home.name(self.transport)
        told = self.address != address_of(self.transport.getPeer())
        return f"{self.address} via {near}" if told else near

    def ping(self) -> None:
        """Send a PING frame at once, behind what waits."""
        self.outbox.put(frames.ping())
        self.outbox.flush()

    def close(self, code: Code, reason: str) -> None:
        """Send what is waiting, then a close frame; drop the connection if it is not answered within a second."""
        self.way.close(self, code.number, _fitting(reason))

    def _fail(self, what: str) -> None:
        self._log.failure(what, peer=self.peer)
        self.way.close(self, INTERNAL_ERROR, b"Internal server error")


def key_in(path: str) -> str:
    """Take the app key from a path `[/PREFIX]/app/KEY[/]`.

    :raises ConnectionRefused: the path has another form.
    """
    _, app, key = path.rstrip("/").rpartition("/app/")
    if not app or not key or "/" in key:
        raise ConnectionRefused(PATH_NOT_FOUND, f"Path {path} not found: connect to /app/YOUR_APP_KEY")
    return unquote(key)


def _fitting(reason: str) -> bytes:
    """Cut a reason to what a control frame holds beside the code."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
