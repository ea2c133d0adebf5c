"""WebSockets, by Autobahn: the only room that imports it.

Autobahn does the handshake, the framing and the closing; liveness and the joining of frames are ours. Problems are
reported in-band, after the upgrade: a browser cannot see why a handshake failed, and pusher-js takes a failed one for
a broken transport.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote

import txaio.tx
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IProtocolNegotiationFactory, IReactorTime, ITransport
from twisted.logger import Logger
from zope.interface import implementer

from slanger.interfaces import IConnected, ISubscribers, IWire
from slanger.protocol import codec
from slanger.protocol.errors import OVER_CAPACITY, PATH_NOT_FOUND, Code, ConnectionRefused
from slanger.protocol.messages import Message
from slanger.transports.outbox import NOWHERE, Nowhere, Outbox, Turn

SUBPROTOCOL = "pusher-channels-protocol-"
"""Offered, with a version, by Swift clients, which hang up unless it is echoed ("WebSocket handshake")."""

MESSAGE_BYTES = 128 * 1024
"""Bytes of one message of a client by default: 10 kB of data, each byte escaped sixfold, and authorisation."""

HEADER_BYTES = 16 * 1024
"""Bytes of an opening handshake."""

HANDSHAKE_TIMEOUT = 10
"""Seconds an opening handshake may take."""

UNSUPPORTED_DATA = 1003
"""Close code of the WebSocket standard for a binary message; the Pusher protocol is text alone."""

CLOSED_ABNORMALLY = 1006
"""Stands for the close code of a connection that had none."""

INTERNAL_ERROR = 1011
"""Close code of the WebSocket standard for a fault of the server; clients come back after a second."""


_PONG = b"\x8a"


def frame(text: bytes) -> bytes:
    """Frame a text for any client: final, unmasked, uncompressed (RFC 6455, 5.2)."""
    length = len(text)
    if length < 126:
        return b"\x81" + length.to_bytes(1) + text
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2) + text
    return b"\x81\x7f" + length.to_bytes(8) + text


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


@implementer(IWire)
class WebSocketConnection(WebSocketServerProtocol):
    """One WebSocket: the wire of one subscriber."""

    _log = Logger()
    factory: WebSocketFactory
    _client: IConnected = _NOBODY
    _outbox: Outbox | Nowhere = NOWHERE
    _refusal: ConnectionRefused | None = None
    _key = ""
    _version: str | None = None

    # From Autobahn

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; any are a sign of life. An exception ends here, with this connection."""
        self._client.heard()
        try:
            super().dataReceived(data)
            if self.state == self.STATE_CONNECTING and len(self.data) > HEADER_BYTES:
                self.failHandshake("Request header too large", 431)
        except Exception:
            self._log.failure("closing {peer} after a fault", peer=self.peer)
            self._closeConnection(abort=True)

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Read the URL, and choose the subprotocol."""
        try:
            self._key = key_in(self.http_request_uri.partition("?")[0])
        except ConnectionRefused as refusal:
            self._refusal = refusal
        self._version = request.params.get("protocol", [None])[-1]
        return next((name for name in request.protocols if name.startswith(SUBPROTOCOL)), None)

    def onOpen(self) -> None:
        """Let the client in, or tell it why not."""
        self._outbox = Outbox(cast(ITransport, self.transport), self.factory.turn, self._overflowed)
        try:
            if self._refusal is not None:
                raise self._refusal
            self._client = self.factory.subscribers.connect(self, self._key, self._version)
        except ConnectionRefused as refusal:
            self.factory.subscribers.turned_away(self, refusal)
            self.send(codec.error(refusal.message, refusal.code))
            self.close(refusal.code, refusal.message)
        except Exception:
            self._fail("letting {peer} in failed")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Take one message; after a close there are no more."""
        if self.state != self.STATE_OPEN:
            return
        if isBinary:
            self._close(UNSUPPORTED_DATA, "Binary messages are not supported")
            return
        try:
            self._client.receive(payload)
        except Exception:
            self._fail("a message of {peer} failed")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Learn that the connection is lost."""
        client, self._client = self._client, _NOBODY
        self._outbox = NOWHERE
        try:
            client.gone((self.localCloseCode if self.closedByMe else code) or CLOSED_ABNORMALLY)
        except Exception:
            self._log.failure("forgetting {peer} failed", peer=self.peer)

    def onPing(self, payload: bytes) -> None:
        """Answer a PING; answers that a slow reader leaves unread count as its backlog."""
        if self.state == self.STATE_OPEN:
            self._outbox.put(_PONG + len(payload).to_bytes(1) + payload)

    def sendCloseFrame(self, *args: Any, **options: Any) -> None:
        """Send a close frame, be it Autobahn's own; what was joined for this turn leaves first, and nothing after."""
        self._outbox.close()
        super().sendCloseFrame(*args, **options)

    def dropConnection(self, abort: bool = False) -> None:
        """End the TCP connection; what was joined for this turn leaves first."""
        self._outbox.close()
        super().dropConnection(abort)

    # IWire

    def send(self, message: Message) -> None:
        """Send a text when the turn is over."""
        self._outbox.put(message.framed(frame))

    def ping(self) -> None:
        """Send a PING frame."""
        self.sendPing()

    def close(self, code: Code, reason: str) -> None:
        """Send what is waiting, then a close frame; drop the connection if it is not answered within a second."""
        self._close(code.number, reason)

    def _close(self, code: int, reason: str) -> None:
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code, _fitting(reason))

    def _overflowed(self) -> None:
        self._log.warn("closing {peer}: it reads too slowly", peer=self.peer)
        self.close(OVER_CAPACITY, "Too slow: the backlog of this connection is full")

    def _fail(self, what: str) -> None:
        self._log.failure(what, peer=self.peer)
        self._close(INTERNAL_ERROR, "Internal server error")


