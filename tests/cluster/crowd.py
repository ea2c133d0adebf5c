"""Many clients in one thread, which do what pusher-js does when a server sends them away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from slanger.protocol import signing
from slanger.protocol.errors import OVER_CAPACITY, SHUTTING_DOWN
from tests.server import KEY, SECRET

BACK_OFF = 1.0
"""Seconds that pusher-js waits after a close code from 4100 to 4199."""

TEXT, CLOSE = 1, 8
MASKED = 0x80


class Visitor(asyncio.Protocol):
    """A client of one user on one presence channel.

    :param ports: of the nodes; the first that takes connections is taken, as a balancer would.
    :ivar events: names of all events it was sent on its channel, each with the user whom it concerns.
    :ivar waits: seconds from each attempt to connect to `connection_established`.
    :ivar sent_away_at: when it was sent away.
    :ivar back_at: when it had subscribed again.
    """

    def __init__(self, ports: Sequence[int], user_id: str, channel: str) -> None:
        self._ports = ports
        self._user_id = user_id
        self._channel = channel
        self.subscribed = False
        self.events: list[tuple[str, str | None]] = []
        self.waits: list[float] = []
        self.codes: list[int] = []
        self.sent_away_at = self.back_at = 0.0

    async def connect(self) -> None:
        """Connect to the first node that takes connections."""
        loop = asyncio.get_running_loop()
        self._received = b""
        self._code: int | None = None
        self._began = time.monotonic()
        for port in self._ports:
            try:
                await loop.create_connection(lambda: self, "127.0.0.1", port)
            except ConnectionRefusedError:
                continue
            return
        raise AssertionError("no node takes connections")

    def leave(self) -> None:
        """Go, and do not come back."""
        self._code = 0
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the WebSocket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET /app/{KEY}?protocol=7&client=js HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take frames; those of a server are not masked."""
        self._received += data
        if self._received.startswith(b"HTTP/1.1 101"):
            _, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._received = rest
        while (size := _size(self._received)) is not None and len(self._received) >= sum(size):
            head, length = size
            kind, payload = self._received[0] & 0x0F, self._received[head : head + length]
            self._received = self._received[head + length :]
            if kind == TEXT:
                self._read(json.loads(payload))
            elif kind == CLOSE:
                self._code = int.from_bytes(payload[:2])
                self._transport.write(_frame(CLOSE, payload))

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back, as the code says: from 4200 on at once, from 4100 on after a second."""
        if self._code == 0:
            return
        self.codes.append(self._code or 1006)
        self.subscribed = False
        self.sent_away_at = time.monotonic()
        at_once = self._code == SHUTTING_DOWN.number
        assert at_once or self._code == OVER_CAPACITY.number, f"closed with {self._code}"
        loop = asyncio.get_running_loop()
        loop.call_later(0 if at_once else BACK_OFF, lambda: loop.create_task(self.connect()))

    def _read(self, message: dict[str, str]) -> None:
        event = message["event"]
        if event == "pusher:connection_established":
            self.waits.append(time.monotonic() - self._began)
            self._subscribe(json.loads(message["data"])["socket_id"])
        elif event == "pusher_internal:subscription_succeeded":
            self.back_at = time.monotonic()
            self.subscribed = True
        elif message.get("channel") == self._channel:
            self.events.append((event, json.loads(message["data"]).get("user_id")))

    def _subscribe(self, socket_id: str) -> None:
        who = json.dumps({"user_id": self._user_id})
        auth = f"{KEY}:{signing.sign(SECRET, signing.channel_string(socket_id, self._channel, who))}"
        data = {"channel": self._channel, "channel_data": who, "auth": auth}
        self._transport.write(_frame(TEXT, json.dumps({"event": "pusher:subscribe", "data": data}).encode()))


def _size(received: bytes) -> tuple[int, int] | None:
    """Give the bytes of the first frame's head and of its payload."""
    if len(received) < 2:
        return None
    short = received[1]
    if short < 126:
        return 2, short
    more = 2 if short == 126 else 8
    return (2 + more, int.from_bytes(received[2 : 2 + more])) if len(received) >= 2 + more else None


def _frame(kind: int, payload: bytes) -> bytes:
    """Write a frame of a client, masked with zeros."""
    length = len(payload)
    head = bytes((MASKED | length,)) if length < 126 else bytes((MASKED | 126,)) + length.to_bytes(2)
    return bytes((0x80 | kind,)) + head + bytes(4) + payload
