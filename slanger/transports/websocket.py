"""WebSockets, by Autobahn: the only room that imports it.

Its factory makes every connection; its protocol is the long way, for those that the short way cannot serve (`short`).
Liveness and the joining of frames are ours on both. Problems are reported in-band, after the upgrade: a browser cannot
see why a handshake failed, and pusher-js takes a failed one for a broken transport.
"""

from __future__ import annotations

from typing import Any, cast

import txaio.tx
from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.interfaces import ISubscribers
from slanger.transports.connection import Stage, Way, WebSocketConnection
from slanger.transports.deadlines import Deadlines
from slanger.transports.outbox import Turn
from slanger.transports.short import OPENING
from slanger.transports.upgrade import SERVER, subprotocol_in

MESSAGE_BYTES = 128 * 1024
"""Bytes of one message of a client by default: 10 kB of data, each byte escaped sixfold, and authorisation."""

HEADER_BYTES = 16 * 1024
"""Bytes of an opening handshake."""

HANDSHAKE_TIMEOUT = 10
"""Seconds an opening handshake may take."""

CLOSE_TIMEOUT = 1
"""Seconds an answer to a close frame may take."""

UNSUPPORTED_DATA = 1003
"""Close code of the WebSocket standard for a binary message; the Pusher protocol is text alone."""


class LongWay(WebSocketServerProtocol):
    """Autobahn reads the bytes of one connection, and ends it."""

    factory: WebSocketFactory
    connection: WebSocketConnection

    # A way of a connection

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Take what the client sent."""
        self.dataReceived(data)
        if self.state == self.STATE_CONNECTING and len(self.data) > HEADER_BYTES:
            self.failHandshake("Request header too large", 431)

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Send a close frame, once."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code, reason)

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        """Learn that the TCP connection is lost."""
        self.connectionLost(reason)

    def go_on(self, stage: Stage) -> None:
        """Stand behind an opening handshake: with what `succeedHandshake` and `sendCloseFrame` leave behind."""
        self.websocket_version = 13
        self.inside_message = False
        self.current_frame = None  # type: ignore[assignment]
        self.state = self.STATE_OPEN
        if stage is Stage.CLOSING:
            self.state = self.STATE_CLOSING
            self.closedByMe = True
            self.localCloseCode = self.connection.closed_with  # type: ignore[assignment]

    # From Autobahn

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Keep what the URL asks for, and choose the subprotocol."""
        self._version = request.params.get("protocol", [None])[-1]
        return subprotocol_in(request.protocols)

    def onOpen(self) -> None:
        """Let the client in, or tell it why not."""
        self.connection.open(self.http_request_uri.partition("?")[0], self._version)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Take one message; after a close there are no more."""
        if self.state != self.STATE_OPEN:
            return
        if isBinary:
            self.sendCloseFrame(UNSUPPORTED_DATA, b"Binary messages are not supported")
        else:
            self.connection.receive(payload)

    def onPing(self, payload: bytes) -> None:
        """Answer a PING."""
        if self.state == self.STATE_OPEN:
            self.connection.receive_ping(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Learn the close code: the server's own, where it was the first to close."""
        self.connection.closed_with = self.localCloseCode if self.closedByMe else code

    def sendCloseFrame(self, code: int | None = None, *args: Any, **options: Any) -> None:
        """Send a close frame, be it Autobahn's own; what was joined for this turn leaves first, and nothing after."""
        was_open = self.state == self.STATE_OPEN
        self.connection.outbox.close()
        super().sendCloseFrame(code, *args, **options)
        if was_open and self.closedByMe and code is not None:
            self.connection.closing(code)


@implementer(IProtocolNegotiationFactory)
class WebSocketFactory(WebSocketServerFactory):
    """Makes the connections of one port.

    :param subscribers: lets clients in.
    :ivar message_bytes: bytes of one message of a client, at most.
    """

    protocol: type[LongWay] = LongWay  # type: ignore[assignment]
    noisy = False
    first_way: Way = OPENING

    def __init__(self, subscribers: ISubscribers, reactor: IReactorTime, message_bytes: int = MESSAGE_BYTES) -> None:
        super().__init__(server=SERVER, reactor=reactor)
        txaio.tx.set_global_log_level("error")  # Autobahn warns of every connection that a client breaks off
        self.subscribers = subscribers
        self.turn = Turn(reactor)
        self.handshakes: Deadlines[WebSocketConnection] = Deadlines(reactor, HANDSHAKE_TIMEOUT, _hang_up)
        self.closings: Deadlines[WebSocketConnection] = Deadlines(reactor, CLOSE_TIMEOUT, _hang_up)
        self.setProtocolOptions(
            webStatus=False,
            failByDrop=False,
            allowNullOrigin=True,  # sandboxed frames, file:// pages and packaged apps have no other
            openHandshakeTimeout=0,  # `handshakes` and `closings` watch either way
            closeHandshakeTimeout=0,
        )
        self.allow(message_bytes)

    def allow(self, message_bytes: int) -> None:
        """Take messages of so many bytes from now on; a connection that goes the long way keeps what it began with."""
        self.message_bytes = message_bytes
        self.maxFramePayloadSize = self.maxMessagePayloadSize = message_bytes

    def buildProtocol(self, addr: IAddress | None) -> WebSocketConnection:
        """Make a connection."""
        return WebSocketConnection(self)

    def name(self, transport: ITransport) -> str:
        """Name a client's address, for the log."""
        name: str = peer2str(transport)
        return name

    def long_way(self, connection: WebSocketConnection, stage: Stage) -> LongWay:
        """Begin the long way, from where the short one has led."""
        way = cast("LongWay", super().buildProtocol(None))
        way.connection = connection
        way.makeConnection(connection.transport)
        if stage is not Stage.OPENING:
            way.go_on(stage)
        return way

    def acceptableProtocols(self) -> list[bytes]:
        """Speak HTTP/1.1 over TLS: where nothing is offered, Twisted refuses every client that asks, as browsers do."""
        return [b"http/1.1"]


def _hang_up(connection: WebSocketConnection) -> None:
    connection.transport.abortConnection()
