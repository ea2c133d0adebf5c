"""One WebSocket, whichever way its bytes are read.

Nearly all that clients send is plain: an opening handshake in one piece, texts, pings, and a close in the end. As long
as that is so a connection goes the short way (`short`); from the first byte on that is not it goes the long way, by
Autobahn (`websocket`), and never comes back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from math import inf
from typing import Protocol
from urllib.parse import unquote

from twisted.internet.interfaces import IPushProducer, ITCPTransport, ITransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.complaints import Complaints
from slanger.deadlines import Deadlines
from slanger.descriptors import is_beyond
from slanger.domain.limits import BURST_SECONDS, Limits
from slanger.interfaces import IConnected, ISubscribers, IWire
from slanger.protocol import codec
from slanger.protocol.errors import OVER_CAPACITY, PATH_NOT_FOUND, Code, ConnectionRefused
from slanger.protocol.messages import Message
from slanger.protocol.names import UNLIMITED
from slanger.proxies import UNIX, Proxies, address_of
from slanger.tallies import Meter, Tally
from slanger.transports import frames
from slanger.transports.outbox import NOWHERE, Nowhere, Outbox, Turn

CLOSED_ABNORMALLY = 1006
"""Stands for the close code of a connection that had none."""

INTERNAL_ERROR = 1011
"""Close code of the WebSocket standard for a fault of the server; clients come back after a second."""

PAID_AT_ONCE = 256
"""Frames that may come before it is looked at again how fast they do. Python has the numbers up to this ready-made."""

SHOWN = 200
"""Characters of a path that are repeated."""

_NEVER = -inf

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
    limits: Limits
    message_bytes: int
    first_way: Way
    complaints: Complaints
    cut: Tally
    nobody: Nobody
    refused: Tally
    descriptors: int

    def seconds(self) -> float:
        """Tell the time."""

    def name(self, transport: ITransport) -> str:
        """Name a client's address, for the log."""

    def long_way(self, connection: WebSocketConnection, stage: Stage) -> Way:
        """Begin the long way, from where the short one has led."""


@implementer(IConnected)
class Nobody:
    """The client of a connection that has none: not yet, no longer, or refused."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def receive(self, text: bytes) -> None:
        """Let it pass."""

    def heard(self) -> None:
        """Let it pass."""

    def gone(self, code: int) -> None:
        """Let it pass."""


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
    :ivar spare: how many more frames it may send before `floods` looks at how fast they came; so to count one costs
        next to nothing, and the clock is asked now and then.
    """

    transport: ITCPTransport
    closed_with: int | None = None

    def __init__(self, home: Home, address: str = UNIX) -> None:
        self.home = home
        self.address = address
        self.way = home.first_way
        self.outbox: Outbox | Nowhere = NOWHERE
        self.send: Callable[[Message], None] = NOWHERE.send
        self._client: IConnected = home.nobody
        self.spare = PAID_AT_ONCE
        self._paid_until = _NEVER

    # From Twisted

    def connectionMade(self) -> None:
        """Wait for the opening handshake, but not for ever; where requests need the descriptor, not at all."""
        if is_beyond(self.transport, self.home.descriptors):
            self.home.refused["", "descriptors"] += 1
            self.transport.abortConnection()
            return
        self.home.handshakes.begin(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; any are a sign of life. An exception ends here, with this connection."""
        self._client.heard()
        try:
            self.way.take(self, data)
        except Exception:
            self.home.complaints.failure("closing a connection after a fault", self.peer)
            self.transport.abortConnection()
        self._client.meter.bytes_received += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Learn that the connection is lost."""
        self.home.handshakes.end(self)
        self.home.closings.end(self)
        self.way.lost(self, reason)
        self.way = ENDED
        client, self._client = self._client, self.home.nobody
        self.outbox.stopProducing()
        self.outbox = NOWHERE
        self.send = NOWHERE.send
        try:
            client.gone(self.closed_with or CLOSED_ABNORMALLY)
        except Exception:
            self.home.complaints.failure("forgetting a connection failed", self.peer)

    # From its way

    def open(
        self, path: str, version: str | None, origin: str | None, forwarded: str | None, answer: bytes | None = None
    ) -> None:
        """Let the client in, or tell it why not.

        :param origin: of the web page it comes from.
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
            self._client = self.home.subscribers.connect(self, key_in(path), version, origin)
            self.outbox.meter = self._client.meter
            self.outbox.join()  # the answer to the handshake is no message
        except ConnectionRefused as refusal:
            self.home.subscribers.turned_away(self, refusal)
            self.send(codec.error(refusal.message, refusal.code))
            self.close(refusal.code, refusal.message)
        except Exception:
            self._fail("letting a client in failed")

    def receive(self, text: bytes) -> None:
        """Take one message."""
        self._client.meter.messages_received += 1
        try:
            self._client.receive(text)
        except Exception:
            self._fail("a message of a client failed")

    def receive_ping(self, payload: bytes) -> None:
        """Answer a PING; answers that a slow reader leaves unread count as its backlog."""
        self.outbox.put(frames.pong(payload))

    def floods(self) -> bool:
        """Tell whether the client sends faster than it may; if so it is closed, and nothing more of it is read.

        It is a bucket that is filled when it is looked into, and from which several frames are paid at once.
        """
        per_second, now = self.home.limits.messages_per_second, self.home.seconds()
        if per_second >= UNLIMITED:
            self.spare = PAID_AT_ONCE
            return False
        paid_until = self._paid_until
        if not now - BURST_SECONDS < paid_until < now + 1:  # a new connection, one long silent, or a clock set back
            paid_until = now - BURST_SECONDS
        paid = min(int((now - paid_until) * per_second), PAID_AT_ONCE)
        if paid > 0:
            self._paid_until = paid_until + paid / per_second
            self.spare = paid - 1
            return False
        self.send_away("flood", f"it sends more than {per_second} messages a second", "Too many messages per second")
        IPushProducer(self.transport).pauseProducing()
        self.way = ENDED
        return True

    def send_away(self, reason: str, why: str, told: str) -> None:
        """Close the connection for what the client does, with 4100: it comes back after a while.

        :param reason: a word or two, to be counted by.
        :param why: for the log.
        :param told: to the client.
        """
        self.home.cut[(reason,)] += 1
        self.home.complaints.count(f"closing a connection: {reason}", f"{self.peer}: {why}")
        self.close(OVER_CAPACITY, told)

    def hang_up(self) -> None:
        """End the connection once the client has read what it was sent, and without that if it does not."""
        self.home.closings.begin(self)
        self.transport.loseConnection()

    def closing(self, code: int) -> None:
        """Wait for the answer to a close frame, but not for ever."""
        self.closed_with = code
        self.home.closings.begin(self)

    # From its outbox

    def overflowed(self) -> None:
        """End the connection of a reader that is too slow."""
        self.send_away("slow_reader", "it reads too slowly", "Too slow: the backlog of this connection is full")

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
        self.home.complaints.failure(what, self.peer)
        self.way.close(self, INTERNAL_ERROR, b"Internal server error")


def key_in(path: str) -> str:
    """Take the app key from a path `[/PREFIX]/app/KEY[/]`.

    :raises ConnectionRefused: the path has another form.
    """
    _, app, key = path.rstrip("/").rpartition("/app/")
    if not app or not key or "/" in key:
        text = f"Path {path[:SHOWN]} not found: connect to /app/YOUR_APP_KEY"
        raise ConnectionRefused(PATH_NOT_FOUND, text, "path")
    return unquote(key)


def _fitting(reason: str) -> bytes:
    """Cut a reason to what a control frame holds beside the code."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
