"""Memory of a real server."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.process.running import ProcessTestCase, ask
from tests.server import KEY, PATIENCE, Server, wait_for

FEW_MEGABYTES = 4 * 1024 * 1024
CONNECTIONS = 20
CHANNELS = 5000
HANDSHAKE = (
    f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


class MemoryTests(ProcessTestCase):
    """Empty channels leave no memory behind."""

    def test_channels_leave_nothing(self) -> None:
        """Memory: after 100,000 channels were opened and left, resident memory is back within a few MB.

        What the operator sees is the resident memory of the process, so that is what is measured, and not the objects
        that Python counts. The connections come one after the other, each with 5,000 channels of its own: so the
        memory in use at any one time stays the same, and what an allocator keeps for the next peak does not hide
        what channels leave behind. A few connections of the same shape warm up. If a channel left but an entry
        with its name in one dictionary, that would be some 10 MB.
        """
        with Server("--connection-channels=none", "--messages-per-second=none") as server:
            self.open_and_leave(server, "warm", CONNECTIONS // 4)
            before = resident(server.pid)
            self.open_and_leave(server, "hot", CONNECTIONS)
            after = resident(server.pid)
            self.assertLess(after - before, FEW_MEGABYTES, f"{before} bytes became {after}")

    def open_and_leave(self, server: Server, prefix: str, connections: int) -> None:
        """Open channels and leave them: every other connection says so, the others just go."""
        for number in range(connections):
            connection = connect(server.websocket_port)
            names = [f"{prefix}-{number}-{each}" for each in range(CHANNELS)]
            say(connection, "pusher:subscribe", names, answered=True)
            self.assertTrue(occupied(server, names[0]) and occupied(server, names[-1]))
            if number % 2:
                say(connection, "pusher:unsubscribe", names, answered=False)
                wait_for("the last channel's end", lambda: not occupied(server, names[-1]))  # noqa: B023 - at once
            connection.close()
            wait_for("the last channel's end", lambda: not occupied(server, names[-1]))  # noqa: B023 - at once


def occupied(server: Server, channel: str) -> bool:
    """Ask whether a channel is occupied."""
    status, body = ask("GET", f"/apps/3/channels/{channel}", b"", "127.0.0.1", server.api_port)
    assert status == 200, body
    return bool(json.loads(body)["occupied"])


def resident(pid: int) -> int:
    """Measure the resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def connect(port: int) -> socket.socket:
    """Open a WebSocket, by hand: frames are to be sent many in one write."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(HANDSHAKE)
    received = b""
    while b"connection_established" not in received:
        received += connection.recv(4096)
    return connection


def say(connection: socket.socket, event: str, channels: list[str], *, answered: bool) -> None:
    """Send a message for each channel, a hundred in one write, and read the answers."""
    received = b""
    for start in range(0, len(channels), 100):
        some = channels[start : start + 100]
        texts = (json.dumps({"event": event, "data": {"channel": name}}).encode() for name in some)
        connection.sendall(b"".join(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text for text in texts))
        while answered and received.count(b"subscription_succeeded") < start + len(some):
            received += connection.recv(65536)
