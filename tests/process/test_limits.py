"""Limits of real servers: told on the command line, met by real clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.api.requests import signed_target
from tests.ports import free_port
from tests.process.running import Foreground, ProcessTestCase, ask, read
from tests.process.test_memory import HANDSHAKE, resident
from tests.server import KEY, PATIENCE, Server, wait_for

SLOW = 1000
EVENTS = 60
EVENT_BYTES = 10_000
BOUND = 100 * 1024 * 1024
"""Bytes that a thousand who never read may cost: 64 KiB each in their transports, and what all of them wait for."""


class RefusalTests(ProcessTestCase):
    """Clients that are not let in."""

    def refused(self, port: int, key: str = KEY, origin: str | None = None) -> tuple[int, int]:
        """Connect; give the code of the `pusher:error`, and that of the close frame."""
        url = f"ws://127.0.0.1:{port}/app/{key}?protocol=7"
        with connect(
            url, proxy=None, open_timeout=PATIENCE, origin=None if origin is None else Origin(origin)
        ) as client:
            told = read(client)
            self.assertEqual(told["event"], "pusher:error")
            with self.assertRaises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
            assert closed.exception.rcvd is not None
            return told["data"]["code"], int(closed.exception.rcvd.code)

    def test_node(self) -> None:
        """Quotas: clients that are too many for the node, or for an address, are told 4100, and may come later."""
        for option in ("--node-connections=2", "--address-connections=2"):
            with Server(option) as server:
                first, _ = (self.connect(server.websocket_port) for _ in range(2))
                self.assertEqual(self.refused(server.websocket_port), (4100, 4100), option)
                first.close()
                self.connect(server.websocket_port)

    def test_budget(self) -> None:
        """Connect budget: of many at once as many are let in as a second allows, and the others come back."""
        with Server("--connects-per-second=2") as server:
            outcomes = []
            for _ in range(6):
                with connect(f"ws://127.0.0.1:{server.websocket_port}/app/{KEY}", proxy=None) as client:
                    told = read(client)
                    outcomes.append(told["data"]["code"] if told["event"] == "pusher:error" else "established")
            self.assertIn(4100, outcomes)
            self.assertEqual(outcomes[:2], ["established", "established"])
            wait_for("room for one more", lambda: self.is_let_in(server.websocket_port), interval=0.1)

    def is_let_in(self, port: int) -> bool:
        """Try to connect."""
        with connect(f"ws://127.0.0.1:{port}/app/{KEY}", proxy=None) as client:
            return bool(read(client)["event"] == "pusher:connection_established")

    def test_apps(self) -> None:
        """Quotas and origins: those of the apps stand in the settings file."""
        websocket, api = free_port(), free_port()
        config = f"""
            websocket-host = "127.0.0.1:{websocket}"
            api-host = "127.0.0.1:{api}"
            [[apps]]
            key = "small"
            secret = "s1"
            connections = 1
            [[apps]]
            key = "shop"
            secret = "s2"
            connections = "none"
            requests-per-second = 1
            origins = ["https://shop.example", "https://*.shop.example"]
        """
        with Foreground(config=config):
            self.connect(websocket, key="small")
            self.assertEqual(self.refused(websocket, "small"), (4004, 4004))
            for _ in range(3):
                self.connect(websocket, key="shop")
            self.assertEqual(self.refused(websocket, "shop", "https://evil.example"), (4009, 4009))
            url = f"ws://127.0.0.1:{websocket}/app/shop"
            with connect(url, proxy=None, origin=Origin("https://www.shop.example")) as client:
                self.assertEqual(read(client)["event"], "pusher:connection_established")
            statuses = {
                ask("GET", "/apps/3/channels", b"", "127.0.0.1", api, key="shop", secret="s2")[0] for _ in "1234"
            }
            self.assertEqual(statuses, {200, 429})

    def test_descriptors(self) -> None:
        """Descriptors: clients cannot take the last ones; apps still publish, and nothing is in the log."""
        for one_port in (False, True):
            with Narrow(one_port=one_port) as server, contextlib.ExitStack() as clients:
                for number in range(600):
                    with contextlib.suppress(ConnectionError):
                        address = "127.0.0.1", server.websocket_port if number < 400 else server.api_port
                        client = clients.enter_context(socket.create_connection(address, PATIENCE))
                        client.sendall(HANDSHAKE if number < 400 else b"")
                    if number == 400:
                        wait_for("room", lambda: descriptors(server.pid) <= 226)
                        body = json.dumps({"name": "n", "channel": "c", "data": "1"}).encode()
                        self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", server.api_port)[0], 200)
                wait_for("the others to be dropped", lambda: 250 < descriptors(server.pid) <= 263)
                self.assertNotIn("accept", server.log)
                self.assertNotIn("EMFILE", server.log)

    def test_memory(self) -> None:
        """Memory guard: above its limit a node is degraded, lets nobody in, and serves those who are there."""
        with Server("--memory-bytes=1000000") as server:
            wait_for("the strain", lambda: "degraded" in health(server.api_port))
            self.assertIn("memory", health(server.api_port))
            self.assertEqual(self.refused(server.websocket_port), (4100, 4100))
            body = json.dumps({"name": "n", "channel": "c", "data": "1"}).encode()
            self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", server.api_port)[0], 200)
            self.assertEqual(server.log.count("more than --memory-bytes 1000000"), 1)


class KernelTests(ProcessTestCase):
    """What the kernel keeps for those who do not read."""

    def test_unsent(self) -> None:
        """Slow readers: of what a client does not read the kernel holds little, on either port and on one for both."""
        for one_port in (False, True):
            options = ("--unsent-bytes=65536", "--backlog-bytes=10000000")
            with Server(*options, one_port=one_port) as server, closing(never_reading(server.websocket_port)) as client:
                wait_for("the client", lambda: subscribers(server.api_port) == 1)
                for _ in range(100):
                    publish(server.api_port, "x" * EVENT_BYTES)
                held = queued(client.getsockname()[1])
                self.assertGreater(held, 0)
                self.assertLess(held, 65536 + 4 * EVENT_BYTES)


class TimeTests(ProcessTestCase):
    """Who takes too long."""

    def test_time_outs(self) -> None:
        """Time-outs: half a handshake, half a request and a connection that is idle are ended; so are slow ones."""
        options = ("--handshake-timeout=1", "--request-timeout=1", "--keep-alive=3")
        with Server(*options) as server:
            for port, sent, answer in (
                (server.websocket_port, b"", b""),
                (server.websocket_port, b"GET /app/k", b""),
                (server.api_port, b"", b""),
                (server.api_port, b"POST /apps/3/events HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 408 "),
                (server.api_port, b"POST /apps/3/ev", b"HTTP/1.1 408 "),
            ):
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                    client.sendall(sent)
                    received = b""
                    while piece := receive(client):
                        received += piece
                    self.assertTrue(received.startswith(answer), (sent, received))
            self.assertEqual(server.log.lower().count("tim"), 0, server.log)

    def test_goodbye(self) -> None:
        """Slow readers: a client that says goodbye and reads nothing is let go of by the server."""
        with Server() as server, closing(never_reading(server.websocket_port)) as client:
            wait_for("the client", lambda: subscribers(server.api_port) == 1)
            for _ in range(60):
                publish(server.api_port, "x" * EVENT_BYTES)
            client.sendall(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
            wait_for("its end", lambda: subscribers(server.api_port) == 0)
            self.assertNotIn("Traceback", server.log)


class SlowReaderTests(ProcessTestCase):
    """A thousand who never read."""

    def test_thousand(self) -> None:
        """Slow readers: a thousand who never read cost bounded memory, are closed, and delay nobody.

        A witness on the same channel gets every event, in order. The log has a line or two about it all.
        """
        with Server("--backlog-bytes=300000") as server:
            before = resident(server.pid)
            for number in range(SLOW):
                if number % 40 == 0:  # no more than may wait to be accepted
                    wait_for("some of them", lambda: subscribers(server.api_port) == number)  # noqa: B023 - at once
                self.addCleanup(never_reading(server.websocket_port).close)
            witness = self.connect(server.websocket_port)
            self.subscribe(witness)
            wait_for("all of them", lambda: subscribers(server.api_port) == SLOW + 1)
            received: list[str] = []
            listening = threading.Thread(
                target=lambda: received.extend(read(witness)["data"].strip("x") for _ in range(EVENTS))
            )
            listening.start()
            most = 0
            for number in range(EVENTS):
                publish(server.api_port, f"{number}{'x' * EVENT_BYTES}")
                most = max(most, resident(server.pid))
            listening.join(PATIENCE)
            self.assertEqual(received, [str(number) for number in range(EVENTS)])
            wait_for("the end of the slow", lambda: publish_and_count(server.api_port) == 1, 3 * PATIENCE)
            most = max(most, resident(server.pid))
            self.assertLess(most - before, BOUND)
            self.assertLessEqual(server.log.count("slow_reader"), 3)
            self.assertNotIn("Traceback", server.log)


class Narrow(Server):
    """A server that may have few descriptors."""

    def __init__(self, *, one_port: bool) -> None:
        super().__init__("--handshake-timeout=60", "--keep-alive=60", one_port=one_port)
        self._command = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *self._command]


def descriptors(pid: int) -> int:
    """Count the file descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def never_reading(port: int) -> socket.socket:
    """Connect a client that subscribes and then reads nothing at all."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    text = b'{"event":"pusher:subscribe","data":{"channel":"news"}}'
    client.sendall(HANDSHAKE)
    client.sendall(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)
    return client


def publish(api_port: int, data: str) -> None:
    """Send an event."""
    body = json.dumps({"name": "price", "channel": "news", "data": data}).encode()
    assert ask("POST", "/apps/3/events", body, "127.0.0.1", api_port)[0] == 200


def queued(client_port: int) -> int:
    """Count the bytes that the kernel holds for a client, as /proc tells."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(
        int(queues.partition(":")[0], 16)
        for _, _, remote, _, queues, *_ in connections
        if remote.endswith(f":{client_port:04X}")
    )


def publish_and_count(api_port: int) -> int:
    """Send one more event, and count who is on the channel then."""
    publish(api_port, "y" * EVENT_BYTES)
    return subscribers(api_port)


def subscribers(api_port: int) -> int:
    """Count who is on the channel."""
    target = signed_target(
        "GET", "/apps/3/channels/news", (("info", "subscription_count"),), timestamp=int(time.time())
    )
    connection = http.client.HTTPConnection("127.0.0.1", api_port, timeout=PATIENCE)
    connection.request("GET", target)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return int(answer["subscription_count"])


def health(api_port: int) -> str:
    """Ask how the node is."""
    with socket.create_connection(("127.0.0.1", api_port), PATIENCE) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := client.recv(4096):
            received += piece
    return received.decode()


def receive(client: socket.socket) -> bytes:
    """Read something; nothing where the connection has ended, however it did."""
    try:
        return client.recv(4096)
    except ConnectionError:
        return b""
