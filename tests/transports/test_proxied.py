"""Ports behind proxies: PROXY headers, and `X-Forwarded-For` in opening handshakes."""

from __future__ import annotations

import ipaddress
import struct
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.trial.unittest import SynchronousTestCase

from slanger.complaints import INTERVAL, Complaints
from slanger.proxies import NOBODY, Proxies
from slanger.tallies import Tallies
from slanger.transports.proxied import ProxiedPort
from slanger.transports.proxy_header import BLOCK_BYTES, LINE_BYTES, BadHeader, ProxyHeader, read_proxy_header
from slanger.transports.shared import SharedPort
from slanger.transports.short import OPEN, OPENING
from slanger.transports.upgrade import read_upgrade
from slanger.transports.websocket import WebSocketFactory
from tests.builders import LIMITS
from tests.server import KEY
from tests.transports.client import Client, Transport
from tests.transports.test_messages import RecordedTestCase, Recorder
from tests.transports.test_shared import Notes, NotesFactory
from tests.transports.ways import LONG_FROM_THE_START

PROXIES = Proxies((ip_network("192.0.2.0/24"),))
PROXY, STRANGER = IPv4Address("TCP", "192.0.2.7", 5150), IPv4Address("TCP", "203.0.113.5", 5150)
LINE = b"PROXY TCP4 198.51.100.1 192.0.2.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def block(kind: int, addresses: bytes, command: int = 0x21) -> bytes:
    """Write a header of version 2."""
    return SIGNATURE + bytes((command, kind)) + len(addresses).to_bytes(2) + addresses


FOUR = block(0x11, struct.pack("!4B4BHH", 198, 51, 100, 1, 192, 0, 2, 1, 56324, 443))
SIX = block(0x21, ipaddress.ip_address("2001:db8::1").packed * 2 + struct.pack("!HH", 56324, 443))
EXTENDED = block(0x11, FOUR[16:] + b"\x04\x00\x03abc")
LOCAL = block(0x00, b"", command=0x20)
UNKNOWN = b"PROXY UNKNOWN ffff:f...f:ffff whatever\r\n"


AS_NGINX_WRITES = """GET /app/k?protocol=7 HTTP/1.1
Host: localhost
Upgrade: websocket
Connection: upgrade
X-Forwarded-For: 198.51.100.1
X-Forwarded-Proto: https
Pragma: no-cache
Cache-Control: no-cache
User-Agent: Mozilla/5.0 (X11; Linux x86_64)
Origin: https://app.example
Sec-WebSocket-Version: 13
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits

"""
AS_HAPROXY_WRITES = """GET /app/k?protocol=7 HTTP/1.1
host: localhost:36209
connection: Upgrade
pragma: no-cache
cache-control: no-cache
user-agent: Mozilla/5.0 (X11; Linux x86_64)
upgrade: websocket
origin: https://app.example
sec-websocket-version: 13
accept-encoding: gzip, deflate, br, zstd
accept-language: en
sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
sec-websocket-extensions: permessage-deflate; client_max_window_bits
x-forwarded-proto: https
x-forwarded-for: 198.51.100.1

"""
"""A browser's opening handshake as it was received from real proxies."""


