"""A second judge: the `websockets` library, against a real process, in whatever pieces a client may send.

Its protocol core writes the frames and reads the answers; only how a message is cut up is ours.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.sdk.case import running_server
from tests.server import KEY, PATIENCE
from tests.strategies import PROPERTY, channel_names, texts


@dataclass(frozen=True)
class Piece:
    """A part of a message, and the control frames that go before it."""

    data: bytes
    pings: Sequence[bytes] = ()
    pongs: Sequence[bytes] = ()


class Judge:
    """A client that sends what it is told, and leaves it to `websockets` to judge the answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/app/{KEY}?protocol=7"))
        self.protocol.send_request(self.protocol.connect())
        self.frames: list[Frame] = []
        self.send()
        self.read_until(lambda: self.frames)
        assert b"connection_established" in self.frames.pop().data

    def say(self, pieces: Sequence[Piece]) -> None:
        """Write one text message, in pieces."""
        for number, piece in enumerate(pieces):
            for payload in piece.pings:
                self.protocol.send_ping(payload)
            for payload in piece.pongs:
                self.protocol.send_pong(payload)
            write = self.protocol.send_continuation if number else self.protocol.send_text
            write(piece.data, fin=number == len(pieces) - 1)

    def send(self, data: bytes | None = None, cuts: Sequence[int] = ()) -> None:
        """Send bytes, or all that is written, cut at some places."""
        data = b"".join(self.protocol.data_to_send()) if data is None else data
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self._socket.sendall(data[begin:end])

    def read_until(self, done: Callable[[], object]) -> None:
        """Read until a callable says so, or the server ends the connection."""
        while not done():
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:  # it was sent what it did not read
                data = b""
            if not data:
                self.protocol.receive_eof()
                return
            self.protocol.receive_data(data)
            self.frames += [each for each in self.protocol.events_received() if isinstance(each, Frame)]

    def end(self) -> None:
        """Read to the end of the connection, and answer a close frame."""
        self.read_until(lambda: self.protocol.close_rcvd is not None)
        self.send()
        self.read_until(lambda: False)
        self._socket.close()


