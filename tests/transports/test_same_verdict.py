"""The short way and Autobahn: the same verdict for the same bytes, and the same answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slanger.complaints import Complaints
from slanger.interfaces import IConnected, ISubscribers, IWire
from slanger.protocol.errors import SHUTTING_DOWN, UNSUPPORTED_VERSION, ConnectionRefused
from slanger.protocol.messages import Message
from slanger.tallies import Meter, Tallies
from slanger.transports.connection import Way
from slanger.transports.frames import frame, read_frame
from slanger.transports.short import OPENING
from slanger.transports.upgrade import read_upgrade
from slanger.transports.websocket import WebSocketFactory
from tests.builders import LIMITS
from tests.server import KEY
from tests.strategies import PROPERTY
from tests.transports.bytes_of_clients import ODD_VALUES, PARAMETERS, PATHS, PLAIN_HEADERS, conversations, requests
from tests.transports.bytes_of_clients import frame as write_frame
from tests.transports.client import Client
from tests.transports.ways import LONG_FROM_THE_HANDSHAKE, LONG_FROM_THE_START


def request(
    *headers: tuple[str, str], path: str = f"/app/{KEY}?protocol=7&client=js&version=8.6.0&flash=false"
) -> bytes:
    """Write an opening handshake with these headers."""
    lines = [f"{name}: {value}" for name, value in headers]
    return "\r\n".join((f"GET {path} HTTP/1.1", *lines, "\r\n")).encode("latin-1")


HANDSHAKE = request(*PLAIN_HEADERS)
KEY_LINE = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
PING = b"\x89\x81abcd^"

LIMIT = 200
"""Bytes of a message; small, so that it is met."""


@implementer(ISubscribers, IConnected)
class Witness:
    """Lets everybody in but version 3, says what it hears, closes at a ``bye``, and notes everything."""

    def __init__(self) -> None:
        self.notes: list[object] = []
        self.meter = Meter("")

    def connect(self, wire: IWire, key: str, version: str | None, origin: str | None) -> IConnected:
        """Let a client in."""
        self.notes.append((key, version, origin))
        if version == "3":
            raise ConnectionRefused(UNSUPPORTED_VERSION, "too old", "version")
        self._wire = wire
        wire.send(Message(b"hello"))
        return self

    def turned_away(self, wire: IWire, refusal: ConnectionRefused) -> None:
        """Note who is not let in."""
        self.notes.append(refusal.message)

    def receive(self, text: bytes) -> None:
        """Note a text, and say it."""
        self.notes.append(text)
        self._wire.send(Message(text))
        if text == b"bye":
            self._wire.close(SHUTTING_DOWN, "bye")

    def heard(self) -> None:
        """Note a sign of life."""
        self.notes.append("heard")

    def gone(self, code: int) -> None:
        """Note the end."""
        self.notes.append(code)


class SameVerdictTests(SynchronousTestCase):
    """Two connections that are sent the same."""

    def outcome(self, way: Way, chunks: Iterable[bytes]) -> tuple[list[object], bytes, list[tuple[bool, bool]]]:
        """Send some bytes to a new connection; tell what was noted and answered, and how it ended."""
        clock, witness = Clock(), Witness()
        tallies = Tallies()
        complaints = Complaints(clock, tallies)
        factory = WebSocketFactory(witness, clock, replace(LIMITS, message_bytes=LIMIT), tallies, complaints)
        factory.first_way = way
        client = Client(clock, factory, "/")
        for chunk in chunks:
            if not client.transport.ended:
                client.say(chunk)
            clock.advance(0)
        ended = [(client.transport.disconnecting, client.transport.disconnected)]
        for _ in range(2):
            clock.advance(0.6)
            ended.append((client.transport.disconnecting, client.transport.disconnected))
        client.leave()
        return witness.notes, client.transport.value(), ended

    def assert_same(self, *chunks: bytes) -> None:
        """Check that the same comes of some bytes, whichever way they are read."""
        short = self.outcome(OPENING, chunks)
        for way in (LONG_FROM_THE_HANDSHAKE, LONG_FROM_THE_START):
            self.assertEqual(short, self.outcome(way, chunks), chunks)

    def test_each_header(self) -> None:
        """RFC 6455: each odd value of a header, in place of the plain one or beside it, is judged as Autobahn does."""
        for name, values in ODD_VALUES.items():
            for value in values:
                others = [each for each in PLAIN_HEADERS if each[0].lower() != name]
                self.assert_same(request(*others, (name, value)))
                self.assert_same(request(*PLAIN_HEADERS, (name, value)))

    def test_each_url(self) -> None:
        """URL: each odd path, and each pair of odd parameters, is read as Autobahn does."""
        for path in PATHS:
            self.assert_same(request(*PLAIN_HEADERS, path=path))
        for first in PARAMETERS:
            for second in PARAMETERS:
                self.assert_same(request(*PLAIN_HEADERS, path=f"/app/{KEY}?{first}&{second}"))

    def test_each_first_byte(self) -> None:
        """RFC 6455: each first byte of a frame is judged as Autobahn does, and so is what follows that frame."""
        for first in range(256):
            for payload in (b"", b"\x03\xe8"):
                self.assert_same(HANDSHAKE, write_frame(first, payload, b"abcd"), PING)

    def test_each_length(self) -> None:
        """RFC 6455: each form of a length, and lengths about the limit, are judged as Autobahn does."""
        for length in (0, 125, 126, LIMIT, LIMIT + 1):
            for form in (0, 2, 8):
                for mask in (b"abcd", None):
                    self.assert_same(HANDSHAKE, write_frame(0x81, b"x" * length, mask, form), PING)

    def test_each_close(self) -> None:
        """RFC 6455: each close code is judged as Autobahn does, and so are reasons."""
        for code in (*range(990, 1020), 1999, 2000, 2999, 3000, 4999, 5000, 65535):
            self.assert_same(HANDSHAKE, write_frame(0x88, code.to_bytes(2), b"abcd"), PING)
        for reason in (b"bye", b"\xff", b"\xc3", b"x" * 123):
            self.assert_same(HANDSHAKE, write_frame(0x88, b"\x03\xe8" + reason, b"abcd"), PING)

    @PROPERTY
    @given(requests())
    def test_handshakes(self, request: bytes) -> None:
        """RFC 6455: the short way lets in whom Autobahn lets in, as the same, with the same answer, and nobody else."""
        self.assert_same(request)

    @PROPERTY
    @given(conversations())
    def test_frames(self, chunks: list[bytes]) -> None:
        """RFC 6455: whatever frames follow, the short way takes, answers and ends as Autobahn does."""
        self.assert_same(HANDSHAKE, *chunks)


class PlainHandshakeTests(SynchronousTestCase):
    """What is plain enough for the short way."""

    def assert_plain(self, *headers: tuple[str, str]) -> None:
        """Check that a handshake with these headers is plain."""
        plain = read_upgrade(request(*PLAIN_HEADERS, *headers))
        assert plain is not None, headers
        upgrade, answer = plain
        self.assertEqual((upgrade.path, upgrade.version), (f"/app/{KEY}", "7"))
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", answer)

    def test_clients(self) -> None:
        """WebSocket handshake: what browsers and the official clients send is plain."""
        offers = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        for headers in (
            (),
            (offers,),
            (("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"), ("Origin", "https://shop.example"), offers),
            (("Origin", "http://localhost:3000"), ("Sec-WebSocket-Extensions", "permessage-deflate")),
            (("Origin", "null"), ("Cookie", "a=b"), ("Cache-Control", "no-cache"), ("Pragma", "no-cache")),
            (("Sec-WebSocket-Protocol", "pusher-channels-protocol-7"),),
            (("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https")),
        ):
            self.assert_plain(*headers)

    def test_odd(self) -> None:
        """WebSocket handshake: what is cut, written oddly, or followed by something is not plain."""
        for odd in (
            HANDSHAKE[:-1],
            HANDSHAKE + b"\x89",
            request(*PLAIN_HEADERS, ("Host", "twice")),
            request(*PLAIN_HEADERS, ("Origin", "capacitor://localhost")),
            request(*PLAIN_HEADERS, ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=8")),
            request(*PLAIN_HEADERS, ("Sec-WebSocket-Protocol", "a, a")),
            request(*PLAIN_HEADERS, path="http://localhost/app/k"),
            HANDSHAKE.replace(b"13\r\n", b"8\r\n"),
            HANDSHAKE.replace(KEY_LINE, b""),
            HANDSHAKE.replace(KEY_LINE, KEY_LINE + KEY_LINE),
            HANDSHAKE.replace(KEY_LINE, KEY_LINE.replace(b"==", b"=")),
            HANDSHAKE.replace(KEY_LINE, b"") + KEY_LINE,
            KEY_LINE + HANDSHAKE.replace(KEY_LINE, b""),
        ):
            self.assertIsNone(read_upgrade(odd), odd)
            self.assertIsNone(read_upgrade(odd), odd)  # what is remembered is no better

    def test_each_its_key(self) -> None:
        """WebSocket handshake: two that say the same are answered each by its own key, however its name is written."""
        one = read_upgrade(HANDSHAKE)
        assert one is not None
        for name in (b"Sec-WebSocket-Key", b"sec-websocket-key", b"Sec-Websocket-Key"):
            other = read_upgrade(HANDSHAKE.replace(KEY_LINE, name + b": AAAAAAAAAAAAAAAAAAAAAA==\r\n"))
            assert other is not None, name
            self.assertEqual(other[0], one[0])
            self.assertIn(b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n", other[1])


class PlainFrameTests(SynchronousTestCase):
    """What frames are plain."""

    def test_texts(self) -> None:
        """RFC 6455: a text of any length up to 65535 bytes is plain, and unmasked as it was masked."""
        for length in (0, 1, 125, 126, 65535):
            text, mask = b"x" * length, b"\x01\x02\x03\x04"
            plain = frame(text)
            header = bytes((plain[0], plain[1] | 0x80)) + plain[2 : len(plain) - length]
            masked = header + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
            self.assertEqual(read_frame(b"?" + masked, 1, 65535), (0x81, text, 1 + len(masked)))
            self.assertIsNone(read_frame(masked[:-1], 0, 65535))
            self.assertIsNone(read_frame(masked, 0, length - 1) if length else None)

    def test_controls(self) -> None:
        """RFC 6455: PING, PONG and CLOSE are plain, the latter with a code that a client may send."""
        for kind, payload in ((0x89, b"?"), (0x8A, b""), (0x88, b""), (0x88, b"\x03\xe8"), (0x88, b"\x10\x04bye")):
            data = bytes((kind, 0x80 | len(payload))) + bytes(4) + payload
            self.assertEqual(read_frame(data, 0, 200), (kind, payload, len(data)))
