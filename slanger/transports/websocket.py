"""WebSockets, by Autobahn: the only room that imports it.

Its factory makes every connection; its protocol is the long way, for those that the short way cannot serve (`short`).
Liveness and the joining of frames are ours on both. Problems are reported in-band, after the upgrade: a browser cannot
see why a handshake failed, and pusher-js takes a failed one for a broken transport.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any, cast

import txaio.tx
from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.complaints import Complaints
from slanger.deadlines import Deadlines
from slanger.descriptors import first_kept
from slanger.domain.limits import Limits
from slanger.interfaces import ISubscribers
from slanger.proxies import HEADER, NOBODY, Proxies, address_of
from slanger.tallies import Tallies
from slanger.transports.connection import Nobody, Stage, Way, WebSocketConnection
from slanger.transports.direct import buffered
from slanger.transports.outbox import Turn
from slanger.transports.refusals import VERSION, is_http, refusal
from slanger.transports.short import OPENING
from slanger.transports.upgrade import subprotocol_in

UNSUPPORTED_DATA = 1003
"""Close code of the WebSocket standard for a binary message; the Pusher protocol is text alone."""


class LongWay(WebSocketServerProtocol):
    """Autobahn reads the bytes of one connection, and ends it."""

    factory: WebSocketFactory
    connection: WebSocketConnection
    _complained = False
    http_headers: dict[str, str] = {}  # noqa: RUF012 - Autobahn puts another in its place

    # A way of a connection

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Take what the client sent."""
        self._complained = False
        if self.state == self.STATE_CONNECTING:
            longest = self.factory.limits.header_bytes
            if len(self.data) + len(data) > longest and b"\r\n\r\n" not in (self.data + data)[:longest]:
                self.factory.cut["header_bytes",] += 1
                self.failHandshake(f"Request header too large: at most {longest} bytes are allowed", 431)
                return
        self.dataReceived(data)

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Send a close frame, once."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code, reason)
            self._complained = False

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

    def processHandshake(self) -> None:
        """Judge an opening handshake, once its head is there as a whole."""
        end = self.data.find(b"\r\n\r\n") + 4
        if end > 3 and not is_http(self.data[:end]):
            self.failHandshake("The head of this request is not HTTP: check its line ends and its header lines")
        else:
            super().processHandshake()

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: object = None) -> None:
        """Refuse an opening handshake; where it asks for another version, tell the one that is spoken."""
        headers = self.http_headers
        version = headers.get("sec-websocket-version", "missing")
        if code == HTTPStatus.BAD_REQUEST and "upgrade" in headers and version != str(VERSION):
            code, reason = HTTPStatus.UPGRADE_REQUIRED, f"Sec-WebSocket-Version must be {VERSION}, it is {version}"
        elif reason.startswith("Error during parsing"):  # what follows is an exception's
            reason = "The request cannot be read"
        self.sendData(refusal(code, reason))

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Keep what the URL asks for, and choose the subprotocol."""
        self._version = request.params.get("protocol", [None])[-1]
        self._origin = request.origin or None
        self._forwarded = request.headers.get(HEADER)
        return subprotocol_in(request.protocols)

    def onOpen(self) -> None:
        """Let the client in, or tell it why not."""
        self.connection.open(self.http_request_uri.partition("?")[0], self._version, self._origin, self._forwarded)

    def onFrameBegin(self) -> None:
        """Count a frame, of whatever kind: to read one without an end costs as much as one with a message in it."""
        super().onFrameBegin()
        connection = self.connection
        connection.spare -= 1
        if connection.spare < 0 and self.state == self.STATE_OPEN and connection.floods():
            self.state = self.STATE_CLOSED

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

    def dropConnection(self, abort: bool = False) -> None:
        """End the TCP connection; Autobahn would abort it before what it complains of, or what was said, has left."""
        super().dropConnection(abort and not self._complained and not buffered(self.connection.transport))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Learn the close code: the server's own, where it was the first to close."""
        self.connection.closed_with = self.localCloseCode if self.closedByMe else code

    def _closeConnection(self, abort: bool = False) -> None:
        """End the TCP connection; one who reads nothing must not keep it."""
        if abort:
            self.connection.transport.abortConnection()
        else:
            self.connection.hang_up()

    def sendData(self, data: bytes, *args: Any, **options: Any) -> None:
        """Count what Autobahn sends by itself: answers to handshakes, and frames."""
        if self.state == self.STATE_CONNECTING:  # nobody knows whose it is
            self.factory.nobody.meter.bytes_sent += len(data)
        else:
            meter = self.connection.outbox.meter
            meter.bytes_sent += len(data)
            meter.messages_sent += 1
        super().sendData(data, *args, **options)

    def sendCloseFrame(self, code: int | None = None, *args: Any, **options: Any) -> None:
        """Send a close frame, be it Autobahn's own; what was joined for this turn leaves first, and nothing after."""
        was_open = self.state == self.STATE_OPEN
        self.connection.outbox.close()
        super().sendCloseFrame(code, *args, **options)
        if was_open and self.closedByMe and code is not None:
            self.connection.closing(code)
            self._complained = True