def cut(text: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut a text at some places; it may be cut twice in one, and between the bytes of one character."""
    at = sorted(min(place, len(text)) for place in places)
    return [text[begin:end] for begin, end in zip([0, *at], [*at, len(text)], strict=True)]


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, list[Piece]]:
    """Draw a subscription to a public channel, in pieces; JSON may make twelve bytes of a character."""
    channel = "n" + draw(channel_names)[:163]
    padding = draw(texts) * draw(st.sampled_from((1, 1, 50, 1000)))
    message = {"event": "pusher:subscribe", "data": {"channel": channel}, "padding": padding[:10_000]}
    places = draw(st.lists(st.integers(0, 400), max_size=8))
    controls = st.lists(st.binary(max_size=125), max_size=2)
    pieces = cut(json.dumps(message, ensure_ascii=draw(st.booleans())).encode(), places)
    return channel, [Piece(each, draw(controls), draw(controls)) for each in pieces]


class SecondJudge(SynchronousTestCase):
    """What `websockets` says of a server."""

    def setUp(self) -> None:
        """Find a server."""
        self.server = running_server()
        logged = len(self.server.log)
        self.addCleanup(lambda: self.assertNotIn("Traceback", self.server.log[logged:]))

    @settings(PROPERTY, max_examples=60)
    @given(
        st.lists(messages(), min_size=1, max_size=3, unique_by=lambda said: said[0]),
        st.lists(st.integers(0, 3000), max_size=4).map(sorted),
        st.sampled_from((1000, 1001, 1008, 1011, 3000, 4000, 4999)),
        texts,
    )
    def test_pieces(self, said: list[tuple[str, list[Piece]]], cuts: list[int], code: int, reason: str) -> None:
        """RFC 6455: a message may come in any fragments and reads, control frames between; all is answered in order."""
        client = Judge(self.server.websocket_port)
        for _, pieces in said:
            client.say(pieces)
        client.send(cuts=cuts)
        pings = [payload for _, pieces in said for piece in pieces for payload in piece.pings]
        client.read_until(lambda: len(client.frames) == len(pings) + len(said))
        self.assertEqual([each.data for each in client.frames if each.opcode is Opcode.PONG], pings)
        told = [json.loads(bytes(each.data)) for each in client.frames if each.opcode is Opcode.TEXT]
        self.assertEqual([each["event"] for each in told], ["pusher_internal:subscription_succeeded"] * len(said))
        self.assertEqual([each["channel"] for each in told], [channel for channel, _ in said])
        client.protocol.send_close(code, reason.encode()[:123].decode(errors="ignore"))
        client.send()
        client.end()
        self.assertIs(client.protocol.state, State.CLOSED)
        self.assertIsNone(client.protocol.parser_exc)
        assert client.protocol.close_rcvd is not None
        self.assertEqual(client.protocol.close_rcvd.code, 1000)

    def test_violations(self) -> None:
        """RFC 6455: each violation ends the connection with the close code of its kind, and nobody else's."""
        bystander = Judge(self.server.websocket_port)
        text, close = Opcode.TEXT, Opcode.CLOSE
        for told, code, frames in (
            ("unmasked", 1002, [Frame(text, b"{}").serialize(mask=False)]),
            ("unmasked ping", 1002, [Frame(Opcode.PING, b"").serialize(mask=False)]),
            ("reserved bit", 1002, [b"\xc1\x82abcd\x1a\x1f"]),
            ("reserved opcode", 1002, [b"\x83\x80abcd"]),
            ("reserved control", 1002, [b"\x8b\x80abcd"]),
            ("orphaned continuation", 1002, [Frame(Opcode.CONT, b"{}").serialize(mask=True)]),
            ("text within a text", 1002, [Frame(text, b"{", fin=False).serialize(mask=True)] * 2),
            ("fragmented ping", 1002, [b"\x09\x80abcd"]),
            ("long ping", 1002, [b"\x89\xfe\x00\x7eabcd" + b"x" * 126]),
            ("longer form than needed", 1002, [b"\x81\xfe\x00\x02abcd{}"]),
            ("64-bit length, its first bit set", 1002, [b"\x81\xff\xff" + b"\xff" * 7 + b"abcd"]),
            ("64-bit length", 1009, [b"\x81\xff\x7f" + b"\xff" * 7 + b"abcd"]),
            ("too large", 1009, [Frame(text, b"x" * 200_000).serialize(mask=True)]),
            ("too large in sum", 1009, [Frame(text, b"x" * 70_000, fin=False).serialize(mask=True),
                                        Frame(Opcode.CONT, b"x" * 70_000).serialize(mask=True)]),
            ("not UTF-8", 1007, [Frame(text, b"\xff").serialize(mask=True)]),
            ("half a character", 1007, [Frame(text, b"\xc3", fin=False).serialize(mask=True),
                                        Frame(Opcode.CONT, b"").serialize(mask=True)]),
            ("binary", 1003, [Frame(Opcode.BINARY, b"{}").serialize(mask=True)]),
            ("half a close code", 1002, [Frame(close, b"\x03").serialize(mask=True)]),
            ("close code 1005", 1002, [Frame(close, (1005).to_bytes(2)).serialize(mask=True)]),
            ("close code 999", 1002, [Frame(close, (999).to_bytes(2)).serialize(mask=True)]),
            ("close reason not UTF-8", 1007, [Frame(close, b"\x03\xe8\xff").serialize(mask=True)]),
        ):  # fmt: skip
            client = Judge(self.server.websocket_port)
            client.send(b"".join(frames))
            client.read_until(lambda client=client: client.protocol.close_rcvd is not None)  # type: ignore[misc]
            assert isinstance(client.protocol.close_rcvd, Close), told
            self.assertEqual(client.protocol.close_rcvd.code, code, told)
            self.assertIsNone(client.protocol.parser_exc, told)
            client.end()
        bystander.say([Piece(b'{"event":"pusher:ping","data":{}}')])
        bystander.send()
        bystander.read_until(lambda: bystander.frames)
        self.assertEqual(bystander.frames[0].data, b'{"event":"pusher:pong","data":"{}"}')
        bystander.protocol.send_close(1000)
        bystander.send()
        bystander.end()
