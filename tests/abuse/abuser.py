"""A hostile client: sockets, and bytes on them. It comes from other addresses than the well-behaved."""

from __future__ import annotations

import itertools
import random
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from tests.server import KEY

PATIENCE = 2.0
"""Seconds to wait for an answer; an abuser that gets none goes on."""

HANDSHAKE = (
    f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()

_LONG = 0xFFFF
_hosts = itertools.cycle(f"127.0.0.{number}" for number in range(2, 12))


class Abuser:
    """What every kind of abuse is done with.

    :param websocket_port: of the server.
    :param api_port: of the server.
    """

    def __init__(self, websocket_port: int, api_port: int, seed: int) -> None:
        self.websocket_port = websocket_port
        self.api_port = api_port
        self.random = random.Random(seed)
        self.over = threading.Event()

    def connect(self, port: int, received: int | None = None) -> socket.socket:
        """Open a connection.

        :param received: bytes that the system may hold for it unread; few for a slow reader.
        """
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        if received is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        connection.bind((next(_hosts), 0))
        connection.connect(("127.0.0.1", port))
        return connection

    def enter(self, received: int | None = None) -> socket.socket:
        """Open a WebSocket, and take its `connection_established`."""
        connection = self.connect(self.websocket_port, received)
        connection.sendall(HANDSHAKE)
        answer = b""
        while b"connection_established" not in answer:
            data = connection.recv(4096)
            if not data:
                raise ConnectionResetError("not let in")
            answer += data
        return connection

    def rest(self, seconds: float) -> None:
        """Do nothing for a while, or until the abuse is over."""
        self.over.wait(seconds)


def send_until_closed(connection: socket.socket, data: bytes, times: int) -> None:
    """Send something again and again, reading nothing, until the server has had enough."""
    with suppress(OSError):
        for _ in range(times):
            connection.sendall(data)


def drain(connection: socket.socket, seconds: float = PATIENCE) -> bytes:
    """Read to the end of a connection, or for a while."""
    received = b""
    deadline = time.monotonic() + seconds
    with suppress(OSError):
        while (left := deadline - time.monotonic()) > 0 and select.select([connection], [], [], left)[0]:
            data = connection.recv(65536)
            if not data:
                break
            received += data
    return received


def drop(connection: socket.socket) -> None:
    """Be gone with a RST, as a client that crashes."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def text_frame(text: bytes) -> bytes:
    """Write a text, masked as the standard asks."""
    return any_frame(0x81, text)


def any_frame(first: int, payload: bytes) -> bytes:
    """Write a frame of any kind; its mask is there, as the standard asks, and changes nothing."""
    length = len(payload)
    if length > _LONG:
        header = bytes((first, 0xFF)) + length.to_bytes(8)
    elif length > 125:
        header = bytes((first, 0xFE)) + length.to_bytes(2)
    else:
        header = bytes((first, 0x80 | length))
    return header + bytes(4) + payload