@implementer(IProtocolNegotiationFactory)
class WebSocketFactory(WebSocketServerFactory):
    """Makes the connections of one port.

    :param subscribers: lets clients in.
    :param tallies: count what comes and goes.
    :param proxies: who is believed about the addresses of clients.
    :ivar cut: counts connections that are closed for what their clients do.
    :ivar refused: counts those that are not let in.
    :ivar descriptors: the number of the first one that is kept free.
    """

    protocol: type[LongWay] = LongWay  # type: ignore[assignment]
    noisy = False
    first_way: Way = OPENING

    def __init__(
        self,
        subscribers: ISubscribers,
        reactor: IReactorTime,
        limits: Limits,
        tallies: Tallies,
        complaints: Complaints,
        proxies: Proxies = NOBODY,
    ) -> None:
        super().__init__(server="", reactor=reactor)
        txaio.tx.set_global_log_level("error")  # Autobahn warns of every connection that a client breaks off
        self.subscribers = subscribers
        self.proxies = proxies
        self.cut = tallies.connections_cut
        self.refused = tallies.connections_refused
        self.descriptors = first_kept(2)
        self.complaints = complaints
        self.seconds = reactor.seconds
        self.turn = Turn(reactor, limits, tallies)
        self.nobody = Nobody(tallies.nobody)
        self.handshakes: Deadlines[WebSocketConnection] = Deadlines(
            reactor, limits.handshake_timeout, partial(self._drop, "handshake_timeout")
        )
        self.closings: Deadlines[WebSocketConnection] = Deadlines(
            reactor, limits.close_timeout, partial(self._drop, "close_timeout")
        )
        self.setProtocolOptions(
            versions=[VERSION],
            webStatus=False,
            failByDrop=False,
            allowNullOrigin=True,  # sandboxed frames, file:// pages and packaged apps have no other
            openHandshakeTimeout=0,  # `handshakes` and `closings` watch either way
            closeHandshakeTimeout=0,
        )
        self.apply(limits)

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on; Autobahn keeps to the old ones on connections that it has."""
        self.limits = self.turn.limits = limits
        self.message_bytes = limits.message_bytes
        self.handshakes.seconds = limits.handshake_timeout
        self.closings.seconds = limits.close_timeout
        self.maxFramePayloadSize = limits.message_bytes  # `setProtocolOptions` resets others
        self.maxMessagePayloadSize = limits.message_bytes

    def buildProtocol(self, addr: IAddress | None) -> WebSocketConnection:
        """Make a connection."""
        return WebSocketConnection(self, address_of(addr))

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

    def _drop(self, reason: str, connection: WebSocketConnection) -> None:
        self.cut[(reason,)] += 1
        connection.transport.abortConnection()