class HeaderTests(SynchronousTestCase):
    """The header by itself."""

    def test_line(self) -> None:
        """PROXY version 1: the client's address and port."""
        self.assertEqual(read_proxy_header(LINE + b"GET"), ProxyHeader("198.51.100.1", 56324, len(LINE)))
        six = b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"
        self.assertEqual(read_proxy_header(six), ProxyHeader("2001:db8::1", 1, len(six)))

    def test_block(self) -> None:
        """PROXY version 2: the same, in binary, with or without extensions."""
        self.assertEqual(read_proxy_header(FOUR + b"GET"), ProxyHeader("198.51.100.1", 56324, len(FOUR)))
        self.assertEqual(read_proxy_header(SIX), ProxyHeader("2001:db8::1", 56324, len(SIX)))
        self.assertEqual(read_proxy_header(EXTENDED + b"G"), ProxyHeader("198.51.100.1", 56324, len(EXTENDED)))

    def test_of_the_proxy(self) -> None:
        """PROXY: a proxy may speak for itself, or for whom it does not know, or for somebody without an address."""
        for header in (
            UNKNOWN,
            b"PROXY UNKNOWN\r\n",
            LOCAL,
            block(0x11, FOUR[16:], 0x20),
            block(0, b""),
            block(0, b"x"),
        ):
            self.assertEqual(read_proxy_header(header + b"GET"), ProxyHeader(None, 0, len(header)))
        self.assertEqual(read_proxy_header(block(0x31, bytes(216))), ProxyHeader(None, 0, 232))

    def test_pieces(self) -> None:
        """PROXY: a header may come in any pieces."""
        for header in (LINE, FOUR, SIX, EXTENDED, LOCAL, UNKNOWN):
            for length in range(len(header)):
                self.assertIsNone(read_proxy_header(header[:length]), header[:length])

    def test_refused(self) -> None:
        """PROXY: what is no header, or a broken one, is refused as soon as that is clear."""
        for data in (
            b"GET / HTTP/1.1\r\n",
            b"G",
            b"PROXX",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 56324\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 56324 443 1\r\n",
            b"PROXY TCP4 host 192.0.2.1 56324 443\r\n",
            b"PROXY TCP4 2001:db8::1 ::1 56324 443\r\n",
            b"PROXY TCP6 198.51.100.1 192.0.2.1 56324 443\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 65536 443\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 -1 443\r\n",
            b"PROXY UDP4 198.51.100.1 192.0.2.1 1 443\r\n",
            b"PROXY \r\n",
            b"PROXY " + b"x" * LINE_BYTES,
            SIGNATURE[:-1] + b"x",
            block(0x11, FOUR[16:], 0x11),
            block(0x11, FOUR[16:], 0x22),
            block(0x12, FOUR[16:]),
            block(0x44, FOUR[16:]),
            block(0x11, FOUR[16:-1]),
            block(0x21, FOUR[16:]),
            SIGNATURE + b"\x21\x11" + (BLOCK_BYTES + 1).to_bytes(2),
        ):
            self.assertRaises(BadHeader, read_proxy_header, data)

    @given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=20), st.data())
    def test_like_twisted(
        self, source: ipaddress.IPv4Address, other: ipaddress.IPv4Address, port: int, rest: bytes, data: st.DataObject
    ) -> None:
        """PROXY: every sound header of either version is read as Twisted reads it."""
        target = type(source)(data.draw(st.integers(0, 2**source.max_prefixlen - 1)))
        line = f"PROXY TCP{source.version} {source} {target} {port} 443\r\n".encode()
        binary = block(
            0x11 if source.version == 4 else 0x21, source.packed + target.packed + struct.pack("!HH", port, 443)
        )
        for header, parser in ((line, V1Parser()), (binary, V2Parser())):
            theirs, _ = parser.feed(header)
            assert theirs is not None
            assert isinstance(theirs.source, IPv4Address | IPv6Address)
            mine = read_proxy_header(header + rest)
            assert mine is not None
            self.assertEqual(mine.length, len(header))
            self.assertEqual(mine.host, str(ipaddress.ip_address(theirs.source.host)))
            self.assertEqual(mine.port, theirs.source.port)

    @given(
        st.one_of(
            st.binary(max_size=40),
            st.binary(max_size=40).map(lambda end: SIGNATURE + end),
            st.binary(max_size=120).map(lambda end: b"PROXY " + end),
        )
    )
    def test_any_bytes(self, data: bytes) -> None:
        """PROXY: any bytes give a header, a wait or a refusal."""
        try:
            header = read_proxy_header(data)
        except BadHeader:
            return
        if header is not None:
            self.assertLessEqual(header.length, len(data))


