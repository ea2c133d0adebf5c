"""WebSockets over TLS, in memory: a server's TLS by Twisted, a client's by the standard library."""

from __future__ import annotations

import ssl
import tempfile

import trustme
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from websockets.frames import Close, Frame, Opcode

from slanger.certificates import read_certificate
from slanger.transports.connection import WebSocketConnection
from slanger.transports.short import OPEN, OPENING
from slanger.transports.websocket import LongWay
from tests.server import KEY
from tests.transports.client import Client, WebSocketTestCase, text
from tests.transports.ways import LONG_FROM_THE_HANDSHAKE, LONG_FROM_THE_START

NAME = "slanger.example"


class TLSClient(Client):
    """A client that speaks TLS below the WebSocket."""

    def secure(self, authority: trustme.CA) -> None:
        """Shake hands for TLS; whatever the server writes leaves when a turn is over."""
        context = ssl.create_default_context()
        authority.configure_trust(context)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
            else:
                break
        self._exchange()

    def say(self, data: bytes) -> None:
        """Send bytes, enciphered."""
        self._tls.write(data)
        self._exchange()

    def read(self) -> list[object]:  # type: ignore[override]
        """Take what has come since the last call, deciphered."""
        self._exchange()
        plain = b""
        try:
            while more := self._tls.read(65536):
                plain += more
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        self.transport.clear()
        self.transport.io.write(plain)
        return super().read()  # type: ignore[return-value]

    def _exchange(self) -> None:
        """Carry what either side has to say to the other."""
        said = self._outgoing.read()
        if said:
            self.connection.dataReceived(said)
        self.clock.advance(0)
        self._incoming.write(self.transport.value())
        self.transport.clear()


class TLSTests(WebSocketTestCase):
    """One connection over TLS, on either way."""

    def test_conversation(self) -> None:
        """TLS: a subscription, a PING, an event, a message in fragments and a close work as without it."""
        authority = trustme.CA()
        with tempfile.TemporaryDirectory() as directory:
            file = f"{directory}/both.pem"
            authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(file)
            options = read_certificate(file, file).options
        for way in (OPENING, LONG_FROM_THE_HANDSHAKE, LONG_FROM_THE_START):
            self.factory.first_way = way
            port = TLSMemoryBIOFactory(options, False, self.factory, self.clock)
            client = TLSClient(self.clock, port, f"/app/{KEY}?protocol=7")
            client.secure(authority)
            self.assertEqual(client.shake_hands().status_code, 101)
            self.end_turn()
            self.assertEqual([each["event"] for each in client.messages()], ["pusher:connection_established"])
            self.subscribe(client)
            client.send(Frame(Opcode.PING, b"?"))
            self.publish("1")
            self.end_turn()
            self.assertEqual([each.opcode for each in client.frames()], [Opcode.PONG, Opcode.TEXT])
            assert isinstance(client.connection, TLSMemoryBIOProtocol)
            connection = client.connection.wrappedProtocol
            assert isinstance(connection, WebSocketConnection)
            self.assertIs(connection.way is OPEN, way is OPENING)
            client.send(Frame(Opcode.TEXT, b'{"event":', fin=False), Frame(Opcode.CONT, b'"pusher:ping"}'))
            self.assertIsInstance(connection.way, LongWay)
            client.send(text({"event": "pusher:ping"}), Frame(Opcode.CLOSE, Close(1000, "").serialize()))
            self.end_turn()
            self.assertEqual([each.opcode for each in client.frames()], [Opcode.TEXT, Opcode.TEXT, Opcode.CLOSE])