def _fitting(reason: str) -> bytes:
    """Cut a reason to what a control frame holds beside the code (RFC 6455, 5.5)."""
    return reason.encode()[:123].decode(errors="ignore").encode()


@implementer(IProtocolNegotiationFactory)
class WebSocketFactory(WebSocketServerFactory):
    """Makes the connections of one port.

    :param subscribers: lets clients in.
    :param message_bytes: bytes of one message of a client, at most.
    """

    protocol: type[WebSocketConnection] = WebSocketConnection  # type: ignore[assignment]
    noisy = False

    def __init__(self, subscribers: ISubscribers, reactor: IReactorTime, message_bytes: int = MESSAGE_BYTES) -> None:
        super().__init__(server="slanger", reactor=reactor)
        txaio.tx.set_global_log_level("error")  # Autobahn warns of every connection that a client breaks off
        self.subscribers = subscribers
        self.turn = Turn(reactor)
        self.setProtocolOptions(
            webStatus=False,
            failByDrop=False,
            allowNullOrigin=True,  # sandboxed frames, file:// pages and packaged apps have no other
            maxFramePayloadSize=message_bytes,
            maxMessagePayloadSize=message_bytes,
            openHandshakeTimeout=HANDSHAKE_TIMEOUT,
        )

    def acceptableProtocols(self) -> list[bytes]:
        """Speak HTTP/1.1 over TLS: where nothing is offered, Twisted refuses every client that asks, as browsers do."""
        return [b"http/1.1"]


def key_in(path: str) -> str:
    """Take the app key from a path `[/PREFIX]/app/KEY[/]`.

    :raises ConnectionRefused: the path has another form.
    """
    _, app, key = path.rstrip("/").rpartition("/app/")
    if not app or not key or "/" in key:
        raise ConnectionRefused(PATH_NOT_FOUND, f"Path {path} not found: connect to /app/YOUR_APP_KEY")
    return unquote(key)