class PortTests(SynchronousTestCase):
    """A port that expects headers of its proxies."""

    def setUp(self) -> None:
        """Make a port before something that notes what it is told."""
        self.clock = Clock()
        self.behind = NotesFactory()
        tallies = Tallies()
        self.tally = tallies.proxy_headers_refused
        self.port = ProxiedPort(self.behind, PROXIES, self.clock, LIMITS, Complaints(self.clock, tallies))

    def connect(self, address: IAddress = PROXY) -> tuple[Protocol, Transport]:
        """Connect somebody."""
        protocol, transport = self.port.buildProtocol(address), Transport()
        assert protocol is not None
        protocol.makeConnection(transport)
        return protocol, transport

    def test_proxy(self) -> None:
        """PROXY: the connection is the client's; no byte behind the header is lost, however it is cut."""
        for header, host in ((LINE, "198.51.100.1"), (FOUR, "198.51.100.1"), (SIX, "2001:db8::1")):
            whole = header + b"rest"
            for pieces in ([whole], [whole[at : at + 1] for at in range(len(whole))], [header, b"rest"]):
                self.behind.made.clear()
                protocol, transport = self.connect()
                for piece in [*pieces, b"more"]:
                    protocol.dataReceived(piece)
                (made,) = self.behind.made
                self.assertIs(made.transport, transport)  # so that it can be written to directly
                self.assertEqual(b"".join(made.received), b"restmore")
                kind = IPv6Address if ":" in host else IPv4Address
                self.assertEqual(self.behind.addresses[-1], kind("TCP", host, 56324))
                protocol.connectionLost(connectionDone)
                self.assertEqual(made.lost, 1)
        self.clock.advance(LIMITS.handshake_timeout)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_of_the_proxy(self) -> None:
        """PROXY: where the proxy speaks for itself, the connection is the proxy's."""
        for header in (LOCAL, UNKNOWN):
            protocol, _ = self.connect()
            protocol.dataReceived(header)
            self.assertEqual(self.behind.addresses[-1], PROXY)

    def test_stranger(self) -> None:
        """PROXY: who is not trusted is who he is; a header of his goes to what is behind, which will not like it."""
        protocol, _ = self.connect(STRANGER)
        protocol.dataReceived(LINE)
        self.assertEqual(self.behind.addresses, [STRANGER])
        self.assertEqual(self.behind.made[0].received, [LINE])
        self.assertEqual(self.tally, {})

    def test_no_header(self) -> None:
        """PROXY: a proxy that sends no header, or a broken one, is hung up on; that is counted, and said once."""
        with capturedLogs() as logs:
            for _ in range(3):
                protocol, transport = self.connect()
                protocol.dataReceived(b"GET /health HTTP/1.1\r\n\r\n")
                protocol.dataReceived(LINE)
                self.assertTrue(transport.ended)
                self.assertEqual(transport.value(), b"")
        self.assertEqual(self.tally, {(): 3})
        self.assertEqual(len(logs), 1)
        self.assertEqual(logs[0]["text"], "192.0.2.7: it does not begin with a PROXY header")
        self.clock.advance(INTERVAL)
        with capturedLogs() as logs:
            self.connect()[0].dataReceived(b"G")
        self.assertEqual(len(logs), 1)
        self.assertEqual(self.behind.made, [])

    def test_silence(self) -> None:
        """PROXY: a proxy that does not send its header in time is hung up on; one that leaves before is forgotten."""
        slow, transport = self.connect()
        slow.dataReceived(LINE[:-1])
        gone, _ = self.connect()
        gone.connectionLost(connectionDone)
        self.clock.advance(LIMITS.handshake_timeout)
        self.assertTrue(transport.ended)
        self.assertEqual(self.tally, {(): 1})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full(self) -> None:
        """PROXY: where what is behind takes no connection, there is none."""
        self.behind.full = True
        protocol, transport = self.connect()
        protocol.dataReceived(LINE)
        self.assertTrue(transport.ended)

    def test_shared_port(self) -> None:
        """PROXY: behind the header may be a port that both kinds share, which reads the first line."""
        websockets, rest = NotesFactory(), NotesFactory()
        self.port.behind = SharedPort(websockets, rest, self.clock, LIMITS)
        for line, side in ((b"GET /app/k HTTP/1.1\r\n", websockets), (b"GET /health HTTP/1.1\r\n", rest)):
            for piece in (1, 1000):
                whole = LINE + line
                protocol, _ = self.connect()
                for at in range(0, len(whole), piece):
                    protocol.dataReceived(whole[at : at + piece])
                protocol.dataReceived(b"more")
                made: Notes = side.made[-1]
                self.assertEqual(b"".join(made.received), line + b"more")
                self.assertEqual(side.addresses[-1], IPv4Address("TCP", "198.51.100.1", 56324))
                protocol.connectionLost(connectionDone)
                self.assertEqual(made.lost, 1)

    def test_starts(self) -> None:
        """PROXY: what is behind starts and stops with the port."""
        self.port.doStart()
        self.assertEqual(self.behind.running, 1)
        self.port.doStop()
        self.assertEqual(self.behind.running, 0)


class ForwardedTests(RecordedTestCase):
    """`X-Forwarded-For` in an opening handshake."""

    def opened(self, *lines: str, proxies: Proxies = PROXIES, long: bool = False) -> tuple[Client, Recorder]:
        """Connect a client whose handshake has these header lines too."""
        recorder = Recorder()
        tallies = Tallies()
        complaints = Complaints(self.clock, tallies)
        factory = WebSocketFactory(recorder, self.clock, LIMITS, tallies, complaints, proxies=proxies)
        factory.first_way = LONG_FROM_THE_START if long else OPENING
        client = Client(self.clock, factory, f"/app/{KEY}?protocol=7")
        head, _, _ = client.handshake.partition(b"\r\n\r\n")
        client.say(b"\r\n".join([head, *(line.encode() for line in lines), b"", b""]))
        return client, recorder

    def test_both_ways(self) -> None:
        """X-Forwarded-For: either way the client is whom our proxy names; what proxies add leaves the short way."""
        for long in (False, True):
            client, recorder = self.opened(
                "X-Real-IP: 198.51.100.1",
                "X-Forwarded-For: 10.9.9.9, 198.51.100.1",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: rt.example",
                "X-Forwarded-Port: 443",
                "X-Forwarded-Server: 5e1f",
                "Via: 1.1 Caddy",
                "Forwarded: for=1.2.3.4",
                long=long,
            )
            (wire,) = recorder.wires
            self.assertEqual(wire.address, "198.51.100.1")
            self.assertTrue(wire.peer.startswith("198.51.100.1 via ") and "192.0.2.7" in wire.peer, wire.peer)
            self.assertEqual(client.way is OPEN, not long)

    def test_as_proxies_write(self) -> None:
        """X-Forwarded-For: a browser's handshake goes the short way behind real proxies, too."""
        for head in (AS_NGINX_WRITES, AS_HAPROXY_WRITES):
            plain = read_upgrade(head.replace("\n", "\r\n").encode())
            assert plain is not None, head
            self.assertEqual(plain[0].forwarded, "198.51.100.1")

    def test_two_headers(self) -> None:
        """X-Forwarded-For: two such headers are one list."""
        _, recorder = self.opened("X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 192.0.2.8")
        self.assertEqual(recorder.wires[0].address, "198.51.100.1")

    def test_stranger(self) -> None:
        """X-Forwarded-For: nobody else is believed."""
        for long in (False, True):
            _, recorder = self.opened("X-Forwarded-For: 198.51.100.1", proxies=NOBODY, long=long)
            (wire,) = recorder.wires
            self.assertEqual(wire.address, "192.0.2.7")
            self.assertNotIn("via", wire.peer)
